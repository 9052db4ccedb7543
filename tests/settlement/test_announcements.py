"""What an owner announces: event index and local settlement do what the table of vectors says, as the contract does.

`tests/foundry/inbox/test/Announcements.t.sol` holds the contract against the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.files import load_cases
from microrollup.settlement import errors
from microrollup.settlement.errors import SettlementError
from microrollup.settlement.ethereum.announcements import AnnouncementEvent, Announcements
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.events import (
    ActionVoided,
    AnnouncementCancelled,
    BuilderChanged,
    CodeAnnounced,
    OwnerChanged,
    SetWords,
    VerifiersChanged,
    VoidCancelled,
)
from microrollup.settlement.inbox import CANCEL_MARGIN_BLOCKS, CHANGE_DELAY_BLOCKS, VOID_AGE_BLOCKS
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.verifiers import VerifierSet, compute_set_id
from microrollup.testing.settlement_harness import make_genesis

START = 150_000_000
CASES = load_cases("announcements")
GENESIS = msgspec.structs.replace(
    make_genesis(START - 2, (START - 2) * SECONDS_PER_BLOCK),
    builder=bytes.fromhex(next(step["builder"] for step in CASES[0]["steps"] if step["call"] == "see")[2:]),
)
FIRST = bytes.fromhex(CASES[0]["steps"][0]["by"][2:])
CODE = bytes.fromhex(next(step["code"] for step in CASES[0]["steps"] if step["call"] == "see")[2:])

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


class Step(msgspec.Struct):
    """A step of the table, read."""

    number: int
    """Of the L1 block."""
    call: str
    by: bytes
    address: bytes
    code: bytes
    argument: int
    effective: int
    error: str


def read_steps(case: dict[str, Any]) -> list[Step]:
    """The calls of a case."""
    return [
        Step(
            START + int(step["at"]),
            step["call"],
            bytes.fromhex(step["by"][2:]),
            bytes.fromhex(step["address"][2:]),
            bytes.fromhex(step["code"][2:]),
            int(step["number"]),
            START + int(step["effective"]),
            step["error"].partition("(")[0],
        )
        for step in case["steps"]
        if step["call"] != "see"
    ]


class Sight(msgspec.Struct):
    """What holds in an L1 block."""

    owner: bytes
    builder: bytes
    verifiers: VerifierSet
    code: bytes
    voided: list[int]


def read_sights(case: dict[str, Any]) -> Iterator[tuple[int, Sight]]:
    """What holds in which L1 blocks."""
    for step in case["steps"]:
        if step["call"] == "see":
            owner, builder, code = (bytes.fromhex(step[name][2:]) for name in ("owner", "builder", "code"))
            verifiers = VerifierSet(GENESIS.verifiers, int(step["quorum"]))
            voided = [int(index) for index in step["voided"]]
            yield START + int(step["at"]), Sight(owner, builder, verifiers, code, voided)


def test_the_table_is_about_these_numbers() -> None:
    """The delays that the table counts with are the rules'."""
    steps = [step for case in CASES for step in case["steps"] if step.get("effective", "0") != "0"]
    delays = {
        int(step["effective"]) - int(step["at"]) for step in steps if step["call"].startswith(("change", "announce"))
    }
    assert {CHANGE_DELAY_BLOCKS} == delays
    assert VOID_AGE_BLOCKS in {int(step["effective"]) for step in steps if step["call"] == "void"}
    cancelled = {int(step["effective"]) - int(step["at"]) for step in steps if step["call"].startswith("cancel")}
    assert CANCEL_MARGIN_BLOCKS + 1 == min(cancelled)


# --- the local settlement --------------------------------------------------------------------------------------------


class Clock:
    """Stands in an L1 block."""

    number = START - 1

    def __call__(self) -> float:
        return float(self.number * SECONDS_PER_BLOCK)


def call_local(inbox: LocalSettlement, step: Step) -> int:
    """Do what a step says; what the call gives."""
    verifiers = VerifierSet(GENESIS.verifiers, step.argument)
    calls: dict[str, Callable[[], int]] = {
        "force": lambda: inbox.force(b"payload", sender=step.by),
        "void": lambda: inbox.void(step.argument, caller=step.by),
        "cancelVoid": lambda: inbox.cancel_void(step.argument, caller=step.by),
        "changeVerifiers": lambda: inbox.change_verifiers(verifiers, caller=step.by),
        "changeBuilder": lambda: inbox.change_builder(step.address, caller=step.by),
        "changeOwner": lambda: inbox.change_owner(step.address, caller=step.by),
        "announceCode": lambda: inbox.announce_code(step.code, caller=step.by),
        "cancelVerifiers": lambda: inbox.cancel("verifiers", caller=step.by),
        "cancelBuilder": lambda: inbox.cancel("builder", caller=step.by),
        "cancelCode": lambda: inbox.cancel("code", caller=step.by),
    }
    return calls[step.call]()


