"""Actions and events: their base classes, and what is compiled once per action type.

An action as the log stores it is the canonical msgpack of `[type, [members...], nonce, signature]`; the signature is in
the one form that `signatures.schemes.canonicalize` gives.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import Meta

from microrollup.codec.abi import compile_arguments_decoder, compile_arguments_encoder
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.codec.json import Read, compile_object_reader, compile_values_reader, to_json_value
from microrollup.codec.schema import Field, FixedBytesType, IntegerType, StructType, describe_struct, render_schema
from microrollup.codec.values import compile_check
from microrollup.codec.wire import WireForm, compile_constructor, compile_wire_form
from microrollup.crypto.eip712 import encode_type
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.schemes import MAX_SIGNATURE_BYTES, MIN_SIGNATURE_BYTES, to_wallet_form
from microrollup.errors import DeclarationError, DecodeError
from microrollup.primitives import MAX_ACTION_BYTES, Uint64

__all__ = [
    "Action",
    "ActionType",
    "ActionTypes",
    "Event",
    "SignedRecord",
    "compile_action_type",
]

NONCE_TYPE: Final = IntegerType(64, signed=False)

_WHAT: Final = "signed action"
_RESERVED: Final = frozenset({"EIP712Domain"})


class Action(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of the actions that an app declares; repeat `frozen=True` on each subclass.

    The class name is the EIP-712 primary type, the fields are its members in declared order, in camelCase.
    """


