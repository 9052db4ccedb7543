"""Snapshots: what is written at a height, and what a store made of it is and refuses."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from msgspec.structs import replace

from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain, make_key, make_test_genesis, seal
from microrollup import MicrorollupError
from microrollup.chain.block import compute_block_hash
from microrollup.chain.record import GENESIS_FORMAT
from microrollup.codec.canonical import encode_canonical
from microrollup.errors import (
    DecodeError,
    NotRetained,
    SnapshotError,
    StoreError,
    StoreFormat,
    StoreLocked,
    UsageError,
    WrongRollup,
)
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.reading import get_field, prove_state, read_header, read_value
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.maintenance.snapshot import SnapshotInfo, restore_snapshot, write_snapshot
from microrollup.maintenance.snapshot.file import MAGIC, SnapshotHead, SnapshotReader, SnapshotWriter
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.store.environment import hold_writer_lock
from microrollup.store.tables import iterate_log
from microrollup.verifier.source import StoreSource
from zoo import KINDS, zoo

TIP = 8
RECORDS_PER_BLOCK = 10
"""Opening, eight entries, and the record that closes it."""

KEPT_TABLES = {"state", "tree", "changes", "undo_tree", "undo_checkpoint", "meta", "leaves", "nodes"}
"""What a restored store holds in full; of the others it lacks what lies below its height."""


def add_blocks(chain: Chain, count: int, seed: int, actions: int = 8) -> None:
    """Blocks of random edits by four people."""
    chance = random.Random(seed)
    for _ in range(count):
        for _ in range(actions):
            steps = [(chance.choice(KINDS), chance.randrange(20), chance.randrange(1 << 32)) for _ in range(3)]
            chain.edit(*steps, name=chance.choice("abcd"))
        chain.advance()
        chain.close_block()


def settle(chain: Chain, first: int, last: int) -> None:
    """Settle blocks in one batch on the chain's L1."""
    blocks = chain.get_blocks(first)[: last - first + 1]
    batch = encode_batch(chain.ledger.rollup_id, blocks)
    parent = chain.ledger.get_block_hash(first - 1)
    attestation = create_attestation(parent, first, blocks[-1].header, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEY, attestation, 31337, chain.l1.get_inbox())
    chain.l1.settle(batch, blocks[-1].header, [signed], submitter=BUILDER)


