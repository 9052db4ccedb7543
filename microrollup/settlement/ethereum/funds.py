"""What a rollup's keys need of an L1 before there is an inbox: where it stands, and ether for the builder."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import msgspec

from microrollup.crypto import PrivateKey
from microrollup.settlement.ethereum.answers import parse_block, parse_quantity
from microrollup.settlement.ethereum.errors import TransactionReverted
from microrollup.settlement.ethereum.loop import LoopThread
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import Call
from microrollup.settlement.ethereum.transport import Transport

__all__ = ["L1Head", "get_balance", "read_head", "send_ether"]

_TRANSFER_GAS: Final = 100_000
"""A plain transfer takes 21,000; a receiver with code may take more."""

_TRIES: Final = 3

T = TypeVar("T")


class L1Head(msgspec.Struct, frozen=True):
    """Where an L1 stands."""

    chain_id: int
    number: int
    time: int
    """Seconds."""


def read_head(options: EthereumOptions) -> L1Head:
    """Chain id and newest block of an L1. Raises `L1Error`s."""

    async def read(transport: Transport) -> L1Head:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        head = parse_block(await transport.ask("eth_getBlockByNumber", "latest", False))
        return L1Head(chain_id, head.number, head.time)

    return _run(options, read)


def get_balance(options: EthereumOptions, address: bytes) -> int:
    """The wei that a 20-byte address has."""

    async def read(transport: Transport) -> int:
        answer = await transport.ask("eth_getBalance", f"0x{address.hex()}", "latest")
        return parse_quantity("eth_getBalance", answer)

    return _run(options, read)


def send_ether(options: EthereumOptions, key: PrivateKey, to: bytes, wei: int) -> None:
    """Send wei to a 20-byte address, once; returns when it is included. Raises `L1Error`s."""

    async def send(transport: Transport) -> None:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        sender = Sender(transport, options, chain_id)
        for _ in range(_TRIES):
            try:
                receipt = await sender.transact(key, Call(to, b"", _TRANSFER_GAS, value=wei))
            except SupersededError:  # something else of this key's came first
                continue
            if not receipt.succeeded:
                raise TransactionReverted(receipt.transaction_hash)
            return
        raise TransactionReverted(bytes(32))

    _run(options, send)


def _run(options: EthereumOptions, work: Callable[[Transport], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        transport = Transport(options)
        try:
            return await work(transport)
        finally:
            await transport.close()

    loop = LoopThread("l1")
    try:
        return loop.run(run())
    finally:
        loop.close()
