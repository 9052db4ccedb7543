"""When batches are cut: by time from the oldest action, by size, at once for forced actions and for who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from microrollup.errors import MicrorollupError
from microrollup.node.batch_timing import QUIET_BLOCKS, BatchTiming, SettlementNotDue, SettleOptions
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.settling import Candidate
from microrollup.node.writer import WriterOptions
from microrollup.settlement.attestation import sign_attestation
from microrollup.settlement.local import SECONDS_PER_BLOCK
from node_fixtures import BUILDER_KEY, VERIFIER_KEYS, Site
from waiting import wait_for

PATIENT = NodeOptions(
    timing=WriterOptions(block_seconds=0.02, gap_seconds=60, poll_seconds=0.02),
    settling=SettleOptions(every=600, urgent_per_day=2, urgent_token="the token"),  # noqa: S106
)


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def node(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr("microrollup.node.settling.RETRY_SECONDS", 0.02)
    with site.open(options=PATIENT) as node:
        node._settler.timing.clock = Clock()
        yield node


def build(site: Site, node: Node) -> int:
    """One action in a block of its own; its height."""
    height = node.lookups.get_tip() + 1
    node.submit([site.line(("count", 0, 1))]).result(60)
    wait_for(lambda: node.lookups.get_tip() == height)
    return height


def look_again(node: Node) -> None:
    """The settler has looked at what there is now."""
    seen = []
    node._settler.timing.clock, before = lambda: seen.append(1) or 0.0, node._settler.timing.clock  # type: ignore[func-returns-value]
    wait_for(lambda: len(seen) > 1)
    node._settler.timing.clock = before


def find_candidate(node: Node, first_height: int) -> Candidate:
    """The batch that the node wants to settle."""
    found: Candidate = wait_for(lambda: node._settler.get_candidate(first_height))
    return found


def settle(node: Node, first_height: int) -> int:
    """A verifier attests what the node wants to settle; how many blocks that is."""
    candidate = find_candidate(node, first_height)
    node.submit_attestation(sign_attestation(VERIFIER_KEYS[0], candidate.attestation, 31337, bytes(20)))
    last = candidate.attestation.last_height
    wait_for(lambda: node.l1.get_settled().height == last)
    return last - first_height + 1


def test_a_trickle_becomes_one_batch(site: Site, node: Node) -> None:
    """30 actions in a block each make one batch once the oldest has waited, and not a second earlier."""
    for _ in range(30):
        build(site, node)
    look_again(node)
    oldest = node.lookups.get_header(1).timestamp
    clock = node._settler.timing.clock
    assert isinstance(clock, Clock)
    clock.now = oldest + 599.0
    node._settler.wake()
    look_again(node)
    assert node._settler.get_candidate(1) is None
    clock.now = oldest + 600.0
    assert 30 == settle(node, 1)
    clock.now = oldest + 1.0  # the next block may have the same second
    build(site, node)
    look_again(node)
    assert node._settler.get_candidate(31) is None
    clock.now = node.lookups.get_header(31).timestamp + 600.0
    assert 1 == settle(node, 31)


def test_a_forced_action_does_not_wait(site: Site, node: Node) -> None:
    """A block that took one settles at once, with what is before it."""
    build(site, node)
    look_again(node)
    assert node._settler.get_candidate(1) is None
    node.l1.force(b"\x00", sender=bytes(20))  # type: ignore[attr-defined]
    site.ahead += 3 * SECONDS_PER_BLOCK
    wait_for(lambda: node.lookups.get_tip() == 2)
    assert 2 == settle(node, 1)


def test_who_may_ask_does_not_wait(site: Site, node: Node) -> None:
    """The token asks without end, everybody together out of the day's budget; a wrong token is told so."""
    clock = node._settler.timing.clock
    assert isinstance(clock, Clock)
    for height, token in ((1, None), (2, None), (3, "the token"), (4, "the token")):
        build(site, node)
        left = node.request_settlement(token)
        assert (None if token else 2 - height) == left
        assert 1 == settle(node, height)
    for token, said in ((None, "2 batches may be asked for"), ("another", "is not this node's")):
        with pytest.raises(SettlementNotDue, match=said):
            node.request_settlement(token)
    clock.now += 86_400.0
    assert 1 == node.request_settlement()
    assert 1 == node.request_settlement()  # it is asked for already
    build(site, node)
    assert 1 == settle(node, 5)


def test_what_is_due(site: Site) -> None:
    """By size, by count, and by the age of its L1 origin: each alone is a reason, just below it is none."""
    with site.open(options=PATIENT) as node:
        for _ in range(3):
            build(site, node)
        blocks = list(node.lookups.read_closed(1))
    size, origin = sum(len(record) for block in blocks for record in block.records), blocks[0].open.l1_origin

    def ask(number: int = origin, settled: int = 0, **options: float) -> str | None:
        timing = BatchTiming(SettleOptions(**{"every": 600.0, **options}), lambda: 0.0)  # type: ignore[arg-type]
        return timing.find_reason(settled, 0, number, lambda first: iter(blocks[first - 1 :]))

    assert None is ask()
    assert None is ask(size=size + 1)
    assert "full" == ask(size=size)
    assert None is ask(number=origin + QUIET_BLOCKS)
    assert "old" == ask(number=origin + QUIET_BLOCKS + 1)
    assert "nothing waits" == ask(every=0.0)
    assert None is ask(every=0.0, settled=3)


def test_a_missing_quorum_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a day of L1 blocks without one is an alert with the names of who is away, half a day before intake stops."""
    monkeypatch.setattr("microrollup.node.settling.RETRY_SECONDS", 0.02)
    with site.open(options=NodeOptions(timing=PATIENT.timing)) as node, capture_logs() as logs:
        build(site, node)
        find_candidate(node, 1)
        assert 0 == node.quorum_missing
        assert [] == [each for each in logs if each["event"] == "quorum_missing"]
        site.ahead += (QUIET_BLOCKS + 10) * SECONDS_PER_BLOCK
        wait_for(lambda: node.quorum_missing > 0)
        assert b"microrollup_quorum_missing_blocks 0.0" not in node.metrics.render()
        (told,) = wait_for(lambda: [each for each in logs if each["event"] == "quorum_missing"])
        assert ([f"0x{node.genesis.verifiers[0].hex()}"], 1) == (told["missing"], told["quorum"])
        assert node.stopped is None
        assert 1 == settle(node, 1)
        wait_for(lambda: node.quorum_missing == 0)


def test_the_builder_is_nobody_else(site: Site) -> None:
    """An address that is not the token's has no say in a node that declares no budget."""
    with site.open(options=NodeOptions(settling=SettleOptions(every=600))) as node:
        with pytest.raises(MicrorollupError, match="0 batches may be asked for"):
            node.request_settlement()
        with pytest.raises(MicrorollupError, match="is not this node's"):
            node.request_settlement(BUILDER_KEY.secret.hex())
