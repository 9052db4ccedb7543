"""microrollup.store.tree: the flat tree against a slow model, through history, crashes and damage."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.merkle.indexed import EMPTY_ROOT, encode_leaf, verify_exclusion, verify_inclusion
from microrollup.crypto.merkle.levels import MAX_LEAVES, UNUSED_HASHES, compute_node_rows
from microrollup.errors import CommitFailed, DecodeError, ProofError, StoreCorrupt, StoreError, StoreMissing
from microrollup.store.tree import LEAVES_FILE, NODES_FILE, FlatTree
from microrollup.store.tree_check import DamagedNode
from microrollup.store.tree_delta import DeltaView, encode_delta
from microrollup.store.tree_index import MemoryKeyIndex
from microrollup.testing.crash_record import mix_sectors
from paths import VECTORS
from tree_model import TreeModel

AXIOM: dict[str, Any] = json.loads((VECTORS / "axiom-imt.json").read_text())["derived"]

Changes = dict[bytes, bytes]


def key_of(number: int) -> bytes:
    return keccak256(b"key" + number.to_bytes(8, "big"))


def value_of(number: int) -> bytes:
    return keccak256(b"value" + number.to_bytes(8, "big")) if number else EMPTY_HASH


class Chain:
    """A tree, its index, the encoded deltas and the model after each block; block 0 is the empty tree."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.tree = FlatTree.create(directory)
        self.index = MemoryKeyIndex()
        self.models = [TreeModel()]
        self.raws: list[bytes] = []

    def add_block(self, changes: Changes) -> None:
        delta = self.tree.compute_delta(changes, self.index)
        self.raws.append(encode_delta(delta))
        self.tree.apply(delta)
        self.index.add(delta.inserted)
        model = self.models[-1].copy()
        model.change(changes)
        self.models.append(model)

    def deltas(self, first: int = 0, end: int | None = None) -> list[DeltaView]:
        return [DeltaView(raw) for raw in self.raws[first:end]]


def assert_equals_model(tree: FlatTree, model: TreeModel) -> None:
    leaves = model.leaf_bytes()
    assert model.root() == tree.root()
    assert len(leaves) == tree.leaf_count
    assert leaves == [encode_leaf(tree.get_leaf(place)) for place in range(len(leaves))]
    for place in range(len(leaves)):
        proof = tree.prove(place)
        assert (place, place, model.siblings(place)) == (proof.leaf_index, proof.is_left, proof.siblings)


def random_blocks(seed: int, sizes: list[int], keys: int = 400) -> list[Changes]:
    """Blocks of updates, deletes (every eighth value) and, while there are any left, new keys."""
    chance = random.Random(seed)
    return [{key_of(chance.randrange(keys)): value_of(chance.randrange(8)) for _ in range(size)} for size in sizes]


BLOCKS = random_blocks(1, [1, 0, 1, 2, 9, 3, 40, 5, 1, 30, 0, 12])

MakeChain = Callable[[str], Chain]


@pytest.fixture
def make_chain(tmp_path: Path) -> Iterator[MakeChain]:
    """Makes chains in directories of their own and closes them."""
    made: list[Chain] = []

    def make(name: str) -> Chain:
        made.append(Chain(tmp_path / name))
        return made[-1]

    yield make
    for chain in made:
        chain.tree.close()


@pytest.fixture
def chain(make_chain: MakeChain) -> Chain:
    """Twelve blocks: empty ones, single changes, several doublings."""
    made = make_chain("tree")
    for block in BLOCKS:
        made.add_block(block)
    return made


def test_empty_tree(tmp_path: Path) -> None:
    """A new tree holds the dummy alone and has the published empty root."""
    tree = FlatTree.create(tmp_path)
    assert EMPTY_ROOT == tree.root()
    assert tree.prove(0).siblings == ()
    assert_equals_model(tree, TreeModel())
    with pytest.raises(IndexError):
        tree.prove(1)


