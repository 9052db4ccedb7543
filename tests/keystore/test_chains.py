"""`deploy-l2` and `status`: the keystore's contracts on an L1 and two L2s."""

from __future__ import annotations

import json

import pytest

from account_world import address_of
from apps.keystore.chains.book import read_book
from apps.keystore.smart_account import encode_push_root
from apps.keystore.story.entry_point import bring_entry_point
from chains_world import CHAIN_IDS, ChainsWorld
from chains_world import KEY as KEY_OF_CHAINS
from delegating import delegate_by, set_key_by
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, UsageError
from ports import find_port

KEY = keccak256(b"a key of nobody's")


@pytest.fixture(scope="module")
def world(chains: ChainsWorld) -> ChainsWorld:
    """Three chains, and the contracts on all of them."""
    return chains


def test_a_second_run_changes_nothing(world: ChainsWorld) -> None:
    """No transaction, no byte of an address book."""
    books = {path.name: path.read_bytes() for path in world.book.iterdir()}
    assert {f"{chain_id}.json" for chain_id in CHAIN_IDS} == set(books)
    heads = [chain.anvil.get_head() for chain in world.chains]
    code, document = world.deploy("--stake", "1")
    assert 0 == code
    for chain in document["chains"]:
        assert (False, [], 0, "0") == (chain["bookChanged"], chain["deployed"], chain["gas"], chain["stakedWei"])
    assert books == {path.name: path.read_bytes() for path in world.book.iterdir()}
    assert heads == [chain.anvil.get_head() for chain in world.chains]


def test_one_address_on_all_chains(world: ChainsWorld) -> None:
    """And one code, but those of accounts, which hold the chain's id."""
    books = [json.loads((world.book / f"{chain_id}.json").read_bytes()) for chain_id in CHAIN_IDS]
    for name, entry in books[0]["contracts"].items():
        others = [book["contracts"][name] for book in books[1:]]
        assert {entry["address"]} == {other["address"] for other in others}
        assert (name not in ("KeystoreAccount", "Keystore7702")) == (
            {entry["codeHash"]} == {other["codeHash"] for other in others}
        )
        for chain, book in zip(world.chains, books, strict=True):
            code = bytes.fromhex(chain.anvil.call("eth_getCode", entry["address"], "latest")[2:])
            assert hex0x(keccak256(code)) == book["contracts"][name]["codeHash"]


