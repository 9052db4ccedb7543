"""Verifiers as commands use them: the request to a verifier's process, and its report for programs and people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import RenderableType

from microrollup.cli.output import Output, make_facts, show_steps
from microrollup.deployment.verifying import verify_blocks
from microrollup.verifier.events import UNCHECKED_PROOFS, DivergenceEvent, Report, VerifierProgress, VerifierRequest

__all__ = [
    "describe_report",
    "follow_verifier",
    "make_report_facts",
    "render_report",
    "show_divergence",
    "watch_verifier",
]


def watch_verifier(request: VerifierRequest, *, as_json: bool) -> Report | DivergenceEvent:
    """Run the verifier's process with a progress bar. Raises `MicrorollupError` if it could not do its work."""
    with follow_verifier(as_json=as_json) as follow:
        return verify_blocks(request, follow)


@contextmanager
def follow_verifier(*, as_json: bool = False) -> Iterator[Callable[[VerifierProgress], None]]:
    """A progress bar for a verifier's process."""
    with show_steps("verifying blocks", as_json=as_json) as follow:
        yield lambda progress: follow(progress.height, progress.tip)


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
        "notJudged": report.waiting,
        "executedOnce": report.once,
        "missingCode": None if report.missing is None else msgspec.to_builtins(report.missing),
    }


def render_report(report: Report) -> RenderableType:
    """The report for people."""
    return make_facts(make_report_facts(report))


def make_report_facts(report: Report) -> dict[str, object]:
    """The report's facts for people, by name."""
    new = "nothing new" if report.first > report.verified else f"now: {report.first} to {report.verified}"
    facts: dict[str, object] = {
        "verified": f"height {report.verified} ({new})",
        "actions": report.actions,
        "state root": report.state_root,
        "block hash": report.block_hash,
        "rollup id": report.rollup_id,
        "attestations": len(report.attestations),
    }
    if report.waiting is not None:
        facts["not judged yet"] = f"from height {report.waiting} on: too few L1 blocks on top (--l1-depth)"
    if report.missing is not None:
        facts["announced"] = (
            f"the code {report.missing.stf_id}, in force from L1 block {report.missing.since} on: this app has no such"
            " version, and verification stops before the first block that needs it"
        )
    if report.once:
        facts["executed"] = "once (--once): an app that keeps state between calls goes unnoticed"
    if report.unchecked:
        advice = "the L1 node is believed" if report.unchecked == [UNCHECKED_PROOFS] else "give an L1"
        facts["unchecked"] = f"{', '.join(report.unchecked)} ({advice})"
    return facts


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
