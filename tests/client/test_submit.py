"""`microrollup submit`: actions go to a node, signed here or signed already, and are waited for."""

import json

import pytest

from client_server import RefusedCall, serve
from command_line import LINES, cli
from kernel_fixtures import BUILDER, VERIFIER, make_key
from microrollup.chain.block import compute_rollup_id
from zoo import zoo

__all__ = ["cli"]

ALICE = make_key("alice")
HASH = "0x" + "11" * 32
MEMBERS = ("--member", f"codeHash={HASH}", "--member", f"configHash={HASH}", "--member", f"salt={HASH}")


@pytest.fixture
def node():
    with serve() as running:
        yield running


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "alice.key"
    path.write_text(ALICE.secret.hex())
    return path


def ended(cli, code: int, *arguments, stdin: bytes = b""):
    """The document of a command with this exit code."""
    result = cli(*arguments, "--json", stdin=stdin)
    assert (code, "") == (result.code, result.err), result
    return result.document


# --- one action ------------------------------------------------------------------------------------------------------


def test_one_action(cli, node, key):
    """An action is made of texts, numbered, signed and acknowledged; again it is rejected, with exit code 1."""
    document = ended(cli, 0, "submit", node.url, "Register", "--key", key, *MEMBERS)
    assert ("executed", 0, "C0") == (document["ack"]["status"], document["ack"]["seq"], document["confirmation"])
    (event,) = document["ack"]["events"]
    assert ("Registered", ["key"]) == (event["name"], list(event["fields"]))
    document = ended(cli, 1, "submit", node.url, "Register", "--key", key, *MEMBERS, "--wait", "C1")
    assert ("account exists", 1, "C1") == (document["ack"]["reason"], document["ack"]["seq"], document["confirmation"])
    shown = cli("submit", node.url, "Register", "--key", key, *MEMBERS)
    assert "rejected: account exists" in shown.out


def test_every_kind_of_member(cli, key):
    """Lists and structs are JSON, booleans true or false, texts plain."""
    steps = '[{"kind":0,"key":7,"value":"9"},{"kind":4,"key":1,"value":1}]'
    with serve(zoo) as node:
        arguments = ("submit", node.url, "Edit", "--key", key, "--member", f"steps={steps}")
        assert "executed" == ended(cli, 0, *arguments, "--member", "reject=false")["ack"]["status"]
        assert "rejected" == ended(cli, 1, *arguments, "--member", "reject=true")["ack"]["status"]
        faulted = cli("submit", node.url, "Misbehave", "--key", key, "--member", "how=no = way", "--json")
        assert (1, "faulted") == (faulted.code, faulted.document["ack"]["status"])
        assert "reject" in cli.refuse(*arguments, "--member", "reject=yes")
        assert "steps[].kind" in cli.refuse(
            *arguments[:-1], 'steps=[{"kind":256,"key":7,"value":9}]', "--member", "reject=true"
        )