def test_wrong_code_is_named(world: ChainsWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """By `deploy-l2`, which sends nothing then, and by `status`."""
    address = hex0x(world.plan.get_address("ECDSAValidator"))
    code = world.first.anvil.call("eth_getCode", address, "latest")
    try:
        world.first.anvil.call("anvil_setCode", address, code + "00")
        head = world.first.anvil.get_head()
        assert 0 != world.deploy()[0]
        said = capsys.readouterr().err
        assert "ECDSAValidator" in said
        assert address in said
        assert "chain 10" in said
        assert head == world.first.anvil.get_head()
        exit_code, rows = world.ask_status(KEY)
        assert 1 == exit_code
        assert [[], ["ECDSAValidator"], []] == [row["wrongCode"] for row in rows]
        assert [True, False, True] == [row["complete"] for row in rows]
        world.first.anvil.call("anvil_setCode", address, "0x")
        _, rows = world.ask_status(KEY)
        assert [[], ["ECDSAValidator"], []] == [row["missing"] for row in rows]
    finally:
        world.first.anvil.call("anvil_setCode", address, code)
    assert 0 == world.ask_status(KEY)[0]


def test_another_inbox_is_another_book(world: ChainsWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """What the books say of a chain is not written over, and nothing is sent."""
    book, heads = read_book(world.book, 10), [chain.anvil.get_head() for chain in world.chains]
    assert book is not None
    assert 0 != world.deploy("--owner", "0x" + "22" * 20)[0]
    assert "another --book" in capsys.readouterr().err
    assert (book, heads) == (read_book(world.book, 10), [chain.anvil.get_head() for chain in world.chains])


def test_a_book_whose_addresses_are_moved(world: ChainsWorld) -> None:
    """Is refused: inbox and owner decide all addresses."""
    path = world.book / "10.json"
    kept = path.read_text()
    try:
        path.write_text(kept.replace(hex0x(world.plan.roots), "0x" + "33" * 20))
        moved = read_book(world.book, 10)
        assert moved is not None
        with pytest.raises(DecodeError, match="KeystoreRoots is at 0x3333"):
            moved.make_plan()
        _, rows = world.ask_status(KEY)
        assert "KeystoreRoots" in rows[1]["error"]
        assert not rows[0]["error"]
        assert not rows[2]["error"]
    finally:
        path.write_text(kept)


def test_a_book_of_before(world: ChainsWorld) -> None:
    """One that does not know `Keystore7702` yet: `status` misses it, `deploy-l2` adds it and sends nothing."""
    path = world.book / "10.json"
    kept = path.read_text()
    try:
        document = json.loads(kept)
        del document["contracts"]["Keystore7702"]
        path.write_text(json.dumps(document))
        code, rows = world.ask_status(KEY)
        assert (1, [[], ["Keystore7702"], []]) == (code, [row["missing"] for row in rows])
        heads = [chain.anvil.get_head() for chain in world.chains]
        code, answer = world.deploy()
        assert 0 == code
        assert [False, True, False] == [chain["bookChanged"] for chain in answer["chains"]]
        assert heads == [chain.anvil.get_head() for chain in world.chains]
        assert json.loads(kept) == json.loads(path.read_text())
    finally:
        path.write_text(kept)


def test_status_of_an_eoa(world: ChainsWorld) -> None:
    """Not delegated; delegated without a key; with one and a root; delegated to other code, which is not asked."""
    anvil, funder, eoa = world.l1.anvil, hex0x(compute_address(KEY_OF_CHAINS)), address_of("an EOA that is looked at")
    key, other = keccak256(b"an EOA's key"), world.plan.get_address("KeystoreRoots")

    def ask() -> tuple[object, ...]:
        _, (row, *_) = world.ask_status(eoa)
        assert hex0x(eoa) == row["account"]
        return row["delegation"], row["key"], row["deployed"], row["copyHeight"]

    assert (None, None, False, None) == ask()
    delegate_by(anvil, funder, "an EOA that is looked at", world.plan.delegate)
    assert ("keystore", hex0x(bytes(32)), True, 0) == ask()
    world.l1.send(eoa, set_key_by(anvil, "an EOA that is looked at", world.plan.delegate, key))
    world.settle()
    world.l1.send(world.plan.roots, keccak256(b"readInbox()")[:4])
    world.l1.send(eoa, encode_push_root())
    assert ("keystore", hex0x(key), True, world.height) == ask()
    delegate_by(anvil, funder, "an EOA that is looked at", other)
    assert ("other", None, False, None) == ask()


def test_status_of_a_chain_that_is_away(world: ChainsWorld) -> None:
    """The others are told."""
    code, rows = world.ask_status(KEY, world.urls[0], "http://127.0.0.1:1")
    assert 1 == code
    assert not rows[0]["error"]
    assert "no answer" in rows[1]["error"]


def test_status_of_a_key(world: ChainsWorld) -> None:
    """Which root each chain knows, how old it is, and what the account goes by."""
    account = world.plan.get_account(KEY)
    _, rows = world.ask_status(KEY)
    assert [hex0x(account)] * 3 == [row["account"] for row in rows]
    assert [False] * 3 == [row["deployed"] for row in rows]
    world.l1.anvil.mine(3)
    root = world.settle()
    world.l1.send(world.plan.roots, keccak256(b"readInbox()")[:4])
    _, rows = world.ask_status(account)
    assert (world.height, hex0x(root)) == (rows[0]["height"], rows[0]["root"])
    assert all(row["height"] != world.height for row in rows[1:])
    assert 0 == rows[0]["shownAge"]
    assert 0 < rows[0]["age"] < 600


def test_the_entry_point_is_brought_once(world: ChainsWorld) -> None:
    """Where it is, nothing is sent, and npm is not asked. A node that is away is an error with its place."""
    assert not bring_entry_point(world.urls[0])
    url = f"http://127.0.0.1:{find_port()}"
    with pytest.raises(UsageError, match=f"{url} does not answer eth_getCode"):
        bring_entry_point(url)
