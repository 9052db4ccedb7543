"""Crashes: at every write of a rebuild, between log and checkpoint, between LMDB and flat files, torn files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from kernel_fixtures import Chain, make_steps, make_test_genesis
from microrollup.errors import StoreCorrupt, StoreError, StoreMissing
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.recovery import read_logged_block
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.store.environment import Environment, Transaction
from microrollup.store.tree import FlatTree
from microrollup.testing.crash_record import mix_sectors
from zoo import buggy_zoo, zoo

PAGE = 4096
USED_BYTES = 40 * 1024


class Crash(BaseException):
    """The power goes."""


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> list[int]:
    """Crash at the `number`-th write transaction from now, before it begins or after it is durable; counts them."""
    original, count = Environment.write, [0]

    @contextmanager
    def write(self: Environment) -> Iterator[Transaction]:
        count[0] += 1
        here = count[0] == number
        if here and not after:
            raise Crash
        with original(self) as txn:
            yield txn
        if here:
            raise Crash

    monkeypatch.setattr(Environment, "write", write)
    return count


def mix_files(rng: Random, old: Path, new: Path) -> None:
    """Give random pages, then random sectors, of a flat file back what they held in an older copy, as if they had not
    reached the disk. The files have few pages that are used, at their beginning.
    """
    before, after = old.read_bytes(), new.read_bytes()
    paged = mix_sectors(rng, before, after[: len(before)], PAGE)
    torn = mix_sectors(rng, before[:USED_BYTES], paged[:USED_BYTES])
    new.write_bytes(torn + paged[USED_BYTES:] + after[len(before) :])


def assert_replays(chain: Chain, directory: Path) -> None:
    """The builder's store holds exactly what its log gives."""
    with (
        AuthenticationPool("zoo:zoo", chain.genesis.domain, 0) as pool,
        replay_log(chain.ledger.environment, zoo, directory, pool) as replayed,
    ):
        chain.ledger.sync_tree()
        replayed.sync_tree()
        assert [] == compare_stores(chain.ledger.environment, replayed.environment)
        assert chain.ledger.header == replayed.header


# --- rebuilds --------------------------------------------------------------------------------------------------------


class BadChain:
    """A builder whose code is wrong from block 3 on: six blocks and an open one, with forced actions among them."""

    def __init__(self, root: Path) -> None:
        rng = Random(7)
        self.chain = chain = Chain(root)
        chain.work(rng, 2)
        chain.reopen(buggy_zoo)
        self.good = chain.ledger.header
        for value in range(4):
            chain.force(make_steps(("set_ticket", 90 + value, value)), "carol")
            chain.edit(("set_animal", 40 + value, value), ("set_ticket", value, value), ("delete_note", value, 0))
            chain.edit(("count", 0, value), name="bob")
            chain.close_block()
            if value == 1:
                chain.ledger.sync_tree()
        chain.edit(("set_ticket", 99, 9), name="bob")
        chain.sequencer.close()
        chain.ledger.abandon()
        self.root = root / "builder"

    def open(self, directory: Path) -> Chain:
        """A copy of the builder's store under the right code, on the same L1."""
        shutil.copytree(self.root, directory / "builder")
        copy = object.__new__(Chain)
        copy.__dict__.update(self.chain.__dict__)
        copy.root, copy.rollup = directory, zoo
        copy.ledger = Ledger.open(directory / "builder", zoo, map_size=copy.map_size)
        copy.sequencer = copy.make_sequencer()
        return copy


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadChain]:
    made = BadChain(tmp_path_factory.mktemp("bad"))
    yield made
    made.chain.l1.close()


@pytest.fixture(scope="module")
def rebuilt(bad: BadChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The store after a rebuild that nothing interrupted."""
    directory = tmp_path_factory.mktemp("rebuilt")
    chain = bad.open(directory)
    chain.sequencer.rebuild(3)
    chain.ledger.sync_tree()
    yield chain
    chain.sequencer.close()
    chain.ledger.close()


def test_rebuild_without_a_crash(bad: BadChain, rebuilt: Chain, tmp_path: Path) -> None:
    """After a rebuild the blocks are right: replay gives the same store, and the verifier's code accepts them."""
    assert 7 == rebuilt.ledger.checkpoint.height
    assert_replays(rebuilt, tmp_path / "replay")
    verifier = rebuilt.make_verifier(f"verifier-{tmp_path.name}")
    rebuilt.verify(verifier)
    assert rebuilt.ledger.header == verifier.header
    assert read_rounds(rebuilt) == read_rounds(verifier) == [0, 0, 1, 1, 1, 1, 1]
    verifier.close()


def read_rounds(chain: Chain | Ledger) -> list[int]:
    """The rounds of all seals from height 1 on."""
    ledger = chain.ledger if isinstance(chain, Chain) else chain
    blocks = [ledger.get_block(height) for height in range(1, ledger.checkpoint.height + 1)]
    return [block.seal.round for block in blocks if block is not None]


def test_a_successor_s_rounds(bad: BadChain, rebuilt: Chain, tmp_path: Path) -> None:
    """A store that holds a former builder's rebuilt blocks goes on above their rounds: no height has a round twice."""
    chain = bad.open(tmp_path)
    follower = rebuilt.make_verifier(f"follower-{tmp_path.name}")
    rebuilt.verify(follower)
    chain.sequencer.close()
    chain.ledger.abandon()
    chain.ledger = follower
    chain.sequencer = chain.make_sequencer()
    chain.sequencer.rebuild(5)
    assert [0, 0, 1, 1, 2, 2, 2] == read_rounds(chain)
    assert_replays(chain, tmp_path / "replay")
    chain.sequencer.close()
    chain.ledger.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 10))
