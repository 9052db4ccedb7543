"""Verifiers of a real node on a real L1 change from addresses to BLS keys and back, while clients submit."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from command_line import APP
from l1_node_fixtures import Command, Node, RollupSite, Zygote, run_chain, run_command
from microrollup.crypto.bls_shares import BlsKey
from microrollup.keys.files import read_attesting_key
from microrollup.settlement.attestation import attestation_to_json, create_attestation, sign_attestation
from microrollup.settlement.verifiers import BLS, ECDSA
from microrollup.testing.anvil import pass_blocks
from node_fixtures import Caller
from waiting import wait_for

BEFORE = 60
"""L1 blocks that are left of the delay when the jump ends: the change comes while actions do."""


@contextmanager
def loading(site: RollupSite, node: Node) -> Iterator[None]:
    """Actions, all the time."""
    done = threading.Event()

    def load() -> None:
        with closing(Caller(None, node.port)) as caller:  # type: ignore[arg-type]  # a connection of its own
            while not done.wait(0.3):
                site.submit(caller, 2)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def pass_delay(site: RollupSite, node: Node, effective: int) -> None:
    """L1 goes on nearly to the change: what is settled stays so, and nothing grows too old on the way."""
    node.wait_until_settled()
    with site.chain.miner.lock:
        pass_blocks(site.chain.anvil, effective - site.chain.get_number() - BEFORE)
    # Until it has seen them, the node would bind a block to what L1 was before: too old ever to settle.
    wait_for(lambda: node.read_health()["l1"]["origin"] > effective - 2 * BEFORE)


def wait_for_kind(site: RollupSite, kind: int) -> None:
    """A batch settles with signatures of a kind."""
    wait_for(lambda: kind in {event.signatures[0] for event in site.read_settled()[-1:]})


def test_to_bls_keys_and_back(tmp_path: Path) -> None:
    """By commands, under load: the set changes twice and each batch is settled by the set of its time. Verifiers run
    before their set is in force; the old one verifies on. A share that its key did not make is refused by that key's
    name, and a replayed registration changes nothing. L1 alone gives the node's state in the end.
    """
    with closing(Zygote()) as zygote, run_chain() as chain, ExitStack() as stack:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--da", "calldata", depth=2)
        inbox = ("--l1-url", chain.proxy.url, "--inbox", site.inbox)
        owner = ("--key", tmp_path / "payer.key", *inbox)
        first = run_command("announced", *inbox)["verifiers"]
        files = [tmp_path / f"bls-{number}.key" for number in range(3)]
        lines = tmp_path / "keys.jsonl"
        lines.write_text("".join([json.dumps(run_command("keygen", file, "--bls")) + "\n" for file in files]))
        node = stack.enter_context(site.run("--clock", "l1"))
        with loading(site, node):
            wait_for_kind(site, ECDSA)
            (page,) = run_command("register-keys", lines, *owner)["pages"]
            (again,) = run_command("register-keys", lines, *owner)["pages"]
            assert again["keys"] == page["keys"]
            change = run_command("announce-verifiers", "--page", page["page"], "--quorum", 2, *owner)
        verifiers = [stack.enter_context(verifying(site, node, file)) for file in files[:2]]
        pass_delay(site, node, change["effective"])
        with loading(site, node):
            wait_for_kind(site, BLS)
            back = run_command(
                "announce-verifiers", "--verifier", *first["members"], "--quorum", first["quorum"], *owner
            )
            lie_about(site, node, files)
        pass_delay(site, node, back["effective"])
        with loading(site, node):
            wait_for_kind(site, ECDSA)
        node.wait_until_settled()
        assert {ECDSA, BLS} == {event.signatures[0] for event in site.read_settled()}
        for verifier in verifiers:
            assert verifier.wait(0) is None
        assert [] == node.command.read_log("batch_not_settled", "divergence")
        site.check_settled_once(node)
        assert 0 == node.command.stop()


@contextmanager
def verifying(site: RollupSite, node: Node, key: Path) -> Iterator[Command]:
    """A verifier elsewhere, whose set is announced."""
    options = (
        "--from", node.url, "--l1-url", site.chain.proxy.url, "--inbox", site.inbox, "--l1-depth", 2,
        "--da", "calldata", "--key", key, "--data", key.with_suffix(".data"), "--follow", "--json",
    )  # fmt: skip
    with closing(site.start("verify", APP, *options)) as command:
        command.read()
        yield command


def lie_about(site: RollupSite, node: Node, files: list[Path]) -> None:
    """The first key's share in the name of the third, which takes no part: the third is named, nothing is spoiled."""
    liar, victim = (read_attesting_key(file) for file in (files[0], files[2]))
    assert isinstance(liar, BlsKey)
    assert isinstance(victim, BlsKey)
    event = site.read_settled()[-1]
    attestation = create_attestation(bytes(32), event.first_height, event.header, event.data_hash)
    signed = sign_attestation(liar, attestation, 31337, bytes.fromhex(site.inbox[2:]))
    form = json.loads(attestation_to_json(signed)) | {"key": f"0x{victim.public.hex()}"}
    _, message = node.fail("submitAttestation", attestation=form)
    assert victim.public.hex() in message
