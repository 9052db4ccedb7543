"""`microrollup register-keys`, `announce-verifiers` and `announced`: who may attest, and who will."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.deployment.verifier_sets import (
    AnnouncedChange,
    ShownSet,
    announce_verifiers,
    cancel_announcement,
    list_announcements,
    read_proven_keys,
    register_keys,
)
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.settlement.place import L1Place
from microrollup.settlement.protocol import AnnouncementKind
from microrollup.settlement.verifiers import BLS, COUNT, ECDSA, REQUIRE, VerifierRule

__all__ = ["announce_verifiers_command", "announced_command", "register_keys_command"]

_MAX_FILE_BYTES: Final = 1 << 20

_address = hex_bytes(20)

F = TypeVar("F", bound=Callable[..., Any])


def _inbox_options(key_help: str) -> Callable[[F], F]:
    """Which inbox is asked, and called with what key; `--dry-run` and `--json`."""
    options = (
        click.option(
            "--data", "directory", type=PATH, metavar="DIR", help="Take the inbox that this data directory settles on."
        ),
        click.option("--key", type=PATH, metavar="KEYFILE", help=key_help),
        click.option("--dry-run", is_flag=True, help="Ask L1 what it would do, and send nothing."),
        l1_options,
        json_option,
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command("register-keys", cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_inbox_options("Call the inbox from this key; it pays the gas.")
def register_keys_command(
    files: tuple[str, ...],
    directory: Path | None,
    key: Path | None,
    l1: L1Place | None,
    *,
    dry_run: bool,
    output: Output,
) -> None:
    """Register verifiers' BLS keys with the inbox, as pages of up to 64.

    Each FILE (- for standard input) has lines as `keygen --bls --json` prints them, with key and proof. Anybody may
    register keys; it lets nobody attest. `announce-verifiers --page` makes a set of pages.
    """
    raw = b"\n".join([_read_file(file) for file in files])
    secret = None if key is None else read_key(key)
    pages = register_keys(directory, l1, read_proven_keys(raw), secret, dry_run=dry_run)
    table = make_table("page", "keys")
    for page in pages:
        table.add_row(page.page, str(len(page.keys)))
    named = " ".join([f"--page {page.page}" for page in pages])
    following = f"the owner makes a set: microrollup announce-verifiers {named} --quorum M"
    told = {"sent": "nothing: a dry run"} if dry_run else {"next": following}
    output.show({"dryRun": dry_run, "pages": msgspec.to_builtins(pages)}, table, "", make_facts(dict(told)))


@click.command("announce-verifiers", cls=Command)
@click.option(
    "--verifier", "addresses", type=_address, multiple=True, metavar="ADDRESS", help="Let this key attest; repeatable."
)
@click.option(
    "--page",
    "pages",
    type=_address,
    multiple=True,
    metavar="ADDRESS",
    help="Let the BLS keys of it attest; repeatable.",
)
@click.option("--quorum", type=click.IntRange(1, 1 << 31), required=True, metavar="M", help="Settle what M attest.")
@click.option(
    "--count",
    "counts",
    multiple=True,
    metavar="ADDRESS=N",
    help="Count a proof that this contract verifies as N verifiers; repeatable.",
)
@click.option(
    "--require",
    "required",
    type=_address,
    multiple=True,
    metavar="ADDRESS",
    help="Have every batch bring a proof that this contract verifies; repeatable.",
)
@_inbox_options("Call the inbox from its owner's key.")
def announce_verifiers_command(
    addresses: tuple[bytes, ...],
    pages: tuple[bytes, ...],
    quorum: int,
    counts: tuple[str, ...],
    required: tuple[bytes, ...],
    directory: Path | None,
    key: Path | None,
    l1: L1Place | None,
    *,
    dry_run: bool,
    output: Output,
) -> None:
    """Announce another set of verifiers to the inbox, as its owner.

    It is in force 21,600 L1 blocks (three days) later, in place of the present one. `announced --cancel` takes it back.
    """
    if bool(addresses) == bool(pages):
        raise UsageError("a set has addresses, --verifier, or pages of BLS keys, --page")
    rules = [_read_count(text) for text in counts] + [VerifierRule(REQUIRE, address, 0) for address in required]
    secret = None if key is None else read_key(key)
    change = announce_verifiers(
        directory, l1, addresses or pages, quorum, BLS if pages else ECDSA, rules, secret, dry_run=dry_run
    )
    facts = _list_facts(change) | ({"sent": "nothing: a dry run"} if dry_run else {})
    output.show({"dryRun": dry_run} | msgspec.to_builtins(change), make_facts(facts))


@click.command("announced", cls=Command)
@click.option(
    "--cancel",
    "kind",
    type=click.Choice(["verifiers", "builder", "code"]),
    help="Take the newest announcement of a kind back, as the owner.",
)
@_inbox_options("With --cancel: call the inbox from its owner's key.")
def announced_command(
    kind: AnnouncementKind | None,
    directory: Path | None,
    key: Path | None,
    l1: L1Place | None,
    *,
    dry_run: bool,
    output: Output,
) -> None:
    """Show who may attest now, and what the inbox's owner has announced.

    An announcement can be taken back until 300 L1 blocks before it is in force; another owner cannot.
    """
    if kind is None:
        if key is not None or dry_run:
            raise UsageError("--key and --dry-run have no effect without --cancel")
        present, changes, number = list_announcements(directory, l1)
        document = {"l1Number": number, "verifiers": present, "announced": changes}
        table = make_table("from L1 block", "what", "value")
        for change in changes:
            table.add_row(str(change.effective), change.kind, _describe(change.value))
        facts = {"L1 block": number, "verifiers": _describe(present), "announced": len(changes)}
        output.show(msgspec.to_builtins(document), make_facts(dict(facts)), table if changes else None)
        return
    effective = cancel_announcement(directory, l1, kind, None if key is None else read_key(key), dry_run=dry_run)
    news = "would be taken back" if dry_run else "taken back"
    output.show(
        {"dryRun": dry_run, "cancelled": kind, "effective": effective},
        make_facts({news: kind, "would have been in force": f"from L1 block {effective} on"}),
    )


def _list_facts(change: AnnouncedChange) -> dict[str, object]:
    return {"verifiers": _describe(change.value), "in force": f"from L1 block {change.effective} on"}


def _describe(value: str | ShownSet) -> str:
    if isinstance(value, str):
        return value
    rules = "".join([f", {rule['kind']} {rule['verifier']} ({rule['weight']})" for rule in value.rules])
    return f"{value.quorum} of {value.count} ({value.kind}){rules}, {value.id}"


def _read_count(text: str) -> VerifierRule:
    address, _, weight = text.partition("=")
    if not weight.isdecimal() or len(weight) > 9:
        raise click.BadParameter(f"{text!r} is not ADDRESS=N")
    return VerifierRule(COUNT, _address(address), int(weight))


def _read_file(file: str) -> bytes:
    with open_input(file) as opened:
        raw = opened.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"{file} is larger than any list of keys")
    return raw
