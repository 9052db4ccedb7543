"""Admission: what a node asks before it executes a signed action that it takes itself, so could refuse.

It is the node's own policy. Verifiers, replay and readers of L1 never ask it, and no entry of the log
shows that it was asked; what is forced passes it by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from microrollup.declaration.context import Context, Revert
from microrollup.declaration.map import StoreFault
from microrollup.errors import NotAdmitted, RefusedError
from microrollup.execution.attempt import HitLimit, name_limit, read_reason
from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.faults import describe_error

if TYPE_CHECKING:
    from microrollup.declaration.action import Action
    from microrollup.declaration.state import State

__all__ = ["Admission", "find_refusal"]

_log = structlog.get_logger(__name__)


class Admission(Protocol):
    """Says of a signed action, in the state that it would be executed in, whether the node takes it."""

    def require(self, state: State, action: Action, ctx: Context) -> None:
        """Raises a `RefusedError` or `Revert` if it does not."""
        ...

    def note(self, sender: bytes, status: int) -> None:
        """An action of a 20-byte sender was taken, and this is its receipt's status."""
        ...


def find_refusal(
    admission: Admission, state: State, action: Action, ctx: Context, context: BlockContext
) -> RefusedError | None:
    """Why an action is not taken, asked under the watch that state transition functions are under; None if it is taken.

    A policy that fails refuses: the log says why. Raises `HitLimit`, `StoreFault`.
    """
    context.ticket += 1
    try:
        admission.require(state, action, ctx)
        if context.interrupted:
            raise Interrupted
        context.ticket += 1
    except RefusedError as refusal:
        return refusal
    except Revert as revert:
        return NotAdmitted(read_reason(revert)[1])
    except (RecursionError, MemoryError, Interrupted) as limit:
        if isinstance(limit, Interrupted) and not context.ticket & 1:
            raise
        context.interrupted, hit = False, name_limit(limit)
    except (StoreFault, KeyboardInterrupt):
        raise
    except BaseException as error:
        _log.error("admission_failed", action=type(action).__name__, error=describe_error(error))
        return NotAdmitted("the app's admission policy fails on it; the node's log says why")
    else:
        return None
    finally:
        context.ticket += context.ticket & 1
    raise HitLimit(hit)
