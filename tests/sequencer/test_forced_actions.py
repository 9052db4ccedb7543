"""Forced actions from the local L1: taken when due, in order, at most 64 a block, by sequencer and verifier."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER_KEY, OWNER, Chain, get_receipts, make_key, make_steps, read_statuses
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, REJECTED, VOIDED_FORCED
from microrollup.chain.record import Forced
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.context import Context
from microrollup.errors import ActionLimit, Divergence, IntakeStopped, LimitExceeded, UsageError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.ledger import Ledger
from microrollup.limits import relaxed_limits
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.forced import compute_forced_id, take_entry
from microrollup.settlement.inbox import VOID_AGE_BLOCKS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.protocol import L1Look
from zoo import MISCHIEF, Misbehave, Zoo, zoo

TICKET = make_steps(("set_ticket", 5, 50))


def test_due_action_executes(chain: Chain, verifier: Ledger) -> None:
    """A due entry opens the next block, executes for whoever called the inbox, and consumes no nonce."""
    seen: list[tuple[bytes, str, int]] = []

    def look(state: Zoo, ctx: Context) -> Zoo:
        seen.append((ctx.sender, ctx.origin, ctx.height))
        return state

    MISCHIEF["look"] = look
    index = chain.force(Misbehave("look"), "carol")
    chain.force(TICKET, "alice")
    outcome = chain.edit(("count", 0, 1))
    header = chain.close_block()
    carol = compute_address(make_key("carol"))
    assert [(carol, "l1", 1)] == seen
    assert (2, chain.l1.get_queue_hash(2)) == (header.forced_count, header.forced_hash)
    assert 2 == outcome.receipt.seq
    assert 50 == chain.ledger.state.app.tickets[5]  # type: ignore[attr-defined]
    assert chain.ledger.state.nonces.get(carol) is None
    assert index == chain.sequencer.known.find(compute_forced_id(chain.ledger.rollup_id, index))
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_due_from_the_origin_on(chain: Chain, verifier: Ledger) -> None:
    """Due means included at or before the block's L1 origin, which is a past block; not a block earlier."""
    chain.l1.force(encode_forced_payload(zoo, TICKET), sender=OWNER)
    included = chain.l1.get_number()
    chain.edit(("count", 0, 1))
    assert (included - 1, 0) == (chain.close_block().l1_origin, chain.ledger.header.forced_count)
    assert chain.sequencer.poll() is None
    chain.advance()
    header = chain.sequencer.poll()
    assert header is not None
    assert (included, 1, 1) == (header.l1_origin, header.forced_count, header.action_count)
    chain.verify(verifier)


def test_poll_while_nothing_comes(chain: Chain, verifier: Ledger) -> None:
    """Without any signed action a due entry makes a block of its own; nothing due makes none; an open block is left."""
    assert chain.sequencer.poll() is None
    chain.force(TICKET)
    header = chain.sequencer.poll()
    assert header is not None
    assert [EXECUTED] == read_statuses(chain.ledger, 1)
    assert chain.sequencer.poll() is None
    chain.edit(("count", 0, 1))
    chain.force(TICKET)
    assert chain.sequencer.poll() is None
    chain.close_block()
    assert 1 == chain.ledger.header.forced_count
    chain.sequencer.poll()
    assert (3, 2) == (chain.ledger.header.height, chain.ledger.header.forced_count)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_outcomes_of_forced_actions(chain: Chain, verifier: Ledger) -> None:
    """A forced action can be rejected or faulted like a signed one; later ones are taken all the same."""
    MISCHIEF["fault"] = lambda state, ctx: 1 // 0
    chain.force(make_steps().__class__([], reject=True))
    chain.force(Misbehave("fault"))
    chain.force(TICKET)
    assert chain.sequencer.poll() is not None
    assert [REJECTED, FAULTED, EXECUTED] == read_statuses(chain.ledger, 1)
    chain.verify(verifier)


