"""Opening a replicated log by its URL."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from microrollup.errors import UsageError
from microrollup.replication.protocol import ReplicatedLog
from microrollup.replication.sqlite import SqliteLog

__all__ = ["LogUrl", "ReplicaPlace"]

_SQLITE: Final = "sqlite:"


class LogUrl(str):
    """A URL that may hold a password."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        """Without user, password and options."""
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path


class ReplicaPlace(msgspec.Struct, frozen=True):
    """Where the replicated log is, and who this node is in it."""

    url: str
    node: str
    """This node's name: another one for each data directory."""
    advertise: str | None = None
    """URL under which the other nodes reach this one; by default where it listens."""
    single_copy: bool = False
    """A database without a second copy will do."""

    def open(self) -> ReplicatedLog:
        """One more session, which connects at its first call. Raises `UsageError` for a URL of another kind."""
        return _open(self.url, single_copy=self.single_copy)


def _open(url: str, *, single_copy: bool) -> ReplicatedLog:
    """A session with the log at `postgresql://…`, or in the file of `sqlite:PATH`."""
    if url.startswith(_SQLITE):
        if not single_copy:
            raise UsageError("an SQLite file has no second copy: it needs --single-copy, and is for tests")
        return SqliteLog(Path(url.removeprefix(_SQLITE)))
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("a replicated log is named postgresql://USER@HOST/DATABASE or sqlite:PATH")
    try:
        from microrollup.replication.postgres import PostgresLog  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UsageError(f"{error}: a replicated log needs `pip install 'microrollup[ha]'`") from None
    return PostgresLog(url, single_copy=single_copy)
