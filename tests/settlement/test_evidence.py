"""Evidence of each kind: what convicts, what shows nothing, and what an honest history gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER, BUILDER_KEY, VERIFIER, VERIFIER_KEY, Chain, make_key, mutate, seal
from microrollup.chain.acknowledgement import SignedAcknowledgement, sign_acknowledgement
from microrollup.chain.block import Block, compute_block_hash
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import InboxDomain, decode_receipt
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.bls_shares import load_bls_key
from microrollup.crypto.merkle.items import prove_item
from microrollup.errors import DecodeError, ForeignRollup, ProofError, WrongBlock, WrongOperator
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.evidence import (
    Attestations,
    Attested,
    Challenge,
    Evidence,
    KnownFacts,
    SealedHeader,
    Seals,
    SettledEntry,
    decode_evidence,
    encode_evidence,
    find_equivocation,
    judge,
)
from microrollup.store.tables import get_receipt

DOMAIN = InboxDomain(31337, bytes(20))
BLOCKS = 4


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    made = Chain(tmp_path_factory.mktemp("evidence"))
    for number in range(BLOCKS):
        made.edit(("count", 0, number + 1))
        made.edit(("count", 0, number + 2), name="bob")
        made.close_block()
        made.advance()
    yield made
    made.close()


def twin(block: Block, *, round_: int = 0, key: Any = BUILDER_KEY, **words: Any) -> SealedHeader:
    """Another block of that height, sealed."""
    header = msgspec.structs.replace(block.header, **(words or {"state_root": b"\x07" * 32}))
    return SealedHeader(header, seal(header, key, round_))


def sealed(block: Block) -> SealedHeader:
    return SealedHeader(block.header, block.seal)


def acknowledge(chain: Chain, seq: int, **words: Any) -> SignedAcknowledgement:
    """The builder's word on the action at `seq`, with `words` of its receipt changed."""
    height = next(b.header.height for b in chain.get_blocks() if seq < b.header.first_seq + b.header.action_count)
    receipt = get_receipts(chain, height)[seq - get_block(chain, height).header.first_seq]
    return sign(chain, height, msgspec.structs.replace(receipt, **words))


def sign(chain: Chain, height: int, receipt: Receipt) -> SignedAcknowledgement:
    rollup_id = chain.ledger.rollup_id
    return sign_acknowledgement(BUILDER_KEY, rollup_id, height, receipt, chain_id=31337, inbox=bytes(20))


def get_block(chain: Chain, height: int) -> Block:
    return chain.get_blocks()[height - 1]


def get_receipts(chain: Chain, height: int) -> list[Receipt]:
    header = get_block(chain, height).header
    environment = chain.ledger.environment
    with environment.snapshot() as txn:
        rows = [get_receipt(txn, environment.tables, header.first_seq + place) for place in range(header.action_count)]
    return [decode_receipt(row) for row in rows if row is not None]


def challenge(chain: Chain, signed: SignedAcknowledgement, **changes: Any) -> Challenge:
    """What the chain holds in its place, its tip taken as settled."""
    blocks = chain.get_blocks()
    at = [b for b in blocks if b.header.first_seq <= signed.seq < b.header.first_seq + b.header.action_count]
    if not at:
        return Challenge(1, DOMAIN, signed, (blocks[-1].header,), None)
    block, index = at[0], signed.seq - at[0].header.first_seq
    receipts = [encode_canonical(receipt) for receipt in get_receipts(chain, block.header.height)]
    found = SettledEntry(
        block.seal,
        block.records[index],
        prove_item(block.records, index),
        receipts[index],
        prove_item(receipts, index),
    )
    made = Challenge(1, DOMAIN, signed, tuple(b.header for b in blocks[block.header.height - 1 :]), found)
    return msgspec.structs.replace(made, **changes)


def judge_again(evidence: Evidence, known: KnownFacts | None = None) -> Any:
    """Judge what comes out of a file."""
    again = decode_evidence(encode_evidence(evidence))
    assert evidence == again
    return judge(again, known)


# --- seals -----------------------------------------------------------------------------------------------------------


def test_two_seals_of_one_height_and_round_convict(chain: Chain) -> None:
    block = get_block(chain, 2)
    verdict = judge_again(Seals(1, sealed(block), twin(block)))
    assert ("equivocated", BUILDER, 2) == (verdict.outcome, verdict.signer, verdict.height)
    assert verdict.convicts
    assert 2 == len(verdict.unchecked)
    known = KnownFacts(chain.ledger.rollup_id, DOMAIN, BUILDER)
    assert () == judge_again(Seals(1, sealed(block), twin(block)), known).unchecked


