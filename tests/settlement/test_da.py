"""Ways to publish a batch: what each of them promises, and that nothing else knows one from another."""

from __future__ import annotations

import ast
import asyncio
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import get_args

import msgspec
import pytest
from click import BadParameter, Context

import microrollup
from microrollup.chain.block import Header
from microrollup.cli.run import COMMANDS, cli
from microrollup.errors import DecodeError
from microrollup.settlement.attestation import create_attestation
from microrollup.settlement.batch import MAX_BATCH_BYTES, compute_data_hash
from microrollup.settlement.ethereum.answers import L1Transaction
from microrollup.settlement.ethereum.contract import encode_call
from microrollup.settlement.ethereum.da import DA_KINDS, Publication, publish, show_unpublished
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.index import IndexedBatch
from microrollup.settlement.ethereum.options import DA_TAGS, DaTag

INBOX = b"\x11" * 20
BATCH = zlib.compress(b"a batch" * 9)
HEADER = Header(
    bytes(32), 1, bytes(32), 1, bytes(32), 1, 0, bytes(32), 0, 64, bytes(32), bytes(32), bytes(32), bytes(32)
)


def settle(publication: Publication) -> L1Transaction:
    """The transaction that settles it, as a node shows it."""
    claim = (1, bytes(32), publication.data_hash)
    words = msgspec.structs.astuple(HEADER)
    data = encode_call(publication.function, words, claim, b"signatures", *publication.arguments)
    hashes = publication.sidecar.versioned_hashes if publication.sidecar else ()
    return L1Transaction(bytes(32), bytes(20), INBOX, data, 1, hashes)


def read(
    tag: DaTag, publication: Publication, transaction: L1Transaction, lie: Callable[[bytes], bytes] = lambda blob: blob
) -> bytes:
    """The batch that was settled, its blobs where they are to be had."""
    sidecar = publication.sidecar
    blobs = dict(zip(sidecar.versioned_hashes, sidecar.blobs, strict=True)) if sidecar else {}

    async def fetch(versioned_hash: bytes) -> bytes:
        return lie(blobs[versioned_hash])

    attestation = create_attestation(bytes(32), 1, HEADER, publication.data_hash)
    settled = IndexedBatch(1, HEADER, attestation, b"", publication.data_hash, tag, bytes(20), 1, bytes(32))
    return asyncio.run(DA_KINDS[tag].read(settled, transaction, INBOX, fetch))


def test_tags() -> None:
    """Each kind has its tag, once; options, commands and events know these and no others."""
    assert [*DA_KINDS] == [*DA_TAGS] == [kind.tag for kind in DA_KINDS.values()] == [*get_args(DaTag)]
    context = Context(cli)
    commands = {name: command for name in COMMANDS if (command := cli.get_command(context, name)) is not None}
    options = {name: option for name, command in commands.items() for option in command.params if "--da" in option.opts}
    assert {"deploy", "verify", "run"} <= set(options)
    for option in options.values():
        assert "|".join(DA_TAGS) == option.make_metavar(context)
        for tag in DA_TAGS:
            assert tag == option.type.convert(tag, option, context)
        with pytest.raises(BadParameter):
            option.type.convert("elsewhere", option, context)


@pytest.mark.parametrize("tag", DA_TAGS)
def test_what_is_published_is_read_back(tag: DaTag) -> None:
    """A batch comes back from the transaction that settles it; one of another batch is refused."""
    publication, other = DA_KINDS[tag].publish(BATCH), DA_KINDS[tag].publish(zlib.compress(b"another"))
    assert publication == publish(BATCH, tag)
    assert BATCH == publication.batch == read(tag, publication, settle(publication))
    with pytest.raises(L1BadAnswer):
        read(tag, publication, settle(other))
    for wrong in DA_TAGS:
        if wrong != tag:
            with pytest.raises(L1BadAnswer):
                read(wrong, publication, settle(publication))


@pytest.mark.parametrize("tag", DA_TAGS)
def test_largest_batches(tag: DaTag) -> None:
    """A batch of the largest size is published the way it is meant to be, and read back."""
    kind = DA_KINDS[tag]
    assert 0 < kind.max_bytes <= MAX_BATCH_BYTES
    raw = Random(1).randbytes(kind.max_bytes)
    batch = zlib.compress(raw[: kind.max_bytes - 400], 0)
    assert kind.max_bytes - 400 < len(batch) <= kind.max_bytes
    publication = kind.publish(batch)
    assert {"blobs": "settleBlobs", "calldata": "settleCalldata"}[tag] == publication.function
    assert batch == read(tag, publication, settle(publication))


def test_too_long_for_calldata() -> None:
    """A block that no calldata hold settles in blobs all the same."""
    batch = zlib.compress(Random(2).randbytes(DA_KINDS["calldata"].max_bytes + 1), 0)
    assert DA_KINDS["blobs"].publish(batch) == DA_KINDS["calldata"].publish(batch)


def test_what_cannot_be_read_back_is_not_published() -> None:
    """Blobs have no length of their own: bytes that go on after their zlib stream are not published in them."""
    for batch in (b"no stream", BATCH + b"\x00"):
        with pytest.raises(DecodeError):
            DA_KINDS["blobs"].publish(batch)
        assert publish(batch, "blobs") is None
        assert compute_data_hash(batch) == show_unpublished(batch).data_hash


def test_blobs_that_hold_no_batch() -> None:
    """Blobs that a quorum attested and that are not a batch are told as that, not as the node's fault."""
    publication = DA_KINDS["blobs"].publish(BATCH)
    with pytest.raises(DecodeError, match="settled batch"):
        read("blobs", publication, settle(publication), lambda blob: bytes(len(blob)))


def test_one_place_knows_the_kinds() -> None:
    """No other module of the settlement compares tags, or asks a kind by name: a new kind is one class."""
    root = Path(microrollup.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                values = [item.value for item in (node.left, *node.comparators) if isinstance(item, ast.Constant)]
                if set(values) & {*DA_TAGS, "settleBlobs", "settleCalldata"}:
                    found.add(path.relative_to(root).as_posix())
    assert set() == found