def test_derived_steps(make_chain: MakeChain) -> None:
    """Step by step, roots, leaves and a final proof are those of an independent computation."""
    chain = make_chain("tree")
    for step in AXIOM["steps"]:
        if "key" in step:
            value = bytes.fromhex(step["value"][2:])
            chain.add_block({bytes.fromhex(step["key"][2:]): keccak256(value)})
            expected = [bytes.fromhex(leaf["hash"][2:]) for leaf in step["leaves"]]
            count = chain.tree.leaf_count
            assert expected == [keccak256(encode_leaf(chain.tree.get_leaf(place))) for place in range(count)]
        assert step["root"] == "0x" + chain.tree.root().hex()
    final = AXIOM["final_inclusion_proof_state_acct0"]
    proof = chain.tree.prove(final["leafIndex"])
    assert [sibling["hash"] for sibling in final["siblings"]] == ["0x" + one.hex() for one in proof.siblings]
    assert [sibling["isLeft"] for sibling in final["siblings"]] == [bool(proof.is_left >> i & 1) for i in range(3)]


def test_unused_subtrees() -> None:
    """Hashes of subtrees without used leaves are those of an independent computation."""
    expected = [bytes.fromhex(one[2:]) for one in AXIOM["zero_subtree_hashes"]]
    assert expected == list(UNUSED_HASHES[: len(expected)])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(0, 24), max_size=6))
def test_random_histories_equal_the_model(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    """After every block root, leaves and all proofs are the model's."""
    chain = Chain(tmp_path_factory.mktemp("tree"))
    for block in random_blocks(seed, sizes, keys=60):
        chain.add_block(block)
        assert_equals_model(chain.tree, chain.models[-1])
    assert [] == chain.tree.check()
    chain.tree.close()


@pytest.mark.parametrize("before", [0, 1, 2, 3, 7, 8])
@pytest.mark.parametrize("added", [1, 2, 5, 17, 70])
def test_doubling_inside_a_block(make_chain: MakeChain, before: int, added: int) -> None:
    """Capacity may double several times within one block, from full and from half-empty trees."""
    chain = make_chain("tree")
    if before:
        chain.add_block({key_of(number): value_of(1) for number in range(before)})
    chain.add_block({key_of(number): value_of(2) for number in range(before, before + added)})
    assert_equals_model(chain.tree, chain.models[-1])
    assert [] == chain.tree.check()


def test_root_does_not_depend_on_the_cutting_into_blocks(make_chain: MakeChain) -> None:
    """One block of many changes gives the tree that the same changes give one by one."""
    changes = {key_of(number): value_of(number % 3) for number in range(50)}
    together, apart = make_chain("together"), make_chain("apart")
    together.add_block(changes)
    for key, value in changes.items():
        apart.add_block({key: value})
    assert together.tree.root() == apart.tree.root()
    reordered = make_chain("reordered")
    reordered.add_block(dict(reversed(changes.items())))
    assert together.tree.root() != reordered.tree.root()


def test_delta_says_what_it_does(chain: Chain) -> None:
    """Computing a delta leaves the tree as it is; the delta names both roots, both counts and the new keys in order."""
    root, count = chain.tree.root(), chain.tree.leaf_count
    fresh = [key_of(1000 + number) for number in range(3)]
    known = next(iter(chain.models[-1].values))
    changes = {fresh[2]: value_of(1), known: value_of(2), fresh[0]: value_of(3), fresh[1]: value_of(4)}
    delta = chain.tree.compute_delta(changes, chain.index)
    assert (root, count) == (chain.tree.root(), chain.tree.leaf_count) == (delta.root_before, delta.leaf_count_before)
    assert ((fresh[2], count), (fresh[0], count + 1), (fresh[1], count + 2)) == delta.inserted
    chain.tree.apply(delta)
    assert (delta.root, delta.leaf_count) == (chain.tree.root(), chain.tree.leaf_count)
    with pytest.raises(StoreCorrupt):
        chain.tree.apply(delta)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 30, 64])
