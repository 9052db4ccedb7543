"""Execution gas, measured by tracing a call: without the transaction's own 21,000, its calldata, and their floor."""

from __future__ import annotations

from typing import Final

from microrollup.codec.json import hex0x

from ..smart_account import (
    ENTRY_POINT,
    UserOperation,
    compute_user_operation_hash,
    encode_validate_user_op,
)
from .chain import Chain

__all__ = ["measure_call", "measure_validation"]

_GAS: Final = 10_000_000
_QUIET: Final = {"disableStorage": True, "disableStack": True, "enableMemory": False}


def measure_call(chain: Chain, target: bytes, data: bytes, sender: bytes) -> int:
    """Gas from a call's first instruction to its last, with cold storage; the target's own code is warm."""
    call = {"from": hex0x(sender), "to": hex0x(target), "data": hex0x(data), "gas": hex(_GAS)}
    steps = chain.anvil.call("debug_traceCall", call, "latest", _QUIET)["structLogs"]
    return int(steps[0]["gas"]) - int(steps[-1]["gas"]) + int(steps[-1]["gasCost"])


def measure_validation(chain: Chain, operation: UserOperation) -> int:
    """Gas of `validateUserOp` of an account that is there, asked by the entry point; all code but its own is cold."""
    digest = compute_user_operation_hash(operation, ENTRY_POINT, chain.chain_id)
    return measure_call(chain, operation.sender, encode_validate_user_op(operation, digest), ENTRY_POINT)
