"""State shapes: frozen Structs of scalars, `Map`s and further states, each field settled on L1 or kept as metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from microrollup.codec.abi import compile_abi_encoder
from microrollup.codec.annotations import show_annotation
from microrollup.codec.keys import KeyCodec, compile_key_codec
from microrollup.codec.schema import SchemaType, StructType, describe_type, iterate_types, render_schema
from microrollup.codec.values import compile_check, compile_codec
from microrollup.declaration.field_numbers import FieldNumbers
from microrollup.declaration.map import Map
from microrollup.declaration.state_part import StatePart, make_part
from microrollup.errors import DeclarationError, ValueOutOfBounds
from microrollup.primitives import Address, Uint64

__all__ = [
    "NONCES",
    "LeafValue",
    "State",
    "StateField",
    "StateType",
    "describe_map",
    "describe_state",
    "guard_leaf",
    "leaf_value",
    "metadata",
]

NONCE_FIELD: Final = 0xFFFF
METADATA_ROWS: Final = 0x8000
MAX_FIELDS: Final = 0x1000
MAX_NAME: Final = 128
"""Characters of a dotted name: what a node takes as a field in a call."""
MAX_DEPTH: Final = 16
"""States within states within the state."""
MAX_LEAF_VALUE_BYTES: Final = 1 << 20


class State(msgspec.Struct, frozen=True):
    """Base of state shapes. A state is a value: STFs return a new one with `replace(state, field=...)`.

    A field may be a further state: a part, for which functions of its own may be declared.
    """


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
    """Dotted, where states are nested: `wallets.balances`."""
    read: Callable[[Any], Any]
    """Takes the field's value out of the whole state."""
    position: int
    """Index among all fields; -1 for the kernel's nonces, which are not a field of the state."""
    is_map: bool
    settled: bool
    number: int
    """Among settled fields (the silo) or among metadata, given once and kept (`FieldNumbers`); 0xffff for the kernel's
    nonces.
    """
    row_prefix: bytes
    """2 bytes before each key in the store: the silo, or 0x8000 + number for metadata."""
    encode_key: Callable[[Any], bytes]
    """Raises `ValueOutOfBounds` unless the key is of its type; a scalar field has the empty key."""
    decode_key: Callable[[bytes], Any]
    encode_prefix: Callable[[Any], bytes]
    """What the encoded keys with a prefix begin with. Raises `ValueOutOfBounds` if it is not one."""
    key_classes: type | tuple[type, ...]
    """The very class of all keys; of composite keys, the very classes of their components."""
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
    leaf: Callable[[Any], bytes] | None = None
    """The author's `leaf_value` function; None where the value bytes are `abi.encode`'s."""


class StateType(msgspec.Struct, frozen=True):
    """A state shape, compiled; `fields` in declared order, depth first."""

    cls: type[State]
    fields: tuple[StateField, ...]
    schema: str
    parts: dict[type[State], StatePart]
    """Each class of the shape, the whole state's first."""
    free_numbers: tuple[int, int]
    """The least numbers that no version has given yet, of settled fields and of metadata."""

    def get_field(self, name: str) -> StateField:
        """The field of that name. Raises `KeyError`."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def build(self, values: Mapping[str, Any]) -> State:
        """The state whose fields, by their dotted names, have these values."""
        return self.parts[self.cls].build(values)


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
    read=attrgetter("nonces"),
    position=-1,
    is_map=True,
    settled=False,
    number=NONCE_FIELD,
    row_prefix=NONCE_FIELD.to_bytes(2, "big"),
    encode_key=_nonce_key,
    decode_key=_nonce_key,
    encode_prefix=_nonce_key,
    key_classes=bytes,
    check=_no_check,
    encode_row=_encode_nonce,
    decode_row=_decode_nonce,
    encode_leaf=_encode_nonce,
    schema="map(address,uint64)",
    value_type=describe_type(Uint64, where="state", path="nonces"),
    key_type=describe_type(Address, where="state", path="nonces (key)"),
)
"""The kernel's own field: 20-byte sender -> next nonce; no entry while the nonce is 0."""


def _empty_key(_: object) -> bytes:
    return b""


def _no_key(_: bytes) -> None:
    return None


_NO_KEYS: Final = KeyCodec(type(None), _empty_key, _no_key, _empty_key)


def describe_state(cls: type[State], numbers: FieldNumbers | None = None) -> StateType:
    """Compile a state shape; `numbers` are those of a version that follows on another.

    Raises `DeclarationError` naming the field that cannot be kept or committed to.
    """
    numbers = numbers or FieldNumbers()
    shape = _Shape(cls.__qualname__, numbers)
    root = shape.describe(cls, ())
    fields = tuple(root.iterate_fields())
    if len(fields) > MAX_FIELDS:
        raise DeclarationError(cls.__qualname__, f"a state has 1 to {MAX_FIELDS} fields")
    return StateType(cls, fields, _render_part(root), {part.cls: part for part in root.iterate()}, numbers.free)


def _render_part(part: StatePart) -> str:
    """The schema of a state, as the stfId commits to it."""
    members = [
        f"{name}:{_render_part(member)}"
        if isinstance(member, StatePart)
        else f"{name}:{'settled' if member.settled else 'metadata'}:{member.schema}"
        for name, member in part.members
    ]
    return f"{part.cls.__name__}{{{';'.join(members)}}}"


