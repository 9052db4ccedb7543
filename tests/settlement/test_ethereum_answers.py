"""Decoders of what L1 says: only typed errors, whatever comes; the contract's errors and events all have a class."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import Any

import eth_abi.abi
import msgspec
import pytest
from eth_utils.abi import function_abi_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st

from microrollup.chain.block import Header
from microrollup.contracts import load_artifact
from microrollup.settlement import errors as rules
from microrollup.settlement import quorum_errors
from microrollup.settlement.attestation import create_attestation
from microrollup.settlement.batch import compute_data_hash
from microrollup.settlement.ethereum import events
from microrollup.settlement.ethereum.answers import (
    L1Log,
    L1Transaction,
    parse_block,
    parse_bytes,
    parse_logs,
    parse_quantity,
    parse_receipt,
    parse_transaction,
)
from microrollup.settlement.ethereum.contract import (
    compute_topic,
    encode_call,
    read_bytes_argument,
    read_revert,
)
from microrollup.settlement.ethereum.da import DA_KINDS
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.fees import Fees, bump_fees
from microrollup.settlement.ethereum.index import IndexedBatch
from microrollup.settlement.ethereum.options import EthereumOptions

ABI = load_artifact("RollupInbox").abi
SAMPLES: dict[str, Any] = {"uint256": 7, "bytes32": bytes(range(32)), "address": bytes(range(20)), "bytes": b"\x01"}
HEADER = Header(
    bytes(32), 1, bytes(32), 1, bytes(32), 1, 0, bytes(32), 0, 64, b"\1" * 32, b"\2" * 32, bytes(32), bytes(32)
)
NAMES = [
    "number", "hash", "parentHash", "timestamp", "baseFeePerGas", "logs", "status", "gasUsed", "blockNumber", "input",
    "from", "to", "transactionHash", "topics", "data", "address", "logIndex", "blockHash",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=70), st.from_regex(r"0x[0-9a-f]{0,66}", fullmatch=True))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(NAMES), inner, max_size=12)),
    max_leaves=20,
)


@given(JSON)
def test_answers_raise_typed_errors(answer: Any) -> None:
    """Any JSON value is decoded or refused with `L1BadAnswer`."""
    for parse in (
        lambda: parse_block(answer),
        lambda: parse_bytes("x", answer, 10),
        lambda: parse_logs(answer, bytes(20), 0, 9),
        lambda: parse_quantity("x", answer),
        lambda: parse_receipt(answer, bytes(32)),
        lambda: parse_transaction(answer, bytes(32)),
    ):
        try:
            parse()
        except L1BadAnswer:
            continue


GENESIS = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
}
"""Of Ethereum's main network."""


def test_a_hash_stands_for_the_header() -> None:
    """Another word, one more, one less: another hash; what cannot be a header has none."""
    assert parse_block(GENESIS).is_bound
    for changed in (
        GENESIS | {"timestamp": "0x1"}, GENESIS | {"baseFeePerGas": "0x0"}, GENESIS | {"hash": "0x" + "d4" * 32},
        GENESIS | {"nonce": "0x42"}, GENESIS | {"miner": None}, GENESIS | {"gasUsed": 0}, GENESIS | {"gasUsed": "0x-1"},
        GENESIS | {"extraData": "0xzz"}, GENESIS | {"logsBloom": "0x" + "00" * 2_000},
        {name: value for name, value in GENESIS.items() if name != "mixHash"},
    ):  # fmt: skip
        assert not parse_block(changed).is_bound


@pytest.mark.parametrize(("text", "value"), [("0x0", 0), ("0xFf", 255), ("0x" + "f" * 64, (1 << 256) - 1)])
def test_quantities(text: str, value: int) -> None:
    """Hex of up to 256 bits is a number; decimals, signs, blanks and more bits are not."""
    assert value == parse_quantity("x", text)
    for wrong in (value, f" {text}", f"{text}\n", f"-{text}", text[2:], "0x", "0x" + "1" * 65, None):
        with pytest.raises(L1BadAnswer):
            parse_quantity("x", wrong)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=3), st.binary(max_size=300), st.integers(0, 6))
def test_events_raise_typed_errors(topics: list[bytes], data: bytes, at: int) -> None:
    """Any bytes under an event's topic are decoded or refused."""
    topic = compute_topic(list(events._INDEXED)[at].__name__)
    with suppress(L1BadAnswer):
        events.decode_event(L1Log(bytes(20), (topic, *topics), data, 1, bytes(32), bytes(32), 0))


def test_every_event_has_its_class() -> None:
    """The contract's events and their indexed members are those that are decoded."""
    found = {e["name"]: sum(item["indexed"] for item in e["inputs"]) for e in ABI if e["type"] == "event"}
    assert {cls.__name__: count for cls, count in events._INDEXED.items()} == found