GOOD = encode_forced_payload(zoo, TICKET)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\x01" + GOOD[1:],
        GOOD[:33],
        GOOD[:-1],
        GOOD + b"\x00",
        GOOD + bytes(32),
        b"\x00" + bytes(32) + GOOD[33:],
        GOOD[:64] + bytes((GOOD[64] ^ 1,)) + GOOD[65:],
        GOOD[:-64] + b"\xff" * 64,
        bytes(8192),
    ],
    ids=[
        "empty",
        "tag",
        "other-tag",
        "no-members",
        "short",
        "long",
        "word-more",
        "unknown-type",
        "offset",
        "range",
        "zeros",
    ],
)
def test_undecodable(chain: Chain, verifier: Ledger, payload: bytes) -> None:
    """What does not decode strictly is logged whole with status 3; the entry behind it executes."""
    chain.force(payload)
    chain.force(TICKET)
    header = chain.sequencer.poll()
    assert header is not None
    assert [INVALID_FORCED, EXECUTED] == read_statuses(chain.ledger, 1)
    assert payload == decode_forced(chain.get_blocks()[0].records[0]).payload
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


@pytest.mark.parametrize(("early", "status"), [(0, VOIDED_FORCED), (1, EXECUTED)], ids=["effective", "not-yet"])
def test_voided(chain: Chain, verifier: Ledger, early: int, status: int) -> None:
    """A void counts from the very block in which it takes effect: status 4 if and only if the origin has reached it."""
    index = chain.force(TICKET)
    effective = chain.l1.void(index, caller=OWNER)
    chain.advance(effective + 1 - early - chain.l1.get_number())
    header = chain.sequencer.poll()
    assert header is not None
    assert effective - early == header.l1_origin
    assert [status] == read_statuses(chain.ledger, 1)
    assert (status == EXECUTED) is (5 in chain.ledger.state.app.tickets)  # type: ignore[attr-defined]
    assert (status == VOIDED_FORCED) is decode_forced(chain.get_blocks()[0].records[0]).voided
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


@pytest.mark.parametrize("block_size", [1, 64, 65, 1_000])
def test_sixty_five_at_once(tmp_path: Path, block_size: int) -> None:
    """A block takes 64 entries, the next block the 65th, whatever the block size; signed actions follow."""
    chain = Chain(tmp_path, block_size=block_size)
    for value in range(65):
        chain.l1.force(encode_forced_payload(zoo, make_steps(("set_ticket", 100 + value, value))), sender=OWNER)
    chain.advance(2)
    assert chain.sequencer.poll() is not None
    assert (64, 64) == (chain.ledger.header.forced_count, chain.ledger.header.action_count)
    outcome = chain.edit(("count", 0, 1))
    chain.sequencer.close_block()
    blocks = chain.get_blocks()
    assert [64, 1] == [sum(map(is_forced_record, block.records)) for block in blocks[:2]]
    assert 65 == outcome.receipt.seq
    assert (65, chain.l1.get_queue_hash(65)) == (chain.ledger.header.forced_count, chain.ledger.header.forced_hash)
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()
    chain.close()


def test_forced_entries_survive_a_crash(chain: Chain, verifier: Ledger) -> None:
    """An open block that was logged with forced entries is the same after a crash, and does not take them again."""
    chain.force(TICKET)
    chain.force(b"no action")
    chain.edit(("count", 0, 1))
    chain.force(make_steps(("set_ticket", 6, 60)))
    chain.reopen(abandon=True)
    chain.edit(("count", 0, 1))
    header = chain.close_block()
    assert (2, 4) == (header.forced_count, header.action_count)
    assert chain.sequencer.poll() is not None
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


# --- a builder that lies about the queue -----------------------------------------------------------------------------


class LyingView:
    """The L1 as a lying builder would like it to be; everything but the entries is the truth."""

    def __init__(self, l1: LocalSettlement, lie: Callable[[list[Forced]], list[Forced]]) -> None:
        self._l1 = l1
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)

    def look(self, origin: int, forced_count: int) -> L1Look:
        look = self._l1.look(origin, forced_count)
        entries = [
            take_entry(entry, voided=self._l1.is_voided(entry.index, origin))
            for entry in self._l1.get_forced_entries(forced_count, origin, 1_000)
        ]
        return msgspec.structs.replace(look, forced=tuple(self._lie(entries)))


def rename(entries: list[Forced], **changes: Any) -> list[Forced]:
    return [msgspec.structs.replace(entries[0], **changes), *entries[1:]]


