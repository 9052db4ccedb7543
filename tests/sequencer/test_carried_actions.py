"""Signed actions that somebody carries through the inbox's queue: they are their signers'."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import alarms
from kernel_fixtures import (
    Chain,
    Signer,
    list_replay_differences,
    make_key,
    make_steps,
    make_test_genesis,
    read_receipts,
    read_statuses,
)
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, REJECTED
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.context import Context
from microrollup.deployment.exporting import export_actions
from microrollup.errors import DuplicateAction, NonceUsed
from microrollup.execution.authentication import Authenticated
from microrollup.execution.payload import encode_carried_payload, encode_forced_payload
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.scrub import scrub_store
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, ZERO_ADDRESS
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.forced import compute_forced_id
from zoo import MISCHIEF, Misbehave, Zoo, zoo

ALICE, CAROL = (compute_address(make_key(name)) for name in ("alice", "carol"))
TICKET = make_steps(("set_ticket", 5, 50))


def carry(chain: Chain, action: Authenticated, carrier: str = "carol") -> int:
    """Put a signed action into the queue; its place there."""
    return chain.force(encode_carried_payload(action.record), carrier)


def test_it_is_the_signer_s(chain: Chain, verifier: Ledger) -> None:
    """The STF sees signer and carrier; the nonce is taken, and both identities are known.

    The receipt has the queue's. The same action submitted afterwards is a duplicate.
    """
    seen: list[tuple[bytes, str, bool, bytes, bytes]] = []

    def look(state: Zoo, ctx: Context) -> Zoo:
        seen.append((ctx.sender, ctx.origin, ctx.forced, ctx.l1_sender, ctx.rollup_id))
        return state

    MISCHIEF["look"] = look
    carried, submitted = (chain.signer.sign(Misbehave("look")) for _ in range(2))
    index = carry(chain, carried)
    chain.force(Misbehave("look"), "carol")
    assert [] == chain.submit(submitted)
    chain.sequencer.poll()
    (outcome,) = chain.submit()
    assert isinstance(outcome, Sequenced)
    rollup_id = chain.ledger.rollup_id
    assert [
        (ALICE, "signed", True, CAROL, rollup_id),
        (CAROL, "l1", True, CAROL, rollup_id),
        (ALICE, "signed", False, ZERO_ADDRESS, rollup_id),
    ] == seen
    assert 2 == chain.ledger.state.nonces[ALICE]
    (again,) = chain.submit(carried)
    assert isinstance(again, DuplicateAction)
    assert 0 == again.seq
    chain.close_block()
    assert compute_forced_id(rollup_id, index) == read_receipts(chain.ledger, 1)[0].action_hash
    for action_hash in (compute_forced_id(rollup_id, index), carried.action_hash):
        assert 0 == chain.sequencer.known.find(action_hash)
    (again,) = chain.submit(carried)
    assert isinstance(again, DuplicateAction)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_the_nonce_must_be_next(chain: Chain, verifier: Ledger) -> None:
    """Too low, too high, and the same action twice are invalid and take no nonce; the next one after them executes."""
    first, second, third = (chain.signer.sign(TICKET) for _ in range(3))
    other = chain.signer.sign(make_steps(("set_ticket", 6, 60)), nonce=0)
    chain.submit(first)
    chain.close_block()
    for action in (other, third, second, second, third):
        carry(chain, action)
    chain.sequencer.poll()
    assert [INVALID_FORCED, INVALID_FORCED, EXECUTED, INVALID_FORCED, EXECUTED] == read_statuses(chain.ledger, 2)
    assert 3 == chain.ledger.state.nonces[ALICE]
    assert [0, 3, 5, None] == [chain.sequencer.known.find(each.action_hash) for each in (first, second, third, other)]
    (refused,) = chain.submit(other)
    assert isinstance(refused, NonceUsed)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_rejected_and_faulted_take_the_nonce(chain: Chain, verifier: Ledger) -> None:
    """As when they are submitted; what reaches a limit has faulted, for it is metered."""
    MISCHIEF["fault"] = lambda state, ctx: 1 // 0
    carry(chain, chain.signer.sign(make_steps().__class__([], reject=True)))
    carry(chain, chain.signer.sign(Misbehave("fault")))
    carry(chain, chain.signer.sign(TICKET))
    chain.sequencer.poll()
    assert [REJECTED, FAULTED, EXECUTED] == read_statuses(chain.ledger, 1)
    assert 3 == chain.ledger.state.nonces[ALICE]
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


HOSTILE = {
    "nothing": lambda good: b"\x01",
    "another tag": lambda good: b"\x04" + good[1:],
    "no action": lambda good: b"\x01" + encode_forced_payload(zoo, TICKET),
    "cut": lambda good: good[:-1],
    "a byte more": lambda good: good + b"\x00",
    "signature altered": lambda good: good[:-2] + bytes((good[-2] ^ 1, good[-1])),
    "a value altered": lambda good: good.replace(b"\x05\x32", b"\x05\x33"),
    "too long": lambda good: good + bytes(MAX_FORCED_PAYLOAD_BYTES - len(good)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_nobody_signed(chain: Chain, verifier: Ledger, name: str) -> None:
    """It is invalid, or somebody else's: alice's nonce is hers, and her action executes."""
    good = encode_carried_payload(chain.signer.sign(TICKET).record)
    payload = HOSTILE[name](good)
    assert payload != good
    chain.force(payload, "carol")
    chain.force(good, "carol")
    chain.sequencer.poll()
    statuses = read_statuses(chain.ledger, 1)
    assert EXECUTED == statuses[1]
    if not name.endswith("altered"):  # there some other key may have made the signature
        assert INVALID_FORCED == statuses[0]
    assert 1 == chain.ledger.state.nonces[ALICE]
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_another_rollup_s_action(chain: Chain) -> None:
    """An action that was signed for another domain is not its signer's here."""
    genesis = make_test_genesis(zoo)
    domain = msgspec.structs.replace(genesis.domain, chain_id=5)
    foreign = Signer(zoo, msgspec.structs.replace(genesis, domain=domain)).sign(TICKET)
    carry(chain, foreign)
    chain.sequencer.poll()
    assert chain.ledger.state.nonces.get(ALICE) is None