@each_case
def test_local_settlement(case: dict[str, Any], tmp_path: Path) -> None:
    """The local settlement takes and refuses each call, and knows afterwards what holds in every block."""
    clock = Clock()
    inbox = LocalSettlement.create(tmp_path, GENESIS, FIRST, CODE, clock)
    for step in read_steps(case):
        clock.number = step.number
        if step.error:
            with pytest.raises(getattr(errors, step.error)):
                call_local(inbox, step)
        else:
            given = call_local(inbox, step)
            assert step.call == "force" or step.effective == given
    count = inbox.get_forced_count(1 << 40)
    for number, sight in read_sights(case):
        found = Sight(
            inbox.get_owner(number),
            inbox.get_builder(number),
            inbox.get_verifiers(number),
            inbox.get_stf_id(number),
            [index for index in range(count) if inbox.is_voided(index, number)],
        )
        assert sight == found, number - START
    inbox.close()


# --- the events ------------------------------------------------------------------------------------------------------


def make_event(step: Step) -> AnnouncementEvent:
    """The event of a call, as the contract emits it if it takes it."""
    match step.call:
        case "void":
            return ActionVoided(step.argument, step.effective)
        case "cancelVoid":
            return VoidCancelled(step.argument, step.effective)
        case "changeVerifiers":
            words = SetWords(0, GENESIS.verifiers, step.argument, ())
            identity = compute_set_id(VerifierSet(words.members, words.quorum))
            return VerifiersChanged(step.effective, identity, words)
        case "changeBuilder":
            return BuilderChanged(step.effective, step.address)
        case "changeOwner":
            return OwnerChanged(step.effective, step.address)
        case "announceCode":
            return CodeAnnounced(step.effective, step.code)
        case call:
            kinds = ["cancelVerifiers", "cancelBuilder", "cancelCode"]
            return AnnouncementCancelled(kinds.index(call), step.effective)


def make_announcements() -> Announcements:
    return Announcements(FIRST, GENESIS.builder, VerifierSet(GENESIS.verifiers, GENESIS.quorum), CODE)


def replay(steps: list[Step]) -> tuple[Announcements, list[int]]:
    """The announcements after all events; and the inclusion block of each entry."""
    announcements, entries = make_announcements(), list[int]()
    for step in steps:
        if step.call == "force":
            entries.append(step.number)
        elif not step.error:
            inclusion = entries[step.argument] if "oid" in step.call else 0
            announcements.apply(make_event(step), step.number, inclusion)
    return announcements, entries


def describe(announcements: Announcements, number: int, count: int) -> Sight:
    """What holds in an L1 block."""
    voids = [(index, announcements.get_void(index)) for index in range(count)]
    return Sight(
        announcements.get_owner(number),
        announcements.get_builder(number),
        announcements.get_verifiers(number),
        announcements.get_stf_id(number),
        [index for index, effective in voids if effective is not None and effective <= number],
    )


@each_case
def test_events(case: dict[str, Any]) -> None:
    """From the events of the calls that the contract takes follows what holds in every block."""
    announcements, entries = replay(read_steps(case))
    for number, sight in read_sights(case):
        assert sight == describe(announcements, number, len(entries)), number - START


@each_case
def test_events_that_cannot_be(case: dict[str, Any]) -> None:
    """Where the contract refuses the owner's call, no event of it fits; nor does one for another block."""
    steps = read_steps(case)
    for at, step in enumerate(steps):
        if step.call == "force" or step.error in ("NotOwner", "UnknownEntry", "ZeroCode"):
            continue
        announcements, entries = replay(steps[:at])
        inclusion = entries[step.argument] if "oid" in step.call else 0
        effective = step.effective
        if step.error:
            pending = [other.effective for other in steps[:at] if other.effective > START] or [step.number + 500]
            effective = pending[-1]
        for wrong in (effective,) if step.error else (effective - 1, effective + 1):
            with pytest.raises(L1BadAnswer):
                announcements.apply(make_event(msgspec.structs.replace(step, effective=wrong)), step.number, inclusion)


@each_case
def test_events_that_l1_takes_back(case: dict[str, Any]) -> None:
    """After a reorg to any block what holds is what followed from the events up to it."""
    steps = read_steps(case)
    whole, entries = replay(steps)
    for number in sorted({step.number + beside for step in steps for beside in (-1, 0)}):
        kept, _ = replay([step for step in steps if step.number <= number])
        forked = whole.fork(number)
        for at, _ in read_sights(case):
            assert describe(kept, at, len(entries)) == describe(forked, at, len(entries))


def test_kinds_that_cannot_be() -> None:
    """There is no fourth kind to cancel."""
    with pytest.raises(L1BadAnswer):
        make_announcements().apply(AnnouncementCancelled(3, START + CHANGE_DELAY_BLOCKS), START)


def test_errors_have_one_root() -> None:
    """What the table names are errors of a settlement."""
    names = {step.error for case in CASES for step in read_steps(case)} - {""}
    assert {"AlreadyVoided", "CancelledTooLate", "NotOwner", "NothingPending", "UnknownEntry", "ZeroCode"} == names
    assert all(issubclass(getattr(errors, name), SettlementError) for name in names)
