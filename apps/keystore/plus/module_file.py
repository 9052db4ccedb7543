"""The module by which commands know a Keystore+ with its configuration: a Python file of one declaration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from microrollup.errors import UsageError

from .config import Config

__all__ = ["is_module_name", "keep_module", "write_module_text"]

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


def is_module_name(text: str) -> bool:
    """Whether a module may have this name."""
    return _NAME.fullmatch(text) is not None


def _write_bytes(value: bytes) -> str:
    return f'bytes.fromhex("{value.hex()}")'


def write_module_text(config: Config) -> str:
    """The module's text: the same for the same configuration."""
    members = [
        f"        {name}={_write_bytes(value)},\n"
        for name, value in (
            ("vault", config.vault),
            ("bridge", config.bridge),
            ("parent_node", config.parent_node),
            ("collector", config.collector),
        )
        if any(value)
    ]
    caps = [f"            PriceCap(token={_write_bytes(cap.token)}, cap={cap.cap}),\n" for cap in config.price_caps]
    settlers = [
        f"            OrderSettler(chain_id={each.chain_id}, address={_write_bytes(each.address)}),\n"
        for each in config.settlers
    ]
    members += ["        settlers=(\n", *settlers, "        ),\n"] if settlers else []
    members += ["        price_caps=(\n", *caps, "        ),\n"] if caps else []
    names = ", ".join(["Config", *["OrderSettler"][: len(settlers)], *["PriceCap"][: len(caps)]])
    return "".join(
        [
            '"""A Keystore+, as it was deployed. Its configuration is part of the rollup\'s id."""\n\n',
            f"from {__package__}.config import {names}\n",
            f"from {__package__}.rollup import make_app\n\n",
            "app = make_app(\n    Config(\n",
            *members,
            "    )\n)\n",
        ]
    )


def keep_module(path: Path, config: Config) -> None:
    """Write the module, unless it is there with the same configuration.

    Raises `UsageError` for a name that no module can have, and for a file that holds something else.
    """
    if not is_module_name(path.stem):
        raise UsageError(f"{path.stem!r} is not a module's name: take lower-case letters, digits and underscores")
    text = write_module_text(config)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{path} is there and holds something else: take another name or directory")
