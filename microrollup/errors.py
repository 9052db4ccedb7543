"""Every error that microrollup raises on purpose; one class a cause, carrying the values that explain it.

    MicrorollupError
    ├── DeclarationError            a rollup is declared in a way that cannot work (for its author)
    ├── UsageError                  a command or call that cannot be carried out as asked
    ├── RefusedError                an action that is not logged; `code` says why, nothing is consumed
    │   ├── form:       NotJson, InvalidUtf8, TooLarge, TooDeep, DuplicateMember, UnknownType, UnknownMember,
    │   │               MissingMember, WrongJsonType, WrongLength, OutOfRange, BadHex
    │   ├── signature:  BadSignature, HighS, UnknownScheme, SenderMismatch
    │   ├── passkey:    BadClientData, WrongChallenge, UserNotVerified
    │   └── order:      DuplicateAction, NonceUsed, NonceGap, NonceTooHigh, QueueFull, ActionLimit
    ├── DecodeError                 bytes of a binary form are malformed or not canonical
    ├── ValueOutOfBounds            a value does not fit its declared type
    ├── ImpureStf                   a state transition function changed its pre-state in place (verifier's audit)
    ├── WorkerDied                  a worker process ended while it had work; nothing of that work is lost or known
    ├── LimitExceeded               a time, memory or recursion limit was hit (never a verdict on a block)
    ├── L1Behind                    a block is bound to an L1 block that this view of L1 does not have yet
    ├── Divergence                  a block is not what re-execution gives: height, seq, field, expected, found
    ├── StoreError                  StoreCorrupt, StoreLocked, StoreFormat, StoreMissing, WrongRollup, CommitFailed,
    │                               NotRetained
    ├── ProofError                  a Merkle proof does not prove what it claims
    │   └── receipt:    WrongBlock, ForeignRollup, WrongSeal
    ├── SnapshotError               a snapshot is damaged or is not of the header that it names
    ├── IntakeStopped               the sequencer takes no actions any more; says why and what to do
    ├── AcknowledgementError        a signed acknowledgement is not what it should be: WrongOperator, ReceiptMismatch
    ├── AttestationConflict         a verifier is asked to sign a second block hash for one height
    ├── ClientError                 a node could not be used over the network; one class a cause (`client.errors`)
    ├── SourceUnavailable           blocks cannot be fetched from where they are to come from
    ├── L1Error                     L1 cannot be read, or takes no transaction (see `settlement.ethereum.errors`)
    └── SettlementError             what the inbox refuses; one class a rule (see `microrollup.settlement`)

Errors of other libraries are mapped to these where they enter.
"""

from __future__ import annotations

from typing import ClassVar


class MicrorollupError(Exception):
    """Root of all errors raised on purpose by microrollup."""


class DeclarationError(MicrorollupError):
    """A state, action or rollup is declared in a way that cannot work."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class UsageError(MicrorollupError):
    """A command or call that cannot be carried out as asked; the text says what to do instead."""


class RefusedError(MicrorollupError):
    """An action that is refused: never logged, nothing consumed. `code` is stable and meant for programs."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotJson(RefusedError):
    """The bytes are UTF-8 but not one JSON object."""

    code = "not_json"


class InvalidUtf8(RefusedError):
    """The bytes are not UTF-8."""

    code = "invalid_utf8"


class TooLarge(RefusedError):
    """A signed action is longer than `MAX_ACTION_BYTES`."""

    code = "too_large"


class TooDeep(RefusedError):
    """The JSON nests deeper than `MAX_JSON_DEPTH`."""

    code = "too_deep"


class DuplicateMember(RefusedError):
    """A JSON object names a member twice."""

    code = "duplicate_member"


class UnknownType(RefusedError):
    """The rollup declares no action of that name."""

    code = "unknown_type"


class UnknownMember(RefusedError):
    """A member that the type does not have."""

    code = "unknown_member"


class MissingMember(RefusedError):
    """A member of the type is absent."""

    code = "missing_member"


