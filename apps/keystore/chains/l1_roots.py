"""The keystore's root on L1, and bringing it to a chain: by a storage proof, or by reading the inbox where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.answers import L1Block, parse_block, parse_bytes
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.failover import open_transport
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport, MethodCall

from ..root_proofs import STORAGE_SLOTS, RootProof, make_root_proof
from .node import ChainNode, make_call
from .plan import L1_BLOCK

__all__ = ["InboxHead", "L1Prover", "RootPath", "find_root_path", "read_inbox", "read_known_l1"]

RootPath = Literal["inbox", "proof", "none"]
"""`inbox`: the chain is L1. `proof`: it knows L1's block hashes, as OP-stack does. `none`: only bridges bring them."""

_NUMBER: Final = keccak256(b"number()")[:4]
_HASH: Final = keccak256(b"hash()")[:4]
_WORD: Final = 32


class InboxHead(msgspec.Struct, frozen=True):
    """What the inbox holds in an L1 block."""

    root: bytes
    """32 bytes."""
    height: int
    time: int
    """Of the L1 block, in seconds."""


async def find_root_path(node: ChainNode, inbox: bytes) -> RootPath:
    """How roots come to a chain, by what is on it."""
    hashes = await node.hash_codes([inbox, L1_BLOCK])
    if hashes[inbox]:
        return "inbox"
    return "proof" if hashes[L1_BLOCK] else "none"


async def read_known_l1(node: ChainNode, number: int) -> tuple[int, bytes]:
    """Number and hash of the L1 block that an OP-stack chain knows at a block of its own."""
    calls = [make_call(L1_BLOCK, data, number) for data in (_NUMBER, _HASH)]
    answers = await node.ask_calls(calls)
    if any(answer is None or len(answer) != _WORD for answer in answers):
        raise L1BadAnswer("L1Block", "it does not answer")
    known, block_hash = [answer or b"" for answer in answers]
    return int.from_bytes(known, "big"), block_hash


async def read_inbox(transport: L1Transport, inbox: bytes, block: L1Block) -> InboxHead:
    """What the inbox holds in a block of L1's."""
    requests: list[MethodCall] = [
        ("eth_getStorageAt", [hex0x(inbox), slot, hex(block.number)]) for slot in STORAGE_SLOTS
    ]
    words = [parse_bytes("eth_getStorageAt", each, _WORD) for each in await transport.ask_many(requests)]
    root, head = [word.rjust(_WORD, b"\0") for word in words]
    return InboxHead(root, int.from_bytes(head[-8:], "big"), block.time)


class L1Prover:
    """L1, as storage proofs need it; one for all chains."""

    def __init__(self, options: EthereumOptions) -> None:
        self._transport = open_transport(options)
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """No more questions."""
        await self._transport.close()

    async def read_inbox(self, inbox: bytes, number: int, block_hash: bytes) -> InboxHead:
        """What the inbox holds in an L1 block. Raises `L1BadAnswer` unless the node has this very block, and others."""
        return await read_inbox(self._transport, inbox, parse_block(await self._read(number, block_hash), number))

    async def prove(self, inbox: bytes, number: int, block_hash: bytes) -> RootProof:
        """The inbox's storage in that block. Raises what `read_inbox` and `make_root_proof` raise."""
        block = await self._read(number, block_hash)
        proof = await self._transport.ask("eth_getProof", hex0x(inbox), list(STORAGE_SLOTS), hex(number))
        if not isinstance(proof, Mapping):
            raise L1BadAnswer("eth_getProof", "no proof")
        return make_root_proof(block, proof)

    async def _read(self, number: int, block_hash: bytes) -> Mapping[str, Any]:
        async with self._lock:
            block = await self._transport.ask("eth_getBlockByNumber", hex(number), False)
        if not isinstance(block, Mapping) or block.get("hash") != hex0x(block_hash):
            raise L1BadAnswer("eth_getBlockByNumber", f"it has another block {number} than the L2 knows, or none yet")
        return block
