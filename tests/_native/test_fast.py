"""The compiled helper: the bytes of Python's code at every processor level, and no memory but its own."""

from __future__ import annotations

import ctypes
import hashlib
from array import array
from pathlib import Path

import pytest

from fuzz_native import SOURCE, compare, make_signature, open_levels
from microrollup._native.compiling import CompileFailed, compile_library, compute_source_hash, find_compiler
from microrollup._native.library import _SIGNATURES, FastLibrary, LibraryUnfit, _find_secp256k1
from microrollup.crypto.ecdsa import recover_addresses
from microrollup.crypto.keccak import keccak256

STRICT = ("-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wshadow")
DIGEST = bytes(range(32))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled here; its compiler has nothing to say about the source."""
    try:
        find_compiler()
    except CompileFailed as failure:
        pytest.skip(f"{failure}")
    target = tmp_path_factory.mktemp("native") / "fast.library"
    compile_library(SOURCE, target, STRICT)
    return target


@pytest.fixture(scope="module")
def levels(path: Path) -> list[FastLibrary]:
    return open_levels(path)


def test_all_levels_give_the_bytes_of_python(levels: list[FastLibrary]) -> None:
    """Hashes of rows and items of any length, trees of any width, and senders of right, damaged and impossible
    signatures. A million inputs are compared by hand (`tests/support/fuzz_native.py`).
    """
    assert {"items", "rows", "trees", "signatures"} == {*compare(levels, 6_000)}
    assert [library.level for library in levels] == ["plain", "avx2", "avx512"][: len(levels)]


def test_every_length_up_to_three_blocks(levels: list[FastLibrary]) -> None:
    """Each length alone in its row, and all of them side by side, where some end blocks before the others."""
    items = [bytes((length % 251,)) * length for length in range(420)]
    expected = [keccak256(item) for item in items]
    for library in levels:
        assert expected == library.hash_items(items)
        assert expected[::-1] == library.hash_items(items[::-1])
        assert expected[1:] == [bytes(library.hash_rows(item, len(item))) for item in items[1:]]


def test_nothing_gives_nothing(levels: list[FastLibrary]) -> None:
    """No items have no hashes; a tree has a leaf at least; an empty item is an item."""
    for library in levels:
        assert [] == library.hash_items([])
        assert b"" == library.hash_rows(b"", 64)
        assert [] == library.recover_addresses([], [])
        assert [keccak256(b"")] == library.hash_items([b""])
        assert keccak256(b"\0") == library.fold_items([b""])
        with pytest.raises(ValueError, match="no root"):
            library.fold_items([])


def test_lengths_are_checked_before_c_sees_them(levels: list[FastLibrary]) -> None:
    """Rows that do not divide, digests and signatures of other lengths or numbers."""
    library, signature = levels[-1], bytes(65)
    with pytest.raises(ValueError, match="no rows"):
        library.hash_rows(bytes(65), 64)
    for digests, signatures in (
        ([DIGEST[1:]], [signature]),
        ([DIGEST], [signature[1:]]),
        ([DIGEST], [signature + b"\0"]),
        ([DIGEST, DIGEST], [signature]),
        ([], [signature]),
        ([DIGEST + b"\0", DIGEST[1:]], [signature] * 2),
    ):
        with pytest.raises(ValueError, match="32 bytes"):
            library.recover_addresses(digests, signatures)


def test_python_takes_over_where_lengths_differ() -> None:
    """What no signature can be has nobody's address, among any number of right ones."""
    assert [None] * 6 == recover_addresses([DIGEST] * 6, [bytes(65), b"", bytes(64), bytes(66), b"\1", bytes(65)])


class Raw:
    """C's functions as they are, with wrong arguments; `out` must stay as it was."""

    def __init__(self, path: Path) -> None:
        self.opened = ctypes.CDLL(str(path))
        self.out = bytearray(b"\xaa" * 256)
        self.pointer = (ctypes.c_char * 256).from_buffer(self.out)

    def call(self, name: str, *arguments: object) -> int:
        function = getattr(self.opened, f"microrollup_{name}")
        function.argtypes = [int_or_pointer(kind) for kind in _SIGNATURES[f"microrollup_{name}"]]
        code = int(function(*arguments))
        if code:
            assert self.out == b"\xaa" * 256
        return code


