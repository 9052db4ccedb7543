"""State shapes: frozen Structs whose fields are scalars or `Map`s, each settled on L1 or kept as metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from microrollup.codec.abi import compile_abi_encoder
from microrollup.codec.schema import SchemaType, describe_type, render_schema
from microrollup.codec.values import compile_check, compile_codec, compile_key_decoder, compile_key_encoder
from microrollup.errors import DeclarationError, ValueOutOfBounds
from microrollup.map import Map
from microrollup.primitives import Address, Uint64

__all__ = ["NONCES", "LeafValue", "State", "StateField", "StateType", "describe_state", "leaf_value", "metadata"]

NONCE_FIELD: Final = 0xFFFF
METADATA_ROWS: Final = 0x8000
MAX_FIELDS: Final = 0x1000
MAX_LEAF_VALUE_BYTES: Final = 1 << 20


class State(msgspec.Struct, frozen=True):
    """Base of state shapes. A state is a value: STFs return a new one with `replace(state, field=...)`."""


class _Metadata:
    """Marks a field that does not settle on L1: `field: Annotated[Map[...], metadata]`."""


metadata: Final = _Metadata()


class LeafValue(msgspec.Struct, frozen=True):
    """Marks a field whose value bytes are given by a function instead of `abi.encode`."""

    encode: Callable[[Any], bytes]


def leaf_value(encode: Callable[[Any], bytes]) -> LeafValue:
    """The mark that declares the bytes of a field which the tree commits to.

    Used as in `accounts: Annotated[Map[K, V], leaf_value(encode)]`.

    `encode` is pure and returns 1 byte or more; contracts prove its result, so it must bind the whole value.
    """
    return LeafValue(encode)


class StateField(msgspec.Struct, frozen=True):
    """One field of a state, compiled: how its keys and values are checked, stored and committed to."""

    name: str
    position: int
    """Index among all fields; -1 for the kernel's nonces, which are no field of the state."""
    is_map: bool
    settled: bool
    number: int
    """Index among the settled fields (the silo), or among the metadata fields; 0xffff for the kernel's nonces."""
    row_prefix: bytes
    """2 bytes before each key in the store: the silo, or 0x8000 + number for metadata."""
    encode_key: Callable[[Any], bytes]
    """Raises `ValueOutOfBounds` unless the key is of its type; a scalar field has the empty key."""
    decode_key: Callable[[bytes], Any]
    check: Callable[[Any], None]
    """Raises `ValueOutOfBounds` unless the value is of its type and within its bounds."""
    encode_row: Callable[[Any], bytes]
    decode_row: Callable[[bytes], Any]
    encode_leaf: Callable[[Any], bytes]
    """The value bytes that the state root or the metadata root commits to."""
    schema: str
    value_type: SchemaType
    """The value's type, for JSON at the edges."""
    key_type: SchemaType | None = None
    """The key's type, for the same; None for a scalar field."""


class StateType(msgspec.Struct, frozen=True):
    """A state shape, compiled; `fields` in declared order."""

    cls: type[State]
    fields: tuple[StateField, ...]
    schema: str

    def get_field(self, name: str) -> StateField:
        """The field of that name. Raises `KeyError`."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def _nonce_key(key: bytes) -> bytes:
    return key


def _encode_nonce(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _decode_nonce(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _no_check(_: object) -> None:
    return


NONCES: Final = StateField(
    name="nonces",
    position=-1,
    is_map=True,
    settled=False,
    number=NONCE_FIELD,
    row_prefix=NONCE_FIELD.to_bytes(2, "big"),
    encode_key=_nonce_key,
    decode_key=_nonce_key,
    check=_no_check,
    encode_row=_encode_nonce,
    decode_row=_decode_nonce,
    encode_leaf=_encode_nonce,
    schema="map(address,uint64)",
    value_type=describe_type(Uint64, where="state", path="nonces"),
    key_type=describe_type(Address, where="state", path="nonces (key)"),
)
"""The kernel's own field: 20-byte sender -> next nonce; no entry while the nonce is 0."""


