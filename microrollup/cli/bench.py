"""`microrollup bench`: the benchmarks, in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from microrollup.cli.output import Command
from microrollup.errors import UsageError

__all__ = ["bench_command"]

_NEEDED: Final = ("eventsourcing", "matplotlib", "packaging", "rlp")


@click.command("bench", cls=Command, context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_command(arguments: tuple[str, ...]) -> int:
    """Measure, each figure beside its limit.

    The same as `python -m benchmarks`, whose arguments it takes; it needs a checkout of the repository.
    """
    root = Path(__file__).parents[2]
    if not (root / "benchmarks").is_dir():
        raise UsageError("the benchmarks are not in the package: run them in a checkout of the repository")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the benchmarks need {' and '.join(missing)}: pip install 'microrollup[bench]'")
    searched = [str(root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(searched)}
    command = [sys.executable, "-P", "-m", "benchmarks", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode
