"""Reading at every height: values and proofs against a model that remembers everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from apps.keystore import app
from height_model import KEYS, Model
from kernel_fixtures import Chain, fast_directory
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.errors import NotRetained, ProofError, StoreCorrupt, StoreError, UsageError
from microrollup.ledger.flush import FlushLimits
from microrollup.ledger.reading import get_field, prove_state, read_value
from microrollup.store.environment import encode_number
from microrollup.store.overlays import Overlays
from microrollup.store.retention import Retention
from microrollup.store.row_changes import read_digests
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import SpanIndex, Spans
from microrollup.store.tables import get_base
from zoo import buggy_zoo, zoo


@pytest.fixture
def chain() -> Iterator[Chain]:
    with fast_directory() as directory:
        made = Chain(directory)
        yield made
        made.close()


def read_base(chain: Chain) -> int:
    """The height up to which all rows are written out."""
    with chain.ledger.environment.snapshot() as txn:
        return get_base(txn, chain.ledger.environment.tables)


@pytest.mark.parametrize(("seed", "rows"), [(0, 50_000), (1, 20), (2, 15)])
def test_every_height(chain: Chain, seed: int, rows: int) -> None:
    """Values, deletions, absences, scalars, metadata and nonces at every height, before and after a crash: nothing is
    written out, or the rows of the first blocks and a part of the next layer's are.
    """
    rng, limits = Random(seed), FlushLimits(rows=rows, slice_rows=7, idle_rows=3)
    model = Model(chain)
    chain.ledger.flushing.limits = limits
    model.work(rng, 6)
    assert (0 < read_base(chain) < 6) == (rows < 50_000)
    for height in range(7):
        model.check_height(height)
    chain.reopen(abandon=True)
    chain.ledger.flushing.limits = limits
    model.work(rng, 3)
    assert read_base(chain) < 9
    for height in range(10):
        model.check_height(height)


def test_after_a_rebuild(chain: Chain) -> None:
    """After a rebuild the rebuilt heights read as they were built again, the lower ones as before; also for readers who
    have kept what the blocks that were taken back had touched.
    """
    rng = Random(9)
    model = Model(chain)
    model.work(rng, 3)
    chain.reopen(buggy_zoo)
    chain.edit(("set_ticket", 1, 100), ("set_animal", 1, 1))
    chain.close_block()
    chain.edit(("set_ticket", 2, 200))
    chain.close_block()
    chain.reopen(zoo)
    environment, field = chain.ledger.environment, zoo.state_type.get_field("tickets")
    spans, overlays = Spans(blocks=4, short=2), Overlays()

    def read_at(height: int) -> list[Any]:
        with environment.snapshot() as txn:
            listed = dict(RowsAt(txn, environment.tables, height, None, overlays).iterate())
        values = [read_value(environment, field, field.encode_key(key), height, spans) for key in KEYS["tickets"]]
        rows = [listed.get(field.row_prefix + field.encode_key(key)) for key in KEYS["tickets"]]
        assert values == [None if row is None else field.decode_row(row) for row in rows]
        return values

    before = [read_at(height) for height in range(3, 6)]
    chain.sequencer.rebuild(4)
    assert before[0] == read_at(3)
    assert before[1:] != [read_at(4), read_at(5)]
    for height in range(4):
        model.check_height(height)
        assert [model.values[height].get(("tickets", key)) for key in KEYS["tickets"]] == read_at(height)
    assert 100 == read_value(environment, field, field.encode_key(1), 4)
    assert 200 == prove_state(environment, chain.ledger.tree, field, field.encode_key(2), 5).stored


def test_unreadable_heights(chain: Chain) -> None:
    """Heights that are not there yet are told from those that are not kept any more; metadata are not proven."""
    chain.ledger.retention = Retention(blocks=3, unsettled_blocks=3)
    model = Model(chain)
    model.work(Random(1), 3)
    chain.ledger.sync_tree()
    chain.ledger.flushing.flush()
    model.work(Random(2), 9)
    environment, tree, field = chain.ledger.environment, chain.ledger.tree, zoo.state_type.get_field("tickets")
    key = field.encode_key(1)
    for height in (-1, 13, 10**9):
        with pytest.raises(UsageError):
            read_value(environment, field, key, height)
        with pytest.raises(UsageError):
            prove_state(environment, tree, field, key, height)
    for height in (0, 1, 2):
        with pytest.raises(NotRetained):
            read_value(environment, field, key, height)
        with pytest.raises(NotRetained):
            prove_state(environment, tree, field, key, height)
    for height in range(3, 13):  # the flat files were last synced at 3: what mends them is kept
        model.check_height(height)
    chain.ledger.sync_tree()
    chain.ledger.flushing.flush()
    model.work(Random(3), 4)
    for height in range(13, 17):
        model.check_height(height)
    with pytest.raises(NotRetained):
        read_value(environment, field, key, 10)
    with pytest.raises(UsageError, match="metadata"):
        prove_state(environment, tree, zoo.state_type.get_field("notes"), b"7")


def test_fields_by_name() -> None:
    """A field is found by its name; without a name only where there is one settled map."""
    assert "accounts" == get_field(app, None).name
    assert "notes" == get_field(zoo, "notes").name
    for name in (None, "nothing", ""):
        with pytest.raises(UsageError):
            get_field(zoo, name)


def test_damage_is_told(chain: Chain) -> None:
    """Undo that is missing, or nodes that do not lead to the root, are damage and not an answer."""
    chain.work(Random(4), 4)
    environment, tree, field = chain.ledger.environment, chain.ledger.tree, zoo.state_type.get_field("tickets")
    key = field.encode_key(1)
    proof = prove_state(environment, tree, field, key)
    position = 2 * (proof.proof.leaf_index ^ 1)
    tree._nodes.rows[position] ^= 1
    with pytest.raises(StoreCorrupt):
        prove_state(environment, tree, field, key)
    tree._nodes.rows[position] ^= 1
    assert proof == prove_state(environment, tree, field, key)
    for table in ("changes", "undo_tree"):
        with environment.write() as txn:
            raw = txn.pop(encode_number(3), db=environment.tables[table])
        for spans in (None, Spans(blocks=2, short=2)):
            with pytest.raises(StoreCorrupt, match=f"{table}/3"):
                prove_state(
                    environment, tree, field, field.encode_key(99), 2, spans
                ) if table == "undo_tree" else read_value(environment, field, field.encode_key(99), 1, spans)
        with environment.write() as txn:
            txn.put(encode_number(3), raw, db=environment.tables[table])


class CountingTransaction:
    """Counts what is read of the undo, but not the stamps of blocks."""

    def __init__(self, txn: Any) -> None:
        self.txn = txn
        self.reads = 0

    def get(self, key: bytes, default: bytes | None = None, *, db: Any) -> Any:
        self.reads += default is None
        return self.txn.get(key, default, db=db)


def test_spans_that_touch_nothing_are_passed_over(chain: Chain) -> None:
    """What a span touched is read once; then a walk over many blocks looks at as many spans, and at no block but those
    that touched what is wanted.
    """
    chain.edit(("set_ticket", 50, 1))
    chain.close_block()
    for number in range(40):
        chain.edit(("set_ticket", number % 6, number))
        chain.close_block()
    environment, field = chain.ledger.environment, zoo.state_type.get_field("tickets")
    row_key, tip = field.row_prefix + field.encode_key(50), chain.ledger.checkpoint.height
    spans = Spans(blocks=8, short=4)
    with environment.snapshot() as txn:
        counting: Any = CountingTransaction(txn)
        for _ in range(3):
            assert 40 == spans.skip_for_row(counting, environment.tables, row_key, 8, tip)
            assert 4 * 8 == counting.reads
        touched = field.row_prefix + field.encode_key(1)
        blocks = [number for number in range(2, 40) if (number - 2) % 6 == 1]
        for number in range(1, 34):
            found = spans.skip_for_row(counting, environment.tables, touched, number, tip)
            assert min(block for block in blocks if block >= number) == found
        assert 40 == spans.skip_for_row(counting, environment.tables, row_key, 9, tip)
        assert 4 * 8 + 9 * 4 == counting.reads
        assert 40 == spans.skip_for_row(counting, environment.tables, row_key, 40, tip)
        assert 41 == spans.skip_for_row(counting, environment.tables, row_key, 41, tip)
    for height in (1, 5, 30):
        proof = prove_state(environment, chain.ledger.tree, field, field.encode_key(50), height, spans)
        assert proof == prove_state(environment, chain.ledger.tree, field, field.encode_key(50), height)


def test_spans_in_memory_are_bounded(chain: Chain) -> None:
    """The index forgets what was not asked for the longest, and reads it again; one span is kept whatever its size."""
    chain.work(Random(3), 12)
    environment = chain.ledger.environment
    with environment.snapshot() as txn:
        counting: Any = CountingTransaction(txn)
        index = SpanIndex("changes", read_digests, 2, max_bytes=1)
        first = index.get(counting, environment.tables, 2)
        assert sorted(set(first.things.tolist())) == first.things.tolist()
        assert first is index.get(counting, environment.tables, 3)
        assert 2 == counting.reads
        index.get(counting, environment.tables, 4)
        again = index.get(counting, environment.tables, 2)
        assert first.things.tolist() == again.things.tolist()
        assert 6 == counting.reads


def test_spans_that_are_kept_in_part(chain: Chain) -> None:
    """Where the first blocks of a span are not kept any more, a reader of those after them gets what they touched; one
    of a lower height is told.
    """
    chain.work(Random(4), 12)
    environment, field = chain.ledger.environment, zoo.state_type.get_field("tickets")
    row_key = field.row_prefix + field.encode_key(1)
    spans = Spans(blocks=8, short=4)
    with environment.write() as txn:
        txn.delete(encode_number(5), db=environment.tables["changes"])
    with environment.snapshot() as txn:
        found = spans.skip_for_row(txn, environment.tables, row_key, 6, 7)
        assert found == Spans(blocks=1, short=1).skip_for_row(txn, environment.tables, row_key, 6, 7)
        with pytest.raises(StoreCorrupt, match="changes/5"):
            spans.skip_for_row(txn, environment.tables, row_key, 5, 7)


def test_readers_beside_the_writer(chain: Chain) -> None:
    """Threads read and prove at all heights while the writer builds blocks: never a wrong answer, never an error."""
    model = Model(chain)
    model.work(Random(5), 4)
    ledger, done, errors = chain.ledger, threading.Event(), []
    fields = [zoo.state_type.get_field(name) for name in ("animals", "tickets", "visitors", "guards")]
    counts = [0, 0]

    def read(number: int) -> None:
        rng = Random(number)
        try:
            while not done.is_set():
                height, field = rng.randrange(5), rng.choice(fields)
                key = rng.choice(KEYS[field.name])
                proof = prove_state(ledger.environment, ledger.tree, field, field.encode_key(key), height)
                assert model.values[height].get((field.name, key)) == proof.stored
                counts[number] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    rng = Random(6)
    for number in range(25):
        chain.work(rng, 1)
        chain.edit(*[("set_guard", 1_000 + 10 * number + key, 1) for key in range(10)])
        chain.close_block()
    done.set()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert min(counts) > 20


def test_proofs_do_not_carry_over(chain: Chain) -> None:
    """An inclusion is of one height, key and value; an exclusion of one height, and of no key that is there."""
    chain.edit(*[("set_ticket", key, key + 1) for key in range(8)])
    chain.close_block()
    chain.edit(*[("set_ticket", key, key + 2) for key in range(8)])
    chain.close_block()
    environment, tree, field = chain.ledger.environment, chain.ledger.tree, zoo.state_type.get_field("tickets")
    proofs = {
        (key, height): prove_state(environment, tree, field, field.encode_key(key), height)
        for key, height in product(range(12), (1, 2))
    }
    for proof, other in product(proofs.values(), repeat=2):
        if proof.exists and other is not proof:
            with pytest.raises(ProofError):
                verify_inclusion(other.header.state_root, other.tree_key, proof.value, proof.proof)
        elif not proof.exists and (other.exists or other.header != proof.header):
            with pytest.raises(ProofError):
                verify_exclusion(other.header.state_root, other.tree_key, proof.proof)
    assert {True, False} == {proof.exists for proof in proofs.values()}


def test_directory_is_gone(tmp_path: Path) -> None:
    """Reading a closed store is an error of its own."""
    chain = Chain(tmp_path)
    chain.close()
    field = zoo.state_type.get_field("tickets")
    with pytest.raises(StoreError):
        read_value(chain.ledger.environment, field, field.encode_key(1))
