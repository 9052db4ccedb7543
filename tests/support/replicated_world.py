"""A replicated rollup: a PostgreSQL with its standby, members as processes, and clients that keep submitting."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import counting
from kernel_fixtures import make_key
from l1_node_fixtures import Command, Zygote
from microrollup.chain.record import Close
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.directory import VerifierChoice, open_rollup
from microrollup.deployment.replicating import adopt_log, seed_log
from microrollup.execution.entry import decode_kernel_record
from microrollup.ledger.ledger import Ledger
from microrollup.replication.errors import ReplicationError
from microrollup.replication.postgres import PostgresLog
from microrollup.replication.protocol import LEASE_SECONDS, LogEnd
from microrollup.replication.reading import require_prefix
from microrollup.settlement.place import LocalPlace
from microrollup.testing.signing import sign_action
from ports import find_port
from postgres import Cluster
from tcp_relay import Relay
from waiting import SECONDS, wait_for

__all__ = ["Member", "Traffic", "World", "replicated_world"]

_SENDERS: Final = 4
_AT_ONCE: Final = 8


class Member:
    """A node of the log: a data directory, and its process while it runs."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.directory = world.root / name
        self.relays: list[Relay] = []
        self.port = find_port()
        self.command: Command | None = None
        self._runs = 0

    def start(self, crash: tuple[str, int] | None = None) -> None:
        """Run it; `crash` as of `crash_points.install`."""
        self._runs += 1
        self.command = Command(
            self.world.zygote, self.world.root / f"{self.name}-{self._runs}.log",
            "--verbose", "run", "counting:app", "--data", self.directory, "--l1", self.world.root / "l1",
            "--port", self.port, "--block-time", "150ms", "--workers", 0, "--replica", self.get_url(),
            "--node-name", self.name, "--json", crash=crash,
        )  # fmt: skip
        self.command.read()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get_url(self) -> str:
        """The database, through relays of its own."""
        servers = (self.world.cluster.primary, self.world.cluster.standby)
        known = {relay.target: relay for relay in self.relays}
        for server in servers:
            if server.port not in known:
                known[server.port] = Relay(server.port)
                self.relays.append(known[server.port])
        ports = ",".join(f"127.0.0.1:{relay.port}" for relay in self.relays)
        return f"postgresql://postgres@{ports}/postgres"

    @property
    def runs(self) -> bool:
        return self.command is not None and self.command.wait(0) is None

    def signal(self, number: int) -> None:
        assert self.command is not None
        os.kill(self.command.pid, number)

    def kill(self) -> None:
        if self.command is not None:
            self.command.kill()
            self.command.wait(SECONDS)

    def stop(self) -> None:
        """In order."""
        if self.command is not None and self.runs:
            assert 0 == self.command.stop(), self.command.log.read_text()[-3_000:]


class World:
    """A rollup with members `one` and `two`."""

    def __init__(self, root: Path, cluster: Cluster, zygote: Zygote) -> None:
        self.root = root
        self.cluster = cluster
        self.zygote = zygote
        cluster.clear()
        self.log = PostgresLog(cluster.get_url())
        choice = VerifierChoice((compute_address(make_key("verifier elsewhere")),))
        self.place = place = LocalPlace(str(root / "l1"))
        self.members = {name: Member(self, name) for name in ("one", "two")}
        with open_rollup(self.members["one"].directory, counting.app, verifiers=choice, l1=place) as opened:
            self.domain = opened.ledger.genesis.domain
        seed_log(self.members["one"].directory, counting.app, self.log)
        two = self.members["two"].directory
        shutil.copytree(self.members["one"].directory / "keys", two / "keys")
        adopt_log(two, counting.app, self.log, "two", place)

    def get_leader(self) -> Member | None:
        """Who leads, with a lease that lives; None if nobody is known to."""
        try:
            leader = self.log.get_leader()
        except ReplicationError:
            return None
        return self.members.get(leader.node) if leader.lease_seconds < LEASE_SECONDS else None

    def wait_for_leader(self, *others: Member) -> Member:
        """Who leads, other than these, and takes actions."""

        def find() -> Member | None:
            leader = self.get_leader()
            return leader if leader is not None and leader not in others and is_open(leader) else None

        return wait_for(find)

    def other(self, member: Member) -> Member:
        return next(each for each in self.members.values() if each is not member)

    def wait_for_standby(self, member: Member) -> None:
        """Until a member has taken nearly all that the log has."""

        def has_caught_up() -> bool:
            with suppress(ReplicationError):
                status = read_health(member)
                return status is not None and status.get("role") == "standby" and status["lagRecords"] < 500
            return False

        wait_for(has_caught_up)

    def check(self) -> None:
        """No two seals of one height and round; every member's own log is a prefix. The members are stopped."""
        seals: dict[tuple[int, int], bytes] = {}
        first = 0
        while rows := self.log.read(first, 5_000):
            for row in rows:
                record = decode_kernel_record(row.record)
                if isinstance(record, Close):
                    key = record.height, record.seal.round
                    assert key not in seals
                    seals[key] = record.seal.signature
            first = rows[-1].number + 1
        for member in self.members.values():
            with Ledger.open(member.directory, counting.app) as ledger:
                require_prefix(self.log, LogEnd(*ledger.log_end))

    def close(self) -> None:
        for member in self.members.values():
            if member.command is not None:
                with suppress(ProcessLookupError):
                    member.signal(signal.SIGCONT)
            member.kill()
            for relay in member.relays:
                relay.close()
        self.log.close()


