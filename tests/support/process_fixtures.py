"""`microrollup` commands as processes of their own: a node that serves, and whoever calls it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing, contextmanager

from command_line import APP, ROOT
from node_fixtures import Caller
from waiting import SECONDS, read_line

TIMEOUT = SECONDS


class Process:
    """A command in a process of its own, whose first line tells where it is to be found."""

    def __init__(self, *arguments, cwd, path=ROOT):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "microrollup", *[str(argument) for argument in arguments]],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def read(self):
        """The next line of its standard output, as JSON."""
        line = read_line(self.process)
        assert line, self.process.stderr.read().decode()
        return json.loads(line)

    def stop(self, how=signal.SIGTERM):
        """Signal it; exit code and what it wrote to standard error."""
        self.process.send_signal(how)
        _, err = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, err.decode()

    def close(self):
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=TIMEOUT)


@contextmanager
def run_node(directory, *options, app=APP, cwd=ROOT, path=ROOT):
    """A node that serves, and a caller of it."""
    arguments = ["run", app, "--data", directory, "--port", 0, "--block-time", "100ms", "--json", *options]
    with closing(Process(*arguments, cwd=cwd, path=path)) as process:
        process.info = process.read()
        port = int(process.info["url"].rpartition(":")[2])
        with closing(Caller(None, port)) as caller:
            caller.process = process
            yield caller


def submit(caller, lines):
    """The acknowledgements of lines that are all taken."""
    return [answer["ack"] for answer in caller.submit(*lines)]


LIAR = """
import sys
import msgspec
from microrollup.cli import main
from microrollup.ledger.ledger import Ledger

field, height = sys.argv[1], int(sys.argv[2])
honest = Ledger.compute_header

def lie(ledger):
    closing = honest(ledger)
    if closing.header.height < height:
        return closing
    value = getattr(closing.header, field)
    wrong = value + 1 if isinstance(value, int) else bytes(31) + bytes([1])
    return msgspec.structs.replace(closing, header=msgspec.structs.replace(closing.header, **{field: wrong}))

Ledger.compute_header = lie
sys.exit(main(sys.argv[3:]))
"""
"""`microrollup` with a builder that writes something else into the headers from a height on. Verifiers are processes of
their own, which know nothing of this.
"""


@contextmanager
def run_liar(directory, field, height):
    """The node of a lying builder, and a caller of it."""
    arguments = ["run", APP, "--data", str(directory), "--port", "0", "--block-time", "100ms", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LIAR), field, str(height), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            info = json.loads(read_line(process))
            with closing(Caller(None, int(info["url"].rpartition(":")[2]))) as caller:
                caller.process = process
                yield caller
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=TIMEOUT)
