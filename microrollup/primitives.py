"""The scalar types of states, actions and events, and the limits that hold for every rollup.

A scalar is an ordinary `int`, `bytes`, `bool` or `str` at run time; its annotation carries the bounds. `msgspec` checks
what fits its own bounds (int64) while it decodes; `microrollup.codec.values` checks the rest.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

__all__ = [
    "Address",
    "Bytes",
    "Bytes32",
    "FixedBytes",
    "Int104",
    "Int112",
    "Int120",
    "Int128",
    "Int136",
    "Int144",
    "Int152",
    "Int16",
    "Int160",
    "Int168",
    "Int176",
    "Int184",
    "Int192",
    "Int200",
    "Int208",
    "Int216",
    "Int224",
    "Int232",
    "Int24",
    "Int240",
    "Int248",
    "Int256",
    "Int32",
    "Int40",
    "Int48",
    "Int56",
    "Int64",
    "Int72",
    "Int8",
    "Int80",
    "Int88",
    "Int96",
    "Integer",
    "MAX_ACTION_BYTES",
    "MAX_BLOCK_ACTIONS",
    "MAX_BLOCK_CHANGED_BYTES",
    "MAX_BLOCK_CHANGED_ROWS",
    "MAX_BLOCK_RECORD_BYTES",
    "MAX_BLOCK_STEPS",
    "MAX_CLOCK_LEAD_SECONDS",
    "MAX_EVENTS",
    "MAX_EVENT_BYTES",
    "MAX_ENVELOPE_BYTES",
    "MAX_FORCED_PAYLOAD_BYTES",
    "MAX_FORCED_PER_BLOCK",
    "MAX_GAP_PER_SENDER",
    "MAX_GAP_TOTAL",
    "MAX_JSON_DEPTH",
    "MAX_MAP_KEY_BYTES",
    "MAX_REASON_BYTES",
    "Uint104",
    "Uint112",
    "Uint120",
    "Uint128",
    "Uint136",
    "Uint144",
    "Uint152",
    "Uint16",
    "Uint160",
    "Uint168",
    "Uint176",
    "Uint184",
    "Uint192",
    "Uint200",
    "Uint208",
    "Uint216",
    "Uint224",
    "Uint232",
    "Uint24",
    "Uint240",
    "Uint248",
    "Uint256",
    "Uint32",
    "Uint40",
    "Uint48",
    "Uint56",
    "Uint64",
    "Uint72",
    "Uint8",
    "Uint80",
    "Uint88",
    "Uint96",
    "ZERO_ADDRESS",
    "ZERO_BYTES32",
]


class Integer(Struct, frozen=True):
    """Marks an `int` annotation: `bits` is a multiple of 8 from 8 to 256; Solidity's uintN or intN."""

    bits: int
    signed: bool


class FixedBytes(Struct, frozen=True):
    """Marks a `bytes` annotation of exactly `size` bytes; `abi` is its Solidity type ("bytes32" or "address")."""

    size: int
    abi: str


Bytes = bytes
"""Any byte string (Solidity's `bytes`)."""

Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32), FixedBytes(32, "bytes32")]
"""Exactly 32 bytes."""

Address = Annotated[bytes, Meta(min_length=20, max_length=20), FixedBytes(20, "address")]
"""Exactly 20 bytes: an Ethereum address, or a sender derived from another kind of key."""

ZERO_BYTES32: Final = bytes(32)
ZERO_ADDRESS: Final = bytes(20)

Uint8 = Annotated[int, Meta(ge=0, le=255), Integer(8, signed=False)]
Uint16 = Annotated[int, Meta(ge=0, le=65535), Integer(16, signed=False)]
Uint24 = Annotated[int, Meta(ge=0, le=16777215), Integer(24, signed=False)]
Uint32 = Annotated[int, Meta(ge=0, le=4294967295), Integer(32, signed=False)]
Uint40 = Annotated[int, Meta(ge=0, le=1099511627775), Integer(40, signed=False)]
Uint48 = Annotated[int, Meta(ge=0, le=281474976710655), Integer(48, signed=False)]
Uint56 = Annotated[int, Meta(ge=0, le=72057594037927935), Integer(56, signed=False)]
Uint64 = Annotated[int, Meta(ge=0), Integer(64, signed=False)]
Uint72 = Annotated[int, Meta(ge=0), Integer(72, signed=False)]
Uint80 = Annotated[int, Meta(ge=0), Integer(80, signed=False)]
Uint88 = Annotated[int, Meta(ge=0), Integer(88, signed=False)]
Uint96 = Annotated[int, Meta(ge=0), Integer(96, signed=False)]
Uint104 = Annotated[int, Meta(ge=0), Integer(104, signed=False)]
Uint112 = Annotated[int, Meta(ge=0), Integer(112, signed=False)]
Uint120 = Annotated[int, Meta(ge=0), Integer(120, signed=False)]
Uint128 = Annotated[int, Meta(ge=0), Integer(128, signed=False)]
Uint136 = Annotated[int, Meta(ge=0), Integer(136, signed=False)]
Uint144 = Annotated[int, Meta(ge=0), Integer(144, signed=False)]
Uint152 = Annotated[int, Meta(ge=0), Integer(152, signed=False)]
Uint160 = Annotated[int, Meta(ge=0), Integer(160, signed=False)]
Uint168 = Annotated[int, Meta(ge=0), Integer(168, signed=False)]
Uint176 = Annotated[int, Meta(ge=0), Integer(176, signed=False)]
Uint184 = Annotated[int, Meta(ge=0), Integer(184, signed=False)]
Uint192 = Annotated[int, Meta(ge=0), Integer(192, signed=False)]
Uint200 = Annotated[int, Meta(ge=0), Integer(200, signed=False)]
Uint208 = Annotated[int, Meta(ge=0), Integer(208, signed=False)]
Uint216 = Annotated[int, Meta(ge=0), Integer(216, signed=False)]
Uint224 = Annotated[int, Meta(ge=0), Integer(224, signed=False)]
Uint232 = Annotated[int, Meta(ge=0), Integer(232, signed=False)]
Uint240 = Annotated[int, Meta(ge=0), Integer(240, signed=False)]
Uint248 = Annotated[int, Meta(ge=0), Integer(248, signed=False)]
Uint256 = Annotated[int, Meta(ge=0), Integer(256, signed=False)]

