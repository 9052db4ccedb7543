"""What a chain knows of the keystore: the newest root, and the copies of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.settlement.ethereum.errors import L1BadAnswer

from ..root_calls import LatestRoot, decode_latest, encode_latest
from .node import ChainNode, make_call

__all__ = ["AccountCopy", "read_copies", "read_latest"]

_GET_ROOTS: Final = keccak256(b"getRoots()")[:4]
_TYPES: Final = ("bytes32", "uint64", "(uint40,uint40)", "(bytes27,uint40)[4]")


class AccountCopy(msgspec.Struct, frozen=True):
    """An account's copy of a root."""

    root: bytes
    """32 bytes."""
    height: int
    """Of the rollup's block."""
    shown_at: int
    """L1 time, in seconds, at which L1 was shown to hold it, as far as the account knows."""
    valid_until: int
    """Seconds: the account believes it so long."""


async def read_latest(node: ChainNode, roots: bytes, number: int) -> LatestRoot:
    """The newest root that a chain's `KeystoreRoots` knows at a block; zeros before the first. Raises `L1Error`s."""
    (answer,) = await node.ask_calls([make_call(roots, encode_latest(), number)])
    try:
        return decode_latest(answer or b"")
    except DecodeError as error:
        raise L1BadAnswer("latest root", str(error)) from None


async def read_copies(node: ChainNode, accounts: Sequence[bytes], number: int) -> list[AccountCopy | None]:
    """Accounts' copies at a block, by their 20-byte addresses; None where there is no account. Raises `L1Error`s."""
    answers = await node.ask_calls([make_call(account, _GET_ROOTS, number) for account in accounts])
    return [_decode(answer) if answer else None for answer in answers]


def _decode(answer: bytes) -> AccountCopy | None:
    """Whatever else is at the address answers as it likes."""
    try:
        root, height, (shown_at, valid_until), _ = abi_decode(_TYPES, answer)
    except (DecodingError, OverflowError):
        return None
    return AccountCopy(root, height, shown_at, valid_until)
