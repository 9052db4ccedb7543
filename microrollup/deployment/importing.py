"""JSON Lines of signed actions and envelopes become durable, executed and sealed blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from microrollup.chain.receipt import EXECUTED, FAULTED, REJECTED
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.directory import OpenRollup, VerifierChoice, open_rollup, require_settled
from microrollup.errors import DuplicateAction, RefusedError
from microrollup.execution.authentication import MAX_LINE_BYTES, Authenticated
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool, split_chunks
from microrollup.execution.envelope import Enveloped
from microrollup.ledger.ledger import Ledger
from microrollup.limits import MEMORY_BYTES, limited_memory
from microrollup.sequencer.sequencer import DEFAULT_BLOCK_SIZE, Decision, Sequencer
from microrollup.settlement.place import L1Place

__all__ = ["Acknowledge", "ImportReport", "Refusal", "import_actions", "import_lines", "read_lines"]

GROUP_CHUNKS: Final = 4
"""Chunks that are committed together: one sync for 2,000 actions."""

_EXPLAINED_REFUSALS: Final = 1_000
_MIN_STRANGERS: Final = 2
"""A single one may well be a new user."""

_MAX_LOOKED_AT: Final = 10_000
"""Lines whose senders are looked at: enough to tell, and a bound on what is remembered."""


Acknowledge = Callable[[list[tuple[int, int]]], None]
"""Is told (line, seq) of what has just become durable."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A line that was not logged."""

    line: int
    """Counted from zero."""
    error: str
    """The code of the `RefusedError`."""
    detail: str
    """Why, in words; empty after the first `_EXPLAINED_REFUSALS`, so that a million of them fit into memory."""


