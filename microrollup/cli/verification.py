"""Verifiers as commands use them: the request to a verifier's process, and its report for programs and people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType

from microrollup.cli.directory import read_key
from microrollup.cli.output import Output, make_facts, show_progress
from microrollup.cli.parameters import choose_workers
from microrollup.errors import MicrorollupError
from microrollup.settlement.place import L1Place
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Progress, Report, Request
from microrollup.verifier.launch import run_verifier

__all__ = ["describe_report", "make_request", "render_report", "show_divergence", "watch_verifier", "watch_verifiers"]

SIGNED_SUFFIX: Final = ".signed"
"""What a key has signed is written down in a directory beside its file: it must outlive every store."""


def make_request(
    app: str,
    source: Path | str | None,
    directory: Path,
    *,
    l1: L1Place | None = None,
    key: Path | None = None,
    rollup_id: bytes | None = None,
    workers: int | None = None,
    follow: bool = False,
) -> Request:
    """The request to the verifier's process, which works elsewhere: all paths are made absolute."""
    return Request(
        app=app,
        source=str(source.absolute()) if isinstance(source, Path) else source,
        directory=str(directory.absolute()),
        python_path=[str(Path(path).absolute()) for path in ["", *sys.path]],
        l1=l1,
        secret=None if key is None else read_key(key).secret.hex(),
        rollup_id=None if rollup_id is None else rollup_id.hex(),
        workers=choose_workers(workers, source if isinstance(source, Path) else None),
        signed=None if key is None else f"{key.absolute()}{SIGNED_SUFFIX}",
        follow=follow,
    )


def watch_verifier(request: Request) -> Report | DivergenceEvent:
    """Run the verifier's process with a progress bar. Raises `MicrorollupError` if it could not do its work."""
    with show_progress("verifying") as advance:
        seen = 0

        def follow(progress: Progress) -> None:
            nonlocal seen
            advance(progress.actions - seen)
            seen = progress.actions

        return _require_outcome(run_verifier(request, follow))


def watch_verifiers(requests: Sequence[Request]) -> list[Report | DivergenceEvent]:
    """Several at once, each in a process of its own; the progress is the first one's. Raises `MicrorollupError`."""
    first, *others = requests
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(run_verifier, request) for request in others]
        return [watch_verifier(first), *[_require_outcome(each.result()) for each in running]]


def _require_outcome(outcome: Report | DivergenceEvent | ErrorEvent) -> Report | DivergenceEvent:
    if isinstance(outcome, ErrorEvent):
        raise MicrorollupError(outcome.message)
    return outcome


def describe_report(report: Report) -> dict[str, Any]:
    """The report as programs read it."""
    return {
        "verified": report.verified,
        "stateRoot": report.state_root,
        "attestations": [json.loads(bytes(attestation)) for attestation in report.attestations],
        "rollupId": report.rollup_id,
        "blockHash": report.block_hash,
        "metadataRoot": report.metadata_root,
        "firstVerified": report.first,
        "actions": report.actions,
        "unchecked": report.unchecked,
    }


def render_report(report: Report) -> RenderableType:
    """The report for people."""
    new = "nothing new" if report.first > report.verified else f"now: {report.first} to {report.verified}"
    facts: dict[str, object] = {
        "verified": f"height {report.verified} ({new})",
        "actions": report.actions,
        "state root": report.state_root,
        "block hash": report.block_hash,
        "rollup id": report.rollup_id,
        "attestations": len(report.attestations),
    }
    if report.unchecked:
        facts["unchecked"] = f"{', '.join(report.unchecked)} (give an L1)"
    return make_facts(facts)


def show_divergence(event: DivergenceEvent, output: Output) -> None:
    """What is wrong with the blocks, for programs or people."""
    found = {
        "height": event.height,
        "seq": event.seq,
        "field": event.field,
        "expected": event.expected,
        "found": event.found,
    }
    output.show(found, "The blocks are NOT right. The first difference:", make_facts(dict(found)))
