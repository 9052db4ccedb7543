"""What a rollup's keys need of an L1 before there is an inbox: where it stands, and ether for the builder."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.crypto.ecdsa import SigningKey
from microrollup.settlement.ethereum.answers import parse_block, parse_quantity
from microrollup.settlement.ethereum.errors import TransactionReverted
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.ethereum.visit import visit_l1

__all__ = ["L1Origin", "get_balance", "has_code", "read_origin", "send_ether"]

_TRANSFER_GAS: Final = 100_000
"""A plain transfer takes 21,000; a receiver with code may take more."""

_TRIES: Final = 3


class L1Origin(msgspec.Struct, frozen=True):
    """The L1 block that a new rollup begins at."""

    chain_id: int
    number: int
    time: int
    """Seconds."""


def read_origin(options: EthereumOptions) -> L1Origin:
    """Chain id of an L1, and the newest of its blocks with the options' depth on top (else its first). Raises
    `L1Error`s.
    """

    async def read(transport: L1Transport) -> L1Origin:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        head = parse_block(await transport.ask("eth_getBlockByNumber", "latest", False))
        number = max(0, head.number - options.depth)
        origin = parse_block(await transport.ask("eth_getBlockByNumber", hex(number), False), number)
        return L1Origin(chain_id, origin.number, origin.time)

    return visit_l1(options, read)


def get_balance(options: EthereumOptions, address: bytes) -> int:
    """The wei that a 20-byte address has."""

    async def read(transport: L1Transport) -> int:
        answer = await transport.ask("eth_getBalance", f"0x{address.hex()}", "latest")
        return parse_quantity("eth_getBalance", answer)

    return visit_l1(options, read)


def has_code(options: EthereumOptions, address: bytes) -> bool:
    """Whether there is a contract at a 20-byte address."""

    async def read(transport: L1Transport) -> bool:
        return bool(await transport.ask("eth_getCode", f"0x{address.hex()}", "latest") != "0x")

    return visit_l1(options, read)


def send_ether(options: EthereumOptions, key: SigningKey, to: bytes, wei: int) -> None:
    """Send wei to a 20-byte address, once; returns when it is included. Raises `L1Error`s."""

    async def send(transport: L1Transport) -> None:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        sender = Sender(transport, options, chain_id)
        for _ in range(_TRIES):
            try:
                receipt = await sender.transact(key, TransactionRequest(to, b"", _TRANSFER_GAS, value=wei))
            except SupersededError:  # something else of this key's came first
                continue
            if not receipt.succeeded:
                raise TransactionReverted(receipt.transaction_hash)
            return
        raise TransactionReverted(bytes(32))

    visit_l1(options, send)
