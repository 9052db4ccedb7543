"""The check of stored rows: every flipped bit of value, check or key is noticed, and so is a row that is not found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3

from microrollup.errors import DecodeError
from microrollup.store.environment import Environment
from microrollup.store.row_check import check_absent, check_put, find_row, pack_row, unpack_row

KEY = b"\x80\x01key"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with Environment(tmp_path, create=True, map_size=1 << 24) as made:
        yield made


def test_rows_carry_a_check() -> None:
    """Eight bytes of BLAKE3 over key and value."""
    assert b"value" + blake3(KEY + b"value").digest(8) == pack_row(KEY, b"value")
    assert b"value" == unpack_row(KEY, pack_row(KEY, b"value"))
    assert b"" == unpack_row(KEY, pack_row(KEY, b""))


def test_damage_is_noticed() -> None:
    """Any flipped bit of the stored value, another key, or bytes that are missing."""
    stored = pack_row(KEY, b"value")
    for bit in range(8 * len(stored)):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError):
            unpack_row(KEY, bytes(damaged))
    for other in (b"", stored[:7], stored[:-1], stored + b"\0"):
        with pytest.raises(DecodeError):
            unpack_row(KEY, other)
    with pytest.raises(DecodeError):
        unpack_row(KEY + b"\0", stored)


def test_rows_are_found_or_absent(environment: Environment) -> None:
    """In tables of no, one and many pages: rows are found, and what lies before, between and after them is absent."""
    rng, table = Random(1), environment.tables["state"]
    keys: list[bytes] = []
    for count in (0, 1, 2, 2_000):
        keys += [rng.randbytes(8) for _ in range(count)]
        with environment.write() as txn:
            for key in keys:
                txn.put(key, pack_row(key, key[:3]), db=table)
        cursor = environment.cursor("state")
        assert [key[:3] for key in keys] == [find_row(cursor, key) for key in keys]
        for key in (b"\0", b"\xff" * 9, *[rng.randbytes(8) for _ in range(200)]):
            assert find_row(cursor, key) is None


def test_a_row_with_a_damaged_key_is_not_absent(environment: Environment) -> None:
    """Wherever a lost key would stand, a damaged row stands instead, and a look-up meets it."""
    rng, table = Random(2), environment.tables["state"]
    keys = sorted(rng.randbytes(4) for _ in range(50))
    with environment.write() as txn:
        for key in keys:
            txn.put(key, pack_row(key, b"value"), db=table)
        stored = txn.pop(keys[20], db=table)
        assert stored is not None
        txn.put(keys[20][:3] + bytes((keys[20][3] ^ 1,)), stored, db=table)
    cursor = environment.cursor("state")
    with pytest.raises(DecodeError, match="does not have the value"):
        check_absent(cursor, keys[20])
    check_absent(cursor, keys[30] + b"\0")


def test_no_row_is_put_on_the_wrong_side_of_a_damaged_key(tmp_path: Path) -> None:
    """Bits of keys are flipped in the file of a table that grows: rows are found, or something was noticed."""
    noticed = 0
    for seed in range(24):
        directory, rng = tmp_path / str(seed), Random(seed)
        directory.mkdir()
        with Environment(directory, create=True, map_size=1 << 22) as environment:
            keys = sorted(rng.randbytes(32) for _ in range(400))
            put(environment, keys)
            raw, lost = (directory / "data.mdb").read_bytes(), rng.choice(keys)
            place = 8 * raw.rindex(lost) + rng.randrange(64)
            flip(directory / "data.mdb", place)
            try:
                for _ in range(6):
                    added = sorted(rng.randbytes(32) for _ in range(40))
                    put(environment, added)
                    check_put(environment.cursor("index"), added)
                    keys += added
                cursor = environment.cursor("index")
                assert all(find_row(cursor, key) is not None for key in keys)
            except DecodeError:
                noticed += 1
    assert 12 < noticed  # the others were flipped where a page had been split and nothing is read


def put(environment: Environment, keys: list[bytes]) -> None:
    """Rows with their checks, in order."""
    with environment.write() as txn:
        txn.cursor(environment.tables["index"]).putmulti([(key, pack_row(key, b"place")) for key in keys])


def flip(path: Path, bit: int) -> None:
    """One bit of a file that is in use."""
    with path.open("r+b", buffering=0) as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes((byte ^ 1 << bit % 8,)))
