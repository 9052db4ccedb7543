"""What Axiom's clients look up and the state does not keep: blocks by hash, transactions from L1, leaves by place."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from microrollup import Bytes, Bytes32, Index, IndexBlock, Uint8, Uint16, Uint64
from microrollup.chain.block import Header
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.index import Change

from ...plus.state import Plus
from ...plus.vault import Deposit
from ...plus.words import encode_word
from ..blocks import compute_axiom_block_hash, compute_output_root, compute_sequencer_address

__all__ = [
    "AXIOM_HASH",
    "BLOCK_HASH",
    "ENVELOPE_PREFIX",
    "OUTPUT_ROOT",
    "STATE_ROOT",
    "axiom_blocks",
    "axiom_leaves",
    "axiom_queue",
    "compute_deposit_hash",
    "list_names",
]

K = TypeVar("K")

AXIOM_HASH: Final = 0
"""Kind of what a block is found by: keccak256 of its seven words."""
BLOCK_HASH: Final = 1
"""The rollup's own hash of its block."""
STATE_ROOT: Final = 2
"""Many blocks may have one: the newest counts."""
OUTPUT_ROOT: Final = 3

ENVELOPE_PREFIX: Final = b"\x02\x05axiom"
"""How a payload of the queue begins that carries a transaction."""

_DEPOSIT_TYPE: Final = b"\x00"
_ZERO_TOKEN: Final = bytes(20)


def compute_deposit_hash(place: int, amount: int, key: bytes) -> bytes:
    """The hash of a DEPOSIT, by its place in the inbox's queue: every deposit of ether into the vault has one."""
    return keccak256(_DEPOSIT_TYPE + place.to_bytes(32, "big") + amount.to_bytes(32, "big") + key)


def list_names(header: Header, builder: bytes) -> dict[int, bytes]:
    """Kind -> what a block is found by; its own hash is known from the next block's header only."""
    found = compute_axiom_block_hash(header, compute_sequencer_address(builder))
    output_root = compute_output_root(header.state_root, header.state_root, found)
    return {AXIOM_HASH: found, STATE_ROOT: header.state_root, OUTPUT_ROOT: output_root}


def axiom_blocks(block: IndexBlock[Plus], rows: Index[tuple[Uint8, Bytes32], Uint64]) -> None:
    """(kind, hash or root) -> height."""
    header = block.header
    for kind, value in list_names(header, block.first_builder).items():
        rows.put((kind, value), block.height)
    if block.height > 0:
        rows.put((BLOCK_HASH, header.parent_hash), block.height - 1)


def axiom_queue(block: IndexBlock[Plus], rows: Index[Bytes32, Uint64]) -> None:
    """Transaction hash -> sequence number, of what came through L1, whatever became of it."""
    for receipt in block.receipts:
        queued = receipt.queued
        if queued is None:
            continue
        if queued.payload[:7] == ENVELOPE_PREFIX:
            rows.put(keccak256(queued.payload[7:]), receipt.seq)
            continue
        action = receipt.action
        if isinstance(action, Deposit) and action.token == _ZERO_TOKEN:
            rows.put(compute_deposit_hash(queued.index, action.amount, action.key), receipt.seq)


def axiom_leaves(block: IndexBlock[Plus], rows: Index[Bytes32, tuple[Uint16, Bytes]]) -> None:
    """Place in the tree -> (silo, key): an exclusion proof shows some other entry's leaf, with its value."""
    state = block.state
    plain = (
        (0, _list_new(block.changes(state.keystore.accounts))), (1, _list_new(block.changes(state.vault.balances))),
        (2, _list_new(block.changes(state.vault.axiom_nonces))), (3, _list_new(block.changes(state.vault.withdrawals))),
        (5, _list_new(block.changes(state.vault.token_withdrawals))),
        (8, _list_new(block.changes(state.orders.orders))), (9, _list_new(block.changes(state.orders.fills))),
        (11, _list_new(block.changes(state.exits.exits))),
        (12, _list_new(block.changes(state.texts.texts))),
    )  # fmt: skip
    found = [(silo, key) for silo, keys in plain for key in keys]
    found += [(4, token + key) for token, key in _list_new(block.changes(state.vault.tokens))]
    found += [(6, key + encode_word(slot)) for key, slot in _list_new(block.changes(state.outbox.intents))]
    found += [(7, key + encode_word(chain)) for key, chain in _list_new(block.changes(state.outbox.delegates))]
    found += [(10, encode_word(number)) for number in _list_new(block.changes(state.deposits.deposits))]
    for silo, key in found:
        rows.put(keccak256(silo.to_bytes(2, "big") + key), (silo, key))


def _list_new(changes: list[Change[K, Any]]) -> list[K]:
    """Keys that had no entry before."""
    return [change.key for change in changes if change.old is None]
