"""A node whose builder lies, as a process among its clients: they are told C2X and the field's name, intake stays shut
and says so, and the next start builds the blocks again out of the log.
"""

import json

import pytest

from command_line import LINES
from node_fixtures import receive, subscribe
from process_fixtures import TIMEOUT, run_liar, run_node, submit
from waiting import wait_for


def read_gauge(caller, name):
    """A metric's value."""
    lines = caller.get("/metrics")[1].decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"microrollup_{name} ")]
    return float(line.split()[1])


@pytest.mark.parametrize(("field", "killed"), [("state_root", False), ("receipts_root", True)])
def test_a_lie_is_told_and_mended(tmp_path, field, killed):
    """From the first answer to the last block: C1 to C3B while the builder is honest, then C2X with the field's name to
    whoever listens or asks, a shut intake in every place where one looks, and after the next start, even behind a kill
    -9, every acknowledged action at its seq with its receipt, settled.
    """
    name = "".join(word.capitalize() if number else word for number, word in enumerate(field.split("_")))
    acks = []
    with run_liar(tmp_path / "data", field, 2) as caller, caller.connect(max_queue=None) as ws:
        subscribe(ws, "confirmations", **{"from": 1})
        acks += submit(caller, LINES[:10])
        wait_for(lambda: caller.call("height")["settled"] == 1)
        told = receive(ws, 4)
        assert [(1, "C1"), (1, "C2"), (1, "C3A"), (1, "C3B")] == [_read_level(each) for each in told]
        acks += submit(caller, LINES[10:30])
        told = receive(ws, 2)
        assert [(2, "C1"), (2, "C2X")] == [_read_level(each) for each in told]
        assert name == told[1]["result"]["divergence"]["field"]
        wait_for(lambda: caller.get("/health")[0] == 503)

        health = json.loads(caller.get("/health")[1])
        assert ("stopped", 2, name) == (
            health["intake"], health["divergence"]["height"], health["divergence"]["field"],
        )  # fmt: skip
        assert health["divergence"]["expected"] != health["divergence"]["found"]
        assert "C2X" in health["reason"]
        assert name in health["reason"]
        assert 0 == read_gauge(caller, "intake_open")
        (refused, message) = caller.fail("submitAction", action=json.loads(LINES[30]))
        assert -32003 == refused
        assert "C2X" in message
        assert caller.fail("submitActions", actions=[json.loads(LINES[30])])[0] == -32003

        assert "C2X" == caller.call("getConfirmation", height=2)["level"]
        assert "C3B" == caller.call("getConfirmation", height=1)["level"]
        for ack in acks:
            receipt = caller.call("getReceipt", hash=ack["actionHash"])
            assert (ack["seq"], ack["height"]) == (receipt["seq"], receipt["height"])
            assert ("C3B" if ack["height"] == 1 else "C2X") == receipt["confirmation"]
        assert (1, 1) == (caller.call("height")["verified"], caller.call("height")["settled"])
        lie = caller.call("getHeader", height=2)
        if killed:
            caller.process.kill()
        else:
            caller.process.terminate()
        assert caller.process.wait(TIMEOUT) == (-9 if killed else 0)

    with run_node(tmp_path / "data") as caller:
        assert 200 == caller.get("/health")[0]
        assert acks == submit(caller, LINES[:30])
        more = submit(caller, LINES[30:40])
        assert list(range(40)) == [ack["seq"] for ack in acks + more]
        wait_for(lambda: caller.call("height")["settled"] == caller.call("height")["latest"] >= 3)
        mended = caller.call("getHeader", height=2)
        assert lie[name] != mended[name]
        assert {"C3B"} == {caller.call("getReceipt", hash=ack["actionHash"])["confirmation"] for ack in acks}
        assert 1 == read_gauge(caller, "intake_open")


def _read_level(told):
    return told["result"]["height"], told["result"]["level"]


def test_a_lie_told_again_is_found_again(tmp_path):
    """A builder that lies after its restart too settles nothing, and still loses no acknowledged action."""
    acks = []
    for _ in range(2):
        with run_liar(tmp_path / "data", "state_root", 1) as caller:
            if not acks:
                acks = submit(caller, LINES[:20])
            wait_for(lambda: caller.get("/health")[0] == 503)
            assert (0, 0) == (caller.call("height")["verified"], caller.call("height")["settled"])
            assert [ack["seq"] for ack in acks] == [
                caller.call("getReceipt", hash=ack["actionHash"])["seq"] for ack in acks
            ]
    with run_node(tmp_path / "data") as caller:
        wait_for(lambda: caller.call("height")["settled"] == caller.call("height")["latest"] == 1)
        assert acks == submit(caller, LINES[:20])
