"""Envelopes of an app's own: from sequencer and queue to verifier, derivation, replay and snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

import tickets
from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain, list_replay_differences, read_receipts, seal
from microrollup.chain.block import Block, compute_block_hash
from microrollup.chain.envelope_record import compute_envelope_id, decode_envelope_record, encode_envelope_record
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, REJECTED
from microrollup.chain.record import Forced
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.deployment.exporting import export_actions
from microrollup.errors import (
    BadEnvelope,
    DecodeError,
    Divergence,
    DuplicateAction,
    EnvelopeFaulted,
    EnvelopeRejected,
    LimitExceeded,
    UnknownEnvelope,
)
from microrollup.execution.authentication import Authentication
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import make_entry, make_forced_entry
from microrollup.execution.envelope import Enveloped
from microrollup.execution.payload import encode_envelope_payload, encode_forced_payload
from microrollup.ledger.ledger import Ledger
from microrollup.limits import BLOCK_SECONDS, VERIFIER_FACTOR
from microrollup.maintenance.history_diff import diff_history
from microrollup.maintenance.scrub import scrub_store
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.node.lookups import Lookups
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.settlement.forced import compute_forced_id
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import authenticate_blocks
from microrollup.verifier.verify import verify_block
from ticket_keys import Purse
from tickets import Fill, Redeem

NAME = "p256-ticket"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, tickets.app)
    yield made
    made.close()


@pytest.fixture
def purse(chain: Chain) -> Purse:
    """A purse with 100 in it, given in the first block."""
    made = Purse()
    chain.submit(chain.signer.sign(Fill(made.id, 100)))
    chain.close_block()
    return made


def open_ticket(chain: Chain, raw: bytes) -> Enveloped:
    return chain.ledger.authenticator.open_envelope(NAME, raw)


def hand_in(chain: Chain, *raws: bytes) -> list[object]:
    """What becomes of tickets."""
    return [*chain.submit(*[open_ticket(chain, raw) for raw in raws])]


def identify(chain: Chain, raw: bytes) -> bytes:
    return compute_envelope_id(chain.ledger.rollup_id, NAME, open_ticket(chain, raw).hash)


def force(chain: Chain, raw: bytes) -> int:
    return chain.force(encode_envelope_payload(NAME, raw), "carol")


def get_balance(ledger: Ledger) -> int:
    state = ledger.state.app
    assert isinstance(state, tickets.Tickets)
    return state.balances.get(bytes(19) + b"\1", 0)


def test_it_is_logged_and_executes(chain: Chain, purse: Purse) -> None:
    """The record is the envelope, whole; the identity is its own; nobody's nonce moves."""
    raw = purse.sign(7)
    (outcome,) = hand_in(chain, raw)
    assert isinstance(outcome, Sequenced)
    digest = tickets.digest_ticket(Redeem(purse.id, 0, bytes(19) + b"\1", 7, 0))
    identity = keccak256(b"envelope" + chain.ledger.rollup_id + keccak256(NAME.encode()) + digest)
    assert (EXECUTED, identity) == (outcome.receipt.status, outcome.receipt.action_hash)
    chain.close_block()
    (record,) = chain.get_blocks(2)[0].records
    assert encode_envelope_record(NAME, raw) == record
    assert (NAME, raw) == msgspec.structs.astuple(decode_envelope_record(record))
    assert 7 == get_balance(chain.ledger)
    assert [0, 1] == [len(chain.ledger.state.nonces.get(bytes(20), 0) * b""), len(chain.ledger.state.nonces)]
    with chain.make_verifier() as verifier:
        chain.verify(verifier)
        assert chain.ledger.header == verifier.header


def test_what_does_not_execute_is_refused(chain: Chain, purse: Purse) -> None:
    """Nothing of it is logged; those before and after it are, in one group."""
    good, late, more = (purse.sign() for _ in range(3))
    early = purse.sign(number=9)
    faulty, dear = purse.sign(number=1, mood=2), purse.sign(1_000, number=1)
    outcomes = hand_in(chain, good, early, faulty, late, dear, more)
    assert [Sequenced, EnvelopeRejected, EnvelopeFaulted, Sequenced, EnvelopeRejected, Sequenced] == [
        type(each) for each in outcomes
    ]
    assert "not the next ticket" in str(outcomes[1])
    chain.close_block()
    assert 3 == chain.ledger.header.action_count
    assert [] == [type(each) for each in hand_in(chain, early) if not isinstance(each, EnvelopeRejected)]
    assert chain.sequencer.close_block() is None  # the block that was opened for it is empty


