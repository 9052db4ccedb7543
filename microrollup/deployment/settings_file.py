"""`microrollup.toml`: the settings that an operator writes down in a data directory, under the names of the options.

    l1-url = ["https://one.example/v2/key", "https://two.example"]
    l1-depth = 20
    block-time = "2s"

A setting has one name everywhere: the option `--l1-depth`, the variable `MICROROLLUP_L1_DEPTH`, the key `l1-depth`. All
are read as texts, so that the same text means the same wherever it stands.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from microrollup.errors import UsageError
from microrollup.system import sync_directory, sync_file

__all__ = [
    "KNOWN_VARIABLES",
    "SETTINGS_FILE",
    "add_settings",
    "find_unused",
    "name_variable",
    "read_settings",
    "read_variable",
    "write_secretly",
]

SETTINGS_FILE: Final = "microrollup.toml"
KNOWN_VARIABLES: Final = frozenset({"MICROROLLUP_NATIVE"})
"""Variables that are read elsewhere and belong to no command."""

_PREFIX: Final = "MICROROLLUP_"
_MAX_BYTES: Final = 1 << 18

_Texts = tuple[str, ...]
"""What a setting is set to: one text, or several where an option may be repeated."""


def name_variable(name: str) -> str:
    """The environment variable of a setting."""
    return _PREFIX + name.upper().replace("-", "_")


def read_variable(name: str, environ: Mapping[str, str], *, is_list: bool, by_line: bool = False) -> _Texts | None:
    """What a setting's variable says; None if it is not set, or empty. A list is separated by blanks, or by lines."""
    text = environ.get(name_variable(name), "").strip()
    if not text:
        return None
    if not is_list:
        return (text,)
    return tuple([part.strip() for part in (text.splitlines() if by_line else text.split()) if part.strip()])


def read_settings(directory: Path) -> dict[str, _Texts]:
    """The settings of a directory, in the file's order; none without a file. Raises `UsageError` for a broken one."""
    path = directory / SETTINGS_FILE
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        document = tomllib.loads(raw.decode())
        return {key: _read_texts(key, value) for key, value in document.items()}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None


def _read_texts(key: str, value: object) -> _Texts:
    return tuple([_read_text(key, item) for item in (value if isinstance(value, list) else [value])])


def _read_text(key: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise ValueError(f"`{key}` is a text, a number, true, false, or a list of them")


def find_unused(settings: Collection[str], environ: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Keys of the file and variables of the environment that nothing reads, each with the nearest name that is read."""
    variables = {name_variable(name) for name in known} | KNOWN_VARIABLES
    keys = [_point(key, known) for key in settings if key not in known]
    return keys + [
        _point(variable, variables)
        for variable in sorted(environ)
        if variable.startswith(_PREFIX) and variable not in variables
    ]


def _point(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    endings = {each.removeprefix(_PREFIX): each for each in sorted(known)}
    near = get_close_matches(name.removeprefix(_PREFIX), endings, n=1, cutoff=0.75)
    return f"{name} (did you mean {endings[near[0]]}?)" if near else name


def add_settings(directory: Path, settings: Mapping[str, _Texts], lists: Collection[str], remark: str) -> None:
    """Write settings above those that the file has, durably; what it has already stays and is not written again."""
    path = directory / SETTINGS_FILE
    found = read_settings(directory)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [
        f"{key} = {'[' + ', '.join(map(_quote, texts)) + ']' if key in lists else _quote(texts[0])}\n"
        for key, texts in settings.items()
        if key not in found
    ]
    if lines:
        write_secretly(path, f"# {remark}\n{''.join(lines)}{before and chr(10)}{before}".encode())


def _quote(text: str) -> str:
    """A text as a basic string of TOML, which is JSON's but for the one control character that JSON leaves alone."""
    return text if text.isdecimal() else json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def write_secretly(path: Path, raw: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all: a URL may hold a key."""
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)  # its mode would stay
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        sync_file(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)
