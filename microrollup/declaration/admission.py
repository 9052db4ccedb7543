"""An app's admission policy: a function by which its nodes refuse actions before they execute them.

    def admit(state: Coin, action: Action, ctx: Context) -> None: ...

The declaration names its module as text, `MicroRollup(..., admission="coin_admission")`, so that it is outside of the
stfId: what it refuses does not happen, and what it takes is decided by the STF.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from microrollup.errors import DeclarationError, UsageError

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["load_admission"]

_NAME: Final = "admit"


def load_admission(rollup: MicroRollup) -> Callable[[Any, Any, Any], object] | None:
    """The app's policy, its module imported now; None for an app that takes every action.

    Raises `UsageError` for a module that cannot be imported, `DeclarationError` for one without `admit(state, action,
    ctx)`.
    """
    if rollup.admission is None:
        return None
    try:
        module = sys.modules.get(rollup.admission) or importlib.import_module(rollup.admission)
    except Exception as error:
        raise UsageError(f"{rollup.admission} cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, _NAME, None)
    if not inspect.isfunction(function) or len(inspect.signature(function).parameters) != 3:
        raise DeclarationError("admission", f"{rollup.admission} has no function {_NAME}(state, action, ctx)")
    return cast("Callable[[Any, Any, Any], object]", function)
