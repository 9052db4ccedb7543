"""A based rollup's blocks follow from L1 alone: the same for everybody, through reorgs, silence and full queues."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

import alarms
import burners
import tickets
from based_world import BasedWorld, Call, follow, list_headers
from kernel_fixtures import OWNER, make_key, make_random_edit, make_steps
from microrollup import Action
from microrollup.based.block import require_based
from microrollup.chain.block import EMPTY_SEAL
from microrollup.chain.carrier import encode_carrier
from microrollup.chain.receipt import FAULTED, Receipt
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import BadEnvelope, UsageError
from microrollup.execution import budget
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.execution.payload import encode_carried_payload, encode_envelope_payload
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_FORCED_PER_BLOCK
from microrollup.settlement.errors import Based
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.store.tables import get_receipt
from ticket_keys import Purse
from zoo import zoo

TICKET = make_steps(("set_ticket", 5, 50))


@pytest.fixture
def world(tmp_path: Path) -> BasedWorld:
    return BasedWorld(tmp_path)


def make_history(world: BasedWorld, seed: int, blocks: range) -> list[Call]:
    """Own actions, carried ones, carriers and garbage, in some of these L1 blocks."""
    rng, calls = Random(seed), []
    for number in blocks:
        for _ in range(rng.choice((0, 0, 1, 3))):
            name = f"user {rng.randrange(3)}"
            payload: bytes | Action
            match rng.randrange(4):
                case 0:
                    payload = make_random_edit(rng)
                case 1:
                    payload = rng.randbytes(40)
                case 2:
                    payload = encode_carried_payload(world.signer.sign(TICKET, name, 0).record)
                case _:
                    signed = [world.signer.sign(TICKET, f"user {user}", rng.randrange(3)) for user in range(5)]
                    payload = encode_carrier([action.record for action in signed])
            calls.append(world.call(number, payload, name))
    return calls


def test_it_is_a_function_of_l1(world: BasedWorld) -> None:
    """Origin, time, entries and an empty seal, as the rule says; a second reader comes to the same."""
    history = [world.call(3, TICKET), world.call(3, b"x"), world.call(7, TICKET), world.call(8, TICKET)]
    with world.open_l1("l1", history, 9) as l1, world.make_ledger("one") as one, world.make_ledger("two") as two:
        follow(one, l1)
        base = l1.get_forced_entries(0, l1.get_number(), 1)[0].inclusion_block
        headers = list_headers(one)
        assert [(base, 2), (base + 4, 3), (base + 5, 4)] == [(h.l1_origin, h.forced_count) for h in headers]
        assert [h.l1_origin * SECONDS_PER_BLOCK for h in headers] == [h.timestamp for h in headers]
        block = one.get_block(1)
        assert block is not None
        assert EMPTY_SEAL == block.seal
        assert l1.get_queue_hash(2) == headers[0].forced_hash
        follow(two, l1)
        assert headers == list_headers(two)
        assert follow(one, l1) is None


@pytest.mark.parametrize("seed", range(6))
def test_two_readers_through_a_reorg(world: BasedWorld, seed: int) -> None:
    """One has followed the branch that L1 left, block by block; the other has seen the new one only. At every height
    both have the same header, and their stores the same state.
    """
    common = make_history(world, seed, range(1, 8))
    old = common + make_history(world, seed + 100, range(8, 14))
    new = common + make_history(world, seed + 200, range(8, 16))
    with world.make_ledger("one") as one, world.make_ledger("two") as two:
        for ends in range(2, 14):
            visible = [call for call in old if call.number < ends]
            with world.open_l1(f"old {ends}", visible, ends) as l1:
                follow(one, l1)
        with world.open_l1("new", new, 16) as l1:
            before = list_headers(one)
            changed = follow(one, l1)
            follow(two, l1)
            assert list_headers(two) == list_headers(one)
            kept = before[: (changed or len(before) + 1) - 1]
            assert kept == list_headers(one)[: len(kept)]
            assert (one.checkpoint, one.state.forced_count) == (two.checkpoint, two.state.forced_count)
        one.sync_tree()
    with Ledger.open(world.root / "one", zoo) as again:  # what was forgotten leaves nothing behind
        assert again.header == two.header


def test_a_reorg_that_only_moves_time(world: BasedWorld) -> None:
    """The same entries in other L1 blocks give other headers: the queue's hash holds the numbers."""
    with world.make_ledger("one") as one:
        with world.open_l1("old", [world.call(3, TICKET)], 5) as l1:
            follow(one, l1)
        (before,) = list_headers(one)
        with world.open_l1("new", [world.call(4, TICKET)], 6) as l1:
            assert follow(one, l1) == 1
        (after,) = list_headers(one)
        assert before.l1_origin + 1 == after.l1_origin
        with world.open_l1("none", [], 6) as l1:
            assert follow(one, l1) == 1
        assert one.checkpoint.height == 0