@pytest.mark.parametrize("between", ["nothing", "a block", "a crash"])
def test_a_duplicate(chain: Chain, purse: Purse, between: str) -> None:
    """The same ticket again is a duplicate, in the same group, block, and after a restart."""
    raw = purse.sign()
    again = raw[:-32] + (tickets_order() - int.from_bytes(raw[-32:], "big")).to_bytes(32, "big")
    first, *others = hand_in(chain, raw, raw, again)
    assert isinstance(first, Sequenced)
    if between == "a block":
        chain.close_block()
    elif between == "a crash":
        chain.reopen(abandon=True)
    for outcome in (*others, *hand_in(chain, raw), *hand_in(chain, again)):
        assert isinstance(outcome, DuplicateAction)
        assert 1 == outcome.seq
    assert isinstance(hand_in(chain, purse.sign())[0], Sequenced)


def tickets_order() -> int:
    """The order of P-256."""
    return 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_what_does_not_open(chain: Chain, purse: Purse) -> None:
    """Other lengths, altered bytes, other keys, an endless loop, another name."""
    raw = purse.sign()
    for bad in (b"", raw[:-1], raw + b"\0", bytes(16_001), purse.sign(mood=9), Purse("other").key + raw[64:]):
        with pytest.raises(BadEnvelope):
            open_ticket(chain, bad)
    for place in range(0, len(raw), 7):
        with pytest.raises(BadEnvelope):
            open_ticket(chain, raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :])
    with pytest.raises(UnknownEnvelope):
        chain.ledger.authenticator.open_envelope("signed", raw)
    with pytest.raises(BadEnvelope, match="limit of steps") as caught:
        open_ticket(chain, purse.sign(mood=9))
    assert 0 < caught.value.seconds < 5


def test_forced(chain: Chain, purse: Purse) -> None:
    """Payload 0x02: the STF sees the envelope's name and who carried it; both identities are known."""
    raw = purse.sign(3)
    index = force(chain, raw)
    chain.sequencer.poll()
    (receipt,) = read_receipts(chain.ledger, 2)
    assert (EXECUTED, compute_forced_id(chain.ledger.rollup_id, index)) == (receipt.status, receipt.action_hash)
    event = msgspec.msgpack.decode(receipt.events[0][1], type=tuple[bytes, int, int])
    assert (purse.id, 3, 1) == event
    assert 1 == chain.sequencer.known.find(identify(chain, raw)) == chain.sequencer.known.find(receipt.action_hash)
    (outcome,) = hand_in(chain, raw)
    assert isinstance(outcome, DuplicateAction)


def test_forced_in_vain(chain: Chain, purse: Purse) -> None:
    """What does not open is status 3; what is rejected or faults is valid, and may still come as it is."""
    good = purse.sign(3)
    payload = encode_envelope_payload(NAME, good)
    later = purse.sign(4)
    for each in (
        payload[:-1],
        payload + b"\0",
        b"\2",
        b"\2\0",
        b"\2\xff" + payload[2:],
        b"\2\5other" + good,
        b"\2\6signed" + good,
        b"\2\2\xc3\xa9" + good,
        b"\1" + encode_envelope_record(NAME, good),
        encode_envelope_payload(NAME, purse.sign(number=0, mood=9)),
        encode_envelope_payload(NAME, later),
        encode_envelope_payload(NAME, purse.sign(number=0, mood=2)),
        payload,
        encode_envelope_payload(NAME, later),
    ):
        chain.force(each, "carol")
    chain.sequencer.poll()
    statuses = [receipt.status for receipt in read_receipts(chain.ledger, 2)]
    assert [INVALID_FORCED] * 10 + [REJECTED, FAULTED, EXECUTED, EXECUTED] == statuses
    assert [13, 14] == [chain.sequencer.known.find(identify(chain, raw)) for raw in (good, later)]
    with chain.make_verifier() as verifier:
        chain.verify(verifier)
        assert chain.ledger.header == verifier.header


