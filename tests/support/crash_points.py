"""Where a leader can crash: before and after each arrow of execute -> append -> commit -> acknowledge."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import lmdb

from microrollup.ledger.ledger import Ledger
from microrollup.node.runtime import Node
from microrollup.replication.leading import LeaderLog
from microrollup.replication.postgres import PostgresLog
from microrollup.store.environment import Environment

__all__ = ["FULL", "POINTS", "install"]

FULL: Final = "full"
POINTS: Final = (
    "executed", "append sent", "appended", "committed", "acknowledged", "close appended", "close committed"
)  # fmt: skip


def install(point: str, count: int) -> None:
    """Let this process end by SIGKILL when it passes a point for the `count`-th time; `FULL`: see there."""
    left = [count]

    def pass_by() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: type, name: str, before: Callable[[Any], bool], after: Callable[[Any], bool]) -> None:
        inner = getattr(owner, name)

        def wrapped(*arguments: Any, **others: Any) -> Any:
            if before(arguments):
                pass_by()
            result = inner(*arguments, **others)
            if after(arguments):
                pass_by()
            return result

        setattr(owner, name, wrapped)

    def never(_: Any) -> bool:
        return False

    def closes(arguments: Any) -> bool:
        return len(arguments) == 5 and arguments[4] is not None

    def has_remote(arguments: Any) -> bool:
        return arguments[0].remote is not None

    if point == FULL:
        _refuse_when_full()
        return
    match point:
        case "executed":
            around(LeaderLog, "append", lambda _: True, never)
        case "append sent":
            _crash_while_sending(pass_by)
        case "appended":
            around(LeaderLog, "append", never, lambda arguments: not closes(arguments))
        case "committed":
            around(Ledger, "commit", never, has_remote)
        case "acknowledged":
            around(Node, "acknowledge", never, lambda _: True)
        case "close appended":
            around(LeaderLog, "append", never, closes)
        case "close committed":
            around(Ledger, "finish", never, has_remote)
        case _:
            raise ValueError(point)


def _refuse_when_full() -> None:
    """While a file `full` lies beside a store's own, its commits fail as LMDB's do when the disk is full."""
    inner = Environment.write

    @contextmanager
    def write(environment: Environment) -> Iterator[Any]:
        with inner(environment) as txn:
            yield txn
            if (environment.directory / FULL).exists():
                raise lmdb.DiskError(f"{environment.directory}: {os.strerror(errno.ENOSPC)}")

    Environment.write = write  # type: ignore[method-assign]


def _crash_while_sending(pass_by: Callable[[], None]) -> None:
    """The statement is on its way, and nobody will read the answer."""

    def append(log: PostgresLog, leadership: Any, end: Any, rows: Any, header: bytes | None = None) -> None:
        session = log._connect()
        chains, records = [chain for chain, _ in rows], [record for _, record in rows]
        session.pgconn.send_query_params(
            b"SELECT microrollup.append($1, $2, $3, $4, $5::bytea[], $6::bytea[], $7, false)",
            [
                str(leadership.epoch).encode(), leadership.node.encode(), str(end.number).encode(),
                _hex(end.chain), _array(chains), _array(records), None if header is None else _hex(header),
            ],
        )  # fmt: skip
        session.pgconn.flush()
        pass_by()
        while session.pgconn.get_result() is not None:
            pass

    PostgresLog.append = append  # type: ignore[method-assign]


def _hex(value: bytes) -> bytes:
    return b"\\x" + value.hex().encode()


def _array(values: list[bytes]) -> bytes:
    return b"{" + b",".join(b'"\\\\x' + value.hex().encode() + b'"' for value in values) + b"}"
