"""What is needed of an L1 node, looked for by name when an inbox is opened.

    cancun          its head has the members of EIP-4844, without which no batch can be published in blobs
    callsByHash     `eth_call` takes a block's hash (EIP-1898); else it is asked by number, and the block checked twice
    proofs          `eth_getProof`, from which roots are brought to other chains
    blockOverrides  `eth_call` takes overrides of the block; else calls are tried in the pending block

Only the first is indispensable, and only for blobs; for the rest there is another way.
"""

from __future__ import annotations

from typing import Any, Final

from microrollup.settlement.ethereum.errors import L1Error, L1Refused
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["find_abilities"]

_NOBODY: Final = "0x" + "00" * 20


async def find_abilities(transport: L1Transport) -> dict[str, bool]:
    """Ask the node. Raises `L1Error`s only if it does not answer at all."""
    head: Any = await transport.ask("eth_getBlockByNumber", "latest", False)
    head = head if isinstance(head, dict) else {}
    call = {"to": _NOBODY, "data": "0x"}
    return {
        "cancun": head.get("excessBlobGas") is not None,
        "callsByHash": await _answers(transport, "eth_call", call, {"blockHash": head.get("hash")}),
        "proofs": await _answers(transport, "eth_getProof", _NOBODY, [], "latest"),
        "blockOverrides": await _answers(transport, "eth_call", call, "latest", {}, {"number": head.get("number")}),
    }


async def _answers(transport: L1Transport, method: str, *params: Any) -> bool:
    try:
        await transport.ask(method, *params)
    except L1Refused:
        return False
    except L1Error:
        return True  # it may; what is asked for later tells
    return True
