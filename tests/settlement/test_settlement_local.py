"""The local settlement: the contract suite, and what is its own: directories, the clock, damage, processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import lmdb
import msgspec
import pytest
from blake3 import blake3

from killed_writer import hide_last_commit
from microrollup.chain.record import Genesis
from microrollup.codec.canonical import encode_canonical
from microrollup.errors import (
    CommitFailed,
    DecodeError,
    StoreCorrupt,
    StoreError,
    StoreFormat,
    StoreLocked,
    StoreMissing,
    UsageError,
)
from microrollup.settlement.errors import AlreadyInitialised, SettlementError
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.protocol import Inbox
from microrollup.settlement.rows import FORMAT, Meta
from microrollup.settlement.tables import InboxTables, open_tables
from microrollup.settlement.verifiers import VerifierSet
from microrollup.testing.settlement_harness import BUILDER, OWNER, STF_ID, extend, make_genesis, propose
from microrollup.testing.settlement_suite import ABSENT, BasedContract, SettlementContract

START_NUMBER = 150_000_000
SENDER = bytes(range(20))


class LocalHarness:
    """Local inboxes in directories of a test, on a clock that stands still until told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seconds = float((START_NUMBER + 10) * SECONDS_PER_BLOCK)
        self.places: dict[Inbox, Path] = {}

    def close(self) -> None:
        for inbox in self.places:
            inbox.close()

    def read_clock(self) -> float:
        return self.seconds

    def create_inbox(self, genesis: Genesis, owner: bytes) -> LocalSettlement:
        directory = self.root / f"inbox-{len(self.places)}"
        inbox = LocalSettlement.create(directory, genesis, owner, STF_ID, self.read_clock)
        self.places[inbox] = directory
        return inbox

    def reopen_inbox(self, inbox: Inbox) -> LocalSettlement:
        inbox.close()
        again = LocalSettlement.open(self.places[inbox], self.read_clock)
        self.places[again] = self.places[inbox]
        return again

    def get_start(self) -> tuple[int, int]:
        return START_NUMBER, START_NUMBER * SECONDS_PER_BLOCK

    def advance_to(self, inbox: Inbox, number: int) -> None:
        self.seconds = float(number * SECONDS_PER_BLOCK)


class TestContract(SettlementContract):
    """Every rule of the inbox."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[LocalHarness]:
        with closing(LocalHarness(tmp_path)) as made:
            yield made


def test_what_is_absent_exists_elsewhere() -> None:
    """Each case that a based rollup does not have is one of the others', and no other is left out."""
    missing = {name for name in dir(BasedContract) if name.startswith("test_") and getattr(BasedContract, name) is None}
    assert missing == set(ABSENT) <= set(dir(SettlementContract))


class TestBasedContract(BasedContract):
    """The same without a builder."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[LocalHarness]:
        with closing(LocalHarness(tmp_path)) as made:
            yield made


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LocalHarness]:
    with closing(LocalHarness(tmp_path)) as made:
        yield made


@pytest.fixture
def inbox(harness: LocalHarness) -> LocalSettlement:
    return harness.create_inbox(make_genesis(*harness.get_start()), OWNER)


def test_creates_once(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """A directory that holds an inbox stays as it is, whoever asks."""
    inbox.force(b"kept", sender=SENDER)
    inbox.close()
    with pytest.raises(AlreadyInitialised):
        LocalSettlement.create(harness.places[inbox], inbox.get_genesis(), SENDER, STF_ID, harness.read_clock)
    assert 1 == harness.reopen_inbox(inbox).get_forced_count(START_NUMBER + 10)


def test_missing_inbox(tmp_path: Path, harness: LocalHarness) -> None:
    """Neither an absent directory, nor an empty one, nor one whose creation was cut short is opened."""
    (tmp_path / "empty").mkdir()
    open_tables(tmp_path / "cut", create=True).close()
    for name in ("absent", "empty", "cut"):
        with pytest.raises(StoreMissing):
            LocalSettlement.open(tmp_path / name)
    again = LocalSettlement.create(
        tmp_path / "cut", make_genesis(*harness.get_start()), OWNER, STF_ID, harness.read_clock
    )
    assert 0 == again.get_settled().height


def test_unusable_place(tmp_path: Path, harness: LocalHarness) -> None:
    """A path through a file is a `StoreError`, not an `OSError`; what is no LMDB file is told as damage."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        LocalSettlement.create(
            tmp_path / "file" / "x", make_genesis(*harness.get_start()), OWNER, STF_ID, harness.read_clock
        )
    (tmp_path / "data.mdb").write_bytes(b"\x01" * 20_000)
    with pytest.raises(StoreCorrupt):
        LocalSettlement.open(tmp_path)


