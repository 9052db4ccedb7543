"""The node in one process: what is taken is decided, durable before it is told, and readable before it is announced."""

import threading
import time
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from kernel_fixtures import make_key
from microrollup.chain.acknowledgement import SignedAcknowledgement, verify_acknowledgement
from microrollup.chain.receipt import EXECUTED, REJECTED
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import DuplicateAction, IntakeStopped, NonceGap, NonceUsed, RefusedError, UsageError, WorkerDied
from microrollup.execution.authentication_pool import Started
from microrollup.ledger.ledger import Ledger
from microrollup.node.errors import NodeFault, NotRecorded, Overloaded
from microrollup.node.intake import FEW
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.writer import WriterOptions
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.local import LocalSettlement
from node_fixtures import BUILDER_KEY, FAST, Site, to_line
from waiting import wait_for

SLOW_BLOCKS = NodeOptions(timing=WriterOptions(block_seconds=60, gap_seconds=0.3, poll_seconds=60))
PATIENT = NodeOptions(workers=1, timing=WriterOptions(block_seconds=60, gap_seconds=60, poll_seconds=60))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def submit(node, *lines):
    return node.submit(lines).result(60)


def test_actions_are_decided_in_order(site):
    """Each line has its own result, in the order of the lines, whatever becomes of its neighbours."""
    lines = [site.line(("count", 0, 1)), b"{}", site.line(("count", 0, 2)), b"[" * 100]
    with site.open() as node:
        results = submit(node, *lines)
    assert [Sequenced, Sequenced] == [type(results[0]), type(results[2])]
    assert [0, 1] == [results[0].receipt.seq, results[2].receipt.seq]
    assert isinstance(results[1], RefusedError)
    assert isinstance(results[3], RefusedError)


def test_an_acknowledged_action_is_on_disk_and_readable(site):
    """When the result is there, the action can be read by hash and seq, and is in the log behind a crash."""
    with site.open(options=SLOW_BLOCKS) as node:
        (result,) = submit(node, site.line(("count", 0, 5)))
        found = node.lookups.find_action(result.receipt.action_hash)
        assert found == node.lookups.get_action(0)
        assert (0, 1, EXECUTED) == (found.seq, found.height, found.receipt.status)
        assert compute_address(make_key("alice")) == found.sender
        assert 0 == node.lookups.get_tip()
        assert "C0" == node.confirmations.get_level(1)
        with pytest.raises(NotRecorded):
            node.lookups.get_action(1)
        with pytest.raises(NotRecorded):
            node.lookups.find_action(bytes(32))
    with Ledger.open(site.root / "node", site.rollup) as ledger:
        assert 1 == ledger.next_seq


def test_the_operator_signs_what_became_of_it(site):
    """An acknowledgement is signed by the operator's key; a known action gets its first one again, from the log too."""
    line = site.line(("count", 0, 5))
    with site.open() as node:
        (result,) = submit(node, line)
        first = node.acknowledge([result])[0]
        assert isinstance(first, SignedAcknowledgement)
        assert first == verify_acknowledgement(first, compute_address(BUILDER_KEY), chain_id=31337, inbox=bytes(20))
        (again,) = submit(node, line)
        assert isinstance(again, DuplicateAction)
        assert first == node.acknowledge([again])[0]
        wait_for(lambda: node.lookups.get_tip() == 1)
        assert first == node.acknowledge(submit(node, line))[0]
    with site.open() as node:
        assert first == node.acknowledge(submit(node, line))[0]


def test_a_gap_waits_and_is_filled(site):
    """An action that comes before lower nonces is answered when they have come."""
    early, late = site.line(("count", 0, 1), nonce=1), site.line(("count", 0, 1), nonce=0)
    with site.open(options=PATIENT) as node:
        waiting = node.submit([early])
        (first,) = submit(node, late)
        (second,) = waiting.result(60)
    assert (0, 1) == (first.receipt.seq, second.receipt.seq)


def test_a_gap_that_stays_is_refused_in_time(site):
    """What waits longer than it may is refused; its nonce is not used."""
    with site.open(options=SLOW_BLOCKS) as node:
        (result,) = submit(node, site.line(("count", 0, 1), nonce=2))
        assert isinstance(result, NonceGap)
        assert "nonce 2 came, but 0, the next nonce of 0x" in str(result)
        (other,) = submit(node, site.line(("count", 0, 7), nonce=0))
        assert isinstance(other, Sequenced)
        (used,) = submit(node, site.line(("count", 0, 8), nonce=0))
        assert isinstance(used, NonceUsed)
        assert 0 == node.intake.depth


def test_a_long_list_of_one_sender_stays_in_order(site):
    """Actions of one sender that travel in several chunks are executed in the order in which they were handed in."""
    lines = [site.line(("count", 0, 1)) for _ in range(600)]
    options = NodeOptions(workers=2, timing=FAST.timing)
    with site.open(options=options) as node:
        results = node.submit(lines).result(60)
    assert list(range(600)) == [result.receipt.seq for result in results]


