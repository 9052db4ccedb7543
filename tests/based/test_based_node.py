"""`microrollup deploy --based` and `run` on what it made: a node that derives from L1, serves, and takes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import counting
from based_chain import DEPTH, BasedChain, run_based_chain
from command_line import CommandLine, cli
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.attesting import gather_attestations
from microrollup.keys.files import builder_key_path
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.testing.anvil import pass_blocks
from microrollup.verifier.based import ATTESTED_BLOCKS
from node_fixtures import receive, subscribe
from proof_contracts import install_proof_verifier
from waiting import wait_for

__all__ = ["cli"]

APP = "counting:app"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BasedChain]:
    with run_based_chain(APP, tmp_path_factory.mktemp("based")) as chain:
        yield chain


def test_what_deploy_makes(chain: BasedChain, cli: CommandLine) -> None:
    """A genesis without builder, no builder's key, and no options that speak of one."""
    assert ("0x" + "00" * 20, 2) == (chain.deployed["builder"], chain.deployed["quorum"])
    assert chain.genesis.is_based
    assert not builder_key_path(chain.data).exists()
    other = ("--data", chain.root / "other", "--l1-url", chain.anvil.url, "--key", chain.payer)
    for options, reason in (
        (("--based", "--builder", "0x" + "11" * 20), "a based rollup has no builder"),
        (("--based", "--fund", "1"), "no builder that would pay"),
        (("--based", "--da", "calldata"), "nothing is published"),
        (("--builder", "0x" + "00" * 20), "say so with --based"),
    ):
        assert reason in cli.refuse("deploy", APP, *other, *options)
    assert "takes no exceptions" in cli.refuse("deploy", "zoo:zoo", *other, "--based")
    assert not (chain.root / "other").exists()


def test_a_node(chain: BasedChain, cli: CommandLine) -> None:
    """What is in the queue comes out of it: receipts, proofs, state, news. What is handed in is told the way."""
    with chain.run(chain.data) as caller:
        with caller.connect() as socket:
            subscribe(socket, "blocks")
            own, _ = chain.force(counting.Add(1), b"nonsense")
            chain.anvil.mine(3)
            (news,) = receive(socket, 1)
            assert 1 == news["cursor"]
        chain.wait(caller)
        receipt = caller.call("getReceipt", seq=0)
        assert ("executed", "C1") == (receipt["status"], receipt["confirmation"])
        assert 1 == caller.call("getState", field="total")["value"]
        proof = caller.call("getReceiptProof", hash=receipt["actionHash"])
        assert "acknowledgement" not in proof
        file = chain.root / "proof.json"
        file.write_text(json.dumps(proof))
        checked = cli.ask("check-receipt", file, "--builder", "0x" + "00" * 20)
        assert any("no seal" in each for each in checked["unchecked"]), checked
        assert "WrongSeal" == cli.ask("check-receipt", file, code=1)["error"]
        error = caller.ask("submitAction", action=json.loads(chain.sign(counting.Add(2), "user")))["error"]
        assert (-32000, "through_l1") == (error["code"], error["data"]["code"])
        assert "microrollup relay" in error["message"]
        assert chain.inbox in error["message"]
        assert "through_l1" == caller.ask("requestSettlement")["error"]["data"]["code"]
        status, body = caller.get("/health")
        assert (200, "none", "0x" + "00" * 20) == (
            status, json.loads(body)["intake"], caller.call("config")["builder"],
        )  # fmt: skip
        assert b"microrollup_block_height" in caller.get("/metrics")[1]
        assert 200 == caller.get("/", Accept="text/html")[0]
        assert 0 == own


def test_three_verifiers_on_ethereum(chain: BasedChain) -> None:
    """Processes that share nothing but L1 attest the same; two of them are a quorum, and anybody settles. The node
    tells how far it is, and the block of a quorum is the one that it derived itself.
    """
    chain.force(*[counting.Add(number) for number in range(3)])
    chain.anvil.mine(ATTESTED_BLOCKS + DEPTH + 1)
    with ExitStack() as stack:
        caller = stack.enter_context(chain.run(chain.data))
        urls = [stack.enter_context(chain.verify(number)) for number in range(3)]

        def are_agreed() -> bool:
            served, failed = gather_attestations(urls)
            return not failed and len(served) == 3 and len({each.signed.attestation for each in served}) == 1

        wait_for(are_agreed)
        code, _, said = chain.settle(urls[2])
        assert (2, True) == (code, "1 of the rollup's verifiers agree, 2 have to" in said), said
        code, document, said = chain.settle(urls[0], urls[2])
        headers = chain.read_headers(caller)
        assert (0, len(headers)) == (code, document["settled"]), said
        assert headers[-1]["stateRoot"] == document["stateRoot"]
        head = chain.l1.get_settled()
        assert (len(headers), document["blockHash"]) == (head.height, f"0x{head.block_hash.hex()}")
        wait_for(lambda: caller.call("height")["available"] == head.height)
        chain.anvil.mine(DEPTH)
        wait_for(lambda: caller.call("height")["settled"] == head.height)
        proof = caller.call("getReceiptProof", hash=caller.call("getReceipt", seq=0)["actionHash"])
        assert "acknowledgement" not in proof
        (again,) = chain.force(counting.Add(9))
        chain.anvil.mine(ATTESTED_BLOCKS + DEPTH)
        wait_for(
            lambda: {each.signed.attestation.first_height for each in gather_attestations(urls)[0]} == {head.height + 1}
        )
        assert (0, head.height + 1) == (chain.settle(*urls)[0], chain.l1.get_settled().height)
        assert again + 1 == chain.l1.get_settled().forced_count


