"""The bridges by which a vault hears how orders ended: created for the chains that orders may go to, and compared with
the configuration's settlers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from microrollup.crypto.ecdsa import SigningKey
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.ethereum.contracts import ask_contract, create_contract
from microrollup.settlement.ethereum.errors import L1Refused
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.visit import visit_l1

from ..chains.hashes import read_code_hashes
from ..chains.plan import L2_MESSENGER
from ..order_calls import encode_settler_creation, encode_verdicts_creation
from ..smart_account.addresses import compute_deployed_address
from ..smart_account.configuration import load_creation_code
from .config import OrderSettler

__all__ = [
    "ChainKind",
    "OrderBridge",
    "check_bridges",
    "check_settlers",
    "create_verdicts",
    "encode_chain_settler",
    "encode_origin_creation",
    "plan_verdicts",
]

ChainKind: TypeAlias = Literal["OP-stack", "Arbitrum"]


class _Heard(NamedTuple):
    """How L1 hears a chain's settler: by which contract of ours, and what that calls the chain's own one on L1."""

    origin: str
    bridge: str
    words: str


_KINDS: Final[dict[ChainKind, _Heard]] = {
    "OP-stack": _Heard("OpStackOrigin", "messenger", "L1CrossDomainMessenger"),
    "Arbitrum": _Heard("ArbitrumExitOrigin", "bridge", "Bridge"),
}


class OrderBridge(Struct, frozen=True):
    """A chain to which orders may go, and the contract on L1 by which its settler is heard."""

    chain_id: int
    kind: ChainKind
    bridge: bytes
    """20 bytes, on L1: the chain's L1CrossDomainMessenger, or its Arbitrum bridge."""

    @property
    def settler(self) -> OrderSettler:
        """The settler on the chain, deployed or not."""
        return OrderSettler(self.chain_id, compute_deployed_address(encode_chain_settler(self.kind)))

    @property
    def origin_creation(self) -> bytes:
        """The creation code of the contract on L1 that knows the settler's messages."""
        return encode_origin_creation(_KINDS[self.kind].origin, self.bridge, self.settler.address)


def encode_chain_settler(kind: ChainKind) -> bytes:
    """The creation code of the settler on chains of a kind: the same on all of them, and so is its address."""
    return encode_settler_creation(L2_MESSENGER if kind == "OP-stack" else None)


def encode_origin_creation(kind: str, bridge: bytes, settler: bytes) -> bytes:
    """The creation code of the contract on L1 that knows a settler's messages.

    `OpStackOrigin` with the chain's L1CrossDomainMessenger, or `ArbitrumExitOrigin` with its bridge; 20 bytes each.
    """
    return load_creation_code(kind) + abi_encode(["address", "address"], [bridge, settler])


def _encode_verdicts(bridges: Sequence[OrderBridge]) -> bytes:
    origins = [(each.chain_id, compute_deployed_address(each.origin_creation)) for each in bridges]
    return encode_verdicts_creation(origins)


def plan_verdicts(bridges: Sequence[OrderBridge]) -> bytes:
    """The 20-byte address of the `OrderVerdicts` of these bridges, in their order; zero where there are none."""
    return compute_deployed_address(_encode_verdicts(bridges)) if bridges else ZERO_ADDRESS


def check_bridges(options: EthereumOptions, bridges: Sequence[OrderBridge]) -> None:
    """Whether L1 has a contract at each bridge's address. Raises `UsageError` where it has none, and `L1Error`s."""
    hashes = visit_l1(options, lambda transport: read_code_hashes(transport, [each.bridge for each in bridges]))
    for each, code_hash in zip(bridges, hashes, strict=True):
        if not code_hash:
            raise UsageError(
                f"there is no contract at 0x{each.bridge.hex()} on L1: take the {_KINDS[each.kind].words} of chain"
                f" {each.chain_id}"
            )


def create_verdicts(options: EthereumOptions, key: SigningKey, bridges: Sequence[OrderBridge]) -> int:
    """Create on L1 what `plan_verdicts` names, paid for by `key`. The gas of it; 0 for what was there already.

    Raises what `create_contract` raises.
    """
    if not bridges:
        return 0
    creations = [*[each.origin_creation for each in bridges], _encode_verdicts(bridges)]
    return sum([create_contract(options, key, creation).gas_used for creation in creations])


def check_settlers(options: EthereumOptions, verdicts: bytes, settlers: Sequence[OrderSettler]) -> None:
    """Whether a vault's `OrderVerdicts` believes exactly these settlers, each by a contract of ours.

    It cannot say whether a named bridge is the chain's own: that is public, and for who pays in to compare. Raises
    `UsageError` with what does not fit.
    """
    if verdicts == ZERO_ADDRESS:
        if settlers:
            raise UsageError("the configuration has settlers, and the vault hears of none: no order would ever end")
        return
    sources = []
    for settler in settlers:
        question = keccak256(b"origins(uint64)")[:4] + settler.chain_id.to_bytes(32, "big")
        origin = ask_contract(options, verdicts, question)[12:]
        if not any(origin) or not _is_ours(options, origin, settler.address):
            raise UsageError(f"the vault does not hear of the settler of chain {settler.chain_id} by its bridge")
        sources.append((settler.chain_id, origin))
    if verdicts != compute_deployed_address(encode_verdicts_creation(sources)):
        raise UsageError("what the vault believes about orders is not the contract of the configuration's settlers")


def _is_ours(options: EthereumOptions, origin: bytes, settler: bytes) -> bool:
    for kind in _KINDS.values():
        try:
            bridge = ask_contract(options, origin, keccak256(f"{kind.bridge}()".encode())[:4])[12:]
        except L1Refused:
            continue  # of the other kind
        if bridge and origin == compute_deployed_address(encode_origin_creation(kind.origin, bridge, settler)):
            return True
    return False
