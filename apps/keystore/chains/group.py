"""The command line of the keystore on many chains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import click

from microrollup.cli.output import Group
from microrollup.cli.run import run_command

from .command import deploy_command, status_command
from .relaying import relay_command

__all__ = ["keystore_group", "main"]

_NAME: Final = f"python -m {__name__.removesuffix('.chains.group')}"


@click.group("keystore", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def keystore_group() -> None:
    """The keystore's contracts on many chains: bring them, look at them, and keep them fresh."""


keystore_group.add_command(deploy_command)
keystore_group.add_command(relay_command)
keystore_group.add_command(status_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own by default); the exit code. Raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(keystore_group, _NAME, given or ["--help"])
