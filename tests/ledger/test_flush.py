"""Rows that are written out after their blocks: at every moment the store is right, for its owner and all others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from height_model import KEYS, Model
from kernel_fixtures import Chain, fast_directory, list_replay_differences, make_random_edit
from microrollup.declaration.map import Map
from microrollup.declaration.state import NONCES
from microrollup.errors import CommitFailed, StoreCorrupt
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.flush import FlushLimits
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.paging import read_page, read_page_request
from microrollup.ledger.reading import prove_state, read_value
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.maintenance.scrub import scrub_store
from microrollup.maintenance.snapshot.restore import restore_snapshot
from microrollup.maintenance.snapshot.write import write_snapshot
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.overlays import Overlays, read_row_changes
from microrollup.store.retention import Retention
from microrollup.store.row_changes import RowChange, encode_row_changes
from microrollup.store.row_check import pack_row
from microrollup.store.stored_keys import encode_leaf_index
from microrollup.store.tables import SYNCED_KEY, get_base, get_checkpoint
from microrollup.store.tree_delta import DeltaView
from zoo import zoo

pytestmark = pytest.mark.slow

FEW = FlushLimits(rows=40, blocks=6, slice_rows=7, idle_rows=3)
"""So few that a layer is full after some blocks, and takes many slices."""


def check_invariants(environment: Environment) -> None:
    """What must hold in every committed transaction of a store whose rows are written out late."""
    with environment.snapshot() as txn:
        tables = environment.tables
        base, tip = get_base(txn, tables), get_checkpoint(txn, tables).height
        synced = int.from_bytes(txn.get(SYNCED_KEY, db=tables["meta"]), "big")
        assert base <= tip
        assert synced <= tip
        held: dict[bytes, set[bytes | None]] = {}
        leaves: dict[bytes, bytes] = {}
        for height in range(base + 1, tip + 1):  # all that it takes to go from the base to the tip is durable
            for table in ("changes", "undo_tree", "undo_checkpoint", "blocks"):
                assert txn.get(encode_number(height), db=tables[table]) is not None, (table, height)
            for change in read_row_changes(txn, tables, height):
                held.setdefault(change.key, {change.old}).add(change.new)
            for key, leaf_index in DeltaView(txn.get(encode_number(height), db=tables["undo_tree"])).get_inserted():
                leaves[key] = pack_row(key, encode_leaf_index(leaf_index))
        for height in range(synced + 1, tip + 1):  # and the flat files
            assert txn.get(encode_number(height), db=tables["undo_tree"]) is not None, height
        for key, values in held.items():  # a row is as some height from the base on left it
            raw = txn.get(key, db=tables["state"])
            assert (None if raw is None else bytes(raw)) in values, key
        for key, stored in leaves.items():
            raw = txn.get(key, db=tables["tree"])
            assert raw is None or bytes(raw) == stored, key


def check_pages(model: Model, height: int, overlays: Overlays) -> None:
    """Each map, whole and in pages of three both ways, by readers that keep overlays and by those that do not."""
    environment = model.chain.ledger.environment
    for field in zoo.state_type.fields:
        if not field.is_map:
            continue
        expected = sorted(
            (field.encode_key(key), value) for (name, key), value in model.values[height].items() if name == field.name
        )
        for kept in (None, overlays):
            for reverse in (False, True):
                found, after = [], None
                while True:
                    request = read_page_request(field, None, None, 3, reverse=reverse)
                    page = read_page(environment, type(request)(field, b"", after, 3, reverse), height, kept)
                    found += page.entries
                    after = page.next
                    if after is None:
                        break
                assert (expected[::-1] if reverse else expected) == found, (field.name, height, reverse)


def assert_replays(chain: Chain, directory: Path) -> None:
    """The store holds exactly what its log gives, whatever is written out."""
    assert [] == list_replay_differences(chain.ledger, "zoo:zoo", directory)
    shutil.rmtree(directory)


class FlushMachine(RuleBasedStateMachine):
    """A chain with tiny layers, its owner and its readers, against a model that remembers every height."""

    def __init__(self) -> None:
        super().__init__()
        self._fast = fast_directory()
        self.root = self._fast.__enter__()
        self.chain = Chain(self.root)
        self.chain.ledger.flushing.limits = FEW
        self.model = Model(self.chain)
        self.overlays = Overlays()

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 6))
    def edit(self, seed: int, count: int) -> None:
        """A group of actions, with a slice in its commit."""
        rng = Random(seed)
        chain = self.chain
        chain.submit(*[chain.signer.sign(make_random_edit(rng), f"s{rng.randrange(3)}") for _ in range(count)])

    @rule(seed=st.integers(0, 2**32), blocks=st.integers(1, 4), idle=st.booleans())
    def work(self, seed: int, blocks: int, idle: bool) -> None:
        """Some blocks, with forced actions among them; nobody waits in between, or somebody does."""
        rng = Random(seed)
        for _ in range(blocks):
            self.edit(rng.randrange(2**32), rng.randrange(1, 4))
            if rng.randrange(3) == 0:
                self.chain.force(make_random_edit(rng), "frank")
            self.close()
            if idle:
                self.chain.sequencer.flush_some()

    def close(self) -> None:
        """The open block closes, and one of forced actions before or after."""
        if self.chain.sequencer.poll() is not None:
            self.model.remember()
        self.chain.sequencer.close_block(allow_empty=True)
        self.model.remember()
        self.chain.advance()

    @rule()
    def freeze(self) -> None:
        """Time is up, and nobody waits."""
        self.chain.ledger.flushing.freeze()
        self.chain.sequencer.flush_some()

    @rule(how=st.sampled_from(("crash", "crash", "end", "sync", "rebuild")), back=st.integers(0, 3))
    def reopen(self, how: str, back: int) -> None:
        """The owner ends or crashes and opens the store again, syncs the flat files, or takes blocks back and executes
        them again: the same ones, for the code is right.
        """
        chain = self.chain
        match how:
            case "sync":
                chain.ledger.sync_tree()
            case "rebuild":
                self.close()
                chain.sequencer.rebuild(max(1, chain.ledger.checkpoint.height - back))
                self.overlays = Overlays()
            case _:
                chain.reopen(abandon=how == "crash")
                assert how == "crash" or chain.ledger.flushing.unflushed.is_empty
                chain.ledger.flushing.limits = FEW

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Values, proofs, nonces and pages of a height."""
        check_invariants(self.chain.ledger.environment)
        height = data.draw(st.integers(0, self.chain.ledger.checkpoint.height))
        self.model.check_height(height)
        check_pages(self.model, height, self.overlays)

    def teardown(self) -> None:
        """The newest height, what must hold, a snapshot, and the store against a replay of its log."""
        chain = self.chain
        try:
            check_invariants(chain.ledger.environment)
            self.model.check_height(chain.ledger.checkpoint.height)
            check_pages(self.model, chain.ledger.checkpoint.height, self.overlays)
            state = chain.ledger.state.app
            for name in KEYS:  # the owner's own ranges
                value = getattr(state, name)
                if isinstance(value, Map) and chain.ledger.block is None:
                    wanted = {key: kept for (field, key), kept in self.model.values[-1].items() if field == name}
                    assert wanted == dict(value.items())
            assert_replays(chain, self.root / "replayed")
        finally:
            chain.close()
            self._fast.__exit__(None, None, None)


