"""The envelope `ucmt`: an update that a user has signed once, as the calldata that any keystore contract takes."""

from __future__ import annotations

from typing import Any, Final

from microrollup import Action, Address, Bytes32, Envelope, Opened, Revert, Uint64, Uint192, require
from microrollup.crypto.keccak import keccak256

from .abi_words import (
    decode_siblings,
    encode_bytes,
    encode_siblings,
    encode_word,
    fold,
    join_parts,
    read_bytes,
    read_word,
)
from .published import find_verifier
from .strict_checks import is_signed

__all__ = ["HEAD", "OpenedUpdate", "UcmtEnvelope", "UpdateRoot"]

HEAD: Final = bytes.fromhex("59f99c78") + bytes(31) + b"\x20" + bytes(31) + b"\x01" + bytes(31) + b"\x20"
"""Of `handleUpdates` with one action: selector, offset of the array, its length, offset of the action."""

_NODE_BYTES: Final = 20


class UpdateRoot(Action, frozen=True):
    """Change the root of an account, as one of its nodes signed it."""

    ref_hash: Bytes32
    """The user's first root."""
    account: Address
    nonce_key: Uint192
    sequence: Uint64
    """The update's nonce is `nonce_key(192) || sequence(64)`."""
    root: Bytes32
    """What node and proof give: the root that the update was signed for."""
    next_hash: Bytes32
    keystore: Address
    """The contract that the verifiers of both nodes answer to."""


class OpenedUpdate(Opened, frozen=True):
    """An update with what its action does not hold."""

    proof: tuple[bytes, ...]
    node: bytes
    data: bytes
    next_proof: tuple[bytes, ...]
    next_node: bytes
    next_data: bytes


class UcmtEnvelope(Envelope):
    """Calldata of `handleUpdates` with one action: node given whole with its proof, without `useChainId`, the verifiers
    of `published`, signatures as `strict_checks` takes them. The hash is the message that the nodes sign.
    """

    name = "ucmt"
    actions = (UpdateRoot,)

    def open(self, raw: bytes) -> Opened:
        """The update, if its nodes signed it and the next tree holds the one that stays."""
        require(raw[: len(HEAD)] == HEAD, "not handleUpdates with one action")
        start = len(HEAD)
        require(read_word(raw, start + 96) == 0, "useChainId: of one chain alone")
        account = read_word(raw, start + 128)
        require(account < 1 << 160, "an account has 20 bytes")
        node, next_node = read_bytes(raw, start, 6), read_bytes(raw, start, 9)
        data, next_data = read_bytes(raw, start, 7), read_bytes(raw, start, 10)
        proof = read_bytes(raw, start, 5)
        require(len(proof) > 0, "UnregisteredProof: give node and proof")
        siblings, next_siblings = decode_siblings(proof), decode_siblings(read_bytes(raw, start, 8))
        leaf = keccak256(node)
        ref_hash, next_hash, nonce = raw[start : start + 32], raw[start + 32 : start + 64], raw[start + 64 : start + 96]
        words = ref_hash + next_hash + encode_word(account) + nonce + leaf + keccak256(next_node)
        message = keccak256(words)
        keystore = _require_signed(node, message, data)
        if next_node == b"":
            require(next_data == b"", "nextData without a nextNode")
            require(fold(leaf, next_siblings) == next_hash, "InvalidNextProof: node not in next tree")
        else:
            kept = fold(keccak256(next_node), next_siblings)
            require(kept == next_hash, "InvalidNextProof: nextNode not in its tree")
            both = _require_signed(next_node, message, next_data) == keystore
            require(both, "verifiers of different keystores")
        action = UpdateRoot(
            ref_hash, account.to_bytes(20, "big"), int.from_bytes(nonce[:24], "big"), int.from_bytes(nonce[24:], "big"),
            fold(leaf, siblings), next_hash, keystore,
        )  # fmt: skip
        return OpenedUpdate(action, message, siblings, node, data, next_siblings, next_node, next_data)

    def encode(self, opened: Any) -> bytes:
        """The calldata."""
        action = opened.action
        nonce = action.nonce_key << 64 | action.sequence
        return HEAD + join_parts([
            (False, action.ref_hash), (False, action.next_hash), (False, encode_word(nonce)), (False, encode_word(0)),
            (False, bytes(12) + action.account), (True, encode_bytes(encode_siblings(opened.proof))),
            (True, encode_bytes(opened.node)), (True, encode_bytes(opened.data)),
            (True, encode_bytes(encode_siblings(opened.next_proof))), (True, encode_bytes(opened.next_node)),
            (True, encode_bytes(opened.next_data)),
        ])  # fmt: skip


def _require_signed(node: bytes, message: bytes, data: bytes) -> bytes:
    """The keystore of a node's verifier, if the node signed. Raises `Revert`."""
    require(len(node) >= _NODE_BYTES, "InvalidNode: fewer than 20 bytes")
    found = find_verifier(node[:_NODE_BYTES])
    if found is None:
        raise Revert("unknown verifier")
    kind, keystore = found
    require(is_signed(kind, message, data, node[_NODE_BYTES:]), "not signed by the node")
    return keystore
