"""Proofs for Solidity: `python tests/support/keystore_vectors.py` writes the file that the forge tests read.

Trees are grown at random, from a fixed seed, by the model of the tests, which shares no code with `microrollup`; the
packed bytes and Axiom's form are what `apps.keystore` makes of them. Each case is an entry of parallel arrays, because
that is what forge reads well.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Final

from apps.keystore.accounts import compute_account_key
from apps.keystore.axiom.key_data_proofs import encode_key_data_proof, make_exclusion, make_inclusion
from apps.keystore.proofs import compute_account_tree_key, encode_exclusion, encode_inclusion
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.merkle.indexed import Proof, decode_leaf
from paths import FOUNDRY, VECTORS
from tree_model import TreeModel

FILE: Final = FOUNDRY / "keystore" / "fixtures" / "proofs.json"
AXIOM: Final = VECTORS / "axiom-imt.json"
SIZES: Final = (0, 1, 2, 3, 4, 5, 7, 8, 12, 20, 33, 70, 150)
"""Accounts in each tree, so depths from 0 to 8, with and without unused positions."""
PER_TREE: Final = 3


class Account:
    """An account as it was created, and the value hash that the tree holds for it now."""

    def __init__(self, draw: random.Random) -> None:
        self.salt = draw.randbytes(32)
        self.data = b"\0" + draw.randbytes(draw.choice((63, 64, 128, 288)))
        self.vk = draw.randbytes(draw.choice((20, 290)))
        self.key = compute_account_key(self.salt, self.data, self.vk)
        self.tree_key = compute_account_tree_key(self.key)
        self.value_hash = keccak256(keccak256(self.data) + keccak256(self.vk))


def get_proof(tree: TreeModel, index: int) -> Proof:
    """Of the leaf at an index, whatever it is."""
    leaves = tree.leaf_bytes()
    leaf = leaves[index] if index < len(leaves) else bytes(99)
    return Proof(index, decode_leaf(leaf), tree.siblings(index), index)


def find_low(tree: TreeModel, tree_key: bytes) -> int:
    """The index of the leaf below a key: the dummy's is 0, and keys are appended in the order of insertion."""
    below = [(key, index) for index, key in enumerate(tree.values, 1) if key < tree_key]
    return max(below)[1] if below else 0


def make_vectors(seed: int = 5) -> dict[str, dict[str, list[str]]]:
    """All cases, by kind; every array of a kind has the same length."""
    draw = random.Random(seed)
    kinds: dict[str, dict[str, list[str]]] = {}

    def add(kind: str, **members: bytes) -> None:
        for name, value in members.items():
            kinds.setdefault(kind, {}).setdefault(name, []).append(f"0x{value.hex()}")

    _add_published(add)
    for size in SIZES:
        accounts = [Account(draw) for _ in range(size)]
        tree = TreeModel()
        tree.change({account.tree_key: account.value_hash for account in accounts})
        retired = draw.sample(accounts, size // 4)
        tree.change({account.tree_key: EMPTY_HASH for account in retired})
        _add_tree(draw, tree, accounts, retired, add)
    return kinds


def _add_published(add: Callable[..., None]) -> None:
    """The two trees of which Axiom published exclusion proofs; any key just above the low leaf is absent."""
    published = json.loads(AXIOM.read_bytes())
    first, second = published["verified_against_axiom"]["exclusion_proofs"]
    siblings = [sibling["hash"] for sibling in first["siblings"]]
    for case, hashes in ((first, siblings), (second, published["keystore_periphery_exclusion"]["proof"])):
        link = {name: bytes.fromhex(text[2:]) for name, text in case["leaf"].items()}
        raw = b"\1" + link["keyPrefix"] + link["key"] + link["nextKeyPrefix"] + link["nextKey"]
        leaf = decode_leaf(raw + (link.get("valueHash") or keccak256(link["value"])))
        proof = Proof(case["isLeft"], leaf, tuple(bytes.fromhex(text[2:]) for text in hashes), case["isLeft"])
        absent = (int.from_bytes(leaf.key, "big") + 1).to_bytes(32, "big")
        root = bytes.fromhex(case["root"][2:])
        add("published", root=root, present=leaf.key, absent=absent, value=leaf.value_hash,
            exclusion=encode_exclusion(proof), inclusion=encode_inclusion(proof))  # fmt: skip


def _add_tree(
    draw: random.Random,
    tree: TreeModel,
    accounts: list[Account],
    retired: list[Account],
    add: Callable[..., None],
) -> None:
    root, indices = tree.root(), {key: index for index, key in enumerate(tree.values, 1)}
    kept = [account for account in accounts if account not in retired]
    for account in draw.sample(kept, min(PER_TREE, len(kept))):
        proof = get_proof(tree, indices[account.tree_key])
        packed = encode_inclusion(proof)
        axiom = encode_key_data_proof(make_inclusion(account.data, account.vk, proof))
        add("inclusion", root=root, key=account.key, value=account.value_hash, proof=packed)
        add("axiom", root=root, key=account.key, proof=axiom)
        # The leaf below an included key, and its own leaf, prove nothing about its absence.
        low = get_proof(tree, find_low(tree, account.tree_key))
        add("notExcluded", root=root, key=account.key, proof=encode_exclusion(low))
        add("notExcluded", root=root, key=account.key, proof=encode_exclusion(proof))
    for account in retired[:PER_TREE]:
        proof = get_proof(tree, indices[account.tree_key])
        add("retired", root=root, key=account.key, proof=encode_inclusion(proof), exclusion=encode_exclusion(proof))
    for _ in range(PER_TREE):
        absent = Account(draw)
        low = get_proof(tree, find_low(tree, absent.tree_key))
        axiom = encode_key_data_proof(make_exclusion(absent.salt, absent.data, absent.vk, low))
        add("exclusion", root=root, key=absent.key, proof=encode_exclusion(low))
        add("axiom", root=root, key=absent.key, proof=axiom)
    capacity = len(tree.levels()[0])
    if capacity > len(tree.leaf_bytes()):
        unused = get_proof(tree, draw.randrange(len(tree.leaf_bytes()), capacity))
        raw = unused.is_left.to_bytes(8, "big") + bytes(98) + b"".join(unused.siblings)
        add("unused", root=root, key=draw.randbytes(32), proof=raw)


def encode_vectors(vectors: dict[str, dict[str, list[str]]]) -> str:
    """The file's text: a line for each value, so that a change shows."""
    return json.dumps(vectors, indent=0) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(encode_vectors(make_vectors()))
