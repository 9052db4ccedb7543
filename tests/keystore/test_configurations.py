"""`status --node`: whether a chain goes by what the keystore holds now, proven against the chain's own copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from account_world import address_of, make_key
from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.chains.configurations import compare_configurations
from apps.keystore.chains.group import main
from apps.keystore.chains.standing import AccountCopy
from apps.keystore.chains.status import ChainStatus, compare_copies
from apps.keystore.smart_account import compute_data, configure_ecdsa
from apps.keystore.transitions import Register, Update
from microrollup.client import SyncClient
from microrollup.primitives import Bytes, Bytes32
from node_fixtures import Site
from waiting import wait_for


def settle(client: SyncClient, action: Register | Update, name: str) -> ChainStatus:
    """A chain whose account has copied the root in which the action is settled."""
    client.submit(action, make_key(name))
    height = client.call("height")["settled"]
    found = wait_for(lambda: (seen := client.call("height")["settled"]) > height and seen)
    root = bytes.fromhex(client.call("getHeader", height=found)["stateRoot"][2:])
    return ChainStatus("", copy=AccountCopy(root, found, 0, 0))


def get_height(status: ChainStatus) -> int:
    """Of its copy."""
    assert status.copy is not None
    return status.copy.height


def test_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another key's change makes a copy older and changes nothing; a rotation does; a false root is a conflict."""
    data, other = [compute_data(configure_ecdsa(address_of(name))) for name in ("a device", "another device")]
    key = compute_account_key(bytes(32), data, address_of("a wallet"))
    with Site(tmp_path, "apps.keystore:app").serve(verifiers=1) as caller, SyncClient(caller.url, app) as client:
        register = Register(Bytes32(data[:32]), Bytes32(data[32:]), Bytes32(bytes(32)))
        first = settle(client, register, "a wallet")
        second = settle(client, register, "a stranger")
        false = ChainStatus("", copy=AccountCopy(b"\x11" * 32, get_height(second), 0, 0))
        chains = [first, second, ChainStatus("")]
        assert ["older", "yes", "-"] == compare_copies(chains)
        assert ["conflict", "conflict"] == compare_copies([second, false])
        assert ["yes", "yes", "-", "conflict"] == compare_configurations([*chains, false], key, caller.url)
        update = Update(Bytes32(key), Bytes32(other[:32]), Bytes32(other[32:]), Bytes(address_of("a wallet")))
        third = settle(client, update, "a wallet")
        assert ["no", "no", "-", "yes"] == compare_configurations([*chains, third], key, caller.url)
    assert 2 == main(["status", "0x" + "11" * 20, "--chains", "http://127.0.0.1:1", "--node", "http://127.0.0.1:1"])
    assert "a key of 32 bytes" in capsys.readouterr().err
