"""The generated parts of the reference: `python tests/support/write_reference.py` writes them, a test compares them.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; what is around it is written by hand.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click

from microrollup.cli.run import COMMANDS, cli
from paths import ROOT
from render_gas import (
    render_account_gas,
    render_bridge_gas,
    render_bundled_by_rules,
    render_bundled_gas,
    render_inbox_gas,
    render_opened_gas,
    render_order_gas,
    render_proof_gas,
    render_quorum_gas,
    render_resolver_gas,
    render_root_gas,
    render_vault_gas,
)
from render_rpc import render_rpc
from render_settings import render_constants, render_run_settings, render_struct

__all__ = ["DOCS", "PARTS", "fill_page", "render_cli"]

DOCS: Final = ROOT / "microrollup" / "docs"

_RANGE: Final = re.compile(r"(\d+)<=x<=(\d+)")
_CHOICE: Final = re.compile(r"\[((?:\w+\|)+\w+)\]")
_EVERYWHERE: Final = ("-h", "--help", "--verbose")
"""Options that every command takes; the page says so once."""

_PART: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render_cli() -> str:
    """Every command with its arguments, options and defaults, as click has them."""
    with click.Context(cli, info_name="microrollup") as ctx:
        rows = [f"| [`{name}`](#{name}) | {line} |" for name, (_, line) in COMMANDS.items()]
        lines = ["| command | what it does |", "|---|---|", *rows, ""]
        for name in COMMANDS:
            command = cli.get_command(ctx, name) if isinstance(cli, click.Group) else None
            if command is None:
                raise LookupError(name)
            lines += _describe_command(name, command, ctx)
    return "\n".join(lines) + "\n"


def _describe_command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent) as ctx:
        usage = " ".join(["microrollup", name, *command.collect_usage_pieces(ctx)])
        yield from (f"## {name}", "", inspect.cleandoc(command.help or "").replace("\b\n", ""), "")
        yield from ("```text", usage, "```", "")
        records = [param.get_help_record(ctx) for param in command.get_params(ctx)]
        rows = [
            record
            for record in records
            if record is not None and record[1] and record[0].split(",")[0] not in _EVERYWHERE
        ]
        if rows:
            yield from ("| option | what |", "|---|---|")
            yield from (f"| `{_cell(option)}` | {_cell(text)} |" for option, text in rows)
            yield ""


def _cell(text: str) -> str:
    """Text as a table's cell holds it: on one line, without a pipe."""
    text = _RANGE.sub(r"\1 to \2", " ".join(text.split()))
    return _CHOICE.sub(lambda found: found[1].replace("|", " or "), text).replace("|", " or ").replace("  [", " [")


PARTS: Final[dict[str, Callable[[], str]]] = {
    "cli": render_cli,
    "ethereum_options": lambda: render_struct("microrollup.settlement.ethereum.options:EthereumOptions"),
    "execution_limits": lambda: render_constants("microrollup.limits"),
    "gas_accounts": render_account_gas,
    "gas_bridge": render_bridge_gas,
    "gas_bundled": render_bundled_gas,
    "bundled_by_rules": render_bundled_by_rules,
    "gas_inbox": render_inbox_gas,
    "gas_opened": render_opened_gas,
    "gas_orders": render_order_gas,
    "gas_proofs": render_proof_gas,
    "gas_quorums": render_quorum_gas,
    "gas_resolver": render_resolver_gas,
    "gas_roots": render_root_gas,
    "gas_vault": render_vault_gas,
    "inbox_limits": lambda: render_constants("microrollup.settlement.inbox", "microrollup.settlement.batch"),
    "node_options": lambda: render_struct("microrollup.node.options:NodeOptions"),
    "place_file": lambda: render_struct("microrollup.settlement.place:EthereumPlace"),
    "protocol_limits": lambda: render_constants("microrollup.primitives"),
    "rpc": render_rpc,
    "rpc_limits": lambda: render_struct("microrollup.rpc.limits:RpcLimits"),
    "settle_options": lambda: render_struct("microrollup.node.batch_timing:SettleOptions"),
    "settings": render_run_settings,
    "writer_options": lambda: render_struct("microrollup.node.writer:WriterOptions"),
}


def fill_page(text: str) -> str:
    """The page with its generated parts as they are now. Raises `KeyError` for a part that nobody generates."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)


def main() -> None:
    """Write what is generated into all pages."""
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = fill_page(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
