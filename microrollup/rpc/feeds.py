"""What a subscription reads: items of a topic from a cursor on, written once for all who read them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, assert_never

import msgspec

from microrollup.codec.document import to_document
from microrollup.errors import UsageError
from microrollup.node.confirmations import ConfirmationEvent
from microrollup.node.open_entries import LoggedAction
from microrollup.rpc.method import Api
from microrollup.rpc.params import SubscribeParams

__all__ = ["PAGE_TOKENS", "Caches", "Feed", "Item", "make_feed"]

PAGE: Final = 256
"""Items looked at in one step."""

PAGE_TOKENS: Final = 25
"""What a page from the store counts as, in calls, against the rate of a client that goes through history."""

_MAX_CACHED: Final = 4_096
_MAX_CACHED_BYTES: Final = 32 << 20
"""Of a topic; events alone may take 16 KiB per action, and several times that as JSON."""


class Item(msgspec.Struct, frozen=True):
    """One notification: the cursor that it carries, and its result as JSON."""

    cursor: int
    result: msgspec.Raw


class Feed(Protocol):
    """A place in a topic."""

    @property
    def cursor(self) -> int:
        """From where a new subscription would go on."""
        ...

    @property
    def lag(self) -> int:
        """How many items of the topic are ahead."""
        ...

    def read(self) -> list[Item] | None:
        """The next items without waiting for the disk; None if `load` has to be called in a thread."""

    def load(self) -> list[Item]:
        """The next items, from the store. Raises what the node raises for what is not kept."""
        ...


class _Cache:
    """JSON of items by number and the level that it tells, shared by all feeds of a topic, whatever thread reads."""

    def __init__(self) -> None:
        self._raw: dict[tuple[int, str], msgspec.Raw] = {}
        self._size = 0
        self._lock = threading.Lock()

    def get(self, number: int, level: str, describe: Callable[[], msgspec.Struct]) -> msgspec.Raw:
        key = number, level
        raw = self._raw.get(key)
        if raw is None:
            raw = _encode(describe())
            with self._lock:
                self._size += len(bytes(raw)) - len(bytes(self._raw.pop(key, b"")))
                self._raw[key] = raw
                while len(self._raw) > _MAX_CACHED or self._size > _MAX_CACHED_BYTES:
                    self._size -= len(bytes(self._raw.pop(next(iter(self._raw)))))
        return raw


class Caches:
    """The caches of one server."""

    def __init__(self) -> None:
        self.blocks = _Cache()
        self.receipts = _Cache()


class _BlockFeed:
    def __init__(self, api: Api, caches: Caches, start: int | None) -> None:
        self._api = api
        self._cache = caches.blocks
        self.cursor = api.node.blocks.next if start is None else start

    @property
    def lag(self) -> int:
        return self._api.node.blocks.next - self.cursor

    def read(self) -> list[Item] | None:
        headers = self._api.node.blocks.read(self.cursor, PAGE)
        return None if headers is None else self._take(headers)

    def load(self) -> list[Item]:
        return self._take(self._api.node.read_headers(self.cursor, PAGE))

    def _take(self, headers: list[Any]) -> list[Item]:
        items = []
        for header in headers:
            level = self._api.node.confirmations.get_level(header.height)
            raw = self._cache.get(header.height, level, partial(self._api.views.block_news, header))
            items.append(Item(header.height, raw))
            self.cursor = header.height + 1
        return items


class _ReceiptFeed:
    """Receipts, or events, of all senders or of one."""

    def __init__(self, api: Api, caches: Caches, params: SubscribeParams) -> None:
        self._api = api
        self._cache = caches.receipts
        wanted = params.filter
        self._sender = None if wanted is None or wanted.sender is None else bytes.fromhex(wanted.sender[2:])
        self._name = None if wanted is None else wanted.name
        self._events = params.topic == "events"
        self.cursor = api.node.receipts.next if params.start is None else params.start

    @property
    def lag(self) -> int:
        return self._api.node.receipts.next - self.cursor

    def read(self) -> list[Item] | None:
        actions = self._api.node.receipts.read(self.cursor, PAGE)
        return None if actions is None else self._take(actions)

    def load(self) -> list[Item]:
        return self._take(self._api.node.read_receipts(self.cursor, PAGE))

    def _take(self, actions: list[LoggedAction]) -> list[Item]:
        items: list[Item] = []
        for action in actions:
            if self._sender is None or action.sender == self._sender:
                if self._events:
                    items += self._take_events(action)
                elif self._name is None or any(name == self._name for name, _ in action.receipt.events):
                    level = self._api.views.level(action)
                    raw = self._cache.get(action.seq, level, partial(self._api.views.receipt, action))
                    items.append(Item(action.seq, raw))
            self.cursor = action.seq + 1
        return items

    def _take_events(self, action: LoggedAction) -> list[Item]:
        if not action.receipt.events:
            return []
        return [
            Item(action.seq, _encode(event))
            for event in self._api.views.events(action)
            if self._name is None or event.name == self._name
        ]


class _ConfirmationFeed:
    """Levels of heights. From a height on: first the level that each has reached, then what is announced.

    What is announced carries the lowest height whose level may still change, so that who goes on there misses nothing.
    """

    def __init__(self, api: Api, start: int | None) -> None:
        self._api = api
        self._confirmations = api.node.confirmations
        self._next = api.node.announcements.next
        self._replay = start
        self.cursor = self._confirmations.settled + 1 if start is None else start

    @property
    def lag(self) -> int:
        return self._api.node.announcements.next - self._next

    def read(self) -> list[Item] | None:
        if self._replay is not None:
            return self._read_levels(self._replay)
        announced = self._api.node.announcements.read(self._next, PAGE)
        if announced is None:  # too far behind: begin again with what each height has reached
            self._next = self._api.node.announcements.next
            self._replay = self.cursor
            return self._read_levels(self.cursor)
        self._next += len(announced)
        return [self._make(each) for each in announced]

    def load(self) -> list[Item]:
        return self.read() or []

    def _read_levels(self, first: int) -> list[Item]:
        latest, settled = self._confirmations.latest, self._confirmations.settled
        heights = range(first, min(latest, first + PAGE - 1) + 1)
        items = [
            self._make(ConfirmationEvent(height, self._confirmations.get_level(height), min(height, settled + 1)))
            for height in heights
        ]
        self._replay = None if first + PAGE > latest else first + PAGE
        return items or self.read() or []

    def _make(self, confirmation: ConfirmationEvent) -> Item:
        self.cursor = confirmation.resume
        result = self._api.views.confirmed(confirmation.height, confirmation.level, None)
        return Item(confirmation.resume, _encode(result))


def _encode(news: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(to_document(news)))


def _check_filter(api: Api, params: SubscribeParams) -> None:
    """Refuse what would wait for ever: an event that the app does not have, and filters of topics that have none."""
    wanted, names = params.filter, api.views.event_reader.names
    if wanted is None:
        return
    if params.topic not in ("receipts", "events"):
        raise UsageError(f"{params.topic} have no filter")
    if wanted.name is not None and wanted.name not in names:
        raise UsageError(f"the app has no event {wanted.name!r}; it has {', '.join(names) or 'none'}")


def make_feed(api: Api, caches: Caches, params: SubscribeParams) -> Feed:
    """The feed of a subscription. Raises `UsageError` for a filter that nothing can pass."""
    _check_filter(api, params)
    match params.topic:
        case "blocks":
            return _BlockFeed(api, caches, params.start)
        case "confirmations":
            return _ConfirmationFeed(api, params.start)
        case "receipts" | "events":
            return _ReceiptFeed(api, caches, params)
        case _:
            assert_never(params.topic)
