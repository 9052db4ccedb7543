"""States within states over JSON-RPC: full dotted names in calls and answers, proofs, changes, and the client."""

import pytest

from kernel_fixtures import make_key
from microrollup.client import SyncClient
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.node.options import NodeOptions
from microrollup.node.writer import WriterOptions
from nested import Buy, Mark, Mint, Tick, app
from node_fixtures import Site, to_line
from waiting import wait_for

ALICE = compute_address(make_key("alice"))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A node over a rollup of parts with two closed blocks, and its site."""
    site = Site(tmp_path_factory.mktemp("parts"), "nested:app")
    options = NodeOptions(block_size=2, timing=WriterOptions(block_seconds=60, gap_seconds=0.3, poll_seconds=60))
    with site.serve(options=options) as caller:
        actions = [Mint(20), Mark(7, 3), Tick(101), Buy(9)]
        caller.submit(*[to_line(site, site.signer.sign(action)) for action in actions])
        wait_for(lambda: caller.call("height")["latest"] == 2)
        yield site, caller


def test_the_configuration_names_all_fields(served):
    """`rollup_config` lists fields by their dotted names, in the order of their numbers."""
    fields = [(field["name"], field["kind"], field["settled"]) for field in served[1].call("config")["fields"]]
    assert [
        ("wallets.balances", "map", True),
        ("wallets.sent", "map", False),
        ("wallets.supply", "scalar", True),
        ("players", "scalar", True),
        ("grid.clock.ticks", "scalar", False),
        ("grid.clock.round", "scalar", True),
        ("grid.cells", "map", True),
        ("marks", "map", False),
    ] == fields


def test_full_names_are_taken(served):
    """Values, pages and proofs by the full name; the end of a name is not enough, and a part is not a field."""
    caller = served[1]
    ticks = caller.call("getState", field="grid.clock.ticks")
    assert {"field": "grid.clock.ticks", "key": None, "exists": True, "value": 102, "height": 2} == ticks
    assert 15 == caller.call("getState", field="wallets.balances", key=hex0x(ALICE))["value"]
    assert [7, 9] == [entry["key"] for entry in caller.call("getEntries", field="grid.cells")["entries"]]
    proof = caller.call("getProof", field="grid.cells", key=7)
    assert (True, {"owner": 1, "mark": 3}) == (proof["exists"], proof["stored"])
    assert hex0x(compute_tree_key(4, (7).to_bytes(32, "big"))) == proof["treeKey"]
    for name in ("balances", "wallets", "Wallets.balances", "clock.ticks", "wallets."):
        code, message = caller.fail("getState", field=name, key=hex0x(ALICE))
        assert (-32602, True) == (code, "wallets.balances" in message), message


def test_changes_have_full_names(served):
    """What an action changed is told by dotted names, whether its function is of a part or of the whole."""
    changes = [
        {change["field"]: (change["before"], change["after"]) for change in entry["changes"]}
        for height in (1, 2)
        for entry in served[1].call("getBlock", height=height, withChanges=True)["actions"]
    ]
    assert {"wallets.balances": (None, 20), "wallets.supply": (300, 320)} == changes[0]
    assert {"grid.clock.ticks": (0, 101), "grid.clock.round": (1, 2)} == changes[2]
    assert {"wallets.balances", "wallets.supply", "players", "grid.clock.ticks", "grid.cells", "marks"} == set(
        changes[3]
    )


def test_the_client(served):
    """The client takes the same names, with and without the app, and checks proofs of a part's fields."""
    site, caller = served
    assert site.rollup.stf_id == app.stf_id
    for known in (app, None):
        with SyncClient(caller.url, known) as client:
            assert 320 - 5 == client.get_state("wallets.supply").value
            assert client.get_proof("grid.cells", 9).exists
            assert not client.get_proof("wallets.balances", b"\x01" * 20).exists
