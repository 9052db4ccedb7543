"""`microrollup prove`: what is printed checks with nothing but a hash function, and equals what others computed."""

import pytest
from eth_hash.auto import keccak as keccak256

from command_line import APP, EXPECTED, LINES, CommandLine, cli, run_process

__all__ = ["cli"]

SAMPLES = EXPECTED["sampleAccounts"] + EXPECTED["sampleAbsentKeys"]
FIRST = SAMPLES[0]["key"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A store with the wallets' file in four blocks."""
    directory = tmp_path_factory.mktemp("proofs")
    imported = run_process(
        "import", APP, "-", "--data", "data", "--block-size", "500", "--json", cwd=directory, stdin=b"".join(LINES)
    )
    assert EXPECTED["stateRoot"] == imported.document["stateRoot"]
    return directory / "data"


def fold(document) -> str:
    """The root that a printed proof leads to, by the text of the format alone."""
    leaf = document["leaf"]
    flags = [bytes([leaf[name]]) for name in ("active", "prefix", "nextPrefix")]
    key, next_key, value_hash = (bytes.fromhex(leaf[name][2:]) for name in ("key", "nextKey", "valueHash"))
    node = keccak256(flags[0] + flags[1] + key + flags[2] + next_key + value_hash)
    for level, sibling in enumerate(document["siblings"]):
        other = bytes.fromhex(sibling[2:])
        node = keccak256(other + node if document["isLeft"] >> level & 1 else node + other)
    return f"0x{node.hex()}"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["key"][:10])
def test_samples(cli: CommandLine, data, sample):
    """All sample accounts and absent keys have the proofs that another program computed."""
    document = cli.ask("prove", APP, sample["key"], "--data", data)
    leaf = sample.get("leaf") or sample["lowLeaf"]
    proof = sample.get("inclusionProof") or sample["proof"]
    assert {name: value for name, value in leaf.items() if name != "leafIndex"} == document["leaf"]
    assert proof == {name: document[name] for name in ("leafIndex", "siblings", "isLeft")}
    assert (sample["key"], sample["treeKey"], "leaf" in sample) == (
        document["key"],
        document["treeKey"],
        document["exists"],
    )
    assert EXPECTED["stateRoot"] == document["stateRoot"] == fold(document)
    if document["exists"]:
        expected = b"".join(keccak256(bytes.fromhex(sample[name][2:])) for name in ("data", "vk"))
        assert f"0x{expected.hex()}" == document["value"]
        assert {"data": sample["data"], "vk": sample["vk"]} == document["stored"]
    else:
        assert (None, None) == (document["value"], document["stored"])


def test_members(cli, data):
    """The members that programs rely on come first, under these names."""
    document = cli.ask("prove", APP, FIRST, "--data", data, "--field", "accounts")
    names = ["key", "exists", "value", "leaf", "leafIndex", "siblings", "isLeft", "stateRoot", "height"]
    assert names == list(document)[: len(names)]
    assert ["active", "prefix", "key", "nextPrefix", "nextKey", "valueHash"] == list(document["leaf"])
    assert isinstance(document["isLeft"], int)


@pytest.mark.parametrize(("height", "lines"), [(1, "500"), (2, "1000"), (4, "2000")])
def test_older_heights(cli, data, height, lines):
    """A proof at an older height leads to that height's root."""
    document = cli.ask("prove", APP, FIRST, "--data", data, "--height", height)
    assert EXPECTED["stateRootAfter"][lines] == document["stateRoot"] == fold(document)
    assert (True, height) == (document["exists"], document["height"])


def test_genesis(cli, data):
    """Before the first block every key is absent, above the dummy leaf."""
    document = cli.ask("prove", APP, FIRST, "--data", data, "--height", 0)
    assert (False, 0, [], 0) == tuple(document[name] for name in ("exists", "height", "siblings", "leafIndex"))
    assert document["stateRoot"] == fold(document)


@pytest.mark.parametrize("key", [FIRST, EXPECTED["sampleAbsentKeys"][1]["key"]])
def test_people_see_the_fold(cli, data, key):
    """Without --json the path is shown, step by step, up to the root."""
    result = cli("prove", APP, key, "--data", data)
    assert (0, "") == (result.code, result.err)
    assert "= the state root" in result.out
    assert EXPECTED["stateRoot"] in result.out