class _Shape:
    """Describes the fields of a shape, depth first."""

    def __init__(self, name: str, numbers: FieldNumbers) -> None:
        self._name = name
        self._numbers = numbers
        self._count = 0
        self._places: dict[type[State], str] = {}

    def describe(self, cls: type[State], path: tuple[str, ...]) -> StatePart:
        where = ".".join((self._name, *path))
        if not issubclass(cls, State) or not cls.__struct_config__.frozen:
            raise DeclarationError(where, "a state is a subclass of State with frozen=True")
        if cls in self._places:
            raise DeclarationError(where, f"{cls.__name__} is {self._places[cls]} already; a class is one part only")
        if len(path) > MAX_DEPTH:
            raise DeclarationError(where, f"states are nested at most {MAX_DEPTH} deep")
        self._places[cls] = ".".join(path) or "the whole state"
        try:
            hints = get_type_hints(cls, include_extras=True)
        except Exception as error:  # annotations can fail with whatever their expressions raise
            raise DeclarationError(where, f"an annotation cannot be read: {error}") from error
        if not cls.__struct_fields__:
            raise DeclarationError(where, f"a state has 1 to {MAX_FIELDS} fields")
        names = cls.__struct_fields__
        return make_part(
            cls, path, tuple([(name, self._describe_member((*path, name), hints[name])) for name in names])
        )

    def _describe_member(self, path: tuple[str, ...], annotation: Any) -> StateField | StatePart:
        where, name = ".".join((self._name, *path)), ".".join(path)
        if len(name) > MAX_NAME:
            raise DeclarationError(where, f"a field's dotted name has at most {MAX_NAME} characters")
        annotation, marks = _split_marks(annotation)
        if isinstance(annotation, type) and issubclass(annotation, State):
            if marks:
                raise DeclarationError(where, f"is a state: mark the fields of {annotation.__name__} instead")
            return self.describe(annotation, path)
        settled = not any(isinstance(mark, _Metadata) for mark in marks)
        encoders = _read_leaf_marks(where, marks, settled=settled)
        number, position = self._numbers.give(where, name, settled=settled), self._count
        self._count += 1
        return _describe_field(where, name, position, annotation, settled, number, encoders)


def _split_marks(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """Take this module's marks off an `Annotated`; the marks of scalars (bounds) stay on."""
    if get_origin(annotation) is not Annotated:
        return annotation, ()
    inner, *extras = get_args(annotation)
    marks = tuple(extra for extra in extras if isinstance(extra, (_Metadata, LeafValue)))
    rest = [extra for extra in extras if not isinstance(extra, (_Metadata, LeafValue))]
    return (Annotated[(inner, *rest)] if rest else inner), marks


def _read_leaf_marks(path: str, marks: tuple[object, ...], *, settled: bool) -> list[Callable[[Any], bytes]]:
    """The function of a field's `leaf_value`, if there is one."""
    encoders = [mark.encode for mark in marks if isinstance(mark, LeafValue)]
    if encoders and not settled:
        raise DeclarationError(path, "metadata has no leaf that L1 proves: drop `leaf_value`, or `metadata`")
    if len(encoders) > 1:
        raise DeclarationError(path, "a field has one `leaf_value`")
    if encoders and not callable(encoders[0]):
        raise DeclarationError(path, "`leaf_value` takes a function from a value to bytes")
    return encoders


def describe_map(path: str, name: str, annotation: Any) -> StateField:
    """A map outside of a state, as an index is: checked and stored as the first metadata field would be.

    Raises `DeclarationError` for keys and values that could not be kept.
    """
    return _describe_field(path, name, 0, annotation, settled=False, number=0, encoders=[])


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
        try:
            keys = compile_key_codec(key_type, f"{path} (key)")
        except DeclarationError as error:
            raise DeclarationError(error.where, f"{show_annotation(key_annotation)} {error.reason}") from None
        key_schema = render_schema(key_type)
    else:
        value_annotation = annotation
        keys = _NO_KEYS
        key_type, key_schema = None, ""
    value_type = describe_type(value_annotation, where="state", path=path)
    _refuse_states(path, value_type)
    codec = compile_codec(value_type)
    value_schema = render_schema(value_type)
    return StateField(
        name=name,
        read=attrgetter(name),
        position=position,
        is_map=is_map,
        settled=settled,
        number=number,
        row_prefix=(number if settled else METADATA_ROWS + number).to_bytes(2, "big"),
        encode_key=keys.encode,
        decode_key=keys.decode,
        encode_prefix=keys.encode_prefix,
        key_classes=keys.classes,
        check=compile_check(value_type, path),
        encode_row=codec.encode,
        decode_row=codec.decode,
        encode_leaf=guard_leaf(path, encoders[0]) if encoders else compile_abi_encoder(value_type),
        schema=f"map({key_schema},{value_schema})" if is_map else value_schema,
        value_type=value_type,
        key_type=key_type,
        leaf=encoders[0] if encoders else None,
    )


def _refuse_states(path: str, value_type: SchemaType) -> None:
    """Raises `DeclarationError` for a value that is, or holds, a state."""
    for inner in iterate_types(value_type):
        if isinstance(inner, StructType) and issubclass(inner.cls, State):
            name = inner.cls.__name__
            raise DeclarationError(
                path, f"{name} is a state, which is a field of a state only; a value is a msgspec.Struct, frozen=True"
            )


def guard_leaf(path: str, encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A leaf function whose result is checked: 1 byte to 1 MiB, else `ValueOutOfBounds`."""

    def encode_leaf(value: Any) -> bytes:
        raw = encode(value)
        if type(raw) is bytes and raw and len(raw) <= MAX_LEAF_VALUE_BYTES:
            return raw
        raise ValueOutOfBounds(path, "leaf_value's function must return 1 byte or more")

    return encode_leaf
