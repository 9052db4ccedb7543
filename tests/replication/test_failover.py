"""Members of a replicated log fail in many ways, under load: what was acknowledged stays, and is acknowledged once."""

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import counting
from kernel_fixtures import make_key
from l1_node_fixtures import Command, Zygote, run_command
from microrollup.chain.acknowledgement import acknowledgement_from_json
from microrollup.deployment.challenging import compare_sources, make_challenge
from microrollup.deployment.replicating import hand_over
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.evidence import KnownFacts, judge
from microrollup.testing.signing import sign_action
from postgres import Cluster, running_cluster
from replica_faults import FAULTS, choose_rounds, run_round
from replicated_world import Member, Traffic, World, replicated_world
from waiting import wait_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with closing(Zygote()) as zygote:
        yield zygote


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, zygote: Zygote) -> Iterator[World]:
    with replicated_world(tmp_path, cluster, zygote) as world:
        yield world


ROUNDS = int(os.environ.get("FAULT_ROUNDS", len(FAULTS)))
"""Each fault once; by hand: FAULT_ROUNDS=50 python -m pytest -n 0 -s tests/replication/test_failover.py -k faults"""


def start_both(world: World) -> None:
    one, two = world.members.values()
    one.start()
    assert one is world.wait_for_leader()
    two.start()
    world.wait_for_standby(two)


def stop_all(world: World, traffic: Traffic) -> None:
    """Everything acknowledged is still answered as it was, by both; then nothing contradicts itself."""
    traffic.stop()
    for member in world.members.values():
        traffic.check(member.url)
    for member in world.members.values():
        member.stop()
    world.check()


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_faults_lose_no_acknowledgement(world: World) -> None:
    """Under load the leader is killed, paused, cut off, has no disk, or crashes at a point of the order; the database
    loses an append's session, or fails over. No acknowledged action is lost, and no sequence number has two.
    """
    start_both(world)
    traffic = Traffic(world, pause=0.2)
    traffic.wait_for_more()
    for name in choose_rounds(ROUNDS, seed=ROUNDS):
        print(run_round(world, traffic, name), flush=True)  # noqa: T201 - a report for runs by hand
    stop_all(world, traffic)


def test_a_handover_fails_no_request(world: World) -> None:
    """A planned switch there and back under load: every request is answered with acknowledgements, at both members."""
    start_both(world)
    traffic = Traffic(world)
    traffic.wait_for_more()
    traffic.failed = 0
    for name in ("two", "one"):
        assert name == hand_over(world.log, name).node
        traffic.wait_for_more()
        world.wait_for_standby(world.other(world.members[name]))
    assert 0 == traffic.failed
    stop_all(world, traffic)


def test_a_failover_convicts_nobody_and_a_fork_does(world: World) -> None:
    """The leader is killed under load and the standby goes on: both members' histories agree, and what either had
    promised is kept in what settles. Two copies that go on without the log contradict each other in the builder's name.
    """
    start_both(world)
    traffic = Traffic(world, pause=0.2)
    traffic.wait_for_more()
    one, two = world.members.values()
    one.kill()
    assert two is world.wait_for_leader(one)
    traffic.wait_for_more()
    one.start()
    world.wait_for_standby(one)
    traffic.stop()
    settled = settle(world, two)
    assert None is compare_sources(one.url, two.url)
    promised = [traffic.by_seq[seq] for seq in sorted(traffic.by_seq) if traffic.by_seq[seq]["height"] <= settled]
    assert len(promised) > 40
    for ack in promised[:: max(1, len(promised) // 10)]:
        found = judge(*make_challenge(acknowledgement_from_json(ack), two.url, world.place))
        assert ("honoured", False) == (found.outcome, found.convicts)
    for member in world.members.values():
        member.stop()
    assert None is compare_sources(str(one.directory), str(two.directory))
    for name in ("fork", "other"):
        fork(world, two, name)
    seals = compare_sources(str(world.root / "fork"), str(world.root / "other"))
    assert seals is not None
    found = judge(seals, KnownFacts())
    assert ("equivocated", True) == (found.outcome, found.convicts)
    with Ledger.open(two.directory, counting.app) as ledger:
        assert (ledger.genesis.builder, ledger.checkpoint.height + 1) == (found.signer, found.height)


def settle(world: World, leader: Member) -> int:
    """A verifier elsewhere attests until all that is closed is settled; the height."""
    key = world.root / "verifier.key"
    key.write_text(make_key("verifier elsewhere").secret.hex())
    arguments = ("--from", leader.url, "--l1", world.root / "l1", "--key", key, "--data", world.root / "verifier")
    log = world.root / "verifier.log"
    with closing(Command(world.zygote, log, "verify", "counting:app", *arguments, "--follow", "--json")) as command:
        command.read()

        def is_settled() -> int:
            heights = ask(leader, "height")
            return heights["settled"] if heights["settled"] == heights["latest"] else 0

        return int(wait_for(is_settled))


def ask(member: Member, method: str) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"rollup_{method}", "params": {}}).encode()
    request = urllib.request.Request(member.url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=25) as answer:  # noqa: S310 - loopback
        return json.load(answer)["result"]


def fork(world: World, member: Member, name: str) -> None:
    """A copy of a member's store builds one more block, of an action of its own, without the log."""
    directory = world.root / name
    shutil.copytree(member.directory, directory)
    line = sign_action(counting.app, counting.Add(by=1), 0, make_key(name), world.domain)
    (world.root / f"{name}.jsonl").write_bytes(line + b"\n")
    run_command(
        "import", "counting:app", world.root / f"{name}.jsonl", "--data", directory, "--l1", world.root / "l1",
        "--workers", 0,
    )  # fmt: skip
