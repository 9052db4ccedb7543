"""Envelopes of an app's own at a running node: taken, refused, shown, charged for, and re-executed by a verifier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tickets
from microrollup.chain.block import compute_rollup_id
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.chain.receipt_proof import check_receipt_proof, receipt_proof_from_json
from microrollup.client import ActionRefused, Client
from microrollup.errors import BadEnvelope, BudgetSpent
from microrollup.execution.payload import encode_envelope_payload
from microrollup.node import client_budgets
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.forced import compute_forced_id
from microrollup.settlement.local import SECONDS_PER_BLOCK
from node_fixtures import Caller, Site, to_line
from ticket_keys import Purse
from tickets import Fill, Redeem
from waiting import wait_for

NAME = "p256-ticket"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, "tickets:app")


def make_line(raw: bytes) -> bytes:
    return json.dumps({"envelope": NAME, "raw": f"0x{raw.hex()}"}).encode()


def identify(site: Site, purse: Purse, number: int, amount: int) -> str:
    digest = tickets.digest_ticket(Redeem(purse.id, number, bytes(19) + b"\1", amount, 0))
    return "0x" + compute_envelope_id(compute_rollup_id(site.genesis), NAME, digest).hex()


def fill(site: Site, caller: Caller, purse: Purse) -> None:
    (answer,) = caller.submit(to_line(site, site.signer.sign(Fill(purse.id, 100))))
    assert "executed" == answer["ack"]["status"]


def refuse(caller: Caller, name: str, raw: bytes) -> str:
    """The code with which an envelope is refused."""
    code: str = caller.ask("submitEnvelope", name=name, raw=f"0x{raw.hex()}")["error"]["data"]["code"]
    return code


def test_a_node_takes_and_shows_it(site: Site) -> None:
    """Over its own method and as a line; a known one is acknowledged again; receipts, blocks, changes and proofs."""
    purse = Purse()
    raw = purse.sign(7)
    identity = identify(site, purse, 0, 7)
    with site.serve(verifiers=1) as caller:
        fill(site, caller, purse)
        ack = caller.call("submitEnvelope", name=NAME, raw=f"0x{raw.hex()}")
        assert (identity, "executed") == (ack["actionHash"], ack["status"])
        assert ack == caller.call("submitEnvelope", name=NAME, raw=f"0x{raw.hex()}")
        (known, fresh) = caller.submit(make_line(raw), make_line(purse.sign(8)))
        assert ack == known["ack"]
        assert "executed" == fresh["ack"]["status"]
        assert "envelope_rejected" == refuse(caller, NAME, purse.sign(number=9))
        assert "envelope_faulted" == refuse(caller, NAME, purse.sign(number=2, mood=2))
        assert "bad_envelope" == refuse(caller, NAME, raw[:-1])
        assert "bad_envelope" == refuse(caller, NAME, b"")
        assert "unknown_envelope" == refuse(caller, "other", raw)
        assert -32602 == caller.fail("submitEnvelope", name=NAME, raw="0x" + "00" * 16_001)[0]
        wait_for(lambda: caller.call("getConfirmation", hash=identity)["level"][:2] in ("C2", "C3"))
        action = caller.call("getAction", hash=identity)
        assert (NAME, "Redeem", None, "0x" + raw.hex()) == (
            action["origin"], action["type"], action["signature"], action["envelope"]["raw"],
        )  # fmt: skip
        assert "nonce" not in action["message"]
        own = "0x" + tickets.digest_ticket(Redeem(purse.id, 0, bytes(19) + b"\1", 7, 0)).hex()
        assert action == caller.call("getAction", hash=own, name=NAME)
        for method in ("getReceipt", "getReceiptProof", "getConfirmation"):
            assert caller.call(method, hash=identity) == caller.call(method, hash=own, name=NAME)
            assert -32001 == caller.fail(method, hash=own, name="other")[0]
            assert -32001 == caller.fail(method, hash=own)[0]
        assert ("0x" + purse.id.hex(), "7") == (action["message"]["purse"], str(action["message"]["amount"]))
        receipt = caller.call("getReceipt", hash=identity)
        assert ("Redeem", "executed", "0x" + "00" * 20) == (receipt["type"], receipt["status"], receipt["sender"])
        block = caller.call("getBlock", height=receipt["height"], withChanges=True)
        entry = next(each for each in block["actions"] if each["hash"] == identity)
        assert (NAME, "Redeem") == (entry["origin"], entry["type"])
        assert {"purses", "counters", "balances"} == {change["field"] for change in entry["changes"]}
        proof = receipt_proof_from_json(caller.call("getReceiptProof", hash=identity))
        assert identity == "0x" + check_receipt_proof(proof).receipt.action_hash.hex()
        config = caller.call("config")
        assert [(NAME, ["Redeem"])] == [(each["name"], each["actions"]) for each in config["envelopes"]]
        assert ["Fill"] == [each["name"] for each in config["actions"]]
        head = caller.call("getState", field="total")
        assert "100" == str(head["value"])


def test_a_forced_one(site: Site) -> None:
    """It is shown with its place in the queue, by both identities; its copy is refused."""
    purse = Purse()
    with site.serve() as caller:
        fill(site, caller, purse)
        raw, l1 = purse.sign(3), caller.node.l1
        index = l1.force(encode_envelope_payload(NAME, raw), sender=b"\7" * 20)
        l1.force(encode_envelope_payload(NAME, purse.sign(number=7)), sender=b"\7" * 20)
        l1.force(encode_envelope_payload(NAME, raw[:-1] + b"x"), sender=b"\7" * 20)
        site.ahead += 3 * SECONDS_PER_BLOCK
        queue_hash = "0x" + compute_forced_id(caller.node.rollup_id, index).hex()
        wait_for(lambda: "result" in caller.ask("getReceipt", seq=3))
        action = caller.call("getAction", hash=queue_hash)
        assert action == caller.call("getAction", hash=identify(site, purse, 0, 3))
        assert (NAME, "Redeem", str(index), "0x" + "00" * 20) == (
            action["origin"], action["type"], str(action["forced"]["index"]), action["sender"],
        )  # fmt: skip
        shown = [caller.call("getReceipt", seq=seq) for seq in (2, 3)]
        assert [("rejected", "Redeem"), ("invalid forced", None)] == [(each["status"], each["type"]) for each in shown]
        assert "duplicate" == refuse(caller, NAME, raw)


def drive(caller: Caller, use: Callable[[Client], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with Client(caller.url, timeout=60, **options) as client:
            return await use(client)

    return asyncio.run(run())


@pytest.mark.parametrize("knows", [True, False])
def test_the_client(site: Site, knows: bool) -> None:
    """With the app it opens what it sends, and knows the identity that must be acknowledged; without, the node does."""
    options = {"app": tickets.app} if knows else {}
    purse = Purse()
    with site.serve() as caller:
        fill(site, caller, purse)
        raw = purse.sign(2)
        ack = drive(caller, lambda client: client.submit_envelope(NAME, raw), **options)
        assert identify(site, purse, 0, 2) == "0x" + ack.action_hash.hex()
        with pytest.raises(BadEnvelope if knows else ActionRefused, match="not signed by the key"):
            drive(caller, lambda client: client.submit_envelope(NAME, raw[:-1] + b"x"), **options)
        with pytest.raises(ActionRefused, match="not the next ticket") as caught:
            drive(caller, lambda client: client.submit_envelope(NAME, purse.sign(number=8)), **options)
        assert "envelope_rejected" == caught.value.refusal
        signed = to_line(site, site.signer.sign(Fill(purse.id, 1)))
        lines = [make_line(purse.sign(1)), signed, make_line(raw), make_line(purse.sign(number=9)), b'{"envelope": 1}']
        outcomes = drive(caller, lambda client: client.submit_lines(lines), **options)
        assert ["executed"] * 3 == [outcome.status for outcome in outcomes[:3]]
        assert all(isinstance(outcome, Exception) for outcome in outcomes[3:])


def test_opening_is_charged_to_the_client(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hands in what takes long to open is refused before the next is opened; others are not touched."""
    monkeypatch.setattr(client_budgets, "CLIENT_BURST_SECONDS", 0.3)
    purse = Purse()
    with site.open() as node:
        node._budgets._clock = lambda: 5.0  # no share comes back
        assert isinstance(node.submit([to_line(site, site.signer.sign(Fill(purse.id, 9)))]).result(60)[0], Sequenced)
        spent = 0
        with pytest.raises(BudgetSpent):
            for spent in range(40):
                (refused,) = node.submit([make_line(purse.sign(number=spent, mood=9))], "a client").result(60)
                assert isinstance(refused, BadEnvelope)
        assert 1 <= spent
        many = [make_line(purse.sign(number=100 + number, mood=9)) for number in range(60)]
        outcomes = node.submit([*many, to_line(site, site.signer.sign(Fill(purse.id, 9)))], "a third").result(60)
        assert 1 <= len([each for each in outcomes if isinstance(each, BadEnvelope)]) < 30
        assert all(isinstance(each, (BadEnvelope, BudgetSpent)) for each in outcomes)
        (taken,) = node.submit([make_line(purse.sign(1))], "another").result(60)
        assert isinstance(taken, Sequenced)
        escaped = make_line(purse.sign(1)).replace(b"envelope", b"\\u0065nvelope")
        with pytest.raises(BudgetSpent):
            node.submit([escaped], "a client")
        (taken,) = node.submit([escaped], "another").result(60)
        assert isinstance(taken, Sequenced)


def test_what_is_acknowledged_survives(site: Site) -> None:
    """A node that starts again has it, and knows it."""
    purse = Purse()
    with site.serve() as caller:
        fill(site, caller, purse)
        raw = purse.sign(4)
        ack = caller.call("submitEnvelope", name=NAME, raw=f"0x{raw.hex()}")
    with site.serve() as caller:
        again = caller.call("submitEnvelope", name=NAME, raw=f"0x{raw.hex()}")
        assert (ack["seq"], ack["actionHash"]) == (again["seq"], again["actionHash"])
        answer = caller.call("submitEnvelope", name=NAME, raw=f"0x{purse.sign(1).hex()}")
        assert "executed" == answer["status"]
        assert msgspec.json.encode(answer)
