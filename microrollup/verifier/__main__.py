"""`python -m microrollup.verifier`: the process of `microrollup.verifier.process`, started by `launch`."""

import importlib
import sys

__all__: list[str] = []


def _import_structlog() -> None:
    """Without rich, which it imports where there is one, for tracebacks that are not shown here; that takes 40 ms."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        importlib.import_module("structlog")
        del sys.modules["rich"]


if __name__ == "__main__":
    _import_structlog()
    sys.exit(importlib.import_module("microrollup.verifier.process").main())
