"""`microrollup config check`: the settings that `run` would take, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import click

from microrollup.cli.output import Command, Group, Output, json_option
from microrollup.cli.parameters import data_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.settings import describe_settings, list_settings, list_warnings, tabulate

__all__ = ["config_command"]


@click.group("config", cls=Group)
def config_command() -> None:
    """Show the settings that a node would run with, and where each comes from.

    `config check` says what `run` would take from environment, `microrollup.toml` and what `deploy` wrote.
    """


@config_command.command("check", cls=Command)
@data_option("Directory whose settings are looked at.")
@json_option
def check_config(directory: Path, output: Output) -> int:
    """Show every setting of `run` with its value and source, without starting anything.

    Exit code 1: something is set that has no effect, or others may read a file of secrets; 2: a value is wrong.
    """
    from microrollup.cli.serving import run_command  # noqa: PLC0415  # the node takes long to import

    with run_command.make_context("run", ["app", "--data", str(directory)]) as ctx:
        settings, warnings = list_settings(ctx), list_warnings(ctx)
    for warning in warnings:
        output.warn(warning)
    output.show({"settings": describe_settings(settings), "warnings": warnings}, tabulate(settings))
    return EXIT_FAILED if warnings else 0
