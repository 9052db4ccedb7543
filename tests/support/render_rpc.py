"""The table of RPC methods as Markdown, read from the OpenRPC document that a node serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from microrollup.rpc.methods import make_methods
from microrollup.rpc.openrpc import describe_openrpc
from render_settings import explain_members

__all__ = ["render_rpc"]

Schema = Mapping[str, Any]

_PATTERNS: Final = {
    "^0x[0-9a-f]{64}$": "bytes32",
    "^0x[0-9a-fA-F]{64}$": "bytes32",
    "^0x[0-9a-f]{40}$": "address",
    "^0x[0-9a-fA-F]{40}$": "address",
    "^0x([0-9a-f]{2})*$": "bytes",
    "^0x([0-9a-fA-F]{2})*$": "bytes",
}
_REF: Final = "#/components/schemas/"


def render_rpc() -> str:
    """A section per method, and one per object that they answer with."""
    document = describe_openrpc(make_methods(), "the rollup", "http://127.0.0.1:8650")
    errors, types = document["components"]["errors"], document["components"]["schemas"]
    document = _inline(document, {name: schema for name, schema in types.items() if "properties" not in schema})
    lines = ["| method | what |", "|---|---|"]
    lines += [f"| [`{m['name']}`](#{m['name'].lower()}) | {_cell(m['summary'])} |" for m in document["methods"]]
    lines.append("")
    for method in document["methods"]:
        lines += _describe_method(method, errors)
    lines += ["## Types", ""]
    classes = {cls.__name__: cls for cls in _subclasses(msgspec.Struct) if cls.__module__.startswith("microrollup.")}
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "properties" in schema:
            texts = explain_members(classes[name]) if name in classes else {}
            lines += [f"### {name}", "", *([schema["description"], ""] if "description" in schema else [])]
            lines += _tabulate("member", _flatten("", schema), texts)
    return "\n".join(lines)


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _inline(value: Any, scalars: Mapping[str, Schema]) -> Any:
    """The same with references to types that are not objects replaced by what they refer to."""
    if isinstance(value, list):
        return [_inline(item, scalars) for item in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).removeprefix(_REF)
    if name in scalars:
        return _inline({key: text for key, text in scalars[name].items() if key != "description"}, scalars)
    return {key: _inline(item, scalars) for key, item in value.items()}


def _describe_method(method: Schema, errors: Mapping[str, Schema]) -> Iterator[str]:
    yield from (f"## {method['name']}", "", method["summary"], "")
    if method.get("x-transport") == "websocket":
        yield from ("Over a WebSocket only.", "")
    rows = [(param["name"], param["schema"], bool(param["required"])) for param in method["params"]]
    if rows:
        yield from _tabulate("param", rows)
    else:
        yield from ("No params.", "")
    result = method["result"]["schema"]
    members = list(_flatten("", result))
    if members:
        of = " per item of an array" if result.get("type") == "array" else ""
        yield from _tabulate(f"result{of}", members)
    else:
        yield from (f"Result: {_name(result)}.", "")
    found = [errors[error["$ref"].rpartition("/")[2]] if "$ref" in error else error for error in method["errors"]]
    if found:
        named = ", ".join(f"{error['code']} {error['message']}" for error in found)
        yield from (f"Errors: {named}.", "")


def _flatten(prefix: str, schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """The members of an object, of the objects in it, and of arrays of objects: path, schema, whether always there."""
    if schema.get("type") == "array" and "properties" in schema.get("items", {}):
        yield from _flatten(f"{prefix}[]." if prefix else "", schema["items"])
        return
    required = set(schema.get("required", ()))
    for name, member in schema.get("properties", {}).items():
        inner = member.get("items", member) if member.get("type") == "array" else member
        path = f"{prefix}{name}"
        yield path, member, name in required
        if "properties" in inner:
            yield from _flatten(f"{path}[]." if inner is not member else f"{path}.", inner)


def _tabulate(heading: str, rows: Any, texts: Mapping[str, str] = {}) -> Iterator[str]:
    yield from (f"| {heading} | type | |", "|---|---|---|")
    for path, schema, required in rows:
        text = texts.get(path) or (schema.get("description", "") if "anyOf" not in schema else "")
        notes = [text.rstrip(".")] if text else []
        if not required:
            default = schema.get("default")
            notes.append("optional" if default is None else f"default `{str(default).lower()}`")
        yield f"| `{path}` | {_name(schema)} | {_cell('; '.join(notes))} |"
    yield ""


def _name(schema: Schema) -> str:
    """The type in a word or a few."""
    match schema:
        case {"$ref": ref}:
            name = str(ref).removeprefix(_REF)
            return f"[{name}](#{name.lower()})"
        case {"anyOf": options} | {"oneOf": options}:
            return " or ".join(dict.fromkeys([_name(option) for option in options]))
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"array of {_name(items)}"
        case {"pattern": pattern}:
            return _PATTERNS.get(pattern, "integer" if "[0-9]" in pattern else "text")
        case {"type": "string"}:
            return "text"
        case {"type": kind}:
            return str(kind)
        case _:
            return "any"


def _cell(text: str) -> str:
    """Text as a table's cell holds it."""
    return " ".join(text.split()).replace("|", "or")