class Event(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of the events that STFs emit; repeat `frozen=True` on each subclass."""


class SignedRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A signed action as the log holds it. Each action type has a subclass of its own, tagged with the type's name.

    `action` is the action itself, or its twin on the wire if the type holds integers of more than 64 bits: ask
    `ActionTypes.to_action`.
    """

    action: Any
    nonce: Uint64
    """The sender's; consecutive from 0."""
    signature: Annotated[bytes, Meta(min_length=MIN_SIGNATURE_BYTES, max_length=MAX_SIGNATURE_BYTES)]
    """secp256k1: `r(32) || s(32) || recovery id(1)`, low s. Others: scheme byte and the scheme's own form."""


class _NoRecord(SignedRecord, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, tag=""):
    """What no record decodes to, for a rollup without signed actions: its action alone is longer than a record."""

    action: Annotated[bytes, Meta(min_length=MAX_ACTION_BYTES)]


ActionClass: TypeAlias = type[Action]
RecordClass: TypeAlias = type[SignedRecord]


class ActionType(msgspec.Struct, frozen=True):
    """An action class with everything that is derived from it."""

    name: str
    cls: ActionClass
    type: StructType
    schema: str
    """`render_schema` of `type`; part of the stfId's preimage."""
    type_string: str
    """EIP-712's encodeType, nonce included."""
    type_hash: bytes
    """keccak256 of `type_string`, 32 bytes."""
    record_type: RecordClass
    """What a stored record of this type decodes to."""
    check: Callable[[Any], None]
    """Raises `ValueOutOfBounds` unless given exactly an instance of `cls` with values in their bounds."""
    read_message: Read
    """(parsed JSON object of the members and `nonce`) -> (action, nonce). Raises a class of `RefusedError`."""
    read_values: Callable[[Sequence[Any]], tuple[Any, int]]
    """The same from the object's values: the members in declared order, then the nonce."""
    encode_arguments: Callable[[Action], bytes]
    """`abi.encode(typeHash, members...)`, what a forced action carries after its first byte."""
    decode_arguments: Callable[[bytes], Action]
    """The strict way back from `encode_arguments`. Raises `DecodeError`."""
    form: WireForm

    def encode_record(self, action: Action, nonce: int, signature: bytes) -> bytes:
        """The stored record of a (checked) action and a canonical signature."""
        body = action if self.form.lower is None else self.form.lower(action)
        return encode_canonical((self.name, body, nonce, signature))

    def to_message(self, action: Action) -> dict[str, Any]:
        """The members of an action as plain objects; what is signed has `nonce` besides."""
        message: dict[str, Any] = to_json_value(self.type, action)
        return message

    def to_json(self, action: Action, nonce: int, signature: bytes) -> dict[str, Any]:
        """The JSON form of a signed action as plain objects; secp256k1's v is written as 27 or 28, as wallets do."""
        message = {**to_json_value(self.type, action), "nonce": to_json_value(NONCE_TYPE, nonce)}
        return {"type": self.name, "message": message, "signature": f"0x{to_wallet_form(signature).hex()}"}


def compile_action_type(cls: type[Action]) -> ActionType:
    """Everything that is derived from an action class. Raises `DeclarationError` naming the field that cannot be."""
    described = describe_struct(cls, where="action")
    if described.name in _RESERVED:
        raise DeclarationError(described.name, "the name belongs to EIP-712")
    type_string = encode_type(described)
    type_hash = keccak256(type_string.encode())
    form = compile_wire_form(described)
    encode, decode = _compile_arguments(described, type_hash)
    return ActionType(
        name=described.name,
        cls=cls,
        type=described,
        schema=render_schema(described),
        type_string=type_string,
        type_hash=type_hash,
        record_type=_define_record(described, form),
        check=compile_check(described),
        read_message=_compile_message_reader(described, compile_object_reader),
        read_values=_compile_message_reader(described, compile_values_reader),
        encode_arguments=encode,
        decode_arguments=decode,
        form=form,
    )


def _define_record(t: StructType, form: WireForm) -> type[SignedRecord]:
    record_type = msgspec.defstruct(
        f"{t.name}Record",
        [("action", form.annotation)],
        bases=(SignedRecord,),
        tag=t.name,
        frozen=True,
        array_like=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    return cast("RecordClass", record_type)


def _compile_message_reader(t: StructType, compile_reader: Callable[..., Read]) -> Read:
    """The reader of a message: the members and `nonce`, nothing else."""
    construct = compile_constructor(t)

    def split(values: list[Any]) -> tuple[Any, int]:
        nonce = values.pop()
        return construct(values), nonce

    return compile_reader([*t.fields, Field("nonce", "nonce", NONCE_TYPE)], "message", split)


def _compile_arguments(t: StructType, type_hash: bytes) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    types = [FixedBytesType(32, "bytes32"), *[field.type for field in t.fields]]
    encode_all, decode_all = compile_arguments_encoder(types), compile_arguments_decoder(types)
    astuple, construct = msgspec.structs.astuple, compile_constructor(t)

    def encode(action: Any) -> bytes:
        return encode_all((type_hash, *astuple(action)))

    def decode(raw: bytes) -> Any:
        found, *members = decode_all(raw)
        if found != type_hash:
            raise DecodeError(t.name, "the type hash is another type's")
        return construct(members)

    return encode, decode


class ActionTypes:
    """The action types of one app, by name, by type hash and by record.

    `record_types` are the classes that a stored record may decode to; with the kernel's own record classes they form
    one msgspec union, whose tags are the types' names.
    """

    def __init__(self, classes: Iterable[type[Action]], *, may_be_empty: bool = False) -> None:
        """Compile action classes. Raises `DeclarationError`, also for two of one name, and for none at all unless that
        `may_be_empty`: where all actions come in envelopes.
        """
        types = [compile_action_type(cls) for cls in classes]
        if not types and not may_be_empty:
            raise DeclarationError("actions", "a rollup has at least one action")
        self.by_name: Final[dict[str, ActionType]] = {}
        for action_type in types:
            if action_type.name in self.by_name:
                raise DeclarationError(action_type.name, "two actions have this name")
            self.by_name[action_type.name] = action_type
        self.by_type_hash: Final = {action_type.type_hash: action_type for action_type in types}
        self.by_record_type: Final = {action_type.record_type: action_type for action_type in types}
        self.record_types: Final = tuple(self.by_record_type)
        union = functools.reduce(operator.or_, self.record_types) if types else _NoRecord
        self._decoder: Final[msgspec.msgpack.Decoder[SignedRecord]] = msgspec.msgpack.Decoder(union)
        self.decode_trusted: Final[Callable[[bytes], SignedRecord]] = self._decoder.decode
        """`decode_record` for a record out of this package's own authentication, which has checked its canonical
        form."""

    def __iter__(self) -> Iterator[ActionType]:
        """The types in declared order."""
        return iter(self.by_name.values())

    def __len__(self) -> int:
        """How many types there are."""
        return len(self.by_name)

    def decode_record(self, raw: bytes) -> SignedRecord:
        """The signed action of a stored record. Raises `DecodeError`; the signature is not looked at."""
        return decode_canonical(self._decoder, raw, what=_WHAT, limit=MAX_ACTION_BYTES)

    def to_action(self, record: SignedRecord) -> Action:
        """The action of a decoded record. Raises `DecodeError` if an integer of more than 64 bits is out of range."""
        lift = self.by_record_type[type(record)].form.lift
        action: Action = record.action if lift is None else lift(record.action)
        return action

    def to_json(self, record: SignedRecord) -> dict[str, Any]:
        """The JSON form of a decoded record, as plain objects."""
        return self.by_record_type[type(record)].to_json(self.to_action(record), record.nonce, record.signature)
