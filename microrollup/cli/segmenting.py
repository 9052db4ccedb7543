"""`--executor`: options, progress and report of a history that many workers verify or replay."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from microrollup.cli.output import Output, make_facts, show_steps
from microrollup.cli.parameters import PATH
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import describe_report, make_report_facts, show_divergence
from microrollup.deployment.workers import choose_workers
from microrollup.errors import UsageError
from microrollup.settlement.place import L1Place
from microrollup.verifier.events import DivergenceEvent

if TYPE_CHECKING:
    from microrollup.deployment.segmenting import SegmentedReport, SegmentRequest

__all__ = ["Segmented", "describe_segments", "list_segments", "segment_options", "show_segmented"]

F = TypeVar("F", bound=Callable[..., Any])


class Segmented(msgspec.Struct, frozen=True):
    """What the options say."""

    executor: str
    snapshots: Path | None
    least_actions: int | None

    def make_request(
        self,
        app: str,
        source: Path | str | None,
        work: Path,
        l1: L1Place | None,
        rollup_id: bytes | None,
        workers: int | None,
        *,
        once: bool,
    ) -> SegmentRequest:
        """The request. Where the cores belong to others' segments, the first pass checks signatures by itself unless
        `workers` are named.
        """
        from microrollup.deployment.segmenting import SegmentRequest  # noqa: PLC0415  # nobody else executes here

        return SegmentRequest(
            app=app,
            source=source,
            executor=self.executor,
            work=work.absolute(),
            snapshots=self.snapshots,
            l1=l1,
            rollup_id=rollup_id,
            least_actions=self.least_actions,
            workers=self._choose_workers(workers, source),
            once=once,
        )

    def _choose_workers(self, workers: int | None, source: Path | str | None) -> int:
        if not self.executor.startswith("processes"):
            return workers or 0
        return choose_workers(workers, source if isinstance(source, Path) else None)


def segment_options(command: F) -> F:
    """`--executor`, `--snapshots`, `--segment-actions`, as one argument `segmented`: None without an executor."""

    @click.option(
        "--executor",
        metavar="WHAT",
        help="Work in segments, by `processes[:N]` of this machine, or a Dask cluster: `dask://HOST:PORT`, `tls://…`.",
    )
    @click.option(
        "--snapshots",
        type=PATH,
        metavar="DIR",
        help="Start segments from these snapshots; if there are none, some are made and put there [default: those"
        " beside the store].",
    )
    @click.option(
        "--segment-actions",
        type=click.IntRange(1),
        metavar="N",
        help="Actions that a segment has at least [default: as many as its snapshot has rows; by processes a tenth of"
        " that].",
    )
    @wraps(command)
    def with_options(
        *args: Any, executor: str | None, snapshots: Path | None, segment_actions: int | None, **options: Any
    ) -> Any:
        if executor is None and (snapshots is not None or segment_actions is not None):
            raise UsageError("--snapshots and --segment-actions belong to --executor")
        segmented = None if executor is None else Segmented(executor, snapshots, segment_actions)
        return command(*args, segmented=segmented, **options)

    return with_options  # type: ignore[return-value]


def show_segmented(request: SegmentRequest, output: Output) -> int:
    """Verify with a progress bar, and show the verdict. Exit code 1: a block is not right."""
    from microrollup.deployment.segmenting import verify_in_segments  # noqa: PLC0415

    with show_steps("verifying blocks", as_json=output.as_json) as follow:
        report = verify_in_segments(request, follow)
    if isinstance(report.outcome, DivergenceEvent):
        show_divergence(report.outcome, output)
        return EXIT_FAILED
    document = describe_report(report.outcome) | describe_segments(report)
    output.show(document, make_facts(make_report_facts(report.outcome) | list_segments(report)))
    return 0


def describe_segments(report: SegmentedReport | None) -> dict[str, Any]:
    """How it went, as programs read it; nothing where it was not done in segments."""
    if report is None:
        return {}
    return {
        "segments": report.segments,
        "fromSnapshots": report.from_snapshots,
        "executorsLost": report.executors_lost,
        "executedAgain": report.executed_again,
        "segmentCpuSeconds": report.cpu_seconds,
    }


def list_segments(report: SegmentedReport | None) -> dict[str, object]:
    """The same for people."""
    if report is None:
        return {}
    starts = "kept snapshots" if report.from_snapshots else "snapshots made for it"
    facts: dict[str, object] = {"segments": 1 if report.segments == 1 else f"{report.segments}, from {starts}"}
    if report.executors_lost:
        facts["executors lost"] = report.executors_lost
    if report.executed_again:
        facts["executed again here"] = f"{report.executed_again} of the segments"
    return facts