class World:
    """A chain of `TIP` blocks with deleted keys in its tree, and its snapshots at every height."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root / "chain")
        add_blocks(self.chain, TIP, seed=1)
        settle(self.chain, 1, 3)
        settle(self.chain, 4, 5)
        self.root = root
        self.infos: list[SnapshotInfo] = []
        for height in range(TIP + 1):
            self.infos.append(write_snapshot(self.environment, zoo, self.path(height), height))

    @property
    def environment(self) -> Any:
        return self.chain.ledger.environment

    def path(self, height: int) -> Path:
        return self.root / f"{height}.snapshot"

    def restore(self, directory: Path, height: int = TIP, **options: Any) -> Ledger:
        options.setdefault("expected_block_hash", self.infos[height].block_hash)
        return restore_snapshot(self.path(height), directory, zoo, map_size=1 << 30, **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("snapshots"))
    yield world
    world.chain.close()


def differing_tables(one: Ledger, other: Ledger) -> set[str]:
    return {difference.table for difference in compare_stores(one.environment, other.environment)}


# --- writing ---------------------------------------------------------------------------------------------------------


def test_info_describes_the_file(world: World) -> None:
    """The id is blake3 of the file's bytes, and the rest is the header's."""
    for height, info in enumerate(world.infos):
        raw = world.path(height).read_bytes()
        header = read_header(world.environment.reader, world.environment, height)
        assert (blake3(raw).hexdigest(), len(raw)) == (info.id, info.file_bytes)
        assert (height, compute_block_hash(header), header.state_root) == (
            info.height,
            info.block_hash,
            info.state_root,
        )


def test_same_content_has_the_same_id(world: World, tmp_path: Path) -> None:
    """Who executed the blocks writes the same snapshot as who built them, and as who restored one."""
    with world.chain.make_verifier(tmp_path.name) as verifier:
        world.chain.verify(verifier)
        again = write_snapshot(verifier.environment, zoo, tmp_path / "again", 4)
    assert world.infos[4] == again
    with world.restore(tmp_path / "restored", 4) as restored:
        assert world.infos[4] == write_snapshot(restored.environment, zoo, tmp_path / "restored.snapshot")
    assert len({info.id for info in world.infos}) == TIP + 1


def test_progress_ends_with_everything(world: World, tmp_path: Path) -> None:
    """Progress goes up to keys and rows together, in writing and restoring."""
    written: list[tuple[int, int]] = []
    restored: list[tuple[int, int]] = []
    info = write_snapshot(
        world.environment, zoo, tmp_path / "file", on_progress=lambda done, total: written.append((done, total))
    )
    world.restore(tmp_path / "store", on_progress=lambda done, total: restored.append((done, total))).close()
    total = info.leaf_count - 1 + info.row_count
    assert [(total, total)] * 2 == [written[-1], restored[-1]]
    assert restored == sorted(restored)


def test_impossible_heights_are_refused(world: World, tmp_path: Path) -> None:
    """A height that never was has its error, and no file is left behind."""
    for height in (TIP + 1, -1):
        with pytest.raises(UsageError, match="no block"):
            write_snapshot(world.environment, zoo, tmp_path / "file", height)
    assert [] == list(tmp_path.iterdir())


def test_pruned_heights_are_refused(tmp_path: Path) -> None:
    """A height whose undo is gone is `NotRetained`; the one above it is not."""
    chain = Chain(tmp_path / "chain")
    chain.ledger.retention = replace(chain.ledger.retention, blocks=2, settled_seconds=0, unsettled_blocks=2)
    add_blocks(chain, 6, seed=2, actions=2)
    chain.ledger.sync_tree()
    chain.ledger.flushing.flush()
    add_blocks(chain, 1, seed=3, actions=2)
    with pytest.raises(NotRetained):
        write_snapshot(chain.ledger.environment, zoo, tmp_path / "file", 1)
    info = write_snapshot(chain.ledger.environment, zoo, tmp_path / "file", 6)
    restored = restore_snapshot(tmp_path / "file", tmp_path / "store", zoo, expected_block_hash=info.block_hash)
    assert info.state_root == restored.header.state_root
    restored.close()
    chain.close()


def test_a_failed_writing_leaves_the_old_file(world: World, tmp_path: Path) -> None:
    """A snapshot takes the place of another only once it is whole."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_snapshot(world.environment, zoo, path, on_progress=fail)
    assert ([path], b"old") == (list(tmp_path.iterdir()), path.read_bytes())


# --- restoring -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", range(TIP + 1))
def test_restored_stores_go_on(world: World, tmp_path: Path, height: int) -> None:
    """A store restored at any height has its roots, verifies what follows, and ends equal to the builder's."""
    restored = world.restore(tmp_path / "store", height)
    assert world.infos[height].state_root == restored.header.state_root
    assert world.infos[height].block_hash == restored.checkpoint.block_hash
    world.chain.verify(restored, l1=False)
    assert world.chain.ledger.checkpoint == restored.checkpoint
    assert set() == differing_tables(world.chain.ledger, restored) & KEPT_TABLES
    for later in range(height + 1, TIP + 1):
        assert world.chain.ledger.get_block(later) == restored.get_block(later)
    logs = []
    for ledger in (world.chain.ledger, restored):
        txn, tables = ledger.environment.reader, ledger.environment.tables
        logs.append(list(iterate_log(txn, tables, ledger.rollup_id, first=RECORDS_PER_BLOCK * height)))
    assert logs[0] == logs[1]
    assert (world.chain.ledger._length, world.chain.ledger._chain) == (restored._length, restored._chain)
    restored.close()


