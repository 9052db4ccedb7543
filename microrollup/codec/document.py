"""Documents: frozen Structs as plain JSON, the JSON Schema of it, and the strict way back.

What a node answers is declared once, as a Struct. `compile_form` makes from the declaration what writes it, what reads
it and what describes it. Members have camelCase names, bytes are 0x-hex, and integers of 2^53 and more are decimal
strings. Annotations are the scalar types of `primitives`, `bool`, `str`, `float`, `Literal` of texts, `X | None`,
`list[X]`, `tuple[X, ...]`, `tuple[X, Y]`, `dict[str, X]`, Structs of these, and `Any` for plain JSON.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Hashable
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from microrollup.codec.json import MAX_SAFE_INTEGER, check_members, compile_json_reader, name_json_type, to_json_value
from microrollup.codec.json_text import FloatText, clip
from microrollup.codec.schema import (
    BytesType,
    FixedBytesType,
    IntegerType,
    SchemaType,
    abi_type,
    compute_bounds,
    describe_type,
    to_camel_case,
)
from microrollup.errors import DeclarationError, MissingMember, OutOfRange, WrongJsonType, WrongLength

__all__ = ["Form", "JsonSchema", "compile_form", "read_document", "to_document"]

JsonSchema: TypeAlias = dict[str, Any]
"""JSON Schema as OpenRPC takes it; Structs and scalars are in `#/components/schemas`, by name."""

T = TypeVar("T", bound=msgspec.Struct)

_Function: TypeAlias = Callable[[Any], Any]


class Form(msgspec.Struct, frozen=True):
    """All that follows from one annotation."""

    write: _Function
    """The plain JSON of a value."""
    read: _Function
    """The value of parsed JSON. Raises a class of `RefusedError`.

    A Struct that forbids unknown fields refuses unknown members. Any other ignores them: a newer node may say more.
    """
    schema: JsonSchema
    components: dict[str, JsonSchema]
    """All that `schema` refers to, by name."""


def to_document(value: msgspec.Struct) -> dict[str, Any]:
    """The plain JSON object of a Struct."""
    document: dict[str, Any] = _get_form(type(value)).write(value)
    return document


def read_document(cls: type[T], document: Any) -> T:
    """The Struct of a parsed JSON object. Raises a class of `RefusedError` whose `detail` names the member."""
    found: T = _get_form(cls).read(document)
    return found


@cache
def _get_form(cls: Hashable) -> Form:
    return compile_form(cls)


def compile_form(annotation: object, path: str = "$") -> Form:
    """The form of an annotation; `path` names the value in refusals. Raises `DeclarationError`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated and isinstance(arguments[1], msgspec.Meta) and arguments[1].description:
        return _describe(compile_form(arguments[0], path), arguments[1])
    if origin is Union or origin is types.UnionType:
        return _compile_union(arguments, path)
    if origin is Literal:
        return _compile_literal(arguments, path)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _compile_tuple([compile_form(each, f"{path}[{i}]") for i, each in enumerate(arguments)], path)
    if origin in (list, tuple):
        return _compile_sequence(origin, compile_form(arguments[0], f"{path}[]"), path)
    if origin is dict:
        return _compile_dict(compile_form(arguments[1], f"{path}{{}}"), path)
    if annotation is Any:
        return Form(_keep, _keep, {}, {})
    if annotation is float:
        return Form(_keep, lambda value: _read_float(value, path), {"type": "number"}, {})
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _compile_struct(annotation, path)
    return _compile_scalar(describe_type(annotation, where="event", path=path), path)


def _keep(value: Any) -> Any:
    return value


def _describe(form: Form, meta: msgspec.Meta) -> Form:
    """The form with a description, and under a name of its own if it has a title."""
    schema = {"description": meta.description, **form.schema}
    if meta.title is None:
        return Form(form.write, form.read, schema, form.components)
    reference, own = _refer(meta.title, schema)
    return Form(form.write, form.read, reference, own | form.components)


# --- scalars ---------------------------------------------------------------------------------------------------------


def _compile_scalar(t: SchemaType, path: str) -> Form:
    read = compile_json_reader(t, path)
    match t:
        case IntegerType():
            name = abi_type(t).capitalize()
            return Form(_write_integer, read, *_refer(name, _describe_integer(t)))
        case FixedBytesType():
            pattern = {"type": "string", "pattern": f"^0x[0-9a-f]{{{2 * t.size}}}$"}
            return Form(_write_hex, read, *_refer(t.abi.capitalize(), pattern))
        case BytesType():
            return Form(_write_hex, read, *_refer("Bytes", {"type": "string", "pattern": "^0x([0-9a-f]{2})*$"}))
        case _:
            kind = {"bool": "boolean", "string": "string"}[abi_type(t)]
            return Form(lambda value: to_json_value(t, value), read, {"type": kind}, {})


def _refer(name: str, schema: JsonSchema) -> tuple[JsonSchema, dict[str, JsonSchema]]:
    return {"$ref": f"#/components/schemas/{name}"}, {name: schema}


