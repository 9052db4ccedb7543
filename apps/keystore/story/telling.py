"""How the story is told: its steps with what they took, what was expected and came out, and the tables at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

import msgspec
from rich.console import RenderableType
from rich.text import Text

from microrollup.cli.output import Output, make_facts, make_table

__all__ = ["PHASES", "Figures", "Finding", "KeystoreChange", "Phase", "StoryRow", "Telling"]

Phase = Literal["set-up", "authentication", "settlement", "L2 ingestion", "use"]
PHASES: Final[tuple[Phase, ...]] = ("authentication", "settlement", "L2 ingestion")
"""Those that a change of the keystore goes through, in order."""

KeystoreChange = Literal["", "registration", "rotation", "forced rotation"]


class StoryRow(msgspec.Struct, frozen=True, rename="camel"):
    """What a step took."""

    step: str
    phase: Phase
    change: KeystoreChange
    """Of the keystore, that the step belongs to."""
    chain: str
    """Whose gas it is; empty if nobody's."""
    gas: int | None
    blob_gas: int | None
    bytes: int | None
    """Signed, published, or of calldata."""
    seconds: float
    """Of this machine's work; the chains include at once."""
    l1_seconds: int
    """By which L1's own clock went on, 12 a block: what L1 makes everybody wait for."""


class Figures(msgspec.Struct):
    """What a step finds out about itself."""

    gas: int | None = None
    blob_gas: int | None = None
    bytes: int | None = None


class Finding(msgspec.Struct, frozen=True):
    """Something that the story shows."""

    what: str
    chain: str
    expected: str
    found: str
    ok: bool


class Telling:
    """Tells people as it goes, and keeps all of it for programs."""

    def __init__(self, output: Output, get_l1_time: Callable[[], int]) -> None:
        self.output = output
        self.get_l1_time = get_l1_time
        self.rows: list[StoryRow] = []
        self.outcomes: list[Finding] = []
        self._act = 0

    def begin(self, title: str, what: str) -> None:
        """An act of the story."""
        self._act += 1
        self.output.tell("", Text.assemble((f"{self._act}. {title}", "bold cyan"), f"  {what}"), "")

    @contextmanager
    def timed(self, step: str, phase: Phase, chain: str = "", change: KeystoreChange = "") -> Iterator[Figures]:
        """A step; it is told when it is done."""
        l1_started, started = self.get_l1_time(), time.monotonic()
        figures = Figures()
        yield figures
        seconds = round(time.monotonic() - started, 2)
        l1_seconds = self.get_l1_time() - l1_started
        row = StoryRow(step, phase, change, chain, figures.gas, figures.blob_gas, figures.bytes, seconds, l1_seconds)
        self.rows.append(row)
        parts = [f"{figures.gas:,} gas on {chain}"] if figures.gas is not None else []
        parts += [f"{figures.blob_gas:,} blob gas"] if figures.blob_gas else []
        parts += [f"{figures.bytes:,} bytes"] if figures.bytes is not None else []
        self.output.tell(make_facts({step: ", ".join([*parts, f"{seconds:.2f} s"])}))

    def expect(self, what: str, chain: str, expected: str, found: str) -> None:
        """Something must come out as it does."""
        self.outcomes.append(Finding(what, chain, expected, found, expected == found))
        verdict = Text(f"✓ {what}: ", style="green") if expected == found else Text(f"✗ {what}: ", style="bold red")
        said = found if expected == found else f"{found}, not {expected}"
        self.output.tell(Text.assemble(verdict, f"{said}  ({chain})" if chain else said))

    @property
    def ok(self) -> bool:
        """Whether all came out as expected."""
        return all(outcome.ok for outcome in self.outcomes)

    def make_steps_table(self) -> RenderableType:
        """All steps."""
        table = make_table("step", "phase", "gas of", "gas", "blob gas", "bytes", "seconds", "on L1's clock")
        for row in self.rows:
            cells = ["" if value is None else f"{value:,}" for value in (row.gas, row.blob_gas, row.bytes)]
            table.add_row(row.step, row.phase, row.chain, *cells, f"{row.seconds:.2f}", f"{row.l1_seconds:,}")
        return table

    def sum_phases(self) -> list[dict[str, object]]:
        """What each change of the keystore took, by phase."""
        changes = dict.fromkeys([row.change for row in self.rows if row.change])
        return [
            {
                "change": change,
                "phase": phase,
                "gas": sum(row.gas or 0 for row in rows),
                "blobGas": sum(row.blob_gas or 0 for row in rows),
                "bytes": sum(row.bytes or 0 for row in rows),
                "seconds": round(sum(row.seconds for row in rows), 2),
                "l1Seconds": sum(row.l1_seconds for row in rows),
            }
            for change in changes
            for phase in PHASES
            if (rows := [row for row in self.rows if (row.change, row.phase) == (change, phase)])
        ]

    def make_phases_table(self) -> RenderableType:
        """The same for people."""
        table = make_table("change", "phase", "gas", "blob gas", "bytes", "seconds", "on L1's clock")
        for entry in self.sum_phases():
            numbers = [f"{entry[name]:,}" for name in ("gas", "blobGas", "bytes", "seconds", "l1Seconds")]
            table.add_row(str(entry["change"]), str(entry["phase"]), *numbers)
        return table
