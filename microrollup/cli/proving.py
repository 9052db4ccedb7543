"""`microrollup prove`: what a settled field holds at a key, or that it holds nothing, under a state root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from microrollup.cli.directory import open_state
from microrollup.cli.output import Command, Output, hex0x, json_option, make_facts, make_table, shorten
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.schema import to_camel_case
from microrollup.crypto import keccak256
from microrollup.errors import RefusedError, UsageError
from microrollup.merkle.indexed import Leaf, Proof, compute_leaf_hash
from microrollup.reading import StateProof, get_field, prove_state
from microrollup.rollup import load_rollup
from microrollup.state import StateField

__all__ = ["describe_proof", "prove_command", "render_proof"]


@click.command("prove", cls=Command)
@app_argument
@click.argument("key", required=False)
@data_option()
@click.option("--field", metavar="NAME", help="Settled field; may be left out where the state has one settled map.")
@click.option("--height", type=click.IntRange(0), metavar="H", help="Height of the block [default: the newest].")
@json_option
def prove_command(
    app: str, key: str | None, directory: Path, field: str | None, height: int | None, output: Output
) -> None:
    """Prove that a key holds a value, or that it is absent.

    KEY is 0x-hex for bytes and addresses, decimal or 0x for integers, plain text for texts; a scalar field has none.
    The proof is checked before it is shown.
    """
    rollup = load_rollup(app)
    chosen = get_field(rollup, field)
    encoded = _read_key(chosen, key)
    with open_state(directory, rollup) as (environment, tree):
        proof = prove_state(environment, tree, chosen, encoded, height)
    output.show(describe_proof(chosen, proof), *render_proof(chosen, proof))


def _read_key(field: StateField, text: str | None) -> bytes:
    """The encoded key that a text means. Raises `UsageError`."""
    if field.key_type is None:
        if text:
            raise UsageError(f"{field.name} is a scalar field: it has no keys")
        return b""
    if text is None:
        raise UsageError(f"{field.name} is a map: name the KEY to prove")
    try:
        return field.encode_key(compile_json_reader(field.key_type, "KEY")(text))
    except RefusedError as error:
        raise UsageError(error.detail) from None


def describe_proof(field: StateField, proof: StateProof) -> dict[str, Any]:
    """The proof as programs read it; `value` is what the leaf commits to, null for an absent key."""
    shown_key = None if field.key_type is None else to_json_value(field.key_type, field.decode_key(proof.key))
    return {
        "key": shown_key,
        "exists": proof.exists,
        "value": hex0x(proof.value) if proof.exists else None,
        "leaf": describe_leaf(proof.proof.leaf),
        "leafIndex": proof.proof.leaf_index,
        "siblings": [hex0x(sibling) for sibling in proof.proof.siblings],
        "isLeft": proof.proof.is_left,
        "stateRoot": hex0x(proof.header.state_root),
        "height": proof.header.height,
        "field": proof.field,
        "encodedKey": hex0x(proof.key),
        "treeKey": hex0x(proof.tree_key),
        "stored": None if proof.stored is None else to_json_value(field.value_type, proof.stored),
    }


def describe_leaf(leaf: Leaf) -> dict[str, int | str]:
    """A leaf's members by name."""
    members = msgspec.structs.asdict(leaf).items()
    return {to_camel_case(name): hex0x(value) if isinstance(value, bytes) else value for name, value in members}


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
