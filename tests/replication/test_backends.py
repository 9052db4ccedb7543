"""The backends of replicated logs pass their contract, PostgreSQL with a synchronous standby."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from microrollup.replication.postgres import PostgresLog
from microrollup.replication.protocol import ReplicatedLog
from microrollup.replication.sqlite import SqliteLog
from microrollup.testing.replication_suite import ReplicationContract
from postgres import Cluster, running_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


class TestPostgresLog(ReplicationContract):
    @pytest.fixture
    def connect(self, cluster: Cluster) -> Callable[[], ReplicatedLog]:
        cluster.clear()
        return partial(PostgresLog, cluster.get_url())


class TestSqliteLog(ReplicationContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[], ReplicatedLog]:
        return partial(SqliteLog, tmp_path / "log.sqlite")
