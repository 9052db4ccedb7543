"""What a scrub finds, and what passes between its process and its starter, as JSON lines."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = [
    "Counted",
    "Damage",
    "Failed",
    "Finished",
    "Found",
    "Reading",
    "ScrubEvent",
    "ScrubReport",
    "ScrubRequest",
    "TableProgress",
    "Unchecked",
    "choose_repair",
]

_REPLAY: Final = "`replay` rebuilds it from the log"
_PEER: Final = "verify the blocks of a peer into a new store, or restore a snapshot"
_REPAIRS: Final = {
    "log": _PEER,
    "data.mdb": _PEER,
    "settled": "it is noted again as the settlement is read; until then old heights are kept for longer or shorter",
    "l1": "nothing: it stands for L1 in development; take it from a backup, or begin a new rollup",
    "indexes": "a node fills it again; remove its directory in `indexes` if it does not",
    "nodes": "opening the store or `replay` hashes it again from the leaves",
}


class Damage(msgspec.Struct, frozen=True):
    """Something that is not as it was written."""

    where: str
    """Table (or file), then key, height or row number after a slash."""
    reason: str
    repair: str
    """What to do about it."""


class ScrubReport(msgspec.Struct, frozen=True):
    """What a scrub read, and what it found."""

    checked: dict[str, int]
    """Rows by table, leaves and nodes by file, as far as they could be read."""
    damages: list[Damage]
    unchecked: list[str]
    """What could not be looked at, and why: mostly because something that it depends on is damaged."""
    writer_active: bool
    """Somebody was writing the store meanwhile; what was read is its state when the scrub began."""


class ScrubRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to scan."""

    directory: str
    app: str
    """`module:name`"""
    python_path: list[str]
    first_stage: int = 0
    unreadable: list[str] = []
    """Tables that earlier processes could not read to their end."""
    wrong: list[str] = []
    """Tables and files in which they found anything."""


class Reading(msgspec.Struct, frozen=True, tag="reading"):
    """A stage begins."""

    stage: int
    table: str
    """The table or file that is to blame if the process ends here."""


class TableProgress(msgspec.Struct, frozen=True, tag="progress"):
    """So much of the stage's table is read."""

    table: str
    done: int
    total: int


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Damage."""

    where: str
    reason: str
    unreadable: bool = False
    """The table cannot be read to its end; nothing else is compared with it."""


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """A table was read to its end."""

    table: str
    rows: int


class Unchecked(msgspec.Struct, frozen=True, tag="unchecked"):
    """Something could not be looked at."""

    what: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The scan cannot be done, which says nothing about damage."""

    kind: str
    message: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """All stages are done."""

    restored: bool
    """The store came from a snapshot: its log does not reach back to the genesis."""


ScrubEvent = Reading | TableProgress | Found | Counted | Unchecked | Failed | Finished


def choose_repair(where: str, *, restored: bool) -> str:
    """What repairs damage in a table; a restored store cannot be rebuilt from its own log."""
    repair = _REPAIRS.get(where.partition("/")[0], _REPLAY)
    return _PEER if restored and repair == _REPLAY else repair