def test_opens_once_in_a_process(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """LMDB must not be opened twice in a process: the second time is refused, and possible after closing."""
    with pytest.raises(StoreLocked):
        LocalSettlement.open(harness.places[inbox])
    assert inbox.get_settled() == harness.reopen_inbox(inbox).get_settled()


def test_refuses_newer_format(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """Rows of a later version are not guessed at, nor those of versions without checks."""
    inbox.close()
    later = encode_canonical(Meta(FORMAT + 1, 1))
    for row in (later + blake3(b"meta" + later).digest(8), encode_canonical(Meta(2, 1))):
        with edit(harness.places[inbox]) as (tables, transaction):
            transaction.put(b"meta", row, db=tables.meta)
        with pytest.raises(StoreFormat):
            harness.reopen_inbox(inbox)


def test_closed_inbox_fails(inbox: LocalSettlement) -> None:
    """After closing (once or twice) calls raise a typed error."""
    inbox.close()
    inbox.close()
    with pytest.raises(StoreError):
        inbox.get_settled()
    with pytest.raises(StoreError):
        inbox.force(b"", sender=SENDER)


def test_numbers_are_twelve_second_blocks(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """The number is the clock divided by 12, its time 12 times the number."""
    harness.seconds = (START_NUMBER + 20) * SECONDS_PER_BLOCK + 11.9
    assert START_NUMBER + 20 == inbox.get_number()
    assert (START_NUMBER + 20) * SECONDS_PER_BLOCK == inbox.get_time(START_NUMBER + 20)


def test_number_never_goes_back(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """A clock set back, even across a restart, does not reopen a block whose end was told."""
    harness.advance_to(inbox, START_NUMBER + 100)
    assert START_NUMBER + 100 == inbox.get_number()
    harness.advance_to(inbox, START_NUMBER + 50)
    assert START_NUMBER + 100 == inbox.get_number()
    inbox = harness.reopen_inbox(inbox)
    inbox.force(b"late", sender=SENDER)
    assert START_NUMBER + 100 == inbox.get_forced_entries(0, START_NUMBER + 100, 1)[0].inclusion_block
    assert 0 == inbox.get_forced_count(START_NUMBER + 99)


def test_told_blocks_are_complete(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """While a write into block N is under way, nobody is told that N has passed: the number waits for it."""
    entered, released = threading.Event(), threading.Event()
    writer: threading.Thread

    def read_slow_clock() -> float:
        seconds = harness.seconds
        if threading.current_thread() is writer:
            entered.set()
            released.wait(60)
        return seconds

    inbox.close()
    inbox = LocalSettlement.open(harness.places[inbox], read_slow_clock)
    writer = threading.Thread(target=lambda: inbox.force(b"slow", sender=SENDER))
    writer.start()
    assert entered.wait(60)
    harness.advance_to(inbox, START_NUMBER + 11)
    told: list[tuple[int, int]] = []
    reader = threading.Thread(
        target=lambda: told.append((inbox.get_number(), inbox.get_forced_count(START_NUMBER + 10)))
    )
    reader.start()
    reader.join(0.2)
    assert [] == told
    released.set()
    writer.join(60)
    reader.join(60)
    assert [(START_NUMBER + 11, 1)] == told


def test_answers_about_numbers_out_of_range(inbox: LocalSettlement) -> None:
    """Questions from outside may name any number; they get an answer or a typed error."""
    for number in (-1, 2**64, 2**300):
        assert None is inbox.get_settled_at(number)
        assert None is inbox.get_confirmations(number)
        assert [] == inbox.get_forced_entries(0, number, 10)
        assert BUILDER == inbox.get_builder(number)
        for ask in (inbox.get_queue_hash, inbox.get_time, lambda n: inbox.is_voided(n, n)):
            with pytest.raises(SettlementError):
                ask(number)


def test_refuses_malformed_arguments(inbox: LocalSettlement, harness: LocalHarness) -> None:
    """Words of a wrong size, which a contract's types cannot even express, are the caller's mistake."""
    with pytest.raises(UsageError):
        inbox.force(b"", sender=SENDER[1:])
    with pytest.raises(UsageError):
        inbox.change_owner(SENDER + b"\x00", caller=OWNER)
    proposal = propose(inbox, extend(inbox))
    for changes in ({"height": 2**256}, {"height": -1}, {"timestamp": 1.5}, {"state_root": bytes(31)}):
        header = msgspec.structs.replace(proposal.header, **changes)
        with pytest.raises(UsageError):
            inbox.settle(proposal.batch, header, proposal.attestations, submitter=BUILDER)
    genesis = msgspec.structs.replace(make_genesis(*harness.get_start()), salt=bytes(31))
    with pytest.raises(DecodeError):
        harness.create_inbox(genesis, OWNER)


def test_damage_is_told(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """Bytes changed behind the inbox's back contradict the attested data hash, the header's hash or the queue's."""
    inbox.force(b"payload", sender=SENDER)
    proposal = propose(inbox, extend(inbox))
    inbox.settle(proposal.batch, proposal.header, proposal.attestations, submitter=BUILDER)
    inbox.close()
    for table in ("batches", "settled", "entries", "queue"):
        with edit(harness.places[inbox]) as (tables, transaction):
            database = getattr(tables, table)
            key, value = next(iter(transaction.cursor(database)))
            transaction.put(
                key, value[:60] + bytes([value[60] ^ 1]) + value[61:] if len(value) > 60 else bytes(32), db=database
            )
        damaged = LocalSettlement.open(harness.places[inbox], harness.read_clock)
        with pytest.raises(StoreCorrupt):
            damaged.get_forced_entries(0, 2**40, 1) if table in ("entries", "queue") else damaged.get_settled_at(1)
        damaged.close()
        with edit(harness.places[inbox]) as (tables, transaction):
            transaction.put(key, value, db=getattr(tables, table))
    whole = harness.reopen_inbox(inbox)
    assert (b"payload", proposal.batch) == (
        whole.get_forced_entries(0, 2**40, 1)[0].payload,
        getattr(whole.get_settled_at(1), "batch", None),
    )


def ask_everything(inbox: LocalSettlement) -> list[object]:
    """What an inbox says of each block number near its rows."""
    numbers = [START_NUMBER, START_NUMBER + 10, START_NUMBER + 11, START_NUMBER + 30_000, START_NUMBER + 60_000]
    return [
        *[ask(number) for number in numbers for ask in (
            inbox.get_owner, inbox.get_builder, inbox.get_verifiers, inbox.get_stf_id, inbox.get_forced_count,
            lambda number: inbox.is_voided(0, number),
        )],
        inbox.get_genesis(), inbox.get_settled(), inbox.get_settled_at(1), inbox.get_queue_hash(1),
        inbox.get_forced_entries(0, 1 << 40, 9), inbox.get_confirmations(0), inbox.get_confirmations(1),
    ]  # fmt: skip


def test_no_row_is_believed(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """With a bit of any row's value flipped, the inbox answers as before or says what is damaged; `check` finds it."""
    inbox.force(b"payload", sender=SENDER)
    inbox.void(0, caller=OWNER)
    verifiers = inbox.get_verifiers(START_NUMBER)
    inbox.change_verifiers(VerifierSet(verifiers.addresses, 3), caller=OWNER)
    inbox.change_builder(SENDER, caller=OWNER)
    inbox.announce_code(b"\x05" * 32, caller=OWNER)
    proposal = propose(inbox, extend(inbox))
    inbox.settle(proposal.batch, proposal.header, proposal.attestations, submitter=BUILDER)
    inbox.change_owner(SENDER, caller=OWNER)
    expected, place = ask_everything(inbox), harness.places[inbox]
    inbox.close()
    counts = LocalSettlement.check(place)
    rows = 0
    for name, count in counts.items():
        for index in range(count):
            with edit(place) as (tables, transaction):
                key, value = list(transaction.cursor(getattr(tables, name)))[index]
                at = rows % len(value)
                transaction.put(key, value[:at] + bytes([value[at] ^ 4]) + value[at + 1 :], db=getattr(tables, name))
            with pytest.raises(StoreCorrupt):
                LocalSettlement.check(place)
            with suppress(StoreCorrupt):
                damaged = LocalSettlement.open(place, harness.read_clock)
                try:
                    assert expected == ask_everything(damaged)
                finally:
                    damaged.close()
            with edit(place) as (tables, transaction):
                transaction.put(key, value, db=getattr(tables, name))
            rows += 1
    assert counts == LocalSettlement.check(place)
    assert 15 == rows


def test_full_map_loses_nothing(harness: LocalHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that finds no room raises `CommitFailed` and leaves no trace."""
    monkeypatch.setattr("microrollup.settlement.tables._MAP_BYTES", 1 << 18)
    inbox = harness.create_inbox(make_genesis(*harness.get_start()), OWNER)
    taken = force_until_full(inbox)
    assert 0 < taken < 1_000
    inbox = harness.reopen_inbox(inbox)
    assert taken == inbox.get_forced_count(2**40)
    assert taken == len(inbox.get_forced_entries(0, 2**40, 1_000))


def force_until_full(inbox: Inbox) -> int:
    """How many of 1,000 forced actions found room before one did not."""
    for taken in range(1_000):
        try:
            inbox.force(bytes(8_192), sender=SENDER)
        except CommitFailed:
            return taken
    return 1_000


_FORCE_UNTIL_KILLED = """
import sys
from pathlib import Path
from microrollup.settlement.local import LocalSettlement

inbox = LocalSettlement.open(Path(sys.argv[1]))
while True:
    print(inbox.force(b"payload", sender=bytes(20)), flush=True)
"""


def test_other_processes_share_it_and_may_be_killed(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """What another process was told is in, is in, although it was killed in the middle of something.

    What it wrote last without being told is seen from the next L1 block on.
    """
    command = [sys.executable, "-c", _FORCE_UNTIL_KILLED, str(harness.places[inbox])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
    assert list(range(20)) == told
    assert 20 <= inbox.get_forced_count(2**40)
    harness.seconds += SECONDS_PER_BLOCK
    count = inbox.get_forced_count(inbox.get_number() - 1)
    assert 20 <= count
    assert count == len(inbox.get_forced_entries(0, 2**40, count))
    assert count == inbox.force(b"after", sender=SENDER)


def test_a_commit_that_nobody_was_told_of(harness: LocalHarness, inbox: LocalSettlement) -> None:
    """A writer that is killed after its commit is on disk, but before LMDB tells readers of it, contradicts nothing
    that was said: what it wrote belongs to the newest L1 block, and whoever looks at the next one sees it.
    """
    for _ in range(20):
        inbox.force(b"told", sender=SENDER)
    number = inbox.get_number()
    hide_last_commit(harness.places[inbox], inbox._tables._environment.info()["last_txnid"])
    assert (19, number) == (inbox.get_forced_count(2**40), inbox.get_number())
    settled = inbox.get_forced_count(number - 1)
    harness.seconds += SECONDS_PER_BLOCK
    assert number + 1 == inbox.get_number()
    assert (settled, 20) == (inbox.get_forced_count(number - 1), inbox.get_forced_count(number))
    assert 20 == inbox.force(b"after", sender=SENDER)


@contextmanager
def edit(directory: Path) -> Iterator[tuple[InboxTables, lmdb.Transaction[bytes]]]:
    """The raw tables of a closed inbox, to damage them."""
    tables = open_tables(directory, create=False)
    with tables.begin(write=True) as transaction:
        yield tables, transaction
    tables.close()
