"""The native helper beside Python's code on made-up inputs; every processor level that this machine has.

`python tests/support/fuzz_native.py COUNT [SEED]` compares COUNT inputs and prints how many of each kind there were.
Under the sanitizers, which watch each access: `python tests/support/fuzz_native.py --sanitize COUNT [SEED]`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from coincurve import PrivateKey

import microrollup._native
from microrollup._native.choice import Choice, take
from microrollup._native.compiling import compile_library, compute_source_hash, find_compiler
from microrollup._native.library import LEVELS, FastLibrary, LibraryUnfit
from microrollup.crypto.ecdsa import recover_addresses
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import compute_items_root

SOURCE = Path(microrollup._native.__file__).parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
KEYS = [PrivateKey(bytes((number,)) * 32) for number in (1, 2, 77)]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
EDGES = [0, 1, 31, 32, 63, 64, 65, 98, 99, 134, 135, 136, 137, 271, 272, 273, 408, 1_000]
"""Lengths around one, two and three blocks."""


def open_levels(path: Path) -> list[FastLibrary]:
    """The library at every level that the processor has."""
    opened = []
    for level in range(len(LEVELS)):
        try:
            opened.append(FastLibrary(path, compute_source_hash(SOURCE), level))
        except LibraryUnfit:
            break
    return opened


def make_item(rng: random.Random) -> bytes:
    """Bytes of any length, rather one at the edge of a block."""
    return rng.randbytes(rng.choice(EDGES) if rng.random() < 0.5 else rng.randrange(700))


def make_signature(rng: random.Random) -> tuple[bytes, bytes]:
    """A digest, and a signature: right, damaged, or of numbers at the edges of what is one."""
    digest, kind = rng.randbytes(32), rng.randrange(8)
    if kind < 3:
        return digest, rng.choice(KEYS).sign_recoverable(digest, hasher=None)
    if kind < 5:
        edges = (0, 1, 2, 5, ORDER // 2, ORDER - 1, ORDER, 2**256 - 1)
        numbers = [rng.choice(edges) if rng.random() < 0.5 else rng.randrange(2**256) for _ in range(2)]
        return digest, b"".join(number.to_bytes(32, "big") for number in numbers) + bytes((rng.randrange(6),))
    return digest, rng.randbytes(64) + bytes((rng.choice((0, 1, 2, 3, 4, 27, 255)),))


def compare(libraries: list[FastLibrary], count: int, seed: int = 1) -> Counter[str]:
    """Compare this many inputs, or a few more, with Python's code; each level has them all. Returns the kinds' counts.

    Raises `AssertionError` at the first difference.
    """
    rng, done = random.Random(seed), Counter[str]()
    before = take(Choice(None, "it is compared with"))
    try:
        while done.total() < count:
            size = rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 63, 64, 65, 130))
            kind = rng.choice(("items", "rows", "trees", "trees", "signatures"))
            if kind == "signatures":
                pairs = [make_signature(rng) for _ in range(size)]
                digests, marks = [digest for digest, _ in pairs], [mark for _, mark in pairs]
                expected: object = recover_addresses(digests, marks)
                found = [library.recover_addresses(digests, marks) for library in libraries]
            elif kind == "rows":
                length = rng.choice(EDGES[1:]) if rng.random() < 0.5 else rng.randrange(1, 300)
                rows = rng.randbytes(length * size)
                expected = b"".join(keccak256(rows[length * i : length * (i + 1)]) for i in range(size))
                found = [bytes(library.hash_rows(rows, length)) for library in libraries]
            else:
                items = [make_item(rng) for _ in range(size)]
                expected = compute_items_root(items) if kind == "trees" else [keccak256(item) for item in items]
                found = [
                    library.fold_items(items) if kind == "trees" else library.hash_items(items) for library in libraries
                ]
            assert [expected] * len(libraries) == found, (kind, size, seed)
            done[kind] += size
    finally:
        take(before)
    return done


def main(arguments: list[str]) -> None:
    """Compile, compare, print; under the sanitizers in a process that begins with their library."""
    sanitize = arguments[0] == "--sanitize"
    count, *seed = [int(text) for text in arguments[sanitize:]]
    if sanitize and "LD_PRELOAD" not in os.environ:
        shown = [
            subprocess.run(
                [*find_compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True, timeout=60
            )
            for name in ("libasan.so", "libubsan.so")
        ]
        preload = " ".join(one.stdout.strip() for one in shown)
        options = {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", "MICROROLLUP_NATIVE": "0"}
        os.execve(sys.executable, [sys.executable, __file__, *arguments], os.environ | options)  # noqa: S606
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fast.library"
        compile_library(SOURCE, path, SANITIZERS if sanitize else ())
        libraries = open_levels(path)
        done = compare(libraries, count, *seed)
    levels = ", ".join([library.level for library in libraries])
    sys.stdout.write(f"{done.total()} inputs agree at the levels {levels}: {dict(done)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