def test_seals_that_convict_nobody(chain: Chain) -> None:
    block, other = get_block(chain, 2), get_block(chain, 3)
    for first, second, reason in (
        (sealed(block), sealed(block), "of one block"),
        (sealed(block), twin(block, round_=1), "different heights or rounds"),
        (sealed(block), sealed(other), "different heights or rounds"),
        (sealed(block), twin(block, key=make_key("mallory")), "not of one key"),
        (sealed(block), twin(block, rollup_id=b"\x01" * 32), "different rollups"),
        (sealed(block), msgspec.structs.replace(twin(block), seal=block.seal), "not of one key"),
    ):
        with pytest.raises(ProofError, match=reason):
            judge_again(Seals(1, first, second))
    pair = Seals(1, sealed(block), twin(block))
    with pytest.raises(ForeignRollup):
        judge(pair, KnownFacts(rollup_id=bytes(32)))
    with pytest.raises(WrongOperator):
        judge(pair, KnownFacts(signer=VERIFIER))


def test_an_honest_rebuild_convicts_nobody(tmp_path: Path) -> None:
    """Its height has two blocks: one of round 0, one of round 1."""
    chain = Chain(tmp_path)
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.edit(("count", 0, 2))
    chain.close_block()
    before = [sealed(block) for block in chain.get_blocks()]
    chain.advance(3)
    chain.sequencer.rebuild(1)
    after = [sealed(block) for block in chain.get_blocks()]
    assert [0, 0] == [each.seal.round for each in before]
    assert [1, 1] == [each.seal.round for each in after]
    assert None is find_equivocation(before, after)
    lie = twin(chain.get_blocks()[1], round_=1)
    found = find_equivocation([*before, *after], [*before, *after[:1], lie])
    assert found is not None
    assert (2, 1) == (found.second.header.height, found.second.seal.round)
    chain.close()


# --- attestations ----------------------------------------------------------------------------------------------------


def attest(block: Block, *, key: Any = VERIFIER_KEY, **words: Any) -> Attested:
    attestation = msgspec.structs.replace(create_attestation(bytes(32), 1, block.header, bytes(32)), **words)
    signed = sign_attestation(key, attestation, 31337, bytes(20))
    return Attested(attestation, signed.signature, signed.key)


def test_two_attestations_of_one_height_convict(chain: Chain) -> None:
    block = get_block(chain, 3)
    pair = Attestations(1, DOMAIN, attest(block), attest(block, block_hash=b"\x01" * 32, data_hash=b"\x02" * 32))
    verdict = judge_again(pair, KnownFacts(chain.ledger.rollup_id, DOMAIN, VERIFIER))
    assert ("equivocated", VERIFIER, 3) == (verdict.outcome, verdict.signer, verdict.height)
    assert ("that L1 was not reorganised between the two: then both may be honest",) == verdict.unchecked
    with pytest.raises(ProofError, match="or of another inbox"):  # the signatures are those of strangers there
        judge(pair, KnownFacts(domain=InboxDomain(1, bytes(20)), signer=VERIFIER))
    with pytest.raises(WrongOperator):
        judge(pair, KnownFacts(signer=BUILDER))


def test_a_bls_key_that_attests_two_blocks(chain: Chain) -> None:
    key, block = load_bls_key(b"\x05" * 32), get_block(chain, 3)
    pair = Attestations(1, DOMAIN, attest(block, key=key), attest(block, key=key, block_hash=b"\x01" * 32))
    assert (key.public, True) == (judge_again(pair).signer, judge(pair).convicts)
    stranger = msgspec.structs.replace(pair.second, key=load_bls_key(b"\x06" * 32).public)
    with pytest.raises(ProofError, match="not valid"):
        judge_again(msgspec.structs.replace(pair, second=stranger))


def test_attestations_that_convict_nobody(chain: Chain) -> None:
    block = get_block(chain, 3)
    good, malleable = attest(block), attest(block, block_hash=b"\x01" * 32)
    for second, reason in (
        (attest(block, data_hash=b"\x05" * 32), "of one block"),
        (attest(get_block(chain, 2)), "different heights"),
        (attest(block, key=BUILDER_KEY, block_hash=b"\x01" * 32), "not of one key"),
        (attest(block, rollup_id=b"\x01" * 32), "different rollups"),
    ):
        with pytest.raises(ProofError, match=reason):
            judge_again(Attestations(1, DOMAIN, good, second))
    malleable = msgspec.structs.replace(malleable, signature=malleable.signature[:64] + b"\0")
    with pytest.raises(ProofError, match="not valid"):
        judge(Attestations(1, DOMAIN, good, malleable))


# --- challenges ------------------------------------------------------------------------------------------------------


