"""What an action is refused with; `code` is stable, and each code is said once."""

from __future__ import annotations

from typing import ClassVar

from microrollup.errors.root import MicrorollupError

__all__ = [
    "ActionLimit",
    "BadClientData",
    "BadEnvelope",
    "BadHex",
    "BudgetSpent",
    "BadSignature",
    "DomainChanged",
    "DuplicateAction",
    "DuplicateMember",
    "EnvelopeFaulted",
    "EnvelopeRejected",
    "HighS",
    "InvalidUtf8",
    "MissingMember",
    "NonceGap",
    "NonceTooHigh",
    "NonceUsed",
    "NotAdmitted",
    "NotJson",
    "OutOfRange",
    "QueueFull",
    "RefusedError",
    "RejectionsSpent",
    "SenderMismatch",
    "SenderRequired",
    "ThroughL1",
    "TooDeep",
    "TooLarge",
    "UnknownEnvelope",
    "UnknownMember",
    "UnknownScheme",
    "UnknownType",
    "UserNotVerified",
    "WrongChallenge",
    "WrongJsonType",
    "WrongLength",
]


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


class DomainChanged(RefusedError):
    """The rollup was upgraded after this was signed: the EIP-712 domain has another version. Ask for `rollup_config`,
    and sign again.
    """

    code = "domain_changed"


class SenderRequired(RefusedError):
    """A rollup that was upgraded takes a wallet's action only with its `sender`: signed under another version's domain,
    the signature would give a sender that nobody is.
    """

    code = "sender_required"


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


class BudgetSpent(RefusedError):
    """The client that handed it in has used its share of the sequencer's execution time; later there is more."""

    code = "budget_spent"


class NotAdmitted(RefusedError):
    """The node's policy, which the app declares, does not take the action now: as where nobody pays for it."""

    code = "not_admitted"


class RejectionsSpent(RefusedError):
    """The sender's actions were rejected too often a short time ago; later the node takes more."""

    code = "rejections_spent"


class ThroughL1(RefusedError):
    """The rollup is based: this goes through L1, and not through a node; the detail says how."""

    code = "through_l1"


class UnknownEnvelope(RefusedError):
    """The rollup has no envelope of that name."""

    code = "unknown_envelope"


class BadEnvelope(RefusedError):
    """The envelope's bytes do not open: its own format, or what authorises it, is not as the app asks for."""

    code = "bad_envelope"

    def __init__(self, detail: str, seconds: float = 0.0, steps: int = 0) -> None:
        super().__init__(detail)
        self.seconds = seconds
        """What opening it took; counts against the client's share."""
        self.steps = steps
        """What was charged for it: in the queue it counts against the block's budget."""


class EnvelopeRejected(RefusedError):
    """The state transition function rejects what came in the envelope; nobody would be charged for it in the log."""

    code = "envelope_rejected"


class EnvelopeFaulted(RefusedError):
    """The state transition function fails on what came in the envelope."""

    code = "envelope_faulted"


class ActionLimit(RefusedError):
    """Executing the action hits the sequencer's limit of time, memory or recursion, or it changes too much."""

    code = "action_limit"