def test_fill_equals_adding(make_chain: MakeChain, count: int) -> None:
    """Filling a tree at once, whatever it held, gives what blocks would have given; blocks can follow."""
    chain, other = make_chain("one"), make_chain("other")
    changes = {key_of(number): value_of(number % 5) for number in range(count)}
    chain.add_block(changes)
    other.add_block({key_of(number): value_of(1) for number in range(500, 520)})
    assert chain.tree.root() == other.tree.fill(changes.keys(), changes.values())
    assert_equals_model(other.tree, chain.models[-1])
    other.models, other.index = chain.models, chain.index
    other.add_block(BLOCKS[6])
    assert_equals_model(other.tree, other.models[-1])


def test_fill_refuses_a_key_twice(chain: Chain) -> None:
    """A list with a key twice is no tree; the tree stays as it was."""
    with pytest.raises(StoreCorrupt, match="twice"):
        chain.tree.fill([key_of(1), key_of(2), key_of(1)], [value_of(1)] * 3)
    assert_equals_model(chain.tree, chain.models[-1])


def test_empty_block_changes_nothing(chain: Chain) -> None:
    """A block without changes keeps root and count."""
    delta = chain.tree.compute_delta({}, chain.index)
    assert (delta.root_before, 0, ()) == (delta.root, len(delta.leaf_indices), delta.inserted)
    DeltaView(encode_delta(delta)).check()
    chain.tree.apply(delta)
    assert_equals_model(chain.tree, chain.models[-1])


def test_proofs_prove(chain: Chain) -> None:
    """What `prove` gives, the verifier takes: every key is included, every gap between keys excluded."""
    tree, model = chain.tree, chain.models[-1]
    for place, key in enumerate(model.values, start=1):
        proof = tree.prove(place)
        if model.values[key] == EMPTY_HASH:
            verify_inclusion(tree.root(), key, b"", proof)
        with pytest.raises(ProofError):
            verify_exclusion(tree.root(), key, proof)
    for number in range(5000, 5020):
        _, low, _ = chain.index.low_neighbour(key_of(number))
        verify_exclusion(tree.root(), key_of(number), tree.prove(low))
        with pytest.raises(ProofError):
            verify_exclusion(tree.root(), key_of(number), tree.prove((low + 1) % tree.leaf_count))


def test_every_proof_at_every_height(chain: Chain) -> None:
    """Each leaf's proof at each height is the model's of that height; leaves of later blocks have none."""
    for height, model in enumerate(chain.models):
        leaves, levels = model.leaf_bytes(), model.levels()
        later = chain.deltas(height)
        for place, leaf in enumerate(leaves):
            path = chain.tree.begin_path(place, len(leaves))
            for delta in later:
                path.apply(delta)
            proof = chain.tree.finish_path(path)
            assert leaf == encode_leaf(proof.leaf)
            siblings = tuple(level[(place >> depth) ^ 1] for depth, level in enumerate(levels[:-1]))
            assert (siblings, place) == (proof.siblings, proof.is_left)
        with pytest.raises(IndexError):
            chain.tree.begin_path(len(leaves), len(leaves))


def test_open_again(chain: Chain) -> None:
    """A synced and closed tree opens with its leaf count and is what it was."""
    count = chain.tree.leaf_count
    chain.tree.sync()
    chain.tree.close()
    tree = FlatTree(chain.directory, count)
    assert_equals_model(tree, chain.models[-1])
    tree.close()


