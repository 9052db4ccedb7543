"""Scrub: a sound store gives no damage, and nothing that is damaged goes unnamed."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pytest
from msgspec.structs import replace

import microrollup
from kernel_fixtures import Chain
from microrollup.chain.record import Rebuild, encode_record
from microrollup.crypto.merkle.levels import compute_node_rows
from microrollup.errors import MicrorollupError, StoreMissing, UsageError, WrongRollup
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.recovery import finish_rewinding
from microrollup.maintenance.replay import compare_stores
from microrollup.maintenance.scrub import Damage, ScrubReport, launch, scrub_store
from microrollup.maintenance.scrub.pages import _find_meta
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.store.environment import TABLES, Environment, encode_number
from microrollup.store.row_check import pack_row
from microrollup.store.tables import decode_block_row, decode_checkpoint, encode_row, get_checkpoint
from paths import SUPPORT
from zoo import KINDS, zoo

APP = "zoo:zoo"
FILES = ("data.mdb", "leaves", "nodes")
BLOCKS = 8
FLIPS = 60


def add_blocks(chain: Chain, count: int, seed: int, keys: int = 40) -> None:
    """Blocks of random edits."""
    chance = random.Random(seed)
    for _ in range(count):
        for _ in range(12):
            steps = [(chance.choice(KINDS), chance.randrange(keys), chance.randrange(1 << 32)) for _ in range(3)]
            chain.edit(*steps, name=chance.choice("abcdef"))
        chain.advance()
        chain.close_block()


def copy_store(source: Path, target: Path) -> Path:
    """The files that make a store."""
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(source / name, target / name)
    return target


def scrub_many(directories: list[Path]) -> list[ScrubReport]:
    """Reports of many stores from one process with everything imported."""
    path = [str(Path(microrollup.__file__).parents[1]), str(SUPPORT)]
    outcome = subprocess.run(
        [sys.executable, str(SUPPORT / "scrub_many.py"), APP, *map(str, directories)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        check=True,
    )
    return [msgspec.json.decode(line, type=ScrubReport) for line in outcome.stdout.splitlines()]


def hash_files(directory: Path) -> dict[str, str]:
    """What a store's files hold."""
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in FILES}


