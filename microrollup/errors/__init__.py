"""Every error that microrollup raises on purpose; one class per cause, with the values that explain it.

    MicrorollupError
    ├── DeclarationError            a rollup is declared in a way that cannot work (for its author)
    ├── UsageError                  a command or call that cannot be carried out as asked
    │   └── OtherCode               the app that is loaded is not the code that built a block (`ledger.code`)
    ├── RefusedError                an action that is not logged; `code` says why, nothing is consumed
    │   ├── form:       NotJson, InvalidUtf8, TooLarge, TooDeep, DuplicateMember, UnknownType, UnknownMember,
    │   │               MissingMember, WrongJsonType, WrongLength, OutOfRange, BadHex
    │   ├── signature:  BadSignature, HighS, UnknownScheme, SenderMismatch, SenderRequired, DomainChanged
    │   ├── passkey:    BadClientData, WrongChallenge, UserNotVerified
    │   ├── envelope:   UnknownEnvelope, BadEnvelope, EnvelopeRejected, EnvelopeFaulted
    │   └── order:      DuplicateAction, NonceUsed, NonceGap, NonceTooHigh, QueueFull, ActionLimit, BudgetSpent,
    │                   NotAdmitted, RejectionsSpent, ThroughL1
    ├── DecodeError                 bytes of a binary form are malformed or not canonical
    ├── ValueOutOfBounds            a value does not fit its declared type
    ├── ImpureStf                   a state transition function changed its pre-state, or gave two outcomes (verifier)
    ├── WorkerDied                  a worker process ended while it had work; nothing of that work is lost or known
    ├── LimitExceeded               a time, memory or recursion limit was hit (never a verdict on a block)
    ├── L1Behind, NotJudgedYet      a block is bound to an L1 block that this view of L1 lacks, or may still lose
    ├── Divergence                  a block is not what re-execution gives: height, seq, field, expected, found
    ├── StoreError                  StoreCorrupt, StoreLocked, StoreFormat, StoreMissing, WrongRollup, CommitFailed,
    │                               NotRetained, IndexNotReady
    ├── ProofError                  a Merkle proof does not prove what it claims
    │   └── receipt:    WrongBlock, ForeignRollup, WrongSeal
    ├── SnapshotError               a snapshot is damaged or is not of the header that it names
    ├── IntakeStopped               the sequencer takes no actions any more; says why and what to do
    ├── AcknowledgementError        a signed acknowledgement is not what it should be: WrongOperator, ReceiptMismatch
    ├── AttestationConflict         a verifier is asked to sign a second block hash for one height
    ├── ClientError                 a node could not be used over the network; one class per cause (`client.errors`)
    ├── SourceUnavailable           blocks cannot be fetched from where they are to come from
    ├── L1Error                     L1 cannot be read, or takes no transaction (see `settlement.ethereum.errors`)
    └── SettlementError             what the inbox refuses; one class per rule (see `microrollup.settlement`)

Errors of other libraries are mapped to these where they enter.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from microrollup.errors.refusals import (
    ActionLimit,
    BadClientData,
    BadEnvelope,
    BadHex,
    BadSignature,
    BudgetSpent,
    DomainChanged,
    DuplicateAction,
    DuplicateMember,
    EnvelopeFaulted,
    EnvelopeRejected,
    HighS,
    InvalidUtf8,
    MissingMember,
    NonceGap,
    NonceTooHigh,
    NonceUsed,
    NotAdmitted,
    NotJson,
    OutOfRange,
    QueueFull,
    RefusedError,
    RejectionsSpent,
    SenderMismatch,
    SenderRequired,
    ThroughL1,
    TooDeep,
    TooLarge,
    UnknownEnvelope,
    UnknownMember,
    UnknownScheme,
    UnknownType,
    UserNotVerified,
    WrongChallenge,
    WrongJsonType,
    WrongLength,
)
from microrollup.errors.root import MicrorollupError

__all__ = [
    "AcknowledgementError",
    "ActionLimit",
    "AttestationConflict",
    "BadClientData",
    "BadEnvelope",
    "BadHex",
    "BadSignature",
    "BudgetSpent",
    "ClientError",
    "CommitFailed",
    "DeclarationError",
    "DecodeError",
    "Divergence",
    "DomainChanged",
    "DuplicateAction",
    "DuplicateMember",
    "EnvelopeFaulted",
    "EnvelopeRejected",
    "ForeignRollup",
    "HighS",
    "ImpureStf",
    "IndexNotReady",
    "IntakeStopped",
    "InvalidUtf8",
    "L1Behind",
    "LimitExceeded",
    "MicrorollupError",
    "MissingMember",
    "NonceGap",
    "NonceTooHigh",
    "NonceUsed",
    "NotAdmitted",
    "NotJson",
    "NotRetained",
    "OutOfRange",
    "ProofError",
    "QueueFull",
    "ReceiptMismatch",
    "RefusedError",
    "RejectionsSpent",
    "SenderMismatch",
    "SenderRequired",
    "SettlementError",
    "SnapshotError",
    "SourceUnavailable",
    "StoreCorrupt",
    "StoreError",
    "StoreFormat",
    "StoreLocked",
    "StoreMissing",
    "ThroughL1",
    "TooDeep",
    "TooLarge",
    "UnknownEnvelope",
    "UnknownMember",
    "UnknownScheme",
    "UnknownType",
    "UsageError",
    "UserNotVerified",
    "ValueOutOfBounds",
    "WorkerDied",
    "WrongBlock",
    "WrongChallenge",
    "WrongJsonType",
    "WrongLength",
    "WrongOperator",
    "WrongRollup",
    "WrongSeal",
    "show_value",
]


class DeclarationError(MicrorollupError):
    """A state, action or rollup is declared in a way that cannot work."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class UsageError(MicrorollupError):
    """A command or call that cannot be carried out as asked; the text says what to do instead."""


