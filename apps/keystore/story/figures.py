"""The closing table: what it costs here, beside what was measured of others."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Final, Literal

import msgspec
from eth_abi.abi import encode as abi_encode
from rich.console import RenderableType

from microrollup.cli.output import make_table
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Leaf, Proof, compute_root
from microrollup.errors import ProofError

from ..proofs import encode_exclusion, encode_inclusion
from ..smart_account import estimate_overhead, load_creation_code
from ..smart_account.opening import MODE_CACHED, MODE_EXCLUSION, MODE_INCLUSION
from .acts import Story
from .chain import Chain
from .measure import measure_call

__all__ = ["Figure", "compute_figures", "make_figures_table"]

DEPTH: Final = 30
_CONFIG_BYTES: Final = 20
_SNAPSHOTS: Final = Path(__file__).parents[3] / "tests" / "foundry"
"""In a checkout; an installed package has none."""

_STACKUP: Final = {
    "inclusion": "Stackup, verifier mocked, 5 levels: 12,338 gas",
    "cached": "Stackup, verifier mocked, from its cache: 5,215 gas",
}

Origin = Literal["this run", "gas snapshot", "by formula"]


class Figure(msgspec.Struct, frozen=True):
    """A row."""

    what: str
    gas: int | None
    bytes: int | None
    origin: Origin
    peer: str


def compute_figures(story: Story) -> list[Figure]:
    """All rows. Those at depth 30 are measured on L2 A with made-up proofs of that depth."""
    return [*_measure_proofs(story.first), *_read_snapshots(), *_list_bytes(), *_list_run(story)]


def _make_proof(draw: random.Random, leaf: Leaf) -> Proof:
    sides = draw.getrandbits(DEPTH)
    return Proof(sides, leaf, tuple([draw.randbytes(32) for _ in range(DEPTH)]), sides)


def _measure_proofs(chain: Chain) -> list[Figure]:
    verifier, _ = chain.deploy(load_creation_code("KeystoreVerifier") + bytes(64))
    draw = random.Random(30)  # noqa: S311  # which proof it is makes no difference
    low, middle, high = sorted([draw.randbytes(32) for _ in range(3)])
    value_hash = draw.randbytes(32)
    present = _make_proof(draw, Leaf(1, 1, middle, 1, high, value_hash))
    absent = _make_proof(draw, Leaf(1, 1, low, 1, high, value_hash))
    included = ("isIncluded(bytes32,bytes32,bytes32,bytes)", [middle, value_hash], encode_inclusion(present))
    excluded = ("isExcluded(bytes32,bytes32,bytes)", [middle], encode_exclusion(absent))
    cases = (
        ("inclusion", "Axiom 7,422 gas, 1,632 bytes", present, *included),
        ("exclusion", "Axiom 7,866 gas, 1,760 bytes", absent, *excluded),
    )
    rows = []
    for name, peer, proof, signature, words, raw in cases:
        types = signature.partition("(")[2].removesuffix(")").split(",")
        data = keccak256(signature.encode())[:4] + abi_encode(types, [compute_root(proof), *words, raw])
        if int.from_bytes(chain.ask(verifier, data), "big") != 1:
            raise ProofError(f"the {name} that is measured is refused")
        gas = measure_call(chain, verifier, data, chain.funder)
        what = f"{name} proof at depth {DEPTH}, call of KeystoreVerifier"
        rows.append(Figure(what, gas, len(raw), "this run", peer))
    return rows


def _read_snapshots() -> list[Figure]:
    """What is under version control, measured by forge: libraries and validation at depth 30; in a checkout only."""
    proofs, accounts = _read_snapshot("keystore", "proofs"), _read_snapshot("accounts", "accounts")
    if not (proofs and accounts):
        return []
    rows = [
        Figure(
            f"{name} proof at depth {DEPTH}, the library alone", gas, size, "gas snapshot", "target: below 5,000 gas"
        )
        for name in ("inclusion", "exclusion")
        for gas, size in ((proofs[f"{name}.depth{DEPTH}.gas"], proofs[f"{name}.depth{DEPTH}.bytes"]),)
    ]
    for kind, told in (("no check", "without the validator, storage cold"), ("ECDSA", "ECDSA, storage cold")):
        for name in ("inclusion", "exclusion", "cached"):
            gas = accounts[f"validateUserOp, storage cold: {name}, {kind}"]
            size = accounts[f"signature bytes: {name}, ECDSA"]
            peer = _STACKUP.get(name, "") if kind == "no check" else ""
            rows.append(Figure(f"validateUserOp at depth {DEPTH}, {name}, {told}", gas, size, "gas snapshot", peer))
    return rows


def _read_snapshot(project: str, name: str) -> dict[str, int]:
    path = _SNAPSHOTS / project / "snapshots" / f"{name}.json"
    if not path.exists():
        return {}
    return {what: int(value) for what, value in json.loads(path.read_bytes()).items()}


def _list_bytes() -> list[Figure]:
    """What a proof adds to an operation at depth 30, by the encoding that the run's operations have."""
    return [
        Figure(
            f"operation's overhead at depth {DEPTH}, {name}",
            None,
            estimate_overhead(mode, DEPTH, _CONFIG_BYTES).signature_bytes,
            "by formula",
            "target: below 1,200 bytes",
        )
        for name, mode in (("inclusion", MODE_INCLUSION), ("exclusion", MODE_EXCLUSION), ("cached", MODE_CACHED))
    ]


def _list_run(story: Story) -> list[Figure]:
    """Validation as this run's operations had it, at the depth of its little tree."""
    return [
        Figure(f"validateUserOp at depth {story.depth}, {how}, all cold", gas, size, "this run", "")
        for how, gas in story.validation_gas.items()
        for size in (story.signature_bytes[how],)
    ]


def make_figures_table(figures: list[Figure]) -> RenderableType:
    """For people."""
    table = make_table("what", "gas", "bytes", "measured in", "others")
    for figure in figures:
        numbers = ["" if value is None else f"{value:,}" for value in (figure.gas, figure.bytes)]
        table.add_row(figure.what, *numbers, figure.origin, figure.peer)
    return table
