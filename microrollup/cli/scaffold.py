"""`microrollup new`: a small working app, its test, and some signed actions to try it with."""

from __future__ import annotations

import importlib.util
import keyword
import re
import secrets
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

import click

from microrollup.action import Action
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH
from microrollup.crypto import load_private_key
from microrollup.errors import UsageError
from microrollup.rollup import MicroRollup
from microrollup.testing.signing import sign_action

__all__ = ["new_command", "render_template"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN: Final = frozenset({"apps", "benchmarks", "microrollup", "pytest", "test", "tests"})
_SAMPLE_INCREMENTS: Final = (1, 2, 0)
"""The last one is rejected by the app's rule."""


def render_template(template: str, name: str) -> str:
    """A file of the new app: the template of that name with the app's name put in."""
    text = (resources.files("microrollup") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name)


@click.command("new", cls=Command)
@click.argument("name")
@click.option("--dir", "directory", type=PATH, metavar="PATH", help="Where to write [default: a new directory NAME].")
@json_option
def new_command(name: str, directory: Path | None, output: Output) -> None:
    """Write a small working app with a test.

    NAME becomes a module, NAME.py: a counter in one file. With it come its test, a README, and three signed actions.
    Files that are there are never overwritten.
    """
    _check_name(name)
    target = Path(name) if directory is None else directory
    files = {
        f"{name}.py": render_template("counter.py.txt", name),
        f"test_{name}.py": render_template("test_counter.py.txt", name),
        "README.md": render_template("README.md.txt", name),
    }
    for file in [*files, "actions.jsonl"]:
        if (target / file).exists():
            raise UsageError(f"{target / file} exists already; choose another name or --dir")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        _write(target / file, text)
    _write(target / "actions.jsonl", _sign_samples(name, target / f"{name}.py"))
    written = [str(target / file) for file in [*files, "actions.jsonl"]]
    steps = (
        f"cd {target}",
        "pytest",
        f"microrollup import {name} actions.jsonl --data data",
        f"microrollup prove {name} --field value --data data",
    )
    output.show({"name": name, "files": written}, make_facts({"wrote": "\n".join(written)}), "", "Next:", *steps)


def _check_name(name: str) -> None:
    """Raises `UsageError` unless the name can be a module's that hides no other."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"{name!r} is no name for an app: 1 to 40 of a-z, 0-9 and _, a letter first, no keyword")
    if name in sys.stdlib_module_names or name in _TAKEN:
        raise UsageError(f"{name!r} is the name of another module; choose another one")


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _sign_samples(name: str, path: Path) -> str:
    """Three signed increments, by a key that is thrown away."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rollup: MicroRollup = module.app
    increment: Callable[..., Action] = module.Increment
    key = load_private_key(secrets.token_bytes(31).rjust(32, b"\1"))
    lines = [sign_action(rollup, increment(by=by), nonce, key) for nonce, by in enumerate(_SAMPLE_INCREMENTS)]
    return "".join(f"{line.decode()}\n" for line in lines)
