"""`microrollup state`: a map page by page, for people and for programs."""

import pytest

from command_line import APP, EXPECTED, LINES, CommandLine, cli, run_process

__all__ = ["cli"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A store with the wallets' file in four blocks."""
    directory = tmp_path_factory.mktemp("pages")
    run_process(
        "import", APP, "-", "--data", "data", "--block-size", "500", "--json", cwd=directory, stdin=b"".join(LINES)
    )
    return directory / "data"


def test_pages_lead_to_each_other(cli: CommandLine, data):
    """`next` and `height` of one page are `--after` and `--height` of the next; all entries come once, in order."""
    seen, more = [], []
    while True:
        page = cli.ask("state", APP, "accounts", "--data", data, "--limit", "700", *more)
        seen += [entry["key"] for entry in page["entries"]]
        if page["next"] is None:
            break
        assert (700, seen[-1]) == (len(page["entries"]), page["next"])
        more = ["--after", page["next"], "--height", str(page["height"])]
    assert sorted(set(seen)) == seen
    assert {sample["key"] for sample in EXPECTED["sampleAccounts"]} <= set(seen)
    last = cli.ask("state", APP, "accounts", "--data", data, "--reverse", "--limit", "1")
    assert seen[-1:] == [entry["key"] for entry in last["entries"]]
    assert [] == cli.ask("state", APP, "accounts", "--data", data, "--height", "0")["entries"]


def test_what_is_not_a_page_is_refused(cli, data):
    """A field that is not there, a key that is not one, a height that never was, a prefix of keys that have none."""
    for arguments in (
        ["nothing"],
        ["accounts", "--after", "12"],
        ["accounts", "--prefix", "0x12"],
        ["accounts", "--height", "99"],
        ["accounts", "--limit", "0"],
        ["accounts", "--limit", "1001"],
    ):
        cli.refuse("state", APP, *arguments, "--data", data)


def test_for_people(cli, data):
    """A table with where to go on."""
    shown = cli("state", APP, "accounts", "--data", data, "--limit", "2")
    assert 0 == shown.code
    assert "next" in shown.out
    assert 2 == shown.out.count('"vk"')