def places(report: ScrubReport) -> list[str]:
    return [damage.where for damage in report.damages]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of eight blocks, with entries of a ninth in its log."""
    root = tmp_path_factory.mktemp("scrub")
    chain = Chain(root / "chain")
    add_blocks(chain, BLOCKS, seed=1)
    chain.ledger.note_settled(2, 1_800_000_000)
    chain.ledger.note_settled(4, 1_800_000_100)
    chain.edit(("count", 1, 1))
    chain.sequencer.close()
    chain.ledger.close()
    chain.l1.close()
    return copy_store(root / "chain" / "builder", root / "store")


# --- sound stores ----------------------------------------------------------------------------------------------------


def test_a_sound_store_has_no_damage(store: Path) -> None:
    """Every table and file is counted, nothing is found, and nothing is changed."""
    before = hash_files(store)
    seen: dict[str, tuple[int, int]] = {}
    report = scrub_store(store, APP, lambda table, done, total: seen.update({table: (done, total)}))
    assert ([], [], False) == (report.damages, report.unchecked, report.writer_active)
    assert {*TABLES, "leaves", "nodes", "pages"} == set(report.checked)
    assert min(report.checked.values()) > 0
    assert all(done == total for done, total in seen.values())
    assert {"log", "state", "nodes", "undo_tree"} <= set(seen)
    assert before == hash_files(store)


def make_sound_stores(root: Path) -> Iterator[Path]:
    """Stores in every state that they may be found in."""
    chain = Chain(root / "chain")
    builder = root / "chain" / "builder"
    yield copy_store(builder, root / "genesis")
    chain.ledger.retention = replace(chain.ledger.retention, blocks=2, unsettled_blocks=5)
    add_blocks(chain, 3, seed=2)
    chain.ledger.sync_tree()
    add_blocks(chain, 1, seed=3)
    old = {name: (builder / name).read_bytes() for name in ("leaves", "nodes")}
    add_blocks(chain, 5, seed=4, keys=300)
    chain.edit(("count", 1, 1))
    yield copy_store(builder, root / "open")
    torn = copy_store(builder, root / "torn")
    chance = random.Random(5)
    for name, raw in old.items():
        with (torn / name).open("r+b") as file:
            for page in range(0, len(raw), 512):
                if chance.random() < 0.5:
                    file.seek(page)
                    file.write(raw[page : page + 512])
    yield torn
    for height in (6, chain.ledger.checkpoint.height):
        info = write_snapshot(chain.ledger.environment, zoo, root / "snapshot", height)
        restored = root / f"restored {height}"
        ledger = restore_snapshot(root / "snapshot", restored, zoo, expected_block_hash=info.block_hash)
        chain.verify(ledger)
        ledger.close()
        yield restored
    chain.close_block()
    chain.sequencer.rebuild(7)
    yield copy_store(builder, root / "rebuilt")
    chain.sequencer.close()
    chain.ledger.sync_tree()
    tip = chain.ledger.checkpoint.height
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microrollup.ledger.recovery.finish_rewinding", _crash)
        with pytest.raises(KeyboardInterrupt):
            chain.ledger.rebuild(7)
    yield copy_store(builder, root / "not rewound")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain.ledger.environment, "write", _crash)
        with pytest.raises(KeyboardInterrupt):
            finish_rewinding(chain.ledger.environment, chain.ledger.tree, 6, tip)
    yield copy_store(builder, root / "rewound in the files only")
    chain.close()


def _crash(*_: object) -> Any:
    raise KeyboardInterrupt


def test_no_false_alarms(tmp_path: Path) -> None:
    """Fresh, open, torn by a crash, pruned, restored, rebuilt and half rewound stores have no damage."""
    directories = list(make_sound_stores(tmp_path))
    before = [hash_files(directory) for directory in directories]
    for directory, report in zip(directories, scrub_many(directories), strict=True):
        assert ([], []) == (report.damages, report.unchecked), directory.name
    assert before == [hash_files(directory) for directory in directories]
    for directory in directories:
        with Ledger.open(directory, zoo, map_size=1 << 30):
            pass


def test_active_writers_are_reported(store: Path, tmp_path: Path) -> None:
    """A scrub beside a writer says that there is one, and takes nothing from it."""
    copy = copy_store(store, tmp_path / "store")
    with Ledger.open(copy, zoo, map_size=1 << 30):
        report = scrub_store(copy, APP)
    assert ([], [], True) == (report.damages, report.unchecked, report.writer_active)
    assert not scrub_many([copy])[0].writer_active


def test_users_errors(store: Path, tmp_path: Path) -> None:
    """No store, no such app, another app: each has its error, and is no damage."""
    with pytest.raises(StoreMissing):
        scrub_store(tmp_path, APP)
    with pytest.raises(UsageError, match="no module"):
        scrub_store(store, "nothing_of_that_name")
    with pytest.raises(WrongRollup, match="'zoo'"):
        scrub_store(store, "apps.keystore")


def test_processes_that_fail_to_begin(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that ends the process, or never returns, is not taken for damage."""
    (tmp_path / "quitter.py").write_text("import os\nos._exit(3)\n")
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for app, reason, silence in (("quitter", "exit code 3", 60), ("sleeper", "nothing was heard", 1)):
        monkeypatch.setattr(launch, "_SILENCE_SECONDS", silence)
        with pytest.raises(MicrorollupError, match=reason):
            scrub_store(store, app)


# --- damage ----------------------------------------------------------------------------------------------------------


def test_single_bits(store: Path, tmp_path: Path) -> None:
    """A flipped bit anywhere in the three files is named, or provably changes nothing that the store holds."""
    chance = random.Random(6)
    with Environment(store, read_only=True) as original:
        leaf_count = get_checkpoint(original.reader, original.tables).leaf_count
    sizes = {
        "data.mdb": (store / "data.mdb").stat().st_size,
        "leaves": 99 * leaf_count,
        "nodes": 32 * compute_node_rows(leaf_count),
    }
    flips = []
    for number in range(FLIPS):
        name = chance.choice(["data.mdb"] * 4 + ["leaves", "nodes"])
        copy = copy_store(store, tmp_path / f"{number}")
        position, bit = chance.randrange(sizes[name]), chance.randrange(8)
        flip_bit(copy / name, position, bit)
        flips.append((name, position, bit))
    directories = [tmp_path / f"{number}" for number in range(FLIPS)]
    named = 0
    for flip, directory, report in zip(flips, directories, scrub_many(directories), strict=True):
        if report.damages:
            named += 1
            assert all(damage.reason and damage.repair for damage in report.damages)
            continue
        assert [] == report.unchecked
        with Environment(store, read_only=True) as one, Environment(directory, read_only=True) as other:
            assert [] == compare_stores(one, other), flip
    assert named > FLIPS // 4


