"""A member of a replicated rollup: a process that follows the log, and leads while the log says so.

follow -> claim -> catch up -> lead -> (fenced, handed over, failed, upgraded) -> let go of memory -> follow
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.crypto.ecdsa import SigningKey
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import OpenRollup, open_rollup
from microrollup.deployment.serving import SPARE_FILES, describe_address, make_node
from microrollup.errors import Divergence, MicrorollupError, WrongRollup
from microrollup.keys.reference import NamedKey
from microrollup.node.divergence_note import drop_divergence, read_divergence
from microrollup.node.options import NodeOptions
from microrollup.node.replication import describe_leader, render_member, watch_leader
from microrollup.node.runtime import Node
from microrollup.replication.errors import Fenced, NoAnswer, OtherLog
from microrollup.replication.leading import LeaderLog
from microrollup.replication.lease import LeaseKeeper
from microrollup.replication.opening import ReplicaPlace
from microrollup.replication.protocol import LEASE_SECONDS, RENEW_SECONDS, Leader, Leadership, ReplicatedLog
from microrollup.replication.standby import Standby
from microrollup.rpc.access import Access
from microrollup.rpc.app import Entrance, make_app
from microrollup.rpc.front import Front
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.settlement.place import L1Place
from microrollup.store.tables import get_block_row
from microrollup.system import raise_limit

__all__ = ["Member", "MemberOptions", "serve_member"]

POLL_SECONDS: Final = 0.1
"""How often a standby looks for more."""
_WATCH_SECONDS: Final = 0.2
_DRAIN_SECONDS: Final = 10.0
_TROUBLE_SECONDS: Final = 1.0
_FAILED_SECONDS: Final = LEASE_SECONDS + RENEW_SECONDS
"""A node that failed as a leader leaves it to others for so long."""

_log = structlog.get_logger(__name__)


class MemberOptions(msgspec.Struct, frozen=True):
    """What a member serves, as `run` was asked."""

    app: str
    directory: Path
    rollup: MicroRollup
    keys: Sequence[NamedKey]
    """Of verifiers that run beside it while it leads."""
    builder: SigningKey | None
    l1: L1Place | None
    node: NodeOptions
    limits: RpcLimits
    access: Access


class MemberStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What a member says at `/health` while it does not lead."""

    role: str
    """`standby`, `leader` while it changes, `refused`: its log or a block differs, and it will not lead."""
    node: str
    leader: str
    epoch: int
    height: int
    lag_records: int
    lease_seconds: float | None
    reason: str | None


