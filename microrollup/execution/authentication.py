"""Authentication: from untrusted bytes to an action whose sender is known, or that came in an envelope of the app.
Stateless, so it runs in worker processes.

Many are authenticated in two phases: each is read, then the wallets' signatures are recovered in one loop, which does
nothing else. Errors are those of one alone, each at its place.

A line of JSON is read several times as fast where its text is the one that msgspec itself would write; every other text
goes through the strict parser, which is the definition and gives the reasons of refusals. All lead to the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from microrollup.chain.envelope_record import is_envelope_record
from microrollup.chain.record import DomainConfig
from microrollup.codec.json import check_members, read_hex
from microrollup.codec.json_text import clip, is_shallow, parse_json
from microrollup.crypto.ecdsa import NO_KEY, recover_addresses
from microrollup.crypto.eip712 import (
    compile_member_digest,
    compile_preimage,
    compute_digests,
    compute_domain_separator,
)
from microrollup.crypto.keccak import keccak256, keccak256_many
from microrollup.crypto.signatures.costs import count_signature_steps
from microrollup.crypto.signatures.schemes import MIN_SIGNATURE_BYTES, canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.declaration.action import ActionType, ActionTypes
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.signed_line import LineReader
from microrollup.errors import (
    ActionLimit,
    BadSignature,
    DecodeError,
    LimitExceeded,
    NotJson,
    RefusedError,
    SenderMismatch,
    SenderRequired,
    TooLarge,
    UnknownEnvelope,
    UnknownType,
    WrongJsonType,
    WrongLength,
)
from microrollup.execution.envelope import Enveloped, EnvelopeOpener
from microrollup.primitives import MAX_ACTION_BYTES, MAX_ENVELOPE_BYTES, Address, Bytes32, Uint64

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = [
    "MAX_LINE_BYTES",
    "Authenticated",
    "Authentication",
    "Authenticator",
    "compute_action_hash",
    "may_be_envelope",
    "parse_json_fast",
]

MAX_LINE_BYTES: Final = 2 * MAX_ENVELOPE_BYTES + 128
"""The JSON form of anything that a rollup takes; a signed action's has at most `MAX_ACTION_BYTES`."""

_MEMBERS: Final = frozenset({"type", "message", "signature"})
_OPTIONAL_MEMBERS: Final = frozenset({"sender"})
_ENVELOPE_MEMBERS: Final = frozenset({"envelope", "raw"})
_ADDRESS_BYTES: Final = 20
_SHOWN_TYPES: Final = 20
_WHAT: Final = "signed action"

_JSON_DECODER: Final = msgspec.json.Decoder()
_JSON_ENCODER: Final = msgspec.json.Encoder()

Preimage = Callable[[Any, int], bytes]


