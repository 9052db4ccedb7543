"""Apps that go by a name: `microrollup run keystore` works in every directory, whatever modules that directory has.

A package announces an app as an entry point of the group `microrollup.apps`: a name, and `module:attribute`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["GROUP", "find_app"]

GROUP: Final = "microrollup.apps"
"""The group of entry points."""

_CHECKOUT: Final = Path(__file__).parents[2]


def find_app(name: str) -> str | None:
    """`module` or `module:attribute` of the app of this name; None if no package announces it.

    In a checkout of this repository its own `apps` come first: an editable installation holds a copy of them, which
    does not follow changes. Where another package `apps` is in front of them, that copy is taken.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  # takes 10 ms

    if _is_in_checkout(name):
        return f"apps.{name}"
    return next((entry.value for entry in entry_points(group=GROUP, name=name)), None)


def _is_in_checkout(name: str) -> bool:
    path = _CHECKOUT / "apps" / name / "__init__.py"
    if not path.is_file():
        return False
    try:
        spec = find_spec(f"apps.{name}")
    except ImportError:
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin) == path