def test_blocks_close_by_time_and_by_size(site):
    """A block is closed when its time is up, and at once when it is full; an idle node builds none."""
    with site.open(options=NodeOptions(block_size=2, timing=FAST.timing)) as node:
        submit(node, *[site.line(("count", 0, 1)) for _ in range(5)])
        wait_for(lambda: node.lookups.get_tip() == 3)
        assert [2, 2, 1] == [node.lookups.get_header(height).action_count for height in (1, 2, 3)]
        time.sleep(0.2)
        assert 3 == node.lookups.get_tip()


def test_forced_actions_are_taken(site):
    """A forced action that is due opens a block although nobody submits anything, and is published like others."""
    with site.open() as node:
        index = node.l1.force(b"\x07nonsense", sender=bytes(range(20)))
        assert 0 == index
        site.ahead += 24
        wait_for(lambda: node.lookups.get_tip() == 1)
        (entry,) = node.read_receipts(0, 10)
        assert (3, bytes(range(20))) == (entry.receipt.status, entry.sender)


def test_a_restart_goes_on(site):
    """What was open is open again, nonces go on, and entries of the open block are published anew."""
    with site.open(options=SLOW_BLOCKS) as node:
        submit(node, site.line(("count", 0, 1)))
        node._writer._options = SLOW_BLOCKS.timing
        node._writer._sequencer.close_block = lambda: None  # as if it had been killed: the block stays open
    with site.open(options=SLOW_BLOCKS) as node:
        assert 0 == node.lookups.get_tip()
        assert (0, 1) == node.lookups.get_nonces(compute_address(make_key("alice")))
        assert [0] == [entry.seq for entry in node.read_receipts(0, 10)]
        (result,) = submit(node, site.line(("count", 0, 1)))
        assert 1 == result.receipt.seq
    with site.open() as node:
        assert (1, 2) == (node.lookups.get_tip(), node.lookups.get_header(1).action_count)


def test_stopping_answers_everybody(site):
    """Who waits for lower nonces is refused when the node stops; what was taken is closed; nothing more is taken."""
    with site.open(options=PATIENT) as node:
        submit(node, site.line(("count", 0, 1)))
        waiting = node.submit([site.line(("count", 0, 1), nonce=5)])
        node.stop()
        (result,) = waiting.result(60)
        assert isinstance(result, NonceGap)
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1))])
        assert 1 == node.lookups.get_tip()


def test_what_is_in_flight_is_bounded(site, monkeypatch):
    """More actions, or bytes, than may be in flight are turned away, none of them taken."""
    monkeypatch.setattr("microrollup.node.intake.MAX_IN_FLIGHT", 3)
    with site.open(options=PATIENT) as node:
        waiting = node.submit([site.line(("count", 0, 1), nonce=nonce) for nonce in (1, 2)])
        with pytest.raises(Overloaded):
            node.submit([b"1", b"2"])
        submit(node, b"1")
        submit(node, site.line(("count", 0, 1), nonce=0))
        assert 2 == len(waiting.result(60))
        assert 0 == node.intake.depth
        monkeypatch.setattr(node.intake._load, "_most", (3, 10))
        with pytest.raises(Overloaded):
            node.submit([b"01234567890"])


def test_a_foreign_key_cannot_build(site):
    """A node whose key is not the builder's does not start."""
    with Ledger.open(site.root / "node", site.rollup) as ledger:
        l1 = LocalSettlement.open(site.root / "l1")
        node = Node(site.reference, ledger, l1, make_key("somebody"))
        with pytest.raises(UsageError, match="not the rollup's builder"):
            node.start()
        l1.close()


def test_a_failing_disk_stops_intake(site, monkeypatch):
    """If a group cannot be committed none is acknowledged, intake stops and says why; reads go on, a restart helps."""
    with site.open(options=SLOW_BLOCKS) as node:
        submit(node, site.line(("count", 0, 1)))
        monkeypatch.setattr(node.ledger, "commit", _fail)
        line = site.line(("count", 0, 1))
        with capture_logs() as logs:
            (result,) = submit(node, line)
        assert ["intake_stopped"] == [entry["event"] for entry in logs if entry["event"] == "intake_stopped"]
        assert not isinstance(result, Sequenced)
        assert node.stopped is not None
        assert "no space" in node.stopped
        with pytest.raises(IntakeStopped):
            node.submit([line])
        assert 0 == node.lookups.get_action(0).seq
        with pytest.raises(NotRecorded):
            node.lookups.get_action(1)
    with site.open() as node:
        (result,) = submit(node, line)
        assert 1 == result.receipt.seq


def _fail():
    from microrollup.errors import CommitFailed

    raise CommitFailed("no space left")


def test_a_dead_worker_is_replaced(site):
    """If an authentication process dies its actions are answered as not taken, and the next ones find a new process."""
    with site.open(options=NodeOptions(workers=1, timing=FAST.timing)) as node:
        submit(node, *[site.line(("count", 0, 1)) for _ in range(FEW + 1)])
        for process in list(node.intake._signed.pool._executor._processes.values()):
            process.kill()
            process.join()
        lines = [site.line(("count", 0, 1)) for _ in range(FEW + 1)]
        results = []
        wait_for(lambda: results.append(submit(node, *lines)[-1]) or isinstance(results[-1], Sequenced))
    assert isinstance(results[0], WorkerDied)
    assert 2 * FEW + 1 == results[-1].receipt.seq