class DecodeError(MicrorollupError):
    """Bytes of a binary form are malformed, too large, or not the canonical encoding of what they hold."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class ValueOutOfBounds(MicrorollupError):
    """A Python value does not fit the declared type of its field."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class ImpureStf(MicrorollupError):
    """A state transition function changed its pre-state in place, or it or an envelope gave two outcomes; the app is at
    fault.
    """


class WorkerDied(MicrorollupError):
    """A worker process ended, or could not start, while it had work to do; the text says which work."""


class LimitExceeded(MicrorollupError):
    """A limit on time, memory or recursion was hit. It says nothing about whether a block is right."""


class L1Behind(MicrorollupError):
    """A block is bound to an L1 block that this view of L1 lacks (yet): no verdict on the block."""

    def __init__(self, height: int, l1_origin: int, number: int) -> None:
        super().__init__(
            f"block {height} is bound to L1 block {l1_origin}, and this view of L1 ends below {number}: wait until it"
            " has come so far, or ask another L1 node; if that does not help, the builder looks ahead"
        )
        self.height, self.l1_origin, self.number = height, l1_origin, number


def show_value(value: object) -> str:
    """A value as messages show it: bytes as 0x-hex digits, anything else as Python writes it."""
    return f"0x{value.hex()}" if isinstance(value, bytes) else repr(value)


class Divergence(MicrorollupError):
    """A block is not what re-execution gives; names the first field that differs.

    `height` is the block's, `seq` the action's where one is to blame, `expected` is what was computed here and
    `found` what the block says.
    """

    def __init__(self, field: str, *, height: int, seq: int | None = None, expected: object, found: object) -> None:
        at = f"height {height}" if seq is None else f"height {height}, seq {seq}"
        super().__init__(f"{field} differs at {at}: expected {show_value(expected)}, found {show_value(found)}")
        self.field = field
        self.height = height
        self.seq = seq
        self.expected = expected
        self.found = found


class StoreError(MicrorollupError):
    """Something is wrong with a store on disk."""


