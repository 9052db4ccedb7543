"""`microrollup submit`: actions to a node, signed here or signed already, and how far they were confirmed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from microrollup.chain.acknowledgement import SignedAcknowledgement, acknowledgement_to_json
from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.members import make_action, members_option
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.queued import show_queued
from microrollup.cli.run import EXIT_FAILED
from microrollup.client import (
    LEVELS,
    ActionRefused,
    Client,
    Confirmation,
    NodeConfig,
    Outcome,
    RpcError,
    declare_action,
)
from microrollup.client.signing import make_authenticator
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.declaration.action import Action, compile_action_type
from microrollup.deployment.forcing import carry_line
from microrollup.deployment.importing import read_lines
from microrollup.errors import RefusedError, UsageError
from microrollup.keys.files import read_key
from microrollup.keys.reference import list_secret_warnings
from microrollup.rpc.write_tokens import read_token
from microrollup.settlement.place import L1Place

__all__ = ["submit_command"]

_CALL_SECONDS: Final = 30.0
_CHUNK_LINES: Final = 500
_SHOWN_REFUSALS: Final = 20


@click.command("submit", cls=Command)
@click.argument("url")
@click.argument("what", metavar="TYPE|FILE")
@click.option("--key", type=PATH, metavar="KEYFILE", help="Make one action of TYPE and sign it with this private key.")
@members_option
@click.option(
    "--wait",
    "level",
    type=click.Choice(LEVELS),
    default="C0",
    show_default=True,
    help="Wait until the actions have this confirmation.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait at most this long.",
)
@click.option(
    "--via-l1",
    "carrier",
    type=PATH,
    metavar="KEYFILE",
    help="Carry the signed action through the inbox on L1, past the operator, from this key; on Ethereum it pays gas.",
)
@click.option(
    "--nonce",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    help="With --via-l1: sign with this nonce, and do not ask the node for it.",
)
@l1_options
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Refuse a node that serves another rollup.")
@click.option("--builder", type=hex_bytes(20), metavar="ADDRESS", help="Refuse acknowledgements of anybody else.")
@click.option(
    "--token-file",
    type=PATH,
    metavar="FILE",
    help="Send the token in this file to a node that takes no actions without.",
)
@json_option
def submit_command(
    url: str,
    what: str,
    key: Path | None,
    members: tuple[str, ...],
    level: str,
    timeout: float,
    carrier: Path | None,
    nonce: int | None,
    l1: L1Place | None,
    rollup_id: bytes | None,
    builder: bytes | None,
    token_file: Path | None,
    output: Output,
) -> int:
    """Send actions to a node, and wait for a confirmation.

    With --key, one action of TYPE is numbered, signed and sent; a VALUE is 0x-hex for bytes, decimal or 0x for
    integers, plain text for texts, JSON for lists and structs. Without it, the lines of FILE (`-` for standard input)
    are sent, each a signed action in JSON. Exit code 1: something was refused, or rejected by the rollup.

    With --via-l1 the node only says what the rollup takes and which nonce is next (any node that serves it does), and
    the action goes into the queue of the inbox that --l1-url and --inbox name, or --l1. A node that is not trusted may
    name a nonce to come: the line, which is public then, could be carried again when it is the next. --nonce prevents
    that.
    """
    if (carrier is None) != (l1 is None):
        raise UsageError("--via-l1 KEYFILE takes an inbox, --l1-url and --inbox or --l1, and an inbox takes --via-l1")
    if carrier is not None and key is None:
        raise UsageError(
            "--via-l1 takes the --key that signs; `microrollup force --signed` carries a line that is signed"
        )
    if nonce is not None and carrier is None:
        raise UsageError("--nonce goes with --via-l1; otherwise the node says which is next, and takes no other")
    if carrier is not None and level != "C0":
        raise UsageError("--wait is for what a node has taken; look later at `microrollup status`, or at the receipt")
    if key is None and members:
        raise UsageError("--member makes an action to be signed: name the --key as well")
    for warning in [] if token_file is None else list_secret_warnings([token_file], "token"):
        output.warn(warning)
    node = _Node(url, rollup_id, builder, level, timeout, None if token_file is None else read_token(token_file))
    if key is not None and carrier is not None and l1 is not None:
        config, line = asyncio.run(_sign_one(node, what, read_key(key), members, nonce))
        queued = carry_line(config.rollup_id, config.domain, make_authenticator(config), l1, line, read_key(carrier))
        show_queued(output, queued)
        return 0
    if key is not None:
        return asyncio.run(_submit_one(node, what, read_key(key), members, output))
    if what.isidentifier() and not Path(what).exists():
        raise UsageError(f"there is no file {what}; for an action of the type {what}, name the --key that signs it")
    with open_input(what) as file:
        return asyncio.run(_submit_file(node, file, output))


class _Node(msgspec.Struct, frozen=True):
    """Where actions go, what has to be there, and how far they have to come."""

    url: str
    rollup_id: bytes | None
    builder: bytes | None
    level: str
    timeout: float
    token: str | None

    def connect(self) -> Client:
        def say(left: float) -> None:
            sys.stderr.write(f"no answer from {self.url} yet, trying for {left:.0f} s more\n")

        return Client(
            self.url,
            rollup_id=self.rollup_id,
            builder=self.builder,
            token=self.token,
            timeout=_CALL_SECONDS,
            on_silence=say,
        )


# --- one action ------------------------------------------------------------------------------------------------------


async def _submit_one(node: _Node, name: str, key: PrivateKey, members: Sequence[str], output: Output) -> int:
    async with node.connect() as client:
        action = _make_action(await client.get_config(), name, members)
        try:
            acknowledgement = await client.submit(action, key)
        except ActionRefused as error:
            output.show({"error": error.refusal, "detail": error.detail}, f"refused ({error.refusal}): {error.detail}")
            return EXIT_FAILED
        confirmation = await client.wait(acknowledgement, node.level, timeout=node.timeout)
        shown = acknowledgement_to_json(acknowledgement, await client.get_event_reader())
    document = {"ack": shown, "confirmation": confirmation.level}
    facts: dict[str, object] = {
        "action": hex0x(acknowledgement.action_hash),
        "outcome": _render_outcome(acknowledgement),
        "seq": acknowledgement.seq,
        "block": acknowledgement.height,
        "confirmation": confirmation.level,
    }
    facts |= {f"event {number}": _render_event(event) for number, event in enumerate(shown["events"])}
    output.show(document, make_facts(facts))
    return 0 if acknowledgement.receipt.status == 0 else EXIT_FAILED


async def _sign_one(
    node: _Node, name: str, key: PrivateKey, members: Sequence[str], nonce: int | None
) -> tuple[NodeConfig, bytes]:
    """What the node serves, and the signed line of an action; with the nonce that it names, unless one is given."""
    async with node.connect() as client:
        config = await client.get_config()
        signed = await client.sign(_make_action(config, name, members), key, nonce=nonce)
    return config, signed.line


def _render_outcome(acknowledgement: SignedAcknowledgement) -> str:
    """The status and what explains it: the reason of a rejection; where to find the cause of a fault."""
    if acknowledgement.status == "faulted":
        return "faulted: the node's log says why, under stf_faulted"
    return acknowledgement.status + (f": {acknowledgement.reason}" if acknowledgement.reason else "")


def _render_event(event: dict[str, Any]) -> str:
    """Name and members of an event; its bytes where the members are not known."""
    fields: dict[str, Any] = event.get("fields", {"data": event["data"]})
    return " ".join([event["name"], *[f"{name}={value}" for name, value in fields.items()]])


def _make_action(config: NodeConfig, name: str, members: Sequence[str]) -> Action:
    """The action of a type that the node serves, with members out of texts. Raises `UsageError`."""
    served = config.get_action(name)
    if served is None:
        known = ", ".join(action.name for action in config.actions)
        raise UsageError(f"{config.name} has no action {name!r}; it has {known}")
    return make_action(compile_action_type(declare_action(name, served.types)), members)


# --- a file of signed actions ----------------------------------------------------------------------------------------


async def _submit_file(node: _Node, file: BinaryIO, output: Output) -> int:
    outcomes: list[Outcome] = []
    async with node.connect() as client:
        with show_progress("Submitting") as advance:
            for lines in _chunk(read_lines(file)):
                outcomes += await client.submit_lines(lines)
                advance(len(lines))
        confirmation = await _wait_for_all(node, client, outcomes)
    document = _describe(outcomes, confirmation)
    output.show(document, *_render(document))
    return 0 if document["executed"] == document["lines"] else EXIT_FAILED


def _chunk(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while chunk := list(islice(lines, _CHUNK_LINES)):
        yield chunk


async def _wait_for_all(node: _Node, client: Client, outcomes: Sequence[Outcome]) -> Confirmation | None:
    """The confirmation of the newest block that holds one of the actions; levels rise from block to block."""
    acknowledged = [outcome for outcome in outcomes if isinstance(outcome, SignedAcknowledgement)]
    if not acknowledged:
        return None
    newest = max(acknowledged, key=lambda acknowledgement: acknowledgement.height)
    return await client.wait(newest, node.level, timeout=node.timeout)


def _describe(outcomes: Sequence[Outcome], confirmation: Confirmation | None) -> dict[str, Any]:
    counts = {"executed": 0, "rejected": 0, "faulted": 0}
    refusals: list[dict[str, Any]] = []
    for line, outcome in enumerate(outcomes):
        if isinstance(outcome, SignedAcknowledgement):
            counts[outcome.status] += 1
        else:
            refusals.append({"line": line, "error": _name_error(outcome), "detail": str(outcome)})
    return {
        "lines": len(outcomes),
        **counts,
        "refused": len(refusals),
        "refusals": refusals,
        "confirmation": None if confirmation is None else confirmation.level,
        "height": None if confirmation is None else confirmation.height,
    }


def _name_error(error: Exception) -> str:
    """The stable code of a refusal; for anything else the name of its class."""
    match error:
        case ActionRefused():
            return error.refusal
        case RefusedError():
            return error.code
        case RpcError():
            return str(error.code)
        case _:
            return type(error).__name__


def _render(document: dict[str, Any]) -> list[Any]:
    names = ("lines", "executed", "rejected", "faulted", "refused", "confirmation", "height")
    parts: list[Any] = [make_facts({name: document[name] for name in names if document[name] is not None})]
    refusals = document["refusals"]
    if refusals:
        table = make_table("line", "error", "detail")
        for refusal in refusals[:_SHOWN_REFUSALS]:
            table.add_row(str(refusal["line"]), refusal["error"], refusal["detail"])
        parts += ["", table]
        if len(refusals) > _SHOWN_REFUSALS:
            parts.append(f"and {len(refusals) - _SHOWN_REFUSALS} more")
    return parts
