"""The command line as a whole: help, exit codes, one sentence for every error, and a clean standard output."""

import logging
import subprocess
import sys

import click
import pytest
import structlog

from command_line import APP, LINES, ROOT, WALLET_FILE, cli, import_lines, run_process
from microrollup.cli import output, run
from microrollup.cli.run import COMMANDS, LazyGroup

__all__ = ["cli"]

GROUP = LazyGroup()
CONTEXT = click.Context(GROUP)


def test_help_lists_all_commands_and_imports_little():
    """`--help` names every command and does not wait for what only commands need."""
    heavy = ("numpy", "eth_abi", "lmdb", "rich.console", "microrollup.ledger.ledger")
    script = (
        "import sys; from microrollup.cli import main; code = main(['--help']);"
        f"assert not [name for name in {heavy!r} if name in sys.modules and name != 'rich.console']; sys.exit(code)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    shown = " ".join(completed.stdout.split())
    for name, (_, help_line) in COMMANDS.items():
        assert f" {name} {help_line} " in f"{shown} "
    assert "" == completed.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    """Each command has a help text that begins with its line in the table."""
    command = GROUP.get_command(CONTEXT, name)
    assert command is not None
    assert name == command.name
    assert command.help is not None
    assert COMMANDS[name][1] == command.help.split("\n")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name):
    """Each option of each command says what it is for."""
    command = GROUP.get_command(CONTEXT, name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def test_help_of_a_command(cli):
    """`COMMAND --help` goes to standard output, with exit code 0."""
    result = cli("import", "--help")
    assert (0, "") == (result.code, result.err)
    assert "--block-size" in result.out


def test_modules_run(tmp_path):
    """`python -m microrollup` is the command line, in any directory."""
    result = run_process("--version", cwd=tmp_path)
    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("microrollup, version ")


USAGE_ERRORS = {
    "no command": (["nonsense"], "No such command 'nonsense'"),
    "unknown option": (["log", APP, "--nonsense"], "No such option"),
    "no data": (["log", APP], "Missing option '--data'"),
    "no app given": (["import"], "Missing argument 'APP'"),
    "no file given": (["import", APP, "--data", "new"], "Missing argument 'FILE'"),
    "app is no name": (["log", "not a name", "--data", "new"], "names no app"),
    "app is not there": (["log", "no.such.app", "--data", "new"], "no module 'no.such.app'"),
    "module is no app": (["log", "json", "--data", "new"], "no MicroRollup named 'app'"),
    "builtin module": (["log", "sys", "--data", "new"], "no MicroRollup named 'app'"),
    "no such name": (["log", f"{APP}:other", "--data", "new"], "no MicroRollup named 'other'"),
    "no such file": (["import", APP, "missing.jsonl", "--data", "new"], "missing.jsonl: No such file or directory"),
    "file is a directory": (["import", APP, ".", "--data", "new"], ".: Is a directory"),
    "data is a file": (["import", APP, "-", "--data", str(WALLET_FILE)], "is a file, not a directory"),
    "block of nothing": (["import", APP, "-", "--data", "new", "--block-size", "0"], "0 is not in the range"),
    "block too large": (["import", APP, "-", "--data", "new", "--block-size", "20001"], "20001 is not in the range"),
    "bad verifier": (["import", APP, "-", "--data", "new", "--verifier", "0x12"], "is not 20 bytes"),
    "quorum of half": (
        ["import", APP, "-", "--data", "new", *[f"--verifier={digit * 40}" for digit in "ab"], "--quorum", "1"],
        "not more than half",
    ),
    "quorum of more": (["import", APP, "-", "--data", "new", "--quorum", "2"], "quorum of 2 of 1"),
    "nothing to log": (["log", APP, "--data", "new"], "there is no store in new"),
    "nothing to export": (["export", APP, "--data", "new", "--out", "blocks"], "there is no store in new"),
    "nothing to replay": (["replay", APP, "--data", "new"], "there is no store in new"),
    "nothing to scrub": (["scrub", APP, "--data", "new"], "there is no store in new"),
    "nothing to prove": (["prove", APP, "0x" + "00" * 32, "--data", "new"], "there is no store in new"),
    "nothing to snapshot": (["snapshot", APP, "--data", "new", "--out", "file"], "there is no store in new"),
    "nothing to settle": (["settle", APP, "--data", "new", "--attestations", "-"], "these are not attestations"),
    "nothing to restore": (["restore", APP, "--data", "new", "--from", "file"], "file"),
    "nothing to verify": (["verify", APP, "--from", "nowhere"], "neither a block file"),
    "key without L1": (["verify", APP, "--from", "nowhere", "--key", "key"], "--key needs --l1"),
    "no key there": (["verify", APP, "--from", "nowhere", "--key", "key", "--l1", "new"], "key: No such file"),
    "no block file": (["verify", APP, "--from", str(WALLET_FILE)], "not a file of microrollup blocks"),
    "bad rollup id": (["verify", APP, "--from", "nowhere", "--rollup-id", "12"], "is not 32 bytes"),
    "bad block hash": (["restore", APP, "--data", "n", "--from", "f", "--block-hash", "0xzz"], "is not 32 bytes"),
    "no key for a type": (["submit", "http://127.0.0.1:9", "Pay"], "for an action of the type Pay, name the --key"),
    "no node": (["status", "http://127.0.0.1:9"], "http://127.0.0.1:9/ does not answer"),
    "no name": (["new"], "Missing argument 'NAME'"),
}


@pytest.mark.parametrize(("arguments", "sentence"), USAGE_ERRORS.values(), ids=USAGE_ERRORS)
def test_user_errors(cli, tmp_path, monkeypatch, arguments, sentence):
    """Every error of a user: exit code 2, one clear sentence on standard error, nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    assert sentence in cli.refuse(*arguments)


@pytest.fixture
def store(cli, tmp_path):
    """A store with ten actions in two blocks."""
    import_lines(cli, tmp_path / "data", LINES[:10], "--block-size", 5)
    return tmp_path / "data"


STORE_ERRORS = {
    "bad key": (["prove", APP, "hello"], "KEY does not begin with 0x"),
    "short key": (["prove", APP, "0x12"], "KEY has 1 bytes, not 32"),
    "no key": (["prove", APP], "name the KEY"),
    "no such field": (["prove", APP, "0x12", "--field", "other"], "no field 'other'; it has accounts"),
    "height to come": (["prove", APP, "0x" + "00" * 32, "--height", "3"], "there is no block 3; the newest is 2"),
    "no height": (["prove", APP, "0x" + "00" * 32, "--height", "-1"], "-1 is not in the range"),
    "snapshot to come": (["snapshot", APP, "--out", "file", "--height", "3"], "there is no block 3"),
    "no directory": (["export", APP, "--out", "missing/blocks"], "No such file or directory"),
    "no l1": (["import", APP, "-", "--l1", "missing"], "missing holds no local settlement"),
    "other quorum": (["import", APP, "-", "--quorum", "2"], "the rollup exists already"),
    "other verifier": (["import", APP, "-", "--verifier", "ab" * 20], "the rollup exists already"),
    "no list": (["settle", APP, "--attestations", "-"], "these are not attestations"),
}


@pytest.mark.parametrize(("arguments", "sentence"), STORE_ERRORS.values(), ids=STORE_ERRORS)
def test_errors_on_a_store(cli, store, tmp_path, monkeypatch, arguments, sentence):
    """What cannot be done with a store that is there is said in one sentence too."""
    monkeypatch.chdir(tmp_path)
    assert sentence in cli.refuse(*arguments, "--data", store)


def test_a_locked_store_is_refused(cli, store):
    """A store that another process writes is not written by a second one, but may be read."""
    script = (
        "import sys; from pathlib import Path; from apps.keystore import app;"
        "from microrollup.ledger.ledger import Ledger;"
        "ledger = Ledger.open(Path(sys.argv[1]), app); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as owner:
        assert b"open\n" == owner.stdout.readline()
        sentence = "is being written by another process; stop it first"
        assert sentence in cli.refuse("import", APP, "-", "--data", store)
        assert sentence in cli.refuse("replay", APP, "--data", store)
        assert cli.ask("prove", APP, "0x" + "00" * 32, "--data", store)["exists"] is False
        assert 14 + 1 == len(cli.ask("log", APP, "--data", store)["records"])
        owner.stdin.close()
        assert 0 == owner.wait(timeout=60)


def test_another_app_is_refused(cli, store, tmp_path, monkeypatch):
    """A store is opened by its own app only, whatever the command."""
    monkeypatch.chdir(tmp_path)
    assert 0 == cli("new", "foreign_app").code
    for command in (["import"], ["log"], ["export"], ["replay"], ["prove"], ["snapshot"]):
        rest = {"import": ["-"], "export": ["--out", "x"], "snapshot": ["--out", "x"], "prove": ["--field", "value"]}
        sentence = cli.refuse(*command, "foreign_app", *rest.get(command[0], []), "--data", store)
        assert "keystore" in sentence
        assert "foreign_app" in sentence


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (ValueError("a bug\nof ours"), 2, "error: unexpected ValueError: a bug of ours; "),
        (MemoryError(), 2, "error: there is not enough memory"),
        (OSError(28, "No space left on device", "some/file"), 2, "error: some/file: the disk is full"),
        (SystemExit(0), 2, "error: the app ended the process"),
        (BrokenPipeError(), 141, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_happens_is_one_line(cli, tmp_path, monkeypatch, error, code, sentence):
    """Bugs, signals and the system's errors end a command with an exit code and at most one line, no traceback."""

    def fail(_):
        raise error

    monkeypatch.setattr("microrollup.cli.records.load_rollup", fail)
    monkeypatch.setattr(run, "_drop_stdout", lambda: None)
    result = cli("log", APP, "--data", tmp_path)
    assert (code, "") == (result.code, result.out)
    assert result.err.startswith(sentence)
    assert bool(sentence) == result.err.count("\n")


def test_verbose_shows_where(cli, tmp_path, monkeypatch):
    """`--verbose` adds the traceback that is otherwise kept from users, wherever it stands."""
    monkeypatch.setattr("microrollup.cli.records.load_rollup", lambda _: 1 // 0)
    assert "Traceback" not in cli("log", APP, "--data", tmp_path).err
    assert "Traceback" in cli("--verbose", "log", APP, "--data", tmp_path).err
    assert "Traceback" in cli("log", APP, "--verbose", "--data", tmp_path).err
    assert "Traceback" in cli("log", APP, "--data", tmp_path, "--verbose").err


def test_verbose_logs_everything(cli, tmp_path):
    """After a command `--verbose` logs as much as before it, and without it nothing is logged."""
    arguments = ["log", APP, "--data", tmp_path]
    cli("import", APP, "-", "--data", tmp_path)
    levels = []
    for given in (["--verbose", *arguments], [*arguments, "--verbose"], arguments):
        assert 0 == cli(*given).code
        levels.append(structlog.get_logger().bind().is_enabled_for(logging.INFO))
    assert [True, True, False] == levels


def test_tables_have_no_blanks_at_line_ends(cli, store):
    """Where no terminal shows it, a table's lines end with their last word, and stay aligned."""
    out = cli("log", APP, "--data", store).out
    assert [] == [line for line in out.splitlines() if line != line.rstrip()]
    heading, *rows = out.splitlines()
    assert {heading.index("kind")} == {row.index(kind) for row in rows for kind in ("action", "close") if kind in row}


def test_progress_says_how_much_there_is(cli, store, monkeypatch, capsys):
    """Without a terminal a line now and then; what nobody knows the end of has no total."""
    monkeypatch.setattr(output, "_SAY_SECONDS", 0.0)
    assert "verifying blocks: 1 of 2\nverifying blocks: 2 of 2\n" == cli("verify", APP, "--from", store).err
    with output.show_steps("counting") as follow:
        follow(3, 0)
        follow(5, 4)
    assert "counting: 3\ncounting: 5 of 5\n" == capsys.readouterr().err


def test_a_closed_pipe_is_no_error(store):
    """A reader that goes away ends the command without a word."""
    command = [sys.executable, "-m", "microrollup", "log", APP, "--data", str(store), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert b"" == process.stderr.read()
        assert 141 == process.wait(timeout=60)


TALKATIVE = """
from microrollup import Action, Context, MicroRollup, State, Uint64, replace

print("imported")

class Counter(State, frozen=True):
    value: Uint64 = 0

class Increment(Action, frozen=True):
    by: Uint64

def increment(state: Counter, action: Increment, ctx: Context) -> Counter:
    print("executed")
    if action.by == 7:
        raise ValueError("a bug of the app")
    return replace(state, value=state.value + action.by)

app = MicroRollup(name="counter", version="1", genesis=Counter(), stfs=[increment],
                  allow=["module", "name"])
"""


def test_apps_cannot_spoil_the_output(tmp_path):
    """What an app prints never reaches standard output, in any process; a fault is a line on standard error, and
    where it was raised.
    """
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    sign = (
        "import talkative; from microrollup.testing.signing import sign_action;"
        "from microrollup.crypto.ecdsa import load_private_key; key = load_private_key(b'1' * 32)\n"
        "for nonce, by in enumerate((1, 7, 2)):\n"
        "    print(sign_action(talkative.app, talkative.Increment(by), nonce, key).decode())"
    )
    signed = subprocess.run(
        [sys.executable, "-c", sign], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    actions = b"".join(line + b"\n" for line in signed.stdout.splitlines() if line.startswith(b"{"))
    imported = run_process("import", "talkative", "-", "--data", "data", "--json", cwd=tmp_path, stdin=actions)
    assert 0 == imported.code
    counts = {name: imported.document[name] for name in ("executed", "faulted", "refused")}
    assert {"executed": 2, "faulted": 1, "refused": 0} == counts
    faults = [line for line in imported.err.splitlines() if "fault" in line]
    assert 1 == len(faults)
    assert "a bug of the app" in faults[0]
    assert 1 == imported.err.count("Traceback")
    assert "talkative.py" in imported.err
    verified = run_process("verify", "talkative", "--from", "data", "--json", cwd=tmp_path)
    assert 0 == verified.code
    assert imported.document["stateRoot"] == verified.document["stateRoot"]
    assert 0 == run_process("replay", "talkative", "--data", "data", "--json", cwd=tmp_path).code