def _describe_integer(t: IntegerType) -> JsonSchema:
    """The schema of each type that may be a number or a string has the rule by which it is one or the other."""
    low, high = compute_bounds(t)
    safe = MAX_SAFE_INTEGER - 1
    number = {"type": "integer", "minimum": max(low, -safe), "maximum": min(high, safe)}
    if high <= safe:
        return number
    sign = "-?" if t.signed else ""
    return {
        "description": f"{abi_type(t)}: a number up to 2^53 - 1, from 2^53 on a string of decimal digits",
        "anyOf": [number, {"type": "string", "pattern": f"^{sign}[1-9][0-9]{{15,}}$"}],
    }


def _write_integer(value: int) -> int | str:
    return value if -MAX_SAFE_INTEGER < value < MAX_SAFE_INTEGER else str(value)


def _write_hex(value: bytes) -> str:
    return f"0x{value.hex()}"


def _read_float(value: Any, path: str) -> float:
    if type(value) not in (int, float, FloatText):
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not a number")
    return float(value)


def _compile_literal(texts: tuple[Any, ...], path: str) -> Form:
    def read(value: Any) -> Any:
        if type(value) is not str or value not in texts:
            raise OutOfRange(f"{path} is none of {', '.join(texts)}")
        return value

    return Form(_keep, read, {"type": "string", "enum": list(texts)}, {})


# --- composites ------------------------------------------------------------------------------------------------------


def _compile_union(options: tuple[object, ...], path: str) -> Form:
    """`X | None` is X or null, `X | UnsetType` an X that its Struct may leave out; there are no other unions."""
    chosen = [option for option in options if option not in (type(None), UnsetType)]
    if len(chosen) != 1:
        raise DeclarationError(path, "a member has one type, which may be null or left out")
    form = compile_form(chosen[0], path)
    if type(None) not in options:
        return form
    write, read = form.write, form.read
    return Form(
        lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
        {"anyOf": [form.schema, {"type": "null"}]},
        form.components,
    )


def _compile_sequence(container: Any, item: Form, path: str) -> Form:
    write, read_item = item.write, item.read

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an array")
        return container([read_item(each) for each in value])

    schema = {"type": "array", "items": item.schema}
    return Form(lambda value: [write(each) for each in value], read, schema, item.components)


def _compile_tuple(items: list[Form], path: str) -> Form:
    writes, reads = [item.write for item in items], [item.read for item in items]

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an array")
        if len(value) != len(items):
            raise WrongLength(f"{path} has {len(value)} items, not {len(items)}")
        return tuple([read_item(each) for read_item, each in zip(reads, value, strict=True)])

    def write(value: Any) -> list[Any]:
        return [write_item(each) for write_item, each in zip(writes, value, strict=True)]

    schema = {
        "type": "array",
        "prefixItems": [item.schema for item in items],
        "minItems": len(items),
        "maxItems": len(items),
    }
    return Form(write, read, schema, {name: part for item in items for name, part in item.components.items()})


def _compile_dict(member: Form, path: str) -> Form:
    write, read_member = member.write, member.read

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an object")
        return {name: read_member(each) for name, each in value.items()}

    schema: JsonSchema = {"type": "object"} | ({"additionalProperties": member.schema} if member.schema else {})
    return Form(lambda value: {name: write(each) for name, each in value.items()}, read, schema, member.components)


def _compile_struct(cls: type[msgspec.Struct], path: str) -> Form:
    infos = msgspec.structs.fields(cls)
    names = [to_camel_case(info.name) for info in infos]
    forms = [compile_form(info.type, f"{path}.{name}") for info, name in zip(infos, names, strict=True)]
    writers = [None if form.write is _keep else form.write for form in forms]
    strict = cls.__struct_config__.forbid_unknown_fields
    required = [name for info, name in zip(infos, names, strict=True) if info.required]
    readers = [(info.name, name, form.read) for info, name, form in zip(infos, names, forms, strict=True)]
    check = _compile_check(frozenset(required), frozenset(names), path, strict=strict)

    def write(value: Any) -> dict[str, Any]:
        return {
            name: member if write_member is None else write_member(member)
            for name, write_member, member in zip(names, writers, msgspec.structs.astuple(value), strict=True)
            if member is not UNSET
        }

    def read(value: Any) -> Any:
        check(value)
        return cls(**{attribute: read_member(value[name]) for attribute, name, read_member in readers if name in value})

    schema: JsonSchema = {
        "description": inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0],
        "type": "object",
        "properties": {name: form.schema for name, form in zip(names, forms, strict=True)},
        "required": required,
    }
    if strict:
        schema["additionalProperties"] = False
    components = {name: part for form in forms for name, part in form.components.items()}
    reference, own = _refer(cls.__name__, schema)
    return Form(write, read, reference, own | components)


def _compile_check(
    required: frozenset[str], names: frozenset[str], path: str, *, strict: bool
) -> Callable[[Any], None]:
    """What checks the members of an object: exactly those of the Struct, or at least those without a default."""
    if strict:
        return lambda value: check_members(value, required, path, names)

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an object")
        for name in sorted(required - value.keys()):
            raise MissingMember(f"{path} has no member {clip(name)}")

    return check
