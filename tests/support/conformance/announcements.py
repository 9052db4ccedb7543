"""Vectors of what an inbox's owner announces: who owns, builds and verifies when, which code executes, and
which entries are void.

The table is written by hand: contract, event index and local settlement are held against it.
"""

from __future__ import annotations

from typing import Any, Final

from conformance.encoding import fill, hex0x

Case = dict[str, Any]

DELAY: Final = 21_600
VOID: Final = 43_200
MARGIN: Final = 300
"""The rules' own numbers, written down again: a test of them must not read them from what it tests."""

ADDRESSES: Final = {name: fill(name, 20) for name in ("first", "second", "third", "thief", "old", "new", "newer")}
"""Owners, and builders: `old` is the genesis's."""

CODES: Final = {name: fill(f"code {name}") for name in ("v1", "v2", "v3", "evil")}
"""Ids of code: the inbox is created with `v1`."""

NOBODY: Final = bytes(20)

CALLS: Final = {
    "force", "void", "cancelVoid", "changeVerifiers", "changeBuilder", "changeOwner", "announceCode",
    "cancelVerifiers", "cancelBuilder", "cancelCode",
}  # fmt: skip

NOT_OWNER: Final = "NotOwner(address,address)"
VOIDED: Final = "AlreadyVoided(uint256,uint256)"
UNKNOWN: Final = "UnknownEntry(uint256,uint256)"
NOTHING: Final = "NothingPending(uint256)"
ZERO_CODE: Final = "ZeroCode()"
TOO_LATE: Final = "CancelledTooLate(uint256,uint256)"


def do(at: int, by: str, call: str, argument: str | int = 0, *, effective: int = 0, error: str = "") -> Case:
    """A call, `at` blocks after the start; the block that it gives (0: none), or the error's signature."""
    name = argument if isinstance(argument, str) else ""
    number = argument if isinstance(argument, int) else 0
    return {
        "at": str(at),
        "call": call,
        "by": hex0x(ADDRESSES[by]),
        "address": hex0x(ADDRESSES.get(name, NOBODY)),
        "code": hex0x(CODES.get(name, bytes(32))),
        "number": str(number),
        "effective": str(effective),
        "error": error,
    }


def see(
    at: int,
    owner: str = "first",
    builder: str = "old",
    quorum: int = 2,
    voided: tuple[int, ...] = (),
    code: str = "v1",
) -> Case:
    """What holds in a block: owner, builder, quorum, and at that L1 origin the code, and which entries are void."""
    return {
        "at": str(at),
        "call": "see",
        "owner": hex0x(NOBODY if owner == "nobody" else ADDRESSES[owner]),
        "builder": hex0x(ADDRESSES[builder]),
        "quorum": str(quorum),
        "code": hex0x(CODES[code]),
        "voided": [str(index) for index in voided],
    }