def test_256_heights_can_be_taken_back(world: BasedWorld) -> None:
    """At least so many; here all 300 are, because nothing has settled."""
    calls = [world.call(1 + number, b"x") for number in range(300)]
    with world.make_ledger("one") as one:
        with world.open_l1("old", calls, 301) as l1:
            follow(one, l1)
        with world.open_l1("half", calls[:60], 302) as l1:
            assert follow(one, l1) == 61
            follow(one, l1)
        with world.open_l1("again", calls, 301) as l1:
            follow(one, l1)
        assert one.checkpoint.height == 300
        with world.open_l1("none", [], 302) as l1:
            assert follow(one, l1) == 1


def test_a_month_of_silence(world: BasedWorld) -> None:
    """Nobody touches it, no time passes in it; the next entry is taken as if nothing had been, and settles."""
    month = 30 * 24 * 3600 // SECONDS_PER_BLOCK
    history = [world.call(1, TICKET), world.call(1 + month, TICKET)]
    with world.open_l1("l1", history, 2 + month) as l1, world.make_ledger("one") as one:
        follow(one, l1)
        first, second = list_headers(one)
        assert month * SECONDS_PER_BLOCK == second.timestamp - first.timestamp


def test_more_than_a_block_takes(world: BasedWorld) -> None:
    """65 entries of one L1 block are two blocks of one origin."""
    history = [world.call(1, TICKET) for _ in range(MAX_FORCED_PER_BLOCK + 1)]
    with world.open_l1("l1", history, 3) as l1, world.make_ledger("one") as one:
        follow(one, l1)
        first, second = list_headers(one)
        assert [64, 65] == [first.forced_count, second.forced_count]
        assert (first.l1_origin, first.timestamp) == (second.l1_origin, second.timestamp)


def test_what_exceeds_a_budget_opens_the_next_block(world: BasedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rolled back, and executed there; alone in a block it has faulted if the block is too small for it."""
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 3)
    two = make_steps(("set_ticket", 1, 5), ("set_ticket", 2, 5))
    five = make_steps(*[("set_ticket", number, 7) for number in range(5)])
    history = [
        world.call(1, action)
        for action in (two, two, make_steps(("set_ticket", 9, 1), ("set_ticket", 8, 1)), five, two)
    ]
    with world.open_l1("l1", history, 3) as l1, world.make_ledger("one") as one:
        follow(one, l1)
        headers = list_headers(one)
        assert [2, 3, 5] == [header.forced_count for header in headers]
        raw = get_receipt(one.environment.reader, one.environment.tables, headers[2].first_seq) or b""
        receipt = msgspec.msgpack.decode(raw, type=Receipt)
        assert (FAULTED, "limit: rows") == (receipt.status, receipt.reason)


def test_opening_envelopes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opening took is of the block's steps, whether it opens or not: so envelopes that are slow to open make
    blocks of fewer entries, and nobody's block takes longer.
    """
    world, purse = BasedWorld(tmp_path, tickets.app), Purse()
    good, bad = purse.sign(5), purse.sign(5)[:-1] + b"?"
    opener = EnvelopeOpener(tickets.app)
    steps = opener.open("p256-ticket", good).steps
    with pytest.raises(BadEnvelope) as refused:
        opener.open("p256-ticket", bad)
    assert 1_000 < min(steps, refused.value.steps)
    payloads = [encode_envelope_payload("p256-ticket", raw) for raw in (bad, bad, bad, good)]
    history = [world.call(1, payload) for payload in payloads]
    monkeypatch.setattr(budget, "MAX_BLOCK_STEPS", 2 * refused.value.steps)
    with world.open_l1("l1", history, 3) as l1, world.make_ledger("one") as one:
        follow(one, l1)
        assert [2, 3, 4] == [header.forced_count for header in list_headers(one)]


def test_the_hook_runs_when_somebody_queues(tmp_path: Path) -> None:
    """A block begins with the app's hook, and there are no blocks without entries."""
    world = BasedWorld(tmp_path, alarms.app)
    history = [world.call(1, alarms.Wake(1)), world.call(50, alarms.Wake(1))]
    with world.open_l1("l1", history, 60) as l1, world.make_ledger("one") as one:
        follow(one, l1)
        assert [2, 2] == [header.action_count for header in list_headers(one)]


def test_what_does_not_exist_there(world: BasedWorld) -> None:
    """Neither builder nor voids, and no exceptions from the lint."""
    with world.open_l1("l1", [world.call(1, TICKET)], 3) as l1:
        with pytest.raises(Based):
            l1.void(0, caller=OWNER)
        with pytest.raises(Based):
            l1.change_builder(compute_address(make_key("bob")), caller=OWNER)
    require_based(burners.app, world.genesis)
    with pytest.raises(UsageError, match="has a builder"):
        require_based(burners.app, msgspec.structs.replace(world.genesis, builder=OWNER))
    with pytest.raises(UsageError, match="no exceptions"):
        require_based(zoo, world.genesis)
