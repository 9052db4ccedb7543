"""What PostgreSQL says of its settings, and what a session makes of silence and warnings."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from microrollup.replication import postgres as postgres_module
from microrollup.replication.errors import NoAnswer, NotReplicated, WeakDurability
from microrollup.replication.leading import LeaderLog
from microrollup.replication.postgres import PostgresLog
from microrollup.replication.protocol import Leadership, LogEnd, link
from postgres import Cluster, running_cluster
from tcp_relay import Relay
from waiting import wait_for

ROLLUP = bytes(32)
START = link(ROLLUP, [b"genesis"])
END = LogEnd(1, START[0][0])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def log(cluster: Cluster) -> Iterator[PostgresLog]:
    cluster.clear()
    with closing(PostgresLog(cluster.get_url())) as log:
        log.found(ROLLUP, START)
        yield log


def claim(log: PostgresLog) -> Leadership:
    return log.claim(log.get_leader(), "one", "http://one")


def set_option(cluster: Cluster, name: str, value: str) -> None:
    cluster.primary.run(f"ALTER SYSTEM SET {name} = {value}")
    cluster.primary.run("SELECT pg_reload_conf()")
    wait_for(lambda: cluster.primary.run(f"SHOW {name}") == [(value.strip("'"),)])


@pytest.mark.parametrize(("name", "value"), [("fsync", "off"), ("full_page_writes", "off")])
def test_weak_settings_are_refused(cluster: Cluster, log: PostgresLog, name: str, value: str) -> None:
    """A database that may lose what it has confirmed is refused at connect, whatever is accepted else."""
    set_option(cluster, name, value)
    try:
        for single_copy in (False, True):
            other = PostgresLog(cluster.get_url(), single_copy=single_copy)
            with pytest.raises(WeakDurability, match=name):
                other.get_end()
    finally:
        set_option(cluster, name, "on")
    assert END == log.get_end()


def test_a_database_without_a_second_copy_needs_a_word(cluster: Cluster, log: PostgresLog) -> None:
    """An empty `synchronous_standby_names` is refused at connect, and at an append of a session that lives already."""
    leadership = claim(log)
    rows = link(END.chain, [b"a"])
    cluster.standby.kill()
    cluster.primary.restart(synchronous_standby_names="")
    try:
        with closing(PostgresLog(cluster.get_url())) as other, pytest.raises(WeakDurability, match="single-copy"):
            other.get_end()
        with closing(PostgresLog(cluster.get_url(), single_copy=True)) as other:
            other.append(leadership, END, rows)
            assert 2 == other.get_end().number
    finally:
        cluster.primary.restart(synchronous_standby_names="*")
        cluster.start_standby()


def test_settings_count_at_each_append(cluster: Cluster, log: PostgresLog) -> None:
    """A role or database that weakens a session after it was checked is found by the append itself."""
    leadership = claim(log)
    log._connect().execute("SET synchronous_commit = local")
    with pytest.raises(WeakDurability, match="synchronous_commit"):
        log.append(leadership, END, link(END.chain, [b"a"]))
    assert END == log.get_end()
    log.append(leadership, END, link(END.chain, [b"a"]))


@pytest.mark.parametrize("function", ["pg_cancel_backend", "pg_terminate_backend"])
def test_an_interrupted_wait_is_no_answer(cluster: Cluster, log: PostgresLog, function: str) -> None:
    """PostgreSQL reports a cancelled wait for the second copy as success with a warning: that is no acknowledgement,
    and a leader waits until the second copy has it.
    """
    leadership = claim(log)
    rows = link(END.chain, [b"a"])
    leader = LeaderLog(log, leadership)
    done = threading.Event()

    def append() -> None:
        leader.append(END.number, END.chain, [b"a"])
        done.set()

    cluster.standby.pause()
    try:
        thread = threading.Thread(target=append)
        thread.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        ((pid,),) = wait_for(lambda: cluster.primary.run(waiting))
        cluster.primary.run(f"SELECT {function}({pid})")
        confirming = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%noop%'"
        wait_for(lambda: cluster.primary.run(confirming))
        assert [(1,)] == cluster.primary.run("SELECT number FROM microrollup.log WHERE number > 0")
        assert not done.is_set()
    finally:
        cluster.standby.resume()
    thread.join(60)
    assert done.is_set()
    assert [rows[0][0]] == [row.chain for row in log.read(1, 10)]


def test_a_warning_alone_is_no_answer(cluster: Cluster, log: PostgresLog) -> None:
    """Whatever the warning is about: the next call has a new session."""
    cluster.primary.run(
        "CREATE OR REPLACE FUNCTION microrollup.warn() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE WARNING 'look'; RETURN NEW; END $$"
    )
    cluster.primary.run(
        "CREATE TRIGGER warn BEFORE UPDATE ON microrollup.noop FOR EACH ROW EXECUTE FUNCTION microrollup.warn()"
    )
    with pytest.raises(NoAnswer, match="look"):
        log.confirm()
    assert END == log.get_end()


def test_silence_is_no_answer(cluster: Cluster, log: PostgresLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose server says nothing is dropped; nothing is cancelled, so what was asked for may still be done."""
    leadership = claim(log)
    monkeypatch.setattr(postgres_module, "SILENCE_SECONDS", 0.5)
    cluster.standby.pause()
    try:
        with pytest.raises(NoAnswer):
            log.append(leadership, END, link(END.chain, [b"a"]))
    finally:
        cluster.standby.resume()
    wait_for(lambda: cluster.primary.run("SELECT number FROM microrollup.log WHERE number > 0"))
    LeaderLog(log, leadership).append(END.number, END.chain, [b"a"])
    assert 2 == log.get_end().number


def test_a_cut_connection_is_no_answer(cluster: Cluster, log: PostgresLog) -> None:
    """The next call connects anew, as soon as it can."""
    with closing(Relay(cluster.primary.port)) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        with closing(PostgresLog(url)) as far:
            assert END == far.get_end()
            relay.cut()
            for _ in range(2):
                with pytest.raises(NoAnswer):
                    far.get_end()
            relay.mend()
            assert END == far.get_end()


def test_a_session_s_own_settings_hold(log: PostgresLog) -> None:
    """Neither a timeout of statements nor another isolation reaches a node's session."""
    session = log._connect()
    names = ("statement_timeout", "lock_timeout", "transaction_isolation", "synchronous_commit", "client_min_messages")
    found = [session.execute(f"SHOW {name}".encode()).fetchone() for name in names]
    assert [("0",), ("0",), ("read committed",), ("on",), ("warning",)] == found


def test_another_version_of_the_tables_is_refused(cluster: Cluster, log: PostgresLog) -> None:
    """Nodes of two versions of the tables do not meet."""
    cluster.primary.run("UPDATE microrollup.about SET version = 2")
    with pytest.raises(NotReplicated, match="version 2"):
        log.get_rollup_id()