class StoreCorrupt(StoreError):
    """What the store holds contradicts itself. `where` names table and key; `scrub` lists all of it."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class StoreLocked(StoreError):
    """Another process (or this one) has the store open for writing."""


class StoreFormat(StoreError):
    """The store was written in another format; the text says what to do."""


class StoreMissing(StoreError):
    """There is no store where one should be."""


class WrongRollup(StoreError):
    """The store, file or settlement belongs to another rollup, or to another version of the app."""


class CommitFailed(StoreError):
    """A transaction could not be made durable. Nothing of it was acknowledged; intake stops until a restart."""


class NotRetained(StoreError):
    """The height is older than what the store keeps for proofs; `replay` can rebuild it."""


IndexCode: TypeAlias = Literal["index_building", "index_failed"]


class IndexNotReady(StoreError):
    """An index has no rows for a height.

    `code` is "index_building" while it is being filled up to `tip` and has come to `reached` (-1: none yet), or
    "index_failed" if its function failed at the block above `reached`.
    """

    def __init__(self, code: IndexCode, index: str, *, height: int, reached: int, tip: int, reason: str = "") -> None:
        if code == "index_failed":
            words = f"the index {index} stopped after {_show_height(reached)}: {reason}"
        else:
            words = f"the index {index} is being built: it has reached {_show_height(reached)} of {tip}"
        super().__init__(f"{words}; height {height} is wanted" if height != tip else words)
        self.code: IndexCode = code
        self.index = index
        self.height = height
        self.reached = reached
        self.tip = tip


def _show_height(reached: int) -> str:
    return "no height" if reached < 0 else f"height {reached}"


class ProofError(MicrorollupError):
    """A Merkle proof does not prove what it claims."""


class WrongBlock(ProofError):
    """A proof's header is not that of the block which it is shown for; `expected` and `found` are block hashes."""

    def __init__(self, reason: str, *, expected: bytes, found: bytes) -> None:
        super().__init__(f"{reason}: expected 0x{expected.hex()}, found 0x{found.hex()}")
        self.expected = expected
        self.found = found


class ForeignRollup(ProofError):
    """A proof's header is another rollup's; `expected` and `found` are rollup ids."""

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(f"the header is of rollup 0x{found.hex()}, not of 0x{expected.hex()}")
        self.expected = expected
        self.found = found


class WrongSeal(ProofError):
    """A header is not sealed by its builder (`expected`, None for anybody); `found` is None if no key can have."""

    def __init__(self, expected: bytes | None, found: bytes | None) -> None:
        sealer = "nobody" if found is None else f"0x{found.hex()}"
        builder = "" if expected is None else f", not by the builder 0x{expected.hex()}"
        super().__init__(f"the header is sealed by {sealer}{builder}")
        self.expected = expected
        self.found = found


class AcknowledgementError(MicrorollupError):
    """A signed acknowledgement does not bind the operator to what it is shown for."""


class WrongOperator(AcknowledgementError):
    """Not the operator's signature over these words in this domain; `found` is None if no key can have made it."""

    def __init__(self, expected: bytes, found: bytes | None) -> None:
        signer = "nobody" if found is None else f"0x{found.hex()}"
        super().__init__(f"the acknowledgement is signed by {signer}, not by the operator 0x{expected.hex()}")
        self.expected = expected
        self.found = found


class ReceiptMismatch(AcknowledgementError):
    """The operator signed another receipt than the one that is shown."""


class SnapshotError(MicrorollupError):
    """A snapshot is damaged, or is not of the header that it names."""


class IntakeStopped(MicrorollupError):
    """The sequencer takes no actions any more; the text says why and what to do."""


class AttestationConflict(MicrorollupError):
    """A verifier was asked to sign a second block hash for a height that it has signed before."""

    def __init__(self, height: int, signed: bytes, asked: bytes) -> None:
        super().__init__(f"height {height}: already signed 0x{signed.hex()}, asked to sign 0x{asked.hex()}")
        self.height = height
        self.signed = signed
        self.asked = asked


class ClientError(MicrorollupError):
    """A node could not be used over the network. The classes below it are in `microrollup.client.errors`."""


class SourceUnavailable(MicrorollupError):
    """Blocks cannot be fetched from their source: no connection, or a malformed answer."""


class SettlementError(MicrorollupError):
    """What the inbox refuses. The classes below it are in `microrollup.settlement.errors`, one per rule."""