def test_missing_and_short_files(chain: Chain) -> None:
    """A file that is missing or too short for its leaves is named when the tree is opened."""
    count = chain.tree.leaf_count
    chain.tree.close()
    nodes = chain.directory / NODES_FILE
    with nodes.open("r+b") as file:
        file.truncate(compute_node_rows(count) * 32 - 1)
    with pytest.raises(StoreCorrupt, match=NODES_FILE):
        FlatTree(chain.directory, count)
    nodes.unlink()
    with pytest.raises(StoreMissing, match=NODES_FILE):
        FlatTree(chain.directory, count)
    (chain.directory / LEAVES_FILE).unlink()
    with pytest.raises(StoreMissing, match=LEAVES_FILE):
        FlatTree(chain.directory, count)


def test_files_grow_in_steps(make_chain: MakeChain) -> None:
    """A tree that outgrows its mapping is mapped anew with all its contents."""
    chain = make_chain("tree")
    size = (chain.directory / LEAVES_FILE).stat().st_size
    block = {key_of(number): value_of(1) for number in range(12_000)}
    for first in range(0, 12_000, 4_000):
        chain.add_block(dict(list(block.items())[first : first + 4_000]))
    assert (chain.directory / LEAVES_FILE).stat().st_size > size
    assert chain.models[-1].root() == chain.tree.root()
    assert [] == chain.tree.check()


