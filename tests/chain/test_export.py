"""Block files: what is written is read back, block by block; hostile bytes are refused with our own errors only."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from kernel_fixtures import Chain, mutate, verify
from microrollup.chain.block import Block
from microrollup.chain.export import MAGIC, MAX_FRAME_BYTES, BlockFile, decode_block, encode_block, write_blocks
from microrollup.errors import DecodeError, MicrorollupError


class Written:
    """A chain's blocks and the file that holds them."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root, block_size=4)
        self.chain.work(Random(1), 6)
        self.blocks = self.chain.get_blocks()
        self.path = root / "blocks"
        assert len(self.blocks) == write_blocks(self.path, self.chain.genesis, self.blocks)
        self.raw = self.path.read_bytes()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    made = Written(tmp_path_factory.mktemp("written"))
    yield made
    made.chain.close()


def test_round_trip(written: Written) -> None:
    """Genesis and blocks come back as they were, from any height on, and verify."""
    file = BlockFile(written.path)
    assert written.chain.genesis == file.genesis
    assert written.blocks == list(file.read_blocks())
    assert len(written.blocks) == file.read_tip()
    for first in (0, 1, 4, len(written.blocks), len(written.blocks) + 1):
        assert written.blocks[max(first - 1, 0) :] == list(file.read_blocks(first))
    verifier = written.chain.make_verifier()
    verify(verifier, file.read_blocks(), written.chain.l1)
    assert written.chain.ledger.header == verifier.header
    verifier.close()


def test_one_encoding(written: Written) -> None:
    """A block has one encoding, and decoding takes no other."""
    for block in written.blocks:
        raw = encode_block(block)
        assert block == decode_block(raw)
        assert raw == encode_block(decode_block(raw))
        with pytest.raises(DecodeError):
            decode_block(raw + b"\x00")


def test_written_whole_or_not_at_all(written: Written, tmp_path: Path) -> None:
    """A file that cannot be finished leaves what was there before, and nothing beside it."""

    def fail() -> Iterator[Block]:
        yield written.blocks[0]
        raise KeyError

    path = tmp_path / "blocks"
    for before in (None, b"older"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(KeyError):
            write_blocks(path, written.chain.genesis, fail())
        assert ([] if before is None else [path]) == list(tmp_path.iterdir())
    assert b"older" == path.read_bytes()
    assert 0 == write_blocks(path, written.chain.genesis, [])
    assert [] == list(BlockFile(path).read_blocks())
    assert 0 == BlockFile(path).read_tip()


def test_cut_off_anywhere(written: Written, tmp_path: Path) -> None:
    """A file that ends early gives the blocks that are whole, then says so; only at a block's edge nobody can tell."""
    path = tmp_path / "cut"
    rng = Random(2)
    edges = {len(MAGIC)}
    place = len(MAGIC)
    while place < len(written.raw):
        place += 4 + int.from_bytes(written.raw[place : place + 4], "big")
        edges.add(place)
    head = set(sorted(edges)[:2])  # the magic and the genesis alone are not a file yet: manifests follow
    for size in sorted({rng.randrange(len(written.raw)) for _ in range(150)} | edges):
        path.write_bytes(written.raw[:size])
        blocks = []
        try:
            for block in BlockFile(path).read_blocks():
                blocks.append(block)  # noqa: PERF402
            assert size in edges
        except DecodeError:
            assert size not in edges - head
        assert written.blocks[: len(blocks)] == blocks


def test_hostile_files(written: Written, tmp_path: Path) -> None:
    """Whatever bytes stand in a file: blocks, or a `DecodeError`, in bounded memory."""
    path, rng = tmp_path / "hostile", Random(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for _ in range(600):
        path.write_bytes(mutate(rng, written.raw))
        try:
            for block in BlockFile(path).read_blocks():
                assert block == decode_block(encode_block(block))
        except DecodeError:
            refused += 1
    assert refused > 300
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_hostile_blocks(written: Written) -> None:
    """A mutated block decodes canonically or raises `DecodeError`, and the verifier raises nothing but our errors."""
    rng = Random(4)
    good = [encode_block(block) for block in written.blocks]
    decoded = 0
    verifier = written.chain.make_verifier("hostile")
    for _ in range(3_000):
        raw = mutate(rng, rng.choice(good))
        try:
            block = decode_block(raw)
        except DecodeError:
            continue
        decoded += 1
        assert raw == encode_block(block)
        if raw not in good:
            with pytest.raises(MicrorollupError):
                verify(verifier, [block], written.chain.l1)
            verifier.block = None
            verifier._pending.clear()
    verifier.abandon()
    assert decoded > 50


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x90",
        b"\x94",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5_000,
        b"\xc4\xff",
        b"\xd9\x01\xff",
        bytes(MAX_FRAME_BYTES + 1),
    ],
    ids=["empty", "no-items", "cut", "huge", "deep", "short", "utf8", "large"],
)
def test_no_blocks(raw: bytes) -> None:
    """The usual traps of msgpack are refused."""
    with pytest.raises(DecodeError):
        decode_block(raw)


def test_frame_limit(written: Written, tmp_path: Path) -> None:
    """A frame longer than any block is refused before it is read; the largest block fits."""
    path = tmp_path / "frames"
    path.write_bytes(MAGIC + (2**32 - 1).to_bytes(4, "big") + b"x")
    with pytest.raises(DecodeError):
        BlockFile(path)
    block = written.blocks[0]
    largest = msgspec.structs.replace(block, records=(bytes(700_000 // 20_000),) * 20_000)
    write_blocks(path, written.chain.genesis, [largest])
    assert [largest] == list(BlockFile(path).read_blocks())
    path.write_bytes(path.read_bytes() + bytes(1000))  # frames without a block would be many
    assert largest.header.height == BlockFile(path).read_tip()
    with pytest.raises(DecodeError):
        BlockFile(Path(__file__))
    with pytest.raises(OSError, match="missing"):
        BlockFile(tmp_path / "missing")
