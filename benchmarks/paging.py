"""Row: all accounts of the large store, page by page, as a node answers `rollup_getEntries`, and the memory for it."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.measure import read_anonymous_mb
from benchmarks.report import Row, make_size_row
from microrollup.codec.document import to_document
from microrollup.ledger.paging import MAX_PAGE_ENTRIES, make_entries_answer, read_page, read_page_request
from microrollup.store.overlays import Overlays

__all__ = ["measure"]

_FIELD: Final = app.state_type.fields[0]
_BACK: Final = 20
"""Heights back: some 60,000 rows differ."""

_WARM_PAGES: Final = 10
"""Pages after which memory is taken as what paging needs."""


def measure(bench: Bench) -> list[Row]:
    """At the newest height, and at an old one."""
    with bench.store.open() as ledger:
        tip = ledger.checkpoint.height
        old = max(1, tip - min(bench.sizes.back, _BACK))
        bench.say(f"reading all accounts page by page at heights {tip} and {old}")
        return [
            _measure(ledger.environment, tip, "newest height"),
            _measure(ledger.environment, old, f"{tip - old} heights back"),
        ]


def _measure(environment: Any, height: int, what: str) -> Row:
    overlays = Overlays()
    entries = pages = size = 0
    warm = peak = 0.0
    after: Any = None
    started, busy = time.perf_counter(), time.process_time()
    while True:
        page = read_page(environment, read_page_request(_FIELD, None, after), height, overlays)
        document = to_document(make_entries_answer(_FIELD, page))
        size += len(msgspec.json.encode(document))
        pages += 1
        entries += len(page.entries)
        if pages % _WARM_PAGES == 0 or page.next is None:
            peak = max(peak, read_anonymous_mb())
            warm = warm or peak
        after = document["next"]
        if after is None:
            break
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    note = (
        f"{pages / seconds:.0f} pages/s of {MAX_PAGE_ENTRIES:,}, {entries:,} entries, {size / 1e6:.0f} MB of JSON;"
        f" RssAnon {warm:.0f} MB after {min(pages, _WARM_PAGES)} pages,"
        f" {peak:.0f} MB at most"
    )
    return make_size_row(
        "pages",
        f"a page of a map, {what}",
        1e3 * seconds / pages,
        "ms",
        accounts=f"{entries:,}",
        cpu={"this process": 1e6 * busy / pages},
        note=note,
    )
