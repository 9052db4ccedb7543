"""A history of many blocks with snapshots on the way, for tests of its verification in segments."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain
from microrollup.chain.block import Block
from microrollup.chain.export import write_blocks
from microrollup.deployment.segmenting import SegmentedReport, SegmentRequest
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.segment import SegmentTask
from microrollup.segments.shelf import SnapshotShelf
from microrollup.segments.worker import run_segment
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.verifier.events import DivergenceEvent, Report
from zoo import zoo

BLOCKS: Final = 24
SPACING: Final = 4
"""A snapshot after so many blocks."""


class History:
    """A chain of `BLOCKS` blocks with forced actions, its block file, and a shelf of snapshots."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.chain = Chain(root)
        self.shelf = SnapshotShelf(root / "snapshots")
        self.shelf.directory.mkdir()
        rng = random.Random(14)
        for _ in range(BLOCKS // SPACING):
            self.chain.work(rng, SPACING)
            path = self.shelf.directory / "writing"
            self.shelf.place(write_snapshot(self.chain.ledger.environment, zoo, path), path)
        self.blocks = self.chain.get_blocks()
        self.file = self.write("blocks", self.blocks)
        self.tip = self.chain.ledger.checkpoint

    def write(self, name: str, blocks: list[Block]) -> Path:
        """A block file."""
        path = self.root / name
        write_blocks(path, self.chain.genesis, blocks)
        return path

    def request(self, work: Path, **changes: Any) -> SegmentRequest:
        """A request over the block file and the shelf, a segment per snapshot."""
        base = SegmentRequest("zoo:zoo", self.file, "processes:2", work, self.shelf.directory, least_actions=1)
        return msgspec.structs.replace(base, **changes)

    def settle(self, blocks: list[Block]) -> None:
        """Settle blocks as one batch."""
        l1, batch = self.chain.l1, encode_batch(self.chain.ledger.rollup_id, blocks)
        head = l1.get_settled()
        attestation = create_attestation(
            head.block_hash, blocks[0].header.height, blocks[-1].header, compute_data_hash(batch)
        )
        signed = sign_attestation(VERIFIER_KEY, attestation, self.chain.genesis.l1_chain_id, l1.get_inbox())
        l1.settle(batch, blocks[-1].header, [signed], submitter=BUILDER)

    def close(self) -> None:
        self.chain.close()


def report_of(found: SegmentedReport) -> Report:
    assert isinstance(found.outcome, Report)
    return found.outcome


def require_right(found: SegmentedReport, history: History) -> None:
    """The verdict must be that all is right, and about the right chain."""
    report = report_of(found)
    assert (BLOCKS, history.tip.next_seq) == (report.verified, report.actions)
    assert report.block_hash == f"0x{history.tip.block_hash.hex()}"


def divergence_of(found: SegmentedReport) -> DivergenceEvent:
    assert isinstance(found.outcome, DivergenceEvent)
    return found.outcome


def lie(block: Block) -> Block:
    """The block with another receipts root."""
    header = msgspec.structs.replace(block.header, receipts_root=b"\x01" * 32)
    return msgspec.structs.replace(block, header=header)


class Inline:
    """An executor of threads in this process. `spoil` may raise in place of a task, or change its result."""

    def __init__(self, spoil: Callable[[SegmentTask, Callable[[], bytes]], Any]) -> None:
        self.trusted, self.opened = True, 0
        self._threads: _Threads | None = None
        self.workers: int | None = None
        self._spoil = spoil
        self._lock = threading.Lock()

    def open(self) -> Executor:
        self.opened += 1
        self._threads = _Threads(self._run)
        return self._threads

    def _run(self, raw: bytes) -> Any:
        task = msgspec.json.decode(raw, type=SegmentTask)
        with self._lock:  # an app's module has one state per process
            return self._spoil(task, lambda: run_segment(raw))

    def close(self) -> None:
        """Nothing is at work after this: a thread cannot be killed as a process is."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def clean(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)

    def is_alive(self) -> bool:
        return True

    def count_workers(self) -> int:
        return 2


class _Threads(ThreadPoolExecutor):
    def __init__(self, run: Callable[[bytes], Any]) -> None:
        super().__init__(2)
        self._run = run

    def submit(self, _: Any, /, *args: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
        return super().submit(self._run, *args)


def use_inline(
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[SegmentTask, Callable[[], bytes]], Any] = lambda _, run: run(),
    *,
    trusted: bool = True,
) -> Inline:
    """Have requests run by an `Inline`."""
    made = Inline(spoil)
    made.trusted = trusted
    monkeypatch.setattr("microrollup.deployment.segmenting.parse_executor", lambda _: made)
    return made
