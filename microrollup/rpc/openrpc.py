"""The OpenRPC document: every method with its params, its result and its errors, made from the table of methods."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import msgspec

from microrollup.rpc.errors import ACTION_REFUSED, ERRORS, RATE_EXCEEDED
from microrollup.rpc.methods import Method

__all__ = ["describe_openrpc"]

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


def describe_openrpc(methods: Mapping[str, Method], name: str, address: str) -> dict[str, Any]:
    """The document of one rollup's node. Source: https://spec.open-rpc.org (1.3.2)."""
    _, components = msgspec.json.schema_components(
        [method.params for method in methods.values()], ref_template="#/components/schemas/{name}"
    )
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": f"{name} on microrollup",
            "version": metadata.version("microrollup"),
            "description": "JSON-RPC 2.0 over HTTP POST and WebSocket. Bytes are 0x-hex, integers from 2^53 strings.",
        },
        "servers": [{"name": "this node", "url": address}],
        "methods": [_describe_method(full, method, components) for full, method in methods.items()],
        "components": {
            "schemas": {key: value for key, value in components.items() if not _is_params(key, methods)},
            "errors": {_error_key(code): _describe_error(code) for code in ERRORS},
        },
    }


def _is_params(key: str, methods: Mapping[str, Method]) -> bool:
    return key in {method.params.__name__ for method in methods.values()}


def _describe_method(full: str, method: Method, components: dict[str, Any]) -> dict[str, Any]:
    schema = components[method.params.__name__]
    required = set(schema.get("required", ()))
    return {
        "name": full,
        "summary": method.summary,
        "paramStructure": "either",
        "params": [
            {"name": name, "required": name in required, "schema": _RAW_SCHEMAS.get(name, member)}
            for name, member in schema.get("properties", {}).items()
        ],
        "result": {"name": "result", "schema": method.result},
        "errors": [{"$ref": f"#/components/errors/{_error_key(code)}"} for code in method.errors],
        **({"x-transport": "websocket"} if method.socket_only else {}),
    }


def _error_key(code: int) -> str:
    return "".join(word.capitalize() for word in ERRORS[code].split())


def _describe_error(code: int) -> dict[str, Any]:
    document: dict[str, Any] = {"code": code, "message": ERRORS[code]}
    if code == ACTION_REFUSED:
        document["data"] = {"code": "why, in a word that stays", "detail": "why, in a sentence"}
    if code == RATE_EXCEEDED:
        document["data"] = {"retryAfterMs": "milliseconds until there is room again"}
    return document
