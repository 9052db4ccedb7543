"""Texts made of values, and numbers read from text: charged by what is read and written, ASCII where tables decide."""

from __future__ import annotations

from typing import Any, Final

from microrollup.guard.steps import MAX_INT_BITS, Meter

__all__ = ["Texts"]

_ASCII_SPACE: Final = " \t\n\r\f\v"


class Texts:
    """What f-strings, `str`, `repr` and `int` do, for one meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def show(self, value: Any, conversion: int = -1, spec: str = "") -> str:
        """One part of an f-string: an integer, a text, bytes, a truth value or None. Raises `TypeError` for others."""
        kind = type(value)
        if kind is int:
            self.charge_digits(value.bit_length())
        elif kind is str:
            self._meter.charge(1 + len(value) // 64)
            if conversion in (ord("r"), ord("a")):
                self.require_ascii(value)
        elif kind is bytes:
            self._meter.charge(1 + len(value) // 16)
            self._meter.check_bytes(4 * len(value) + 3)
        elif kind is not bool and value is not None:
            self._meter.charge()
            raise TypeError(f"a {kind.__name__} has no text in a state transition function")
        if conversion in (ord("r"), ord("a")):
            value = repr(value)
        elif conversion == ord("s") or kind is bytes or value is None:
            value = str(value)
        return format(value, spec)

    def join(self, *parts: str) -> str:
        """An f-string of its parts."""
        size = sum(map(len, parts))
        self._meter.charge(1 + size // 64)
        self._meter.check_bytes(size)
        return "".join(parts)

    def charge_digits(self, bits: int) -> None:
        """Digits to or from an integer of so many bits: quadratic in its words."""
        self._meter.check_bits(bits)
        self._meter.charge(1 + (bits // 64) ** 2)

    def require_ascii(self, text: str) -> None:
        """Raises `ValueError` for a text whose treatment depends on Unicode's tables, which differ between minors."""
        if not text.isascii():
            raise ValueError("this is done with ASCII text only")

    def to_str(self, *values: Any) -> str:
        """`str(value)`; `str(raw, "utf-8")` is `raw.decode()`."""
        if len(values) == 1:
            return self.show(values[0], ord("s"))
        if values:
            raise TypeError("write raw.decode()")
        return ""

    def to_repr(self, value: Any) -> str:
        """`repr(value)`."""
        return self.show(value, ord("r"))

    def to_int(self, value: Any = 0, base: int | None = None) -> int:
        """`int(value)` of an integer, or of ASCII digits."""
        if type(value) in (int, bool) and base is None:
            self._meter.charge()
            return int(value)
        if type(value) not in (str, bytes):
            raise TypeError(f"an integer is not made of {type(value).__name__}")
        if len(value) > MAX_INT_BITS + 3:
            self._meter.stop("size")
        text = value if type(value) is str else value.decode("ascii")
        self.require_ascii(text)
        self.charge_digits(min(len(text) * 4, MAX_INT_BITS))
        number = int(text.strip(_ASCII_SPACE), 10 if base is None else base)
        self._meter.check_bits(number.bit_length())
        return number

    def to_hex(self, value: int) -> str:
        """`hex(value)`."""
        return self._spell(value, hex)

    def to_bin(self, value: int) -> str:
        """`bin(value)`."""
        return self._spell(value, bin)

    def to_oct(self, value: int) -> str:
        """`oct(value)`."""
        return self._spell(value, oct)

    def _spell(self, value: int, spell: Any) -> str:
        self._meter.charge(1 + value.bit_length() // 64)
        return str(spell(value))

    def to_chr(self, value: int) -> str:
        """`chr(value)`."""
        self._meter.charge()
        return chr(value)

    def to_ord(self, value: Any) -> int:
        """`ord(value)`."""
        self._meter.charge()
        return ord(value)