def test_full_disk_is_an_error_before_anything_changes(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk has no room for new leaves, the delta is not made and the tree stays as it was."""

    def refuse(_fd: int, _offset: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    many = {key_of(number): value_of(1) for number in range(10_000, 22_000)}
    with pytest.raises(CommitFailed, match="the disk is full"):
        chain.tree.compute_delta(many, chain.index)
    assert_equals_model(chain.tree, chain.models[-1])
    chain.add_block({key_of(1): value_of(5)})
    assert_equals_model(chain.tree, chain.models[-1])


def test_failed_sync_is_an_error(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not take the data is not taken for one that does."""

    def refuse(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(CommitFailed, match="Input/output"):
        chain.tree.sync()


def test_too_many_leaves(chain: Chain) -> None:
    """The limit on leaves is an error of its own, before any file grows to it."""
    chain.tree.leaf_count = MAX_LEAVES
    with pytest.raises(StoreError, match=str(MAX_LEAVES)):
        chain.tree._reserve(MAX_LEAVES + 1)


@pytest.mark.parametrize("seed", range(12))
def test_redo_after_any_mixture_of_pages(make_chain: MakeChain, seed: int) -> None:
    """From whatever mixture of the last sync's and later pages, redoing the deltas since gives the right tree."""
    chance = random.Random(seed)
    chain = make_chain("tree")
    blocks = random_blocks(seed, [chance.randrange(60) for _ in range(7)], keys=200)
    synced = chance.randrange(len(blocks))
    files = [chain.directory / name for name in (LEAVES_FILE, NODES_FILE)]
    old: list[bytes] = []
    for height, block in enumerate(blocks):
        if height == synced:
            chain.tree.sync()
            old = [path.read_bytes() for path in files]
        chain.add_block(block)
    chain.tree.sync()
    new = [path.read_bytes() for path in files]
    chain.tree.close()
    for path, before, after in zip(files, old, new, strict=True):
        path.write_bytes(mix_sectors(chance, before, after))
    tree = FlatTree(chain.directory, len(chain.models[synced].leaf_bytes()))
    assert chain.models[-1].root() == tree.redo(iter(chain.deltas(synced)))
    assert_equals_model(tree, chain.models[-1])
    assert [] == tree.check()
    tree.close()
    again = FlatTree(chain.directory, len(chain.models[synced].leaf_bytes()))
    assert chain.models[-1].root() == again.redo(chain.deltas(synced))
    assert_equals_model(again, chain.models[-1])
    again.close()


def test_redo_of_nothing(chain: Chain) -> None:
    """Without deltas since the sync there is nothing to do."""
    assert chain.tree.root() == chain.tree.redo([])


def test_disordered_delta_writes_nothing(chain: Chain) -> None:
    """Redo and rewind look at a delta's indices before they write anything."""
    raw = bytearray(chain.raws[-1])
    raw[88:92] = chain.tree.leaf_count.to_bytes(4, "little")
    for repair in (chain.tree.redo, chain.tree.rewind):
        with pytest.raises(DecodeError):
            repair([DeltaView(bytes(raw))])
    assert_equals_model(chain.tree, chain.models[-1])


def test_redo_refuses_a_gap(chain: Chain, make_chain: MakeChain) -> None:
    """A delta that does not follow on the one before is refused."""
    empty = make_chain("empty").tree
    with pytest.raises(StoreCorrupt):
        empty.redo(chain.deltas(6))


@pytest.mark.parametrize("height", range(0, 13, 3))
def test_rewind_to_a_height_and_go_on(chain: Chain, height: int) -> None:
    """Undoing blocks gives the tree of the height; other blocks can follow on it."""
    assert chain.models[height].root() == chain.tree.rewind(reversed(chain.deltas(height)))
    assert_equals_model(chain.tree, chain.models[height])
    assert [] == chain.tree.check()
    del chain.models[height + 1 :], chain.raws[height:]
    chain.index = MemoryKeyIndex()
    for delta in chain.deltas():
        chain.index.add(delta.get_inserted())
    for block in random_blocks(9, [7, 70]):
        chain.add_block(block)
        assert_equals_model(chain.tree, chain.models[-1])


def test_delta_does_not_depend_on_what_was_undone(chain: Chain) -> None:
    """The bytes of a delta are those of its block: what unused rows hold does not show in it."""
    height, expected = 6, chain.raws[6]
    chain.tree.rewind(reversed(chain.deltas(height)))
    chain.tree._nodes.rows[2 * chain.tree.leaf_count :: 2] = 0xAA
    index = MemoryKeyIndex()
    for view in chain.deltas(0, height):
        index.add(view.get_inserted())
    assert DeltaView(expected).leaf_count > DeltaView(expected).leaf_count_before
    assert expected == encode_delta(chain.tree.compute_delta(BLOCKS[height], index))


@pytest.mark.parametrize("seed", range(4))
def test_rewind_again_after_a_crash(chain: Chain, seed: int) -> None:
    """A rewind that was cut short is done again from the start, whatever pages had reached the disk."""
    chance = random.Random(seed)
    files = [chain.directory / name for name in (LEAVES_FILE, NODES_FILE)]
    count = chain.tree.leaf_count
    old = [path.read_bytes() for path in files]
    chain.tree.rewind(reversed(chain.deltas(4)))
    chain.tree.close()
    for path, before in zip(files, old, strict=True):
        path.write_bytes(mix_sectors(chance, before, path.read_bytes()))
    tree = FlatTree(chain.directory, count)
    assert chain.models[4].root() == tree.rewind(reversed(chain.deltas(4)))
    assert_equals_model(tree, chain.models[4])
    assert [] == tree.check()
    tree.close()
    tree.close()


def test_rewind_refuses_another_delta(chain: Chain) -> None:
    """Only the delta that led to the present tree is undone."""
    with pytest.raises(StoreCorrupt):
        chain.tree.rewind(chain.deltas(6, 7))


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes((byte[0] ^ 4,)))


def test_check_finds_a_flipped_bit_where_it_is(chain: Chain) -> None:
    """One damaged leaf or node is reported as that one, and no other."""
    depth = (chain.tree.leaf_count - 1).bit_length()
    flip(chain.directory / LEAVES_FILE, 99 * 5 + 70)
    assert [DamagedNode(0, 5)] == chain.tree.check()
    flip(chain.directory / LEAVES_FILE, 99 * 5 + 70)
    assert [] == chain.tree.check()
    for level, index in ((0, 3), (1, 2), (2, 1), (depth, 0)):
        offset = 32 * (((2 * index + 1) << level) - 1) + 31
        flip(chain.directory / NODES_FILE, offset)
        assert [DamagedNode(level, index)] == chain.tree.check()
        flip(chain.directory / NODES_FILE, offset)


def test_rehash_repairs_nodes_but_not_leaves(chain: Chain) -> None:
    """Nodes can be written anew from the leaves; a damaged leaf shows as another root."""
    root = chain.tree.root()
    chain.tree._nodes.rows[:] = 0
    assert root == chain.tree.rehash()
    assert_equals_model(chain.tree, chain.models[-1])
    flip(chain.directory / LEAVES_FILE, 99 * 5 + 70)
    assert root != chain.tree.rehash()


def test_check_reports_progress_over_several_chunks(make_chain: MakeChain) -> None:
    """A tree of more than one chunk is checked chunk by chunk, up to its last leaf."""
    chain = make_chain("tree")
    chain.add_block({key_of(number): value_of(1) for number in range(20_000)})
    seen: list[int] = []
    assert [] == chain.tree.check(seen.append)
    assert [8192, 16384, 20001] == seen
    chain.tree._nodes.rows[2 * 16_384 + 1] ^= np.uint8(1)
    assert [DamagedNode(1, 8192)] == chain.tree.check()


def test_impossible_leaf_is_corruption(chain: Chain) -> None:
    """A leaf whose flags cannot be is an error of the store, not a proof."""
    for flags in (2, 0):
        chain.tree._leaves.rows[3, 0] = flags
        with pytest.raises(StoreCorrupt, match="leaf 3"):
            chain.tree.prove(3)


def test_a_delta_rests_on_what_leads_to_the_root(tmp_path: Path) -> None:
    """A flipped bit in a leaf or node that a delta reads is refused; in any other it changes nothing of the delta.

    No node is known from before; `test_known_nodes` is about those that are.
    """
    chain, rng = Chain(tmp_path), random.Random(3)
    for changes in random_blocks(3, [20, 13, 40, 1]):
        chain.add_block(changes)
    tree = chain.tree
    known = rng.sample(sorted(chain.models[-1].values), 4)
    wanted = {key: value_of(rng.randrange(9)) for key in known} | {key_of(10_000 + n): value_of(n) for n in range(3)}
    expected = encode_delta(tree.compute_delta(wanted, chain.index))
    for rows, used in ((tree.leaf_rows, tree.leaf_count), (tree.node_rows, compute_node_rows(tree.leaf_count))):
        refused = 0
        for place in range(used):
            bit = 1 << rng.randrange(8)
            column = rng.randrange(rows.shape[1])
            rows[place, column] ^= bit
            tree.known.forget()
            try:
                assert expected == encode_delta(tree.compute_delta(wanted, chain.index))
            except StoreCorrupt:
                refused += 1
            rows[place, column] ^= bit
        assert 5 < refused < used - 5
    assert expected == encode_delta(tree.compute_delta(wanted, chain.index))


class DamagedIndex(MemoryKeyIndex):
    """Knows keys by other leaves than theirs, or not at all."""

    places: dict[bytes, int | None]

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """As damaged."""
        found = {**super().find_all(tree_keys)}
        for key, place in self.places.items():
            found.pop(key, None)
            if place is not None:
                found[key] = place
        return found


def test_a_delta_trusts_no_index(tmp_path: Path) -> None:
    """A key that leads to another key's leaf, beyond the leaves, or that is lost, is refused."""
    chain = Chain(tmp_path)
    for changes in random_blocks(4, [20, 10]):
        chain.add_block(changes)
    index = DamagedIndex()
    known = chain.index.find_all(chain.models[-1].values)
    index.add(known.items())
    one, other = sorted(known)[:2]
    index.places = {}
    assert chain.tree.compute_delta({one: value_of(1), other: value_of(2)}, index).root
    for places in ({one: known[other]}, {one: 0}, {one: chain.tree.leaf_count}, {one: None}, {other: None}):
        index.places = {**places}
        with pytest.raises(StoreCorrupt, match="tree"):
            chain.tree.compute_delta({one: value_of(1), other: value_of(2)}, index)
