"""What a node tells of other chains: `microrollup run APP --methods chains`, with `chains.json` in its data directory.

Nothing here belongs to a block. Chains are asked off the hot path, and what they say is compared with the keystore.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup import ZERO_BYTES32, Address, Bytes32, NodeView, Uint64

from ..accounts import Account, encode_account_leaf
from ..indexes import accounts_by_vk
from .explaining import ChainExplanation, explain_error, explain_everywhere, read_operation
from .judging import describe_copy, judge_chain
from .survey import ChainNews
from .surveys import ask_chains, get_survey

__all__ = ["ChainRow", "ChainRows", "chains_of", "chains_that_know", "explain_operation"]

_PAGE: Final = 8
"""Accounts whose chains are told at once."""


class ChainRow(msgspec.Struct, frozen=True):
    """What one chain knows of one account, as its node says."""

    key: Bytes32
    chain: str
    """Its name, by the operator."""
    chain_id: Uint64
    """0: not known yet."""
    state: str
    """A word of `judging.STATES`."""
    detail: str
    height: Uint64 | None
    """The keystore's block of the newest root there."""
    settled: Uint64 | None
    """When L1 took that root."""
    copied: Uint64 | None
    """The block that the account goes by there; null: no account, or no copy."""
    until: Uint64 | None
    """When the account stops to believe that copy."""
    seen: Uint64
    """When the chain was asked, by the clock of the node's machine; 0: it has not answered yet."""


class ChainRows(msgspec.Struct, frozen=True):
    """Rows, all chains of an account together, and the account after which the next page begins."""

    items: list[ChainRow]
    next: Bytes32 | None


def chains_of(node: NodeView, sender: Address, after: Bytes32 = ZERO_BYTES32) -> ChainRows:
    """Which chains know the present keys of the accounts that a sender may change."""
    rows, following = node.index(accounts_by_vk).page(prefix=(sender,), after=(sender, after), limit=_PAGE)
    found = _tell(node, [key for (_, key), _ in rows])
    return ChainRows(found, None if following is None else following[1])


def chains_that_know(node: NodeView, key: Bytes32) -> list[ChainRow]:
    """Which chains know the present keys of one account."""
    return _tell(node, [key])


def explain_operation(node: NodeView, text: str) -> list[ChainExplanation]:
    """Why each chain refuses an operation, as bundlers take it in JSON; or what an error of the entry point, in hex
    digits, says.
    """
    text = text.strip()
    if text.startswith("0x"):
        return [explain_error(text)]
    operation, keystore = read_operation(text), _Served(node)
    return explain_everywhere(get_survey(node.directory), operation, keystore.find_held)


def _tell(node: NodeView, keys: list[bytes]) -> list[ChainRow]:
    keystore = _Served(node)
    news = ask_chains(node.directory, keys)
    return [_make_row(each, key, keystore) for key in keys for each in news]


def _make_row(news: ChainNews, key: bytes, keystore: _Served) -> ChainRow:
    judged, status = judge_chain(news, key, keystore), news.status
    latest = status.latest if status.latest is not None and any(status.latest.root) else None
    copied, until = describe_copy(news.copies.get(key))
    return ChainRow(
        key,
        news.name,
        status.chain_id,
        judged.state,
        judged.detail,
        None if latest is None else latest.height,
        None if latest is None else latest.settled_at,
        copied,
        until,
        news.seen,
    )


class _Served:
    """The keystore, or a rollup that holds one, as a node has it."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._roots: dict[int, bytes] = {}
        self._accounts: dict[tuple[bytes, int | None], Account | None] = {}

    def get_root(self, height: int) -> bytes:
        if height not in self._roots:
            self._roots[height] = self._node.get_header(height).state_root
        return self._roots[height]

    def find_held(self, key: bytes) -> bytes:
        """The 64 bytes that the tree commits to now; empty for nothing."""
        account = self.get_account(key, None)
        return b"" if account is None else encode_account_leaf(account)

    def get_account(self, key: bytes, height: int | None) -> Account | None:
        place = (key, height)
        if place not in self._accounts:
            state: Any = self._node.view(height).state
            self._accounts[place] = getattr(state, "keystore", state).accounts.get(key)
        return self._accounts[place]
