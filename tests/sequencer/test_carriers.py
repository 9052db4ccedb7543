"""Carriers in a sequenced rollup: entries of the inbox's queue that bring many signed actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain, list_replay_differences, make_key, make_steps, read_receipts
from microrollup.chain.carrier import decode_bitmap, decode_carrier, encode_carrier
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, REJECTED
from microrollup.chain.record import Forced, Open
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.declaration.context import Context
from microrollup.deployment.exporting import export_actions
from microrollup.errors import Divergence, DuplicateAction, StoreCorrupt
from microrollup.execution import budget
from microrollup.execution.authentication import Authenticated
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import decode_forced, is_forced_record, make_forced_entry
from microrollup.execution.payload import encode_carried_payload
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.scrub import scrub_store
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, decode_batch, encode_batch
from microrollup.settlement.forced import compute_forced_id
from microrollup.store.tables import get_block_records, get_block_row
from microrollup.testing.passkey import Passkey
from microrollup.verifier.derive import derive_blocks
from zoo import MISCHIEF, Misbehave, Zoo, zoo

ALICE, CAROL = (compute_address(make_key(name)) for name in ("alice", "carol"))
TICKET = make_steps(("set_ticket", 5, 50))


def carry(chain: Chain, *records: Authenticated | bytes, carrier: str = "carol") -> int:
    """Put records into the queue in one carrier; its place there."""
    raw = [record if isinstance(record, bytes) else record.record for record in records]
    return chain.force(encode_carrier(raw), carrier)


def read_records(chain: Chain, height: int) -> tuple[bytes, ...]:
    """The records of all entries of a block."""
    environment = chain.ledger.environment
    row = get_block_row(environment.reader, environment.tables, height)
    assert row is not None
    return get_block_records(environment.reader, environment.tables, chain.ledger.rollup_id, row)


def read_marks(chain: Chain, height: int) -> list[tuple[bool, ...]]:
    """What each carrier of a block says it took."""
    found = []
    for record, receipt in zip(read_records(chain, height), read_receipts(chain.ledger, height), strict=True):
        if is_forced_record(record):
            found.append(decode_bitmap(receipt, len(decode_carrier(decode_forced(record).payload))))
    return found


def settle(chain: Chain) -> bytes:
    """Settle all closed blocks as one batch, by a quorum that does not look; the batch."""
    head, blocks = chain.l1.get_settled(), chain.get_blocks(chain.l1.get_settled().height + 1)
    batch = encode_batch(chain.ledger.rollup_id, blocks)
    attestation = create_attestation(head.block_hash, head.height + 1, blocks[-1].header, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEY, attestation, 31337, chain.l1.get_inbox())
    chain.l1.settle(batch, blocks[-1].header, [signed], submitter=BUILDER)
    return batch


def check_agreement(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """A verifier, a derived and a replay end where the sequencer does."""
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    settle(chain)
    derived = chain.make_verifier("derived")
    with AuthenticationPool("zoo:zoo", chain.genesis.domain, 0) as pool:
        derive_blocks(derived, chain.l1, pool)
        assert chain.ledger.header == derived.header
        derived.abandon()
    assert [] == list_replay_differences(chain.ledger, "zoo:zoo", tmp_path / "replay")


def test_what_it_brings_follows_it(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """Own receipt with the bitmap, then each taken action with a seq, a receipt and an item of its own.

    The STF sees signer and carrier. The batch holds the carrier alone. A submitted copy is a duplicate.
    """
    seen: list[tuple[bytes, str, bool, bytes]] = []

    def look(state: Zoo, ctx: Context) -> Zoo:
        seen.append((ctx.sender, ctx.origin, ctx.forced, ctx.l1_sender))
        return state

    MISCHIEF["look"] = look
    first, second = chain.signer.sign(Misbehave("look")), chain.signer.sign(TICKET)
    other = chain.signer.sign(TICKET, "bob")
    index = carry(chain, first, second, other)
    chain.force(TICKET, "dave")
    outcome = chain.edit(("count", 0, 1), name="erin")
    chain.close_block()
    assert [(ALICE, "signed", True, CAROL)] == seen
    receipts = read_receipts(chain.ledger, 1)
    carrier = receipts[0]
    assert (compute_forced_id(chain.ledger.rollup_id, index), EXECUTED) == (carrier.action_hash, carrier.status)
    assert (("carried", b"\x07"),) == carrier.events
    assert [first.action_hash, second.action_hash, other.action_hash] == [each.action_hash for each in receipts[1:4]]
    assert [0, 1, 2, 3, 4, 5] == [receipt.seq for receipt in receipts]
    assert 5 == outcome.receipt.seq
    assert (6, 2) == (chain.ledger.header.action_count, chain.ledger.header.forced_count)
    assert [1, 2, 3] == [chain.sequencer.known.find(each.action_hash) for each in (first, second, other)]
    (again,) = chain.submit(second)
    assert isinstance(again, DuplicateAction)
    assert (first.record, second.record, other.record) == read_records(chain, 1)[1:4]
    check_agreement(chain, verifier, tmp_path)
    settled = chain.l1.get_settled_at(1)
    assert settled is not None
    (block,) = decode_batch(settled.batch).blocks
    assert 3 == len(block.records)


def test_one_pass_in_order(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """Each record is judged after the one before was executed: a second nonce follows the first, not the other way."""
    one, two, three = (chain.signer.sign(TICKET) for _ in range(3))
    carry(chain, two, one, three, two, one, three)
    chain.sequencer.poll()
    assert [(False, True, False, True, False, True)] == read_marks(chain, 1)
    carry(chain, one, two, three)  # all of them are in the log already
    chain.sequencer.poll()
    assert [(False, False, False)] == read_marks(chain, 2)
    assert 1 == chain.ledger.header.action_count
    check_agreement(chain, verifier, tmp_path)


def test_unlawful_records_between_good_ones(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """Whatever is no authentic signed action is skipped: nested carriers, envelopes, the queue's, damaged ones."""
    good = [chain.signer.sign(TICKET) for _ in range(3)]
    raw = good[1].record
    bad = [
        msgspec.msgpack.encode(encode_carrier([raw])),
        msgspec.msgpack.encode(encode_carried_payload(raw)),
        msgspec.msgpack.encode(["forced", 0, bytes(20), 1, encode_carrier([raw]), False]),
        msgspec.msgpack.encode(["envelope", "ticket", bytes(40)]),
        msgspec.msgpack.encode(["block"]),
        msgspec.msgpack.encode(["rebuild", 1]),
        msgspec.msgpack.encode(["upgrade", bytes(32), bytes(32)]),
        msgspec.msgpack.encode(["Nothing", [], 0, bytes(65)]),
        msgspec.msgpack.encode([raw]),
        raw[:-1] + bytes((5,)),  # the recovery id that the log does not store
        raw.replace(b"\x05\x32", b"\x05\x33"),  # somebody else's, whose nonce is not 1
        b"\xc0",
        b"\x01",
        b"\x90",
    ]
    records = [good[0].record, *bad, good[1].record, *bad, good[2].record]
    carry(chain, *records)
    chain.edit(("count", 0, 1), name="dave")
    chain.close_block()
    assert [tuple(record in {each.record for each in good} for record in records)] == read_marks(chain, 1)
    assert 3 == chain.ledger.state.nonces[ALICE]
    check_agreement(chain, verifier, tmp_path)


