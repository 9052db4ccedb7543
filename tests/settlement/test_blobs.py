"""Packing batches into blobs: one way there, one way back."""

from __future__ import annotations

import random
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Final

import ckzg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point

from microrollup.errors import DecodeError, MicrorollupError
from microrollup.settlement.batch import MAX_BATCH_BYTES
from microrollup.settlement.ethereum import kzg
from microrollup.settlement.ethereum.blobs import BLOB_BYTES, MAX_BLOBS, pack_blobs, unpack_blobs
from microrollup.settlement.ethereum.kzg import compute_versioned_hash, make_sidecar

BODY_BYTES = 31 * 4096
MODULUS: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""BLS_MODULUS of EIP-4844: what field elements are below."""


def make_stream(size: int) -> bytes:
    """A zlib stream of exactly `size` bytes: noise does not compress, and stored blocks pad to the byte."""
    noise = random.Random(size).randbytes(size)
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(zlib.compress(noise[:middle], 0)) <= size else (low, middle - 1)
    stream = zlib.compress(noise[:low], 0)
    assert size == len(stream), (size, len(stream))
    return stream


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 9))
def test_what_is_packed_comes_back(body: bytes, level: int) -> None:
    """Any zlib stream survives; each field element is below 2^248, so below the modulus."""
    batch = zlib.compress(body, level)
    blobs = pack_blobs(batch)
    assert batch == unpack_blobs(blobs)
    assert {0} == {element for blob in blobs for element in blob[::32]}


@pytest.mark.parametrize("size", [100, BODY_BYTES - 1, BODY_BYTES, BODY_BYTES + 1, MAX_BATCH_BYTES])
def test_as_few_blobs_as_hold_it(size: int) -> None:
    """At each edge of a blob, up to six full ones; one blob more than needed is refused."""
    batch = make_stream(size)
    blobs = pack_blobs(batch)
    assert -(-size // BODY_BYTES) == len(blobs)
    assert {BLOB_BYTES} == {len(blob) for blob in blobs}
    assert batch == unpack_blobs(blobs)
    with pytest.raises(DecodeError):
        unpack_blobs([*blobs, bytes(BLOB_BYTES)])


@pytest.mark.parametrize(
    "batch", [b"", b"x", zlib.compress(b"batch")[:-1], zlib.compress(b"batch") + b"\x00", zlib.compress(b"b") * 2]
)
def test_refuses_what_would_not_come_back(batch: bytes) -> None:
    """No stream, a cut one, and bytes behind its end, a zero among them: nothing could tell where it ends."""
    with pytest.raises(DecodeError):
        pack_blobs(batch)


def test_refuses_more_than_six_blobs_hold() -> None:
    """A byte more than six blobs hold, however well it would unpack."""
    with pytest.raises(DecodeError):
        pack_blobs(make_stream(MAX_BATCH_BYTES + 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, BLOB_BYTES - 1), st.integers(1, 255))
def test_every_byte_is_canonical(position: int, change: int) -> None:
    """A byte changed anywhere in a blob is refused, or gives another batch that packs to exactly these bytes."""
    blob = bytearray(pack_blobs(zlib.compress(b"a batch" * 50))[0])
    blob[position] ^= change
    try:
        batch = unpack_blobs([bytes(blob)])
    except DecodeError:
        return
    assert [bytes(blob)] == pack_blobs(batch)


@pytest.mark.parametrize("count", [0, MAX_BLOBS + 1])
def test_refuses_other_counts(count: int) -> None:
    """A batch has one to six blobs."""
    with pytest.raises(DecodeError):
        unpack_blobs(pack_blobs(zlib.compress(b"")) * count)


def test_refuses_bombs() -> None:
    """A small stream that inflates to gigabytes is given up at the limit, in bounded memory."""
    bomb = zlib.compress(bytes(65 * 1024 * 1024), 9)
    assert len(bomb) < BODY_BYTES
    with pytest.raises(DecodeError):
        pack_blobs(bomb)


def test_versioned_hash_is_eip_4844s() -> None:
    """The empty blob's commitment is the point at infinity, so its versioned hash is known; other sizes have none."""
    expected = "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014"
    assert expected == compute_versioned_hash(bytes(BLOB_BYTES)).hex()
    assert [bytes.fromhex(expected)] == list(make_sidecar([bytes(BLOB_BYTES)]).versioned_hashes)
    for wrong in (bytes(BLOB_BYTES - 1), b"\xff" * BLOB_BYTES):
        with pytest.raises(DecodeError):
            compute_versioned_hash(wrong)


def test_points_are_the_ceremony_s() -> None:
    """`kzg_points.bin` is the Lagrange points of the file that comes with `eth_account`, in the order of elements."""
    text = (files("eth_account.typed_transactions.blob_transactions") / "kzg_trusted_setup.txt").read_text().split()
    assert "4096" == text[0]
    lagrange = [bytes.fromhex(line) for line in text[2 : 2 + 4096]]
    points = [G1Point.from_compressed_bytes_unchecked(lagrange[int(f"{at:012b}"[::-1], 2)]) for at in range(4096)]
    packed = (files("microrollup.settlement.ethereum") / "kzg_points.bin").read_bytes()
    assert packed == b"".join(bytes(point.to_xy_bytes_be()) for point in points)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, MODULUS - 1), min_size=1, max_size=20), st.integers(0, 4095))
def test_commitments_are_ckzg_s(elements: list[int], shift: int) -> None:
    """Of elements anywhere in a blob, the largest among them; one that is not below the modulus is refused."""
    blob = bytearray(BLOB_BYTES)
    for index, element in enumerate([MODULUS - 1, *elements]):
        at = 32 * ((index * 397 + shift) % 4096)
        blob[at : at + 32] = element.to_bytes(32, "big")
    assert make_sidecar([bytes(blob)]).commitments == (ckzg.blob_to_kzg_commitment(bytes(blob), kzg._load_setup()),)
    blob[32 * shift : 32 * shift + 32] = MODULUS.to_bytes(32, "big")
    with pytest.raises(DecodeError, match="field elements"):
        make_sidecar([bytes(blob)])


def test_changed_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of points that is not the one that came with the package is not used."""
    packed = bytearray((files("microrollup.settlement.ethereum") / "kzg_points.bin").read_bytes())
    packed[-1] ^= 1
    (tmp_path / "kzg_points.bin").write_bytes(packed)
    monkeypatch.setattr(kzg, "files", lambda _: tmp_path)
    kzg._load_points.cache_clear()
    with pytest.raises(MicrorollupError, match="install it again"):
        compute_versioned_hash(bytes(BLOB_BYTES))