def test_restored_builders_go_on(world: World, tmp_path: Path) -> None:
    """A builder that lost its store takes actions, is rebuilt and opened again as if nothing had happened."""
    chain = Chain(tmp_path / "chain")
    add_blocks(chain, 4, seed=4)
    info = write_snapshot(chain.ledger.environment, zoo, tmp_path / "file")
    chain.sequencer.close()
    chain.ledger.close()
    twin = tmp_path / "twin"
    shutil.copytree(tmp_path / "chain" / "builder", twin)
    shutil.rmtree(tmp_path / "chain" / "builder")
    restore_snapshot(
        tmp_path / "file", tmp_path / "chain" / "builder", zoo, expected_block_hash=info.block_hash, map_size=1 << 30
    ).close()
    chain.reopen()
    add_blocks(chain, 3, seed=5)
    with Ledger.open(twin, zoo, map_size=1 << 30) as other:
        chain.verify(other, chain.get_blocks(5))
        assert chain.ledger.checkpoint == other.checkpoint
        assert set() == differing_tables(chain.ledger, other) & KEPT_TABLES
    before = chain.ledger.header
    chain.sequencer.rebuild(6)
    assert before == chain.ledger.header
    chain.reopen(abandon=True)
    assert before == chain.ledger.header
    with pytest.raises(NotRetained, match="restored at height 4"):
        chain.sequencer.rebuild(4)
    chain.close()


def test_snapshot_of_a_rebuilt_height(tmp_path: Path) -> None:
    """Where blocks were built again, the log goes on behind the last record that closes the height."""
    chain = Chain(tmp_path / "chain")
    add_blocks(chain, 4, seed=6)
    chain.sequencer.rebuild(2)
    length = chain.ledger._length
    info = write_snapshot(chain.ledger.environment, zoo, tmp_path / "file")
    restored = restore_snapshot(tmp_path / "file", tmp_path / "store", zoo, expected_block_hash=info.block_hash)
    assert (length, chain.ledger._chain) == (restored._length, restored._chain)
    add_blocks(chain, 1, seed=7)
    chain.verify(restored)
    assert (chain.ledger._length, chain.ledger._chain) == (restored._length, restored._chain)
    restored.close()
    chain.close()


def test_values_and_proofs_of_a_restored_store(world: World, tmp_path: Path) -> None:
    """Values, deleted keys and proofs are those of the builder, at the snapshot's height and behind it."""
    restored = world.restore(tmp_path / "store", 6)
    world.chain.verify(restored, l1=False)
    tickets, animals = get_field(zoo, "tickets"), get_field(zoo, "animals")
    ours, theirs = world.chain.ledger, restored
    for height in (6, 7, 8):
        for key in range(20):
            for field, encoded in ((tickets, key.to_bytes(32, "big")), (animals, b"animal %d" % key)):
                assert prove_state(ours.environment, ours.tree, field, encoded, height) == prove_state(
                    theirs.environment, theirs.tree, field, encoded, height
                )
    proofs = [prove_state(theirs.environment, theirs.tree, animals, b"animal %d" % key) for key in range(20)]
    assert {(True, True), (True, False)} <= {(proof.exists, bool(proof.value)) for proof in proofs}
    with pytest.raises(NotRetained, match="restored at height 6"):
        read_value(theirs.environment, tickets, bytes(32), 5)
    restored.close()


def test_what_a_restored_store_does_not_have(world: World, tmp_path: Path) -> None:
    """Whatever lies below the snapshot is `NotRetained`, in so many words; height 0 is known from the genesis."""
    restored = world.restore(tmp_path / "store", 6)
    environment, rollup_id = restored.environment, restored.rollup_id
    txn, tables = environment.reader, environment.tables
    asks: list[Callable[[], object]] = [
        lambda: restored.get_block(6),
        lambda: restored.get_block(3),
        lambda: restored.get_block_hash(3),
        lambda: read_header(txn, environment, 3),
        lambda: list(iterate_log(txn, tables, rollup_id)),
        lambda: list(iterate_log(txn, tables, rollup_id, 5)),
        lambda: restored.rebuild(6),
        lambda: write_snapshot(environment, zoo, tmp_path / "file", 5),
        lambda: replay_log(environment, zoo, tmp_path / "replayed", None),  # type: ignore[arg-type]
    ]
    for ask in asks:
        with pytest.raises(NotRetained, match="restored at height 6"):
            ask()
    assert None is restored.get_block(7)
    assert world.chain.ledger.get_block_hash(0) == restored.get_block_hash(0)
    assert [(0, encode_canonical(restored.genesis))] == list(iterate_log(txn, tables, rollup_id, 0, 1))
    restored.close()
    with StoreSource(tmp_path / "store") as source, pytest.raises(NotRetained):
        list(source.read_blocks(1))


