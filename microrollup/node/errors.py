"""Errors of a running node, beside those of the kernel."""

from __future__ import annotations

from microrollup.errors import MicrorollupError

__all__ = ["NeedsSource", "NodeFault", "NotRecorded", "Overloaded"]


class Overloaded(MicrorollupError):
    """As much is in flight as may be; try again later. Nothing was taken."""


class NodeFault(MicrorollupError):
    """A fault of the node's, not of the action: nothing was taken, and the log has the details."""


class NeedsSource(MicrorollupError):
    """A node that follows another does not answer this by itself: that one does."""


class NotRecorded(MicrorollupError):
    """There is no such action, receipt or block."""
