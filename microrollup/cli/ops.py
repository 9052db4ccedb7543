"""`microrollup ops`: what runs a rollup in production, filled in for one rollup."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument, data_option
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.operating import Operation, write_operation

__all__ = ["ops_command"]


@click.command("ops", cls=Command)
@app_argument
@data_option("The rollup's data directory, made by `microrollup deploy`.")
@click.option(
    "--to", "target", type=PATH, default="ops", show_default=True, metavar="DIR", help="Write into this directory."
)
@click.option("--user", default="microrollup", show_default=True, metavar="NAME", help="Let the units run as NAME.")
@json_option
def ops_command(app: str, directory: Path, target: Path, user: str, output: Output) -> None:
    """Write units, containers, alerts and a dashboard for a rollup.

    Systemd units for node and verifier with the paths of this installation; a Containerfile and a compose file with
    node, two verifiers, a follower, PostgreSQL and Prometheus; Prometheus's configuration and alert rules; a dashboard
    for Grafana. No secret is written, and no file is overwritten.
    """
    program = Path(sys.executable).absolute().parent / "microrollup"
    operation = Operation(app, directory, load_rollup(app), user, program, Path.cwd())
    written = [str(path) for path in write_operation(operation, target)]
    following = "keys, the L1's URL and the app go where `microrollup docs run` says, under As a service"
    facts = {"wrote": "\n".join(written), "next": following}
    output.show({"name": operation.name, "files": written}, make_facts(dict(facts)))
