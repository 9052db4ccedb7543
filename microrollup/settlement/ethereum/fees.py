"""What a transaction offers to pay, and how much more a replacement must offer."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.blob_fee import read_blob_fee
from microrollup.settlement.ethereum.errors import FeeTooHigh, L1BadAnswer, L1Refused
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["Fees", "compute_blob_cap", "compute_cap", "bump_fees", "suggest_fees", "suggest_tip"]

_DEFAULT_TIP: Final = 10**9
"""Where a node suggests none."""


class Fees(msgspec.Struct, frozen=True):
    """Wei a gas: the tip, the cap with the tip in it, and the cap of blob gas (0 without blobs)."""

    tip: int
    cap: int
    blob_cap: int


async def suggest_fees(transport: L1Transport, options: EthereumOptions, base_fee: int, *, has_blobs: bool) -> Fees:
    """Fees that hold while the base fee doubles, within the caps. Raises `FeeTooHigh` if L1 asks for more already."""
    tip = await suggest_tip(transport, options)
    if base_fee + tip > options.max_fee_per_gas:
        raise FeeTooHigh("fee a gas", options.max_fee_per_gas, base_fee + tip)
    cap = compute_cap(base_fee, tip, options)
    if not has_blobs:
        return Fees(tip, cap, 0)
    blob_fee = await read_blob_fee(transport)
    if blob_fee > options.max_fee_per_blob_gas:
        raise FeeTooHigh("fee a blob gas", options.max_fee_per_blob_gas, blob_fee)
    return Fees(tip, cap, compute_blob_cap(blob_fee, options))


def compute_cap(base_fee: int, tip: int, options: EthereumOptions) -> int:
    """Wei a gas that hold while the base fee doubles."""
    return min(2 * base_fee + tip, options.max_fee_per_gas)


def compute_blob_cap(blob_fee: int, options: EthereumOptions) -> int:
    """Wei a unit of blob gas that hold while its fee doubles."""
    return min(2 * blob_fee + 1, options.max_fee_per_blob_gas)


async def suggest_tip(transport: L1Transport, options: EthereumOptions) -> int:
    """Wei a gas for who builds the block, within the cap. Raises `L1Error`s."""
    try:
        tip = parse_quantity("eth_maxPriorityFeePerGas", await transport.ask("eth_maxPriorityFeePerGas"))
    except (L1Refused, L1BadAnswer):
        tip = _DEFAULT_TIP
    return min(max(tip, 1), options.max_priority_fee_per_gas)


def bump_fees(fees: Fees, suggested: Fees, options: EthereumOptions) -> Fees | None:
    """Fees that nodes take as a replacement, `None` if a cap forbids it.

    All of a blob transaction's fees must double, those of others grow by a tenth (go-ethereum's pools; others ask for
    the same or less).
    """
    raise_by = _double if fees.blob_cap else _add_tenth
    bumped = Fees(
        max(raise_by(fees.tip), suggested.tip),
        max(raise_by(fees.cap), suggested.cap),
        max(raise_by(fees.blob_cap), suggested.blob_cap),
    )
    within = (
        bumped.tip <= options.max_priority_fee_per_gas
        and bumped.cap <= options.max_fee_per_gas
        and bumped.blob_cap <= options.max_fee_per_blob_gas
    )
    return bumped if within else None


def _double(fee: int) -> int:
    return 2 * fee


def _add_tenth(fee: int) -> int:
    return fee + fee // 8 + 1