def test_crash_in_a_rebuild(
    bad: BadChain, rebuilt: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    """At whatever write a rebuild is cut off, opening the store and its sequencer ends it, to the byte the same."""
    chain = bad.open(tmp_path)
    with monkeypatch.context() as patch:
        count = crash_at(patch, number, after=after)
        try:
            chain.sequencer.rebuild(3)
            chain.sequencer.close_block()
        except Crash:
            pass
        else:
            assert count[0] < number
    chain.reopen(zoo, abandon=True)
    if read_tickets(chain) != read_tickets(rebuilt):  # the rebuild was not logged yet
        chain.sequencer.rebuild(3)
    chain.ledger.sync_tree()
    assert rebuilt.ledger.header == chain.ledger.header
    assert [] == compare_stores(rebuilt.ledger.environment, chain.ledger.environment)
    chain.sequencer.close()
    chain.ledger.close()


def read_tickets(chain: Chain) -> list[tuple[int, int]]:
    return list(chain.ledger.state.app.tickets.items())  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(8))
def test_crash_while_files_rewind(
    bad: BadChain, rebuilt: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A rebuild that ends after its first commit, its flat files half rewound, is mended whatever pages are new."""
    chain = bad.open(tmp_path)
    rng = Random(seed)
    store = tmp_path / "builder"
    chain.sequencer.close_block()
    chain.ledger.flushing.flush()
    for name in ("leaves", "nodes"):
        shutil.copy(store / name, tmp_path / name)
    with monkeypatch.context() as patch:
        crash_at(patch, 2, after=False)
        with pytest.raises(Crash):
            chain.sequencer.rebuild(3)
    chain.sequencer.close()
    chain.ledger.abandon()
    for name in ("leaves", "nodes"):
        mix_files(rng, tmp_path / name, store / name)
    chain.ledger = Ledger.open(store, zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()
    chain.ledger.sync_tree()
    assert rebuilt.ledger.header == chain.ledger.header
    assert [] == compare_stores(rebuilt.ledger.environment, chain.ledger.environment)
    chain.sequencer.close()
    chain.ledger.close()


def test_files_are_durable_before_the_deltas_go(bad: BadChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewound files are synced after the rewinding and before the transaction that forgets how to rewind them."""
    chain = bad.open(tmp_path)
    happened: list[str] = []
    for cls, name in ((FlatTree, "rewind"), (FlatTree, "sync"), (Environment, "write")):
        original = getattr(cls, name)

        def note(self: object, *rest: object, name: str = name, original: object = original) -> object:
            happened.append(name)
            return original(self, *rest)  # type: ignore[operator]

        monkeypatch.setattr(cls, name, note)
    chain.sequencer.close_block()
    happened.clear()
    chain.ledger.rebuild(3)
    flush, *happened = happened
    assert ("write", ["write", "rewind", "sync", "write"]) == (flush, happened)
    monkeypatch.undo()
    chain.sequencer.close()
    chain.ledger.close()


def test_rebuild_limits(bad: BadChain, tmp_path: Path) -> None:
    """Genesis, what is settled and what is not there yet cannot be rebuilt; asking harms nothing."""
    chain = bad.open(tmp_path)
    chain.ledger.note_settled(2, 0)
    for height in (0, 1, 2, 8, 100):
        with pytest.raises(StoreError, match="from 3 to 7"):
            chain.sequencer.rebuild(height)
    chain.edit(("count", 0, 1), name="dora")
    chain.sequencer.rebuild(3)
    chain.edit(("count", 0, 1), name="dora")
    with pytest.raises(StoreError):
        chain.ledger.rebuild(3)
    chain.close_block()
    assert_replays(chain, tmp_path / "replay")
    chain.signer.nonces.pop("dora")
    chain.sequencer.close()
    chain.ledger.close()


def test_rebuilds_upon_rebuilds(bad: BadChain, tmp_path: Path) -> None:
    """Rebuilds above and below an earlier one, blocks and a crash in between: replay still gives the store."""
    chain = bad.open(tmp_path)
    chain.sequencer.rebuild(5)
    chain.edit(("set_ticket", 1, 1), name="erin")
    chain.sequencer.rebuild(3)
    chain.sequencer.rebuild(6)
    chain.force(make_steps(("set_ticket", 70, 7)), "carol")
    chain.edit(("set_ticket", 2, 1), name="erin")
    chain.reopen(abandon=True)
    chain.close_block()
    chain.sequencer.rebuild(8)
    assert [0, 0, 1, 1, 2, 3, 3, 3, 1] == read_rounds(chain)
    assert_replays(chain, tmp_path / "replay")
    verifier = chain.make_verifier()
    chain.verify(verifier)
    verifier.close()
    chain.signer.nonces.pop("erin")
    chain.sequencer.close()
    chain.ledger.close()


# --- crashes without a rebuild ---------------------------------------------------------------------------------------


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    yield made
    made.close()


def test_between_log_and_checkpoint(chain: Chain, tmp_path: Path) -> None:
    """Acknowledged entries behind the last checkpoint execute again on opening: same state, receipts, header."""
    rng = Random(1)
    chain.work(rng, 3)
    chain.force(make_steps(("set_ticket", 70, 7)), "carol")
    for value in range(5):
        chain.edit(("set_ticket", value, value), ("set_note", value, value), name="bob")
    block = chain.ledger.block
    assert block is not None
    kept = (block.open, block.records, block.receipts, read_tickets(chain), chain.ledger.next_seq)
    expected = chain.ledger.compute_header().header
    chain.reopen(abandon=True)
    again = chain.ledger.block
    assert again is not None
    assert kept == (again.open, again.records, again.receipts, read_tickets(chain), chain.ledger.next_seq)
    assert expected == chain.close_block()
    assert_replays(chain, tmp_path / "replay")


def test_uncommitted_entries_are_forgotten(chain: Chain) -> None:
    """What was executed but never committed (so never acknowledged) is gone after a crash; the rest is not."""
    chain.edit(("count", 0, 1))
    entry = chain.ledger.read_entry(chain.signer.sign(make_steps(("count", 0, 5))).record)
    chain.ledger.execute([entry])
    chain.reopen(abandon=True)
    assert 1 == chain.ledger.next_seq
    chain.signer.nonces["alice"] = 1
    chain.edit(("count", 0, 3))
    assert 4 == chain.ledger.state.app.visitors  # type: ignore[attr-defined]


@pytest.mark.parametrize("blocks", [1, 3])
def test_after_commit_before_files(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    """LMDB has the block, the flat files lack it: opening does the deltas again."""
    rng = Random(2)
    chain.work(rng, 2)
    chain.ledger.sync_tree()
    with monkeypatch.context() as patch:
        chain.work(rng, blocks - 1)
        chain.edit(("set_animal", 1000, 1))
        patch.setattr(FlatTree, "apply", lambda self, delta: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            chain.close_block()
    chain.reopen(abandon=True)
    assert 2 + blocks == chain.ledger.header.height
    assert chain.ledger.tree.root() == chain.ledger.header.state_root
    assert_replays(chain, tmp_path / "replay")


@pytest.mark.parametrize("seed", range(10))
def test_torn_files(chain: Chain, tmp_path: Path, seed: int) -> None:
    """Any mixture of old and new pages in the flat files since their last sync is mended on opening."""
    rng = Random(seed)
    chain.work(rng, 3, actions=1 + 20 * (seed % 2))
    chain.ledger.sync_tree()
    store = tmp_path / "builder"
    for name in ("leaves", "nodes"):
        shutil.copy(store / name, tmp_path / name)
    chain.work(rng, 4)
    for value in range(40):
        chain.edit(("set_ticket", 500 + value, value), ("set_guard", 500 + value, 1))
    chain.close_block()
    chain.sequencer.close()
    chain.ledger.abandon()
    for name in ("leaves", "nodes"):
        mix_files(rng, tmp_path / name, store / name)
    chain.ledger = Ledger.open(store, zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()
    assert chain.ledger.tree.root() == chain.ledger.header.state_root
    assert_replays(chain, tmp_path / "replay")


def test_lost_nodes_are_hashed_again(chain: Chain, tmp_path: Path) -> None:
    """The node file can be wiped: it is a function of the leaves. A root that does not fit is noticed on opening."""
    chain.work(Random(3), 3)
    chain.sequencer.close()
    chain.ledger.close()
    nodes = tmp_path / "builder" / "nodes"
    nodes.write_bytes(bytes(nodes.stat().st_size))
    chain.ledger = Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()
    assert chain.ledger.tree.root() == chain.ledger.header.state_root
    assert_replays(chain, tmp_path / "replay")


@pytest.mark.parametrize("name", ["leaves", "nodes"])
def test_missing_or_short_file(chain: Chain, tmp_path: Path, name: str) -> None:
    """A flat file that is gone or cut off is told by its name."""
    chain.work(Random(3), 1)
    chain.sequencer.close()
    chain.ledger.close()
    path = tmp_path / "builder" / name
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreMissing, match=name):
        Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    path.write_bytes(whole[:50])
    with pytest.raises(StoreCorrupt, match=name):
        Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    path.write_bytes(whole)
    chain.ledger = Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()


def test_damaged_leaves(chain: Chain, tmp_path: Path) -> None:
    """Leaves that do not hash to the header's state root cannot be mended here, and are told."""
    chain.work(Random(3), 2)
    chain.sequencer.close()
    chain.ledger.close()
    for name, place in (("leaves", 99 + 70), ("nodes", 0)):
        path = tmp_path / "builder" / name
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1
        path.write_bytes(raw)
        if name == "nodes":
            path.write_bytes(bytes(len(raw)))
    with pytest.raises(StoreCorrupt, match="leaves"):
        Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.ledger = Ledger.create(tmp_path / "other", zoo, chain.genesis)
    chain.sequencer = chain.make_sequencer()


@pytest.mark.parametrize("entry", range(4))
def test_damaged_log_tail(chain: Chain, tmp_path: Path, entry: int) -> None:
    """A flipped bit in a record behind the checkpoint is found by the chain before anything of it is executed.

    The records: an opening, a forced action, two signed ones.
    """
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.force(make_steps(("set_ticket", 1, 2)), "carol")
    chain.edit(("set_ticket", 1, 3))
    chain.edit(("set_ticket", 1, 4))
    environment = chain.ledger.environment
    number = environment.count("log") - 4 + entry
    key = number.to_bytes(8, "big")
    row = environment.get("log", key)
    assert row is not None
    for place in (5, 40, len(row) // 2, len(row) - 3):
        with environment.write() as txn:
            txn.put(key, row[:place] + bytes((row[place] ^ 1,)) + row[place + 1 :], db=environment.tables["log"])
        with pytest.raises(StoreCorrupt, match=f"log/{number}"):
            read_logged_block(environment, chain.ledger.rollup_id, 2)
    chain.sequencer.close()
    chain.ledger.abandon()
    with pytest.raises(StoreCorrupt, match=f"log/{number}"):
        Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.ledger = Ledger.create(tmp_path / "other", zoo, chain.genesis)
    chain.sequencer = chain.make_sequencer()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
def test_crash_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    """At whatever write building is cut off, the store opens, holds all that was acknowledged, and goes on."""
    rng = Random(4)
    chain = Chain(tmp_path, block_size=3)
    actions = [chain.signer.sign(make_steps(("set_ticket", value, value + 1), ("count", 0, 1))) for value in range(10)]
    acknowledged: list[int] = []
    with monkeypatch.context() as patch:
        crash_at(patch, number, after=after)
        try:
            for first in range(0, 10, 2):
                acknowledged += [o.receipt.seq for o in chain.submit(*actions[first : first + 2])]  # type: ignore[union-attr]
                if rng.random() < 0.3:
                    chain.ledger.sync_tree()
        except Crash:
            pass
    chain.reopen(abandon=True)
    for seq in acknowledged:
        assert seq == chain.sequencer.known.find(actions[seq].action_hash)
    chain.submit(*actions)
    chain.sequencer.close_block()
    assert 10 == chain.ledger.state.app.visitors == chain.ledger.checkpoint.next_seq  # type: ignore[attr-defined]
    assert_replays(chain, tmp_path / "replay")
    chain.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_crash_while_a_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    """A store without a genesis was never made: opening says so, and making it again works."""
    genesis = make_test_genesis(zoo)
    with monkeypatch.context() as patch:
        crash_at(patch, 1, after=after)
        with pytest.raises(Crash):
            Ledger.create(tmp_path / "new", zoo, genesis)
    if not after:
        with pytest.raises(StoreMissing):
            Ledger.open(tmp_path / "new", zoo)
        Ledger.create(tmp_path / "new", zoo, genesis).close()
    with pytest.raises(StoreError, match="already"):
        Ledger.create(tmp_path / "new", zoo, genesis)
    with Ledger.open(tmp_path / "new", zoo) as ledger:
        assert 0 == ledger.header.height
