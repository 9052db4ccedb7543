"""Opening an app's envelopes: from untrusted bytes to the action in them. Stateless, as authentication is, and metered:
on every machine the same bytes open, or do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

import msgspec

from microrollup.chain.envelope_record import decode_envelope_record, encode_envelope_record
from microrollup.codec.json_text import clip
from microrollup.declaration.context import Revert
from microrollup.declaration.envelope import MIN_ENVELOPE_BYTES, Envelope, EnvelopeType, Opened
from microrollup.errors import (
    BadEnvelope,
    DeclarationError,
    ImpureStf,
    LimitExceeded,
    UnknownEnvelope,
    ValueOutOfBounds,
)
from microrollup.execution.block_context import Interrupted
from microrollup.execution.faults import describe_error
from microrollup.execution.metering import add_framework, collect_trees
from microrollup.guard.metered import MeteredCode
from microrollup.guard.stack import with_room
from microrollup.guard.steps import LimitReached
from microrollup.primitives import MAX_ENVELOPE_BYTES, Bytes32, Uint64

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["EnvelopeOpener", "Enveloped", "describe_enveloped"]

_HASH_BYTES: Final = 32
_MAX_REASON: Final = 200
"""Characters of the reason why bytes do not open that are shown."""
_BEYOND: Final = (Interrupted, KeyboardInterrupt, MemoryError, RecursionError)
"""What tells nothing of the bytes."""


class Enveloped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What came in an envelope, as the writer takes it: it opened, and holds this action."""

    record: bytes
    """`["envelope", name, raw]`."""
    name: str
    hash: Bytes32
    """What the envelope gives itself; its identity in the log is made of it."""
    action: bytes
    """See `EnvelopeType.encode_action`."""
    seconds: float
    """What opening took: nothing that is committed to."""
    version: Uint64 = 0
    """Under which of the app's versions it was opened, 0 for the oldest."""
    steps: Uint64 = 0
    """What opening it was charged: the same on every machine."""


class EnvelopeOpener:
    """Opens the envelopes of one rollup."""

    def __init__(self, rollup: MicroRollup) -> None:
        self._rollup = rollup

    def open_record(self, record: bytes, *, twice: bool = False) -> Enveloped:
        """Open a stored record. Raises `DecodeError` for other bytes, and what `open` raises."""
        decoded = decode_envelope_record(record)
        return self.open(decoded.name, decoded.raw, twice=twice)

    def open(self, name: str, raw: bytes, *, twice: bool = False) -> Enveloped:
        """Open what comes in the envelope of that name. Raises `UnknownEnvelope` and `BadEnvelope`; `LimitExceeded` if
        this process has too little memory, which says nothing about the bytes.

        `twice` opens again and compares, as verifiers execute: `ImpureStf` if the outcome is another one.
        """
        envelope = self._rollup.envelopes.get(name)
        if envelope is None:
            known = ", ".join(self._rollup.envelopes)
            has = f"it has {known}" if known else "it has none"
            raise UnknownEnvelope(f"this rollup has no envelope {clip(name)}; {has}")
        if not MIN_ENVELOPE_BYTES <= len(raw) <= MAX_ENVELOPE_BYTES:
            raise BadEnvelope(f"{len(raw)} bytes; an envelope has {MIN_ENVELOPE_BYTES} to {MAX_ENVELOPE_BYTES}")
        code, began = _get_code(self._rollup), time.thread_time()
        try:
            outcome, steps = _try(code, envelope, raw)
            if twice and _outline(envelope, outcome) != _outline(envelope, _try(code, envelope, raw)[0]):
                raise ImpureStf(f"the envelope {name} gives another outcome when it is opened again: 0x{raw.hex()}")
        except (MemoryError, RecursionError) as limit:
            raise LimitExceeded(f"opening {name} takes more memory or stack than there is: {limit!r}") from None
        seconds = time.thread_time() - began
        if isinstance(outcome, _Unopened):
            raise BadEnvelope(f"{name}: {outcome}", seconds, steps)
        record, version = encode_envelope_record(name, raw), len(self._rollup.versions) - 1
        return Enveloped(record, name, outcome.hash, envelope.encode_action(outcome.action), seconds, version, steps)


