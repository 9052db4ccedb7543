"""The command line: `microrollup COMMAND`.

Each command is a module of its own, imported when the command is used, so that `--help` answers at once.
"""

from microrollup.cli.run import main

__all__ = ["main"]
