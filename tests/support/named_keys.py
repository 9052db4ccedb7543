"""Keystore+ with names below `keys.example.eth`, as an app of its own that a node can run."""

from __future__ import annotations

from typing import Final

from apps.keystore.plus.config import Config
from apps.keystore.plus.naming import compute_named_key
from apps.keystore.plus.rollup import make_app

__all__ = ["PARENT", "PARENT_NAME", "app", "compute_node"]

PARENT_NAME: Final = "keys.example.eth"


def compute_node(name: str) -> bytes:
    """ERC-137's namehash."""
    node = bytes(32)
    for label in reversed(name.split(".")):
        node = compute_named_key(node, label)
    return node


PARENT: Final = compute_node(PARENT_NAME)

app = make_app(Config(parent_node=PARENT))