_made: WeakKeyDictionary[MicroRollup, MeteredCode | None] = WeakKeyDictionary()


def _get_code(rollup: MicroRollup) -> MeteredCode | None:
    """The metered form, with a meter of its own: other threads open envelopes while an STF runs.

    None for code without an identity, which no ledger executes.
    """
    if rollup not in _made:
        try:
            _, trees = rollup.manifest, collect_trees(rollup)
        except DeclarationError:
            _made[rollup] = None
        else:
            code = MeteredCode()
            add_framework(code)
            code.build(trees)
            _made[rollup] = code
    return _made[rollup]


class _Unopened(Exception):
    """Why bytes do not open."""


def _try(code: MeteredCode | None, envelope: EnvelopeType, raw: bytes) -> tuple[Opened | _Unopened, int]:
    """What opening gives, and the steps that it took; 0 where nothing counts them."""
    steps = [0]
    try:
        return _run(code, envelope, raw, steps), steps[0]
    except _Unopened as unopened:
        return unopened.with_traceback(None), steps[0]


def _outline(envelope: EnvelopeType, outcome: Opened | _Unopened) -> tuple[bytes, bytes] | None:
    """All of an outcome that a block depends on; None for all that do not open, whatever the reason."""
    return None if isinstance(outcome, _Unopened) else (outcome.hash, envelope.encode_action(outcome.action))


@with_room
def _run(code: MeteredCode | None, envelope: EnvelopeType, raw: bytes, steps: list[int]) -> Opened:
    """Open, check, encode again; raises `_Unopened` for whatever is not as it should be. `steps` gets what it took."""
    own, cls = envelope.cls(), envelope.cls
    if code is None:
        return _open(envelope, raw, own, cls.open, cls.encode)
    read, write = (code.find(function) or function for function in (cls.open, cls.encode))
    with code.meter as meter:
        try:
            opened = _open(envelope, raw, own, read, write)
        except LimitReached as reached:
            raise _Unopened(f"opening it hits the limit of {meter.limit or reached.limit}") from None
        finally:
            limit, steps[0] = meter.limit, meter.count_taken()
    if limit is not None:  # an app that has caught it
        raise _Unopened(f"opening it hits the limit of {limit}")
    return opened


def _open(
    envelope: EnvelopeType, raw: bytes, own: Envelope, read: Callable[..., Any], write: Callable[..., Any]
) -> Opened:
    """Open and write again. Raises `_Unopened`, and `LimitReached` where it is metered."""
    try:
        opened = read(own, raw)
        _check(envelope, opened)
        again = write(own, opened)
    except (_Unopened, LimitReached, *_BEYOND):
        raise
    except BaseException as error:  # whatever class the app made up for it
        raise _Unopened(_describe(error)) from None
    if type(again) is not bytes or again != raw:
        raise _Unopened("its bytes are not the form that its content has when it is written again")
    return cast("Opened", opened)


def _check(envelope: EnvelopeType, opened: Any) -> None:
    """Raises `_Unopened` unless `open` gave an action of this envelope, its values in their bounds, and a hash."""
    if not isinstance(opened, Opened):
        raise _Unopened("open gives no Opened(action, hash)")
    action_type = envelope.by_class.get(type(opened.action))
    if action_type is None:
        raise _Unopened("open gives an action that does not come in this envelope")
    try:
        action_type.check(opened.action)
    except ValueOutOfBounds as error:
        raise _Unopened(str(error)) from None
    if type(opened.hash) is not bytes or len(opened.hash) != _HASH_BYTES:
        raise _Unopened(f"open gives a hash that is not {_HASH_BYTES} bytes")


def _describe(error: BaseException) -> str:
    """An exception of the app in few words: the reason of a `Revert`, others by their class."""
    if isinstance(error, Revert) and type(error.reason) is str:
        return repr(error.reason[:_MAX_REASON])
    return describe_error(error)


def describe_enveloped(rollup: MicroRollup, enveloped: Enveloped) -> tuple[str, dict[str, Any]]:
    """The name of the action's type, and its members as plain objects."""
    envelope = rollup.envelopes[enveloped.name]
    action = envelope.decode_action(enveloped.action)
    action_type = envelope.by_class[type(action)]
    return action_type.name, action_type.to_message(action)
