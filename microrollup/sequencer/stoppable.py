"""Intake that stops: asked to, or because memory is ahead of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from microrollup.errors import IntakeStopped, LimitExceeded
from microrollup.execution.block_context import Interrupted
from microrollup.ledger.ledger import Ledger
from microrollup.store.environment import name_error

__all__ = ["Stoppable"]

_log = structlog.get_logger(__name__)


class _StoppingOnFailure:
    """Whatever ends this early leaves the ledger's memory ahead of its store: nothing but a restart helps then."""

    __slots__ = ("_note",)

    def __init__(self, note: Callable[[BaseException], BaseException]) -> None:
        self._note = note

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, raised: BaseException | None, trace: object) -> None:
        if raised is None:
            return
        error = self._note(raised)
        if error is not raised:
            raise error from None if isinstance(raised, Interrupted) else raised


class Stoppable:
    """Whether actions are taken into a ledger, and why not."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._directory = ledger.environment.directory
        self._stopped: str | None = None
        self._failed = False
        self._stopping_on_failure: Final = _StoppingOnFailure(self._note_failure)

    @property
    def stopped(self) -> str | None:
        """Why no actions are taken; None while they are."""
        return self._stopped

    @property
    def failed(self) -> bool:
        """Whether the ledger's memory is ahead of its store: nothing but a restart helps."""
        return self._failed

    def stop(self, reason: str) -> None:
        """Take no more actions, as after a C2X; `rebuild` or a restart ends it.

        A failure that has stopped intake before stays the reason.
        """
        if not self._failed:
            self._stop(reason)

    def _note_failure(self, raised: BaseException) -> BaseException:
        """What is raised instead."""
        error = name_error(self._directory, raised)
        if not self._failed:
            self._failed = True
            self._stop(f"{str(error) or type(error).__name__}; restart to go on from what is durable")
        if isinstance(error, Interrupted):
            return LimitExceeded("an STF ran over its time limit while its outcome was being taken")
        return error

    def _stop(self, reason: str) -> None:
        self._stopped = reason
        _log.error("intake_stopped", reason=reason)

    def flush_some(self) -> None:
        """Write out a little of what closed blocks have changed, if that is going on; for when nothing comes in."""
        if not self._failed:
            with self._stopping_on_failure:
                self.ledger.flushing.write_slice(idle=True)

    def _require_intake(self) -> None:
        if self._stopped is not None:
            raise IntakeStopped(f"no actions are taken: {self._stopped}")
