"""What a replicated log refuses, and what it leaves open."""

from __future__ import annotations

from microrollup.errors import MicrorollupError

__all__ = ["Fenced", "LogMoved", "NoAnswer", "NotReplicated", "OtherLog", "ReplicationError", "WeakDurability"]


class ReplicationError(MicrorollupError):
    """The replicated log cannot be used as asked; the text says what to do."""


class NoAnswer(ReplicationError):
    """The database gave no answer, or one that proves nothing: whether the change was made is not known."""


class Fenced(ReplicationError):
    """Another node leads, or led since: what this node has in memory and not in the log is void."""


class LogMoved(ReplicationError):
    """The log does not end where the caller supposes."""


class OtherLog(ReplicationError):
    """A node's own log is not a prefix of the replicated one."""

    def __init__(self, number: int, own: bytes, found: bytes | None) -> None:
        """`number` is of the own log's last record; 32-byte chain values after it, `found` None for no record."""
        shown = "nothing" if found is None else f"chain 0x{found.hex()}"
        super().__init__(
            f"the log here has record {number} with chain 0x{own.hex()}, the replicated one has {shown} there: this"
            " data directory cannot join; keep it for inspection, and make a new one with `microrollup replica adopt`"
        )
        self.number = number
        self.own = own
        self.found = found


class NotReplicated(ReplicationError):
    """The database holds no log, or one of another rollup; `microrollup replica seed` makes one."""


class WeakDurability(ReplicationError):
    """A setting of the database would let it lose what it has confirmed."""
