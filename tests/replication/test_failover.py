"""Members of a replicated log fail in many ways, under load: what was acknowledged stays, and is acknowledged once."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from l1_node_fixtures import Zygote
from microrollup.deployment.replicating import hand_over
from postgres import Cluster, running_cluster
from replica_faults import FAULTS, choose_rounds, run_round
from replicated_world import Traffic, World, replicated_world


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