def test_its_action_comes_no_other_way(chain: Chain, purse: Purse) -> None:
    """It cannot be signed, nor forced as an own action: neither is encoded, and handmade bytes are not taken."""
    action = Redeem(purse.id, 0, bytes(20), 1, 0)
    assert ["Fill"] == list(tickets.app.action_types.by_name)
    with pytest.raises(DecodeError):
        encode_forced_payload(tickets.app, action)
    redeem = tickets.app.envelopes[NAME].by_class[Redeem]
    chain.force(b"\0" + redeem.encode_arguments(action), "carol")
    chain.force(b"\1" + redeem.encode_record(action, 0, bytes(64) + b"\1"), "carol")
    chain.sequencer.poll()
    assert [INVALID_FORCED] * 2 == [receipt.status for receipt in read_receipts(chain.ledger, 2)]
    with pytest.raises(DecodeError):
        chain.ledger.authenticator.authenticate_record(redeem.encode_record(action, 0, bytes(64) + b"\1"))


def take_anyway(chain: Chain, *raws: bytes) -> None:
    """A block with tickets that the sequencer would refuse, as a careless builder makes it."""
    chain.submit(chain.signer.sign(Fill(bytes(32), 1), "dora"))
    entries = [make_entry(tickets.app, chain.ledger.rollup_id, open_ticket(chain, raw)) for raw in raws]
    chain.ledger.execute(entries)
    chain.close_block()


def test_a_block_may_hold_what_did_not_execute(chain: Chain, purse: Purse, tmp_path: Path) -> None:
    """It is valid with its receipt, as after a rebuild; it is no duplicate, and the same ticket executes later."""
    first, second, third = purse.sign(3), purse.sign(4), purse.sign(5)
    take_anyway(chain, second, purse.sign(number=0, mood=2), third)
    assert [EXECUTED, REJECTED, FAULTED, REJECTED] == [receipt.status for receipt in read_receipts(chain.ledger, 2)]
    outcomes = hand_in(chain, first, second)
    assert [5, 6] == [outcome.receipt.seq for outcome in outcomes if isinstance(outcome, Sequenced)]
    chain.close_block()
    force(chain, third)
    chain.close_block(allow_empty=True)
    header = chain.ledger.header
    lookups = Lookups(chain.ledger, lambda: None)
    statuses = [(2, REJECTED), (3, FAULTED), (4, REJECTED), (6, EXECUTED), (7, EXECUTED)]
    assert statuses == [(seq, lookups.get_action(seq).receipt.status) for seq, _ in statuses]
    assert [2, 2, 2, 3, 4] == [lookups.get_action(seq).height for seq, _ in statuses]
    assert [6, 7] == [lookups.find_action(identify(chain, raw)).seq for raw in (second, third)]
    with chain.make_verifier() as verifier:
        chain.verify(verifier)
        assert header == verifier.header
    chain.sequencer.rebuild(2)
    assert msgspec.structs.replace(header, parent_hash=b"") == msgspec.structs.replace(
        chain.ledger.header, parent_hash=b""
    )
    assert [6, 7] == [chain.sequencer.known.find(identify(chain, raw)) for raw in (second, third)]
    check_stores(chain, tmp_path)


@pytest.mark.parametrize("forced", [True, False])
def test_what_has_executed_keeps_its_identity(chain: Chain, purse: Purse, tmp_path: Path, forced: bool) -> None:
    """A careless builder's block has the ticket once more, rejected: it stays a duplicate, at the place where it has
    executed, also once the later block is taken back.
    """
    raw = purse.sign(3)
    if forced:
        force(chain, raw)
        other = raw[:-32] + (tickets_order() - int.from_bytes(raw[-32:], "big")).to_bytes(32, "big")
        (refused,) = hand_in(chain, other)  # at once, with another signature
        assert isinstance(refused, DuplicateAction)
    else:
        hand_in(chain, raw)
    chain.close_block()
    take_anyway(chain, raw, purse.sign(1, number=7))
    assert [EXECUTED, REJECTED, REJECTED] == [receipt.status for receipt in read_receipts(chain.ledger, 3)]
    for again in range(2):
        if again:
            chain.sequencer.rebuild(3)
        (refused,) = hand_in(chain, raw)
        assert isinstance(refused, DuplicateAction)
        assert 1 == refused.seq == chain.sequencer.known.find(identify(chain, raw))
    assert chain.sequencer.known.find(identify(chain, purse.sign(1, number=7))) is None
    check_stores(chain, tmp_path)


def test_a_wrong_status(chain: Chain, purse: Purse) -> None:
    """A block that says of a rejected ticket that it executed differs, by the name of the word that says so."""
    take_anyway(chain, purse.sign(number=5))
    block = chain.get_blocks(2)[0]
    told = [
        msgspec.msgpack.encode(msgspec.structs.replace(receipt, status=EXECUTED, reason=""))
        for receipt in read_receipts(chain.ledger, 2)
    ]
    header = msgspec.structs.replace(block.header, receipts_root=compute_items_root(told))
    lie = Block(header, block.open, block.records, seal(header))
    with chain.make_verifier() as verifier:
        chain.verify(verifier, chain.get_blocks()[:1])
        with pytest.raises(Divergence) as caught:
            chain.verify(verifier, [lie])
    assert ("receipts_root", 2) == (caught.value.field, caught.value.height)


