"""One chain: what a relayer asks its node, and the transactions that it sends there.

The node is not trusted with more than what it shows: its answers are bounded, another chain id is refused, fees are
capped, and nothing it says makes the relayer sign anything but calls of the keystore contract on that chain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.answers import (
    L1Block,
    L1Receipt,
    parse_block,
    parse_bytes,
    parse_quantity,
    parse_receipt,
)
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Refused
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport, MethodCall

from ..updates import encode_handle_updates
from .calls import encode_get_nonce, encode_get_root, encode_validate, name_revert
from .errors import CallReverts
from .updates import LoggedUpdate, UpdateLine

__all__ = ["ChainNode", "ChainStanding"]

_MAX_CODE_BYTES: Final = 64 * 1024
_MAX_ANSWER_BYTES: Final = 4096
_LAST_SEQUENCE: Final = (1 << 64) - 1
_CHECK_GAS: Final = 10_000_000
_GAS_SPARE: Final = 20_000

_OF_CODE: Final = re.compile(
    r"revert|EVM error|invalid (opcode|jump)|out ?of ?gas|stack (under|over)flow", re.IGNORECASE
)
"""In the words of go-ethereum, reth, Nethermind, Besu, Erigon and anvil."""


class ChainStanding(msgspec.Struct, frozen=True):
    """What a chain holds of an account."""

    root: bytes
    position: int
    """How many of the account's updates its nonces count."""


class ChainNode:
    """A connection to a chain's node. All methods belong to one event loop, and raise `L1Error`s."""

    def __init__(self, options: EthereumOptions, key: PrivateKey) -> None:
        self.options = options
        self.chain_id = 0
        self._transport = L1Transport(options)
        self.place = self._transport.place
        self._key = key
        self.address: Final = compute_address(key)

    async def close(self) -> None:
        await self._transport.close()

    async def read_chain_id(self) -> int:
        """As the node gives it now."""
        return parse_quantity("eth_chainId", await self._transport.ask("eth_chainId"))

    async def read_head(self) -> L1Block:
        """The newest block."""
        return parse_block(await self._transport.ask("eth_getBlockByNumber", "latest", False))

    async def read_block_hash(self, number: int) -> bytes | None:
        """The hash of a block; None if the chain has none of this number."""
        answer = await self._transport.ask("eth_getBlockByNumber", hex(number), False)
        return None if answer is None else parse_block(answer, number).hash

    async def read_standings(
        self, lines: Sequence[UpdateLine], hints: Sequence[int], number: int
    ) -> list[ChainStanding | None]:
        """What the accounts' keystores hold at a block; None where there is no contract that answers.

        An update is counted if its nonce is used, and each one's if the next one's is: so the position is searched for,
        beginning at a hint, by the nonces of few keys, however many an account has.
        """
        searches = [_Search(line, hint) for line, hint in zip(lines, hints, strict=True)]
        roots = await self._ask_calls([_call(each.keystore, encode_get_root(each.place), number) for each in searches])
        for search, root in zip(searches, roots, strict=True):
            search.root = root
        while True:
            probes = [(search, place) for search in searches for place in search.list_probes()]
            if not probes:
                break
            requests = [
                _call(each.keystore, encode_get_nonce(each.place, each.updates[place].nonce_key), number)
                for each, place in probes
            ]
            for (search, place), answer in zip(probes, await self._ask_calls(requests), strict=True):
                search.note(place, answer)
        return [search.finish() for search in searches]

    async def hash_codes(self, addresses: Sequence[bytes]) -> dict[bytes, bytes]:
        """Address -> keccak256 of the code there; empty where there is none."""
        requests: list[MethodCall] = [("eth_getCode", [f"0x{address.hex()}", "latest"]) for address in addresses]
        answers = await self._transport.ask_many(requests)
        codes = [parse_bytes("eth_getCode", answer, _MAX_CODE_BYTES) for answer in answers]
        return {address: keccak256(code) if code else b"" for address, code in zip(addresses, codes, strict=True)}

    async def check_signatures(self, updates: Sequence[LoggedUpdate]) -> list[str]:
        """What the chain's verifiers say against each update; empty if nothing.

        `validate` is asked for a caller that nobody is, whose root is therefore the one that the update was signed
        for: so it tells what a verifier answers, which the success of `handleUpdates` does not.
        """
        requests: list[MethodCall] = []
        for logged in updates:
            given, caller = logged.update, keccak256(logged.message)[:20]
            data = encode_validate(logged.root, logged.message, given.proof or (), given.node, given.data)
            requests.append(_call(logged.keystore, data, None, caller))
            if given.next_node:
                data = encode_validate(
                    given.next_hash, logged.message, given.next_proof, given.next_node, given.next_data
                )
                requests.append(_call(logged.keystore, data, None, caller))
        reasons: dict[int, str] = {}
        answers = iter(await self._ask_calls(requests, reasons))
        found, place = [], 0
        for logged in updates:
            said = ""
            for _ in range(2 if logged.update.next_node else 1):
                answer = next(answers)
                if not said and answer is None:
                    said = reasons[place]
                elif not said and answer is not None and len(answer) < 32:
                    said = "there is no keystore contract"
                elif not said and answer is not None and int.from_bytes(answer[:32], "big") == 1:
                    said = "a verifier answers that it is not signed"
                place += 1
            found.append(said)
        return found

    async def _ask_calls(
        self, requests: Sequence[MethodCall], reasons: dict[int, str] | None = None
    ) -> list[bytes | None]:
        """What calls return; None for those that revert, whose reasons are noted by their place."""
        try:
            answers: list[Any] = await self._transport.ask_many(requests)
        except L1Refused:
            answers = []
            for place, (method, params) in enumerate(requests):
                try:
                    answers.append(await self._transport.ask(method, *params))
                except L1Refused as refusal:
                    if not _is_revert(refusal):
                        raise
                    answers.append(None)
                    if reasons is not None:
                        reasons[place] = name_revert(refusal.data, refusal.message)
        return [None if answer is None else parse_bytes("eth_call", answer, _MAX_ANSWER_BYTES) for answer in answers]

    async def estimate(self, updates: Sequence[LoggedUpdate]) -> int:
        """The gas of a transaction with these updates, of one keystore, with some to spare. Raises `CallReverts`.

        On the newest block: a node's own choice may be the pending one, with an earlier transaction of ours in it.
        """
        call = {
            "from": f"0x{self.address.hex()}",
            "to": f"0x{updates[0].keystore.hex()}",
            "data": f"0x{encode_updates(updates).hex()}",
        }
        try:
            gas = parse_quantity("eth_estimateGas", await self._transport.ask("eth_estimateGas", call, "latest"))
        except L1Refused as refusal:
            if not _is_revert(refusal):
                raise
            raise CallReverts(name_revert(refusal.data, refusal.message)) from None
        if gas > 1 << 40:
            raise L1BadAnswer("eth_estimateGas", f"{gas} gas")
        return gas + gas // 4 + _GAS_SPARE

    async def read_account(self) -> tuple[int, int]:
        """(nonce of the next transaction, wei) of the relayer's own account."""
        own = f"0x{self.address.hex()}"
        nonce, balance = await self._transport.ask_many([
            ("eth_getTransactionCount", [own, "latest"]), ("eth_getBalance", [own, "latest"]),
        ])  # fmt: skip
        return parse_quantity("eth_getTransactionCount", nonce), parse_quantity("eth_getBalance", balance)

    async def has_succeeded(self, transaction_hash: bytes) -> bool:
        """Whether a transaction is still included, and has not reverted."""
        answer = await self._transport.ask("eth_getTransactionReceipt", f"0x{transaction_hash.hex()}")
        receipt = parse_receipt(answer, transaction_hash)
        return receipt is not None and receipt.succeeded

    async def send(self, updates: Sequence[LoggedUpdate], gas: int, max_fee: int) -> L1Receipt:
        """Send them in one transaction, at `max_fee` wei a gas at most, and wait until it is included.

        Raises what `Sender.transact` raises.
        """
        priority = min(self.options.max_priority_fee_per_gas, max_fee)
        options = msgspec.structs.replace(self.options, max_fee_per_gas=max_fee, max_priority_fee_per_gas=priority)
        call = TransactionRequest(updates[0].keystore, encode_updates(updates), gas)
        return await Sender(self._transport, options, self.chain_id).transact(self._key, call)


