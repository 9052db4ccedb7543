"""State rows from anywhere: which field a row is of, whether it is well formed, and what the roots commit to of it."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import NONCES, StateField
from microrollup.errors import DecodeError, ValueOutOfBounds

__all__ = ["MAX_ROW_KEY_BYTES", "StateRow", "StateRowReader"]

MAX_ROW_KEY_BYTES: Final = 258
"""Row prefix of 2 bytes and an encoded key of at most 256."""

_NONCE_BYTES: Final = 8


class StateRow(msgspec.Struct, frozen=True, gc=False):
    """A row that is what the writer would have written."""

    place: int
    """Index of its field in the state; the number of fields for nonces."""
    encoded_key: bytes
    leaf: bytes
    """The value bytes that the state root or the metadata root commits to."""


class StateRowReader:
    """Reads rows of one rollup's state, nonces included."""

    def __init__(self, rollup: MicroRollup) -> None:
        self.fields: Final[tuple[StateField, ...]] = (*rollup.state_type.fields, NONCES)
        self._places = {field.row_prefix: place for place, field in enumerate(self.fields)}

    def read(self, row_key: bytes, raw: bytes) -> StateRow:
        """Check that key and value are the canonical encodings of something that the field can hold.

        Raises `DecodeError`.
        """
        place = self._places.get(row_key[:2])
        if place is None or len(row_key) > MAX_ROW_KEY_BYTES:
            raise DecodeError("state row", f"0x{row_key[:40].hex()} is a key of no field")
        field, encoded_key = self.fields[place], row_key[2:]
        if field is NONCES:
            _check_nonce(encoded_key, raw)
            return StateRow(place, encoded_key, raw)
        what = f"state row of {field.name}"
        try:
            if field.encode_key(field.decode_key(encoded_key)) != encoded_key:
                raise DecodeError(what, "its key is not canonical")
            value = field.decode_row(raw)
            field.check(value)
            return StateRow(place, encoded_key, field.encode_leaf(value))
        except (DecodeError, ValueOutOfBounds) as error:
            raise DecodeError(what, error.reason) from None
        except Exception as error:  # an app's own encoder, handed a value that its STFs never made
            raise DecodeError(what, f"its leaf cannot be encoded: {error!r}") from error


def _check_nonce(sender: bytes, raw: bytes) -> None:
    if len(sender) != 20 or len(raw) != _NONCE_BYTES or raw == bytes(_NONCE_BYTES):
        raise DecodeError("state row of nonces", "not a 20-byte sender with a nonce above 0")
