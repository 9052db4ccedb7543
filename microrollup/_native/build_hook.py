"""Builds the native helper into the wheel, as `pyproject.toml` tells hatchling: where there is a compiler, the wheel is
for this kind of machine (`py3-none-PLATFORM`); without one it is for all (`py3-none-any`), and a warning says so.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

__all__ = ["NativeBuildHook"]

_ROOM: Final = "microrollup/_native"
_PORTABLE: Final = ("manylinux", "musllinux")
"""Platforms that promise more than was looked at: which libc a wheel needs."""


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles before the wheel is put together; for an editable installation into the checkout itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the wheel by the outcome."""
        directory = Path(self.root) / _ROOM
        compiling = _load_compiling(directory)
        is_editable = version == "editable"
        self._temporary = None if is_editable else tempfile.TemporaryDirectory(prefix="microrollup-native-")
        target = (directory if self._temporary is None else Path(self._temporary.name)) / compiling.LIBRARY_FILE
        try:
            compiling.compile_library(directory, target)
        except compiling.CompileFailed as failure:
            self.app.display_warning(f"microrollup is built without its native helper: {failure}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_find_platform()}"
        if not is_editable:
            build_data["force_include"][str(target)] = f"{_ROOM}/{compiling.LIBRARY_FILE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was compiled outside of the checkout."""
        if self._temporary is not None:
            self._temporary.cleanup()


def _load_compiling(directory: Path) -> ModuleType:
    """The module, without the package around it, whose dependencies are not there while it is built."""
    spec = importlib.util.spec_from_file_location("microrollup_native_compiling", directory / "compiling.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{directory / 'compiling.py'} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _find_platform() -> str:
    return next(name for name in platform_tags() if not name.startswith(_PORTABLE))