TestFlushMachine = FlushMachine.TestCase
TestFlushMachine.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


# --- the owner -------------------------------------------------------------------------------------------------------


@pytest.fixture
def chain() -> Iterator[Chain]:
    with fast_directory() as directory:
        made = Chain(directory)
        made.ledger.flushing.limits = FEW
        yield made
        made.close()


def read_base(chain: Chain) -> int:
    with chain.ledger.environment.snapshot() as txn:
        return get_base(txn, chain.ledger.environment.tables)


def test_a_close_writes_no_rows_and_groups_carry_slices(chain: Chain) -> None:
    """A block's rows stay in memory until a layer is full; then each group's commit has a slice, the last the base."""
    chain.ledger.flushing.limits = FlushLimits(rows=30, slice_rows=7)
    flushing, environment = chain.ledger.flushing, chain.ledger.environment
    before = dict(environment.cursor("state")), dict(environment.cursor("tree"))
    chain.edit(*[("set_ticket", key, key) for key in range(20)])
    chain.close_block()
    assert flushing.is_going_on
    assert before == (dict(environment.cursor("state")), dict(environment.cursor("tree")))
    total = len(flushing.unflushed.list_rows()) + 20
    counts = []
    while flushing.is_going_on:
        assert 0 == read_base(chain)
        known = environment.count("state") + environment.count("tree")
        chain.edit(("count", 0, 1))
        counts.append(environment.count("state") + environment.count("tree") - known)
        assert len(counts) < 20
    assert max(counts) <= 7
    assert len(counts) == -(-total // 7)
    assert 1 == read_base(chain)
    assert flushing.unflushed.is_empty


def test_layers_are_bounded(chain: Chain) -> None:
    """Without groups, as for a verifier: memory never holds more than two layers, each with its last block."""
    rng = Random(3)
    flushing = chain.ledger.flushing
    follower = chain.make_verifier()
    follower.flushing.limits = FEW
    most, lag = 0, 0
    for _ in range(30):
        chain.work(rng, 1)
        chain.verify(follower)
        for unflushed in (flushing.unflushed, follower.flushing.unflushed):
            layers = [layer for layer in (unflushed.newest, unflushed.frozen) if layer is not None]
            most = max(most, *[layer.changed_rows for layer in layers])
            lag = max(lag, unflushed.newest.tip - unflushed.base)
    assert FEW.rows <= most < FEW.rows + 150
    assert FEW.blocks < lag <= 2 * FEW.blocks
    assert follower.header == chain.ledger.header
    assert [] == compare_stores(chain.ledger.environment, follower.environment)
    check_invariants(follower.environment)
    follower.abandon()


def test_what_ends_a_state_is_written_out_first(chain: Chain) -> None:
    """A clean end and a rebuild begin by writing out everything."""
    chain.work(Random(1), 3)
    assert 0 == read_base(chain)
    chain.sequencer.rebuild(3)
    assert 2 <= read_base(chain)
    chain.work(Random(2), 1)
    chain.reopen()
    assert 4 == read_base(chain)


def test_too_little_memory(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group's commit goes without its slice then; who must write out says so, and nothing is lost."""
    chain.work(Random(1), 3)
    chain.ledger.flushing.freeze()

    def refuse(_: int) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("microrollup.ledger.flush.require_memory", refuse)
        chain.edit(("count", 0, 1))
        assert 0 == read_base(chain)
        with pytest.raises(CommitFailed, match="not enough memory"):
            chain.ledger.flushing.flush()
    check_invariants(chain.ledger.environment)
    chain.ledger.flushing.flush()
    assert 3 == read_base(chain)


def test_a_row_that_no_tree_holds_is_not_put_beside_damage(chain: Chain) -> None:
    """A damaged key could have led it to a wrong place, where nobody would find it."""
    chain.work(Random(1), 3)
    chain.ledger.flushing.freeze()
    nonces = [key for key in chain.ledger.flushing.unflushed.list_rows() if key.startswith(NONCES.row_prefix)]
    with chain.ledger.environment.write() as txn:
        txn.put(
            nonces[-1] + b"\0", pack_row(nonces[-1], b"of another key"), db=chain.ledger.environment.tables["state"]
        )
    with pytest.raises(StoreCorrupt, match=r"state: .*does not have the value that was stored"):
        chain.ledger.flushing.flush()
    assert 0 == read_base(chain)


def test_a_commit_that_fails_is_no_progress(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice counts once its transaction is durable: after one that was not, it is written again."""
    chain.work(Random(1), 4)
    chain.ledger.flushing.freeze()
    original = Environment.write

    @contextmanager
    def fail(self: Environment) -> Iterator[Transaction]:
        with original(self) as txn:
            yield txn
            raise CommitFailed("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Environment, "write", fail)
        for _ in range(3):
            with pytest.raises(CommitFailed):
                chain.ledger.flushing.write_slice()
    check_invariants(chain.ledger.environment)
    chain.ledger.flushing.flush()
    with AuthenticationPool("zoo:zoo", chain.genesis.domain, 0) as pool:
        replayed = replay_log(chain.ledger.environment, zoo, chain.root / "replayed", pool)
    assert [] == compare_stores(chain.ledger.environment, replayed.environment)
    replayed.abandon()


def test_what_is_not_written_out_is_checked_at_opening(chain: Chain, tmp_path: Path) -> None:
    """Changes, new keys and the base are looked at before anything follows from them; what is damaged is named."""
    chain.work(Random(4), 4)
    chain.ledger.sync_tree()
    chain.sequencer.close()
    chain.ledger.abandon()
    store, three = chain.root / "builder", encode_number(3)

    def swap_rows(raw: bytes) -> bytes:
        changes = [RowChange(b"\x00\x01no key of this block", None, pack_row(b"", b"")) for _ in range(1)]
        return encode_row_changes(3, changes)

    def flip_key(raw: bytes) -> bytes:
        assert DeltaView(raw).get_inserted()
        place = len(raw) - 32 * len(DeltaView(raw).node_ids) - 99 + 2  # of the last leaf, which is new
        return raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]

    damages = {
        "changes/3: missing": ("changes", three, lambda _: None),
        "changes/3": ("changes", three, lambda raw: raw[:-1] + bytes((raw[-1] ^ 1,))),
        "changes/3: 0x0001": ("changes", three, swap_rows),
        "undo_tree/3: missing": ("undo_tree", three, lambda _: None),
        "undo_tree/2: its new keys": ("undo_tree", encode_number(2), flip_key),
        "meta/base": ("meta", b"base", lambda raw: raw[:7] + bytes((raw[7] ^ 1,)) + raw[8:]),
        "meta/base: is 9": ("meta", b"base", lambda _: pack_row(b"base", encode_number(9))),
    }
    for number, (named, (table, key, alter)) in enumerate(damages.items()):
        copy = tmp_path / str(number)
        shutil.copytree(store, copy)
        with Environment(copy) as environment:
            raw = environment.get(table, key)
            assert raw is not None
            new = alter(raw)
            assert new != raw
            with environment.write() as txn:
                if new is None:
                    txn.delete(key, db=environment.tables[table])
                else:
                    txn.put(key, new, db=environment.tables[table])
        with pytest.raises(StoreCorrupt, match=named):
            Ledger.open(copy, zoo)
    chain.ledger = Ledger.open(store, zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()


def test_a_snapshot_of_damaged_new_keys(chain: Chain) -> None:
    """A bit that is lost after the opening, in the keys of a block that is not written out, is told by the snapshot."""
    chain.work(Random(6), 4)
    environment, key = chain.ledger.environment, encode_number(2)
    assert 0 == read_base(chain)
    raw = environment.get("undo_tree", key)
    assert raw is not None
    place = len(raw) - 32 * len(DeltaView(raw).node_ids) - 99 + 2  # of the last leaf, which is new
    with environment.write() as txn:
        txn.put(key, raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :], db=environment.tables["undo_tree"])
    with pytest.raises(StoreCorrupt, match="undo_tree/2: its new keys"):
        write_snapshot(environment, zoo, chain.root / "snapshot")
    with environment.write() as txn:
        txn.put(key, raw, db=environment.tables["undo_tree"])


# --- others ----------------------------------------------------------------------------------------------------------


def test_snapshots_of_every_height(chain: Chain) -> None:
    """A snapshot is the same whatever is written out, and a store restored from it is complete."""
    chain.work(Random(5), 9)
    environment, path = chain.ledger.environment, chain.root / "snapshot"
    assert 0 <= read_base(chain) < 9
    infos = [write_snapshot(environment, zoo, path, height) for height in range(10)]
    chain.ledger.flushing.flush()
    assert infos == [write_snapshot(environment, zoo, path, height) for height in range(10)]
    restored = restore_snapshot(path, chain.root / "restored", zoo, expected_block_hash=infos[9].block_hash)
    assert restored.flushing.unflushed.is_empty
    assert chain.ledger.header == restored.header
    restored.close()


def test_another_process_reads_right_values(chain: Chain) -> None:
    """A reader with an environment of its own, in one snapshot of it, while half a layer is written out."""
    model = Model(chain)
    model.work(Random(6), 8)
    chain.sequencer.flush_some()
    assert chain.ledger.flushing.is_going_on
    copy = chain.root / "copy"
    chain.ledger.sync_tree()
    shutil.copytree(chain.root / "builder", copy)
    with Environment(copy, read_only=True) as environment:
        for height in range(9):
            for name, keys in KEYS.items():
                field = zoo.state_type.get_field(name)
                for key in keys:
                    wanted = model.values[height].get((name, key))
                    assert wanted == read_value(environment, field, field.encode_key(key), height), (name, height)
                    if field.settled:
                        proof = prove_state(environment, chain.ledger.tree, field, field.encode_key(key), height)
                        assert wanted == proof.stored


def test_nothing_is_pruned_that_a_flush_needs(chain: Chain) -> None:
    """However short history is kept: the changes above the base stay until they are written out."""
    chain.ledger.retention = Retention(blocks=1, unsettled_blocks=1)
    chain.ledger.flushing.limits = FlushLimits()
    rng = Random(7)
    for _ in range(12):
        chain.work(rng, 1)
        chain.ledger.sync_tree()
        check_invariants(chain.ledger.environment)
    before = chain.ledger.header, dict(chain.ledger.state.app.tickets.items())  # type: ignore[attr-defined]
    chain.reopen(abandon=True)
    assert before == (chain.ledger.header, dict(chain.ledger.state.app.tickets.items()))  # type: ignore[attr-defined]
    chain.ledger.flushing.flush()
    chain.ledger.retention = Retention(blocks=1, unsettled_blocks=1)
    chain.work(rng, 2)
    with chain.ledger.environment.snapshot() as txn:
        assert 12 > txn.stat(chain.ledger.environment.tables["changes"])["entries"]


def test_scrub_reads_what_is_not_written_out(chain: Chain, tmp_path: Path) -> None:
    """A store with half a layer written out is sound; a row that no height left, and a false base, are found."""
    chain.work(Random(8), 8)
    chain.sequencer.flush_some()
    assert chain.ledger.flushing.is_going_on
    store = tmp_path / "store"
    shutil.copytree(chain.root / "builder", store)
    report = scrub_store(store, "zoo:zoo")
    assert ([], []) == (report.damages, report.unchecked)
    held = chain.ledger.flushing.unflushed
    row_key, tree_key = held.list_rows()[-1], next(iter((held.frozen or held.newest).leaves))
    for table, key, value, named in (
        ("state", row_key, pack_row(row_key, b"\x07"), "state/0x"),
        ("tree", tree_key, pack_row(tree_key, encode_leaf_index(1 << 20)), "tree/0x"),
        ("meta", b"base", pack_row(b"base", encode_number(99)), "meta/base"),
        ("meta", b"base", encode_number(1), "meta/base"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(store, copy)
        with Environment(copy) as environment, environment.write() as txn:
            txn.put(key, value, db=environment.tables[table])
        assert any(damage.where.startswith(named) for damage in scrub_store(copy, "zoo:zoo").damages), named
        shutil.rmtree(copy)