LIES: dict[str, tuple[Callable[[list[Forced]], list[Forced]], str]] = {
    "all skipped": (lambda entries: [], "forced_count"),
    "last skipped": (lambda entries: entries[:-1], "forced_count"),
    "first skipped": (lambda entries: entries[1:], "forced"),
    "middle skipped": (lambda entries: [entries[0], *entries[2:]], "forced"),
    "first twice": (lambda entries: [entries[0], *entries], "forced"),
    "last twice": (lambda entries: [*entries, entries[-1]], "forced"),
    "reordered": (lambda entries: [entries[1], entries[0], *entries[2:]], "forced"),
    "reordered and renumbered": (
        lambda entries: rename(rename(entries[1:2], index=0) + rename(entries[:1], index=1) + entries[2:]),
        "forced",
    ),
    "one made up": (lambda entries: [*entries, Forced(len(entries), OWNER, 0, GOOD, voided=False)], "forced_count"),
    "another sender": (lambda entries: rename(entries, sender=OWNER), "forced"),
    "another payload": (lambda entries: rename(entries, payload=b""), "forced"),
    "another block": (lambda entries: rename(entries, inclusion_block=1), "forced"),
}


@pytest.mark.parametrize("name", LIES)
def test_lying_builder(chain: Chain, verifier: Ledger, name: str) -> None:
    """A builder that skips, repeats, reorders or invents forced actions, and is honest otherwise, is found out."""
    lie, field = LIES[name]
    chain.edit(("count", 0, 1))
    chain.close_block()
    for value in range(3):
        chain.force(make_steps(("set_ticket", 50 + value, value + 1)))
    chain.sequencer.l1 = LyingView(chain.l1, lie)  # type: ignore[assignment]
    chain.edit(("count", 0, 1))
    chain.close_block()
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier)
    assert (field, 2) == (caught.value.field, caught.value.height)
    assert 1 == verifier.checkpoint.height


@pytest.mark.parametrize("voided", [False, True])
def test_lying_about_voids(chain: Chain, verifier: Ledger, voided: bool) -> None:
    """A builder can neither void an action by itself nor execute a voided one."""
    index = chain.force(TICKET)
    if not voided:
        effective = chain.l1.void(index, caller=OWNER)
        chain.advance(effective + 1 - chain.l1.get_number())
    view = LyingView(chain.l1, lambda entries: rename(entries, voided=voided))
    chain.sequencer.l1 = view  # type: ignore[assignment]
    assert chain.sequencer.poll() is not None
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier)
    found = caught.value.found
    assert ("forced", 0) == (caught.value.field, caught.value.seq)
    assert isinstance(found, Forced)
    assert voided is found.voided


@pytest.mark.parametrize("count", [63, 65])
def test_exactly_sixty_four(chain: Chain, verifier: Ledger, count: int) -> None:
    """Of 65 due entries a block takes neither 63 nor all."""
    for _ in range(65):
        chain.l1.force(b"", sender=OWNER)
    chain.advance(2)
    chain.sequencer.l1 = LyingView(chain.l1, lambda entries: entries[:count])  # type: ignore[assignment]
    assert chain.sequencer.poll() is not None
    assert count == chain.ledger.header.forced_count
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier)
    assert ("forced_count" if count == 63 else "forced") == caught.value.field


def test_without_an_l1_view(chain: Chain, verifier: Ledger) -> None:
    """A verifier of blocks alone takes forced actions as they come: what is due is among the unchecked."""
    chain.force(TICKET)
    chain.force(TICKET)
    chain.sequencer.l1 = LyingView(chain.l1, lambda entries: entries[:1])  # type: ignore[assignment]
    assert chain.sequencer.poll() is not None
    chain.verify(verifier, l1=False)
    assert chain.ledger.header == verifier.header


# --- a forced action that cannot be executed -------------------------------------------------------------------------


def recurse(state: Zoo, ctx: Context) -> Zoo:
    return recurse(state, ctx)


