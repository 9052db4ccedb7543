"""Running commands in this process, and the files and apps that they are given in tests."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from microrollup.cli import main
from paths import KEYSTORE_DATA, ROOT

DATA = KEYSTORE_DATA
WALLET_FILE = DATA / "wallet-actions.jsonl"
EXPECTED = json.loads((DATA / "wallet-actions.expected.json").read_bytes())
LINES = WALLET_FILE.read_bytes().splitlines(keepends=True)
APP = "apps.keystore"
_OF_A_SLOW_L1 = ("l1_send_unanswered", "l1_transaction_unknown", "l1_fee_raised", "l1_fee_at_cap")
"""What is logged where L1 does not answer at once, as anvil on a busy machine."""


class Result(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class CommandLine:
    """Runs commands and catches what they write."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Result:
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)

    def ask(self, *arguments: object, stdin: bytes = b"", code: int = 0):
        """The document of a command that is carried out silently; its exit code is 1 if what it checks is not right."""
        result = self(*arguments, "--json", stdin=stdin)
        said = [line for line in result.err.splitlines() if not any(event in line for event in _OF_A_SLOW_L1)]
        assert (code, []) == (result.code, said), result
        return result.document

    def refuse(self, *arguments: object, stdin: bytes = b"") -> str:
        """The one sentence of a command that cannot be carried out."""
        result = self(*arguments, stdin=stdin)
        assert (2, "") == (result.code, result.out), result
        assert result.err.startswith("error: ")
        assert result.err.endswith("\n")
        assert 1 == result.err.count("\n"), result.err
        return result.err.removeprefix("error: ").strip()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line, in this process."""
    return CommandLine(capsys, monkeypatch)


def run_process(
    *arguments: object,
    cwd: Path,
    stdin: bytes = b"",
    path: Path = ROOT,
    timeout: float = 300,
    python: Path = Path(sys.executable),
) -> Result:
    """A command in a process of its own, in another directory, with the package found in `path`."""
    completed = subprocess.run(
        [python, "-m", "microrollup", *[str(argument) for argument in arguments]],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Result(completed.returncode, completed.stdout.decode(), completed.stderr.decode())


def import_lines(
    cli: CommandLine, directory: Path, lines: list[bytes], *options: object, app: str = APP, code: int = 0
):
    """Import lines from standard input, in this process; the exit code is 1 if lines are refused."""
    return cli.ask("import", app, "-", "--data", directory, "--workers", 0, *options, stdin=b"".join(lines), code=code)
