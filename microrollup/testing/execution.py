"""Executing an app's actions in a test: through the kernel's own `apply_actions`, without disk, keys or a node.

    alice, bob = Senders(2)
    run = execute(app, [(alice, Increment(by=3)), next_block(), force(bob, Increment(by=4)), (bob, Increment(by=0))])
    assert ["executed", "executed", "rejected"] == [outcome.status for outcome in run.outcomes]
    assert 7 == run.state.value

Every check of the kernel is made: types and bounds of what an STF returns and emits, maps that descend from the
pre-state, leaf values, and that the STF left its pre-state alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from microrollup.chain.block_entry import BlockBegin
from microrollup.chain.receipt import EXECUTED, Receipt
from microrollup.chain.record import Forced
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import State
from microrollup.errors import UsageError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import make_block_entry, make_envelope_entry, make_forced_entry
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.execution.journal import Journal
from microrollup.execution.migration_rows import MemoryRows, StagedRows, read_rows
from microrollup.execution.payload import encode_envelope_payload
from microrollup.execution.stf import ChainState, Entry, apply_actions
from microrollup.execution.upgrading import list_steps, run_upgrade
from microrollup.logs import ensure_logging
from microrollup.primitives import ZERO_BYTES32
from microrollup.testing.executed import EventDecoder, ExecutedBlock, Execution, ExecutionOutcome

__all__ = [
    "BlockStep",
    "Execution",
    "ExecutionOutcome",
    "ExecutionStep",
    "ForcedStep",
    "Senders",
    "TracedAction",
    "EnvelopeStep",
    "UpgradeTo",
    "at",
    "carry",
    "envelope",
    "execute",
    "force",
    "next_block",
    "trace",
    "upgrade",
]

BLOCK_SECONDS: Final = 1
"""How far the clock moves from one block to the next, unless a step says otherwise."""


class ForcedStep(msgspec.Struct, frozen=True):
    """What `force` gives."""

    sender: bytes
    action: Action
    l1_sender: bytes | None = None
    """Who carried what `sender` signed; None for an own action of `sender`."""


class EnvelopeStep(msgspec.Struct, frozen=True):
    """What `envelope` gives."""

    name: str
    raw: bytes
    l1_sender: bytes | None = None
    """Who carried it through the inbox; None: it was handed in."""


class BlockStep(msgspec.Struct, frozen=True):
    """What `next_block` and `at` give."""

    timestamp: int | None
    """In seconds; None: a second after the block before."""


class UpgradeTo(msgspec.Struct, frozen=True):
    """What `upgrade` gives."""

    app: MicroRollup


ActionStep = tuple[bytes, Action] | ForcedStep | EnvelopeStep

ExecutionStep = tuple[bytes, Action] | ForcedStep | EnvelopeStep | BlockStep | UpgradeTo
"""`(sender, action)`, or what `force`, `carry`, `envelope`, `next_block`, `at` and `upgrade` give."""


def force(sender: bytes, action: Action) -> ExecutionStep:
    """The action as an L1 account (20-byte `sender`) forces it through the inbox: no nonce, origin "l1"."""
    return ForcedStep(sender, action)


def carry(l1_sender: bytes, sender: bytes, action: Action) -> ExecutionStep:
    """The action as `sender` signed it, with the next nonce, and an L1 account carries it through the inbox: origin
    "signed", `ctx.forced` true. Both are 20 bytes.
    """
    return ForcedStep(sender, action, l1_sender)


def envelope(name: str, raw: bytes, *, l1_sender: bytes | None = None) -> ExecutionStep:
    """What comes in the envelope of that name; with `l1_sender`, 20 bytes, an L1 account carries it through the inbox.

    Unlike a sequencer, a test does not refuse what is rejected or faults: it is an outcome. What does not open raises
    `BadEnvelope`, or is "invalid forced" if it is carried.
    """
    return EnvelopeStep(name, raw, l1_sender)


def next_block() -> ExecutionStep:
    """Close the block; the next one is a second later."""
    return BlockStep(None)


def at(timestamp: int) -> ExecutionStep:
    """Close the block; the next one has this timestamp, in seconds."""
    return BlockStep(timestamp)


def upgrade(app: MicroRollup) -> ExecutionStep:
    """Close the block; the next one upgrades to a later version, and the ones after it are executed by that."""
    return UpgradeTo(app)


class Senders(Sequence[bytes]):
    """`count` different 20-byte senders, the same in each run, with keys that anybody can compute."""

    def __init__(self, count: int) -> None:
        keys = [load_private_key(keccak256(b"sender %d" % number)) for number in range(count)]
        self._senders = [compute_address(key) for key in keys]
        self.keys = dict(zip(self._senders, keys, strict=True))
        """Sender -> secp256k1 key, for steps that have to be signed."""

    def __len__(self) -> int:
        return len(self._senders)

    def __getitem__(self, index: Any) -> Any:
        return self._senders[index]


def execute(
    app: MicroRollup, steps: Iterable[ExecutionStep], *, state: State | None = None, timestamp: int = 0
) -> Execution:
    """Execute steps from the genesis, or from `state`, in blocks that begin at height 1 and at `timestamp` (seconds).

    The app's block hook runs at the beginning of each block; of the last one only if it has an action, since a hook
    opens no block. `at(...), next_block()` makes a block without actions. `upgrade(later)` makes a block of its own; an
    app that follows on others begins with what its migrations make of the genesis.

    Raises `ValueOutOfBounds` for an action that nobody could sign, `BadEnvelope` and `UnknownEnvelope` for what does
    not open, `UsageError` for anything that is not a step, a time or a state of the app, `ImpureStf` if an STF changes
    its pre-state in place, and `LimitHit` or `OverBudget` as a block would. Faults are outcomes.
    """
    chain = _make_start(app, state)
    decode = EventDecoder(app)
    begins, start = 0, chain.app
    outcomes: list[ExecutionOutcome] = []
    hooks: list[ExecutionOutcome] = []
    upgrades: list[ExecutionOutcome] = []
    blocks: list[ExecutedBlock] = []
    height = 1
    for height, timestamp, block in _date_blocks(steps, timestamp):  # noqa: B020, PLR1704  # where the last one stands
        seq = len(outcomes) + len(hooks) + len(upgrades)
        if isinstance(block, UpgradeTo):
            before = app
            app, chain, receipts = _upgrade(app, block.app, chain, height, timestamp, seq)
            if app is not before:
                begins, start, blocks = height, chain.app, []
            decode = EventDecoder(app)
            for index, receipt in enumerate(receipts, len(app.versions) - len(receipts)):
                version = app.versions[max(index, 0)]  # a failed entry has no events
                upgrades.append(EventDecoder(version).to_outcome(receipt, height))
            continue
        entries = [*_make_begin(app, height, block), *_make_entries(app, block or [], seq, chain)]
        context = BlockContext(height, timestamp, seq, Journal(len(app.state_fields)), audit=True)
        chain, receipts = apply_actions(app, chain, entries, context)
        for entry, receipt in zip(entries, receipts, strict=True):
            kept = hooks if entry.kind == "block" else outcomes
            kept.append(decode.to_outcome(receipt, height))
        blocks.append(ExecutedBlock(height, timestamp, tuple(entries), tuple(receipts), context.journal, chain.app))
    return Execution(
        chain.app, tuple(outcomes), height, timestamp, tuple(hooks), tuple(upgrades), begins, start, tuple(blocks)
    )


def _upgrade(
    app: MicroRollup, later: MicroRollup, chain: ChainState, height: int, timestamp: int, seq: int
) -> tuple[MicroRollup, ChainState, list[Receipt]]:
    """The app and the state after an upgrade block."""
    if not isinstance(later, MicroRollup):
        raise UsageError(f"upgrade(...) takes the later version of the app, not {type(later).__name__}")
    rows = MemoryRows(app, chain.app)
    sizes = tuple([len(field.read(chain.app)) if field.is_map else 1 for field in app.state_type.fields])
    context = BlockContext(height, timestamp, seq, Journal(0))
    done = run_upgrade(later, list_steps(later, app.stf_id, later.stf_id), rows, sizes, context)
    if done.has_failed:
        return app, chain, done.receipts
    staged = StagedRows(rows)
    staged.stage(done.rows)
    return later, ChainState(read_rows(later, staged), chain.nonces, chain.forced_count), done.receipts


class TracedAction(msgspec.Struct, frozen=True):
    """What one action, or the block hook, did, in bytes that can be compared between machines."""

    sender: bytes
    action: Action | BlockBegin | None
    """None for what was carried and does not open."""
    receipt: Receipt
    rows: tuple[tuple[str, bytes, bytes | None], ...]
    """Field, encoded key and encoded value (None: deleted) of each entry that it changed, in order."""


def trace(app: MicroRollup, steps: Iterable[ExecutionStep]) -> Iterator[TracedAction]:
    """Execute steps from the genesis as `execute` does, and tell of each action what it did.

    Each action has the whole budget of a block. Raises what `execute` raises.
    """
    chain, seq = _make_start(app, None), 0
    names = [name for name, _ in app.state_fields]
    for height, timestamp, block in _date_blocks(steps, 0):
        if isinstance(block, UpgradeTo):
            raise UsageError("what is traced has no upgrade: trace each version by itself")
        for entry in [*_make_begin(app, height, block), *_make_entries(app, block or [], seq, chain)]:
            journal = Journal(len(names))
            context = BlockContext(height, timestamp, seq, journal, audit=True)
            chain, (receipt,) = apply_actions(app, chain, [entry], context)
            rows = [
                (name, key, change.row)
                for name, changes in zip(names, journal.fields, strict=True)
                for key, change in sorted(changes.items())
            ]
            yield TracedAction(entry.sender, entry.action, receipt, tuple(rows))
            seq += 1


def _make_start(app: MicroRollup, state: State | None) -> ChainState:
    if state is not None and type(state) is not app.state_type.cls:
        raise UsageError(f"the state is of the class {type(state).__name__}, not {app.state_type.cls.__name__}")
    ensure_logging()
    if state is not None:
        return ChainState(state, Map(), 0)
    first = ChainState(app.genesis, Map(), 0)
    if app.previous is None:
        return first
    _, chain, receipts = _upgrade(app.oldest, app, first, 0, 0, 0)
    if receipts[-1].status != EXECUTED:
        raise UsageError("a migration of the genesis fails: begin with the oldest version, or give the state")
    return chain


def _check_time(timestamp: object) -> int:
    if type(timestamp) is not int or not 0 <= timestamp < 1 << 64:
        raise UsageError(f"a timestamp is seconds, 0 to 2^64 - 1, not {timestamp!r}")
    return timestamp


def _date_blocks(
    steps: Iterable[ExecutionStep], timestamp: int
) -> Iterator[tuple[int, int, list[ActionStep] | UpgradeTo | None]]:
    """Height, timestamp and actions of each block, the open one last: None if nothing has opened it."""
    _check_time(timestamp)
    height = 1
    block: list[ActionStep] = []
    for step in steps:
        if isinstance(step, UpgradeTo):
            if block:
                yield height, timestamp, block
                height, timestamp, block = height + 1, timestamp + BLOCK_SECONDS, []
            yield height, timestamp, step
            height, timestamp = height + 1, timestamp + BLOCK_SECONDS
            continue
        if not isinstance(step, BlockStep):
            block.append(step)
            continue
        yield height, timestamp, block
        later = timestamp + BLOCK_SECONDS if step.timestamp is None else _check_time(step.timestamp)
        if later < timestamp:
            raise UsageError(f"time goes back from {timestamp} to {later}")
        height, timestamp, block = height + 1, later, []
    yield height, timestamp, block or None


def _make_begin(app: MicroRollup, height: int, block: object) -> list[Entry]:
    """The block's own entry, where the app has a hook and the block is open."""
    if app.on_block is None or block is None:
        return []
    return [make_block_entry(ZERO_BYTES32, height)]