def test_limit_stops_the_sequencer_until_voided(chain: Chain, verifier: Ledger) -> None:
    """A forced action that hits a limit is an error of its own: no block skips it, none is built until its void."""
    MISCHIEF["recurse"] = recurse
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.force(TICKET)
    index = chain.force(Misbehave("recurse"))
    with pytest.raises(LimitExceeded, match=f"forced action {index}"):
        chain.sequencer.poll()
    for action in (
        chain.sequencer.poll,
        chain.sequencer.close_block,
        lambda: chain.sequencer.close_block(allow_empty=True),
        lambda: chain.submit(chain.signer.sign(TICKET, "bob", 0)),
    ):
        with pytest.raises(IntakeStopped):
            action()
    assert 1 == chain.ledger.checkpoint.height
    chain.reopen()
    with pytest.raises(LimitExceeded):
        chain.submit(chain.signer.sign(TICKET, "bob", 0))
    with pytest.raises(IntakeStopped):
        chain.sequencer.close_block()
    effective = chain.l1.void(index, caller=OWNER)
    assert chain.l1.get_forced_entries(index, 1 << 40, 1)[0].inclusion_block + VOID_AGE_BLOCKS == effective
    chain.advance(effective + 1 - chain.l1.get_number())
    chain.reopen()
    assert [(EXECUTED, "")] == get_receipts(chain.submit(chain.signer.sign(TICKET, "bob", 0)))
    chain.close_block()
    assert [EXECUTED, VOIDED_FORCED, EXECUTED] == read_statuses(chain.ledger, 2)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


@pytest.mark.parametrize("kind", ["time", "recursion"])
def test_a_forced_action_has_ten_times_the_limits(chain: Chain, verifier: Ledger, kind: str) -> None:
    """What a signed action is refused for is executed when it is forced: nobody can refuse it."""

    def descend(depth: int) -> int:
        return 0 if depth == 0 else 1 + descend(depth - 1)

    def take_long(state: Zoo, ctx: Context) -> Zoo:
        if kind == "time":
            until = time.thread_time() + 0.25
            while time.thread_time() < until:
                pass
        else:
            descend(3_000)
        return state

    MISCHIEF["take long"] = take_long
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.1)
    (outcome,) = chain.submit(chain.signer.sign(Misbehave("take long")))
    assert isinstance(outcome, ActionLimit)
    assert kind in str(outcome)
    chain.force(Misbehave("take long"))
    assert chain.sequencer.poll() is not None
    assert [EXECUTED] == read_statuses(chain.ledger, chain.ledger.checkpoint.height)
    with relaxed_limits():
        chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_an_endless_forced_action_is_the_reason(chain: Chain) -> None:
    """Intake stops for it, and whatever else stops intake later does not take the blame."""

    def loop(state: Zoo, ctx: Context) -> Zoo:
        while True:
            pass

    MISCHIEF["loop"] = loop
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.02)
    index = chain.force(Misbehave("loop"))
    with pytest.raises(LimitExceeded, match=f"forced action {index} hits the limit of time, ten times"):
        chain.sequencer.poll()
    assert chain.sequencer.failed
    chain.sequencer.stop("a reorg of L1")
    assert f"forced action {index} hits the limit of time" in str(chain.sequencer.stopped)


def test_limit_behind_a_durable_block(tmp_path: Path) -> None:
    """What was durable before the forced action hit its limit stays so; the same actions are known as duplicates."""
    MISCHIEF["recurse"] = recurse
    chain = Chain(tmp_path, block_size=2)
    chain.edit(("count", 0, 1))
    chain.force(Misbehave("recurse"))
    actions = [chain.signer.sign(make_steps(("count", 0, 1))) for _ in range(3)]
    with pytest.raises(LimitExceeded):
        chain.submit(*actions)
    assert 1 == chain.ledger.checkpoint.height
    assert 2 == chain.ledger.checkpoint.next_seq
    chain.close()


def test_builder_key(chain: Chain) -> None:
    """A sequencer says when its key is not the builder that the inbox names."""
    chain.sequencer.check_builder()
    sequencer: Sequencer[int] = Sequencer(chain.ledger, make_key("mallory"), chain.l1)
    with pytest.raises(UsageError):
        sequencer.check_builder()
    sequencer.close()
    assert compute_address(BUILDER_KEY) == chain.l1.get_builder(chain.l1.get_number())
    assert isinstance(chain.edit(("count", 0, 1)), Sequenced)
