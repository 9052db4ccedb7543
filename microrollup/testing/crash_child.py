"""The process whose writes `CrashExplorer` records: it takes steps in a store, and marks each one that has returned."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from microrollup.testing.execution import Senders
from microrollup.testing.retrace import TraceRequest, decode_steps, load_app
from microrollup.testing.stored import StoredRollup

__all__ = ["MARKS_FILE", "Mark", "make_mark"]

MARKS_FILE = "marks"
"""Among the recorded files, so that the marks have their places among the writes."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where the store stood when a step had returned, that is when its outcome was acknowledged."""

    next_seq: int
    height: int
    block_hash: bytes
    state: bytes
    """Digest of the state, the open block's actions included."""


def make_mark(rollup: StoredRollup) -> Mark:
    """Where a store stands now."""
    checkpoint, ledger = rollup.ledger.checkpoint, rollup.ledger
    return Mark(ledger.next_seq, checkpoint.height, checkpoint.block_hash, rollup.compute_digest())


def main() -> None:
    """Take the request's steps in the store of the directory that is named on the command line."""
    directory, senders = Path(sys.argv[1]), Senders(int(sys.argv[2]))
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=TraceRequest)
    app = load_app(request.app)
    encode = msgspec.msgpack.Encoder().encode
    with (
        StoredRollup(directory, app, senders, create=False) as rollup,
        (directory / "store" / MARKS_FILE).open("ab", buffering=0) as marks,
    ):
        for number, step in enumerate(decode_steps(app, request.steps)):
            if number == len(request.steps) // 2:
                rollup.reopen()
            rollup.apply(step)
            marks.write(encode(make_mark(rollup)))


if __name__ == "__main__":
    main()