def known_of(chain: Chain) -> KnownFacts:
    return KnownFacts(chain.ledger.rollup_id, DOMAIN, BUILDER, compute_block_hash(get_block(chain, BLOCKS).header))


@pytest.mark.parametrize("seq", range(2 * BLOCKS))
def test_an_honest_history_honours_all_promises(chain: Chain, seq: int) -> None:
    verdict = judge_again(challenge(chain, acknowledge(chain, seq)), known_of(chain))
    assert ("honoured", ()) == (verdict.outcome, verdict.unchecked)
    assert not verdict.convicts


def test_a_promise_beyond_the_settled_block_is_open(chain: Chain) -> None:
    receipt = get_receipts(chain, BLOCKS)[-1]
    signed = sign(chain, BLOCKS + 1, msgspec.structs.replace(receipt, seq=2 * BLOCKS, action_hash=b"\x09" * 32))
    verdict = judge_again(challenge(chain, signed), known_of(chain))
    assert ("open", False) == (verdict.outcome, verdict.convicts)


def test_broken_promises(chain: Chain) -> None:
    another = acknowledge(chain, 3, action_hash=b"\x09" * 32)
    verdict = judge_again(challenge(chain, another), known_of(chain))
    assert ("broken", True) == (verdict.outcome, verdict.convicts)
    assert "is there" in verdict.shown
    rejected = acknowledge(chain, 3, status=1, reason="no")
    verdict = judge_again(challenge(chain, rejected), known_of(chain))
    assert ("broken", True) == (verdict.outcome, verdict.convicts)
    assert "not built again" in verdict.shown


def test_another_receipt_after_a_rebuild(chain: Chain) -> None:
    """The block's seal says that its height was built again; anybody else's seal says nothing."""
    made = challenge(chain, acknowledge(chain, 3, status=1, reason="no"))
    assert made.found is not None
    again = msgspec.structs.replace(made.found, seal=seal(made.headers[0], round_=1))
    verdict = judge_again(msgspec.structs.replace(made, found=again), known_of(chain))
    assert ("rebuilt", False) == (verdict.outcome, verdict.convicts)
    for round_ in (0, 1):
        strange = msgspec.structs.replace(made.found, seal=seal(made.headers[0], make_key("mallory"), round_))
        with pytest.raises(ProofError, match="not of the key that acknowledged"):
            judge_again(msgspec.structs.replace(made, found=strange), known_of(chain))


def test_challenges_that_show_nothing(chain: Chain) -> None:
    signed = acknowledge(chain, 3)
    made = challenge(chain, signed)
    found = made.found
    assert found is not None
    replace = msgspec.structs.replace
    stranger = sign_acknowledgement(
        make_key("mallory"), chain.ledger.rollup_id, 2, signed.receipt, chain_id=31337, inbox=bytes(20)
    )
    other = replace(signed, receipt=replace(signed.receipt, reason="x"))
    bad: list[tuple[Challenge, str]] = [
        (replace(made, found=None), "is missing"),
        (replace(made, headers=made.headers[1:]), "does not hold seq 3"),
        (replace(made, headers=(made.headers[0], made.headers[2])), "does not follow"),
        (replace(made, headers=made.headers[::-1]), "does not follow"),
        (replace(made, found=replace(found, record=found.record + b"\0")), "not"),
        (replace(made, found=replace(found, receipt=challenge(chain, acknowledge(chain, 2)).found.receipt)), "not"),  # type: ignore[union-attr]
        (replace(made, found=replace(found, record_path=prove_item([b"a", b"b"], 0))), "is of index 0"),
        (replace(made, acknowledgement=replace(signed, signature=bytes(65))), "not valid"),
        (replace(made, acknowledgement=other), "another receipt"),
    ]
    for evidence, reason in bad:
        with pytest.raises(ProofError, match=reason):
            judge_again(evidence, known_of(chain))
    with pytest.raises(WrongBlock):
        judge(replace(made, headers=made.headers[:-1]), known_of(chain))
    with pytest.raises(WrongOperator):
        judge(replace(made, acknowledgement=stranger), known_of(chain))
    with pytest.raises(ForeignRollup):
        judge(made, KnownFacts(rollup_id=bytes(32)))


def test_hostile_bytes(chain: Chain) -> None:
    """Changed bytes give errors of evidence, and never a verdict against somebody who signed nothing wrong."""
    rng = random.Random(17)
    honest = [challenge(chain, acknowledge(chain, seq)) for seq in (0, 3, 7)]
    for _ in range(3_000):
        raw = mutate(rng, encode_evidence(rng.choice(honest)))
        try:
            verdict = judge(decode_evidence(raw), known_of(chain))
        except (DecodeError, ProofError, WrongOperator, ForeignRollup):
            continue
        assert not verdict.convicts
