"""Calldata hold less than blobs: batches are cut for them, and a block that is too long for them goes into blobs."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec
import pytest

from ethereum_harness import KEYS, EthereumHarness, fund, get_head
from l1_fixtures import Anvil, run_anvil
from microrollup.chain.block import Block
from microrollup.chain.record import Open, Seal
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.attestation import create_attestation
from microrollup.settlement.batch import compute_data_hash, cut_batches, encode_batch
from microrollup.settlement.ethereum.da import MAX_CALLDATA_BYTES
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.testing.settlement_harness import BUILDER, OWNER, attest, extend, make_genesis

RECORD_BYTES = 16_000


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil("--hardfork", "osaka") as anvil:
        fund(anvil, *KEYS)
        anvil.mine(5)
        yield anvil


@pytest.fixture(params=["calldata", "blobs"])
def inbox(anvil: Anvil, request: pytest.FixtureRequest) -> Iterator[EthereumSettlement]:
    options = EthereumOptions(
        anvil.url, da=request.param, poll_seconds=0, blob_sources=(anvil.url,), settle_seconds=120
    )
    harness = EthereumHarness(anvil, options)
    number, time = get_head(anvil)
    salt = keccak256(request.param.encode())
    yield harness.create_inbox(msgspec.structs.replace(make_genesis(number, time), salt=salt), OWNER)
    harness.close()


def make_block(inbox: EthereumSettlement, records: int) -> Block:
    """A block of noise, which does not compress."""
    header = extend(inbox)
    chance = Random(header.height)
    raw = tuple([b"\xc5" + RECORD_BYTES.to_bytes(2, "big") + chance.randbytes(RECORD_BYTES) for _ in range(records)])
    opened = Open(header.height, header.timestamp, header.l1_origin, header.stf_id)
    return Block(header, opened, raw, Seal(0, bytes(65), "made up"))


def settle(inbox: EthereumSettlement, block: Block) -> tuple[bytes, int]:
    """The batch of one block, and how many blobs it took."""
    batch = encode_batch(block.header.rollup_id, [block])
    head = inbox.get_settled()
    data_hash = inbox.compute_data_hash(batch)
    attestation = create_attestation(head.block_hash, head.height + 1, block.header, data_hash)
    inbox.settle(batch, block.header, attest(inbox, attestation), submitter=BUILDER)
    cost = inbox.get_cost(block.header.height)
    assert cost is not None
    assert (cost.blobs == 0) == (data_hash == compute_data_hash(batch))
    return batch, cost.blobs


def test_what_is_too_long_goes_into_blobs(inbox: EthereumSettlement) -> None:
    """A short block goes where it is said to; one that no calldata hold, as of forced actions, settles all the same."""
    is_calldata = inbox.get_max_batch_bytes() == MAX_CALLDATA_BYTES
    batch, blobs = settle(inbox, make_block(inbox, 7))
    assert len(batch) <= MAX_CALLDATA_BYTES
    assert (0 if is_calldata else 1) == blobs
    long, blobs = settle(inbox, make_block(inbox, 17))
    assert len(long) > MAX_CALLDATA_BYTES
    assert 3 == blobs
    for height, expected in ((1, batch), (2, long)):
        settled = inbox.get_settled_at(height)
        assert settled is not None
        assert expected == settled.batch


def test_batches_are_cut_for_where_they_go(inbox: EthereumSettlement) -> None:
    """Blocks share a batch as long as it fits the calldata, or the blobs, of one transaction."""
    block, chance = make_block(inbox, 3), Random(7)
    blocks = [
        msgspec.structs.replace(
            block,
            header=msgspec.structs.replace(block.header, height=height),
            open=msgspec.structs.replace(block.open, height=height),
            records=tuple([record[:3] + chance.randbytes(RECORD_BYTES) for record in block.records]),
        )
        for height in range(1, 7)
    ]
    limit = inbox.get_max_batch_bytes()
    batches = list(cut_batches(blocks, limit))
    assert ([2, 2, 2] if limit == MAX_CALLDATA_BYTES else [6]) == [len(batch) for batch in batches]
    assert all(len(encode_batch(block.header.rollup_id, batch)) <= limit for batch in batches)