def flip_bit(path: Path, position: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes((byte ^ 1 << bit,)))


def test_every_bit_of_a_leaf_and_a_node(store: Path, tmp_path: Path) -> None:
    """Damage in the flat files is named by leaf, or by level and index."""
    copies = []
    for number, (name, size) in enumerate([("leaves", 99), ("nodes", 32)] * 12):
        copies.append(copy_store(store, tmp_path / f"{number}"))
        flip_bit(copies[-1] / name, (number % 5) * size * (1 + (name == "nodes")) + number % size, number % 8)
    for number, report in enumerate(scrub_many(copies)):
        name = "leaves" if number % 2 == 0 else "nodes"
        expected = f"leaves/{number % 5}" if name == "leaves" else f"nodes/level 0, index {number % 5}"
        assert expected in places(report)
        assert {name} | {"leaves", "state"} >= {place.partition("/")[0] for place in places(report)}


def test_truncation(store: Path, tmp_path: Path) -> None:
    """Files that are cut off or gone are named; reading them may end the process, which is told as well."""
    size = (store / "data.mdb").stat().st_size
    cuts = [("data.mdb", cut) for cut in (0, 100, 4096, size // 8, size // 2, 3 * size // 4, size - 4096 * 4)]
    cuts += [("leaves", cut) for cut in (0, 99, 990)] + [("nodes", cut) for cut in (0, 32, 990)]
    copies = []
    for name, cut in cuts:
        copies.append(copy_store(store, tmp_path / f"{name} {cut}"))
        os.truncate(copies[-1] / name, cut)
    copies.append(copy_store(store, tmp_path / "gone"))
    (copies[-1] / "leaves").unlink()
    reports = scrub_many(copies)
    for (name, cut), report in zip([*cuts, ("leaves", -1)], reports, strict=True):
        assert report.damages, (name, cut)
        if name != "data.mdb":
            assert name in {place.partition("/")[0] for place in places(report)}, (name, cut)
    ended = [damage for report in reports for damage in report.damages if "SIGBUS" in damage.reason]
    assert ended
    assert any("SIGBUS" in damage.reason for damage in scrub_store(copies[4], APP).damages)


def test_the_list_of_free_pages(store: Path, tmp_path: Path) -> None:
    """A page in use that the list calls free is named: the next commit would have overwritten it."""
    copy = copy_store(store, tmp_path / "store")
    with Environment(copy, read_only=True) as environment, (copy / "data.mdb").open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            meta = _find_meta(data, environment.reader.id())
            assert meta is not None
            page = meta.free.root * meta.page_bytes
            (node,) = struct.unpack_from("<H", data, page + 16)
            value = page + node + 8 + 8
            assert struct.unpack_from("<Q", data, value)[0] > 0
        file.seek(value + 8)
        file.write(struct.pack("<Q", meta.main.root))
    (report,) = scrub_many([copy])
    assert [f"data.mdb/page {meta.free.root}"] == places(report)
    assert "something else already" in report.damages[0].reason


def change(table: str, key: bytes, alter: Callable[[bytes], bytes | None]) -> Callable[[lmdb.Environment], None]:
    """Replace a row's value, or strike it."""

    def apply(environment: lmdb.Environment) -> None:
        database = environment.open_db(table.encode())
        with environment.begin(write=True, db=database) as txn:
            old = txn.get(key)
            assert old is not None
            new = alter(bytes(old))
            if new is None:
                txn.delete(key)
            else:
                txn.put(key, new)

    return apply


def add(table: str, key: bytes, value: bytes) -> Callable[[lmdb.Environment], None]:
    """Add a row that does not belong."""

    def apply(environment: lmdb.Environment) -> None:
        with environment.begin(write=True, db=environment.open_db(table.encode())) as txn:
            assert txn.put(key, value, overwrite=False)

    return apply


def first_of(table: str, alter: Callable[[bytes], bytes | None], prefix: bytes = b"") -> Callable[..., None]:
    """Change the first row of a table whose key begins so."""

    def apply(environment: lmdb.Environment) -> None:
        with environment.begin(db=environment.open_db(table.encode())) as txn:
            cursor = txn.cursor()
            assert cursor.set_range(prefix)
            key = bytes(cursor.key())
        change(table, key, alter)(environment)

    return apply


def first_packed(prefix: bytes, value: bytes) -> Callable[..., None]:
    """Give the first metadata row or nonce another value, with the check that belongs to it."""

    def apply(environment: lmdb.Environment) -> None:
        with environment.begin(db=environment.open_db(b"state")) as txn:
            cursor = txn.cursor()
            assert cursor.set_range(prefix)
            key = bytes(cursor.key())
        change("state", key, lambda _: pack_row(key, value))(environment)

    return apply


def strike(_: bytes) -> None:
    return None


def flip_last(raw: bytes) -> bytes:
    return raw[:-1] + bytes((raw[-1] ^ 1,))


def change_checkpoint(**members: Any) -> Callable[[bytes], bytes]:
    return lambda raw: encode_row(replace(decode_checkpoint(raw), **members))


def change_block(**members: Any) -> Callable[[bytes], bytes]:
    return lambda raw: encode_row(replace(decode_block_row(raw), **members))


def change_seal(raw: bytes) -> bytes:
    row = decode_block_row(raw)
    assert row.seal is not None
    return encode_row(replace(row, seal=replace(row.seal, info="other")))


def change_header(raw: bytes) -> bytes:
    row = decode_block_row(raw)
    return encode_row(replace(row, header=replace(row.header, receipts_root=bytes(32))))


THREE = encode_number(3)
CHANGES: dict[str, tuple[Callable[..., None], str]] = {
    "a record's byte": (change("log", encode_number(20), flip_last), "log/20"),
    "a record less": (change("log", encode_number(20), strike), "log/20"),
    "the genesis record": (change("log", encode_number(0), flip_last), "log/0"),
    "the last record less": (first_of("log", strike, encode_number(14 * BLOCKS)), "log/112"),
    "an opening": (change("openings", THREE, flip_last), "openings/3"),
    "an opening less": (change("openings", THREE, strike), "openings/3"),
    "an opening more": (add("openings", encode_number(99), encode_number(1)), "openings/99"),
    "a block less": (change("blocks", THREE, strike), "blocks/3"),
    "a block more": (add("blocks", encode_number(99), b"\x90"), "blocks/9"),
    "a header's member": (change("blocks", THREE, change_header), "blocks/4"),
    "a seal's text": (change("blocks", THREE, change_seal), "blocks/3"),
    "a block's first record": (change("blocks", THREE, change_block(first_record=1)), "blocks/3"),
    "a receipt": (change("receipts", encode_number(17), flip_last), "receipts/17|receipts/12"),
    "a receipt less": (change("receipts", encode_number(17), strike), "receipts/17"),
    "a receipt more": (add("receipts", encode_number(9999), b"\x90"), "receipts/9999"),
    "an index entry": (first_of("index", flip_last), "index/0x"),
    "an index entry less": (first_of("index", strike), "index/0x"),
    "an index entry more": (add("index", bytes(32), bytes(16)), "index/0x"),
    "a settled row": (first_of("state", flip_last, b"\x00\x01"), "state/0x0001"),
    "a settled row less": (first_of("state", strike, b"\x00\x01"), "state/leaf"),
    "a settled row more": (add("state", b"\x00\x01" + bytes(32), b"\x01"), "state/0x0001"),
    "a metadata row": (first_packed(b"\x80\x00", b"\xc4\x01x"), "state/metadata"),
    "a metadata row, not canonical": (first_packed(b"\x80\x00", b"\xc5\x00\x01x"), "state/0x8000"),
    "a metadata row's check": (first_of("state", flip_last, b"\x80\x00"), "state/0x8000"),
    "a nonce": (first_packed(b"\xff\xff", (99).to_bytes(8, "big")), "state/metadata"),
    "a nonce's check": (first_of("state", flip_last, b"\xff\xff"), "state/0xffff"),
    "a row of no field": (add("state", b"\x12\x34", b"\x01"), "state/0x1234"),
    "a tree key's leaf": (first_of("tree", flip_last), "tree/0x"),
    "a tree key less": (first_of("tree", strike), "tree/leaf"),
    "a tree key more": (add("tree", bytes(32), bytes(4)), "tree/0x"),
    "old rows": (change("changes", THREE, flip_last), "changes/3"),
    "old rows less": (change("changes", THREE, strike), "changes/3"),
    "an old tree's header": (change("undo_tree", THREE, lambda raw: b"\3" + raw[1:]), "undo_tree/3"),
    "an old node": (change("undo_tree", THREE, flip_last), "undo_tree/3"),
    "an old tree less": (change("undo_tree", THREE, strike), "undo_tree/3"),
    "an old checkpoint": (change("undo_checkpoint", THREE, change_checkpoint(next_seq=1)), "undo_checkpoint/3"),
    "old sizes": (change("undo_checkpoint", THREE, change_checkpoint(sizes=(1,) * 7)), "undo_checkpoint/3"),
    "an old checkpoint less": (change("undo_checkpoint", THREE, strike), "undo_checkpoint/3"),
    "a settled height that is none": (add("settled", encode_number(99), bytes(8)), "settled/99"),
    "the checkpoint's height": (change("meta", b"checkpoint", change_checkpoint(height=7)), "meta/checkpoint"),
    "the checkpoint's hash": (change("meta", b"checkpoint", change_checkpoint(block_hash=bytes(32))), "blocks/8"),
    "the checkpoint's sizes": (change("meta", b"checkpoint", change_checkpoint(sizes=(0,) * 7)), "meta/checkpoint"),
    "the checkpoint's lanes": (change("meta", b"checkpoint", change_checkpoint(lanes=bytes(2048))), "meta/checkpoint"),
    "no checkpoint": (change("meta", b"checkpoint", strike), "meta/checkpoint"),
    "the base": (change("meta", b"base", flip_last), "meta/base"),
    "the format": (change("meta", b"format", lambda _: bytes(8)), "data.mdb"),
    "the height of the files": (change("meta", b"tree_synced", lambda _: encode_number(99)), "meta/tree_synced"),
    "a rebuild that was not": (
        add("meta", b"rebuild", encode_record(Rebuild(3))),
        "meta/rebuild",
    ),
    "an unknown key": (add("meta", b"checkpoinu", b""), "meta/checkpoinu"),
}


def test_every_kind_of_row(store: Path, tmp_path: Path) -> None:
    """Rows that were altered, struck or added behind the writer's back are named by table and key."""
    copies = []
    for number, (apply, _) in enumerate(CHANGES.values()):
        copies.append(copy_store(store, tmp_path / f"{number}"))
        environment = lmdb.open(str(copies[-1]), map_size=1 << 30, max_dbs=20)
        apply(environment)
        environment.close()
    missed = {}
    for (name, (_, expected)), report in zip(CHANGES.items(), scrub_many(copies), strict=True):
        wanted = expected.split("|")
        if not any(place.startswith(prefix) for place in places(report) for prefix in wanted):
            missed[name] = report.damages
    assert {} == missed


def test_repairs_are_named(store: Path, tmp_path: Path) -> None:
    """Derived tables are rebuilt from the log; the log itself, and all of a restored store, only with others' help."""
    info_path = tmp_path / "snapshot"
    with Environment(store, read_only=True) as environment:
        info = write_snapshot(environment, zoo, info_path)
    restored = tmp_path / "restored"
    restore_snapshot(info_path, restored, zoo, expected_block_hash=info.block_hash).close()
    sources = (store, store, restored)
    copies = [copy_store(source, tmp_path / f"{number}") for number, source in enumerate(sources)]
    for copy, apply in zip(
        copies,
        (
            change("log", encode_number(20), flip_last),
            first_of("state", flip_last, b"\xff\xff"),
            first_of("state", flip_last, b"\xff\xff"),
        ),
        strict=True,
    ):
        environment = lmdb.open(str(copy), map_size=1 << 30, max_dbs=20)
        apply(environment)
        environment.close()
    repairs = [report.damages[0].repair for report in scrub_many(copies)]
    assert ["peer" in repair for repair in repairs] == [True, False, True]
    assert "replay" in repairs[1]
    assert isinstance(scrub_many(copies[:1])[0].damages[0], Damage)
