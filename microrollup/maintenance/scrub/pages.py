"""Every page of LMDB's file, read without LMDB: where each belongs, and that none is in use and free at once.

Reading tables never looks at the list of free pages; were it damaged, the next commit would overwrite pages in use.
Layout: LMDB's `mdb.c` (data format 1), on a little-endian machine of 64 bits, which is what LMDB wrote the file on.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from struct import Struct as StructLayout
from typing import Final

import msgspec

from microrollup.maintenance.scrub.scan import Scan
from microrollup.store.environment import DATA_FILE

__all__ = ["check_pages"]

_PAGE: Final = StructLayout("<QHHHH")
"""Page number, padding, flags, end of the pointers, begin of the nodes."""
_OVERFLOW_COUNT: Final = StructLayout("<I")
_NODE: Final = StructLayout("<HHHH")
"""Low and high half of size or page number, flags (of a branch: more of the number), key size."""
_NUMBER: Final = StructLayout("<Q")
_TREE: Final = StructLayout("<IHHQQQQQ")
"""Padding (page size, in the first tree of a meta page), flags, depth, three page counts, entries, root."""
_META: Final = StructLayout("<IIQQ")
_META_END: Final = StructLayout("<QQ")
"""Last page, transaction id; after the two trees."""

_MAGIC: Final = 0xBEEFC0DE
_BRANCH, _LEAF, _OVERFLOW, _KINDS = 1, 2, 4, 0x4F
_BIG_DATA, _SUB_TREE = 1, 2
_NO_PAGE: Final = 2**64 - 1
_META_PAGES: Final = 2


class _Tree(msgspec.Struct, frozen=True):
    name: str
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


class _Damaged(Exception):
    """A page is not what it must be."""

    def __init__(self, page: int, reason: str) -> None:
        super().__init__(reason)
        self.page = page
        self.reason = reason


class _Meta(msgspec.Struct, frozen=True):
    page_bytes: int
    free: _Tree
    main: _Tree
    last_page: int


def check_pages(scan: Scan) -> None:
    """Walk all trees as of the scan's transaction, then the list of free pages."""
    with (
        (scan.environment.directory / DATA_FILE).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        meta = _find_meta(data, scan.txn.id())
        if meta is None:
            scan.skip("pages: the store was written meanwhile; scrub again, or stop the writer first")
            return
        walk = _Walk(data, meta, scan)
        for tree in (meta.free, meta.main):
            walk.check_tree(tree)
        walk.check_free_pages()
        scan.count("pages", meta.last_page + 1)


def _find_meta(data: mmap.mmap, transaction: int) -> _Meta | None:
    """The meta page that a transaction began with; another transaction may have replaced it since."""
    page_bytes = 0
    for number in range(_META_PAGES):
        start = number * page_bytes + _PAGE.size
        if start + _META.size + 2 * _TREE.size + _META_END.size > len(data):
            continue
        magic, _, _, _ = _META.unpack_from(data, start)
        page_bytes, *_ = _TREE.unpack_from(data, start + _META.size)
        trees = [
            _read_tree(data, start + _META.size + place * _TREE.size, name)
            for place, name in enumerate(("the list of free pages", "the list of tables"))
        ]
        last_page, written = _META_END.unpack_from(data, start + _META.size + 2 * _TREE.size)
        if magic == _MAGIC and written == transaction:
            return _Meta(page_bytes, trees[0], trees[1], last_page)
        if not page_bytes:
            break
    return None


def _read_tree(data: mmap.mmap, start: int, name: str) -> _Tree:
    _, _, _, branch_pages, leaf_pages, overflow_pages, entries, root = _TREE.unpack_from(data, start)
    return _Tree(name, branch_pages, leaf_pages, overflow_pages, entries, root)


class _Walk:
    """Which pages were met."""

    def __init__(self, data: mmap.mmap, meta: _Meta, scan: Scan) -> None:
        self._data = data
        self._scan = scan
        self._page_bytes = meta.page_bytes
        self._last_page = min(meta.last_page, len(data) // max(meta.page_bytes, 1) - 1)
        self._used = bytearray(self._last_page + 1)
        self._done = 0
        self._free: list[tuple[int, int]] = []
        """Page on which it is listed, and free page."""
        if meta.last_page > self._last_page:
            scan.find(DATA_FILE, None, f"cut off: {self._last_page + 1} of {meta.last_page + 1} pages are there")
        self._take(0, _META_PAGES, 0)

    def check_tree(self, tree: _Tree) -> None:
        """Follow one tree, and those inside it."""
        if tree.root == _NO_PAGE:
            return
        counts, entries = {_BRANCH: 0, _LEAF: 0, _OVERFLOW: 0}, 0
        below: list[_Tree] = []
        waiting = [(tree.root, tree.root)]
        try:
            while waiting:
                page, parent = waiting.pop()
                kind, start = self._enter(page, parent)
                counts[kind] += 1
                for node in self._iterate_nodes(page, start):
                    if kind == _BRANCH:
                        waiting.append((self._read_child(node), page))
                        continue
                    entries += 1
                    counts[_OVERFLOW] += self._check_entry(tree, page, node, below)
        except _Damaged as damage:
            self._scan.find(DATA_FILE, f"page {damage.page}", f"{tree.name}: {damage.reason}")
            return
        found = (counts[_BRANCH], counts[_LEAF], counts[_OVERFLOW], entries)
        if found != (tree.branch_pages, tree.leaf_pages, tree.overflow_pages, tree.entries):
            self._scan.find(DATA_FILE, f"page {tree.root}", f"{tree.name}: its counts of pages or entries are wrong")
        for inner in below:
            self.check_tree(inner)

    def check_free_pages(self) -> None:
        """No page that is in use is listed as free, and none twice."""
        for listed_on, page in self._free:
            try:
                self._take(page, 1, listed_on)
            except _Damaged as damage:
                self._scan.find(DATA_FILE, f"page {damage.page}", f"the list of free pages: {damage.reason}")
                return

    def _take(self, first: int, count: int, parent: int) -> None:
        if first + count > self._last_page + 1:
            raise _Damaged(parent, f"leads to page {first}, which does not exist")
        if any(self._used[first : first + count]):
            raise _Damaged(parent, f"leads to page {first}, which is something else already")
        self._used[first : first + count] = b"\1" * count
        self._done += count
        self._scan.report("pages", self._done, self._last_page + 1)

    def _enter(self, page: int, parent: int) -> tuple[int, int]:
        """The kind of a tree's page, and where it begins."""
        self._take(page, 1, parent)
        start = page * self._page_bytes
        number, _, flags, lower, upper = _PAGE.unpack_from(self._data, start)
        kind = flags & _KINDS
        if number != page or kind not in (_BRANCH, _LEAF) or not _PAGE.size <= lower <= upper <= self._page_bytes:
            raise _Damaged(page, "its head is damaged")
        return kind, start

    def _iterate_nodes(self, page: int, start: int) -> Iterator[int]:
        """Where a page's nodes begin."""
        _, _, _, lower, upper = _PAGE.unpack_from(self._data, start)
        count = (lower - _PAGE.size) // 2
        for place in StructLayout(f"<{count}H").unpack_from(self._data, start + _PAGE.size):
            if not upper <= place <= self._page_bytes - _NODE.size:
                raise _Damaged(page, "a pointer to an entry is damaged")
            yield start + place

    def _read_child(self, node: int) -> int:
        low, high, more, _ = _NODE.unpack_from(self._data, node)
        return int(low | high << 16 | more << 32)

    def _check_entry(self, tree: _Tree, page: int, node: int, below: list[_Tree]) -> int:
        """Look at an entry of a leaf page: how many pages it has of its own; trees in it are added to `below`."""
        low, high, flags, key_bytes = _NODE.unpack_from(self._data, node)
        size, value = low | high << 16, node + _NODE.size + key_bytes
        pages = 0
        end = value + (_NUMBER.size if flags & _BIG_DATA else size)
        if end > (page + 1) * self._page_bytes or flags & ~(_BIG_DATA | _SUB_TREE):
            raise _Damaged(page, "an entry is damaged")
        if flags & _BIG_DATA:
            (first,) = _NUMBER.unpack_from(self._data, value)
            pages = (_PAGE.size - 1 + size) // self._page_bytes + 1
            self._take(first, pages, page)
            value = first * self._page_bytes + _PAGE.size
            number, _, kind, *_ = _PAGE.unpack_from(self._data, value - _PAGE.size)
            (noted,) = _OVERFLOW_COUNT.unpack_from(self._data, value - _OVERFLOW_COUNT.size)
            if (number, kind & _KINDS, noted) != (first, _OVERFLOW, pages):
                raise _Damaged(first, "the head of a long value is damaged")
        if flags & _SUB_TREE:
            if size != _TREE.size:
                raise _Damaged(page, "the entry of a table is damaged")
            name = bytes(self._data[node + _NODE.size : node + _NODE.size + key_bytes]).decode(errors="replace")
            below.append(_read_tree(self._data, value, name))
        elif tree.name == "the list of free pages":
            self._note_free_pages(page, value, size)
        return pages

    def _note_free_pages(self, page: int, value: int, size: int) -> None:
        (count,) = _NUMBER.unpack_from(self._data, value)
        if size < _NUMBER.size * (1 + count):
            raise _Damaged(page, "an entry is shorter than it says")
        numbers = StructLayout(f"<{count}Q").unpack_from(self._data, value + _NUMBER.size)
        self._free.extend((page, number) for number in numbers)