Int8 = Annotated[int, Meta(ge=-128, le=127), Integer(8, signed=True)]
Int16 = Annotated[int, Meta(ge=-32768, le=32767), Integer(16, signed=True)]
Int24 = Annotated[int, Meta(ge=-8388608, le=8388607), Integer(24, signed=True)]
Int32 = Annotated[int, Meta(ge=-2147483648, le=2147483647), Integer(32, signed=True)]
Int40 = Annotated[int, Meta(ge=-549755813888, le=549755813887), Integer(40, signed=True)]
Int48 = Annotated[int, Meta(ge=-140737488355328, le=140737488355327), Integer(48, signed=True)]
Int56 = Annotated[int, Meta(ge=-36028797018963968, le=36028797018963967), Integer(56, signed=True)]
Int64 = Annotated[int, Meta(ge=-9223372036854775808, le=9223372036854775807), Integer(64, signed=True)]
Int72 = Annotated[int, Integer(72, signed=True)]
Int80 = Annotated[int, Integer(80, signed=True)]
Int88 = Annotated[int, Integer(88, signed=True)]
Int96 = Annotated[int, Integer(96, signed=True)]
Int104 = Annotated[int, Integer(104, signed=True)]
Int112 = Annotated[int, Integer(112, signed=True)]
Int120 = Annotated[int, Integer(120, signed=True)]
Int128 = Annotated[int, Integer(128, signed=True)]
Int136 = Annotated[int, Integer(136, signed=True)]
Int144 = Annotated[int, Integer(144, signed=True)]
Int152 = Annotated[int, Integer(152, signed=True)]
Int160 = Annotated[int, Integer(160, signed=True)]
Int168 = Annotated[int, Integer(168, signed=True)]
Int176 = Annotated[int, Integer(176, signed=True)]
Int184 = Annotated[int, Integer(184, signed=True)]
Int192 = Annotated[int, Integer(192, signed=True)]
Int200 = Annotated[int, Integer(200, signed=True)]
Int208 = Annotated[int, Integer(208, signed=True)]
Int216 = Annotated[int, Integer(216, signed=True)]
Int224 = Annotated[int, Integer(224, signed=True)]
Int232 = Annotated[int, Integer(232, signed=True)]
Int240 = Annotated[int, Integer(240, signed=True)]
Int248 = Annotated[int, Integer(248, signed=True)]
Int256 = Annotated[int, Integer(256, signed=True)]


MAX_ACTION_BYTES: Final = 16 * 1024
"""A signed action, in its JSON form and as a log record."""

MAX_ENVELOPE_BYTES: Final = 16_000
"""What an app's own envelope holds, in bytes; see `microrollup.declaration.envelope`."""

MAX_JSON_DEPTH: Final = 32
"""Nesting of a signed action's JSON; deep input is refused before a recursive decoder sees it."""

MAX_FORCED_PAYLOAD_BYTES: Final = 8 * 1024
"""The payload of a forced action in the inbox."""

MAX_FORCED_PER_BLOCK: Final = 64
"""A block opens with at most this many forced actions."""

MAX_CLOCK_LEAD_SECONDS: Final = 3_600
"""What a block's timestamp may be ahead of its L1 origin's time."""

MAX_REASON_BYTES: Final = 256
"""The reason of a rejection, as UTF-8, in a receipt."""

MAX_EVENTS: Final = 64
"""Events of one action."""

MAX_EVENT_BYTES: Final = 16 * 1024
"""All events of one action together: names and encoded bodies."""

MAX_MAP_KEY_BYTES: Final = 256
"""An encoded key of a `Map`."""

MAX_BLOCK_ACTIONS: Final = 20_000
"""Entries of one block, which is also the most that a restart has to execute again."""

MAX_BLOCK_RECORD_BYTES: Final = 700_000
"""Records of one block, so that it fits one batch of six blobs (6 x 126,976 usable bytes) uncompressed."""

MAX_BLOCK_CHANGED_ROWS: Final = 100_000
"""State rows that the entries of one block change; see `microrollup.execution.budget`."""

MAX_BLOCK_CHANGED_BYTES: Final = 16 << 20
"""Encoded bytes of these rows, before and after, and of all events: what closing the block has to hold and write."""

MAX_BLOCK_STEPS: Final = 64_000_000
"""Steps of all entries of a block that nobody could refuse, and of the signatures that they bring."""

MAX_GAP_PER_SENDER: Final = 16
"""Actions of one sender that may wait for lower nonces."""

MAX_GAP_TOTAL: Final = 10_000
"""Actions of all senders that may wait for lower nonces; anybody can make up senders."""