# --- whom a snapshot is believed -------------------------------------------------------------------------------------


def test_expected_hash(world: World, tmp_path: Path) -> None:
    """A snapshot of another block than the expected one is refused, and leaves nothing."""
    with pytest.raises(SnapshotError, match="is of the block"):
        world.restore(tmp_path / "store", 4, expected_block_hash=world.infos[5].block_hash)
    assert [] == list(tmp_path.iterdir())


def test_l1_vouches_for_the_last_block_of_a_batch(world: World, tmp_path: Path) -> None:
    """With L1's view, settled batch ends and genesis restore without a hash, others only with one."""
    for height in (0, 3, 5):
        world.restore(tmp_path / f"{height}", height, expected_block_hash=None, l1=world.chain.l1).close()
    for height in (4, 8):
        with pytest.raises(SnapshotError, match="does not vouch"):
            world.restore(tmp_path / "store", height, expected_block_hash=None, l1=world.chain.l1)
        world.restore(tmp_path / f"{height}", height, l1=world.chain.l1).close()


def test_another_block_than_the_settled_one(world: World, tmp_path: Path) -> None:
    """A sealed header that L1 did not settle is refused, whatever hash is expected."""
    with SnapshotReader(world.path(3)) as reader:
        header = replace(reader.head.header, timestamp=reader.head.header.timestamp + 1)
        opened = replace(reader.head.open, timestamp=header.timestamp)
        path = rewrite(world.path(3), tmp_path / "file", header=header, open=opened, seal=seal(header))
    block_hash = compute_block_hash(header)
    restore_snapshot(path, tmp_path / "store", zoo, expected_block_hash=block_hash).close()
    with pytest.raises(SnapshotError, match="L1 settled the block"):
        restore_snapshot(path, tmp_path / "other", zoo, expected_block_hash=block_hash, l1=world.chain.l1)


def test_another_seal_or_rollup(world: World, tmp_path: Path) -> None:
    """A stranger's seal, another rollup's genesis and another app are refused."""
    with SnapshotReader(world.path(3)) as reader:
        head = reader.head
    forged = rewrite(world.path(3), tmp_path / "forged", seal=seal(head.header, make_key("stranger")))
    with pytest.raises(SnapshotError, match="seal"):
        restore_snapshot(forged, tmp_path / "store", zoo)
    domain = replace(head.genesis.domain, version="2")
    foreign = rewrite(world.path(3), tmp_path / "foreign", genesis=replace(head.genesis, domain=domain))
    with pytest.raises(WrongRollup):
        restore_snapshot(foreign, tmp_path / "store", zoo, l1=world.chain.l1)
    from apps.keystore import app

    with pytest.raises(WrongRollup, match="not of 'keystore'"):
        restore_snapshot(world.path(3), tmp_path / "store", app)


