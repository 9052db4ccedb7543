"""Named sets of methods: what a node of the app serves besides, only where it is asked to."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from microrollup.errors import DeclarationError

__all__ = ["MethodSet", "check_method_sets"]

MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAMESPACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TAKEN: Final = frozenset({"eth", "net", "rollup", "rpc", "web3"})


class MethodSet(msgspec.Struct, frozen=True):
    """A module of methods that `microrollup run APP --methods NAME` switches on, under a namespace of its own.

    So an app can speak the protocol of another system: its methods have that system's names. A set counts towards the
    stfId no more than `methods` does.
    """

    module: str
    """The module's name; each of its functions whose name does not begin with `_` is a method, as with `methods`."""
    namespace: str
    """What the methods' names begin with, before the underscore: letters and digits."""


def check_namespace(namespace: str) -> str:
    """The namespace. Raises `DeclarationError` for one that is another's, or no word."""
    if not _NAMESPACE.fullmatch(namespace) or namespace.lower() in _TAKEN:
        raise DeclarationError("name", f"{namespace!r} cannot begin the names of methods: use letters and digits")
    return namespace


def check_method_sets(sets: Any) -> None:
    """Check the argument `method_sets`. Raises `DeclarationError` that says what to write."""
    example = 'write method_sets={"axiom": MethodSet("zoo_axiom", namespace="keystore")}'
    if not isinstance(sets, dict):
        raise DeclarationError("method_sets", f"is a dict of MethodSet by name: {example}")
    for name, each in sets.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DeclarationError("method_sets", f"{name!r} must be 1 to 32 of a-z, 0-9 and hyphens: {example}")
        if not isinstance(each, MethodSet):
            raise DeclarationError("method_sets", f"{name!r} is not a MethodSet: {example}")
        if not isinstance(each.module, str) or not MODULE.fullmatch(each.module):
            raise DeclarationError("method_sets", f"{name!r} names a module as text: {example}")
        if not isinstance(each.namespace, str):
            raise DeclarationError("method_sets", f"{name!r} has a namespace as text: {example}")
        check_namespace(each.namespace)
