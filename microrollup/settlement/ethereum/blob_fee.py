"""The price of blob gas: as the node tells it, or computed from its newest header (EIP-4844, EIP-7840)."""

from __future__ import annotations

from typing import Any, Final

from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Refused, L1WithoutBlobs
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["compute_blob_fee", "read_blob_fee"]

_MIN_FEE: Final = 1
"""MIN_BASE_FEE_PER_BLOB_GAS, wei."""

_NEWEST_FRACTION: Final = 11_684_671
"""BLOB_BASE_FEE_UPDATE_FRACTION since BPO2 (EIP-7892), for nodes that do not tell theirs. Earlier forks have smaller
ones, with which fees would be higher: what is too low is raised until it is taken, what is too high is never sent."""

_MAX_EXCESS: Final = 1 << 32
"""No chain gets there: fees grow with its exponential."""


async def read_blob_fee(transport: L1Transport) -> int:
    """Wei per unit of blob gas. Raises `L1WithoutBlobs` for a chain that has none, and `L1Error`s."""
    try:
        return parse_quantity("eth_blobBaseFee", await transport.ask("eth_blobBaseFee"))
    except (L1Refused, L1BadAnswer) as error:
        reason = str(error)
    try:
        history = await transport.ask("eth_feeHistory", "0x1", "latest", [])
        fees = history.get("baseFeePerBlobGas") if isinstance(history, dict) else None
        if isinstance(fees, list) and fees and (fee := parse_quantity("baseFeePerBlobGas", fees[-1])):
            return fee
    except (L1Refused, L1BadAnswer) as error:
        reason = str(error)
    block = await transport.ask("eth_getBlockByNumber", "latest", False)
    excess = block.get("excessBlobGas") if isinstance(block, dict) else None
    if excess is None:
        raise L1WithoutBlobs(reason)
    return compute_blob_fee(parse_quantity("excessBlobGas", excess), await _read_fraction(transport))


async def _read_fraction(transport: L1Transport) -> int:
    """The node's own (`eth_config`, EIP-7910)."""
    try:
        answer: Any = await transport.ask("eth_config")
    except (L1Refused, L1BadAnswer):
        return _NEWEST_FRACTION
    for name in ("current", "blobSchedule", "baseFeeUpdateFraction"):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer if isinstance(answer, int) and 0 < answer < 1 << 40 else _NEWEST_FRACTION


def compute_blob_fee(excess: int, fraction: int) -> int:
    """`e^(excess / fraction)` wei as EIP-4844's `fake_exponential` gives it. Raises `L1BadAnswer` beyond all bounds."""
    if excess > min(_MAX_EXCESS, 100 * fraction):
        raise L1BadAnswer("excessBlobGas", f"{excess} is more than any chain has")
    step, total, term = 1, 0, _MIN_FEE * fraction
    while term > 0:
        total += term
        term = term * excess // (fraction * step)
        step += 1
    return total // fraction