CASES: Final[dict[str, list[Case]]] = {
    "each change waits its delay": [
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(1, "first", "changeVerifiers", 3, effective=DELAY + 1),
        do(2, "first", "changeOwner", "second", effective=DELAY + 2),
        see(DELAY - 1),
        see(DELAY, builder="new"),
        see(DELAY + 1, builder="new", quorum=3),
        see(DELAY + 2, "second", "new", 3),
    ],
    "codes one after another": [
        do(0, "first", "announceCode", "v2", effective=DELAY),
        do(1, "first", "announceCode", "v3", effective=DELAY + 1),
        do(2, "first", "announceCode", "v1", effective=DELAY + 2),
        see(DELAY - 1),
        see(DELAY, code="v2"),
        see(DELAY + 1, code="v3"),
        see(DELAY + 2),
        do(DELAY + 2, "first", "announceCode", "v2", effective=2 * DELAY + 2),
        do(2 * DELAY - 299, "first", "cancelCode", effective=2 * DELAY + 2),
        see(3 * DELAY),
    ],
    "a code announced twice in one block": [
        do(0, "first", "announceCode", "evil", effective=DELAY),
        do(0, "first", "announceCode", "v2", effective=DELAY),
        do(1, "first", "announceCode", "evil", effective=DELAY + 1),
        do(1, "first", "cancelCode", effective=DELAY + 1),
        see(DELAY + 1, code="v2"),
    ],
    "a code that is none": [
        do(0, "first", "announceCode", error=ZERO_CODE),
        see(DELAY),
    ],
    "a leaving owner's code": [
        do(0, "first", "announceCode", "v2", effective=DELAY),
        do(1, "first", "announceCode", "evil", effective=DELAY + 1),
        do(1, "first", "changeOwner", "second", effective=DELAY + 1),
        do(DELAY, "first", "announceCode", "evil", effective=2 * DELAY),
        see(DELAY, code="v2"),
        see(DELAY + 1, "second", code="v2"),
        do(DELAY + 1, "first", "announceCode", "evil", error=NOT_OWNER),
        do(DELAY + 1, "second", "announceCode", "v3", effective=2 * DELAY + 1),
        see(2 * DELAY, "second", code="v2"),
        see(2 * DELAY + 1, "second", code="v3"),
    ],
    "only the owner announces": [
        do(0, "old", "force"),
        *[
            do(0, "thief", call, argument, error=NOT_OWNER)
            for call, argument in (
                ("void", 0),
                ("cancelVoid", 0),
                ("changeVerifiers", 3),
                ("changeBuilder", "thief"),
                ("changeOwner", "thief"),
                ("announceCode", "evil"),
                ("cancelVerifiers", 0),
                ("cancelBuilder", 0),
                ("cancelCode", 0),
            )
        ],
        see(2 * DELAY),
    ],
    "of two for one block the later": [
        do(0, "first", "changeBuilder", "thief", effective=DELAY),
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(1, "first", "changeVerifiers", 2, effective=DELAY + 1),
        do(1, "first", "changeVerifiers", 3, effective=DELAY + 1),
        see(DELAY, builder="new"),
        see(DELAY + 1, builder="new", quorum=3),
    ],
    "a former owner's last block": [
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(DELAY - 1, "first", "changeVerifiers", 3, effective=2 * DELAY - 1),
        do(DELAY - 1, "first", "changeBuilder", "thief", effective=2 * DELAY - 1),
        do(DELAY - 1, "first", "changeOwner", "thief", effective=2 * DELAY - 1),
        do(DELAY, "first", "changeBuilder", "thief", error=NOT_OWNER),
        do(DELAY, "second", "changeBuilder", "new", effective=2 * DELAY),
        see(DELAY, "second"),
        see(2 * DELAY - 1, "second"),
        see(2 * DELAY, "second", "new"),
    ],
    "a leaving owner's first block": [
        do(0, "first", "changeBuilder", "thief", effective=DELAY),
        do(0, "first", "changeVerifiers", 3, effective=DELAY),
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(0, "first", "changeBuilder", "thief", effective=DELAY),
        do(1, "first", "changeBuilder", "thief", effective=DELAY + 1),
        see(DELAY - 1),
        see(DELAY, "second"),
        see(DELAY + 1, "second"),
        see(3 * DELAY, "second"),
    ],
    "what a leaving owner announced before": [
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(0, "first", "changeVerifiers", 3, effective=DELAY),
        do(1, "first", "changeOwner", "second", effective=DELAY + 1),
        see(DELAY, builder="new", quorum=3),
        see(DELAY + 1, "second", "new", 3),
        see(3 * DELAY, "second", "new", 3),
    ],
    "of several owners the first": [
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(0, "first", "changeOwner", "thief", effective=DELAY),
        do(10, "first", "changeOwner", "thief", effective=DELAY + 10),
        see(DELAY, "second"),
        see(DELAY + 10, "second"),
        see(3 * DELAY, "second"),
    ],
    "owners one after another": [
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(5, "first", "changeBuilder", "thief", effective=DELAY + 5),
        do(DELAY, "second", "changeBuilder", "new", effective=2 * DELAY),
        do(DELAY + 1, "second", "changeOwner", "third", effective=2 * DELAY + 1),
        do(DELAY + 2, "second", "changeBuilder", "thief", effective=2 * DELAY + 2),
        do(2 * DELAY, "second", "changeVerifiers", 3, effective=3 * DELAY),
        see(2 * DELAY, "second", "new"),
        see(2 * DELAY + 2, "third", "new"),
        do(2 * DELAY + 1, "third", "changeBuilder", "newer", effective=3 * DELAY + 1),
        see(3 * DELAY, "third", "new"),
        see(3 * DELAY + 1, "third", "newer"),
        see(9 * DELAY, "third", "newer"),
    ],
    "a new owner's first block": [
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(DELAY, "second", "changeOwner", "third", effective=2 * DELAY),
        do(DELAY, "second", "changeOwner", "thief", effective=2 * DELAY),
        see(2 * DELAY - 1, "second"),
        see(2 * DELAY, "third"),
    ],
    "given to nobody": [
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(1, "first", "changeOwner", "nobody", effective=DELAY + 1),
        do(DELAY, "first", "changeOwner", "first", effective=2 * DELAY),
        do(DELAY + 1, "first", "changeOwner", "first", error=NOT_OWNER),
        see(DELAY + 1, "nobody", "new"),
        see(9 * DELAY, "nobody", "new"),
    ],
    "cancelled in time": [
        do(0, "first", "changeBuilder", "thief", effective=DELAY),
        do(1, "first", "changeVerifiers", 3, effective=DELAY + 1),
        do(DELAY - MARGIN - 1, "first", "cancelBuilder", effective=DELAY),
        do(DELAY - MARGIN, "first", "cancelVerifiers", effective=DELAY + 1),
        see(DELAY),
        see(DELAY + 1),
    ],
    "cancelled too late": [
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(0, "first", "changeVerifiers", 3, effective=DELAY),
        do(DELAY - MARGIN, "first", "cancelBuilder", error=TOO_LATE),
        do(DELAY - MARGIN, "first", "cancelVerifiers", error=TOO_LATE),
        do(DELAY - 1, "first", "cancelBuilder", error=TOO_LATE),
        do(DELAY, "first", "cancelBuilder", error=NOTHING),
        see(DELAY, builder="new", quorum=3),
    ],
    "nothing to cancel": [
        do(0, "old", "force"),
        do(0, "first", "cancelBuilder", error=NOTHING),
        do(0, "first", "cancelVerifiers", error=NOTHING),
        do(0, "first", "cancelCode", error=NOTHING),
        do(0, "first", "cancelVoid", 0, error=NOTHING),
        do(0, "first", "cancelVoid", 1, error=UNKNOWN),
        do(0, "first", "changeOwner", "second", effective=DELAY),
        do(1, "first", "changeBuilder", "thief", effective=DELAY + 1),
        do(2, "first", "cancelBuilder", error=NOTHING),
        see(DELAY, "second"),
    ],
    "cancelled one by one": [
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        do(10, "first", "changeBuilder", "newer", effective=DELAY + 10),
        do(20, "first", "changeBuilder", "thief", effective=DELAY + 20),
        do(30, "first", "cancelBuilder", effective=DELAY + 20),
        do(31, "first", "cancelBuilder", effective=DELAY + 10),
        do(32, "first", "changeBuilder", "newer", effective=DELAY + 32),
        see(DELAY, builder="new"),
        see(DELAY + 20, builder="new"),
        see(DELAY + 32, builder="newer"),
    ],
    "cancelled and announced in one block": [
        do(0, "first", "changeBuilder", "thief", effective=DELAY),
        do(0, "first", "cancelBuilder", effective=DELAY),
        do(0, "first", "changeBuilder", "new", effective=DELAY),
        see(DELAY, builder="new"),
    ],
    "voids": [
        do(0, "old", "force"),
        do(5, "old", "force"),
        do(6, "first", "void", 2, error=UNKNOWN),
        do(6, "first", "void", 0, effective=VOID),
        do(7, "first", "void", 0, error=VOIDED),
        do(DELAY + 5, "first", "void", 1, effective=VOID + 5),
        see(VOID - 1),
        see(VOID, voided=(0,)),
        see(VOID + 4, voided=(0,)),
        see(VOID + 5, voided=(0, 1)),
        do(VOID + 6, "first", "void", 1, error=VOIDED),
        do(VOID + 6, "first", "cancelVoid", 1, error=NOTHING),
    ],
    "a void of an old entry": [
        do(0, "old", "force"),
        do(DELAY + 1, "first", "void", 0, effective=VOID + 1),
        do(VOID, "old", "force"),
        do(VOID + 20_000, "first", "void", 1, effective=2 * VOID),
        see(VOID),
        see(VOID + 1, voided=(0,)),
        see(2 * VOID, voided=(0, 1)),
    ],
    "a void ends with its owner": [
        do(0, "old", "force"),
        do(10, "first", "void", 0, effective=VOID),
        do(1_000, "first", "changeOwner", "second", effective=DELAY + 1_000),
        see(DELAY + 1_000, "second"),
        do(DELAY + 1_000, "second", "cancelVoid", 0, error=NOTHING),
        do(DELAY + 1_001, "second", "void", 0, effective=VOID + 1_001),
        do(DELAY + 1_002, "second", "void", 0, error=VOIDED),
        see(VOID, "second"),
        see(VOID + 1_000, "second"),
        see(VOID + 1_001, "second", voided=(0,)),
    ],
    "a leaving owner's void": [
        do(0, "old", "force"),
        do(1, "first", "changeOwner", "second", effective=DELAY + 1),
        do(DELAY, "first", "void", 0, effective=VOID),
        see(VOID, "second"),
        see(9 * VOID, "second"),
    ],
    "a void up to its successor's day": [
        do(0, "old", "force"),
        do(1, "old", "force"),
        do(2, "first", "void", 0, effective=VOID),
        do(2, "first", "void", 1, effective=VOID + 1),
        do(VOID - DELAY + 1, "first", "changeOwner", "second", effective=VOID + 1),
        see(VOID, voided=(0,)),
        see(VOID + 1, "second", voided=(0,)),
    ],
    "a new owner's void": [
        do(0, "old", "force"),
        do(VOID - DELAY, "first", "changeOwner", "second", effective=VOID),
        do(VOID, "second", "void", 0, effective=VOID + DELAY),
        see(VOID, "second"),
        see(VOID + DELAY, "second", voided=(0,)),
    ],
    "a cancelled void": [
        do(0, "old", "force"),
        do(10, "first", "void", 0, effective=VOID),
        do(20, "first", "cancelVoid", 0, effective=VOID),
        do(21, "first", "cancelVoid", 0, error=NOTHING),
        do(30, "first", "void", 0, effective=VOID),
        do(VOID - MARGIN, "first", "cancelVoid", 0, error=TOO_LATE),
        see(VOID - 1),
        see(VOID, voided=(0,)),
    ],
    "a void cancelled in its last block": [
        do(0, "old", "force"),
        do(10, "first", "void", 0, effective=VOID),
        do(VOID - MARGIN - 1, "first", "cancelVoid", 0, effective=VOID),
        see(VOID),
        do(VOID, "first", "void", 0, effective=VOID + DELAY),
        see(VOID + DELAY, voided=(0,)),
    ],
}


def make_announcements() -> list[Case]:
    """The table, its steps in the order of their blocks."""
    return [{"name": name, "steps": sorted(steps, key=lambda step: int(step["at"]))} for name, steps in CASES.items()]
