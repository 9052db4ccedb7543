"""Accounts with names: the key is the ENS namehash, so address and proofs follow from the name; and text records."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_BYTES32, Action, Bytes32, Context, Event, Revert, replace, require
from microrollup.crypto.keccak import keccak256

from ..accounts import Account, is_known_vk
from .acting import begin
from .authority import put_account, require_code
from .clock import DAY
from .state import NameCommitment, Plus
from .words import encode_address, encode_text, encode_word

__all__ = [
    "COMMITMENT_TIME",
    "MAX_TEXTS",
    "MAX_TEXT_BYTES",
    "MAX_TEXT_NAME_BYTES",
    "AccountNamed",
    "CommitName",
    "RegisterNamed",
    "SetText",
    "TextSet",
    "commit_name",
    "compute_commitment",
    "compute_named_key",
    "compute_text_key",
    "is_label",
    "register_named",
    "set_text",
]

COMMITMENT_TIME: Final = DAY
"""In which a commitment is used, from the next block on."""
MAX_TEXTS: Final = 64
"""Of one account."""
MAX_TEXT_NAME_BYTES: Final = 64
MAX_TEXT_BYTES: Final = 1_024

_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-"


class CommitName(Action, frozen=True):
    """Promise to register a name that nobody can read yet; in place of the sender's last promise."""

    commitment: Bytes32
    """`keccak256(abi.encode(string label, address sender, bytes32 secret))`."""


class RegisterNamed(Action, frozen=True):
    """Create the account whose key is the name; its vk is the sender."""

    label: str
    secret: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32


class SetText(Action, frozen=True):
    """Set a text record of an account; an empty value deletes it."""

    key: Bytes32
    name: str
    value: str


class AccountNamed(Event, frozen=True):
    """A name is taken."""

    key: Bytes32
    label: str


class TextSet(Event, frozen=True):
    """An account has another text record."""

    key: Bytes32
    name: str


def is_label(label: str) -> bool:
    """3 to 63 of `a-z 0-9 -`; no hyphen at an end, nor at both the third and the fourth place (RFC 5891, 4.2.3.1)."""
    raw = label.encode()
    return (
        3 <= len(raw) <= 63
        and all(letter in _LETTERS for letter in raw)
        and not raw.startswith(b"-")
        and not raw.endswith(b"-")
        and raw[2:4] != b"--"
    )


def compute_named_key(parent_node: bytes, label: str) -> bytes:
    """The ENS namehash of `label` under a parent: `keccak256(parent(32) || keccak256(label))` (ERC-137)."""
    return keccak256(parent_node + keccak256(label.encode()))


def compute_commitment(label: str, sender: bytes, secret: bytes) -> bytes:
    """`keccak256(abi.encode(string label, address sender, bytes32 secret))`."""
    return keccak256(encode_word(96) + encode_address(sender) + secret + encode_text(label.encode()))


def compute_text_key(key: bytes, name: str) -> bytes:
    """`keccak256(key(32) || name)`."""
    return keccak256(key + name.encode())


def commit_name(state: Plus, action: CommitName, ctx: Context) -> Plus:
    """Each sender has one commitment: they stay few, and nobody can touch another's."""
    require(state.config.parent_node != ZERO_BYTES32, "no names here")
    commitment = NameCommitment(action.commitment, ctx.height, ctx.timestamp)
    commitments = state.naming.commitments.set(ctx.sender, commitment)
    return replace(state, naming=replace(state.naming, commitments=commitments))


def register_named(state: Plus, action: RegisterNamed, ctx: Context) -> Plus:
    """In a later block than the commitment: so who reads the label in a block cannot be first in the same one."""
    promised = state.naming.commitments.get(ctx.sender)
    if promised is None:
        raise Revert("commit to the name first")
    require(is_known_vk(ctx.sender), "vk of no known kind")
    require_code(action.code_hash)
    require(is_label(action.label), "not a label: 3 to 63 of a-z 0-9 -, no hyphen at an end or at both 3 and 4")
    commitment = compute_commitment(action.label, ctx.sender, action.secret)
    require(promised.commitment == commitment, "not what was committed to")
    require(ctx.height > promised.height, "register in a later block than the commitment's")
    require(ctx.timestamp <= promised.timestamp + COMMITMENT_TIME, "the commitment is more than a day old")
    key = compute_named_key(state.config.parent_node, action.label)
    require(key not in state.keystore.accounts, "account exists")
    ctx.emit(AccountNamed(key, action.label))
    naming = replace(state.naming, commitments=state.naming.commitments.delete(ctx.sender))
    account = Account(action.code_hash + action.config_hash, ctx.sender)
    return put_account(replace(state, naming=naming), key, account)


def set_text(state: Plus, action: SetText, ctx: Context) -> Plus:
    """By the account's authority; settled, so a resolver on L1 proves it."""
    state = begin(state, action.key, ctx)
    require(1 <= len(action.name.encode()) <= MAX_TEXT_NAME_BYTES, "a text's name has 1 to 64 bytes")
    require(len(action.value.encode()) <= MAX_TEXT_BYTES, "a text has at most 1024 bytes")
    place, texts = compute_text_key(action.key, action.name), state.texts.texts
    count, held = state.naming.text_counts.get(action.key, 0), place in texts
    if action.value:
        require(held or count < MAX_TEXTS, "an account has at most 64 texts")
        texts, count = texts.set(place, action.value), count if held else count + 1
    else:
        require(held, "no such text")
        texts, count = texts.delete(place), count - 1
    ctx.emit(TextSet(action.key, action.name))
    naming = replace(state.naming, text_counts=state.naming.text_counts.set(action.key, count))
    return replace(state, texts=replace(state.texts, texts=texts), naming=naming)