class Member:
    """Runs in a thread of its own; `front` is what a server serves. `start` it with its URL; `stop` it."""

    def __init__(self, options: MemberOptions, place: ReplicaPlace) -> None:
        self.front = Front(options.limits, self._describe, self._render_metrics, access=options.access)
        self._options = options
        self._place = place
        self._url = place.advertise or ""
        self._stopping = threading.Event()
        self._ending = threading.Event()
        """The present leadership is to end."""
        self._lost = False
        self._not_before = 0.0
        self._status = MemberStatus("standby", place.node, "", 0, 0, 0, None, "starting")
        self._thread = threading.Thread(target=self._run, name="member", daemon=True)

    def check(self) -> None:
        """Raise what would keep this member from ever serving: a missing or locked store, another app or key, an empty
        log. A database that cannot be reached is waited for.
        """
        with self._open() as opened, closing(self._place.open()) as log, suppress(NoAnswer):
            if log.get_rollup_id() != opened.ledger.rollup_id:
                raise WrongRollup(f"the replicated log is of another rollup than {self._options.directory} holds")

    def start(self, url: str) -> None:
        """Begin; `url` is where the server listens."""
        self._url = self._url or url
        self._thread.start()

    def stop(self) -> None:
        """Let go of what it leads, and end."""
        self._stopping.set()
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _open(self) -> AbstractContextManager[OpenRollup]:
        options = self._options
        return open_rollup(options.directory, options.rollup, l1=options.l1, builder=options.builder)

    # In the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._open() as opened, closing(self._place.open()) as log:
                    self._serve(opened, log)
            except (Divergence, OtherLog) as error:
                _log.error("standby_refused", reason=str(error))
                self._note(role="refused", reason=str(error))
                self._watch_leader()
            except (MicrorollupError, OSError) as error:
                _log.warning("member_interrupted", reason=str(error))
                self._note(role="standby", reason=str(error))
                self._stopping.wait(_TROUBLE_SECONDS)
            except Exception:  # a bug, or no memory: the next try begins from what is durable
                _log.exception("member_failed")
                self._note(role="standby", reason="a fault of the node; see its log")
                self._stopping.wait(_TROUBLE_SECONDS)

    def _serve(self, opened: OpenRollup, log: ReplicatedLog) -> None:
        standby = Standby(log, opened.ledger, opened.l1, self._place.node, self._url)
        leadership = self._follow(standby, log)
        if leadership is None:
            return
        _log.info("leading", epoch=leadership.epoch, height=opened.ledger.checkpoint.height)
        self._ending.clear()
        if self._stopping.is_set():
            self._ending.set()
        self._lost = False
        keeper = self._make_keeper(leadership, opened)
        keeper.start()
        try:
            self._catch_up(standby, log)
            if not self._ending.is_set():
                self._lead(opened, leadership, keeper)
        except BaseException:  # others may be able to
            self._not_before = time.monotonic() + _FAILED_SECONDS
            raise
        finally:
            self.front.hold()
            keeper.close(release=True)
            opened.ledger.remote = None
            _log.info("led", epoch=leadership.epoch, height=opened.ledger.checkpoint.height)

    def _follow(self, standby: Standby, log: ReplicatedLog) -> Leadership | None:
        """Take what the log has more, until this node may lead and has claimed it; None when it is to stop."""
        registered = time.monotonic()
        while not self._stopping.is_set():
            try:
                taken = standby.step()
                leader = log.get_leader()
                self._note_leader(leader, standby.end.number, log)
                if not taken and self._may_claim(leader):
                    return log.claim(leader, self._place.node, self._url)
                if time.monotonic() - registered > RENEW_SECONDS:
                    registered = time.monotonic()
                    standby.register()
            except Fenced:
                taken = 0
            except NoAnswer as error:
                self._note(reason=str(error))
                taken = 0
            if not taken:
                self._stopping.wait(POLL_SECONDS)
        return None

    def _may_claim(self, leader: Leader) -> bool:
        if time.monotonic() < self._not_before:
            return False
        return leader.node == self._place.node or leader.lease_seconds > LEASE_SECONDS

    def _catch_up(self, standby: Standby, log: ReplicatedLog) -> None:
        """Take all that the log has. The epoch is raised: nobody else appends."""
        while not self._ending.is_set() and standby.end != log.get_end():
            if not standby.step():
                self._ending.wait(POLL_SECONDS)  # until the L1 that is seen here comes to what the log is bound to

    def _lead(self, opened: OpenRollup, leadership: Leadership, keeper: LeaseKeeper) -> None:
        options = self._options
        with closing(self._place.open()) as session:
            leader_log = LeaderLog(session, leadership)
            opened.ledger.remote = leader_log
            note = read_divergence(options.directory)
            fixed = note is not None and note.height <= opened.l1.get_settled().height
            node = make_node(
                options.app, options.directory, opened, options.keys, options.l1, options.node,
                divergent=note if fixed else None, may_settle=keeper.leads, replica=self._place,
            )  # fmt: skip
            node.on_upgrade = self._ending.set
            watch_leader(node.metrics, leader_log, keeper)
            node.observer.describe_replication = lambda: describe_leader(self._place.node, keeper)
            app: Entrance | None = None
            try:
                node.start()
                if note is not None and not fixed:
                    node.rebuild(note.height)
                    drop_divergence(options.directory)
                app = make_app(node, options.limits, access=options.access, address=self._url)
                self.front.use(app)
                self._note(role="leader", reason=None)
                self._watch_node(node)
                self.front.hold()
                if not self._lost:
                    self.front.drain(_DRAIN_SECONDS)
            finally:
                if self._lost or node.has_failed:
                    leader_log.stop()
                    node.retire("this node does not lead any longer; what was not acknowledged may be sent again")
                node.stop()
                if app is not None:
                    app.close()

    def _watch_node(self, node: Node) -> None:
        while not self._ending.wait(_WATCH_SECONDS):
            if node.has_failed:
                _log.error("leader_failed", reason=node.stopped)
                self._not_before = time.monotonic() + _FAILED_SECONDS
                return

    def _make_keeper(self, leadership: Leadership, opened: OpenRollup) -> LeaseKeeper:
        def end(reason: str, *, lost: bool) -> None:
            _log.warning("leadership_ends", reason=reason)
            self._lost = lost
            self._ending.set()

        return LeaseKeeper(
            self._place.open(),
            leadership,
            self._url,
            get_length=lambda: opened.ledger.log_end[0],
            get_kept=lambda: _find_kept(opened),
            on_lost=lambda reason: end(reason, lost=True),
            on_handover=lambda successor: end(f"handed over to {successor}", lost=False),
        )

    # What it says of itself

    def _watch_leader(self) -> None:
        """Only pass requests on, until the end."""
        while not self._stopping.is_set():
            try:
                with closing(self._place.open()) as log:
                    while not self._stopping.wait(RENEW_SECONDS):
                        self._show(log.get_leader())
            except MicrorollupError:
                self.front.pass_on(None)
            self._stopping.wait(_TROUBLE_SECONDS)

    def _show(self, leader: Leader) -> None:
        alive = leader.node != self._place.node and leader.lease_seconds <= LEASE_SECONDS
        self.front.pass_on(leader.url if alive else None)
        seconds = leader.lease_seconds if alive else None
        self._note(leader=leader.url, epoch=leader.epoch, lease_seconds=seconds)

    def _note_leader(self, leader: Leader, number: int, log: ReplicatedLog) -> None:
        self._show(leader)
        self._note(role="standby", reason=None, lag_records=log.get_end().number - number)

    def _note(self, **changes: object) -> None:
        self._status = msgspec.structs.replace(self._status, **changes)

    def _describe(self) -> tuple[bytes, bool]:
        return msgspec.json.encode(self._status), self._status.reason is None

    def _render_metrics(self) -> bytes:
        status = self._status
        return render_member(status.epoch, status.lag_records, status.lease_seconds, refused=status.role == "refused")


def serve_member(
    member: Member, host: str, port: int, limits: RpcLimits, on_ready: Callable[[str, Callable[[], None]], None]
) -> int:
    """Serve a member on an address (port 0: any) until it is stopped; the port. `on_ready` as of `serve_node`."""
    raise_limit("RLIMIT_NOFILE", limits.connections + SPARE_FILES)
    listener = bind(host, port)
    server_port, address = describe_address(listener, host)

    def begin() -> None:
        member.start(address)
        on_ready(address, server.stop)

    server = Server(member.front, listener, limits, on_ready=begin, on_stop=member.stop)
    try:
        server.serve_forever()
    finally:
        listener.close()
        member.stop()
    return server_port


def _find_kept(opened: OpenRollup) -> int:
    """The number of the first record that is not settled: earlier ones need not be kept in the replicated log."""
    environment, height = opened.ledger.environment, opened.l1.get_settled().height
    with environment.snapshot() as txn:
        row = get_block_row(txn, environment.tables, height) if height else None
    return 0 if row is None else row.first_record
