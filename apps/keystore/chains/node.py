"""One chain: what programs that serve it ask its node, and the transactions that they send there.

The node is not trusted with more than what it shows: its answers are bounded, fees are capped, and nothing it says
makes anybody sign anything but the calls that a program chose, on the chain whose id it was started for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.ethereum.answers import (
    L1Block,
    L1Receipt,
    parse_block,
    parse_bytes,
    parse_quantity,
    parse_receipt,
)
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Refused, clip
from microrollup.settlement.ethereum.failover import open_transport
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import MethodCall

from .errors import CallReverts
from .reverts import name_keystore_error

__all__ = ["ChainNode", "make_call"]

_MAX_CODE_BYTES: Final = 64 * 1024
_MAX_ANSWER_BYTES: Final = 4096
_CHECK_GAS: Final = 10_000_000
_GAS_SPARE: Final = 20_000
_MAX_GAS: Final = 1 << 40
_SHOWN: Final = 36
_SHOWN_CHARACTERS: Final = 80

_OF_CODE: Final = re.compile(
    r"revert|EVM error|invalid (opcode|jump)|out ?of ?gas|stack (under|over)flow", re.IGNORECASE
)
"""In the words of go-ethereum, reth, Nethermind, Besu, Erigon and anvil."""


class ChainNode:
    """A connection to a chain's node. All methods belong to one event loop, and raise `L1Error`s."""

    def __init__(self, options: EthereumOptions, key: PrivateKey | None) -> None:
        """Without a key nothing can be sent."""
        self.options = options
        self.chain_id = 0
        self.transport = open_transport(options)
        self.place = self.transport.place
        self._key = key
        self.address: Final = ZERO_ADDRESS if key is None else compute_address(key)
        """20 bytes: who pays."""

    async def close(self) -> None:
        await self.transport.close()

    async def read_chain_id(self) -> int:
        """As the node gives it now."""
        return parse_quantity("eth_chainId", await self.transport.ask("eth_chainId"))

    async def read_head(self) -> L1Block:
        """The newest block."""
        return parse_block(await self.transport.ask("eth_getBlockByNumber", "latest", False))

    async def read_block_hash(self, number: int) -> bytes | None:
        """The hash of a block; None if the chain has none of this number."""
        answer = await self.transport.ask("eth_getBlockByNumber", hex(number), False)
        return None if answer is None else parse_block(answer, number).hash

    async def read_codes(self, addresses: Sequence[bytes]) -> list[bytes]:
        """The code at each address; empty where there is none."""
        requests: list[MethodCall] = [("eth_getCode", [f"0x{address.hex()}", "latest"]) for address in addresses]
        answers = await self.transport.ask_many(requests) if requests else []
        return [parse_bytes("eth_getCode", answer, _MAX_CODE_BYTES) for answer in answers]

    async def hash_codes(self, addresses: Sequence[bytes]) -> dict[bytes, bytes]:
        """Address -> keccak256 of the code there; empty where there is none."""
        codes = await self.read_codes(addresses)
        return {address: keccak256(code) if code else b"" for address, code in zip(addresses, codes, strict=True)}

    async def ask_calls(
        self, requests: Sequence[MethodCall], reasons: dict[int, str] | None = None
    ) -> list[bytes | None]:
        """What calls return; None for those that revert, whose reasons are noted by their place."""
        try:
            answers: list[Any] = await self.transport.ask_many(requests)
        except L1Refused:
            answers = []
            for place, (method, params) in enumerate(requests):
                try:
                    answers.append(await self.transport.ask(method, *params))
                except L1Refused as refusal:
                    if not _is_revert(refusal):
                        raise
                    answers.append(None)
                    if reasons is not None:
                        reasons[place] = self.name_revert(refusal.data, refusal.message)
        return [None if answer is None else parse_bytes("eth_call", answer, _MAX_ANSWER_BYTES) for answer in answers]

    def name_revert(self, data: bytes | None, message: str) -> str:
        """What a call reverted with: the name of one of the keystore's errors, else its bytes, or the node's words."""
        name = name_keystore_error(data)
        if name is not None:
            return f"reverts with {name}"
        if not data:
            return f"reverts: {clip(message[:_SHOWN_CHARACTERS])}" if message else "reverts"
        return f"reverts with 0x{data[:_SHOWN].hex()}"

    async def estimate_call(self, to: bytes | None, data: bytes) -> int:
        """The gas of a call, or without `to` of a creation, with some to spare. Raises `CallReverts`.

        On the newest block: a node's own choice may be the pending one, with an earlier transaction of ours in it.
        """
        call = {"from": f"0x{self.address.hex()}", "data": f"0x{data.hex()}"}
        if to is not None:
            call["to"] = f"0x{to.hex()}"
        try:
            gas = parse_quantity("eth_estimateGas", await self.transport.ask("eth_estimateGas", call, "latest"))
        except L1Refused as refusal:
            if not _is_revert(refusal):
                raise
            raise CallReverts(self.name_revert(refusal.data, refusal.message)) from None
        if gas > _MAX_GAS:
            raise L1BadAnswer("eth_estimateGas", f"{gas} gas")
        return gas + gas // 4 + _GAS_SPARE

    async def read_account(self) -> tuple[int, int]:
        """(nonce of the next transaction, wei) of the relayer's own account."""
        own = f"0x{self.address.hex()}"
        nonce, balance = await self.transport.ask_many([
            ("eth_getTransactionCount", [own, "latest"]), ("eth_getBalance", [own, "latest"]),
        ])  # fmt: skip
        return parse_quantity("eth_getTransactionCount", nonce), parse_quantity("eth_getBalance", balance)

    async def has_succeeded(self, transaction_hash: bytes) -> bool:
        """Whether a transaction is still included, and has not reverted."""
        answer = await self.transport.ask("eth_getTransactionReceipt", f"0x{transaction_hash.hex()}")
        receipt = parse_receipt(answer, transaction_hash)
        return receipt is not None and receipt.succeeded

    async def send_call(self, to: bytes | None, data: bytes, gas: int, max_fee: int) -> L1Receipt:
        """Send one transaction, at `max_fee` wei a gas at most, and wait until it is included.

        Raises what `Sender.transact` raises, and `UsageError` without a key.
        """
        if self._key is None:
            raise UsageError("nothing can be sent without a key")
        priority = min(self.options.max_priority_fee_per_gas, max_fee)
        options = msgspec.structs.replace(self.options, max_fee_per_gas=max_fee, max_priority_fee_per_gas=priority)
        call = TransactionRequest(to, data, gas)
        return await Sender(self.transport, options, self.chain_id).transact(self._key, call)


def make_call(to: bytes, data: bytes, number: int | None, sender: bytes | None = None) -> MethodCall:
    """A question to a contract, at a block or at the newest."""
    call = {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}", "gas": hex(_CHECK_GAS)}
    if sender is not None:
        call["from"] = f"0x{sender.hex()}"
    return "eth_call", [call, "latest" if number is None else hex(number)]


def _is_revert(refusal: L1Refused) -> bool:
    """Whether a contract's code is why a call fails; else the node says no for a reason of its own."""
    return refusal.data is not None or _OF_CODE.search(refusal.message) is not None
