"""Row: what a plain install takes on the disk, by package, from what pip has written down of each.

The environment that runs this has more: only what the package itself asks for is counted, extras and the environment's
own tools are not.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row

__all__ = ["find_closure", "measure"]

_OWN: Final = "microrollup"
_ROOT: Final = Path(__file__).resolve().parent.parent
_OWN_FOLDERS: Final = ("microrollup", "apps/keystore")
_LEFT_OUT: Final = {"node_modules", "sdk", "js", "__pycache__"}
"""Folders of the checkout: packages of npm, and what is compiled of modules that somebody has imported."""
_SHOWN: Final = 6


def measure(bench: Bench) -> list[Row]:
    """All packages together; the largest are named."""
    bench.say("adding up installed files")
    sizes = {name: _measure_files(name) for name in find_closure(_OWN)}
    sizes[_OWN] = _measure_checkout()
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:_SHOWN]
    shown = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in largest)
    note = f"{len(sizes)} packages, compiled modules included, of ours the sources alone; the largest: {shown}"
    total = sum(sizes.values()) / 1e6
    return [make_size_row("install", "a plain install, without extras", total, "MB", note=note)]


def find_closure(name: str) -> set[str]:
    """The package and all that it requires here, by canonical names: extras count where a requirement names them."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "")]
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in found:
            continue
        found.add((package, extra))
        for line in metadata.requires(package) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                required = canonicalize_name(requirement.name)
                waiting += [(required, each) for each in ("", *requirement.extras)]
    return {package for package, _ in found}


def _measure_files(name: str) -> int:
    """Bytes of the files that pip lists for a distribution; commands outside of the library folder are among them."""
    paths = [Path(str(file.locate())) for file in metadata.files(name) or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _measure_checkout() -> int:
    """Our own files: pip lists none of those of an editable install."""
    paths = [path for folder in _OWN_FOLDERS for path in (_ROOT / folder).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in paths if _LEFT_OUT.isdisjoint(path.parts))