def test_a_block_with_what_does_not_open(chain: Chain, purse: Purse) -> None:
    """It differs at that entry; so does a record that is not canonical, and one of another rollup's envelope."""
    hand_in(chain, purse.sign())
    chain.close_block()
    block = chain.get_blocks(2)[0]
    (record,) = block.records
    with chain.make_verifier() as verifier:
        chain.verify(verifier, chain.get_blocks()[:1])
        chain_of = {
            "envelope": (record[:-1] + bytes((record[-1] ^ 1,)), encode_envelope_record("other", bytes(165))),
            "record": (record[:13] + b"\xc5" + record[13:], record + b"\0"),
        }
        for field, records in chain_of.items():
            for each in records:
                with pytest.raises(Divergence) as caught:
                    chain.verify(verifier, [Block(block.header, block.open, (each,), block.seal)])
                assert (field, 1) == (caught.value.field, caught.value.seq)


class CountingPool(AuthenticationPool):
    """Counts the outcomes that it has given."""

    given = 0

    def authenticate_records(self, chunks: Iterable[Sequence[bytes]]) -> Iterator[list[Authentication]]:
        """As it does."""
        for outcomes in super().authenticate_records(chunks):
            self.given += len(outcomes)
            yield outcomes


@pytest.mark.parametrize("opens", [True, False])
def test_opening_counts_against_the_time_of_a_block(chain: Chain, purse: Purse, opens: bool) -> None:
    """A verifier whose time for a block goes by in opening its envelopes stops before it has opened all, and says so
    without a verdict; the block before it is verified, which has none.
    """
    raws = [purse.sign(number=number)[: -1 if not opens else None] for number in range(80)]
    hand_in(chain, purse.sign())
    chain.close_block()
    first, block = chain.get_blocks()
    long = Block(block.header, block.open, tuple(encode_envelope_record(NAME, raw) for raw in raws), block.seal)
    with (
        CountingPool("tickets", chain.genesis.domain, 0) as pool,
        pytest.raises(LimitExceeded, match="opening the envelopes of block 2 takes longer than 0 s"),
    ):
        for each, outcomes in authenticate_blocks([first, long], pool, 0.0):
            assert (first, 1) == (each, len(outcomes))
    assert 25 == pool.given
    with CountingPool("tickets", chain.genesis.domain, 0) as pool:
        assert [1, 80] == [len(outcomes) for _, outcomes in authenticate_blocks([first, long], pool)]


def test_what_opening_took_is_no_time_to_execute(chain: Chain, purse: Purse) -> None:
    """It counts wherever it was: a block whose envelopes took five minutes has none left."""
    raw = purse.sign()
    hand_in(chain, raw)
    chain.close_block()
    first, block = chain.get_blocks()
    opened = msgspec.structs.replace(open_ticket(chain, raw), seconds=BLOCK_SECONDS * VERIFIER_FACTOR + 1)
    late = chain.make_verifier("late")
    chain.verify(late, [first])
    with pytest.raises(LimitExceeded, match="to open and execute"):
        verify_block(late, block, None, [opened])
    late.abandon()
    opened = msgspec.structs.replace(opened, seconds=BLOCK_SECONDS)
    with chain.make_verifier() as verifier:
        chain.verify(verifier, [first])
        assert block.header == verify_block(verifier, block, None, [opened])


def test_a_block_closes_when_its_envelopes_took_long_to_open(chain: Chain, purse: Purse) -> None:
    """So that verifiers, which open them too, have time for what the sequencer makes."""
    slow = [msgspec.structs.replace(open_ticket(chain, purse.sign(number=each)), seconds=13.0) for each in range(4)]
    assert all(isinstance(outcome, Sequenced) for _, outcome in chain.sequencer.submit(enumerate(slow)))
    assert 2 == chain.ledger.checkpoint.height
    assert 3 == len(chain.get_blocks(2)[0].records)


