"""The command: two chains, one directory, the story, and its table."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.text import Text

from microrollup.cli.output import Command, Output, json_option
from microrollup.cli.parameters import PATH
from microrollup.cli.run import EXIT_FAILED, run_command
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.testing.anvil import CHAIN_ID, DEV_KEYS, Anvil, find_anvil, run_anvil

from ...story.bridges import deploy_bridges
from ...story.chain import Chain
from ...story.command import open_directory
from ...story.entry_point import load_entry_point
from ...story.layer2 import Layer2
from ...story.stand_ins import install_l1_block
from ...story.telling import Telling
from ..config import OrderSettler
from .away import act_by_intent, lend_keys
from .cast import Cast
from .endings import escape, rebuild
from .hub import PlusHub
from .money import enter, make_rules, pay_fees, pay_in, take_out
from .names import resolve_name
from .orders import bring_in, deploy_market, send_out
from .stage import Stage
from .theft import be_robbed, recover

__all__ = ["main", "story_command"]

_NAME: Final = f"python -m {__package__}"
_SECONDS_AGO: Final = 40 * 86_400
"""The chains begin in the past: the story goes on for weeks."""
_ACTS: Final = (
    enter, pay_in, take_out, resolve_name, pay_fees, make_rules, act_by_intent, lend_keys, bring_in, send_out,
    be_robbed, recover, rebuild,
    escape,
)  # fmt: skip


def _set_up(directory: Path, chains: tuple[Anvil, Anvil], telling: Telling, code: bytes, stack: ExitStack) -> Stage:
    """Vault and inbox on L1, a node, and on the L2 all that accounts need."""
    l1, payer = Chain("L1", chains[0]), load_private_key(bytes.fromhex(DEV_KEYS[0]))
    cast, hub = Cast(), PlusHub(directory, l1, telling)
    l1.anvil.mine(3)
    telling.begin("Deploy", "A vault and an inbox on L1, which nobody owns; the accounts' contracts on an L2; a node.")
    market = deploy_market(l1, Chain("L2", chains[1]))
    for where, gas in (("L2", market.l2_gas), ("L1", market.l1_gas)):
        with telling.timed(f"deploy what orders need on {where}", "set-up", where) as figures:
            figures.gas = gas
    with telling.timed("deploy vault and inbox", "set-up", "L1") as figures:
        settler = OrderSettler(market.chain_id, market.settler)
        figures.gas = hub.deploy(cast, payer, compute_address(payer), settler, market.verdicts)
    for who, after in hub.custody.takers:
        telling.expect(f"{who} could take the money", "L1", after, after)
    stack.callback(hub.close)
    with telling.timed("start the node and its verifier", "set-up"):
        hub.start()
    bridges = deploy_bridges(l1, hub.custody.inbox)
    install_l1_block(chains[1])
    with telling.timed("deploy EntryPoint, validators, roots, factory", "set-up", "L2") as figures:
        layer = Layer2("L2", chains[1], bridges, code)
        figures.gas = layer.gas
    return Stage(cast, hub, l1, layer, bridges, market, telling, payer)


@click.command("story", cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--keep", "directory", type=PATH, metavar="DIR", help="Keep stores and keys there [default: temporary].")
@click.option(
    "--entry-point",
    type=PATH,
    metavar="FILE",
    help="EntryPoint.json of npm's @account-abstraction/contracts@0.8.0 [default: npm is asked for it].",
)
@json_option
def story_command(directory: Path | None, entry_point: Path | None, output: Output) -> int:
    """Watch a Keystore+ from its deployment to the escape of its money.

    Starts an L1 and an L2 (anvil) and a node. Alice takes a name, pays in, pays Bob, takes out; ENS on L1 proves her
    address; a sponsor pays her fees; an operation that she signs on the keystore happens on the L2 without a key there;
    a key that she lends is replaced; fillers bring money from the L2 and to it; a thief is held up by a spending rule
    and undone by guardians, one of whom has only a mail address; then the operator disappears, the state is rebuilt
    from calldata, and Alice's money escapes.
    Exit code 1: something came out otherwise than it should.
    """
    started = time.monotonic()
    code = load_entry_point(entry_point)
    with ExitStack() as stack:
        own = stack.enter_context(open_directory(directory, "hub-story-"))
        command, begin = find_anvil(), int(time.time()) // 12 * 12 - _SECONDS_AGO
        first, second = [
            stack.enter_context(run_anvil(command, "--hardfork", "osaka", timestamp=begin, chain_id=CHAIN_ID + number))
            for number in range(2)
        ]
        telling = Telling(output, lambda: first.get_head()[1])
        stage = _set_up(own, (first, second), telling, code, stack)
        for act in _ACTS:
            act(stage)
        root = hex0x(stage.hub.read_root())
    seconds = round(time.monotonic() - started, 1)
    document = {
        "ok": telling.ok,
        "outcomes": [msgspec.to_builtins(outcome) for outcome in telling.outcomes],
        "steps": [msgspec.to_builtins(row) for row in telling.rows],
        "root": root,
        "seconds": seconds,
    }
    verdict = "All came out as it should" if telling.ok else "NOT all came out as it should"
    summary = Text(f"{verdict}: {len(telling.outcomes)} outcomes, {seconds} s.", style="bold")
    output.show(document, "", telling.make_steps_table(), "", summary)
    return 0 if telling.ok else EXIT_FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the story with a command line (the process's own by default); the exit code. Raises nothing."""
    return run_command(story_command, _NAME, list(sys.argv[1:] if arguments is None else arguments))
