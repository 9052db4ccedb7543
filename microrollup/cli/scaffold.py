"""`microrollup new`: a small working app, its tests, and some signed actions to try it with."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import secrets
import sys
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

import click

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH
from microrollup.crypto.ecdsa import load_private_key
from microrollup.declaration.named import find_app
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.testing.signing import sign_action

__all__ = ["list_templates", "new_command", "render_template"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TEMPLATES: Final = resources.files("microrollup") / "templates"
_TAKEN: Final = frozenset({"apps", "benchmarks", "microrollup", "pytest", "test", "tests"})
_PLAIN: Final = "counter"
_SAMPLES: Final = "actions.json"
"""In a template: `[[action, members] …]`, to be signed for the new app."""
_SUFFIX: Final = ".txt"
"""What a template's files end with, so that nothing takes them for modules or tests."""


def list_templates() -> tuple[str, ...]:
    """The apps that `new` can write."""
    return tuple(sorted(entry.name for entry in _TEMPLATES.iterdir() if entry.joinpath(_SAMPLES).is_file()))


def render_template(template: str, name: str) -> dict[str, str]:
    """The files of a new app, by name: the template's, with the app's name put in for `NAME` and `$name`."""
    return {
        entry.name.removesuffix(_SUFFIX).replace("NAME", name): Template(entry.read_text("utf-8")).substitute(name=name)
        for entry in sorted(_TEMPLATES.joinpath(template).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(_SUFFIX)
    }


@click.command("new", cls=Command)
@click.argument("name")
@click.option(
    "--dir", "directory", type=PATH, metavar="PATH", help="Write into this directory [default: a new one, NAME]."
)
@click.option(
    "--with",
    "template",
    type=click.Choice(list_templates()),
    default=_PLAIN,
    show_default=True,
    help="The app to begin from.",
)
@json_option
def new_command(name: str, directory: Path | None, template: str, output: Output) -> None:
    """Write a small working app with tests.

    NAME becomes a module, NAME.py. With it come its tests, of which those of properties need the package's `test`
    extra, a README, and signed actions to try it with.
    Files that are there are never overwritten.
    """
    _check_name(name)
    target = Path(name) if directory is None else directory
    files = render_template(template, name)
    for file in [*files, "actions.jsonl"]:
        if (target / file).exists():
            raise UsageError(f"{target / file} exists already; choose another name or --dir")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        _write(target / file, text)
    rollup = _load(name, target / f"{name}.py")
    _write(target / "actions.jsonl", _sign_samples(rollup, template))
    written = [str(target / file) for file in [*files, "actions.jsonl"]]
    steps = (
        f"cd {target}",
        "pytest",
        f"microrollup import {name} actions.jsonl --data data",
        f"microrollup prove {name} --field {rollup.state_type.fields[0].name} --data data",
    )
    output.show({"name": name, "files": written}, make_facts({"wrote": "\n".join(written)}), "", "Next:", *steps)


def _check_name(name: str) -> None:
    """Raises `UsageError` unless the name can be a module's that hides no other."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"{name!r} is not a name for an app: 1 to 40 of a-z, 0-9 and _, a letter first, not a keyword")
    if name in sys.stdlib_module_names or name in _TAKEN:
        raise UsageError(f"{name!r} is the name of another module; choose another one")
    if find_app(name) is not None:
        raise UsageError(f"{name!r} is the name of an installed app; choose another one")


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _load(name: str, path: Path) -> MicroRollup:
    """The app that was just written. Its modules are forgotten again, so that it can be imported by its name."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent.resolve()))
        for other in [each for each in sys.modules if each.startswith(f"{name}_") and each not in before]:
            del sys.modules[other]
    rollup: MicroRollup = module.app
    return rollup


def _sign_samples(rollup: MicroRollup, template: str) -> str:
    """The template's actions, signed by a key that is thrown away."""
    key = load_private_key(secrets.token_bytes(31).rjust(32, b"\1"))
    types = {action_type.name: action_type for action_type in rollup.action_types}
    samples = json.loads(_TEMPLATES.joinpath(template, _SAMPLES).read_bytes())
    lines = []
    for nonce, (action, members) in enumerate(samples):
        made, _ = types[action].read_message({**members, "nonce": str(nonce)})
        lines.append(sign_action(rollup, made, nonce, key))
    return "".join(f"{line.decode()}\n" for line in lines)