@pytest.mark.parametrize("entry", [e for e in ABI if e["type"] == "error"], ids=lambda e: e["name"])
def test_every_error_has_its_class(entry: dict[str, Any]) -> None:
    """A revert becomes the class of its name with its arguments in order; cut or foreign data never do."""
    types = [item["type"] for item in entry["inputs"]]
    arguments = [SAMPLES[t] for t in types]
    data = bytes(function_abi_to_4byte_selector(entry)) + eth_abi.abi.encode(types, arguments)  # type: ignore[arg-type]
    error = read_revert(data)
    module = rules if hasattr(rules, entry["name"]) else quorum_errors
    assert getattr(module, entry["name"]) is type(error)
    names = list(inspect.signature(type(error).__init__).parameters)[1:]
    assert arguments == [getattr(error, name) for name in names]
    assert None is read_revert(b"\x08\xc3\x79\xa0" + data[4:])
    if arguments:
        with pytest.raises(L1BadAnswer):
            read_revert(data[:-1] if types[-1] != "bytes" else data[:40])


@given(st.binary(max_size=200))
def test_calls_raise_typed_errors(raw: bytes) -> None:
    """An input that a node tells is decoded or refused."""
    selector = encode_call("force", b"")[:4]
    for data in (raw, selector + raw):
        with suppress(L1BadAnswer):
            assert read_bytes_argument("force", data, 0) in raw


BATCH_WORD = 14 + 3 + 1
BATCH_START = 4 + 32 * BATCH_WORD


def settle_input(batch: bytes) -> bytes:
    """As `abi.encode` gives it."""
    header = msgspec.structs.astuple(HEADER)
    return encode_call("settleCalldata", header, (1, bytes(32), compute_data_hash(batch)), b"signature", batch)


def point(data: bytes, offset: int) -> bytes:
    """The same with the batch elsewhere."""
    return data[:BATCH_START] + offset.to_bytes(32, "big") + data[BATCH_START + 32 :]


def read_back(settled: IndexedBatch, transaction: L1Transaction) -> bytes:
    """The batch in the input of a transaction."""

    async def fetch(_: bytes) -> bytes:
        raise AssertionError("calldata needs no blobs")

    return asyncio.run(DA_KINDS["calldata"].read(settled, transaction, bytes(20), fetch))


@pytest.mark.parametrize(
    "form", ["as encoded", "dirty padding", "no padding", "more bytes", "elsewhere", "in the heads"]
)
def test_calldata_as_the_inbox_reads_them(form: str) -> None:
    """Whoever settles in an unusual encoding, which the inbox takes (`Encoding.t.sol`), hides nothing from readers."""
    batch = b"batch"
    data = settle_input(batch)
    if form == "dirty padding":
        data = data[:-1] + b"\x01"
    elif form == "no padding":
        data = data[: len(data) - 32 + len(batch)]
    elif form == "more bytes":
        data += bytes(2_000_000)
    elif form == "elsewhere":
        data = point(data, len(data) - 4) + data[-64:]
    elif form == "in the heads":
        batch, data = HEADER.actions_root + HEADER.receipts_root, point(data, 32 * 9)
    assert batch == read_bytes_argument("settleCalldata", data, BATCH_WORD)
    said = create_attestation(bytes(32), 1, HEADER, compute_data_hash(batch))
    settled = IndexedBatch(1, HEADER, said, b"", said.data_hash, "calldata", bytes(20), 1, bytes(32))
    transaction = L1Transaction(bytes(32), bytes(20), bytes(20), data, 1, ())
    assert batch == read_back(settled, transaction)
    with pytest.raises(L1BadAnswer):
        read_back(msgspec.structs.replace(settled, data_hash=bytes(32)), transaction)


@pytest.mark.parametrize("offset", [None, 2**64, 2**255, 2**256 - 32, 2**256 - 1])
def test_calldata_that_the_inbox_cannot_read(offset: int | None) -> None:
    """An argument that does not end within the input is none; one that ends with it is one."""
    data = settle_input(b"batch")
    end = len(data) - 4
    last = point(data, end) + bytes(32)
    assert b"" == read_bytes_argument("settleCalldata", last, BATCH_WORD)
    beyond = point(last, end + 1 if offset is None else offset)
    for wrong in (beyond, last[:-1], last[:-1] + b"\1", b"\0" + data[1:], data[:BATCH_START]):
        with pytest.raises(L1BadAnswer):
            read_bytes_argument("settleCalldata", wrong, BATCH_WORD)


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 10**12))
def test_bumps_replace(tip: int, cap: int, blob_cap: int) -> None:
    """A replacement pays at least a tenth more, with blobs twice as much, of everything; never more than the caps."""
    fees, options = Fees(tip, cap, blob_cap), EthereumOptions("http://l1")
    bumped = bump_fees(fees, fees, options)
    if bumped is None:
        factor = 2 if blob_cap else 9 / 8
        highest = (options.max_priority_fee_per_gas, options.max_fee_per_gas, options.max_fee_per_blob_gas)
        assert any(factor * fee + 1 > high for fee, high in zip((tip, cap, blob_cap), highest, strict=True))
        return
    factor = 2 if blob_cap else 1.1
    assert bumped.tip >= factor * tip
    assert bumped.cap >= factor * cap
    assert bumped.blob_cap >= factor * blob_cap
    assert bumped.cap <= options.max_fee_per_gas