class ImportReport(msgspec.Struct, frozen=True):
    """What became of all lines, and where the rollup stands then."""

    lines: int
    counts: dict[int, int]
    """Receipt status -> lines."""
    refusals: list[Refusal]
    """In the order of the lines."""
    height: int
    state_root: bytes
    looked_at: int
    """Authenticated lines whose sender was looked at: the first `_MAX_LOOKED_AT`."""
    strangers: int
    """Those of them that do not state their sender, and whose sender the rollup had never seen before that line."""

    @property
    def failed(self) -> bool:
        """Whether a line was refused for another reason than that its action is in the log already."""
        return any(refusal.error != DuplicateAction.code for refusal in self.refusals)

    @property
    def warning(self) -> str | None:
        """What is probably wrong though nothing was refused."""
        if self.strangers < _MIN_STRANGERS or 2 * self.strangers <= self.looked_at:
            return None
        return (
            f"most senders are unknown: {self.strangers} of {self.looked_at} lines have no `sender` and are signed by"
            " addresses that this rollup had not seen. Unless these users are new, the lines were signed for another"
            " domain, and count for strangers; a line that states its `sender` is refused then"
        )

    def to_json(self) -> dict[str, object]:
        """The document that programs read."""
        return {
            "lines": self.lines,
            "executed": self.counts[EXECUTED],
            "rejected": self.counts[REJECTED],
            "faulted": self.counts[FAULTED],
            "refused": len(self.refusals),
            "refusals": [{"line": refusal.line, "error": refusal.error} for refusal in self.refusals],
            "height": self.height,
            "stateRoot": hex0x(self.state_root),
            "unknownSenders": self.strangers,
        }


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, which end at 0x0A only; the last one needs no end.

    Of a line longer than any may be only the beginning is held: `MAX_LINE_BYTES` + 1 bytes, enough for it to be refused
    as too large.
    """
    while line := file.readline(MAX_LINE_BYTES + 1):
        whole = line.endswith(b"\n")
        yield line[:-1] if whole else line
        while not whole and len(line) > MAX_LINE_BYTES and (rest := file.readline(MAX_LINE_BYTES)):
            whole = rest.endswith(b"\n")


class _Tally:
    """Collects outcomes by line."""

    def __init__(self, acknowledge: Acknowledge) -> None:
        self.counts = {EXECUTED: 0, REJECTED: 0, FAULTED: 0}
        self.refusals: list[Refusal] = []
        self._acknowledge = acknowledge

    def refuse(self, line: int, error: RefusedError) -> None:
        detail = error.detail if len(self.refusals) < _EXPLAINED_REFUSALS else ""
        self.refusals.append(Refusal(line, error.code, detail))

    def take(self, outcomes: list[tuple[int, Decision]]) -> None:
        acknowledged = []
        for line, outcome in outcomes:
            if isinstance(outcome, RefusedError):
                self.refuse(line, outcome)
            else:
                self.counts[outcome.receipt.status] += 1
                acknowledged.append((line, outcome.receipt.seq))
        self._acknowledge(acknowledged)


class _Stated(msgspec.Struct):
    """Of a line only whether it states its sender."""

    sender: msgspec.Raw | None = None


_STATED_DECODER: Final = msgspec.json.Decoder(_Stated)


class _Strangers:
    """Counts the senders that nobody has seen, among lines that do not state theirs."""

    def __init__(self, ledger: Ledger) -> None:
        self.looked_at = 0
        self.count = 0
        self._ledger = ledger
        self._seen: set[bytes] = set()
        self._stated: deque[bool] = deque()
        """Of the lines that have been read and not yet authenticated."""

    def watch(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """The lines, each looked at as it passes."""
        for line in lines:
            self._stated.append(_states_sender(line))
            yield line

    def look(self, outcome: Authenticated | Enveloped | RefusedError) -> None:
        """The outcome of the next line."""
        stated = self._stated.popleft()
        if not isinstance(outcome, Authenticated) or self.looked_at >= _MAX_LOOKED_AT:
            return
        self.looked_at += 1
        if not stated:
            self.count += outcome.sender not in self._seen and outcome.sender not in self._ledger.state.nonces
            self._seen.add(outcome.sender)


def _states_sender(line: bytes) -> bool:
    try:
        return _STATED_DECODER.decode(line).sender is not None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return True  # it is refused, or read by the strict parser: nothing is warned of


def _tell_nobody(_: list[tuple[int, int]]) -> None:
    return


def _ignore(_: int) -> None:
    return


def import_lines(
    opened: OpenRollup,
    pool: AuthenticationPool,
    lines: Iterator[bytes],
    *,
    block_size: int = DEFAULT_BLOCK_SIZE,
    acknowledge: Acknowledge = _tell_nobody,
    on_lines: Callable[[int], None] = _ignore,
) -> ImportReport:
    """Authenticate lines in the pool, execute and commit them in groups, and close the last block.

    A bad line is refused by itself. What `acknowledge` is told is durable. Raises `CommitFailed` and `IntakeStopped`
    when nothing more can be taken.
    """
    tally = _Tally(acknowledge)
    count = 0
    with closing(Sequencer[int](opened.ledger, opened.key, opened.l1, block_size=block_size)) as sequencer:
        sequencer.check_builder()
        strangers = _Strangers(opened.ledger)
        chunks = pool.authenticate_lines(split_chunks(strangers.watch(lines), CHUNK_SIZE))
        while group := list(islice(chunks, GROUP_CHUNKS)):
            first = count
            passed: list[tuple[int, Authenticated | Enveloped]] = []
            for chunk in group:
                for line, outcome in enumerate(chunk, count):
                    strangers.look(outcome)
                    if isinstance(outcome, RefusedError):
                        tally.refuse(line, outcome)
                    else:
                        passed.append((line, outcome))
                count += len(chunk)
            tally.take(sequencer.submit(passed))
            on_lines(count - first)
        tally.take(sequencer.give_up_waiting())
        sequencer.close_block()
    tally.refusals.sort(key=lambda refusal: refusal.line)
    ledger = opened.ledger
    return ImportReport(
        count,
        tally.counts,
        tally.refusals,
        ledger.checkpoint.height,
        ledger.header.state_root,
        strangers.looked_at,
        strangers.count,
    )


def import_actions(
    app: str,
    directory: Path,
    lines: Iterable[bytes],
    *,
    verifiers: VerifierChoice | None = None,
    l1: L1Place | None = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    workers: int = 0,
    acknowledge: Acknowledge = _tell_nobody,
    on_lines: Callable[[int], None] = _ignore,
) -> ImportReport:
    """Open a data directory for writing and import lines, signed actions and envelopes in JSON; see `import_lines`.

    The directory is made on first use when `verifiers` is given. `workers` processes check signatures, 0 for none.
    Raises what `open_rollup` raises, and `UsageError` if L1 has settled blocks that the directory does not hold.
    """
    rollup = load_rollup(app)
    with (
        limited_memory(MEMORY_BYTES),
        open_rollup(directory, rollup, verifiers=verifiers, l1=l1) as opened,
        AuthenticationPool(app, opened.ledger.genesis.domain, workers) as pool,
    ):
        require_settled(opened)
        pool.version = opened.ledger.authenticator.version
        return import_lines(
            opened, pool, iter(lines), block_size=block_size, acknowledge=acknowledge, on_lines=on_lines
        )