class WrongJsonType(RefusedError):
    """A member has another JSON type than its field, or a number that is not a plain integer."""

    code = "wrong_type"


class WrongLength(RefusedError):
    """Bytes of a fixed-size field (or a signature) have another length."""

    code = "wrong_length"


class OutOfRange(RefusedError):
    """An integer does not fit its field."""

    code = "out_of_range"


class BadHex(RefusedError):
    """A byte string is not `0x` followed by pairs of hex digits."""

    code = "bad_hex"


class BadSignature(RefusedError):
    """The signature is of no known form, or no key can have made it."""

    code = "bad_signature"


class HighS(RefusedError):
    """The signature has the high one of the two possible s values (EIP-2)."""

    code = "high_s"


class UnknownScheme(RefusedError):
    """The first byte of a signature, neither 64 nor 65 bytes long, names no signature scheme."""

    code = "unknown_scheme"


class SenderMismatch(RefusedError):
    """The signature gives another sender than the one stated: another domain or message was signed."""

    code = "sender_mismatch"


class BadClientData(RefusedError):
    """A WebAuthn assertion's clientDataJSON is not strict UTF-8 JSON of an assertion."""

    code = "bad_client_data"


class WrongChallenge(RefusedError):
    """A WebAuthn assertion's challenge is not the action's digest: another domain or message was signed."""

    code = "wrong_challenge"


class UserNotVerified(RefusedError):
    """A WebAuthn authenticator did not see its user, or did not verify that it was its user."""

    code = "user_not_verified"


class DuplicateAction(RefusedError):
    """The very same action is in the log already; `seq` says where (-1: it waits for lower nonces)."""

    code = "duplicate"

    def __init__(self, detail: str, seq: int) -> None:
        super().__init__(detail)
        self.seq = seq


class NonceUsed(RefusedError):
    """The sender's nonce was consumed by another action."""

    code = "nonce_used"


class NonceGap(RefusedError):
    """Actions with lower nonces never came."""

    code = "nonce_gap"


class NonceTooHigh(RefusedError):
    """The nonce is further ahead than the gap queue of a sender reaches."""

    code = "nonce_too_high"


class QueueFull(RefusedError):
    """The gap queue holds as many actions as it may."""

    code = "queue_full"


class ActionLimit(RefusedError):
    """Executing the action hits the sequencer's limit of time, memory or recursion."""

    code = "action_limit"


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
    """A state transition function changed its pre-state in place; the app is at fault, not the block."""


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


class Divergence(MicrorollupError):
    """A block is not what re-execution gives; names the first field that differs.

    `height` is the block's, `seq` the action's where one is to blame, `expected` is what was computed here and
    `found` what the block says.
    """

    def __init__(self, field: str, *, height: int, seq: int | None = None, expected: object, found: object) -> None:
        at = f"height {height}" if seq is None else f"height {height}, seq {seq}"
        super().__init__(f"{field} differs at {at}: expected {_show(expected)}, found {_show(found)}")
        self.field = field
        self.height = height
        self.seq = seq
        self.expected = expected
        self.found = found


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else repr(value)


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
    """The store was written by a newer format."""


class StoreMissing(StoreError):
    """There is no store where one should be."""


class WrongRollup(StoreError):
    """The store, file or settlement belongs to another rollup, or to another version of the app."""


class CommitFailed(StoreError):
    """A transaction could not be made durable. Nothing of it was acknowledged; intake stops until a restart."""


class NotRetained(StoreError):
    """The height is older than what the store keeps for proofs; `replay` can rebuild it."""


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
    """A node could not be used over the network. The classes below it stand in `microrollup.client.errors`."""


class SourceUnavailable(MicrorollupError):
    """Blocks cannot be had from where they are to come from: no connection, or an answer that is none."""


class SettlementError(MicrorollupError):
    """What the inbox refuses. The classes below it stand in `microrollup.settlement.errors`, one a rule."""
