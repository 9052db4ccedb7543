"""What may happen to a replicated rollup, each under load: who leads afterwards is up to it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from random import Random
from typing import Final

from crash_points import FULL, POINTS
from microrollup.deployment.replicating import hand_over
from postgres import Cluster
from replicated_world import Member, Traffic, World
from waiting import wait_for

__all__ = ["FAULTS", "choose_rounds", "run_round"]

_Fault = Callable[[World, Member, Traffic], None]


def kill(world: World, leader: Member, traffic: Traffic) -> None:
    leader.kill()
    world.wait_for_leader(leader)
    leader.start()


def pause(world: World, leader: Member, traffic: Traffic) -> None:
    """It is stopped wherever it is, another takes over, and it goes on."""
    leader.signal(signal.SIGSTOP)
    world.wait_for_leader(leader)
    traffic.wait_for_more(8)
    leader.signal(signal.SIGCONT)


def cut(world: World, leader: Member, traffic: Traffic) -> None:
    """The leader loses the database, and finds it again when another leads."""
    for relay in leader.relays:
        relay.cut()
    world.wait_for_leader(leader)
    for relay in leader.relays:
        relay.mend()


def hold_append(cluster: Cluster, function: str) -> None:
    """An append waits for the second copy, and somebody cancels the statement or the session."""
    cluster.standby.pause()
    try:
        query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        ((pid,), *_) = wait_for(lambda: cluster.primary.run(query))
        cluster.primary.run(f"SELECT {function}({pid})")
        wait_for(lambda: (pid,) not in cluster.primary.run(query))
    finally:
        cluster.standby.resume()


def cancel(world: World, leader: Member, traffic: Traffic) -> None:
    hold_append(world.cluster, "pg_cancel_backend")


def terminate(world: World, leader: Member, traffic: Traffic) -> None:
    hold_append(world.cluster, "pg_terminate_backend")


def fail_over_database(world: World, leader: Member, traffic: Traffic) -> None:
    world.cluster.fail_over()


def fill_disk(world: World, leader: Member, traffic: Traffic) -> None:
    """The other member leads, and its commits fail from some moment on, until another leads."""
    other = world.other(leader)
    other.stop()
    other.start((FULL, 0))
    world.wait_for_standby(other)
    hand_over(world.log, other.name)
    traffic.wait_for_more(8)
    (other.directory / FULL).touch()
    world.wait_for_leader(other)
    (other.directory / FULL).unlink()


def crash_at(point: str, count: int) -> _Fault:
    """The other member leads, and crashes at a point of the order."""

    def crash(world: World, leader: Member, traffic: Traffic) -> None:
        other = world.other(leader)
        other.stop()
        other.start((point, count))
        world.wait_for_standby(other)
        hand_over(world.log, other.name)
        wait_for(lambda: not other.runs)
        world.wait_for_leader(other)
        other.start()

    return crash


FAULTS: Final[dict[str, _Fault]] = {
    "killed": kill,
    "paused": pause,
    "cut off": cut,
    "append cancelled": cancel,
    "append terminated": terminate,
    "database failed over": fail_over_database,
    "disk full": fill_disk,
    **{f"crashed: {point}": crash_at(point, 5 + 7 * place) for place, point in enumerate(POINTS)},
}


def run_round(world: World, traffic: Traffic, name: str) -> str:
    """One fault; afterwards both members run, one leads, and clients get acknowledgements. A line that reports it."""
    leader = world.wait_for_leader()
    world.wait_for_standby(world.other(leader))
    before = traffic.mark()
    FAULTS[name](world, leader, traffic)
    leads = world.wait_for_leader()
    traffic.wait_for_more(16)
    world.wait_for_standby(world.other(leads))
    taken = len(traffic.acknowledged) - before
    return f"{name}: {leader.name} -> {leads.name}, {taken} acknowledged, longest silence {traffic.longest:.1f} s"


def choose_rounds(count: int, seed: int) -> list[str]:
    """Each fault once, and then at random."""
    random = Random(seed)
    names = list(FAULTS)
    random.shuffle(names)
    return [*names, *random.choices(list(FAULTS), k=max(0, count - len(names)))][:count]
