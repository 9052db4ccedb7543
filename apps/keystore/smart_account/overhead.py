"""What it costs an operation that its account lives by the keystore: bytes, and gas of validation.

The gas is a model of the measured figures in `tests/foundry/accounts/snapshots`; a test holds it against them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup.errors import UsageError

from ..proofs import EXCLUSION_HEADER_BYTES, INCLUSION_HEADER_BYTES
from .opening import MODE_CACHED, MODE_EXCLUSION, MODE_INCLUSION, MODE_REMEMBER

__all__ = ["Overhead", "compute_calldata_gas", "estimate_overhead", "recommend_verification_gas_limit"]

_HEAD_BYTES: Final = 1 + 32 + 2 + 2
"""Mode, codeHash, and the lengths of configuration and signature."""
_WORD_BYTES: Final = 32

# Execution gas of `validateUserOp` without the validator's own work, storage cold, by mode: at depth 0, and a level.
_VALIDATION_GAS: Final = {MODE_INCLUSION: (8_310, 106), MODE_EXCLUSION: (8_590, 106), MODE_CACHED: (5_000, 0)}
_REMEMBER_GAS: Final = 22_200
"""A new word of storage."""
_REPLACED_ROOT_GAS: Final = 9_300
"""Up to four more words of storage, if the proof is one of a replaced root."""
_COLD_CODE_GAS: Final = 2 * 2_500
"""Implementation and validator, when the transaction touches them first."""
_ENTRY_POINT_GAS: Final = 44_000
"""What the entry point does within the limit: 17,700 as measured, 26,400 where the account pays for its deposit, and
17,100 more where it has none yet: sponsors have paid for all of its operations.
"""
_CREATION_GAS: Final = 189_000
"""Making the account with its first copy of a root, a replaced root and its first nonce, the contracts cold."""
_MARGIN_PERCENT: Final = 10
_NONZERO_GAS: Final = 16
_ZERO_GAS: Final = 4


class Overhead(Struct, frozen=True):
    """Beyond what the validator's bare signature and the validator itself cost."""

    signature_bytes: int
    """Of the operation's signature, the validator's signature not counted."""
    validation_gas: int
    """Execution gas of `validateUserOp` with cold storage, without the validator."""


def estimate_overhead(mode: int, depth: int, config_bytes: int) -> Overhead:
    """The overhead at a tree depth (0 to 64), in a mode of `opening`. Raises `UsageError` for an unknown mode."""
    kind = mode & ~MODE_REMEMBER
    if kind not in _VALIDATION_GAS or mode == MODE_CACHED | MODE_REMEMBER:
        raise UsageError(f"there is no mode {mode}")
    opening_bytes = {
        MODE_INCLUSION: _WORD_BYTES + INCLUSION_HEADER_BYTES + _WORD_BYTES * depth,
        MODE_EXCLUSION: 2 * _WORD_BYTES + EXCLUSION_HEADER_BYTES + _WORD_BYTES * depth,
        MODE_CACHED: 0,
    }[kind]
    base, level = _VALIDATION_GAS[kind]
    gas = base + level * depth + (_REMEMBER_GAS if mode & MODE_REMEMBER else 0)
    return Overhead(_HEAD_BYTES + config_bytes + opening_bytes, gas)


def compute_calldata_gas(data: bytes) -> int:
    """What bytes cost as calldata: 16 gas, 4 for a zero (EIP-2028). L2s also charge for posting them to L1."""
    zeros = data.count(0)
    return _ZERO_GAS * zeros + _NONZERO_GAS * (len(data) - zeros)


def recommend_verification_gas_limit(
    mode: int, depth: int, config_bytes: int, *, validator_gas: int, creates: bool = False
) -> int:
    """A `verificationGasLimit` that holds even if newer roots are pushed before the operation arrives.

    The proof's root is then looked for among the replaced ones, which costs more than any simulation before shows.
    """
    overhead = estimate_overhead(mode, depth, config_bytes)
    search = 0 if mode == MODE_CACHED else _REPLACED_ROOT_GAS
    gas = overhead.validation_gas + validator_gas + search + _COLD_CODE_GAS + _ENTRY_POINT_GAS
    gas += _CREATION_GAS if creates else 0
    return gas * (100 + _MARGIN_PERCENT) // 100
