"""The ledger: one block at a time, the log before everything else, and memory that agrees with the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from kernel_fixtures import Chain, make_steps, seal
from microrollup.chain.block import compute_block_hash
from microrollup.chain.receipt import Receipt
from microrollup.chain.record import Close, Open, encode_record
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.declaration.map import Map
from microrollup.errors import NotRetained, StoreCorrupt, StoreError, StoreLocked
from microrollup.execution.stf import LimitHit
from microrollup.ledger import ledger as module
from microrollup.ledger.ledger import Ledger
from microrollup.store.action_index import LogPlace
from microrollup.store.environment import Environment, encode_number
from microrollup.store.retention import Retention
from microrollup.store.tables import BlockRow, decode_block_row, find_place, get_receipt, iterate_log
from zoo import MISCHIEF, Misbehave, zoo


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    yield made
    made.close()


def open_next(ledger: Ledger) -> None:
    ledger.begin(Open(ledger.header.height + 1, ledger.header.timestamp, ledger.header.l1_origin, zoo.stf_id))


def test_one_block_at_a_time(chain: Chain) -> None:
    """A block opens behind the last one, once; without an open block nothing can be executed or closed."""
    ledger = chain.ledger
    for use in (lambda: ledger.execute([]), ledger.compute_header):
        with pytest.raises(StoreError, match="no block is open"):
            use()
    for height in (0, 2, 5):
        with pytest.raises(StoreError):
            ledger.begin(Open(height, 0, 0, bytes(32)))
    open_next(ledger)
    with pytest.raises(StoreError):
        open_next(ledger)
    closing = ledger.compute_header()
    ledger.finish(closing, seal(closing.header))
    with pytest.raises(StoreError):
        ledger.finish(closing, seal(closing.header))


def test_nothing_on_disk_before_commit(chain: Chain) -> None:
    """Opening and executing change memory alone; a commit writes the log alone; the end of a block all the rest."""
    ledger, environment = chain.ledger, chain.ledger.environment
    tables = ("log", "openings", "blocks", "receipts", "index", "changes", "undo_tree", "state", "tree")

    def count() -> list[int]:
        return [environment.count(table) for table in tables]

    before = count()
    open_next(ledger)
    ledger.execute([ledger.read_entry(chain.signer.sign(make_steps(("set_ticket", 50, 5))).record)])
    assert before == count()
    ledger.commit()
    ledger.commit()
    assert [before[0] + 2, before[1] + 1, *before[2:]] == count()
    closing = ledger.compute_header()
    assert closing.header == ledger.compute_header().header
    assert [before[0] + 2, before[1] + 1, *before[2:]] == count()
    ledger.finish(closing, seal(closing.header))
    assert [grown - known for grown, known in zip(count(), before, strict=True)] == [3, 1, 1, 1, 1, 1, 1, 0, 0]
    ledger.flushing.flush()
    assert [grown - known for grown, known in zip(count(), before, strict=True)] == [3, 1, 1, 1, 1, 1, 1, 2, 1]


def test_what_a_block_leaves(chain: Chain) -> None:
    """Header, opening, seal, entries, receipts and index of a block are found by height, seq and hash."""
    outcomes = [chain.edit(("set_ticket", value, value)) for value in range(4)]
    header = chain.close_block()
    ledger = chain.ledger
    (block,) = chain.get_blocks()
    assert (header, compute_block_hash(header)) == (block.header, ledger.get_block_hash(1))
    assert (header.height, header.timestamp, header.l1_origin, header.stf_id) == msgspec.structs.astuple(block.open)
    raw = [get_receipt(ledger.environment.reader, ledger.environment.tables, seq) for seq in range(4)]
    assert [outcome.receipt for outcome in outcomes] == [msgspec.msgpack.decode(r or b"", type=Receipt) for r in raw]
    assert compute_items_root([r or b"" for r in raw]) == header.receipts_root
    assert compute_items_root(list(block.records)) == header.actions_root
    for outcome in outcomes:
        reader, tables = ledger.environment.reader, ledger.environment.tables
        assert LogPlace(outcome.receipt.seq, 1) == find_place(reader, tables, outcome.receipt.action_hash, 4)
    log = [record for _, record in iterate_log(ledger.environment.reader, ledger.environment.tables, ledger.rollup_id)]
    assert [encode_record(block.open), *block.records, encode_record(Close(1, block.seal))] == log[1:]
    assert ledger.get_block(2) is None
    with pytest.raises(StoreCorrupt, match="blocks/2"):
        ledger.get_block_hash(2)


def test_memory_agrees_with_the_store(chain: Chain) -> None:
    """After every block the state in memory is what a fresh opening reads, sizes and roots included."""
    rng = Random(1)
    for _ in range(4):
        chain.work(rng, 2)
        ledger = chain.ledger
        held = (ledger.header, ledger.checkpoint, ledger.next_seq, dump(ledger), ledger.tree.root())
        chain.reopen(abandon=bool(rng.randrange(2)))
        ledger = chain.ledger
        assert held == (ledger.header, ledger.checkpoint, ledger.next_seq, dump(ledger), ledger.tree.root())


def dump(ledger: Ledger) -> list[object]:
    values = [*msgspec.structs.astuple(ledger.state.app), ledger.state.nonces]
    sizes = tuple(len(value) if isinstance(value, Map) else 1 for value in values)
    assert ledger.checkpoint.sizes == sizes
    return [list(value.items()) if isinstance(value, Map) else value for value in values]


def test_limit_in_the_middle(chain: Chain) -> None:
    """Entries in front of one that hits a limit are executed and logged, it and those behind it are not."""

    def recurse(state: object, ctx: object) -> object:
        return recurse(state, ctx)

    MISCHIEF["recurse"] = recurse  # type: ignore[assignment]
    ledger = chain.ledger
    open_next(ledger)
    signed = [chain.signer.sign(action) for action in (make_steps(), Misbehave("recurse"), make_steps())]
    with pytest.raises(LimitHit) as caught:
        ledger.execute([ledger.read_entry(each.record) for each in signed])
    assert (1, 1) == (caught.value.seq, len(caught.value.receipts))
    assert ledger.block is not None
    assert [signed[0].record] == ledger.block.records
    ledger.commit()
    chain.reopen(abandon=True)
    assert chain.ledger.block is not None
    assert [signed[0].record] == chain.ledger.block.records


@pytest.mark.parametrize("damage", ["value", "members", "signature", "kernel"])
def test_entries_that_are_none(chain: Chain, damage: str) -> None:
    """Records that do not decode, or that nobody signed, are no entries of a log."""
    good = chain.signer.sign(make_steps(("count", 0, 1))).record
    record = {
        "value": good[:-1],
        "members": good.replace(b"\xa4Edit", b"\xa4Quit"),
        "signature": good[:-65] + bytes(65),
        "kernel": encode_record(Open(1, 0, 0, bytes(32))),
    }[damage]
    with pytest.raises(StoreCorrupt, match="not valid"):
        chain.ledger.read_entry(record)
    assert good == chain.ledger.read_entry(good).record


def test_one_owner(chain: Chain, tmp_path: Path) -> None:
    """A store has one owner at a time, and one again after the first has let go of it, even by an error."""
    with pytest.raises(StoreLocked):
        Ledger.open(tmp_path / "builder", zoo)
    chain.ledger.close()
    with pytest.raises(ZeroDivisionError), Ledger.open(tmp_path / "builder", zoo):
        1 / 0  # noqa: B018
    chain.sequencer.close()
    chain.ledger = Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()


def test_opening_names_what_is_damaged(chain: Chain, tmp_path: Path) -> None:
    """A missing block row, checkpoint, opening or scalar is told by table and key when the store is opened."""
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.edit(("count", 0, 1))
    environment = chain.ledger.environment
    scalar = zoo.state_type.get_field("visitors").row_prefix
    row = environment.get("blocks", encode_number(1))
    assert row is not None
    assert isinstance(decode_block_row(row), BlockRow)
    chain.ledger.flushing.flush()
    chain.sequencer.close()
    chain.ledger.abandon()
    for table, key, replacement, named in (
        ("blocks", encode_number(1), None, "blocks/1"),
        ("blocks", encode_number(1), b"\x00", "blocks/1"),
        ("meta", b"checkpoint", None, "meta/checkpoint"),
        ("state", scalar, None, "state/visitors"),
        ("state", scalar, b"\xc0", "state/visitors"),
        ("openings", encode_number(2), encode_number(1), "log/1"),
        ("openings", encode_number(2), encode_number(99), "log/98"),
    ):
        with Environment(tmp_path / "builder") as opened:
            before = opened.get(table, key)
            with opened.write() as txn:
                if replacement is None:
                    txn.delete(key, db=opened.tables[table])
                else:
                    txn.put(key, replacement, db=opened.tables[table])
        with pytest.raises(StoreCorrupt, match=named):
            Ledger.open(tmp_path / "builder", zoo)
        with Environment(tmp_path / "builder") as opened, opened.write() as txn:
            txn.put(key, before or b"", db=opened.tables[table])
    chain.ledger = Ledger.open(tmp_path / "builder", zoo, map_size=chain.map_size)
    chain.sequencer = chain.make_sequencer()


def test_files_are_synced_now_and_then(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flat files are made durable every so many blocks or leaves: what a crash leaves to redo is bounded."""
    synced: list[int] = []
    original = Ledger.sync_tree

    def note(self: Ledger) -> None:
        synced.append(self.checkpoint.height)
        original(self)

    monkeypatch.setattr(Ledger, "sync_tree", note)
    monkeypatch.setattr(module, "SYNC_BLOCKS", 4)
    for _ in range(9):
        chain.edit(("count", 0, 1))
        chain.close_block()
    assert [4, 8] == synced
    monkeypatch.setattr(module, "SYNC_LEAVES", 10)
    chain.edit(*[("set_guard", key, 1) for key in range(12)])
    chain.close_block()
    assert [4, 8, 10] == synced


def test_pruned_blocks_cannot_be_rebuilt(chain: Chain) -> None:
    """A rebuild below what is kept is refused before anything is touched, and one above it works."""
    chain.ledger.retention = Retention(blocks=2, unsettled_blocks=2)
    for _ in range(6):
        chain.edit(("count", 0, 1))
        chain.close_block()
        chain.ledger.sync_tree()
        chain.ledger.flushing.flush()
    length = chain.ledger.environment.count("log")
    for height in (1, 2, 3):
        with pytest.raises(NotRetained):
            chain.sequencer.rebuild(height)
    assert length == chain.ledger.environment.count("log")
    before = chain.ledger.header
    chain.sequencer.rebuild(5)
    assert before == chain.ledger.header
    chain.edit(("count", 0, 1))