def test_directories(world: World, tmp_path: Path) -> None:
    """A store is never replaced, a writer never disturbed, and what else lies in a directory stays."""
    directory = tmp_path / "store"
    (directory / "signed").mkdir(parents=True)
    (directory / "signed" / "data.mdb").write_bytes(b"precious")
    with hold_writer_lock(directory), pytest.raises(StoreLocked):
        world.restore(directory)
    with pytest.raises(SnapshotError):
        world.restore(directory, 3, expected_block_hash=bytes(32))
    assert {"signed", "writer.lock"} == {path.name for path in directory.iterdir()}
    world.restore(directory).close()
    assert b"precious" == (directory / "signed" / "data.mdb").read_bytes()
    before = (directory / "data.mdb").read_bytes()
    with pytest.raises(StoreError, match="holds a store already"):
        world.restore(directory, 3)
    assert before == (directory / "data.mdb").read_bytes()
    with pytest.raises(SnapshotError, match="cannot be read"):
        restore_snapshot(tmp_path / "nothing", tmp_path / "other", zoo)
    assert not (tmp_path / "other").exists()


# --- lies and damage -------------------------------------------------------------------------------------------------


def rewrite(
    source: Path,
    target: Path,
    change: Callable[[bytearray, list[tuple[bytes, bytes]]], object] = lambda _keys, _rows: None,
    **head: Any,
) -> Path:
    """A snapshot with other keys, rows or members of its head, and the digest that goes with them."""
    with SnapshotReader(source) as reader:
        keys = bytearray(b"".join(reader.read_keys()))
        rows = [row for part in reader.read_rows() for row in part]
        changed = replace(reader.head, **head)
    change(keys, rows)
    with SnapshotWriter(target, changed) as writer:
        writer.write_keys(memoryview(keys))
        for row in rows:
            writer.write_row(*row)
        writer.finish()
    return target


def find_row(rows: list[tuple[bytes, bytes]], prefix: int) -> int:
    """The place of the first row of a field."""
    return next(place for place, (key, _) in enumerate(rows) if key[:2] == prefix.to_bytes(2, "big"))


def change_row(prefix: int, key: bytes | None = None, value: bytes | None = None, extra: bytes = b"") -> Any:
    def change(_keys: bytearray, rows: list[tuple[bytes, bytes]]) -> None:
        place = find_row(rows, prefix)
        rows[place] = (key or rows[place][0]) + extra, value or rows[place][1]

    return change


def swap_leaves(keys: bytearray, _rows: list[tuple[bytes, bytes]]) -> None:
    keys[:64] = keys[32:64] + keys[:32]


def repeat_leaf(keys: bytearray, _rows: list[tuple[bytes, bytes]]) -> None:
    keys[32:64] = keys[:32]


def replace_leaf(keys: bytearray, _rows: list[tuple[bytes, bytes]]) -> None:
    keys[-32:] = bytes(31) + b"\1"


def unsort_rows(_keys: bytearray, rows: list[tuple[bytes, bytes]]) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def drop_row(prefix: int) -> Any:
    return lambda _keys, rows: rows.pop(find_row(rows, prefix))


