"""Headers and seals as plain JSON objects, as RPC answers and receipt files hold them, and the way back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.chain.block import EMPTY_SEAL, Header
from microrollup.chain.record import Seal
from microrollup.codec.document import to_document
from microrollup.errors import DecodeError
from microrollup.primitives import Bytes, Uint64

__all__ = ["SealForm", "header_to_json", "make_seal_form", "read_seal_form"]

_MAX_INFO_BYTES: Final = 256


class SealForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of a seal."""

    round: Uint64
    signature: Bytes
    info: str


def header_to_json(header: Header) -> dict[str, Any]:
    """The fourteen words by their camelCase names."""
    return to_document(header)


def make_seal_form(seal: Seal) -> SealForm:
    """Round, signature and information of a seal."""
    return SealForm(seal.round, seal.signature, seal.info)


def read_seal_form(form: SealForm) -> Seal:
    """The seal of its form; the signature is not looked at. Raises `DecodeError`."""
    seal = Seal(form.round, form.signature, form.info)
    if seal == EMPTY_SEAL:  # of a based rollup
        return seal
    if len(form.signature) != 65 or len(form.info.encode()) > _MAX_INFO_BYTES:
        raise DecodeError("seal", f"a seal has 65 bytes of signature and at most {_MAX_INFO_BYTES} of information")
    return seal