def _make_entries(app: MicroRollup, block: list[ActionStep], seq: int, chain: ChainState) -> Iterator[Entry]:
    """The entries of a block's actions, forced ones first as in any block, with the nonces that come next."""
    nonces: dict[bytes, int] = {}
    for step in block:
        if not isinstance(step, (ForcedStep, EnvelopeStep)) and not (isinstance(step, tuple) and len(step) == 2):
            raise UsageError(
                "a step is (sender, action), force(...), carry(...), envelope(...), next_block(), at(...) or"
                " upgrade(...)"
            )
    for number, step in enumerate(sorted(block, key=lambda step: not _is_forced(step)), seq):
        identity = keccak256(b"action %d" % number)
        if isinstance(step, EnvelopeStep):
            yield _make_envelope_entry(app, step, identity)
            continue
        forced = step if isinstance(step, ForcedStep) else None
        sender, action = (step.sender, step.action) if isinstance(step, ForcedStep) else step
        l1_sender = forced.l1_sender if forced else None
        for account in (sender, sender if l1_sender is None else l1_sender):
            _check_account(account)
        action_type = app.action_types.by_name.get(type(action).__name__)
        if action_type is None or action_type.cls is not type(action):
            raise UsageError(f"{type(action).__name__} is not an action of {app.name} that is signed or forced")
        action_type.check(action)
        if forced and l1_sender is None:
            yield Entry(b"", sender, None, identity, action, kind="forced", origin="l1", l1_sender=sender)
            continue
        nonce = nonces.get(sender, chain.nonces.get(sender, 0))
        nonces[sender] = nonce + 1
        if l1_sender is None:
            yield Entry(b"", sender, nonce, identity, action)
        else:
            yield Entry(b"", sender, nonce, identity, action, kind="forced", l1_sender=l1_sender)


def _is_forced(step: ActionStep) -> bool:
    return isinstance(step, ForcedStep) or (isinstance(step, EnvelopeStep) and step.l1_sender is not None)


def _check_account(account: object) -> None:
    if type(account) is not bytes or len(account) != 20:
        raise UsageError(f"a sender is 20 bytes, not {account!r}")


def _make_envelope_entry(app: MicroRollup, step: EnvelopeStep, identity: bytes) -> Entry:
    """The entry of an envelope that was handed in, or carried: then it may be one that does not open."""
    if step.l1_sender is None:
        return replace(
            make_envelope_entry(app, ZERO_BYTES32, EnvelopeOpener(app).open(step.name, step.raw)), record=b""
        )
    _check_account(step.l1_sender)
    payload = encode_envelope_payload(step.name, step.raw)
    authenticator = Authenticator.of(app, app.make_domain())
    forced = Forced(0, step.l1_sender, 0, payload, voided=False)
    return replace(make_forced_entry(app, ZERO_BYTES32, forced, authenticator), record=b"", action_hash=identity)
