"""Headers and seals as plain JSON objects, as RPC answers and receipt files hold them, and the strict way back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.block import Header
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.schema import describe_struct
from microrollup.errors import DecodeError, RefusedError
from microrollup.primitives import Bytes
from microrollup.record import Seal

__all__ = ["header_from_json", "header_to_json", "seal_from_json", "seal_to_json"]

_MAX_INFO_BYTES: Final = 256


class SealForm(msgspec.Struct, frozen=True):
    """What the JSON of a seal holds: `{"signature": "0x…", "info": "…"}`."""

    signature: Bytes
    info: str


_HEADER: Final = describe_struct(Header, where="event")
_SEAL: Final = describe_struct(SealForm, where="event")
_read_header: Final = compile_json_reader(_HEADER, "header")
_read_seal: Final = compile_json_reader(_SEAL, "seal")


def header_to_json(header: Header) -> dict[str, Any]:
    """The fourteen words by their camelCase names."""
    document: dict[str, Any] = to_json_value(_HEADER, header)
    return document


def header_from_json(document: Any) -> Header:
    """The header of an object with exactly these members. Raises `DecodeError`."""
    try:
        header: Header = _read_header(document)
    except RefusedError as error:
        raise DecodeError("header", error.detail) from None
    return header


def seal_to_json(seal: Seal) -> dict[str, Any]:
    """Signature and information of a seal."""
    document: dict[str, Any] = to_json_value(_SEAL, SealForm(seal.signature, seal.info))
    return document


def seal_from_json(document: Any) -> Seal:
    """The seal of such an object; the signature is not looked at. Raises `DecodeError`."""
    try:
        form: SealForm = _read_seal(document)
    except RefusedError as error:
        raise DecodeError("seal", error.detail) from None
    if len(form.signature) != 65 or len(form.info.encode()) > _MAX_INFO_BYTES:
        raise DecodeError("seal", f"a seal has 65 bytes of signature and at most {_MAX_INFO_BYTES} of information")
    return Seal(form.signature, form.info)