def describe_state(cls: type[State]) -> StateType:
    """Compile a state shape. Raises `DeclarationError` naming the field that cannot be kept or committed to."""
    if not issubclass(cls, State) or not cls.__struct_config__.frozen:
        raise DeclarationError(cls.__qualname__, "a state is a subclass of State with frozen=True")
    try:
        hints = get_type_hints(cls, include_extras=True)
    except Exception as error:  # annotations can fail with whatever their expressions raise
        raise DeclarationError(cls.__qualname__, f"an annotation cannot be read: {error}") from error
    fields: list[StateField] = []
    counts = {True: 0, False: 0}
    for name in cls.__struct_fields__:
        annotation, marks = _split_marks(hints[name])
        settled = not any(isinstance(mark, _Metadata) for mark in marks)
        number = counts[settled]
        counts[settled] += 1
        encoders = [mark.encode for mark in marks if isinstance(mark, LeafValue)]
        path = f"{cls.__qualname__}.{name}"
        fields.append(_describe_field(path, name, len(fields), annotation, settled, number, encoders))
    if not fields or len(fields) > MAX_FIELDS:
        raise DeclarationError(cls.__qualname__, f"a state has 1 to {MAX_FIELDS} fields")
    schema = ";".join(f"{field.name}:{'settled' if field.settled else 'metadata'}:{field.schema}" for field in fields)
    return StateType(cls, tuple(fields), f"{cls.__name__}{{{schema}}}")


def _split_marks(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """Take this module's marks off an `Annotated`; the marks of scalars (bounds) stay on."""
    if get_origin(annotation) is not Annotated:
        return annotation, ()
    inner, *extras = get_args(annotation)
    marks = tuple(extra for extra in extras if isinstance(extra, (_Metadata, LeafValue)))
    rest = [extra for extra in extras if not isinstance(extra, (_Metadata, LeafValue))]
    return (Annotated[(inner, *rest)] if rest else inner), marks


def _describe_field(
    path: str,
    name: str,
    position: int,
    annotation: Any,
    settled: bool,
    number: int,
    encoders: list[Callable[[Any], bytes]],
) -> StateField:
    is_map = get_origin(annotation) is Map
    if is_map:
        key_annotation, value_annotation = get_args(annotation)
        key_type = describe_type(key_annotation, where="state", path=f"{path} (key)")
        encode_key = compile_key_encoder(key_type, f"{path} (key)")
        decode_key = compile_key_decoder(key_type, f"{path} (key)")
        key_schema = render_schema(key_type)
    else:
        value_annotation = annotation
        encode_key, decode_key = _empty_key, _no_key
        key_type, key_schema = None, ""
    value_type = describe_type(value_annotation, where="state", path=path)
    codec = compile_codec(value_type)
    value_schema = render_schema(value_type)
    return StateField(
        name=name,
        position=position,
        is_map=is_map,
        settled=settled,
        number=number,
        row_prefix=(number if settled else METADATA_ROWS + number).to_bytes(2, "big"),
        encode_key=encode_key,
        decode_key=decode_key,
        check=compile_check(value_type, path),
        encode_row=codec.encode,
        decode_row=codec.decode,
        encode_leaf=_guard_leaf(path, encoders[0]) if encoders else compile_abi_encoder(value_type),
        schema=f"map({key_schema},{value_schema})" if is_map else value_schema,
        value_type=value_type,
        key_type=key_type,
    )


def _empty_key(_: object) -> bytes:
    return b""


def _no_key(_: bytes) -> None:
    return None


def _guard_leaf(path: str, encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def encode_leaf(value: Any) -> bytes:
        raw = encode(value)
        if type(raw) is bytes and raw and len(raw) <= MAX_LEAF_VALUE_BYTES:
            return raw
        raise ValueOutOfBounds(path, "leaf_value's function must return 1 byte or more")

    return encode_leaf
