"""The settings that say how an inbox on Ethereum is reached, each declared once: options, variables, keys and tables
follow from it, types and defaults from `EthereumPlace`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.errors import UsageError
from microrollup.settlement.ethereum.headers import read_header
from microrollup.settlement.ethereum.http import name_place
from microrollup.settlement.ethereum.options import DA_TAGS, GWEI, MAX_DEPTH, check_depth
from microrollup.settlement.place import EthereumPlace

__all__ = ["L1_SETTINGS", "L1Setting", "show_default"]

_INBOX: Final = re.compile(r"(0x)?([0-9a-fA-F]{40})")
_WEI: Final = re.compile(r"(\d{1,30})( ?gwei)?")
_SECONDS: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(s|m)?")
_MAX_SECRET_BYTES: Final = 8192


class L1Setting(msgspec.Struct, frozen=True):
    """One of them."""

    field: str
    """The member of `EthereumPlace`; `url` stands for `fallbacks` too."""
    name: str
    metavar: str
    read: Callable[[str], Any]
    """From text. Raises `UsageError`."""
    help: str
    is_list: bool = False
    by_line: bool = False
    """Its variable holds one value per line, for values hold blanks."""
    sends: bool = False
    """Only what sends transactions has use for it: it is an option of few commands."""
    show: Callable[[Any], str] = str
    """The value without what may be a key."""

    @property
    def default(self) -> Any:
        """None where there is none."""
        (found,) = [field for field in msgspec.structs.fields(EthereumPlace) if field.name == self.field]
        return None if found.required else found.default


def show_default(setting: L1Setting) -> str:
    """The default in words; empty if there is none."""
    default = setting.default
    if default is None or default == ():
        return ""
    return f"{default:,}".removesuffix(".0").replace(",", "") if isinstance(default, int | float) else str(default)


def _open_secret(text: str) -> str:
    """What a file holds, for `@FILE`: it is not seen in lists of processes, as an option is."""
    if text[:1] != "@":
        return text
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(_MAX_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{text[1:]} cannot be read: {error}") from None


def _read_url(text: str) -> str:
    text = _open_secret(text)
    place = name_place(text)
    if place.partition("://")[0] not in ("http", "https"):
        raise UsageError(f"the JSON-RPC of an L1 node begins with http:// or https://, not {place}")
    return text


def _read_header(text: str) -> str:
    return read_header(_open_secret(text))


def _read_inbox(text: str) -> str:
    found = _INBOX.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not 20 bytes in hex digits")
    return f"0x{found[2].lower()}"


def _read_da(text: str) -> str:
    if text not in DA_TAGS:
        raise UsageError(f"{text!r} is not {' or '.join(DA_TAGS)}")
    return text


def _read_depth(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"{text!r} is not a number of L1 blocks from 1 to {MAX_DEPTH}")
    check_depth(int(text))
    return int(text)


def _read_source(text: str) -> str:
    return text if "://" in text else str(Path(text).absolute())


def _read_directory(text: str) -> str:
    return str(Path(text).absolute())


def _read_seconds(text: str) -> float:
    found = _SECONDS.fullmatch(text)
    seconds = float(found[1]) * (60 if found[2] == "m" else 1) if found else 0.0
    if seconds <= 0:
        raise UsageError(f"{text!r} is not a time such as 36s")
    return seconds


def _read_wei(text: str) -> int:
    found = _WEI.fullmatch(text)
    wei = int(found[1]) * (GWEI if found[2] else 1) if found else 0
    if wei == 0:
        raise UsageError(f"{text!r} is not an amount of wei above 0, nor one as `500 gwei`")
    return wei


def _hide_url(text: str) -> str:
    return name_place(text) if "://" in text else text


def _hide_header(text: str) -> str:
    return f"{text.partition(':')[0]}: ***"


L1_SETTINGS: Final = (
    L1Setting(
        "url",
        "l1-url",
        "URL",
        _read_url,
        "JSON-RPC of an L1 node; repeated: others, which are asked while those before them fail; `@FILE` holds it.",
        is_list=True,
        show=_hide_url,
    ),
    L1Setting("inbox", "inbox", "ADDRESS", _read_inbox, "The rollup's inbox on that L1."),
    L1Setting("da", "da", "|".join(DA_TAGS), _read_da, "Where batches are published."),
    L1Setting(
        "depth",
        "l1-depth",
        "N",
        _read_depth,
        "L1 blocks to stay behind its head: reorgs within them change nothing. Verifiers judge no block that is bound"
        f" to a newer one. 1 to {MAX_DEPTH}.",
    ),
    L1Setting(
        "blobs",
        "blobs",
        "URL|DIR",
        _read_source,
        "Where blobs are found: a beacon API or an archive, several times for several.",
        is_list=True,
        show=_hide_url,
    ),
    L1Setting(
        "headers",
        "l1-header",
        "HEADER",
        _read_header,
        "HTTP header for the first L1 node, as `Authorization: Bearer KEY`; repeatable; `@FILE` holds it.",
        is_list=True,
        by_line=True,
        show=_hide_header,
    ),
    L1Setting(
        "archive",
        "blob-archive",
        "DIR",
        _read_directory,
        "Keep the blobs of batches in this directory [default: `blobs` in the data directory].",
        sends=True,
    ),
    L1Setting(
        "bump_seconds",
        "bump-after",
        "TIME",
        _read_seconds,
        "Send a transaction that is not included for so long again, with a higher fee.",
        sends=True,
    ),
    L1Setting(
        "max_fee_per_gas",
        "max-fee-per-gas",
        "WEI",
        _read_wei,
        "Offer no more for a unit of gas, tip included: `500 gwei`.",
        sends=True,
    ),
    L1Setting(
        "max_priority_fee_per_gas",
        "max-priority-fee-per-gas",
        "WEI",
        _read_wei,
        "Offer no more as a tip for a unit of gas.",
        sends=True,
    ),
    L1Setting(
        "max_fee_per_blob_gas",
        "max-fee-per-blob-gas",
        "WEI",
        _read_wei,
        "Offer no more for a unit of blob gas.",
        sends=True,
    ),
)
"""All of them, in the order of the tables."""