TICKET, NOTE, MOTTO, NONCE = 1, 0x8000, 0x8001, 0xFFFF
LIES: dict[str, tuple[Any, str]] = {
    "a settled value": (change_row(TICKET, value=b"\x01"), "state_root"),
    "a settled value, not canonical": (change_row(TICKET, value=b"\xcc\x01"), "canonical"),
    "a settled value of the wrong type": (change_row(TICKET, value=b"\xa1a"), "tickets"),
    "a settled key": (change_row(TICKET, key=b"\x00\x01" + bytes(32)), "no leaf"),
    "a settled key out of range": (change_row(TICKET, extra=b"\x01"), "tickets"),
    "a metadata value": (change_row(NOTE, value=b"\xc4\x01x"), "metadata_root"),
    "a metadata key": (change_row(NOTE, extra=b"0"), "metadata_root"),
    "a scalar's key": (change_row(MOTTO, extra=b"0"), "canonical"),
    "a nonce": (change_row(NONCE, value=bytes(7) + b"\x63"), "metadata_root"),
    "a nonce of zero": (change_row(NONCE, value=bytes(8)), "nonces"),
    "a short nonce": (change_row(NONCE, value=bytes(6) + b"\1"), "nonces"),
    "an unknown field": (change_row(NOTE, key=b"\x7f\x00x"), "no field"),
    "rows out of order": (unsort_rows, "ascending"),
    "leaves in another order": (swap_leaves, "state_root"),
    "a leaf twice": (repeat_leaf, "twice"),
    "a leaf of another key": (replace_leaf, "state_root"),
    "a leaf less": (lambda keys, _: keys.__delitem__(slice(0, 32)), "snapshot"),
    "a leaf more": (lambda keys, _: keys.extend(b"\7" * 32), "snapshot"),
    "a settled row less": (drop_row(TICKET), "snapshot"),
    "a nonce less": (drop_row(NONCE), "snapshot"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_content_is_refused(world: World, tmp_path: Path, lie: str) -> None:
    """Content that the header does not commit to is refused although its digest is right, and leaves nothing."""
    change, reason = LIES[lie]
    path = rewrite(world.path(TIP), tmp_path / "file", change)
    with pytest.raises((SnapshotError, DecodeError), match=reason):
        restore_snapshot(path, tmp_path / "store", zoo)
    assert [path] == list(tmp_path.iterdir())


def drop_consistently(prefix: int) -> Callable[[SnapshotHead], dict[str, Any]]:
    """The head's sizes without one row of a field."""
    place = {TICKET: 1, NOTE: 3, NONCE: 6}[prefix]

    def change(head: SnapshotHead) -> dict[str, Any]:
        sizes = list(head.sizes)
        sizes[place] -= 1
        return {"sizes": tuple(sizes)}

    return change


@pytest.mark.parametrize(
    ("prefix", "root"), [(TICKET, "state_root"), (NOTE, "metadata_root"), (NONCE, "metadata_root")]
)
def test_missing_rows_are_refused(world: World, tmp_path: Path, prefix: int, root: str) -> None:
    """A row that is left out is missed by its root even if the sizes go along."""
    with SnapshotReader(world.path(TIP)) as reader:
        changes = drop_consistently(prefix)(reader.head)
    path = rewrite(world.path(TIP), tmp_path / "file", drop_row(prefix), **changes)
    with pytest.raises(SnapshotError, match=root):
        restore_snapshot(path, tmp_path / "store", zoo)


def test_every_member_of_the_head_is_checked(world: World, tmp_path: Path) -> None:
    """Walks the head by reflection: another value of a member is refused, or (chain, record number) changes no root."""
    with SnapshotReader(world.path(TIP)) as reader:
        head = reader.head
    header = replace(head.header, state_root=bytes(32))
    lies: dict[str, list[Any]] = {
        "genesis": [replace(head.genesis, quorum=2), replace(head.genesis, format=GENESIS_FORMAT + 1)],
        "header": [replace(head.header, height=TIP + 1), header],
        "open": [replace(head.open, timestamp=1)],
        "seal": [None, replace(head.seal, signature=bytes(65)), seal(header)],
        "leaf_count": [0, 1, head.leaf_count - 1, head.leaf_count + 1, 1 << 40],
        "sizes": [(), head.sizes[:-1], (*head.sizes[:-1], 0), (2**64 - 1, *head.sizes[1:])],
        "last_record": [0, head.last_record - 1, 1 << 60, 2**64 - 1],
        "chain": [],
    }
    assert set(SnapshotHead.__struct_fields__) == set(lies)
    for name, values in lies.items():
        for value in values:
            path = rewrite_head(world.path(TIP), tmp_path / "file", **{name: value})
            with pytest.raises((SnapshotError, DecodeError, StoreFormat)):
                restore_snapshot(path, tmp_path / "store", zoo)
    for change in ({"chain": bytes(32)}, {"last_record": head.last_record + 7}):
        path = rewrite_head(world.path(TIP), tmp_path / "file", **change)
        with restore_snapshot(path, tmp_path / f"store {[*change]}", zoo) as restored:
            assert head.header == restored.header


def rewrite_head(source: Path, target: Path, **head: Any) -> Path:
    """A snapshot with another head, whatever its counts say, and the digest that goes with it."""
    raw = source.read_bytes()
    size = int.from_bytes(raw[len(MAGIC) : len(MAGIC) + 4], "big")
    with SnapshotReader(source) as reader:
        changed = encode_canonical(replace(reader.head, **head))
    body = len(changed).to_bytes(4, "big") + changed + raw[len(MAGIC) + 4 + size : -38]
    target.write_bytes(close_file(MAGIC + body))
    return target


def close_file(content: bytes) -> bytes:
    """The file of a content, with its digest."""
    frame = encode_canonical(blake3(content).digest())
    return content + len(frame).to_bytes(4, "big") + frame


def test_damaged_files_are_refused(world: World, tmp_path: Path) -> None:
    """Any flipped bit, cut or appended byte is noticed before anything is believed."""
    chance = random.Random(8)
    raw, path = world.path(TIP).read_bytes(), tmp_path / "file"
    damaged = [raw[:size] for size in (0, 5, len(MAGIC), 100, len(raw) - 1)] + [raw + b"\0", raw + raw]
    for _ in range(150):
        copy = bytearray(raw)
        copy[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(copy))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(SnapshotError, match=r"not a microrollup snapshot|damaged or cut off"):
            SnapshotReader(path)


def test_hostile_files_give_typed_errors_only(world: World, tmp_path: Path) -> None:
    """Mutations with a right digest end in one of our own errors, or touch nothing that a header commits to."""
    chance = random.Random(9)
    raw, path = world.path(5).read_bytes()[:-38], tmp_path / "file"
    survivors = 0
    for number in range(250):
        content = bytearray(raw)
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.randrange(len(MAGIC), len(content))
            match chance.randrange(4):
                case 0 | 1:
                    content[place] ^= 1 << chance.randrange(8)
                case 2:
                    content[place : place + chance.randrange(1, 40)] = chance.randbytes(chance.randrange(40))
                case _:
                    del content[place:]
            if len(content) <= len(MAGIC):
                break
        path.write_bytes(close_file(bytes(content)))
        try:
            restored = restore_snapshot(path, tmp_path / f"{number}", zoo, l1=world.chain.l1)
        except MicrorollupError:
            assert not (tmp_path / f"{number}").exists()
            continue
        survivors += 1
        assert world.infos[5].block_hash == restored.checkpoint.block_hash
        world.chain.verify(restored, l1=False)
        assert world.chain.ledger.checkpoint == restored.checkpoint
        restored.close()
    assert survivors < 20


def test_frames_are_bounded(world: World, tmp_path: Path) -> None:
    """A frame of very many rows is refused before it is decoded; one large row goes through."""
    with SnapshotReader(world.path(TIP)) as reader:
        head = reader.head
    rows = [(b"\x80\x00%06d" % number, b"\xc4\x00") for number in range(60_000)]
    frame, opening = encode_canonical(rows), encode_canonical(replace(head, leaf_count=1))
    content = MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in (opening, frame))
    (tmp_path / "many").write_bytes(close_file(content))
    with SnapshotReader(tmp_path / "many") as reader, pytest.raises(DecodeError, match="several rows"):
        list(reader.read_rows())
    large = [(b"\x80\x00a", bytes(10)), (b"\x80\x00b", bytes(3 << 20)), (b"\x80\x00c", bytes(10))]
    with SnapshotWriter(tmp_path / "large", replace(head, leaf_count=1, sizes=(3,))) as writer:
        for row in large:
            writer.write_row(*row)
        writer.finish()
    with SnapshotReader(tmp_path / "large") as reader:
        assert large == [row for part in reader.read_rows() for row in part]


def test_other_genesis_than_the_apps(tmp_path: Path) -> None:
    """Height 0 restores to the store that `create` makes."""
    chain = Chain(tmp_path / "chain")
    write_snapshot(chain.ledger.environment, zoo, tmp_path / "file")
    with restore_snapshot(tmp_path / "file", tmp_path / "store", zoo, l1=chain.l1) as restored:
        assert [] == compare_stores(chain.ledger.environment, restored.environment)
        assert make_test_genesis(zoo) == restored.genesis
    chain.close()