def read_health(member: Member) -> dict[str, Any] | None:
    """What a member says of itself; None if it does not answer."""
    try:
        with urllib.request.urlopen(f"{member.url}/health", timeout=5) as answer:  # noqa: S310 - loopback
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))
    except (OSError, ValueError):
        return None


def is_open(member: Member) -> bool:
    """Whether it leads and takes actions."""
    status = read_health(member)
    return status is not None and status.get("intake") == "open"


@contextmanager
def replicated_world(root: Path, cluster: Cluster, zygote: Zygote) -> Iterator[World]:
    with closing(World(root, cluster, zygote)) as world:
        yield world


class Traffic:
    """Clients that submit, each at a member of its own while that answers, until each action is acknowledged."""

    def __init__(self, world: World, pause: float = 0.0) -> None:
        self._world = world
        self._pause = pause
        self.acknowledged: dict[str, dict[str, Any]] = {}
        """Line -> its acknowledgement."""
        self.by_seq: dict[int, dict[str, Any]] = {}
        self.failed = 0
        """Requests that were not answered, or whose actions were refused."""
        self.errors: list[str] = []
        self.last = time.monotonic()
        """When an acknowledgement came last."""
        self.longest = 0.0
        """The longest time without one since `mark`."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(_SENDERS)]
        for thread in self._threads:
            thread.start()

    def mark(self) -> int:
        """Measure the longest time without an acknowledgement from now on; how many there are."""
        with self._lock:
            self.longest, self.last = 0.0, time.monotonic()
            return len(self.acknowledged)

    def wait_for_more(self, count: int = 40) -> None:
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= before + count or self.errors)
        assert not self.errors

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)
        assert not self.errors, self.errors

    def _run(self, number: int) -> None:
        key, nonce = make_key(f"sender {number}"), 0
        members = list(self._world.members.values())
        while not self._stopping.is_set():
            lines = [
                sign_action(counting.app, counting.Add(by=nonce + each), nonce + each, key, self._world.domain).decode()
                for each in range(_AT_ONCE)
            ]
            nonce += _AT_ONCE
            place = number
            while not self._stopping.is_set() and not self._submit(members[place % len(members)].url, lines):
                place += 1
                time.sleep(0.1)
            time.sleep(self._pause)

    def _submit(self, url: str, lines: list[str]) -> bool:
        """Whether all of the lines are acknowledged."""
        answers = submit(url, lines)
        if answers is None:
            self.failed += 1
            return False
        done = [answer["ack"] for answer in answers if "ack" in answer]
        with self._lock:
            for line, answer in zip(lines, answers, strict=True):
                if "ack" in answer:
                    self._note(line, answer["ack"])
            if done:
                now = time.monotonic()
                self.longest = max(self.longest, now - self.last)
                self.last = now
        if len(done) < len(lines):
            self.failed += 1
        return len(done) == len(lines)

    def _note(self, line: str, ack: dict[str, Any]) -> None:
        seq = int(ack["seq"])
        for known, what in ((self.acknowledged.get(line), "action"), (self.by_seq.get(seq), "sequence number")):
            if known is not None and known != ack:
                self.errors.append(f"two acknowledgements of one {what}: {known} and {ack}")
        self.acknowledged[line] = self.by_seq[seq] = ack

    def check(self, url: str) -> None:
        """Every acknowledged action is still answered with the same acknowledgement."""
        lines = list(self.acknowledged)
        for first in range(0, len(lines), 200):
            part = lines[first : first + 200]
            answers = wait_for(lambda part=part: submit(url, part))
            assert [self.acknowledged[line] for line in part] == [answer.get("ack", answer) for answer in answers]


def submit(url: str, lines: list[str]) -> list[dict[str, Any]] | None:
    """The results of signed lines; None where no answer came."""
    body = f'{{"jsonrpc":"2.0","id":1,"method":"rollup_submitActions","params":{{"actions":[{",".join(lines)}]}}}}'
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=25) as answer:  # noqa: S310 - loopback
            document = json.load(answer)
    except (OSError, ValueError):
        return None
    return document.get("result")
