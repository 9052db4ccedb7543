"""The manifest: what decides a rollup's outcomes, as data whose hash is the stfId.

`stfId = keccak256` of the manifest's canonical msgpack. Stores and exports keep the manifest itself, so that an error
names the files that differ and not two hashes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.codec.json_text import clip
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.modules import Package
from microrollup.errors import DeclarationError
from microrollup.primitives import Bytes32, Uint64

__all__ = [
    "MAX_MANIFEST_BYTES",
    "RULES_VERSION",
    "FieldEntry",
    "Manifest",
    "ModuleEntry",
    "StfEntry",
    "compute_stf_id",
    "decode_manifest",
    "list_changes",
    "name_callable",
    "require_asserts",
    "sort_items",
]

RULES_VERSION: Final = 2
"""Newest version of the rules by which the kernel executes and commits; an app declares which one it is written for."""

MAX_MANIFEST_BYTES: Final = 1 << 20

MAX_MODULES_NAMED: Final = 50
"""How many modules that differ are named."""


class ModuleEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A module: its name relative to the state class's, and the 32-byte hash of its syntax tree."""

    name: str
    tree_hash: Bytes32


class StfEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An action's class name, and its STF as `module:qualname`."""

    action: str
    stf: str


class FieldEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state field: name, number, leaf function as `module:qualname` (nil: `abi.encode`), whether it is metadata."""

    name: str
    number: Uint64
    leaf: str | None
    metadata: bool


class Manifest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything that decides outcomes. Lists are sorted by their items' encoding; what an app does not have is nil."""

    rules: Uint64
    version: str
    """The app's, as in the EIP-712 domain."""
    state_schema: str
    action_schemas: tuple[str, ...]
    modules: tuple[ModuleEntry, ...]
    stfs: tuple[StfEntry, ...]
    fields: tuple[FieldEntry, ...]
    on_block: str | None
    migrate: str | None
    envelopes: tuple[tuple[str, str], ...]
    allow: tuple[str, ...]
    libraries: tuple[str, ...]
    previous: Bytes32 | None
    """The stfId of the version from which this one upgrades."""


_DECODER: Final = msgspec.msgpack.Decoder(Manifest)


def sort_items(items: Iterable[Any]) -> tuple[Any, ...]:
    """Items in the order of their canonical encoding."""
    return tuple(sorted(items, key=encode_canonical))


def compute_stf_id(manifest: Manifest) -> bytes:
    """keccak256 of the manifest's canonical bytes, 32 bytes."""
    return keccak256(encode_canonical(manifest))


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest of its canonical bytes, at most `MAX_MANIFEST_BYTES`. Raises `DecodeError`."""
    return decode_canonical(_DECODER, raw, what="manifest", limit=MAX_MANIFEST_BYTES)


def name_callable(function: Callable[..., Any], package: Package, what: str) -> str:
    """A function as `module:qualname`, by which the manifest names it.

    Raises `DeclarationError` for a lambda, a partial, a closure, a function of a foreign module, and one that its name
    does not lead to (wrapped elsewhere, or defined again): its name would not say what it does.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        raise DeclarationError(what, f"{name or function!r} must be a function at the level of its module")
    if not package.is_own(module):
        raise DeclarationError(what, f"{module}.{name} is not this app's own function; wrap it in one")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not function:
        raise DeclarationError(what, f"{module}.{name} is another function now; decorate it where it is defined")
    return f"{package.make_relative(module)}:{name}"


def require_asserts() -> None:
    """Raises `DeclarationError` under `python -O`: there `assert` does nothing, and outcomes would differ."""
    if sys.flags.optimize:
        raise DeclarationError("python -O", "drops assert statements, so outcomes would differ; run without it")


def list_changes(old: Manifest, new: Manifest, names: Mapping[str, str]) -> list[str]:
    """What differs between two manifests, in words: modules first, `names` giving the names of their files."""
    before, after = ({entry.name: entry.tree_hash for entry in side.modules} for side in (old, new))

    def show(name: str) -> str:
        return names.get(name, clip(name))  # a builder chose the names that are not this app's

    changed = [f"{show(name)} changed" for name in sorted(before.keys() & after) if before[name] != after[name]]
    changed += [f"{show(name)} is gone" for name in sorted(before.keys() - after)]
    changed += [f"{show(name)} is new" for name in sorted(after.keys() - before)]
    changes = changed[:MAX_MODULES_NAMED]
    if len(changed) > MAX_MODULES_NAMED:
        changes.append(f"{len(changed) - MAX_MODULES_NAMED} other modules changed")
    others = {
        "rules": "rules version",
        "version": "app version",
        "state_schema": "the state's schema",
        "action_schemas": "the actions' schemas",
        "stfs": "the state transition functions",
        "fields": "the state's fields",
        "on_block": "the block hook",
        "migrate": "the migration",
        "envelopes": "the envelopes",
        "allow": "the lint's exceptions",
        "libraries": "the libraries",
        "previous": "the version before",
    }
    changes += [f"{words} changed" for name, words in others.items() if getattr(old, name) != getattr(new, name)]
    return changes