MISTAKES = {
    "no such action": (("Delete",), MEMBERS, "it has Register, Update"),
    "an unknown member": (("Register",), (*MEMBERS, "--member", "x=1"), "no member 'x'"),
    "a missing member": (("Register",), MEMBERS[:4], "salt"),
    "a member twice": (("Register",), (*MEMBERS, *MEMBERS[:2]), "each name once"),
    "no value": (("Register",), ("--member", "codeHash"), "NAME=VALUE"),
    "a short value": (("Register",), (*MEMBERS[:5], "salt=0x11"), "salt has 1 bytes"),
    "no hex": (("Register",), (*MEMBERS[:5], "salt=11"), "0x"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(cli, node, key, what):
    """What cannot be meant is refused in one sentence, and nothing is sent."""
    name, members, sentence = MISTAKES[what]
    assert sentence in cli.refuse("submit", node.url, *name, "--key", key, *members)
    assert [] == node.double.lines


def test_a_refusal_of_the_node(cli, node, key):
    """The node's no has exit code 1 and its stable code."""
    node.double.refusals = [RefusedCall(-32000, "refused", {"code": "action_limit", "detail": "too much"})]
    document = ended(cli, 1, "submit", node.url, "Register", "--key", key, *MEMBERS)
    assert {"error": "action_limit", "detail": "too much"} == document


def test_pins(cli, node, key):
    """The rollup and the builder that are named must be the node's."""
    rollup_id = compute_rollup_id(node.double.chain.genesis).hex()
    arguments = ("submit", node.url, "Register", "--key", key, *MEMBERS)
    assert "another rollup" in cli.refuse(*arguments, "--rollup-id", "11" * 32)
    assert "another builder" in cli.refuse(*arguments, "--builder", VERIFIER.hex())
    assert [] == node.double.lines
    assert ended(cli, 0, *arguments, "--rollup-id", rollup_id, "--builder", BUILDER.hex())


def test_what_cannot_be_carried_out(cli, node, key, tmp_path):
    """No key, members without a key, a bad address, a level that is not reached."""
    assert "No such file" in cli.refuse("submit", node.url, "Register", "--key", tmp_path / "none", *MEMBERS)
    assert "--key" in cli.refuse("submit", node.url, "Register", *MEMBERS)
    assert "http://" in cli.refuse("submit", "localhost", "Register", "--key", key, *MEMBERS)
    assert "has not reached C3B" in cli.refuse(
        "submit", node.url, "Register", "--key", key, *MEMBERS, "--wait", "C3B", "--timeout", "0.2"
    )


# --- files of signed actions -----------------------------------------------------------------------------------------


def test_a_file(cli, node, tmp_path):
    """Lines that wallets signed are executed in their order; sent again they give the same outcomes."""
    node.double.auto_close = False
    file = tmp_path / "actions.jsonl"
    file.write_bytes(b"".join(LINES[:620]))
    first = ended(cli, 1, "submit", node.url, file)
    assert (620, 0, "C0") == (first["lines"], first["refused"], first["confirmation"])
    assert 620 == first["executed"] + first["rejected"]
    assert 2 == node.double.calls.count("submitActions")
    assert first == ended(cli, 1, "submit", node.url, file)
    assert 620 == node.run(lambda: node.double.chain.ledger.next_seq)


def test_standard_input_and_refusals(cli, node):
    """Refused lines are listed by number, and do not keep the others from being executed."""
    altered = json.dumps(json.loads(LINES[1]) | {"sender": "0x" + "00" * 20}).encode() + b"\n"
    stdin = LINES[0] + b"{}\n" + altered + b"no json\n"
    document = ended(cli, 1, "submit", node.url, "-", "--wait", "C1", stdin=stdin)
    assert (4, 1, 3, "C1") == tuple(document[name] for name in ("lines", "executed", "refused", "confirmation"))
    assert [(1, "missing_member"), (2, "sender_mismatch"), (3, "not_json")] == [
        (refusal["line"], refusal["error"]) for refusal in document["refusals"]
    ]
    shown = cli("submit", node.url, "-", stdin=stdin)
    assert "sender_mismatch" in shown.out
    assert 1 == len(node.double.lines) // 2


def test_nothing_to_submit(cli, node, tmp_path):
    """An empty file is done at once; one that is not there is named."""
    document = ended(cli, 0, "submit", node.url, "-")
    assert (0, None) == (document["lines"], document["confirmation"])
    assert "No such file" in cli.refuse("submit", node.url, tmp_path / "none")


def test_many_refusals_are_cut_short_for_people(cli, node):
    """A table of twenty refusals is enough."""
    assert "and 5 more" in cli("submit", node.url, "-", stdin=b"{}\n" * 25).out


def test_lost_answers(cli, node):
    """A batch whose answer is lost is sent again, and executed once."""
    node.double.auto_close = False

    def lose(method, answer):
        if method == "submitActions" and node.double.calls.count(method) == 1:
            node.double.lose_answers = 1
        return answer

    node.double.change = lose
    document = ended(cli, 0, "submit", node.url, "-", stdin=b"".join(LINES[:5]))
    assert 5 == document["executed"]
    assert (2, 5) == (node.double.calls.count("submitActions"), node.run(lambda: node.double.chain.ledger.next_seq))
