"""`python tests/support/conformance [FORMAT …]`: write the vector files again, all of them by default."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[3]))

from conformance.files import CLOSED_VERSIONS, FOLDER, FORMATS, RULES_VERSION, locate, render


def main(names: list[str]) -> None:
    """Write the files; a closed version's may not change."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or FORMATS:
        path, text = locate(name), render(name)
        if path.exists() and path.read_text() == text:
            continue
        if path.exists() and RULES_VERSION in CLOSED_VERSIONS:
            raise SystemExit(f"{name}: version {RULES_VERSION} is closed; raise RULES_VERSION")
        path.write_text(text)
        print(f"wrote {path.name}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