def test_either_case_of_hex(cli, data):
    """A key is the same in either case of its digits."""
    upper = "0x" + FIRST[2:].upper()
    assert cli.ask("prove", APP, FIRST, "--data", data) == cli.ask("prove", APP, upper, "--data", data)


LIBRARY = """
from typing import Annotated

from microrollup import Action, Address, Bytes, Context, Map, MicroRollup, State, Uint64, metadata, replace

class Library(State, frozen=True):
    books: Map[str, Uint64] = Map({"Ulysses": 1, "42": 2, "": 4})
    shelves: Map[Uint64, str] = Map({7: "seven", 2**60: "far"})
    members: Map[Address, bool] = Map({b"\\x01" * 20: True})
    notes: Map[Bytes, Bytes] = Map({b"\\x02": b"two"})
    opened: Uint64 = 1922
    log: Annotated[Map[Uint64, Uint64], metadata] = Map({1: 1})

class Open(Action, frozen=True):
    year: Uint64

def open_(state: Library, action: Open, ctx: Context) -> Library:
    return replace(state, opened=action.year)

app = MicroRollup(name="library", version="1", genesis=Library(), stfs=[open_])
"""

PROVEN = {
    "text": (["Ulysses", "--field", "books"], "Ulysses", 1),
    "text of digits": (["42", "--field", "books"], "42", 2),
    "empty text": (["", "--field", "books"], "", 4),
    "text that is absent": (["Dubliners", "--field", "books"], "Dubliners", None),
    "decimal": (["7", "--field", "shelves"], 7, "seven"),
    "hexadecimal": (["0x7", "--field", "shelves"], 7, "seven"),
    "large integer": ([str(2**60), "--field", "shelves"], str(2**60), "far"),
    "integer that is absent": (["8", "--field", "shelves"], 8, None),
    "address": (["0x" + "01" * 20, "--field", "members"], "0x" + "01" * 20, True),
    "bytes": (["0x02", "--field", "notes"], "0x02", "0x74776f"),
    "scalar": (["--field", "opened"], None, 1922),
}

NOT_PROVEN = {
    "no field": (["7"], "has 4 settled maps: name the field, one of books, shelves, members, notes, opened"),
    "metadata": (["1", "--field", "log"], "log is a metadata field"),
    "scalar with a key": (["7", "--field", "opened"], "it has no keys"),
    "no integer": (["seven", "--field", "shelves"], "KEY is neither a plain decimal nor a 0x integer"),
    "too large": ([str(2**64), "--field", "shelves"], "KEY is not in 0 ..."),
    "negative": (["--field", "shelves", "--", "-1"], "KEY is not in 0 ..."),
    "short address": (["0x0101", "--field", "members"], "KEY has 2 bytes, not 20"),
    "lone surrogate": (["\udcff", "--field", "books"], "lone surrogate"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A store of an app with every kind of key, at its genesis."""
    directory = tmp_path_factory.mktemp("library")
    (directory / "library_app.py").write_text(LIBRARY)
    assert 0 == run_process("import", "library_app", "-", "--data", "data", cwd=directory).code
    return directory


@pytest.mark.parametrize(("arguments", "key", "stored"), PROVEN.values(), ids=PROVEN)
def test_kinds_of_keys(cli, library, monkeypatch, arguments, key, stored):
    """Texts, integers, addresses and bytes are written as people write them; a scalar field has no key."""
    monkeypatch.chdir(library)
    monkeypatch.syspath_prepend(library)
    document = cli.ask("prove", "library_app", *arguments, "--data", "data")
    assert (key, stored, stored is not None) == (document["key"], document["stored"], document["exists"])
    assert document["stateRoot"] == fold(document)
    assert 0 == document["height"]


@pytest.mark.parametrize(("arguments", "sentence"), NOT_PROVEN.values(), ids=NOT_PROVEN)
def test_what_cannot_be_proven(cli, library, monkeypatch, arguments, sentence):
    """Fields that do not settle and keys of another type are refused in one sentence."""
    monkeypatch.chdir(library)
    monkeypatch.syspath_prepend(library)
    assert sentence in cli.refuse("prove", "library_app", "--data", "data", *arguments)
