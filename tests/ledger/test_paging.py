"""Pages of a map: every entry exactly once at every height, within bounds, while blocks are closed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from kernel_fixtures import Chain, fast_directory
from microrollup.declaration.map import Map
from microrollup.declaration.state import StateField, describe_state
from microrollup.errors import NotRetained, UsageError
from microrollup.ledger import paging
from microrollup.ledger.paging import make_entries_answer, read_page, read_page_request
from microrollup.store.overlays import Overlays
from microrollup.store.retention import Retention
from trial_auction import House
from zoo import zoo

MAPS = ("animals", "tickets", "notes", "guards")


@pytest.fixture
def chain() -> Iterator[Chain]:
    with fast_directory() as directory:
        made = Chain(directory)
        yield made
        made.close()


def get_field(name: str) -> StateField:
    return zoo.state_type.get_field(name)


def list_all(chain: Chain, field: StateField, height: int, limit: int, overlays: Overlays, **how: Any) -> list[Any]:
    """All entries, page by page."""
    found: list[Any] = []
    after = None
    while True:
        request = read_page_request(field, how.get("prefix"), after, limit, reverse=how.get("reverse", False))
        answer = make_entries_answer(field, read_page(chain.ledger.environment, request, height, overlays))
        assert len(answer.entries) <= limit
        assert height == answer.height
        found += [(entry.key, entry.value) for entry in answer.entries]
        if answer.next is None:
            return found
        assert answer.next == answer.entries[-1].key
        after = answer.next


def test_every_entry_once_at_every_height(chain: Chain) -> None:
    """Pages of any size, in both directions, hold what the state held at each height, while blocks are closed."""
    rng, overlays = Random(4), Overlays()
    states: list[dict[str, dict[Any, Any]]] = []

    def remember() -> None:
        app = chain.ledger.state.app
        states.append({name: dict(getattr(app, name).items()) for name in MAPS})

    remember()
    for _ in range(6):
        chain.work(rng, 1)
        remember()
        for height, state in enumerate(states):
            for name in MAPS:
                field = get_field(name)
                wanted = [field.encode_key(key) for key in state[name]]
                for limit, reverse in ((1, False), (3, True), (1000, False)):
                    found = list_all(chain, field, height, limit, overlays, reverse=reverse)
                    keys = [paging.read_key(field, key) for key, _ in found]
                    assert sorted(wanted, reverse=reverse) == keys, (height, name)
                    assert isinstance(getattr(chain.ledger.state.app, name), Map)


def test_prefixes(chain: Chain) -> None:
    """A prefix takes the keys that begin with it, and pages stay within it."""
    chain.work(Random(5), 6)
    field, notes = get_field("notes"), chain.ledger.state.app.notes
    height = chain.ledger.checkpoint.height
    for prefix in (b"1", b"", b"zz"):
        wanted = [f"0x{key.hex()}" for key in notes if key.startswith(prefix)]
        for limit in (1, 1000):
            found = list_all(chain, field, height, limit, Overlays(), prefix=f"0x{prefix.hex()}")
            assert wanted == [key for key, _ in found]


def test_a_composite_prefix_is_leading_components() -> None:
    """It is an array of leading components; more of them than a key has, or of other types, are refused."""
    bids = describe_state(House).get_field("bids")
    assert (7).to_bytes(32, "big") == read_page_request(bids, [7], None).prefix
    assert 64 == len(read_page_request(bids, [7, "9"], None).prefix)
    assert b"" == read_page_request(bids, [], None).prefix
    for prefix in (7, [1, 2, "0x" + "00" * 20, 4], ["x"], [1, -1], [1, 2, "0x00"], {}, [2**64]):
        with pytest.raises(UsageError):
            read_page_request(bids, prefix, None)
    key = [7, 9, "0x" + "11" * 20]
    assert read_page_request(bids, [7], key).after is not None
    with pytest.raises(UsageError, match="does not begin with"):
        read_page_request(bids, [8], key)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("visitors", {}),
        ("tickets", {"prefix": 3}),
        ("tickets", {"after": "x"}),
        ("tickets", {"after": 2**32}),
        ("tickets", {"after": [3]}),
        ("tickets", {"limit": 0}),
        ("tickets", {"limit": 1001}),
        ("notes", {"prefix": "12"}),
        ("notes", {"prefix": ["0x12"]}),
        ("notes", {"prefix": "0x" + "00" * 257}),
        ("notes", {"prefix": "0x12", "after": "0x13"}),
        ("guards", {"prefix": "0x" + "00" * 20}),
    ],
)
def test_refused(name: str, arguments: dict[str, Any]) -> None:
    """What is not a page of the field is refused in words."""
    with pytest.raises(UsageError):
        read_page_request(get_field(name), **{"prefix": None, "after": None, **arguments})


def test_heights(chain: Chain) -> None:
    """A height that never was is refused, and so is one that is no longer kept or that too much differs from."""
    rng = Random(6)
    chain.ledger.retention = Retention(blocks=2, unsettled_blocks=2)
    chain.work(rng, 6)
    tip = chain.ledger.checkpoint.height
    environment, request = chain.ledger.environment, read_page_request(get_field("tickets"), None, None)
    assert tip == read_page(environment, request).height
    with pytest.raises(UsageError):
        read_page(environment, request, tip + 1)
    chain.ledger.sync_tree()
    chain.ledger.flushing.flush()
    chain.work(rng, 6)
    with pytest.raises(NotRetained):
        read_page(environment, request, 0)
    tip = chain.ledger.checkpoint.height
    with pytest.raises(NotRetained, match="too far back"):
        read_page(environment, request, tip - 1, Overlays(max_rows=0))
    assert tip == read_page(environment, request, tip, Overlays(max_rows=0)).height


def test_pages_are_bounded_in_bytes(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends before it is too large, but has one entry at least."""
    chain.work(Random(7), 6)
    monkeypatch.setattr(paging, "MAX_PAGE_BYTES", 1)
    field = get_field("animals")
    page = read_page(chain.ledger.environment, read_page_request(field, None, None))
    assert (1, page.entries[0][0]) == (len(page.entries), page.next)
