"""`main` runs a command line; `run_command` turns whatever goes wrong into one sentence and an exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from microrollup.errors import MicrorollupError
from microrollup.limits import use_no_linear_algebra
from microrollup.logs import configure_logging
from microrollup.system import is_full

__all__ = ["COMMANDS", "EXIT_ERROR", "EXIT_FAILED", "cli", "main", "run_command"]

EXIT_FAILED: Final = 1
"""The command was carried out, and what it checked is not right."""

EXIT_ERROR: Final = 2
"""The command could not be carried out as asked; one sentence on standard error says why."""

_EXIT_INTERRUPTED: Final = 130
_EXIT_PIPE: Final = 141
"""128 + SIGINT and 128 + SIGPIPE, as shells report them."""

COMMANDS: Final = {
    "demo": ("demo", "Watch 2,000 wallet-signed actions become settled, proven state."),
    "run": ("serving", "Serve a rollup: take actions, build blocks, settle, answer."),
    "import": ("importing", "Execute signed actions from JSON Lines and make them durable."),
    "export": ("exporting", "Write all blocks to one file that anybody can verify."),
    "verify": ("verifying", "Re-execute others' blocks, or what L1 settled; compare every commitment."),
    "settle": ("settling", "Hand attested blocks to the settlement."),
    "deploy": ("deploying", "Create a rollup's inbox on Ethereum."),
    "force": ("forcing", "Put an action into the queue on L1, past the operator."),
    "carried": ("carried", "Tell what became of signed actions that somebody carried to L1."),
    "relay": ("relaying", "Carry many signed actions to L1, and tell what became of each."),
    "status": ("status", "Show how far a rollup is confirmed, and what L1 holds."),
    "announce-code": ("announcing", "Announce an app's next version to the inbox."),
    "register-keys": ("verifier_sets", "Register verifiers' BLS keys with the inbox, as pages of up to 64."),
    "announce-verifiers": ("verifier_sets", "Announce another set of verifiers to the inbox, as its owner."),
    "announced": ("verifier_sets", "Show who may attest now, and what the inbox's owner has announced."),
    "replay": ("replaying", "Rebuild everything from the log and compare it to the byte."),
    "diff": ("diffing", "Show what other code would have made of recorded blocks."),
    "submit": ("submitting", "Send actions to a node, and wait for a confirmation."),
    "check-receipt": ("receipts", "Check a receipt offline: ack, path, header and seal."),
    "challenge": ("evidence", "Hold an acknowledgement against the settled history."),
    "evidence": ("evidence", "Judge evidence against a builder or a verifier, offline."),
    "state": ("listing", "List the entries of a map field, page by page."),
    "prove": ("proving", "Prove that a key holds a value, or that it is absent."),
    "log": ("records", "Show the records of the action log in words."),
    "snapshot": ("snapshots", "Write the state at a height to one file."),
    "restore": ("snapshots", "Make a store from a snapshot."),
    "scrub": ("scrubbing", "Read every page and record, and name what is damaged."),
    "check": ("checking", "Say what an app's code may not hold, and what to write instead."),
    "replica": ("replica", "Keep a log that several nodes share, and change who leads."),
    "blobs": ("blobs", "Keep the blobs of batches: serve an archive, bring a node's there."),
    "config": ("config", "Show the settings that a node would run with, and where each comes from."),
    "keygen": ("keygen", "Make a private key in a new file, and show its address."),
    "docs": ("docs", "Show the documentation in the terminal."),
    "ops": ("ops", "Write units, containers, alerts and a dashboard for a rollup."),
    "new": ("scaffold", "Write a small working app with tests."),
    "bench": ("bench", "Measure, each figure beside its limit."),
}
"""Command -> (module under `microrollup.cli`, what it does in one line), in the order of need."""


_TABLE_COLUMNS: Final = 90
"""Each command has one line, also where a terminal is thought to have 80 columns."""


@contextmanager
def _without_collection() -> Iterator[None]:
    """Nothing that an import makes is garbage: to look for some takes a sixth of the time until a command begins."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used; the list of them is the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        del ctx  # the table is the same in every context
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, its module imported now; the attribute is named after the command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        with _without_collection():
            module = importlib.import_module(f"microrollup.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        del ctx
        formatter.width = max(formatter.width, _TABLE_COLUMNS)
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.command("microrollup", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--verbose", is_flag=True, help="Log everything to standard error, with tracebacks.")
@click.version_option(package_name="microrollup")
def cli(*, verbose: bool) -> None:
    """Micro-rollups in Python: typed state, wallet-signed actions, blocks that anybody verifies.

    APP is `module` or `module:name` (name defaults to `app`), found in the working directory or installed, or the name
    of an installed app: `keystore`. Exit code 0: done, 1: a check failed, 2: could not be carried out.
    """
    configure_logging(verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default) and return the exit code; raises nothing."""
    return run_command(cli, "microrollup", list(sys.argv[1:] if arguments is None else arguments) or ["--help"])


def run_command(command: click.Command, name: str, arguments: Sequence[str]) -> int:
    """Run a command as programs want it: its exit code, one sentence on standard error, and nothing raised.

    Logs go to standard error, quietly unless `--verbose` is among the arguments.
    """
    configure_logging()
    use_no_linear_algebra()
    try:
        outcome = _run(command, name, arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return _EXIT_PIPE
    except KeyboardInterrupt:
        _complain("interrupted; whatever was acknowledged is durable, and the same command goes on from there")
        return _EXIT_INTERRUPTED
    except (Exception, SystemExit) as error:
        _complain(_explain(error))
        _end_stdout()
        if "--verbose" in arguments:
            traceback.print_exc()
        return EXIT_ERROR
    return outcome if isinstance(outcome, int) else 0


def _run(command: click.Command, name: str, arguments: Sequence[str]) -> object:
    """Parse and run; click's own handling of interrupts, closed pipes and exit codes is left out."""
    try:
        with command.make_context(name, list(arguments)) as ctx:
            return command.invoke(ctx)
    except click.exceptions.Exit as ended:
        return ended.exit_code


def _complain(sentence: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"error: {' '.join(sentence.split())}\n")


def _explain(error: BaseException) -> str:
    """What went wrong, in one sentence for the user."""
    match error:
        case click.UsageError():
            command = error.ctx.command_path if error.ctx is not None else "microrollup"
            return f"{error.format_message().rstrip('.')}; see `{command} --help`"
        case click.ClickException():
            return error.format_message()
        case MicrorollupError():
            return str(error) or type(error).__name__
        case NotADirectoryError(filename=str() as path) if Path(path).parent.is_file():
            return f"{Path(path).parent} is a file, not a directory"
        case OSError():
            reason = "the disk is full" if is_full(error) else error.strerror or str(error)
            return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason
        case MemoryError():
            return "there is not enough memory for this"
        case SystemExit():
            return f"the app ended the process (exit code {error.code})"
        case _:
            return f"unexpected {type(error).__name__}: {error}; --verbose shows where"


def _end_stdout() -> None:
    """What was not written yet has its last chance: a full disk was told already, and is not told again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()


def _drop_stdout() -> None:
    """Nobody reads any more: let the interpreter's last flush go nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
