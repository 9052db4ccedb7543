"""The recorded blocks of a data directory, executed by other code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from microrollup.chain.acknowledgement import make_event_forms
from microrollup.chain.receipt import STATUS_NAMES, Receipt
from microrollup.codec.document import to_document
from microrollup.declaration.events import EventReader
from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.genesis import read_genesis
from microrollup.maintenance.history_diff import ActionDifference, HistoryDiff, diff_history
from microrollup.store.tables import get_checkpoint

__all__ = ["describe_diff", "diff_directory"]


def diff_directory(
    app: str,
    directory: Path,
    first: int | None = None,
    *,
    limit: int = 100,
    workers: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> HistoryDiff:
    """Execute the closed blocks of a store by the code of `app`; the store's writer may go on.

    Signatures are checked by `workers` processes if there are any. `on_progress` is told the blocks executed so
    far, and all. Raises what `diff_history` raises, and `StoreError`s.
    """
    rollup = load_rollup(app)
    with open_readable(directory, rollup) as environment:
        total = get_checkpoint(environment.reader, environment.tables).height - (first or 1) + 1
        done = 0

        def count(_: int) -> None:
            nonlocal done
            done += 1
            on_progress(done, total)

        with AuthenticationPool(app, read_genesis(environment).domain, workers) as pool:
            return diff_history(environment, rollup, pool, first, limit=limit, on_block=count)


def describe_diff(diff: HistoryDiff, rollup: MicroRollup) -> dict[str, Any]:
    """The same as a JSON object; events have their members where `rollup` knows their classes."""
    reader = EventReader(rollup.event_classes)
    return {
        "from": diff.first,
        "to": diff.last,
        "entries": sum(count.entries for count in diff.types.values()),
        "differing": diff.differing,
        "types": [
            {
                "type": name, "entries": count.entries, "outcome": count.outcome, "events": count.events,
                "fields": count.fields,
            }
            for name, count in sorted(diff.types.items())
        ],
        "differences": [_describe_action(action, reader) for action in diff.actions],
        "blocks": [{"height": block.height, "fields": block.fields} for block in diff.blocks],
        "blocksWithoutFields": diff.fields_unknown,
    }  # fmt: skip


def _describe_action(action: ActionDifference, reader: EventReader) -> dict[str, Any]:
    return {
        "height": action.height,
        "seq": action.seq,
        "type": action.type,
        "recorded": _describe_receipt(action.recorded, reader),
        "executed": _describe_receipt(action.executed, reader),
        "note": action.note,
        "fields": list(action.fields),
    }


def _describe_receipt(receipt: Receipt | None, reader: EventReader) -> dict[str, Any] | None:
    if receipt is None:
        return None
    events = [to_document(form) for form in make_event_forms(receipt, reader.read)]
    return {"status": STATUS_NAMES[receipt.status], "reason": receipt.reason, "events": events}
