"""The contract suite of replicated logs: what a backend takes, and what it must not take.

Subclass `ReplicationContract` in a test module and give it a fixture `connect`: a function that opens one more session
with one and the same empty log.

    class TestMyBackend(ReplicationContract):
        @pytest.fixture
        def connect(self, tmp_path): ...
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from microrollup.errors import AttestationConflict
from microrollup.replication.errors import Fenced, LogMoved, NotReplicated, OtherLog, ReplicationError
from microrollup.replication.leading import LeaderLog
from microrollup.replication.protocol import Leadership, LogEnd, LogRow, ReplicatedLog, link
from microrollup.replication.reading import read_linked, require_prefix

__all__ = ["ReplicationContract"]

_ROLLUP: Final = bytes(range(32))
_FIRST: Final = link(_ROLLUP, [b"genesis", b"open"])
_END: Final = LogEnd(2, _FIRST[-1][0])
_VERIFIER: Final = bytes(20)


def _claim(log: ReplicatedLog, node: str = "one") -> Leadership:
    return log.claim(log.get_leader(), node, f"http://{node}")


def _follow(end: LogEnd, *records: bytes) -> tuple[list[tuple[bytes, bytes]], LogEnd]:
    """Rows after an end, and the end after them."""
    rows = link(end.chain, records)
    return rows, LogEnd(end.number + len(rows), rows[-1][0])


class ReplicationContract:
    """Tests that every backend passes."""

    @pytest.fixture
    def log(self, connect: Callable[[], ReplicatedLog]) -> Iterator[ReplicatedLog]:
        log = connect()
        log.found(_ROLLUP, _FIRST)
        yield log
        log.close()

    @pytest.fixture
    def other(self, connect: Callable[[], ReplicatedLog]) -> Iterator[ReplicatedLog]:
        other = connect()
        yield other
        other.close()

    # The log

    def test_an_empty_database_is_refused(self, connect: Callable[[], ReplicatedLog]) -> None:
        """Before it is founded nothing can be asked of a log."""
        log = connect()
        with pytest.raises(NotReplicated):
            log.get_rollup_id()
        log.close()

    def test_founding_may_be_repeated_until_somebody_leads(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """The same records are taken again after a failure; others, another rollup or a used log are refused."""
        other.found(_ROLLUP, iter(_FIRST))
        assert (_ROLLUP, _END) == (other.get_rollup_id(), other.get_end())
        with pytest.raises(OtherLog):
            other.found(_ROLLUP, link(_ROLLUP, [b"genesis", b"another"]))
        with pytest.raises(NotReplicated):
            other.found(bytes(32), link(bytes(32), [b"genesis"]))
        _claim(log)
        with pytest.raises(ReplicationError):
            other.found(_ROLLUP, _FIRST)

    def test_what_is_appended_is_read_by_others(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """Records come back with number, epoch, chain and, beside a block's last record, the header."""
        leadership = _claim(log)
        rows, end = _follow(_END, b"a", b"", b"close" * 1_000)
        log.append(leadership, _END, rows, b"header")
        assert end == other.get_end()
        found = read_linked(other, _END, 10)
        assert [
            LogRow(2, 1, rows[0][0], b"a"), LogRow(3, 1, rows[1][0], b""),
            LogRow(4, 1, rows[2][0], b"close" * 1_000, b"header"),
        ] == found  # fmt: skip
        assert found[:2] == read_linked(other, _END, 2)
        assert (rows[1][0], None) == (other.get_chain(3), other.get_chain(5))

    def test_only_what_follows_the_end_is_appended(self, log: ReplicatedLog) -> None:
        """A number or a chain value that is not the end's is refused, and nothing of it stays."""
        leadership = _claim(log)
        for wrong in (LogEnd(3, _END.chain), LogEnd(1, _FIRST[0][0]), LogEnd(2, bytes(32))):
            with pytest.raises(LogMoved):
                log.append(leadership, wrong, _follow(wrong, b"a")[0])
        assert _END == log.get_end()

    def test_an_older_epoch_appends_nothing(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """Who led before is fenced off, also from the same end, and from its lease."""
        old = _claim(log)
        log.release(old)
        new = _claim(other, "two")
        assert (1, 2) == (old.epoch, new.epoch)
        rows, end = _follow(_END, b"a")
        with pytest.raises(Fenced):
            log.append(old, _END, rows)
        with pytest.raises(Fenced):
            log.append(Leadership(new.epoch, old.node), _END, rows)
        with pytest.raises(Fenced):
            log.renew(old)
        log.release(old)
        other.append(new, _END, rows)
        assert (end, "two") == (log.get_end(), log.get_leader().node)
        assert 60 > other.get_leader().lease_seconds

    def test_of_many_appends_after_one_end_one_is_taken(
        self, log: ReplicatedLog, connect: Callable[[], ReplicatedLog]
    ) -> None:
        """Sessions of one epoch that append at once: one succeeds, the others leave nothing."""
        leadership = _claim(log)
        outcomes: list[bytes | None] = []

        def append(record: bytes) -> None:
            session = connect()
            try:
                session.append(leadership, _END, _follow(_END, record)[0])
                outcomes.append(record)
            except ReplicationError:
                outcomes.append(None)
            finally:
                session.close()

        threads = [threading.Thread(target=append, args=(bytes([each]),)) for each in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [record for record in outcomes if record is not None]
        assert (6, 1) == (len(outcomes), len(taken))
        assert taken == [row.record for row in read_linked(log, _END, 10)]

    def test_an_own_log_is_a_prefix_or_refused(self, log: ReplicatedLog) -> None:
        """A node's log that is longer, or differs, is refused with both chain values."""
        require_prefix(log, LogEnd(1, _FIRST[0][0]))
        require_prefix(log, _END)
        with pytest.raises(OtherLog, match=f"{bytes(32).hex()}.*{_FIRST[1][0].hex()}"):
            require_prefix(log, LogEnd(2, bytes(32)))
        with pytest.raises(OtherLog, match="nothing"):
            require_prefix(log, LogEnd(3, bytes(32)))

    def test_rows_are_kept_for_every_registered_node(self, log: ReplicatedLog) -> None:
        """Pruning stops at what a node has not taken, and before the last record; a forgotten node holds nothing."""
        leadership = _claim(log)
        rows, end = _follow(_END, b"a", b"b", b"c")
        log.append(leadership, _END, rows)
        log.register("one", "http://one", end.number)
        log.register("two", "http://two", 3)
        assert (3, 0) == (log.prune(end.number), log.prune(end.number))
        assert [b"b", b"c"] == [row.record for row in log.read(3, 10)]
        with pytest.raises(LogMoved):
            log.read(2, 10)
        with pytest.raises(LogMoved):
            require_prefix(log, _END)
        assert (True, False) == (log.forget("two"), log.forget("two"))
        assert (1, end) == (log.prune(end.number), log.get_end())
        require_prefix(log, end)

    # Who leads

    def test_a_lease_that_lives_is_not_taken(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """Only the same node, started again, takes over at once; another waits until the lease is given back or old."""
        first = log.get_leader()
        assert (0, "") == (first.epoch, first.node)
        leadership = _claim(log)
        with pytest.raises(Fenced):
            _claim(other, "two")
        again = _claim(other, "one")
        with pytest.raises(Fenced):
            log.renew(leadership)
        other.release(again)
        assert Leadership(3, "two") == _claim(log, "two")

    def test_an_epoch_is_raised_once(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """Two nodes that saw the same leader: one of them leads."""
        seen = log.get_leader()
        log.claim(seen, "one", "http://one")
        with pytest.raises(Fenced):
            other.claim(seen, "two", "http://two")
        assert ("one", 1) == (other.get_leader().node, other.get_leader().epoch)

    def test_a_handover_goes_to_its_successor(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """The leader hears of it when it renews; after it has given the lease back only the successor takes over."""
        leadership = _claim(log)
        with pytest.raises(ReplicationError, match="two"):
            other.ask_handover("two")
        other.register("two", "http://two", 0)
        other.register("one", "http://one", 0)
        with pytest.raises(ReplicationError, match="already"):
            other.ask_handover("one")
        assert log.renew(leadership) is None
        assert leadership.epoch == other.ask_handover("two").epoch
        assert "two" == log.renew(leadership)
        log.release(leadership)
        for node in ("one", "three"):
            with pytest.raises(Fenced):
                _claim(log, node)
        new = _claim(other, "two")
        assert (2, None) == (new.epoch, other.renew(new))

    # The procedure for a lost answer

    def test_a_leader_finds_what_it_appended_without_hearing_of_it(self, log: ReplicatedLog) -> None:
        """The rows are there with its chain: that is an answer, also after another took over; nothing is doubled."""
        leadership = _claim(log)
        rows, end = _follow(_END, b"a", b"b")
        log.append(leadership, _END, rows)
        leader = LeaderLog(log, leadership)
        leader.append(_END.number, _END.chain, [b"a", b"b"])
        assert end == log.get_end()
        log.release(leadership)
        _claim(log, "two")
        leader.append(_END.number, _END.chain, [b"a", b"b"])
        with pytest.raises(Fenced):
            leader.append(end.number, end.chain, [b"c"])
        assert end == log.get_end()

    def test_a_leader_whose_log_went_elsewhere_stops(self, log: ReplicatedLog) -> None:
        """Other rows after its end are never acknowledged as its own."""
        leadership = _claim(log)
        log.append(leadership, _END, _follow(_END, b"x")[0])
        with pytest.raises(Fenced):
            LeaderLog(log, leadership).append(_END.number, _END.chain, [b"a"])

    # What verifiers sign

    def test_one_hash_is_signed_per_height(self, log: ReplicatedLog, other: ReplicatedLog) -> None:
        """The first hash of a height counts, for all sessions; a conflict notes nothing of its group."""
        log.record_signed(_VERIFIER, _ROLLUP, [(1, b"a" * 32), (2, b"b" * 32)])
        other.record_signed(_VERIFIER, _ROLLUP, [(2, b"b" * 32)])
        with pytest.raises(AttestationConflict):
            other.record_signed(_VERIFIER, _ROLLUP, [(3, b"c" * 32), (1, b"x" * 32)])
        log.record_signed(_VERIFIER, _ROLLUP, [(3, b"d" * 32)])
        log.record_signed(bytes([1]) * 20, _ROLLUP, [(1, b"x" * 32)])
