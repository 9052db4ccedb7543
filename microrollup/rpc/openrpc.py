"""The OpenRPC document: every method with its params, its result and its errors, made from the table of methods."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

import msgspec

from microrollup.chain.answers.actions import BlockNews, EventNews, ReceiptAnswer
from microrollup.chain.answers.confirmations import Confirmation
from microrollup.codec.document import Form, JsonSchema, compile_form
from microrollup.declaration.query import HEIGHT, QueryParameter
from microrollup.rpc.errors import ACTION_REFUSED, ERRORS, QUERY_FAILED, RATE_EXCEEDED
from microrollup.rpc.method import AppMethod, Method, QueryMethod, SocketMethod
from microrollup.rpc.params import MAX_SAFE

__all__ = ["NOTIFICATIONS", "describe_openrpc"]

_ACTION_SCHEMA = {
    "description": "a signed action: its type, the message that was signed (nonce included), and the signature",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "message": {"type": "object"},
        "signature": {"type": "string", "pattern": "^0x([0-9a-fA-F]{2})*$"},
        "sender": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
    },
    "required": ["type", "message", "signature"],
    "additionalProperties": False,
}
_ATTESTATION_SCHEMA = {
    "type": "object",
    "properties": {"attestation": {"type": "object"}, "signature": {"type": "string"}},
    "required": ["attestation", "signature"],
    "additionalProperties": False,
}
_RAW_SCHEMAS: dict[str, dict[str, Any]] = {
    "action": _ACTION_SCHEMA,
    "actions": {"type": "array", "items": _ACTION_SCHEMA, "maxItems": 1_000},
    "attestation": _ATTESTATION_SCHEMA,
}
"""Of params that are decoded by rules of their own."""

_HEIGHT_SCHEMA: Final = {
    "description": "the closed block whose state is read; by default the newest",
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_SAFE}, {"enum": ["latest"]}, {"type": "null"}],
}

_OWN: Final = (QueryMethod, AppMethod)
"""Methods whose params the app's annotations declare."""

NOTIFICATIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "blocks": BlockNews,
    "receipts": ReceiptAnswer,
    "events": EventNews,
    "confirmations": Confirmation,
}
"""Topic of a subscription -> the `result` of its notifications."""


def describe_openrpc(methods: Mapping[str, Method], name: str, address: str) -> dict[str, Any]:
    """The document of one rollup's node. Source: https://spec.open-rpc.org (1.3.2)."""
    params = [method.params for method in methods.values() if not isinstance(method, _OWN)]
    _, components = msgspec.json.schema_components(params, ref_template="#/components/schemas/{name}")
    forms = {full: compile_form(method.answer) for full, method in methods.items()}
    news = {topic: compile_form(cls) for topic, cls in NOTIFICATIONS.items()}
    arguments = {full: _describe_query(method) for full, method in methods.items() if isinstance(method, _OWN)}
    described = (*forms.values(), *news.values(), *[form for pairs in arguments.values() for _, form in pairs])
    answers = {name: schema for form in described for name, schema in form.components.items()}
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": f"{name} on microrollup",
            "version": metadata.version("microrollup"),
            "description": "JSON-RPC 2.0 over HTTP POST and WebSocket. Bytes are 0x-hex, integers from 2^53 strings.",
        },
        "servers": [{"name": "this node", "url": address}],
        "methods": [
            _describe_method(
                full, method, _list_params(method, components, arguments.get(full, [])), forms[full].schema
            )
            for full, method in methods.items()
        ],
        "components": {
            "schemas": {key: value for key, value in components.items() if not _is_params(key, methods)} | answers,
            "errors": {_error_key(code): _describe_error(code) for code in ERRORS},
        },
        "x-notifications": {topic: form.schema for topic, form in news.items()},
    }


def _is_params(key: str, methods: Mapping[str, Method]) -> bool:
    return key in {method.params.__name__ for method in methods.values() if not isinstance(method, _OWN)}


def _describe_query(method: QueryMethod | AppMethod) -> list[tuple[QueryParameter, Form]]:
    """The parameters of a query with their forms."""
    return [(each, compile_form(each.annotation, each.wire_name)) for each in method.query.parameters]


def _list_params(
    method: Method, components: dict[str, Any], arguments: list[tuple[QueryParameter, Form]]
) -> list[dict[str, Any]]:
    if isinstance(method, _OWN):
        own = [
            {"name": each.wire_name, "required": each.required, "schema": form.schema}
            if each.required
            else {
                "name": each.wire_name,
                "required": False,
                "schema": {"allOf": [form.schema], "default": form.write(each.default)},
            }
            for each, form in arguments
        ]
        more = [{"name": HEIGHT, "required": False, "schema": _HEIGHT_SCHEMA}]
        return [*own, *(more if isinstance(method, QueryMethod) else [])]
    schema = components[method.params.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "required": name in required, "schema": _RAW_SCHEMAS.get(name, member)}
        for name, member in schema.get("properties", {}).items()
    ]


def _describe_method(full: str, method: Method, params: list[dict[str, Any]], answer: JsonSchema) -> dict[str, Any]:
    return {
        "name": full,
        "summary": method.summary,
        "paramStructure": "either",
        "params": params,
        "result": {"name": "result", "schema": answer},
        "errors": [{"$ref": f"#/components/errors/{_error_key(code)}"} for code in method.errors],
        **({"x-transport": "websocket"} if isinstance(method, SocketMethod) else {}),
        **({"x-http": routes} if (routes := _list_routes(method)) else {}),
    }


def _list_routes(method: Method) -> list[str]:
    """HTTP paths of a method of the app's own, as they were declared."""
    return [f"{each.verb} {each.path}" for each in method.query.routes] if isinstance(method, AppMethod) else []


def _error_key(code: int) -> str:
    return "".join(word.capitalize() for word in ERRORS[code].split())


def _describe_error(code: int) -> dict[str, Any]:
    document: dict[str, Any] = {"code": code, "message": ERRORS[code]}
    if code in (ACTION_REFUSED, QUERY_FAILED):
        document["data"] = {"code": "why, in a word that stays", "detail": "why, in a sentence"}
    if code == RATE_EXCEEDED:
        document["data"] = {"retryAfterMs": "milliseconds until there is room again"}
    return document
