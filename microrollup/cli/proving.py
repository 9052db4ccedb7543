"""`microrollup prove`: what a settled field holds at a key, or that it holds nothing, under a state root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from microrollup.cli.fields import choose_field
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, shorten
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import hex0x, to_json_value
from microrollup.codec.json_text import parse_json
from microrollup.codec.schema import TupleType
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof, compute_leaf_hash
from microrollup.declaration.rollup import load_rollup
from microrollup.declaration.state import StateField
from microrollup.deployment.proving import find_version_at, prove_key
from microrollup.errors import RefusedError, UsageError
from microrollup.ledger.proof_json import proof_to_json, read_key
from microrollup.ledger.reading import StateProof

__all__ = ["parse_key", "prove_command", "render_proof"]


@click.command("prove", cls=Command)
@app_argument
@click.argument("key", required=False)
@data_option()
@click.option(
    "--field", metavar="NAME", help="Prove this settled field [default: the one settled map, if there is one]."
)
@click.option(
    "--height", type=click.IntRange(0), metavar="H", help="Prove the state after block H [default: the newest]."
)
@json_option
def prove_command(
    app: str, key: str | None, directory: Path, field: str | None, height: int | None, output: Output
) -> None:
    """Prove that a key holds a value, or that it is absent.

    KEY is 0x-hex for bytes and addresses, decimal or 0x for integers, plain text for texts, a JSON array of these for a
    composite key; a scalar field has none. A field of a part may be named by the end of its name alone: `balances` for
    `wallets.balances`, if no other ends so.
    The proof is checked before it is shown.
    """
    rollup = load_rollup(app)
    chosen = choose_field(find_version_at(directory, rollup, height), field)
    encoded = read_key(chosen, parse_key(chosen, key), "KEY")
    proof = prove_key(directory, rollup, chosen, encoded, height)
    output.show(proof_to_json(chosen, proof), *render_proof(chosen, proof))


def parse_key(field: StateField, key: str | None, name: str = "KEY") -> Any:
    """The JSON value that an argument called `name` means. Raises `UsageError`."""
    if key is None or not isinstance(field.key_type, TupleType):
        return key
    try:
        return parse_json(key.encode())
    except RefusedError as error:
        raise UsageError(f'{name} is not a JSON array, as in ["0x12", 5]: {error.detail}') from None


def render_proof(field: StateField, proof: StateProof) -> list[RenderableType]:
    """The proof for people: what it says, the leaf, and the path folded up to the root."""
    facts: dict[str, object] = {"field": field.name, "tree key": hex0x(proof.tree_key)}
    if proof.exists:
        facts["holds"] = hex0x(proof.value) if proof.value else "nothing any more: the key was deleted"
        if proof.stored is not None:
            facts["that is"] = json.dumps(to_json_value(field.value_type, proof.stored), indent=1)
    else:
        facts["holds"] = "nothing: no key lies between the leaf below and its successor"
    facts |= {"state root": hex0x(proof.header.state_root), "height": proof.header.height}
    return [make_facts(facts), "", _render_leaf(proof), "", render_fold(proof.proof, proof.header.state_root)]


def _render_leaf(proof: StateProof) -> RenderableType:
    """The key in its leaf, or in the gap above the low leaf."""
    leaf = proof.proof.leaf
    low = hex0x(leaf.key) if leaf.prefix else "(below every key)"
    high = hex0x(leaf.next_key) if leaf.next_prefix else "(above every key)"
    if proof.exists:
        return make_facts({f"leaf {proof.proof.leaf_index}": low, "next key": high})
    facts = {f"leaf {proof.proof.leaf_index}": low, "the key": hex0x(proof.tree_key), "next key": high}
    return make_facts(dict(facts))


def render_fold(proof: Proof, state_root: bytes) -> RenderableType:
    """Each step from the leaf's hash to the root, hashed again here."""
    table = make_table("level", "left", "right", "keccak256(left, right)")
    node = compute_leaf_hash(proof.leaf)
    table.add_row("leaf", "", "", _mark(node))
    for level, sibling in enumerate(proof.siblings):
        on_left = proof.is_left >> level & 1
        left, right = (sibling, node) if on_left else (node, sibling)
        shown = (shorten(left), _mark(right)) if on_left else (_mark(left), shorten(right))
        node = keccak256(left + right)
        table.add_row(str(level + 1), *shown, _mark(node))
    table.add_row("", "", "", Text("= the state root" if node == state_root else "IS NOT the state root"))
    return table


def _mark(node: bytes) -> Text:
    """A node on the way."""
    return Text(shorten(node), style="bold")
