"""microrollup.crypto.merkle.items: the trees of a block's actions and receipts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import (
    ItemProof,
    compute_item_hash,
    compute_items_root,
    compute_items_root_from_hashes,
    prove_item,
    verify_item,
)
from microrollup.errors import ProofError


def node(left: bytes, right: bytes) -> bytes:
    return keccak256(b"\1" + left + right)


def slow_root(items: list[bytes]) -> bytes:
    """The root by its recursive definition: the left part is the largest power of two below the count."""
    if not items:
        return bytes(32)
    if len(items) == 1:
        return keccak256(b"\0" + items[0])
    half = 1
    while half * 2 < len(items):
        half *= 2
    return node(slow_root(items[:half]), slow_root(items[half:]))


ITEMS = [b"item %d" % n for n in range(11)]


def test_no_items() -> None:
    """No items give 32 zero bytes, which no item gives."""
    assert bytes(32) == compute_items_root([])
    assert bytes(32) != compute_items_root([b""])


def test_shape_of_small_trees() -> None:
    """One item is its own root, the third of three moves up alone, and order matters."""
    a, b, c = (compute_item_hash(item) for item in ITEMS[:3])
    assert keccak256(b"\0" + ITEMS[0]) == compute_items_root(ITEMS[:1])
    assert node(a, b) == compute_items_root(ITEMS[:2])
    assert node(node(a, b), c) == compute_items_root(ITEMS[:3])
    assert node(node(a, b), c) != compute_items_root([ITEMS[1], ITEMS[0], ITEMS[2]])


def test_pinned_root() -> None:
    """The format does not drift: the root over eleven short items, as the recursive definition gave it."""
    assert "e123f258d54afd8ae0a0712725c7799df75cb1840c0c7e55e77a1c49c2ba2222" == compute_items_root(ITEMS).hex()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_root_equals_the_recursive_definition(items: list[bytes]) -> None:
    """Level by level gives what splitting at the largest power of two gives."""
    assert slow_root(items) == compute_items_root(items)
    assert slow_root(items) == compute_items_root_from_hashes([compute_item_hash(item) for item in items])


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_every_item_is_proven_at_its_place(items: list[bytes], data: st.DataObject) -> None:
    """A proof verifies for its item and index, and for no other index, count or item."""
    index = data.draw(st.integers(0, len(items) - 1))
    root = compute_items_root(items)
    proof = prove_item(items, index)
    assert proof == verify_item(root, items[index], proof, count=len(items))
    with pytest.raises(ProofError):
        verify_item(root, items[index] + b"x", proof, count=len(items))
    other = data.draw(st.integers(0, len(items)))
    if other == len(items) or items[other] != items[index]:
        with pytest.raises(ProofError):
            verify_item(root, items[index], ItemProof(other, proof.siblings), count=len(items))


def test_damaged_proofs_are_refused() -> None:
    """Siblings missing, added, swapped, changed or of another length are refused."""
    root = compute_items_root(ITEMS)
    proof = prove_item(ITEMS, 4)
    siblings = proof.siblings
    for bad in (
        siblings[:-1],
        siblings[1:],
        (*siblings, bytes(32)),
        siblings[::-1],
        (bytes(32), *siblings[1:]),
        (siblings[0][:31], *siblings[1:]),
        (siblings[0] + siblings[1], *siblings[2:]),
        (),
    ):
        with pytest.raises(ProofError):
            verify_item(root, ITEMS[4], ItemProof(4, bad), count=len(ITEMS))


def test_count_fixes_the_index() -> None:
    """With a count of the prover's choice the third of three items would pass for the second of two."""
    root = compute_items_root(ITEMS[:3])
    sibling = node(compute_item_hash(ITEMS[0]), compute_item_hash(ITEMS[1]))
    forged = ItemProof(1, (sibling,))
    assert forged == verify_item(root, ITEMS[2], forged, count=2)
    with pytest.raises(ProofError):
        verify_item(root, ITEMS[2], forged, count=3)


def test_sibling_of_another_length_is_refused() -> None:
    """An item that holds a tag and a hash cannot stand in for an inner node with a sibling cut to fit."""
    sibling, forged = b"\1" + bytes(30), b"forged"
    root = keccak256(b"\1" + sibling + compute_item_hash(forged))
    with pytest.raises(ProofError, match="31 bytes"):
        verify_item(root, forged, ItemProof(1, (sibling,)), count=2)


def test_inner_node_is_no_item() -> None:
    """The bytes under an inner node are not an item of a shorter tree."""
    inner = compute_item_hash(ITEMS[0]) + compute_item_hash(ITEMS[1])
    root = compute_items_root(ITEMS[:2])
    for item in (inner, b"\1" + inner):
        with pytest.raises(ProofError):
            verify_item(root, item, ItemProof(0, ()), count=1)


@pytest.mark.parametrize("index", [-1, 3])
def test_index_beyond_the_items(index: int) -> None:
    """There is no proof, and none is taken, for an index that no item has."""
    with pytest.raises(IndexError):
        prove_item(ITEMS[:3], index)
    with pytest.raises(ProofError):
        verify_item(compute_items_root(ITEMS[:1]), ITEMS[0], ItemProof(index, ()), count=1)