class _Search:
    """For an account's position on a chain."""

    def __init__(self, line: UpdateLine, hint: int) -> None:
        self.place = line.place
        self.updates = tuple(line.updates)  # meanwhile the log may bring more
        self.keystore = self.updates[0].keystore
        self.root: bytes | None = None
        self._low, self._high = 0, len(self.updates)
        self._hint: int | None = min(hint, self._high)
        self._is_lost = False

    def list_probes(self) -> list[int]:
        """Updates whose nonces are to be read next."""
        if self._is_lost or self.root is None or len(self.root) != 32 or self._low == self._high:
            return []
        if self._hint is None:
            return [(self._low + self._high) // 2]
        hint, self._hint = self._hint, None
        return [place for place in (hint - 1, hint) if 0 <= place < self._high]

    def note(self, place: int, answer: bytes | None) -> None:
        """What `getNonce` gave for an update's key."""
        if answer is None or len(answer) != 32:
            self._is_lost = True
        elif int.from_bytes(answer, "big") & _LAST_SEQUENCE > self.updates[place].sequence:
            self._low = max(self._low, place + 1)
        else:
            self._high = max(min(self._high, place), self._low)

    def finish(self) -> ChainStanding | None:
        if self._is_lost or self.root is None or len(self.root) != 32:
            return None
        return ChainStanding(self.root, self._low)


def encode_updates(updates: Sequence[LoggedUpdate]) -> bytes:
    """Calldata of `handleUpdates`."""
    return encode_handle_updates([logged.update for logged in updates])


def _call(to: bytes, data: bytes, number: int | None, sender: bytes | None = None) -> MethodCall:
    call = {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}", "gas": hex(_CHECK_GAS)}
    if sender is not None:
        call["from"] = f"0x{sender.hex()}"
    return "eth_call", [call, "latest" if number is None else hex(number)]


def _is_revert(refusal: L1Refused) -> bool:
    """Whether a contract's code is why a call fails; else the node says no for a reason of its own."""
    return refusal.data is not None or _OF_CODE.search(refusal.message) is not None
