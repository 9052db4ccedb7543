"""The bridges by which a vault hears how orders ended: that they are those of the configuration's settlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_abi.abi import encode as abi_encode

from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.ethereum.contracts import ask_contract
from microrollup.settlement.ethereum.errors import L1Refused
from microrollup.settlement.ethereum.options import EthereumOptions

from ..order_calls import encode_verdicts_creation
from ..smart_account.addresses import compute_deployed_address
from ..smart_account.configuration import load_creation_code
from .config import OrderSettler

__all__ = ["check_settlers", "encode_origin_creation"]

_KINDS: Final = (("OpStackOrigin", "messenger"), ("ArbitrumExitOrigin", "bridge"))
"""Contracts on L1 that know a settler by its chain's bridge, and what each calls the bridge."""


def encode_origin_creation(kind: str, bridge: bytes, settler: bytes) -> bytes:
    """The creation code of the contract on L1 that knows a settler's messages.

    `OpStackOrigin` with the chain's L1CrossDomainMessenger, or `ArbitrumExitOrigin` with its bridge; 20 bytes each.
    """
    return load_creation_code(kind) + abi_encode(["address", "address"], [bridge, settler])


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
    for kind, name in _KINDS:
        try:
            bridge = ask_contract(options, origin, keccak256(f"{name}()".encode())[:4])[12:]
        except L1Refused:
            continue  # of the other kind
        if bridge and origin == compute_deployed_address(encode_origin_creation(kind, bridge, settler)):
            return True
    return False
