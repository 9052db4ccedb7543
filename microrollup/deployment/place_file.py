"""Where a data directory's rollup settles: what was named, setting by setting, or the local settlement in it.

The first of these that says something of a setting counts: option, environment, `microrollup.toml`, `deployed.json`,
which `microrollup deploy` (or a first start with an inbox named) wrote, default. Releases before had one file,
`l1.json`: opening the directory for writing moves what it says into `microrollup.toml`, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.deployment.l1_settings import L1_SETTINGS, L1Setting
from microrollup.deployment.settings_file import (
    SETTINGS_FILE,
    add_settings,
    name_variable,
    read_settings,
    read_variable,
    write_secretly,
)
from microrollup.errors import StoreFormat, UsageError
from microrollup.settlement.place import EthereumPlace, L1Place, LocalPlace

__all__ = [
    "ResolvedPlace",
    "find_place",
    "has_place",
    "keep_place",
    "local_place",
    "migrate_place",
    "place_path",
    "resolve_place",
]

_FILE: Final = "deployed.json"
"""In a data directory: what was named when its rollup was deployed, unless it settles in the directory beside it."""

_OLD_FILE: Final = "l1.json"


class ResolvedPlace(msgspec.Struct, frozen=True):
    """An inbox on Ethereum if there is one, and where each of its settings comes from, by the settings' names."""

    place: EthereumPlace | None
    values: dict[str, Any]
    sources: dict[str, str]
    unused: list[str]
    """Without an inbox: settings that are set all the same, and where."""


def local_place(directory: Path) -> LocalPlace:
    """The local settlement in a directory."""
    return LocalPlace(str(directory.absolute()))


def place_path(directory: Path) -> Path:
    """Where a data directory says with which inbox it was deployed."""
    return directory / _FILE


def has_place(directory: Path) -> bool:
    """Whether an inbox is written down for a directory."""
    return place_path(directory).exists() or (directory / _OLD_FILE).exists()


def find_place(directory: Path, given: L1Place | None) -> L1Place:
    """What was named as a whole, or what settings say, or the local settlement. Raises `StoreFormat`, `UsageError`."""
    if given is not None:
        return given
    return resolve_place(directory, {}).place or local_place(directory / "l1")


def resolve_place(
    directory: Path | None, given: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> ResolvedPlace:
    """Each setting from the first source that has it; `given` are the options' values, by the settings' names.

    Raises `StoreFormat` for a damaged file, `UsageError` for a wrong value, which names its source, or for an
    inbox without an L1 node or the other way round.
    """
    environ = os.environ if environ is None else environ
    written = {} if directory is None else read_settings(directory)
    deployed = {} if directory is None else _read_deployed(directory)
    values, sources = {}, {}
    for setting in L1_SETTINGS:
        texts, source = read_variable(setting.name, environ, is_list=setting.is_list, by_line=setting.by_line), ""
        if setting.name in given:
            value, source = given[setting.name], "option"
        elif texts is not None:
            source = name_variable(setting.name)
            value = read_texts(setting, texts, source)
        elif setting.name in written:
            source = SETTINGS_FILE
            value = read_texts(setting, written[setting.name], source)
        elif setting.name in deployed:
            value, source = deployed[setting.name]
        else:
            value, source = setting.default, "default"
        values[setting.name], sources[setting.name] = value, source
    if values["l1-url"] and values["inbox"]:
        return ResolvedPlace(_make_place(values), values, sources, [])
    if (directory is not None and values["inbox"]) or given.get("inbox") or given.get("l1-url"):
        missing = "its address, --inbox ADDRESS" if values["l1-url"] else "the URL of an L1 node, --l1-url URL"
        raise UsageError(f"an inbox on Ethereum is named by two settings, and one is missing: {missing}")
    unused = [f"{name} ({source})" for name, source in sources.items() if source != "default"]
    return ResolvedPlace(None, values, sources, unused)


def read_texts(setting: L1Setting, texts: tuple[str, ...], source: str) -> Any:
    """The value of the texts that a source has. Raises `UsageError`, which names the source."""
    if not setting.is_list and len(texts) != 1:
        raise UsageError(f"`{setting.name}` in {source} is one value, not a list")
    try:
        values = tuple([setting.read(text) for text in texts])
    except UsageError as error:
        raise UsageError(f"`{setting.name}` in {source}: {error}") from None
    return values if setting.is_list else values[0]


def _make_place(values: Mapping[str, Any]) -> EthereumPlace:
    members = {setting.field: values[setting.name] for setting in L1_SETTINGS}
    url, *fallbacks = values["l1-url"]
    return EthereumPlace(**{**members, "url": url, "fallbacks": tuple(fallbacks)})


def _read_deployed(directory: Path) -> dict[str, tuple[Any, str]]:
    """What the place file has beside defaults: setting -> value, and the file's name."""
    for name in (_FILE, _OLD_FILE):
        place = _read_file(directory / name)
        if place is not None:
            return {setting: (value, name) for setting, value in _list_values(place).items()}
    return {}


def _read_file(path: Path) -> EthereumPlace | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=EthereumPlace)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFormat(f"{path} does not say where the rollup settles: {error}") from None


def _list_values(place: EthereumPlace) -> dict[str, Any]:
    """The settings of a place that differ from their defaults."""
    values = {setting.name: getattr(place, setting.field) for setting in L1_SETTINGS}
    values["l1-url"] = (place.url, *place.fallbacks)
    defaults = {setting.name: setting.default for setting in L1_SETTINGS}
    return {name: value for name, value in values.items() if value != defaults[name]}


def keep_place(directory: Path, place: EthereumPlace) -> None:
    """Let a data directory say where its rollup settles; the commands need no options from then on.

    What `microrollup.toml` says is left to it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = read_settings(directory)
    by_name = {setting.name: setting for setting in L1_SETTINGS}
    values = {
        name: value
        for name, value in _list_values(place).items()
        if name in ("l1-url", "inbox") or name not in written or read_texts(by_name[name], written[name], "") != value
    }
    kept = _make_place({setting.name: setting.default for setting in L1_SETTINGS} | values)
    write_secretly(place_path(directory), msgspec.json.format(_encode(kept)) + b"\n")


def _encode(place: EthereumPlace) -> bytes:
    """Without members that have their default: a later release may choose another."""
    document = msgspec.to_builtins(place)
    defaults = msgspec.to_builtins(EthereumPlace(place.url, place.inbox))
    kept = {
        name: value for name, value in document.items() if value != defaults[name] or name in ("type", "url", "inbox")
    }
    return msgspec.json.encode(kept)


def migrate_place(directory: Path, tell: Callable[[str], None]) -> None:
    """Move what `l1.json` says into `microrollup.toml`, where that has nothing to say of it yet, and remove the file.

    The caller is the directory's one writer. Raises `StoreFormat`, `UsageError`, `OSError`.
    """
    path = directory / _OLD_FILE
    place = _read_file(path)
    if place is None:
        return
    lists = {setting.name for setting in L1_SETTINGS if setting.is_list}
    texts = {
        name: tuple(map(_to_text, value)) if name in lists else (_to_text(value),)
        for name, value in _list_values(place).items()
    }
    add_settings(directory, texts, lists, f"taken over from {_OLD_FILE}")
    path.unlink()
    tell(f"{path} was removed: its settings are in {directory / SETTINGS_FILE} now")


def _to_text(value: object) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
