"""`python -m microrollup.verifier`: the process of `microrollup.verifier.process`, started by `launch`."""

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

__all__: list[str] = []


def _import_structlog() -> None:
    """Without what it imports for tracebacks that are not shown here and for coroutines that nobody has: rich and
    asyncio take 40 and 60 ms. Its own asyncio is the real one as soon as it uses it.
    """
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        sys.modules["asyncio"] = late = ModuleType("asyncio")
        late.__getattr__ = _get_from_asyncio  # type: ignore[method-assign]
        importlib.import_module("structlog")
        del sys.modules["rich"], sys.modules["asyncio"]


def _get_from_asyncio(name: str) -> Any:
    return getattr(importlib.import_module("asyncio"), name)


if __name__ == "__main__":
    gc.disable()  # nothing that an import makes is garbage
    _import_structlog()
    process = importlib.import_module("microrollup.verifier.process")
    gc.enable()
    sys.exit(process.main())
