"""Records of the log: one encoding each, tags that tell them apart, and hostile bytes."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from kernel_fixtures import make_test_genesis, mutate
from microrollup.chain.record import Close, Forced, Genesis, Open, Rebuild, Seal, decode_genesis, encode_record
from microrollup.errors import DecodeError
from microrollup.execution.entry import decode_forced, decode_kernel_record, is_forced_record
from zoo import zoo

GENESIS = make_test_genesis(zoo)
KERNEL = [
    GENESIS,
    Open(1, 2, 3, bytes(32)),
    Open(2**64 - 1, 2**64 - 1, 0, b"\xff" * 32),
    Close(1, Seal(0, bytes(65), "info")),
    Close(0, Seal(2**64 - 1, b"\x01" * 65, "")),
    Rebuild(5),
]
_FORCED_FRAME = len(encode_record(Forced(0, bytes(20), 0, bytes(8_192), False))) - 8_192
FORCED = [Forced(0, bytes(20), 5, b"", False), Forced(2**64 - 1, b"\x01" * 20, 2**64 - 1, bytes(8192), True)]


@pytest.mark.parametrize("record", KERNEL, ids=lambda record: type(record).__name__)
def test_kernel_records(record: Genesis | Open | Close | Rebuild) -> None:
    """A record of the kernel comes back as it was, and is no forced entry."""
    raw = encode_record(record)
    assert record == decode_kernel_record(raw)
    assert not is_forced_record(raw)


@pytest.mark.parametrize("record", FORCED)
def test_forced_records(record: Forced) -> None:
    """A forced entry comes back as it was, and is no record of the kernel."""
    raw = encode_record(record)
    assert record == decode_forced(raw)
    assert is_forced_record(raw)
    assert decode_kernel_record(raw) is None


@pytest.mark.parametrize(
    "record",
    [
        [*msgspec.msgpack.decode(encode_record(KERNEL[1])), 0],
        msgspec.msgpack.decode(encode_record(KERNEL[1]))[:-1],
        ["open", -1, 0, 0, bytes(32)],
        ["open", 1.0, 0, 0, bytes(32)],
        ["open", 0, 0, 0, bytes(31)],
        ["open", 0, 0, 0, "x" * 32],
        ["close", 1, [bytes(64), ""]],
        ["close", 1, [bytes(65), "x" * 257]],
        ["close", 1, [bytes(65), "", 0]],
        ["rebuild", 1, None],
        ["genesis"],
        ["opan", 0, 0, 0, bytes(32)],
    ],
    ids=str,
)
def test_refused(record: list[object]) -> None:
    """More or fewer items, other types, numbers out of range and unknown tags are refused."""
    with pytest.raises(DecodeError):
        decode_kernel_record(msgspec.msgpack.encode(record))


def test_not_canonical() -> None:
    """Integers that are longer than they need be, and long headers of short arrays, are another encoding."""
    raw = encode_record(KERNEL[1])
    tag = len(b"\x95\xa4open")
    assert b"\x01" == raw[tag : tag + 1]
    for other in (raw[:tag] + b"\xcc\x01" + raw[tag + 1 :], b"\xdc\x00\x05" + raw[1:]):
        assert msgspec.msgpack.decode(raw) == msgspec.msgpack.decode(other)
        with pytest.raises(DecodeError):
            decode_open(other)
    long_tag = raw[:1] + b"\xd9\x04" + raw[2:]
    assert decode_kernel_record(long_tag) is None  # an entry, which no action type decodes
    with pytest.raises(DecodeError):
        zoo.action_types.decode_record(long_tag)


def decode_open(raw: bytes) -> object:
    """The record of the kernel, or of an entry."""
    return decode_kernel_record(raw) or zoo.action_types.decode_record(raw)


def test_hostile_records() -> None:
    """Mutated records decode canonically or raise `DecodeError`."""
    rng = Random(1)
    decoded = 0
    for _ in range(6_000):
        raw = mutate(rng, encode_record(rng.choice([*KERNEL, *FORCED])))
        for decode in (decode_kernel_record, decode_forced, decode_genesis):
            try:
                value = decode(raw)  # type: ignore[operator]
            except DecodeError:
                continue
            if value is not None:
                decoded += 1
                assert raw == encode_record(value)
    assert decoded > 500


def test_limits() -> None:
    """A genesis is at most 64 KiB, a forced record 8,448 bytes."""
    with pytest.raises(DecodeError, match="limit"):
        decode_genesis(encode_record(msgspec.structs.replace(GENESIS, verifiers=(bytes(20),) * 4_000)))
    with pytest.raises(DecodeError, match="limit"):
        decode_forced(encode_record(Forced(0, bytes(20), 0, bytes(8_449 - _FORCED_FRAME), False)))
    longest = encode_record(Forced(0, bytes(20), 0, bytes(8_448 - _FORCED_FRAME), False))
    assert 8_448 == len(longest)
    assert bytes(8_448 - _FORCED_FRAME) == decode_forced(longest).payload
    with pytest.raises(DecodeError):
        decode_genesis(encode_record(msgspec.structs.replace(GENESIS, verifiers=(bytes(20),) * 257)))
    with pytest.raises(DecodeError):
        decode_genesis(encode_record(msgspec.structs.replace(GENESIS, name="x" * 65)))
