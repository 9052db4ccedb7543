"""What the owner of an inbox has announced, as its events tell: who owns, builds and verifies, which code executes,
which entries are void.

The rules are the contract's (`RollupInbox.sol`); a table of cases under `tests/vectors` compares the two. An event that
the contract cannot have emitted after the ones before is refused. A reorg takes events back: what stands then is
computed again from those that are left.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from typing import Generic, TypeAlias, TypeVar, assert_never

import msgspec

from microrollup.crypto.bls_shares import CHAIN_KEY_BYTES, compress_chain_key
from microrollup.errors import BadSignature, SettlementError
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.events import (
    ActionVoided,
    AnnouncementCancelled,
    BuilderChanged,
    CodeAnnounced,
    KeysRegistered,
    OwnerChanged,
    VerifiersChanged,
    VoidCancelled,
)
from microrollup.settlement.inbox import (
    ANNOUNCEMENTS,
    CANCEL_MARGIN_BLOCKS,
    CHANGE_DELAY_BLOCKS,
    compute_void_block,
)
from microrollup.settlement.protocol import Announced, AnnouncementKind
from microrollup.settlement.verifiers import MAX_PAGE_KEYS, VerifierSet, compute_set_id, resolve_set

__all__ = ["AnnouncementEvent", "Announcements"]

AnnouncementEvent: TypeAlias = (
    ActionVoided
    | VoidCancelled
    | VerifiersChanged
    | KeysRegistered
    | BuilderChanged
    | CodeAnnounced
    | OwnerChanged
    | AnnouncementCancelled
)

T = TypeVar("T")


class _Schedule(Generic[T]):
    """A value that changes at announced L1 blocks, as `Schedule.sol` keeps it."""

    def __init__(self, first: T) -> None:
        self._effective = [0]
        self._values = [first]

    def __copy__(self) -> _Schedule[T]:
        fresh = _Schedule(self._values[0])
        fresh._effective, fresh._values = self._effective[:], self._values[:]
        return fresh

    @property
    def first(self) -> T:
        """What the inbox was created with."""
        return self._values[0]

    @property
    def newest(self) -> int:
        """The L1 block from which the newest change is in force; 0 if there is none."""
        return self._effective[-1]

    def get(self, number: int) -> T:
        """The value that is in force in an L1 block."""
        return self._values[max(bisect_right(self._effective, number) - 1, 0)]

    def since(self, number: int) -> int:
        """From which L1 block that value is in force; 0 for the first."""
        return self._effective[max(bisect_right(self._effective, number) - 1, 0)]

    def find_next(self, number: int) -> int | None:
        """From when the first change is in force that is not in an L1 block."""
        at = bisect_right(self._effective, number)
        return self._effective[at] if at < len(self._effective) else None

    def list_next(self, number: int) -> list[tuple[int, T]]:
        """What is not in force in an L1 block, with the one from which it is."""
        at = bisect_right(self._effective, number)
        return list(zip(self._effective[at:], self._values[at:], strict=True))

    def announce(self, effective: int, value: T) -> None:
        """Add a change; of two for one block the later replaces the earlier."""
        if self.newest == effective:
            self.take_back()
        self._effective.append(effective)
        self._values.append(value)

    def take_back(self) -> None:
        """Forget the newest change."""
        del self._effective[-1], self._values[-1]


class _Void(msgspec.Struct, frozen=True):
    announced: int
    effective: int


class Announcements:
    """The announcements of one inbox, in the order of its events."""

    def __init__(self, owner: bytes, builder: bytes, verifiers: VerifierSet, stf_id: bytes) -> None:
        self._owners, self._builders, self._verifiers = _Schedule(owner), _Schedule(builder), _Schedule(verifiers)
        self._codes = _Schedule(stf_id)
        self._voids: dict[int, _Void] = {}
        self._pages: dict[bytes, tuple[bytes, ...]] = {}
        """Of BLS keys, by address."""
        self._events: list[tuple[int, int, AnnouncementEvent]] = []
        """With the L1 block of each, and the inclusion block of the entry that it is about (0: of none)."""

    # Reading.

    def get_owner(self, number: int) -> bytes:
        """The 20-byte owner as of an L1 block."""
        return self._owners.get(number)

    def get_builder(self, number: int) -> bytes:
        """The 20-byte builder as of an L1 block."""
        return self._builders.get(number)

    def get_verifiers(self, number: int) -> VerifierSet:
        """The verifiers as of an L1 block."""
        return self._verifiers.get(number)

    def get_stf_id(self, number: int) -> bytes:
        """The 32-byte id of the code that is in force at an L1 origin."""
        return self._codes.get(number)

    def get_code_since(self, number: int) -> int:
        """The L1 block from which that code is in force; 0 for the first."""
        return self._codes.since(number)

    def get_void(self, index: int) -> int | None:
        """From which L1 block an entry is voided; `None` if it is not, or if its void ended with its owner."""
        void = self._voids.get(index)
        if void is None:
            return None
        successor = self._owners.find_next(void.announced)
        return None if successor is not None and successor <= void.effective else void.effective

    def list_announced(self, number: int) -> list[Announced]:
        """What is not in force in an L1 block, in the order of the blocks from which it is."""
        found = [Announced("verifiers", effective, value) for effective, value in self._verifiers.list_next(number)]
        found += [Announced("builder", effective, value) for effective, value in self._builders.list_next(number)]
        found += [Announced("code", effective, value) for effective, value in self._codes.list_next(number)]
        found += [Announced("owner", effective, value) for effective, value in self._owners.list_next(number)]
        return sorted(found, key=lambda announced: announced.effective)

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        """The 96-byte keys of the registered page with a 20-byte address."""
        return self._pages.get(address)

    # Writing.

    def fork(self, number: int) -> Announcements:
        """A copy as of the end of an L1 block."""
        kept = self._events[: bisect_right(self._events, number, key=lambda event: event[0])]
        fresh = Announcements(self._owners.first, self._builders.first, self._verifiers.first, self._codes.first)
        if len(kept) < len(self._events):
            for at, inclusion_block, event in kept:
                fresh.apply(event, at, inclusion_block)
            return fresh
        fresh._owners, fresh._builders = copy.copy(self._owners), copy.copy(self._builders)
        fresh._verifiers, fresh._codes = copy.copy(self._verifiers), copy.copy(self._codes)
        fresh._voids, fresh._pages, fresh._events = dict(self._voids), dict(self._pages), kept
        return fresh

    def apply(self, event: AnnouncementEvent, number: int, inclusion_block: int = 0) -> None:
        """Take in the next event, of L1 block `number`; `inclusion_block` is that of the entry that it is about.

        Raises `L1BadAnswer` if the inbox cannot have emitted it.
        """
        match event:
            case ActionVoided():
                effective = compute_void_block(number, inclusion_block)
                _require(event.effective_block == effective and self.get_void(event.index) is None, event, number)
                self._voids[event.index] = _Void(number, effective)
            case VoidCancelled():
                _require_cancellable(self.get_void(event.index), event, number)
                del self._voids[event.index]
            case AnnouncementCancelled():
                _require(event.kind < len(ANNOUNCEMENTS), event, number)
                schedule = self._get_schedule(ANNOUNCEMENTS[event.kind])
                _require_cancellable(schedule.newest, event, number)
                schedule.take_back()
            case KeysRegistered():
                self._pages[event.page] = _read_keys(event, number)
            case VerifiersChanged() | BuilderChanged() | CodeAnnounced() | OwnerChanged():
                _require(event.effective_block == number + CHANGE_DELAY_BLOCKS, event, number)
                if self._owners.newest <= number:  # else another owner is announced already, and this never comes
                    self._change(event, number)
            case _:
                assert_never(event)
        self._events.append((number, inclusion_block, event))

    def _get_schedule(self, kind: AnnouncementKind) -> _Schedule[VerifierSet] | _Schedule[bytes]:
        match kind:
            case "verifiers":
                return self._verifiers
            case "builder":
                return self._builders
            case "code":
                return self._codes
            case _:
                assert_never(kind)

    def _resolve(self, event: VerifiersChanged, number: int) -> VerifierSet:
        """The set with the keys of its pages."""
        words = event.set
        verifiers = VerifierSet(words.members, words.quorum, words.kind, words.rules)
        _require(compute_set_id(verifiers) == event.id, event, number)
        try:
            return resolve_set(verifiers, self._pages.get)
        except SettlementError as error:
            raise L1BadAnswer("logs", f"VerifiersChanged in block {number}: {error}") from None

    def _change(self, event: VerifiersChanged | BuilderChanged | CodeAnnounced | OwnerChanged, number: int) -> None:
        effective = event.effective_block
        match event:
            case VerifiersChanged():
                self._verifiers.announce(effective, self._resolve(event, number))
            case BuilderChanged():
                self._builders.announce(effective, event.builder)
            case CodeAnnounced():
                self._codes.announce(effective, event.stf_id)
            case OwnerChanged():
                self._owners.announce(effective, event.owner)
                for kind in ANNOUNCEMENTS:
                    schedule = self._get_schedule(kind)
                    if schedule.newest == effective:  # announced earlier in this very block
                        schedule.take_back()


def _require(holds: bool, event: object, number: int) -> None:
    if not holds:
        raise L1BadAnswer("logs", f"{type(event).__name__} in block {number} is not what the inbox can have emitted")


def _read_keys(event: KeysRegistered, number: int) -> tuple[bytes, ...]:
    """The 96-byte keys of a page; that their secrets are known was for the inbox to verify."""
    raw = event.keys
    _require(0 < len(raw) <= MAX_PAGE_KEYS * CHAIN_KEY_BYTES and len(raw) % CHAIN_KEY_BYTES == 0, event, number)
    try:
        return tuple([compress_chain_key(raw[at : at + CHAIN_KEY_BYTES]) for at in range(0, len(raw), CHAIN_KEY_BYTES)])
    except BadSignature as error:
        raise L1BadAnswer("logs", f"KeysRegistered in block {number}: {error}") from None


def _require_cancellable(pending: int | None, event: AnnouncementCancelled | VoidCancelled, number: int) -> None:
    _require(pending == event.effective_block > number + CANCEL_MARGIN_BLOCKS, event, number)
