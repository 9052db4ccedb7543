"""What a block changes: computed from its journal alone, the same however its actions were cut into groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kernel_fixtures import Chain, fast_directory, make_random_edit
from microrollup.chain.block import Header
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.map import Map
from microrollup.declaration.state import NONCES
from microrollup.errors import CommitFailed
from microrollup.store.environment import encode_number
from microrollup.store.row_changes import RowChange, decode_row_changes
from microrollup.store.tree import FlatTree
from microrollup.store.tree_index import MemoryKeyIndex
from zoo import Edit, Zoo, zoo


@pytest.fixture
def chain() -> Iterator[Chain]:
    with fast_directory() as directory:
        made = Chain(directory)
        yield made
        made.close()


class SlowCommitments:
    """Both roots the slow way: all leaves in the order of their making, all entries of the set hash at once."""

    def __init__(self) -> None:
        self.leaves: dict[bytes, bytes] = {}
        self.state: dict[tuple[str, Any], Any] = {}

    def take(self, after: dict[tuple[str, Any], Any]) -> None:
        """An executed action's state."""
        changed = []
        for place in self.state.keys() | after.keys():
            field = zoo.state_type.get_field(place[0])
            if field.settled and self.state.get(place) != after.get(place):
                tree_key = compute_tree_key(field.number, field.encode_key(place[1]))
                value = after.get(place)
                changed.append(
                    (field.number, tree_key, EMPTY_HASH if value is None else keccak256(field.encode_leaf(value)))
                )
        for _, tree_key, value_hash in sorted(changed):
            self.leaves[tree_key] = value_hash
        self.state = after

    def compute_state_root(self, directory: Path) -> bytes:
        tree = FlatTree.create(directory)
        delta = tree.compute_delta(self.leaves, MemoryKeyIndex())
        tree.close()
        return delta.root

    def compute_metadata_root(self, nonces: Map[bytes, int]) -> bytes:
        added = [(NONCES.number, sender, nonce.to_bytes(8, "big")) for sender, nonce in nonces.items()]
        for (name, key), value in self.state.items():
            field = zoo.state_type.get_field(name)
            if not field.settled:
                added.append((field.number, field.encode_key(key), field.encode_leaf(value)))
        return compute_metadata_root(update_lanes(EMPTY_LANES, [], added))


def flatten(state: object) -> dict[tuple[str, Any], Any]:
    assert isinstance(state, Zoo)
    found: dict[tuple[str, Any], Any] = {}
    for name in Zoo.__struct_fields__:
        value = getattr(state, name)
        found.update(
            {(name, key): entry for key, entry in (value.items() if isinstance(value, Map) else [(None, value)])}
        )
    return found


@pytest.mark.parametrize("seed", range(4))
def test_roots_against_a_slow_model(chain: Chain, tmp_path: Path, seed: int) -> None:
    """After every block both roots are those of a model that keeps all leaves and hashes all entries from scratch."""
    rng, model = Random(seed), SlowCommitments()
    model.take(flatten(zoo.genesis))
    for block in range(6):
        for _ in range(rng.randrange(1, 8)):
            chain.submit(chain.signer.sign(make_random_edit(rng), f"sender {rng.randrange(3)}"))
            model.take(flatten(chain.ledger.state.app))
        header = chain.close_block()
        (tmp_path / str(block)).mkdir()
        assert model.compute_state_root(tmp_path / str(block)) == header.state_root
        assert model.compute_metadata_root(chain.ledger.state.nonces) == header.metadata_root


def build(edits: list[tuple[Edit, str]], group_sizes: list[int]) -> Header:
    with fast_directory() as directory:
        chain = Chain(directory)
        signed = [chain.signer.sign(edit, name) for edit, name in edits]
        for size in group_sizes:
            chain.submit(*signed[:size])
            del signed[:size]
            if size == 3:
                chain.reopen(abandon=True)
        chain.submit(*signed)
        header = chain.close_block()
        chain.close()
        return header


def test_groups_do_not_matter() -> None:
    """However the actions of a block came in, and whether a crash lay between, its header is the same."""
    rng = Random(5)
    edits = [(make_random_edit(rng), f"sender {number % 3}") for number in range(20)]
    headers = {build(edits, sizes) for sizes in ([], [1] * 20, [7, 7], [3, 3, 3])}
    assert 1 == len(headers)


def test_what_cancels_out(chain: Chain) -> None:
    """Changes that cancel out over a block touch no row; a key that came and went keeps its leaf, with no value."""
    before = chain.ledger.header
    chain.edit(("set_ticket", 1, 99), ("set_note", 8, 5), ("set_animal", 1, 1))
    chain.edit(("set_ticket", 1, 10), ("delete_note", 8, 0), ("delete_animal", 1, 0))
    closing = chain.ledger.compute_header()
    assert [NONCES.row_prefix] == [change.key[:2] for change in closing.changes.rows]
    assert 1 == len(closing.changes.delta.inserted)
    assert before.state_root != closing.header.state_root
    header = chain.close_block()
    assert header == closing.header
    chain.edit(("set_ticket", 1, 99))
    chain.edit(("set_ticket", 1, 10))
    assert header.state_root == chain.close_block().state_root


def test_changes_are_what_was_there_and_what_came(chain: Chain) -> None:
    """The changes of a block hold each row that it changed as stored before and after it, and nothing else."""
    rng = Random(6)
    for _ in range(5):
        environment = chain.ledger.environment
        before = dict(environment.cursor("state"))
        for _ in range(4):
            chain.submit(chain.signer.sign(make_random_edit(rng)))
        header = chain.close_block()
        assert before == dict(environment.cursor("state"))
        chain.ledger.flushing.flush()
        after = dict(environment.cursor("state"))
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        raw = environment.get("changes", encode_number(header.height))
        assert raw is not None
        expected = sorted([RowChange(key, before.get(key), after.get(key)) for key in changed])
        assert expected == sorted(decode_row_changes(header.height, raw))


def test_computing_changes_nothing(chain: Chain) -> None:
    """A header may be computed any number of times while the block goes on."""
    headers = []
    for value in range(4):
        chain.edit(("set_guard", value, value))
        headers += [chain.ledger.compute_header().header, chain.ledger.compute_header().header]
    assert headers[0::2] == headers[1::2]
    assert 4 == len({header.state_root for header in headers})
    assert headers[-1] == chain.close_block()


def test_no_memory_to_close(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What LMDB could not allocate would end the process: the block stays open, and closes after a restart."""
    chain.edit(("set_guard", 1, 1))

    def refuse(size: int) -> None:
        assert size > 1 << 24
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("microrollup.ledger.closing.require_memory", refuse)
        with pytest.raises(CommitFailed, match="not enough memory to write block 1"):
            chain.sequencer.close_block()
    chain.reopen(abandon=True)
    assert 1 == chain.close_block().action_count
