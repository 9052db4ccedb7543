"""What a node of Keystore+ does besides: it is the gateway of `KeystoreResolver` (ENS, ERC-3668)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from microrollup import Address, Bytes, NodeView, http_route
from microrollup.crypto.merkle.indexed import Proof

from .ens import answer_gateway

if TYPE_CHECKING:
    from .ens import ShownEntry

__all__ = ["GatewayAnswer", "answer_ens"]


class GatewayAnswer(Struct, frozen=True):
    """What a client hands to the resolver's callback."""

    data: Bytes
    """`abi.encode(bool exists, bytes value, bytes proof)`."""


class _Shown(Struct, frozen=True):
    """A proof as `answer_gateway` takes it."""

    exists: bool
    value: bytes
    proof: Proof


@http_route("GET /ens/{sender}/{data}.json", "POST /ens", any_origin=True)
def answer_ens(node: NodeView, sender: Address, data: Bytes) -> GatewayAnswer:  # noqa: ARG001 - clients send it
    """Answer a question of the ENS resolver: a proof under the root that the inbox on L1 holds now.

    `sender` is the contract that asks. Any may: the answer is public, and the resolver checks it.
    """
    height = node.settled

    def prove(field: str, key: bytes) -> ShownEntry:
        shown = node.prove(field, key, height)
        return _Shown(
            shown.exists, shown.value or b"", Proof(shown.leaf_index, shown.leaf, shown.siblings, shown.is_left)
        )

    return GatewayAnswer(answer_gateway(data, prove))