def test_a_month_of_silence(chain: BasedChain) -> None:
    """Nobody touches the rollup for a month of L1's time; then the node goes on with the new time, and verifiers
    do too.
    """
    month = 30 * 24 * 3600
    chain.force(counting.Add(1))
    chain.anvil.mine(DEPTH + 1)
    with chain.run(chain.data) as caller, chain.verify(0) as one, chain.verify(1) as two:
        before = chain.read_headers(caller)[-1]
        chain.anvil.call("evm_setNextBlockTimestamp", hex(chain.anvil.get_head()[1] + month))
        chain.anvil.call("evm_mine")
        assert before == chain.read_headers(caller)[-1]
        chain.force(counting.Add(2))
        chain.anvil.mine(ATTESTED_BLOCKS + DEPTH)
        after = chain.read_headers(caller)[-1]
        assert before["timestamp"] + month <= after["timestamp"]
        assert before["height"] + 1 == after["height"]

        def is_attested() -> bool:
            served = gather_attestations([one, two])[0]
            return [each.header.height for each in served] == 2 * [after["height"]]

        wait_for(is_attested)
        assert (0, after["height"]) == (chain.settle(one, two)[0], chain.l1.get_settled().height)


def test_what_run_refuses(chain: BasedChain, cli: CommandLine) -> None:
    """Settings of a builder have no effect, and are said by their names."""
    for options in (("--block-time", "2s"), ("--builder-key", chain.payer), ("--upgrade",), ("--settle-every", "1h")):
        said = cli.refuse("run", APP, "--data", chain.data, "--port", 0, *options)
        assert f"no effect: {options[0][2:]} (option)" in said


def test_l1_is_away(chain: BasedChain, cli: CommandLine) -> None:
    """A node whose L1 cannot be reached serves what it has, and says why no more comes. Without a store there is
    nothing to serve.
    """
    away = ("--l1-url", "http://127.0.0.1:9")
    with chain.run(chain.data, *away) as caller:
        status, body = caller.get("/health")
        assert (503, "stopped", True) == (status, json.loads(body)["intake"], b"127.0.0.1:9" in body)
        assert 0 == caller.call("getHeader", height=0)["height"]
    new = ("--data", chain.root / "new", "--port", 0, *away, "--inbox", chain.inbox)
    assert "127.0.0.1:9" in cli.refuse("run", APP, *new)
    assert not (chain.root / "new").exists()


def test_a_proof_that_counts(tmp_path: Path, cli: CommandLine) -> None:
    """Where a set has a rule, `settle --from` names the statement whose proof it lacks, and sends nothing; with the
    proof it settles what too few verifiers have signed.
    """
    contract, proofs = b"\x71" * 20, tmp_path / "proofs"
    proofs.mkdir()
    with run_based_chain(APP, tmp_path) as chain:
        install_proof_verifier(chain.anvil, contract)
        named = [option for key in chain.verifiers for option in ("--verifier", f"0x{compute_address(key).hex()}")]
        rule = ("--count", f"0x{contract.hex()}=1")
        cli.ask("announce-verifiers", *named, "--quorum", 3, *rule, "--key", chain.payer, *chain.at)
        pass_blocks(chain.anvil, CHANGE_DELAY_BLOCKS)
        chain.force(counting.Add(1))
        chain.anvil.mine(ATTESTED_BLOCKS + DEPTH)
        with chain.verify(0) as one, chain.verify(1) as two:
            wait_for(lambda: len(gather_attestations([one, two])[0]) == 2)
            code, _, said = chain.settle(one, two)
            assert (2, True) == (code, "no place of its proofs is named, --proof" in said), said
            place = ("--proof", f"0x{contract.hex()}={proofs}")
            code, _, said = chain.settle(one, two, options=place)
            assert (2, True) == (code, "not there yet" in said), said
            (statement,) = re.findall("0x[0-9a-f]{64}", said)
            (proofs / statement).write_bytes(bytes.fromhex(statement[2:]))
            code, document, said = chain.settle(one, two, options=place)
            assert (0, 1) == (code, document.get("settled")), said
            assert 1 == chain.l1.get_settled().height