def test_what_is_no_carrier(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """Not canonical or too long: status 3 and nothing taken. Voided by the owner: status 4. Empty: status 0."""
    action = chain.signer.sign(TICKET)
    good = encode_carrier([action.record])
    chain.force(good + b"\x00", "carol")
    chain.force(b"\x03\xdc\x00\x01" + action.record, "carol")
    chain.force(b"\x03\x92" + action.record + b"\xc5\x13\x89" + bytes(5_001), "carol")
    chain.force(b"\x03\x90", "carol")
    chain.sequencer.poll()
    receipts = read_receipts(chain.ledger, 1)
    assert [INVALID_FORCED] * 3 + [EXECUTED] == [receipt.status for receipt in receipts]
    assert (("carried", b""),) == receipts[3].events
    assert chain.ledger.state.nonces.get(ALICE) is None
    check_agreement(chain, verifier, tmp_path)


def test_outcomes_are_their_own(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """Rejected and faulted ones are taken, with their nonce: they run metered, so a limit is a fault."""
    MISCHIEF["fault"] = lambda state, ctx: 1 // 0
    actions = [TICKET.__class__([], reject=True), Misbehave("fault"), TICKET]
    carry(chain, *[chain.signer.sign(action) for action in actions])
    chain.sequencer.poll()
    assert [EXECUTED, REJECTED, FAULTED, EXECUTED] == [receipt.status for receipt in read_receipts(chain.ledger, 1)]
    assert 3 == chain.ledger.state.nonces[ALICE]
    check_agreement(chain, verifier, tmp_path)


def test_a_passkey_past_a_closed_intake(chain: Chain, verifier: Ledger, tmp_path: Path) -> None:
    """The operator takes nothing; a stranger's transaction brings the action of a passkey, whose owner has no ether."""
    domain = chain.genesis.domain
    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    passkey, action_type = Passkey(b"\x05" * 32), zoo.action_types.by_name["Edit"]
    signature = passkey.sign(compile_digest(action_type.type, separator)(TICKET, 0))
    chain.l1.force(encode_carrier([action_type.encode_record(TICKET, 0, signature)]), sender=CAROL)
    chain.advance(2)
    # no `submit` at all: what the operator builds, it has to begin with the queue
    chain.sequencer.poll()
    assert [(True,)] == read_marks(chain, 1)
    assert 50 == chain.ledger.state.app.tickets[5]  # type: ignore[attr-defined]
    assert (1, None) == (chain.ledger.state.nonces[passkey.sender], chain.ledger.state.nonces.get(CAROL))
    check_agreement(chain, verifier, tmp_path)


LIMITS = {"MAX_BLOCK_CHANGED_ROWS": 64, "MAX_BLOCK_CHANGED_BYTES": 64, "MAX_BLOCK_STEPS": 64}


def measure(chain: Chain, actions: Sequence[Authenticated]) -> list[budget.Usage]:
    """What a block uses of its budget after each of these actions, in a carrier."""
    probe = chain.make_verifier("probe")
    used = []
    try:
        for count in range(1, len(actions) + 1):
            probe.abandon()
            probe = chain.make_verifier(f"probe {count}")
            opened = probe.begin(Open(1, 10**6, 1, zoo.stf_id))
            payload = encode_carrier([action.record for action in actions[:count]])
            forced = Forced(0, CAROL, 1, payload, voided=False)
            probe.execute([make_forced_entry(zoo, probe.rollup_id, forced, probe.authenticator)])
            used.append(opened.context.usage)
    finally:
        probe.abandon()
    return used


@pytest.mark.parametrize("part", [0, 1, 2], ids=["rows", "bytes", "steps"])
@pytest.mark.parametrize("short", [0, 1])
def test_its_share(
    chain: Chain, verifier: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, short: int
) -> None:
    """At the very limit of rows, bytes and steps two actions are taken; with one less the second and the third, though
    it would fit, are skipped.
    """
    big = make_steps(*[("set_ticket", key, 50) for key in range(10)])
    actions = [chain.signer.sign(TICKET), chain.signer.sign(big), chain.signer.sign(TICKET, "bob")]
    exact = measure(chain, actions[:2])[1][part]
    name = list(LIMITS)[part]
    monkeypatch.setattr(budget, name, (exact - short) * 64 + 63)
    carry(chain, *actions)
    chain.sequencer.poll()
    assert [(True, not short, False)] == read_marks(chain, 1)
    check_agreement(chain, verifier, tmp_path)


def test_a_carrier_without_its_share_opens_the_next_block(
    chain: Chain, verifier: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before cannot take a carrier's share: the block is cut before it, as verifiers know."""
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 128)
    monkeypatch.setattr(budget, "MAX_ENTRY_CHANGED_ROWS", 128)
    for first, last in ((0, 63), (63, 127)):
        chain.force(make_steps(*[("set_ticket", key, 50) for key in range(first, last)]), "dave")
    carry(chain, chain.signer.sign(TICKET))
    chain.submit(chain.signer.sign(TICKET, "bob"))
    chain.close_block()
    assert [2, 3] == [block.header.forced_count for block in chain.get_blocks()][:2]
    blocks = chain.get_blocks()
    chain.verify(verifier, blocks[:1])
    with pytest.raises(Divergence):  # a block that leaves it although there is room
        chain.verify(verifier, [msgspec.structs.replace(blocks[1], records=blocks[1].records[1:])])


def write_history(chain: Chain) -> list[Authenticated]:
    """Blocks with carriers and without, two rebuilds, and an open block that begins with a carrier."""
    actions = [chain.signer.sign(TICKET, name) for name in ("alice", "bob", "alice", "bob", "alice")]
    carry(chain, actions[0], actions[3])
    chain.submit(actions[1])
    chain.close_block()
    chain.sequencer.rebuild(1)
    carry(chain, actions[0], actions[2], actions[0])
    carry(chain)
    chain.submit(actions[3])
    chain.close_block()
    chain.sequencer.rebuild(2)
    carry(chain, actions[4])
    chain.edit(("count", 0, 1), name="dave")
    return actions


@pytest.mark.parametrize("crash", [False, True])
def test_stores_agree(chain: Chain, tmp_path: Path, crash: bool) -> None:
    """Replay, restarts, crashes and rebuilds give the same store, index included; scrub finds nothing wrong with it."""
    actions = write_history(chain)
    chain.reopen(abandon=crash)
    places = [1, 2, 4, 6, 8]
    assert places == [chain.sequencer.known.find(action.action_hash) for action in actions]
    assert [] == list_replay_differences(chain.ledger, "zoo:zoo", tmp_path / "replay")
    chain.close_block()
    assert places == [chain.sequencer.known.find(action.action_hash) for action in actions]
    chain.ledger.close()
    assert [] == scrub_store(tmp_path / "builder", "zoo:zoo").damages
    out = tmp_path / "actions.jsonl"
    assert 6 == export_actions(tmp_path / "builder", zoo, out)
    chain.ledger = Ledger.open(tmp_path / "builder", zoo)


def test_a_log_that_says_otherwise(chain: Chain, tmp_path: Path) -> None:
    """A log in which other records follow a carrier than it brings is found when it is executed again."""
    carry(chain, chain.signer.sign(TICKET), chain.signer.sign(TICKET))
    chain.edit(("count", 0, 1), name="dave")
    block = chain.ledger.block
    assert block is not None
    with pytest.raises(StoreCorrupt, match="than its carriers bring"):
        records = [*block.records[:2], block.records[3]]
        probe = chain.make_verifier("probe")
        opened = probe.begin(block.open)
        probe._execute_logged(opened, records)
    probe.abandon()


def test_a_builder_that_lies(chain: Chain, verifier: Ledger) -> None:
    """A block that holds what its carrier brings once more, or less than it brings, is wrong."""
    action = chain.signer.sign(TICKET)
    carry(chain, action, chain.signer.sign(TICKET))
    chain.sequencer.poll()
    (block,) = chain.get_blocks()
    assert 1 == len(block.records)
    header = msgspec.structs.replace(block.header, action_count=2)
    for wrong in (
        msgspec.structs.replace(block, records=(*block.records, action.record)),
        msgspec.structs.replace(block, header=header),
    ):
        liar = chain.make_verifier(f"of {len(wrong.records)}")
        with pytest.raises(Divergence):
            chain.verify(liar, [wrong])
        liar.abandon()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