class Authenticated(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A signed action as the writer takes it: what to store, who signed it, and its identity."""

    record: bytes
    """Canonical msgpack `[type, [members...], nonce, signature]`."""
    sender: Address
    """20 bytes that the signature gives: an Ethereum address, or what another scheme makes of its key."""
    nonce: Uint64
    action_hash: Bytes32
    """See `compute_action_hash`."""
    version: Uint64 = 0
    """Under which of the app's versions it was signed, 0 for the oldest."""


Authentication: TypeAlias = Authenticated | Enveloped | RefusedError | DecodeError
"""What becomes of one line (never a `DecodeError`) or of one record."""


class _Read(msgspec.Struct, frozen=True, gc=False):
    """A signed action that was read, between the two phases: who made its secp256k1 signature is not known yet."""

    record: bytes
    nonce: int
    preimage: bytes
    """Of the digest that was signed."""
    signature: bytes
    stated: bytes | None
    """The sender that the line states."""


def compute_action_hash(digest: bytes, sender: bytes) -> bytes:
    """The identity of a signed action: `keccak256(digest(32) || sender(20))`; the signature is not part of it."""
    return keccak256(digest + sender)


class Authenticator:
    """Turns lines and records of one rollup's signed actions into `Authenticated` ones. Knows nothing of the state."""

    def __init__(
        self,
        action_types: ActionTypes,
        domain: DomainConfig,
        *,
        opener: EnvelopeOpener | None = None,
        parse: Callable[[bytes], Any] | None = None,
        version: int = 0,
        twice: bool = False,
    ) -> None:
        """Compile the digests of all action types under an EIP-712 domain; `opener` opens the rollup's envelopes, those
        of records `twice` (see `EnvelopeOpener.open`).

        `parse` reads a line into plain objects; `parse_json` is the definition. Without it a faster equal is taken,
        after a try by the types' own forms. From `version` 1 on, of an app that was upgraded, lines that a wallet has
        signed must state their sender.
        """
        self.version: Final = version
        self._twice: Final = twice
        self._parse = parse or parse_json_fast
        self._opener = opener
        self._max_bytes = MAX_ACTION_BYTES if opener is None else MAX_LINE_BYTES
        separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
        self._separator = separator
        self._action_types = action_types
        self._preimages: dict[str, Preimage] = {
            name: compile_preimage(action_type.type) for name, action_type in action_types.by_name.items()
        }
        by_name = action_types.by_name
        self._line_reader = LineReader(by_name.values()) if by_name and parse is None else None

    @classmethod
    def of(cls, rollup: MicroRollup, domain: DomainConfig, *, twice: bool = False) -> Self:
        """That of all that one version of an app takes; `domain` is that of the rollup's genesis, which names the
        inbox. Envelopes of records are opened `twice` if that is said.
        """
        if rollup.previous is not None:
            domain = rollup.make_domain(domain.chain_id, domain.verifying_contract)
        opener = EnvelopeOpener(rollup) if rollup.envelopes else None
        return cls(rollup.action_types, domain, opener=opener, version=len(rollup.versions) - 1, twice=twice)

    def authenticate_line(self, line: bytes) -> Authenticated | Enveloped:
        """Authenticate the JSON form of a signed action or of an envelope, without a line end.

        Raises a class of `RefusedError`; its `code` says which rule the line breaks.
        """
        outcome = self._read_line(line)
        return outcome if isinstance(outcome, Enveloped) else self._finish(outcome)

    def authenticate_lines(self, lines: Iterable[bytes]) -> list[Authentication]:
        """`authenticate_line` of many, in order, with what it would have raised as the outcome of its line."""
        return self._authenticate_all(self._read_line, lines)

    def authenticate_records(self, records: Iterable[bytes]) -> list[Authentication]:
        """`authenticate_record` of many, in order, with the `RefusedError` or `DecodeError` that it would have raised
        as the outcome of its record.
        """
        return self._authenticate_all(self._read_record, records)

    def _authenticate_all(
        self, read: Callable[[bytes], Authenticated | Enveloped | _Read], items: Iterable[bytes]
    ) -> list[Authentication]:
        outcomes: list[Authentication | _Read] = []
        for item in items:
            try:
                outcomes.append(read(item))
            except (RefusedError, DecodeError) as error:
                outcomes.append(error.with_traceback(None))  # this frame would keep it, and it this frame
        waiting = [outcome for outcome in outcomes if isinstance(outcome, _Read)]
        found = iter(self._recover_wallets(waiting))
        return [self._conclude(one, *next(found)) if isinstance(one, _Read) else one for one in outcomes]

    def _recover_wallets(self, waiting: Sequence[_Read]) -> Iterable[tuple[bytes | None, bytes]]:
        """Of each that waits its sender, or None, and its action hash, which means nothing without a sender."""
        digests = compute_digests([one.preimage for one in waiting], self._separator)
        senders = recover_addresses(digests, [one.signature for one in waiting])
        hashes = keccak256_many([digest + (sender or b"") for digest, sender in zip(digests, senders, strict=True)])
        return zip(senders, hashes, strict=True)

    def _finish(self, read: Authenticated | _Read) -> Authenticated:
        """The second phase of one alone. Raises what `_conclude` returns."""
        if isinstance(read, Authenticated):
            return read
        (found,) = self._recover_wallets((read,))
        outcome = self._conclude(read, *found)
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    def _conclude(self, read: _Read, sender: bytes | None, action_hash: bytes) -> Authenticated | RefusedError:
        """What a signed action comes to whose signature gives this sender, or none."""
        if sender is None:
            return BadSignature(NO_KEY)
        if read.stated is not None and read.stated != sender:
            return _describe_mismatch(read.stated, sender)
        return Authenticated(read.record, sender, read.nonce, action_hash, self.version)

    def _read_line(self, line: bytes) -> Authenticated | Enveloped | _Read:
        """The first phase of a line: all but a wallet's signature. Raises as `authenticate_line`."""
        if len(line) > self._max_bytes:
            raise TooLarge(f"{len(line)} bytes, the limit is {self._max_bytes}")
        if self._line_reader is not None and len(line) <= MAX_ACTION_BYTES:
            typed = self._line_reader.read(line)
            if typed is not None:
                action_type, members = typed
                action, nonce = action_type.read_values(astuple(members.message))
                return self._read_signature(action_type, action, nonce, members.signature, members.sender)
        document = self._parse(line)
        if type(document) is not dict:
            raise NotJson("not a JSON object")
        if self._opener is not None and "envelope" in document:
            return self._open_line(self._opener, document)
        if len(line) > MAX_ACTION_BYTES:
            raise TooLarge(f"{len(line)} bytes, the limit is {MAX_ACTION_BYTES}")
        return self._read_document(document)

    def _open_line(self, opener: EnvelopeOpener, document: dict[str, Any]) -> Enveloped:
        check_members(document, _ENVELOPE_MEMBERS, "the envelope")
        name = document["envelope"]
        if type(name) is not str:
            raise WrongJsonType("envelope is not a string")
        raw = read_hex(document["raw"], "raw")
        try:
            return opener.open(name, raw)
        except LimitExceeded as limit:
            raise ActionLimit(str(limit)) from None

    def _read_document(self, document: dict[str, Any]) -> Authenticated | _Read:
        check_members(document, _MEMBERS, "the action", _OPTIONAL_MEMBERS)
        name = document["type"]
        if type(name) is not str:
            raise WrongJsonType("type is not a string")
        action_type = self._action_types.by_name.get(name)
        if action_type is None:
            known = [*self._action_types.by_name][:_SHOWN_TYPES]
            raise UnknownType(f"this rollup has no action {clip(name)}; it has {', '.join(known)}")
        action, nonce = action_type.read_message(document["message"])
        return self._read_signature(action_type, action, nonce, document["signature"], document.get("sender", UNSET))

    def _read_signature(
        self, action_type: ActionType, action: Any, nonce: int, signed: Any, sender: Any
    ) -> Authenticated | _Read:
        """The rest of a line whose message was read; `signed` and `sender` are parsed JSON."""
        signature = canonicalize(read_hex(signed, "signature"))
        stated = None if sender is UNSET else _read_sender(sender)
        if stated is None and self.version > 0 and len(signature) == MIN_SIGNATURE_BYTES:
            raise SenderRequired("the rollup was upgraded: state the sender, which shows that its domain was signed")
        record = action_type.encode_record(action, nonce, signature)
        if len(record) > MAX_ACTION_BYTES:
            raise TooLarge(f"{len(record)} bytes as a record, the limit is {MAX_ACTION_BYTES}")
        return self._pass_on(
            action_type,
            action,
            _Read(record, nonce, self._preimages[action_type.name](action, nonce), signature, stated),
        )

    def _pass_on(self, action_type: ActionType, action: Any, read: _Read) -> Authenticated | _Read:
        """A wallet's signature waits for the second phase, another scheme's is checked now."""
        if len(read.signature) == MIN_SIGNATURE_BYTES:
            return read
        (digest,) = compute_digests((read.preimage,), self._separator)
        sender = self._recover(action_type, action, read.nonce, digest, read.signature)
        if read.stated is not None and read.stated != sender:
            raise _describe_mismatch(read.stated, sender)
        return Authenticated(read.record, sender, read.nonce, compute_action_hash(digest, sender), self.version)

    def authenticate_record(self, raw: bytes) -> Authenticated | Enveloped:
        """Authenticate a stored record, as the log, a block or a batch carries it.

        Raises `DecodeError` unless it is the canonical record of a known action or of an envelope, and a class of
        `RefusedError` (`BadSignature` or what the signature's scheme refuses) if no key made it, `BadEnvelope` or
        `UnknownEnvelope` if it does not open.
        """
        return self.open_record(raw) if is_envelope_record(raw) else self.authenticate_signed(raw)

    def _read_record(self, raw: bytes) -> Authenticated | Enveloped | _Read:
        """The first phase of a record: all but a wallet's signature. Raises as `authenticate_record`."""
        return self.open_record(raw) if is_envelope_record(raw) else self._read_signed(raw)

    def open_record(self, raw: bytes) -> Enveloped:
        """Open the stored record of an envelope. Raises as `authenticate_record`."""
        if self._opener is None:
            raise UnknownEnvelope("this rollup has no envelopes")
        return self._opener.open_record(raw, twice=self._twice)

    def open_envelope(self, name: str, raw: bytes, *, twice: bool = False) -> Enveloped:
        """Open what comes in the envelope of that name. Raises as `EnvelopeOpener.open`."""
        if self._opener is None:
            raise UnknownEnvelope("this rollup has no envelopes")
        return self._opener.open(name, raw, twice=twice)

    def authenticate_signed(self, raw: bytes) -> Authenticated:
        """Authenticate the stored record of a signed action. Raises as `authenticate_record`."""
        return self._finish(self._read_signed(raw))

    def _read_signed(self, raw: bytes) -> Authenticated | _Read:
        record = self._action_types.decode_record(raw)
        action_type = self._action_types.by_record_type[type(record)]
        action = self._action_types.to_action(record)
        if not _is_canonical(record.signature):
            raise DecodeError(_WHAT, "the signature is not in the form that the log stores")
        preimage = self._preimages[action_type.name](action, record.nonce)
        return self._pass_on(action_type, action, _Read(raw, record.nonce, preimage, record.signature, None))

    def count_signature_steps(self, raw: bytes) -> int:
        """What checking the signature of a record counts as, by its bytes; 0 for bytes that do not decode."""
        try:
            return count_signature_steps(self._action_types.decode_record(raw).signature)
        except DecodeError:
            return 0

    def _recover(self, action_type: ActionType, action: Any, nonce: int, digest: bytes, signature: bytes) -> bytes:
        """The sender of a canonical signature of another scheme than the wallets'."""

        def compute_member_digest(sender: bytes) -> bytes:
            return compile_member_digest(action_type.type, self._separator)(action, nonce, sender)

        return recover_sender(Statement(digest, nonce, self._separator, compute_member_digest), signature)


def may_be_envelope(line: bytes) -> bool:
    """Whether a line may be an envelope's, which takes long to open: seen at a glance, without reading it.

    Its members are texts, and no text holds a bare quote: a line with a member `signature` never opens,
    whatever characters are escaped in it.
    """
    return b'"envelope"' in line or (b"\\u" in line and b'"signature":' not in line)


def parse_json_fast(line: bytes) -> Any:
    """What `parse_json` makes of a line: msgspec's reading where writing it again gives the very same bytes.

    Then the text has one meaning: no duplicate members, no spellings of a number that msgspec would change. Whatever
    msgspec cannot read or writes otherwise is left to `parse_json`.
    """
    if not is_shallow(line):
        return parse_json(line)
    try:
        parsed = _JSON_DECODER.decode(line)
        if _JSON_ENCODER.encode(parsed) == line:
            return parsed
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
        return parse_json(line)
    return parse_json(line)


def _describe_mismatch(stated: bytes, sender: bytes) -> SenderMismatch:
    return SenderMismatch(
        f"the signature gives 0x{sender.hex()}, not 0x{stated.hex()}: another domain, message or key was signed"
    )


def _is_canonical(signature: bytes) -> bool:
    try:
        return canonicalize(signature) == signature
    except RefusedError:
        return False


def _read_sender(value: Any) -> bytes:
    sender = read_hex(value, "sender")
    if len(sender) != _ADDRESS_BYTES:
        raise WrongLength(f"sender has {len(sender)} bytes, not {_ADDRESS_BYTES}")
    return sender
