"""What a client waits for: levels of confirmation, and a node that still builds blocks."""

from __future__ import annotations

from typing import Any, Final, assert_never

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.answers.confirmations import Confirmation, Level
from microrollup.chain.answers.node import StatusAnswer
from microrollup.client.connection import Connection
from microrollup.client.errors import BadAnswer, BlockInvalid, IntakeClosed, RpcError

__all__ = ["LEVELS", "StopWatch", "is_reached", "name_target"]

LEVELS: Final[tuple[Level, ...]] = ("C0", "C1", "C2", "C3A", "C3B")
"""Acknowledged and durable; executed; verified; data available; settled. An action at C1X is as far as one at C1."""

_RANKS: Final[dict[str, int]] = {"C1X": 1, **{level: rank for rank, level in enumerate(LEVELS)}}
_INVALID: Final = "C2X"
_INTAKE_STOPPED: Final = -32003
_STOPS: Final = 4
"""So often in a row a node says that it has stopped before it is believed: one that restarts says so for a moment."""


class StopWatch:
    """Notices that a node has stopped, so that nobody waits for a block that it does not close."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stops = 0

    async def require_closing(self, reached: Confirmation) -> None:
        """Look, while a block is open. Raises `IntakeClosed` once the node has said for long that it has stopped."""
        reason = await self._find_reason() if reached.level == LEVELS[0] else None
        self._stops = 0 if reason is None else self._stops + 1
        if self._stops >= _STOPS:
            message = f"block {reached.height} is not closed, since the node has stopped: {reason}"
            raise IntakeClosed(_INTAKE_STOPPED, message, {"reason": reason})

    async def _find_reason(self) -> str | None:
        """Why the node closes no blocks; None if it does, or does not say."""
        try:
            status = await self._connection.ask("status", StatusAnswer)
        except (RpcError, BadAnswer):  # it does not serve that, or is of another release
            return None
        return status.reason if status.intake == "stopped" and status.follower is None else None


def name_target(target: SignedAcknowledgement | bytes | int) -> dict[str, Any]:
    """The params that name what is to be confirmed."""
    match target:
        case SignedAcknowledgement():
            return {"hash": f"0x{target.action_hash.hex()}"}
        case bytes():
            return {"hash": f"0x{target.hex()}"}
        case int():
            return {"height": target}
        case _:
            assert_never(target)


def is_reached(confirmation: Confirmation, level: str) -> bool:
    """Whether a block has come to a level. Raises `BlockInvalid` for one at C2X."""
    if confirmation.level == _INVALID:
        raise BlockInvalid(confirmation.height)
    return _RANKS[confirmation.level] >= _RANKS[level]