def test_waiting_actions_follow(chain: Chain) -> None:
    """What waited for the carried action's nonce is taken by the next call; what waited with that nonce is refused."""
    first, second, third = (chain.signer.sign(TICKET) for _ in range(3))
    assert [] == chain.submit(third)
    carry(chain, first)
    assert not chain.sequencer.gaps.has_moved
    assert chain.sequencer.poll() is not None
    assert chain.sequencer.gaps.has_moved
    assert [] == chain.submit()
    outcomes = chain.submit(second)
    assert [1, 2] == [outcome.receipt.seq for outcome in outcomes if isinstance(outcome, Sequenced)]
    chain.close_block()
    carried, waiting = (chain.signer.sign(TICKET) for _ in range(2))
    assert [] == chain.submit(waiting)
    carry(chain, carried)
    carry(chain, waiting)
    chain.sequencer.poll()
    (refused,) = chain.submit()
    assert isinstance(refused, DuplicateAction)
    assert 4 == refused.seq


def test_the_open_block_s_queue_comes_first(chain: Chain) -> None:
    """A submitted action that meets its own copy at the head of the block is a duplicate; one that waited follows."""
    first, second = (chain.signer.sign(TICKET) for _ in range(2))
    assert [] == chain.submit(second)
    carry(chain, first)
    outcomes = chain.submit(first)
    assert [DuplicateAction, Sequenced] == sorted([type(each) for each in outcomes], key=lambda kind: kind.__name__)
    assert 2 == chain.ledger.state.nonces[ALICE]


def write_history(chain: Chain) -> list[Authenticated]:
    """Blocks with carried actions, valid and not, a rebuild, and an open block that begins with one."""
    actions = [chain.signer.sign(TICKET, name) for name in ("alice", "bob", "alice", "bob", "alice")]
    carry(chain, actions[0])
    carry(chain, actions[3])
    chain.submit(actions[1])
    chain.close_block()
    chain.sequencer.rebuild(1)
    carry(chain, actions[0])
    carry(chain, actions[2])
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
    assert [0, 2, 4, 5, 6] == [chain.sequencer.known.find(action.action_hash) for action in actions]
    assert [] == list_replay_differences(chain.ledger, "zoo:zoo", tmp_path / "replay")
    chain.close_block()
    assert [0, 2, 4, 5, 6] == [chain.sequencer.known.find(action.action_hash) for action in actions]
    chain.ledger.close()
    assert [] == scrub_store(tmp_path / "builder", "zoo:zoo").damages
    out = tmp_path / "actions.jsonl"
    assert 6 == export_actions(tmp_path / "builder", zoo, out)
    nonces = [int(json.loads(line)["message"]["nonce"]) for line in out.read_text().splitlines()]
    assert [0, 0, 1, 1, 2, 0] == nonces
    chain.ledger = Ledger.open(tmp_path / "builder", zoo)


def test_after_a_block_s_own_entry(tmp_path: Path) -> None:
    """A block hook moves the queue's entries by one: verifier, rebuild, index and scrub count them all the same."""
    chain = Chain(tmp_path, alarms.app)
    carried = [chain.signer.sign(alarms.Wake(1)) for _ in range(2)]
    carry(chain, carried[0])
    chain.sequencer.poll()
    carry(chain, carried[1])
    carry(chain, carried[1])
    chain.sequencer.poll()
    assert [EXECUTED, EXECUTED, INVALID_FORCED] == read_statuses(chain.ledger, 2)
    chain.sequencer.rebuild(1)
    assert [1, 3] == [chain.sequencer.known.find(action.action_hash) for action in carried]
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.abandon()
    chain.ledger.close()
    assert [] == scrub_store(tmp_path / "builder", "alarms:app").damages
    assert 2 == export_actions(tmp_path / "builder", alarms.app, tmp_path / "actions.jsonl")
    chain.sequencer.close()
    chain.l1.close()
