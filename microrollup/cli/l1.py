"""The options that name an L1: a directory of the local settlement, or an Ethereum node and an inbox on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from microrollup.cli.parameters import PATH
from microrollup.deployment.l1_settings import L1_SETTINGS, L1Setting, show_default
from microrollup.deployment.place_file import local_place, resolve_place
from microrollup.errors import MicrorollupError, UsageError
from microrollup.settlement.place import EthereumPlace, L1Place
from microrollup.settlement.proofs import ProofSource, read_proof_source

__all__ = [
    "Reach",
    "choose_place",
    "ethereum_options",
    "l1_options",
    "local_option",
    "make_ethereum_place",
    "proof_option",
    "sending_options",
]

F = TypeVar("F", bound=Callable[..., Any])


class Reach(msgspec.Struct, frozen=True):
    """What the options say of an inbox on Ethereum: values by the names of their settings."""

    given: dict[str, Any] = {}

    @property
    def inbox(self) -> str | None:
        """`0x` and 40 digits."""
        return self.given.get("inbox")

    def put(self, **more: Any) -> Reach:
        """With other values; `_` in a name is a hyphen."""
        return Reach(self.given | {name.replace("_", "-"): value for name, value in more.items()})


def _read_proof_source(text: str) -> ProofSource:
    try:
        return read_proof_source(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


proof_option = click.option(
    "--proof",
    "proofs",
    type=_read_proof_source,
    multiple=True,
    metavar="ADDRESS=URL|DIR",
    help="Take the proofs for this contract, a rule of the verifiers' set, from there; repeatable.",
)
"""Gives a command `proofs`."""

local_option = click.option(
    "--l1", "local", type=PATH, metavar="DIR", help="Local settlement [default: the data directory's]."
)
"""Gives a command `local`."""


def ethereum_options(function: F) -> F:
    """The options that name an inbox on Ethereum; the command gets `reach`."""
    return _add_options(function, [setting for setting in L1_SETTINGS if not setting.sends])


def sending_options(function: F) -> F:
    """Those that only matter to who sends transactions, above `ethereum_options` or `l1_options`."""
    for setting in reversed([setting for setting in L1_SETTINGS if setting.sends]):
        function = _make_option(setting)(function)
    return function


def _add_options(function: F, settings: list[L1Setting]) -> F:
    @wraps(function)
    def wrapped(*arguments: Any, **others: Any) -> Any:
        names = {_name_parameter(setting): setting.name for setting in L1_SETTINGS}
        given = {names[name]: others.pop(name) for name in list(others) if name in names}
        return function(*arguments, reach=Reach({name: value for name, value in given.items() if value}), **others)

    result: Any = wrapped
    for setting in reversed(settings):
        result = _make_option(setting)(result)
    return result  # type: ignore[no-any-return]  # the wrapper takes the options in place of `reach`


def _name_parameter(setting: L1Setting) -> str:
    return f"place_{setting.field}"


def _make_option(setting: L1Setting) -> Callable[[F], F]:
    default = show_default(setting)
    help_text = setting.help + (f" [default: {default}]" if default else "")

    def read(text: str) -> Any:
        try:
            return setting.read(text)
        except MicrorollupError as error:
            raise click.BadParameter(str(error)) from None

    return click.option(
        f"--{setting.name}",
        _name_parameter(setting),
        type=read,
        multiple=setting.is_list,
        metavar=setting.metavar,
        help=help_text,
    )


def l1_options(function: F) -> F:
    """`--l1 DIR`, or `--l1-url URL --inbox ADDRESS` and what belongs to it; the command gets `l1`, a place or None.

    What is not named there comes from the environment and from the data directory, if the command has one. None: the
    data directory knows, or nothing is named at all.
    """

    @local_option
    @ethereum_options
    @wraps(function)
    def wrapped(*arguments: Any, local: Path | None, reach: Reach, **others: Any) -> Any:
        return function(*arguments, l1=choose_place(local, reach, others.get("directory")), **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `l1`


def choose_place(local: Path | None, reach: Reach, directory: Path | None) -> L1Place | None:
    """The place that options name, completed from environment and data directory; None if they name none.

    Raises `UsageError` for options without effect.
    """
    if local is not None:
        if reach.given:
            raise UsageError(f"--l1 names a local settlement, {_list_options(reach)} one on Ethereum: give one")
        return local_place(local)
    resolved = resolve_place(directory, reach.given)
    if resolved.place is None and reach.given:
        where = "no inbox on Ethereum is named" if directory is None else f"{directory} settles locally"
        raise UsageError(f"{_list_options(reach)} would have no effect: {where}; leave it out")
    return resolved.place if reach.given or directory is None else None


def _list_options(reach: Reach) -> str:
    return " and ".join([f"--{name}" for name in reach.given])


def make_ethereum_place(reach: Reach, directory: Path | None = None) -> EthereumPlace:
    """The place that options, environment and directory name. Raises `UsageError` if node or inbox are missing."""
    place = resolve_place(directory, reach.given).place
    if place is None:
        raise UsageError("an inbox on Ethereum is named by both --inbox ADDRESS and the URL of an L1 node")
    return place
