"""What runs a rollup: systemd units, an image, a compose file, Prometheus's configuration, filled in for one of them.

    OUT/NAME.service, NAME-verifier.service     for machines with systemd
    OUT/Containerfile, compose.yaml             for machines with containers
    OUT/prometheus                              what Prometheus scrapes, and what it calls people for
    OUT/app, wheels, secrets                    empty: what the operator brings

No secret is written: each stays in the file that its user reads.
"""

from __future__ import annotations

import json
import os
import re
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from microrollup.chain.block import compute_rollup_id
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.place_file import resolve_place
from microrollup.errors import UsageError
from microrollup.ledger.genesis import read_genesis

__all__ = ["CONTAINER_USER", "Operation", "render_operation", "write_operation"]

CONTAINER_USER: Final = 10_001
"""Who runs in the containers, user and group, where the data directory is root's."""

EMPTY: Final = ("app", "secrets", "wheels")

_TEMPLATES: Final = resources.files("microrollup") / "templates" / "ops"
_SUFFIX: Final = ".txt"
_HARDENING: Final = "hardening.txt"
_FOR_PROMETHEUS: Final = frozenset({"alerts.yml", "prometheus.yml"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._:+-]+")
"""What units and YAML hold as it is."""


class Operation(msgspec.Struct, frozen=True):
    """One rollup, and how it is run on this machine."""

    app: str
    directory: Path
    rollup: MicroRollup
    user: str
    """Who runs the units."""
    program: Path
    """The command `microrollup`."""
    working: Path
    """Where the app's modules are found."""

    @property
    def name(self) -> str:
        """The rollup's name as names of files and services have it."""
        return re.sub(r"[^a-z0-9]+", "-", self.rollup.name.lower()).strip("-") or "rollup"


def render_operation(operation: Operation) -> dict[str, str]:
    """The files by name.

    Raises `UsageError` for a rollup that does not settle on Ethereum, and for names that units and YAML would read as
    something else; `StoreError`s.
    """
    values = _list_values(operation)
    for what in ("app", "data", "program", "user", "working"):
        if not _PLAIN.fullmatch(values[what]):
            raise UsageError(f"{values[what]!r} has no place in a unit: use letters, digits and / . _ : + - only")
    if ":" in values["data"]:
        raise UsageError(f"{values['data']!r} has no place in a compose file, where `:` ends a path: name it otherwise")
    files = {}
    for entry in sorted(_TEMPLATES.iterdir(), key=lambda entry: entry.name):
        text, name = entry.read_text("utf-8"), entry.name.removesuffix(_SUFFIX)
        if name.endswith(".service"):
            name = f"{operation.name}{'' if name.startswith('node') else '-verifier'}.service"
        if name in _FOR_PROMETHEUS:
            name = f"prometheus/{name}"
        if entry.name != _HARDENING:
            files[name] = Template(text).substitute(values) if entry.name.endswith(_SUFFIX) else text
    return files


def _find_plain(directory: Path) -> Path:
    """Its absolute path without `..`, which systemd takes for no path."""
    return directory.resolve() if ".." in directory.parts else directory.absolute()


def _list_values(operation: Operation) -> dict[str, str]:
    directory = _find_plain(operation.directory)
    place = resolve_place(directory, {}).place
    if place is None:
        raise UsageError(
            f"{directory} settles in its directory, which is for development: `microrollup deploy` makes a rollup"
            " that settles on Ethereum"
        )
    with open_readable(directory, operation.rollup) as environment:
        rollup_id = compute_rollup_id(read_genesis(environment))
    found = directory.stat()
    options = ["--inbox", place.inbox, "--da", place.da, "--l1-depth", str(place.depth)]
    return {
        "name": operation.name,
        "app": operation.app,
        "data": str(directory),
        "user": operation.user,
        "program": str(operation.program),
        "working": str(operation.working.absolute()),
        "version": metadata.version("microrollup"),
        "uid": str(found.st_uid or CONTAINER_USER),
        "gid": str(found.st_gid or CONTAINER_USER),
        "rollup_id": hex0x(rollup_id),
        "place": " ".join(options),
        "place_list": ", ".join(map(json.dumps, options)),
        "hardening": _TEMPLATES.joinpath(_HARDENING).read_text("utf-8"),
    }


def write_operation(operation: Operation, target: Path) -> list[Path]:
    """Write the files into a directory, which is made if it is not there; their paths.

    Raises what `render_operation` raises, and `UsageError` if one of them is there already: nothing is overwritten.
    """
    files = render_operation(operation)
    taken = [name for name in files if os.path.lexists(target / name)]
    if taken:
        raise UsageError(f"{target / taken[0]} exists already; choose another --to, or remove it")
    for name in EMPTY:
        (target / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in files.items():
        (target / name).parent.mkdir(exist_ok=True)
        with (target / name).open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return [target / name for name in files]
