"""Methods of builtin classes as metered code calls them: (class, name) -> a function of the value and the arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from microrollup.guard.functions import Functions
from microrollup.guard.steps import Meter
from microrollup.guard.walking import TEXTS, Walker

__all__ = ["make_methods"]

_Method = Callable[..., Any]

_SCANNING: Final = (
    "count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "rfind", "rindex", "rpartition",
    "startswith",
)  # fmt: skip
"""Methods of text and bytes that read the value, at most `_SEARCHED` times, and give parts of it."""

_STRIPPING: Final = ("strip", "lstrip", "rstrip")
_ASCII_ONLY: Final = (
    "capitalize", "isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable",
    "isspace", "isupper", "lower", "title", "upper",
)  # fmt: skip
_PADDING: Final = ("center", "ljust", "rjust", "zfill")
_SEARCHED: Final = 128


class _Methods:
    def __init__(self, meter: Meter, walker: Walker, functions: Functions) -> None:
        self.meter = meter
        self.walker = walker
        self.functions = functions
        self.table: dict[tuple[type, str], _Method] = {}

    def add_texts(self, kind: type) -> None:
        """Methods that text and bytes share. Bytes know no Unicode tables."""
        meter, texts = self.meter, self.functions.texts

        def make(name: str, charge: Callable[..., None]) -> _Method:
            function = getattr(kind, name)

            def method(value: Any, *arguments: Any, **named: Any) -> Any:
                charge(value, *arguments)
                return function(value, *arguments, **named)

            return method

        def scan(value: Any, *arguments: Any) -> None:
            wanted = arguments[0] if arguments else b""
            each: tuple[Any, ...] = wanted if type(wanted) is tuple else (wanted,)
            size = sum([_measure(part) for part in each])
            meter.charge(1 + len(each) + len(value) * max(1, min(size, _SEARCHED)) // 64)

        def check_ascii(value: Any, *_: Any) -> None:
            meter.charge(1 + len(value) // 64)
            if kind is str:
                texts.require_ascii(value)

        def strip(value: Any, characters: Any = None) -> None:
            check_ascii(value) if characters is None else scan(value, characters)

        def pad(value: Any, width: int, *_: Any) -> None:
            meter.check_bytes(width)
            check_ascii(value)
            meter.charge(max(width, 0) // 64)

        def replace(value: Any, old: Any, new: Any, *_: Any) -> None:
            scan(value, old)
            most = len(value) // max(1, len(old)) + 1
            size = len(value) + most * max(0, len(new) - len(old)) + len(new)
            meter.check_bytes(size)
            meter.charge(size // 64)

        def split(value: Any, separator: Any = None, *_: Any) -> None:
            check_ascii(value) if separator is None else scan(value, separator)
            meter.charge(len(value) // 8)
            meter.check_entries(len(value) // 2)

        def join(value: Any, values: Any) -> Any:
            parts = self.walker.take(values)
            size = sum([len(part) for part in parts]) + len(value) * len(parts)
            meter.charge(1 + size // 64)
            meter.check_bytes(size)
            return value.join(parts)

        for name in _SCANNING:
            self.table[kind, name] = make(name, scan)
        for name in _STRIPPING:
            self.table[kind, name] = make(name, strip)
        for name in _ASCII_ONLY:
            if hasattr(kind, name) and (kind is str or name not in ("isdecimal", "isidentifier", "isprintable")):
                self.table[kind, name] = make(name, check_ascii)
        for name in _PADDING:
            self.table[kind, name] = make(name, pad)
        for name in ("split", "rsplit"):
            self.table[kind, name] = make(name, split)
        self.table[kind, "replace"] = make("replace", replace)
        self.table[kind, "join"] = join

    def add_conversions(self) -> None:
        """Between text, bytes and integers."""
        meter = self.meter

        def encode(value: str, encoding: str = "utf-8") -> bytes:
            meter.charge(1 + len(value) // 32)
            _check_encoding(encoding)
            meter.check_bytes(4 * len(value))
            return value.encode(encoding)

        def decode(value: bytes, encoding: str = "utf-8") -> str:
            meter.charge(1 + len(value) // 32)
            _check_encoding(encoding)
            return value.decode(encoding)

        def to_hex(value: bytes) -> str:
            meter.charge(1 + len(value) // 32)
            meter.check_bytes(2 * len(value))
            return value.hex()

        def from_hex(_: type, text: str) -> bytes:
            meter.charge(1 + len(text) // 64)
            return bytes.fromhex(text)

        def is_ascii(value: Any) -> bool:
            meter.charge(1 + len(value) // 64)
            return bool(value.isascii())

        def to_bytes(value: int, length: int = 1, byteorder: Any = "big", *, signed: bool = False) -> bytes:
            meter.check_bytes(length)
            meter.charge(1 + max(length, 0) // 64)
            return value.to_bytes(length, byteorder, signed=signed)

        def from_bytes(_: type, raw: Any, byteorder: Any = "big", *, signed: bool = False) -> int:
            if type(raw) is not bytes:
                raise TypeError("an integer is read from bytes")
            meter.check_bits(8 * len(raw))
            meter.charge(1 + len(raw) // 64)
            return int.from_bytes(raw, byteorder, signed=signed)

        def count_bits(name: str) -> _Method:
            def count(value: int) -> Any:
                meter.charge(1 + value.bit_length() // 64)
                return getattr(value, name)()

            return count

        self.table |= {
            (str, "encode"): encode, (bytes, "decode"): decode, (bytes, "hex"): to_hex, (str, "isascii"): is_ascii,
            (bytes, "isascii"): is_ascii, (int, "to_bytes"): to_bytes, (bool, "to_bytes"): to_bytes,
            (int, "bit_length"): count_bits("bit_length"), (int, "bit_count"): count_bits("bit_count"),
        }  # fmt: skip
        self.class_methods: dict[tuple[type, str], _Method] = {
            (bytes, "fromhex"): from_hex, (int, "from_bytes"): from_bytes, (dict, "fromkeys"): self._from_keys,
        }  # fmt: skip

    def _from_keys(self, _: type, keys: Any, value: Any = None) -> dict[Any, Any]:
        return dict.fromkeys(self._hashed(self.walker.take(keys)), value)

    def _hashed(self, keys: list[Any]) -> list[Any]:
        for key in keys:
            self.walker.charge_hash(key)
        return keys

    def add_lists(self) -> None:
        """Of lists and tuples."""
        meter, walker = self.meter, self.walker

        def moving(name: str) -> _Method:
            function = getattr(list, name)

            def method(value: list[Any], *arguments: Any) -> Any:
                meter.charge(1 + (0 if name == "pop" and not arguments else len(value) // 8))
                meter.check_entries(len(value) + 1)
                return function(value, *arguments)

            return method

        def append(value: list[Any], entry: Any) -> None:
            meter.charge()
            meter.check_entries(len(value) + 1)
            value.append(entry)

        def extend(value: list[Any], entries: Any) -> None:
            more = walker.take(entries)
            meter.check_entries(len(value) + len(more))
            value.extend(more)

        def search(name: str) -> _Method:
            def method(value: Any, wanted: Any, *arguments: Any) -> Any:
                meter.charge()
                walker.charge_search(wanted, value)
                return getattr(value, name)(wanted, *arguments)

            return method

        def sort(value: list[Any], *, key: Any = None, reverse: bool = False) -> None:
            value[:] = self.functions.sorted(value, key=key, reverse=reverse)

        for name in ("clear", "copy", "insert", "pop", "reverse"):
            self.table[list, name] = moving(name)
        for name in ("count", "index"):
            self.table[list, name] = self.table[tuple, name] = search(name)
        self.table |= {
            (list, "append"): append,
            (list, "extend"): extend,
            (list, "remove"): search("remove"),
            (list, "sort"): sort,
        }

    def add_dicts(self) -> None:
        """Of dicts."""
        meter, walker = self.meter, self.walker

        def keyed(name: str) -> _Method:
            function = getattr(dict, name)

            def method(value: dict[Any, Any], key: Any, *arguments: Any) -> Any:
                meter.charge()
                walker.charge_hash(key)
                meter.check_entries(len(value))
                return function(value, key, *arguments)

            return method

        def whole(name: str) -> _Method:
            function = getattr(dict, name)

            def method(value: dict[Any, Any]) -> Any:
                meter.charge(1 + (len(value) // 8 if name in ("copy", "clear") else 0))
                return function(value)

            return method

        def update(value: dict[Any, Any], other: Any = (), **more: Any) -> None:
            made = self.functions.make_table()[dict](other, **more)
            meter.check_entries(len(value) + len(made))
            value.update(made)

        for name in ("get", "pop", "setdefault"):
            self.table[dict, name] = keyed(name)
        for name in ("clear", "copy", "items", "keys", "popitem", "values"):
            self.table[dict, name] = whole(name)
        self.table[dict, "update"] = update


def _measure(part: Any) -> int:
    return len(part) if type(part) in TEXTS else 1


def _check_encoding(encoding: str) -> None:
    if encoding not in ("utf-8", "ascii"):
        raise ValueError("texts are encoded as utf-8 or ascii")


def make_methods(
    meter: Meter, walker: Walker, functions: Functions
) -> tuple[dict[tuple[type, str], _Method], dict[tuple[type, str], _Method]]:
    """Methods of instances, and those of classes as in `int.from_bytes`."""
    methods = _Methods(meter, walker, functions)
    methods.add_texts(str)
    methods.add_texts(bytes)
    methods.add_conversions()
    methods.add_lists()
    methods.add_dicts()
    return methods.table, methods.class_methods
