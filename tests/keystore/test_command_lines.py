"""The keystore's command lines: their lists, options that cannot be, and failures that are told once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import click
import pytest

from apps.keystore.axiom.command import axiom_group
from apps.keystore.chains.group import keystore_group
from apps.keystore.chains.node import ChainNode
from apps.keystore.chains.serving import serve_chain
from apps.keystore.plus.command import main, plus_group
from apps.keystore.smart_account.command import smart_account_group
from apps.keystore.ucmt.command import ucmt_group
from microrollup.cli.config import config_command
from microrollup.cli.replica import replica_command
from microrollup.errors import MicrorollupError

GROUPS = (axiom_group, keystore_group, plus_group, smart_account_group, ucmt_group, config_command, replica_command)
ADDRESS = "0x" + "11" * 20


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_lists_of_commands_are_whole(group: click.Group) -> None:
    """Each has its first sentence, to its end."""
    ctx = click.Context(group, terminal_width=80)
    text = " ".join(group.get_help(ctx).partition("Commands:")[2].split())
    assert "..." not in text
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        sentence = " ".join((command.help or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")
        assert f"{name} {sentence}" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--op-stack", f"10={ADDRESS}", "--arbitrum", f"10={ADDRESS}"), "chain 10 is named twice"),
        (("--op-stack", f"10={ADDRESS}", "--op-stack", f"10={ADDRESS}"), "chain 10 is named twice"),
        (("--op-stack", "10=0x12"), "is not 20 bytes"),
        (("--op-stack", f"0={ADDRESS}"), "is not CHAIN=ADDRESS"),
        (("--arbitrum", f"\u0661={ADDRESS}"), "is not CHAIN=ADDRESS"),
        (("--arbitrum", f"{'9' * 5_000}={ADDRESS}"), "is not CHAIN=ADDRESS"),
        (("--arbitrum", ADDRESS), "is not CHAIN=ADDRESS"),
        (("--price-cap", "\u0661"), "is not AMOUNT or TOKEN=AMOUNT"),
        (("--op-stack", f"10={ADDRESS}"), "no answer from L1"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Any, said: str
) -> None:
    """Each is refused in a sentence."""
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "payer.key"
    key.write_text("07".rjust(64, "0"))
    at = ["--data", "data", "--key", str(key), "--l1-url", "http://127.0.0.1:1"]
    assert 2 == main(["deploy", "plus", *at, *arguments])
    assert said in capsys.readouterr().err


def test_what_deploy_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that a module may have, in this directory; and the option that is missing is named."""
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "payer.key"
    key.write_text("07".rjust(64, "0"))
    at = ["--data", "data", "--key", str(key)]
    for name in ("../plus", "a.b", "Plus", "/plus", ""):
        assert 2 == main(["deploy", name, *at, "--l1-url", "http://127.0.0.1:1"])
        assert "is not a module's name" in capsys.readouterr().err
    assert 2 == main(["deploy", "plus", *at])
    assert "--l1-url URL" in capsys.readouterr().err
    assert [key] == list(tmp_path.iterdir())


class Node:
    async def close(self) -> None:
        """Nothing is open."""


class Worker:
    """Fails as it is told, round by round; a round without a reason goes well."""

    def __init__(self, reasons: list[str]) -> None:
        self._reasons = reasons
        self.idle = False

    async def run_round(self) -> None:
        reason = self._reasons.pop(0)
        self.idle = not self._reasons
        if reason:
            raise MicrorollupError(reason)


def test_a_failure_that_goes_on_is_told_once() -> None:
    """It is new again after a round that went well, or for another reason."""
    told: list[tuple[str, bool]] = []

    async def connect() -> Worker:
        return worker

    def note(_: Worker | None, error: Exception, is_new: bool) -> None:
        told.append((str(error), is_new))

    worker = Worker(["away", "away", "away", "full", "away", "", "away", "away", ""])
    asyncio.run(serve_chain(cast("ChainNode", Node()), connect, note, poll_seconds=0, once=True, patience=9))
    assert [True, False, False, True, True, True, False] == [is_new for _, is_new in told]
