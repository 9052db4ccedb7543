"""Whether chains go by the configuration that the keystore holds now, by proofs against the roots that they go by."""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.client import SyncClient
from microrollup.codec.json import hex0x
from microrollup.errors import MicrorollupError

from ..proofs import ShownProof, proof_from_json
from .status import ChainStatus

__all__ = ["compare_configurations"]


def compare_configurations(statuses: Sequence[ChainStatus], key: bytes, node: str) -> list[str]:
    """Of each chain, whether its copy holds for a 32-byte key what the newest settled root holds, by a node's proofs.

    "yes" and "no" are proven against the account's own copy; "conflict": at the copy's height the keystore has another
    root; "unknown": the node has no proof of that height any more; "-": no account. Raises `MicrorollupError` where the
    node cannot be asked, or proves nothing.
    """
    with SyncClient(node) as client:
        newest = _prove(client, key, None)
        return [_compare(client, key, newest, status) for status in statuses]


def _compare(client: SyncClient, key: bytes, newest: ShownProof, status: ChainStatus) -> str:
    copy = status.copy
    if copy is None:
        return "-"
    try:
        shown = newest if copy.root == newest.state_root else _prove(client, key, copy.height)
    except MicrorollupError:
        return "unknown"
    if shown.state_root != copy.root:
        return "conflict"
    return "yes" if (shown.exists, shown.value) == (newest.exists, newest.value) else "no"


def _prove(client: SyncClient, key: bytes, height: int | None) -> ShownProof:
    named = {} if height is None else {"height": height}
    shown = proof_from_json(client.call("getProof", field="accounts", key=hex0x(key), **named))
    if shown.key != key:
        raise MicrorollupError(f"the node proves the key {hex0x(shown.key)}, asked was for {hex0x(key)}")
    return shown
