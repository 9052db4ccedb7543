"""`microrollup verify`: somebody else's blocks, re-executed in a process and a store of their own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.directory import read_key
from microrollup.cli.output import Command, Output, json_option, make_facts, show_progress
from microrollup.cli.parameters import PATH, app_argument, choose_workers, hex_bytes, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.errors import MicrorollupError, UsageError
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Progress, Report, Request
from microrollup.verifier.launch import run_verifier

__all__ = ["describe_report", "make_request", "verify_command", "watch_verifier"]

SIGNED_SUFFIX: Final = ".signed"
"""What a key has signed is written down in a directory beside its file: it must outlive every store."""


@click.command("verify", cls=Command)
@app_argument
@click.option("--from", "source", type=PATH, required=True, metavar="FILE|DIR", help="Exported blocks, or a store.")
@click.option("--data", "directory", type=PATH, metavar="DIR", help="The verifier's own store [default: temporary].")
@click.option("--l1", type=PATH, metavar="DIR", help="Local settlement, to check time, builder and forced actions too.")
@click.option("--key", type=PATH, metavar="KEYFILE", help="Attest with this verifier's key; needs --l1.")
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Verify this rollup or none.")
@workers_option
@json_option
def verify_command(
    app: str,
    source: Path,
    directory: Path | None,
    l1: Path | None,
    key: Path | None,
    rollup_id: bytes | None,
    workers: int | None,
    output: Output,
) -> int:
    """Re-execute somebody else's blocks and compare every commitment.

    Every signature is checked again and every action executed again, in a process of its own that trusts nobody.
    Exit code 1: a block is not what re-execution gives; the first field that differs is named.
    """
    if key is not None and l1 is None:
        raise UsageError("--key needs --l1: without a view of L1 a verifier never signs")
    with _open_directory(directory) as own:
        request = make_request(app, source, own, l1=l1, key=key, rollup_id=rollup_id, workers=workers)
        outcome = watch_verifier(request)
    if isinstance(outcome, DivergenceEvent):
        found = {
            "height": outcome.height,
            "seq": outcome.seq,
            "field": outcome.field,
            "expected": outcome.expected,
            "found": outcome.found,
        }
        output.show(found, "The blocks are NOT right. The first difference:", make_facts(dict(found)))
        return EXIT_FAILED
    document = describe_report(outcome)
    output.show(document, _render(outcome))
    return 0


@contextmanager
def _open_directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="microrollup-verify-") as temporary:
        yield Path(temporary)


def make_request(
    app: str,
    source: Path,
    directory: Path,
    *,
    l1: Path | None = None,
    key: Path | None = None,
    rollup_id: bytes | None = None,
    workers: int | None = None,
) -> Request:
    """The request to the verifier's process, which works elsewhere: all paths are made absolute."""
    return Request(
        app=app,
        source=str(source.absolute()),
        directory=str(directory.absolute()),
        python_path=[str(Path(path).absolute()) for path in ["", *sys.path]],
        l1=None if l1 is None else str(l1.absolute()),
        secret=None if key is None else read_key(key).secret.hex(),
        rollup_id=None if rollup_id is None else rollup_id.hex(),
        workers=choose_workers(workers, source),
        signed=None if key is None else f"{key.absolute()}{SIGNED_SUFFIX}",
    )


def watch_verifier(request: Request) -> Report | DivergenceEvent:
    """Run the verifier's process with a progress bar. Raises `MicrorollupError` if it could not do its work."""
    with show_progress("verifying") as advance:
        seen = 0

        def follow(progress: Progress) -> None:
            nonlocal seen
            advance(progress.actions - seen)
            seen = progress.actions

        outcome = run_verifier(request, follow)
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


def _render(report: Report) -> Any:
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
        facts["unchecked"] = f"{', '.join(report.unchecked)} (give --l1)"
    return make_facts(facts)