def int_or_pointer(kind: object) -> object:
    return ctypes.c_char_p if kind is ctypes.c_char_p else kind


def test_c_refuses_wrong_lengths_itself(path: Path) -> None:
    """Each length, count, level and null pointer that does not fit gives a code, and nothing is written."""
    raw, data = Raw(path), bytes(128)
    out = raw.pointer
    ends = array("Q", (64, 128))
    fine = (0, data, 128, 64, 2, out, 64)
    wrong_rows = {
        1: (None,), 2: (127, 129, 0, 2**64 - 1), 3: (0, 63, 65, 2**63, 2**64 - 1), 4: (0, 1, 3, 2**31 + 1, 2**64 - 1),
        5: (None,), 6: (0, 63, 65, 2**64 - 1), 0: (-1, 3, 2**31 - 1),
    }  # fmt: skip
    for place, values in wrong_rows.items():
        for value in values:
            assert raw.call("hash_rows", *fine[:place], value, *fine[place + 1 :]), (place, value)
    for name in ("hash_items", "fold_items"):
        for changed in (
            (data, 127, ends, 2, 64), (data, 128, ends, 1, 32), (data, 128, ends, 0, 0), (None, 128, ends, 2, 64),
            (data, 128, None, 2, 64), (data, 128, array("Q", (129, 128)), 2, 64), (data, 128, ends, 2, 63),
            (data, 128, array("Q", (2**64 - 1, 128)), 2, 64), (data, 2**64 - 1, array("Q", (0, 2**64 - 1)), 2, 64),
        ):  # fmt: skip
            some, size, places, count, room = changed
            at = None if places is None else places.buffer_info()[0]
            assert raw.call(name, 0, some, size, at, count, out, room), changed
    assert 0 == raw.call("hash_rows", *fine)
    assert keccak256(data[:64]) * 2 == raw.out[:64]


def test_c_refuses_other_structs(path: Path) -> None:
    """Another size of libsecp256k1's structs, a function that is not there, and lengths that do not fit."""
    raw, digest, mark = Raw(path), DIGEST, bytes(65)
    for name, value in (
        ("signature_bytes", 64), ("signature_bytes", 2**40), ("key_bytes", 65), ("context", None), ("parse", None),
        ("recover", None), ("serialize", None),
    ):  # fmt: skip
        functions = _find_secp256k1()
        setattr(functions, name, value)
        assert raw.call("recover_many", 0, functions, digest, 32, mark, 65, 1, raw.pointer, 20, raw.pointer, 1)
    functions = _find_secp256k1()
    fine = (0, functions, digest, 32, mark, 65, 1, raw.pointer, 20, raw.pointer, 1)
    for place, value in ((0, 9), (2, None), (3, 31), (4, None), (5, 64), (6, 2), (6, 0), (7, None), (8, 21), (10, 2)):
        assert raw.call("recover_many", *fine[:place], value, *fine[place + 1 :]), (place, value)


def test_many_recover_at_once(levels: list[FastLibrary]) -> None:
    """More keys than are hashed together, with one in three that is nobody's."""
    import random

    pairs = [make_signature(random.Random(number)) for number in range(200)]
    digests, marks = [digest for digest, _ in pairs], [mark for _, mark in pairs]
    expected = [recover_addresses([digest], [mark])[0] for digest, mark in pairs]
    assert None in expected
    assert all(expected == library.recover_addresses(digests, marks) for library in levels)


def test_the_library_names_its_source(path: Path) -> None:
    """The hash is that of both files; another one is not taken."""
    both = (SOURCE / "fast.c").read_bytes() + (SOURCE / "lanes.h").read_bytes()
    assert hashlib.sha256(both).hexdigest() == compute_source_hash(SOURCE)
    FastLibrary(path, compute_source_hash(SOURCE), 0)
    with pytest.raises(LibraryUnfit, match="another source"):
        FastLibrary(path, "00" * 32)
    with pytest.raises(LibraryUnfit, match="levels up to"):
        FastLibrary(path, compute_source_hash(SOURCE), 3)
