"""Settings of a command: its options, which the environment and `microrollup.toml` in the data directory give as well.

Declaring the option is enough: `--block-time` is `MICROROLLUP_BLOCK_TIME` in the environment and `block-time` in the
file. A value means the same wherever it stands, is refused where it cannot be right, and is shown with its source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Group
from rich.text import Text

from microrollup.cli.output import Command, make_table
from microrollup.codec.json import hex0x
from microrollup.deployment.l1_settings import L1_SETTINGS, L1Setting
from microrollup.deployment.place_file import resolve_place
from microrollup.deployment.settings_file import (
    SETTINGS_FILE,
    find_unused,
    name_variable,
    read_settings,
    read_variable,
)
from microrollup.keys.reference import list_secret_warnings
from microrollup.replication.opening import LogUrl

__all__ = [
    "Setting",
    "SettingsCommand",
    "describe_settings",
    "list_options",
    "list_settings",
    "list_warnings",
    "tabulate",
]

_NO_SETTINGS: Final = frozenset({"json", "help", "verbose"})
"""Options that say how a command answers this once."""

_DEFAULT: Final = "default"

_TRUTHS: Final = ("true", "false", "1", "0")


class Setting(msgspec.Struct, frozen=True):
    """One of them, as it is in force."""

    name: str
    value: Any
    """As JSON has it, without what may be a key."""
    source: str
    """"option", the variable's name, the file's name, or "default"."""


class SettingsCommand(Command):
    """A command whose options are settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, with what environment and file say in place of defaults.

        Raises `click.BadParameter`, which names the source of a value that is wrong.
        """
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        sources: dict[str, str] = {}
        ctx.meta[__name__] = sources
        data = given.get("directory") or os.environ.get(name_variable("data"))
        found = _find_texts(self, None if data is None else Path(data), os.environ)
        values: dict[str, Any] = {}
        for option, texts, source in found:
            if option.name is not None:
                sources[option.name] = source
                values[option.name] = _shape(ctx, option, texts, source)
        ctx.default_map = values
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name in sources and not given.get(name or ""):
                raise click.BadParameter(f"{error.message} (from {sources[name]})", ctx, error.param) from None
            raise


def list_options(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """The options that are settings, by their long names."""
    for option in command.params:
        if isinstance(option, click.Option):
            name = max(option.opts, key=len).removeprefix("--")
            if name not in _NO_SETTINGS:
                yield name, option


def _find_texts(
    command: click.Command, directory: Path | None, environ: Mapping[str, str]
) -> Iterator[tuple[click.Option, tuple[str, ...], str]]:
    """What environment, else file say of each option but those of L1, which are looked up with the data directory."""
    written = {} if directory is None else read_settings(directory)
    for name, option in list_options(command):
        if name in _L1_NAMES:
            continue
        texts = read_variable(name, environ, is_list=option.multiple)
        if texts is not None:
            yield option, texts, name_variable(name)
        elif name in written and name != "data":
            yield option, written[name], SETTINGS_FILE


_L1_NAMES: Final = {setting.name: setting for setting in L1_SETTINGS}


def _shape(ctx: click.Context, option: click.Option, texts: tuple[str, ...], source: str) -> Any:
    """The texts as click takes them for an option: one, several, or whether a flag is set."""
    if option.multiple:
        return texts
    if len(texts) != 1:
        raise click.BadParameter(f"one value, not a list (from {source})", ctx, option)
    if option.is_flag:
        if texts[0].lower() not in _TRUTHS:
            raise click.BadParameter(f"{texts[0]!r} is not true or false (from {source})", ctx, option)
        return texts[0].lower() in ("true", "1")
    return texts[0]


def list_settings(ctx: click.Context) -> list[Setting]:
    """All settings of a command that was parsed, with values and sources. Raises what resolving the L1 raises."""
    sources: dict[str, str] = ctx.meta[__name__]
    resolved = resolve_place(ctx.params["directory"], _read_given(ctx))
    found = []
    for name, option in list_options(ctx.command):
        if name in _L1_NAMES:
            value = _show_l1(_L1_NAMES[name], resolved.values[name])
            found.append(Setting(name, value, resolved.sources[name]))
            continue
        given = ctx.get_parameter_source(option.name or "")
        source = (
            "option" if given is click.core.ParameterSource.COMMANDLINE else sources.get(option.name or "", _DEFAULT)
        )
        found.append(Setting(name, _show(ctx.params[option.name or ""]), source))
    return found


def _read_given(ctx: click.Context) -> dict[str, Any]:
    values = {name: ctx.params[option.name or ""] for name, option in list_options(ctx.command) if name in _L1_NAMES}
    return {name: value for name, value in values.items() if value}


_SECRET_FILES: Final = {
    "passphrase_file": "passphrase",
    "urgent_token_file": "token",
    "write_token_file": "tokens",
}
"""Options by their parameters' names, and what their files hold."""


def list_warnings(ctx: click.Context) -> list[str]:
    """What is set and has no effect: keys and variables that nothing reads, and settings of an L1 that is not used. And
    files of tokens and passphrases that others may read.
    """
    directory: Path = ctx.params["directory"]
    unused = find_unused(read_settings(directory), os.environ, [name for name, _ in list_options(ctx.command)])
    idle = resolve_place(directory, _read_given(ctx)).unused
    return [
        *[f"{name} is not a setting, and nothing reads it" for name in unused],
        *[f"{name} has no effect: {directory} settles locally" for name in idle],
        *[
            warning
            for name, what in _SECRET_FILES.items()
            if isinstance(path := ctx.params.get(name), Path)
            for warning in list_secret_warnings([path], what)
        ],
    ]


def _show_l1(setting: L1Setting, value: Any) -> Any:
    if isinstance(value, tuple):
        return [setting.show(item) for item in value]
    return value


def _show(value: Any) -> Any:
    match value:
        case bytes():
            return hex0x(value)
        case tuple():
            return [_show(item) for item in value]
        case LogUrl():
            return value.shown
        case Path() | IPv4Network() | IPv6Network():
            return str(value)
        case _:
            return value


def describe_settings(settings: list[Setting]) -> dict[str, Any]:
    """For programs: name -> value and source."""
    return {setting.name: {"value": setting.value, "source": setting.source} for setting in settings}


def tabulate(settings: list[Setting]) -> Group:
    """What somebody has set with value and source in columns; below them the defaults, and what has no value."""
    table = make_table("setting", "value", "from")
    defaults, missing = [], []
    for setting in settings:
        values = setting.value if isinstance(setting.value, list) else [setting.value]
        text = ", ".join(["" if value is None else str(value) for value in values])
        if setting.source != _DEFAULT:
            table.add_row(setting.name, Text(text), setting.source)
        elif text:
            defaults.append(f"{setting.name} {text}")
        else:
            missing.append(setting.name)
    return Group(table, Text(f"by default  {', '.join(defaults)}"), Text(f"not set     {', '.join(missing)}"))