def work(chain: Chain, purse: Purse) -> None:
    """Blocks with signed actions, tickets that were handed in, forced, forced in vain, and an open block."""
    tickets_made = [purse.sign(number) for number in range(1, 7)]
    chain.submit(chain.signer.sign(Fill(purse.id, 5)), open_ticket(chain, tickets_made[0]))
    hand_in(chain, tickets_made[1])
    chain.close_block()
    force(chain, tickets_made[2])
    force(chain, tickets_made[2])
    force(chain, purse.sign(number=0)[:-1] + b"x")
    chain.submit(open_ticket(chain, tickets_made[3]), chain.signer.sign(Fill(purse.id, 5), "bob"))
    chain.close_block()
    chain.advance()
    hand_in(chain, tickets_made[4])
    chain.close_block()


def settle(chain: Chain) -> None:
    blocks = chain.get_blocks(chain.l1.get_settled().height + 1)
    batch = encode_batch(chain.ledger.rollup_id, blocks)
    head, last = chain.l1.get_settled(), blocks[-1].header
    attestation = create_attestation(head.block_hash, head.height + 1, last, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEY, attestation, 31337, chain.l1.get_inbox())
    chain.l1.settle(batch, last, [signed], submitter=BUILDER)


def check_stores(chain: Chain, directory: Path) -> None:
    """A replay gives the same store; the history executed again has no differences; scrub finds nothing."""
    assert [] == list_replay_differences(chain.ledger, "tickets", directory / "replayed")
    with AuthenticationPool("tickets", chain.genesis.domain, 0) as pool:
        diff = diff_history(chain.ledger.environment, tickets.app, pool, limit=10)
        assert (0, True) == (diff.differing, "Redeem" in diff.types)
    with closed(chain) as store:
        assert [] == scrub_store(store, "tickets").damages


@contextmanager
def closed(chain: Chain) -> Iterator[Path]:
    """The builder's store while nobody has it open."""
    chain.sequencer.close()
    chain.ledger.close()
    yield chain.root / "builder"
    chain.ledger = Ledger.open(chain.root / "builder", tickets.app, map_size=1 << 30)
    chain.sequencer = chain.make_sequencer()


def test_everybody_comes_to_the_same(chain: Chain, purse: Purse, tmp_path: Path) -> None:
    """Verifiers with and without L1, a derivation from L1 alone, replay, scrub, a restored snapshot, an export."""
    work(chain, purse)
    settle(chain)
    header = chain.ledger.header
    for name, l1 in (("with", True), ("without", False)):
        with chain.make_verifier(name) as verifier:
            chain.verify(verifier, l1=l1)
            assert header == verifier.header
    with (
        AuthenticationPool("tickets", chain.genesis.domain, 1) as pool,
        chain.make_verifier("derived") as derived,
    ):
        derive_blocks(derived, chain.l1, pool)
        assert header == derived.header
        assert read_receipts(chain.ledger, 3) == read_receipts(derived, 3)
    check_stores(chain, tmp_path)
    write_snapshot(chain.ledger.environment, tickets.app, tmp_path / "snapshot")
    with restore_snapshot(
        tmp_path / "snapshot",
        tmp_path / "restored",
        tickets.app,
        expected_block_hash=compute_block_hash(header),
        map_size=1 << 30,
    ) as restored:
        hand_in(chain, purse.sign(6, number=5))
        chain.close_block()
        chain.verify(restored)
        assert chain.ledger.header == restored.header
    out = tmp_path / "actions.jsonl"
    with closed(chain) as store:
        assert 9 == export_actions(store, tickets.app, out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert 6 == len([line for line in lines if line.get("envelope") == NAME])


def test_rebuild_and_restart(chain: Chain, purse: Purse, tmp_path: Path) -> None:
    """Blocks that are executed again are the same; what is open survives a crash."""
    work(chain, purse)
    records = [block.records for block in chain.get_blocks()]
    chain.sequencer.rebuild(2)
    assert records == [block.records for block in chain.get_blocks()]
    raw = purse.sign(6, number=5)
    hand_in(chain, raw)
    balance = get_balance(chain.ledger)
    chain.reopen(abandon=True)
    assert balance == get_balance(chain.ledger) == 21
    assert isinstance(hand_in(chain, raw)[0], DuplicateAction)
    chain.close_block()
    check_stores(chain, tmp_path)


def test_a_voided_one(chain: Chain, purse: Purse) -> None:
    """It is not opened."""
    payload = encode_envelope_payload(NAME, purse.sign())
    forced = Forced(0, bytes(20), 1, payload, voided=True)
    entry = make_forced_entry(tickets.app, chain.ledger.rollup_id, forced, chain.ledger.authenticator)
    assert (4, None, "l1") == (entry.status, entry.action, entry.origin)
