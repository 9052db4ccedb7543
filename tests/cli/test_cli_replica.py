"""`microrollup replica`: seeding, joining, looking, forgetting; with a log in SQLite."""

import shutil
from pathlib import Path

import pytest

import counting
from command_line import CommandLine
from microrollup.deployment.directory import VerifierChoice, open_rollup

APP = "counting:app"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    with open_rollup(tmp_path / "one", counting.app, verifiers=VerifierChoice()):
        return tmp_path / "one"


def make_options(place: Path) -> list[object]:
    return ["--replica", f"sqlite:{place / 'log.sqlite'}", "--single-copy"]


def test_a_log_is_seeded_adopted_shown(run: CommandLine, node: Path) -> None:
    """The log has the directory's records; a new directory begins at the genesis and is registered; it can be
    forgotten.
    """
    options = make_options(node.parent)
    seeded = run.ask("replica", "seed", APP, "--data", node, *options)
    assert 1 == seeded["records"]
    assert seeded == run.ask("replica", "seed", APP, "--data", node, *options)
    two = node.parent / "two"
    adopted = run.ask("replica", "adopt", APP, "--data", two, "--node-name", "two", "--l1", node / "l1", *options)
    assert {"node": "two", "records": 1, "lag": 0} == adopted
    assert adopted == run.ask("replica", "adopt", APP, "--data", two, "--node-name", "two", *options)
    shown = run.ask("replica", "show", *options)
    assert (1, "", 0, None) == (shown["records"], shown["leader"], shown["epoch"], shown["leaseSeconds"])
    assert [("two", 0)] == [(each["node"], each["lag"]) for each in shown["nodes"]]
    assert seeded["chain"] == shown["chain"]
    assert run.ask("replica", "forget", "two", *options)["known"]
    assert not run.ask("replica", "forget", "two", *options, code=1)["known"]
    assert "no node named 'two'" in run.refuse("replica", "handover", "--to", "two", *options)


def test_what_cannot_join_is_refused(run: CommandLine, node: Path) -> None:
    """An empty database, another rollup's, and one without --single-copy, each with what to do."""
    options = make_options(node.parent)
    assert "replica seed" in run.refuse("replica", "show", *options)
    assert "--single-copy" in run.refuse("replica", "show", *options[:2])
    assert "postgresql://" in run.refuse("replica", "show", "--replica", "mysql://host/name")
    run.ask("replica", "seed", APP, "--data", node, *options)
    other = node.parent / "other"
    with open_rollup(other, counting.app, verifiers=VerifierChoice()):
        pass
    assert "another rollup" in run.refuse("replica", "adopt", APP, "--data", other, *options)
    assert "another rollup" in run.refuse("replica", "seed", APP, "--data", other, *options)
    shutil.rmtree(other)
    assert "1 to 64" in run.refuse("replica", "adopt", APP, "--data", other, "--node-name", "a b", *options)


def test_options_without_effect_are_refused(run: CommandLine, node: Path) -> None:
    """The options of a member without a log, and a log for a verifier that signs nothing."""
    for option in (["--single-copy"], ["--node-name", "one"], ["--advertise", "http://one"]):
        assert "without --replica" in run.refuse("run", APP, "--data", node, *option)
    refused = run.refuse("verify", APP, "--from", node, *make_options(node.parent))
    assert "no effect without --key" in refused


def test_no_password_is_shown(run: CommandLine, node: Path) -> None:
    """Neither in what is complained of nor in the settings."""
    url = "postgresql://me:SECRET@127.0.0.1:1,127.0.0.1:2/log?password=SECRET"
    refused = run.refuse("replica", "show", "--replica", url)
    assert "postgresql://127.0.0.1:1,127.0.0.1:2/log cannot be reached" in refused
    (node / "microrollup.toml").write_text(f'replica = "{url}"\n')
    shown = run.ask("config", "check", "--data", node)
    assert "postgresql://127.0.0.1:1,127.0.0.1:2/log" == shown["settings"]["replica"]["value"]
    assert "SECRET" not in refused + str(shown)


def test_a_url_is_read_from_a_file(run: CommandLine, node: Path) -> None:
    """`@FILE` holds a URL with its password."""
    file = node.parent / "url"
    file.write_text(f"sqlite:{node.parent / 'log.sqlite'}\n")
    run.ask("replica", "seed", APP, "--data", node, "--replica", f"@{file}", "--single-copy")
    assert 1 == run.ask("replica", "show", *make_options(node.parent))["records"]
    assert "cannot be read" in run.refuse("replica", "show", "--replica", f"@{node.parent / 'missing'}")
