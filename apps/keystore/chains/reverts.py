"""What the keystore's contracts revert with, by the names of their errors."""

from __future__ import annotations

from functools import cache

from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256

__all__ = ["name_keystore_error"]

_CONTRACTS = __name__.removesuffix(".chains.reverts") + ".contracts"


@cache
def _load_names() -> dict[bytes, str]:
    """Selector -> name."""
    names: dict[bytes, str] = {}
    for contract in ("KeystoreRoots", "KeystoreAccount"):
        for entry in load_artifact(contract, _CONTRACTS).abi:
            if entry["type"] == "error":
                types = ",".join([each["type"] for each in entry["inputs"]])
                names[keccak256(f"{entry['name']}({types})".encode())[:4]] = entry["name"]
    return names


def name_keystore_error(data: bytes | None) -> str | None:
    """The error's name; None if it is not of these contracts."""
    return _load_names().get(data[:4]) if data else None