def test_rejections_are_acknowledged_too(site):
    """A rejected action has its place in the log and its receipt, at level C1X until its block is verified."""
    from microrollup.node.confirmations import describe_outcome

    action = site.signer.sign(_make_rejected(), "alice")
    with site.open(options=SLOW_BLOCKS) as node:
        (result,) = submit(node, to_line(site, action))
        assert (REJECTED, "rejected as asked") == (result.receipt.status, result.receipt.reason)
        assert "C1X" == describe_outcome(result.receipt.status)


def _make_rejected():
    from zoo import Edit

    return Edit([], reject=True)


def test_many_submitters_at_once(site):
    """Actions of many threads are all decided, each seq once, and fewer commits than actions were made."""
    commits = []
    with site.open(options=SLOW_BLOCKS) as node:
        counted = node.ledger.environment.on_commit
        node.ledger.environment.on_commit = lambda seconds: commits.append(seconds) or counted(seconds)
        lines = {name: [site.line(("count", 0, 1), name=name) for _ in range(20)] for name in "abcdefgh"}
        seqs = []

        def work(name):
            seqs.extend(submit(node, line)[0].receipt.seq for line in lines[name])

        threads = [threading.Thread(target=work, args=(name,)) for name in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert list(range(160)) == sorted(seqs)
    assert len(commits) < 160


def test_few_actions_are_authenticated_where_they_are(site, monkeypatch):
    """With nothing in flight few actions need no other process; more do, and so does one behind others."""
    with site.open(options=PATIENT) as node:
        sent = []
        pool = node.intake._signed.pool
        start = pool.start_lines
        monkeypatch.setattr(pool, "start_lines", lambda lines: (sent.append(len(lines)), start(lines))[1])
        results = submit(node, *[site.line(("count", 0, 1)) for _ in range(FEW)])
        assert ([0, 1, 2, 3], []) == ([result.receipt.seq for result in results], sent)
        results = submit(node, *[site.line(("count", 0, 1)) for _ in range(FEW + 1)])
        assert (8, [FEW + 1]) == (results[-1].receipt.seq, sent)
        waiting = node.submit([site.line(("count", 0, 1), nonce=10)])
        assert 9 == submit(node, site.line(("count", 0, 1), nonce=9))[0].receipt.seq
        assert [FEW + 1, 1] == sent
        assert 10 == waiting.result(60)[0].receipt.seq
        assert 0 == node.intake.depth


@pytest.mark.parametrize("count", [1, FEW + 1])
def test_a_fault_of_authentication_is_nobodys_end(site, monkeypatch, count):
    """If checking signatures fails by a fault of ours, its actions are answered so, and the next ones are taken."""
    with site.open(options=SLOW_BLOCKS) as node:
        lines = [site.line(("count", 0, 1)) for _ in range(count)]
        with monkeypatch.context() as patch:
            patch.setattr(node.intake._signed.pool, "start_here", _fault)
            assert [NodeFault] * count == [type(result) for result in submit(node, *lines)]
        assert 0 == node.intake.depth
        assert list(range(count)) == [result.receipt.seq for result in submit(node, *lines)]


def _fault(_):
    raise ZeroDivisionError


def test_a_start_that_fails_leaves_nothing_running(site, monkeypatch):
    """A node whose start failed half-way ends its writer when it is stopped."""
    with Ledger.open(site.root / "node", site.rollup) as ledger, closing(LocalSettlement.open(site.root / "l1")) as l1:
        node = Node(site.reference, ledger, l1, BUILDER_KEY)
        monkeypatch.setattr(node.reactions._vouches, "find_height", _fault)
        with pytest.raises(ZeroDivisionError):
            node.start()
        assert node._writer._thread.is_alive()
        node.stop()
        assert not node._writer._thread.is_alive()


def test_what_is_ready_waits_for_no_signatures(site, monkeypatch):
    """A chunk whose signatures are checked is committed while the next one's still are; order stays."""
    with site.open(options=SLOW_BLOCKS) as node:
        checked = threading.Event()
        lines = [[site.line(("count", 0, 1), name=name)] for name in ("alice", "bob")]
        start = node.intake._signed.pool.start_here

        def start_slowly(chunk):
            started = start(chunk)
            return Started(lambda: checked.wait(60) and started.collect(), checked.is_set, started.when_done)

        held = threading.Event()
        ask = node._writer.ask(lambda _: held.wait(60))
        first = node.submit(lines[0])
        monkeypatch.setattr(node.intake._signed.pool, "start_lines", start_slowly)
        second = node.submit(lines[1])
        wait_for(lambda: len(node._writer._chunks) == 2)
        held.set()
        ask.result(60)
        assert 0 == first.result(60)[0].receipt.seq
        assert not second.done()
        checked.set()
        assert 1 == second.result(60)[0].receipt.seq
