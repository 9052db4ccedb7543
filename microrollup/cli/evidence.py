"""`microrollup evidence` and `microrollup challenge`: whether a builder or a verifier broke his word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microrollup.chain.receipt_proof import InboxDomain
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.deployment.challenging import (
    compare_sources,
    make_challenge,
    read_acknowledgement,
    read_evidence,
    write_evidence,
)
from microrollup.errors import AcknowledgementError, ProofError, UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.evidence import Evidence, Judged, KnownFacts, judge
from microrollup.settlement.place import L1Place

__all__ = ["challenge_command", "evidence_command"]

_WORDS = {
    "equivocated": "CONVICTED: the signer contradicts himself.",
    "broken": "CONVICTED: the promise is broken.",
    "honoured": "The promise is kept.",
    "rebuilt": "The promise gave way to a rebuild that was announced.",
    "open": "The promise is open.",
}


@click.command("evidence", cls=Command)
@click.argument("file", type=PATH)
@click.option(
    "--between",
    nargs=2,
    metavar="SOURCE SOURCE",
    help="Look in two sources (files, stores, nodes) for blocks that contradict each other; write FILE.",
)
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Refuse evidence about another rollup.")
@click.option("--signer", type=hex_bytes(20), metavar="ADDRESS", help="Refuse evidence against anybody else.")
@click.option(
    "--block-hash", type=hex_bytes(32), metavar="HASH", help="The block that L1 settled, at which a challenge ends."
)
@click.option("--chain-id", type=click.IntRange(0, 2**64 - 1), metavar="N", help="Of the L1 of the rollup's inbox.")
@click.option("--inbox", type=hex_bytes(20), metavar="ADDRESS", help="The rollup's inbox [default: the zero address].")
@json_option
def evidence_command(
    file: Path,
    between: tuple[str, str] | None,
    rollup_id: bytes | None,
    signer: bytes | None,
    block_hash: bytes | None,
    chain_id: int | None,
    inbox: bytes | None,
    output: Output,
) -> int:
    """Judge evidence against a builder or a verifier, offline.

    FILE holds two seals, two attestations, or a challenge of an acknowledgement. What is not named here is taken from
    the file and listed as unchecked. Exit code 0: it convicts, or the promise was kept or is open; 1: it shows nothing.
    With --between FILE is written if the two sources contradict each other, and exit code 1 says that they do not.
    """
    if inbox is not None and chain_id is None:
        raise UsageError("--inbox needs --chain-id: a signature is for one inbox on one chain")
    domain = None if chain_id is None else InboxDomain(chain_id, ZERO_ADDRESS if inbox is None else inbox)
    known = KnownFacts(rollup_id, domain, signer, block_hash)
    if between is None:
        return _show(read_evidence(file), known, output)
    found = compare_sources(*between)
    if found is None:
        output.show({"found": False}, "The two sources hold no two seals that contradict each other.")
        return EXIT_FAILED
    write_evidence(file, found)
    return _show(found, known, output)


@click.command("challenge", cls=Command)
@click.argument("file", type=PATH)
@click.option("--from", "url", required=True, metavar="URL", help="A node that serves the rollup.")
@click.option("--out", type=PATH, metavar="FILE", help="Write the challenge, which `microrollup evidence` judges.")
@l1_options
@json_option
def challenge_command(file: Path, url: str, out: Path | None, l1: L1Place | None, output: Output) -> int:
    """Hold an acknowledgement against the settled history.

    FILE holds a signed acknowledgement as a node answered it. The history comes from a node, whom nobody has to trust:
    it must end in the block that L1 settled. Exit code 0: a verdict was reached; 1: what the node gave shows nothing.
    """
    if l1 is None:
        raise UsageError("name the L1 that settles the rollup: --l1 DIR, or --l1-url URL with --inbox ADDRESS")
    challenge, known = make_challenge(read_acknowledgement(file), url, l1)
    if out is not None:
        write_evidence(out, challenge)
    return _show(challenge, known, output)


def _show(evidence: Evidence, known: KnownFacts, output: Output) -> int:
    try:
        verdict = judge(evidence, known)
    except (ProofError, AcknowledgementError) as error:
        found = {"valid": False, "error": type(error).__name__, "detail": str(error)}
        output.show(found, "The evidence shows nothing:", str(error))
        return EXIT_FAILED
    output.show(_describe(verdict), *_render(verdict))
    return 0


def _describe(verdict: Judged) -> dict[str, Any]:
    return {
        "valid": True,
        "convicts": verdict.convicts,
        "outcome": verdict.outcome,
        "signer": hex0x(verdict.signer),
        "rollupId": hex0x(verdict.rollup_id),
        "height": verdict.height,
        "shown": verdict.shown,
        "unchecked": list(verdict.unchecked),
    }


def _render(verdict: Judged) -> list[Any]:
    facts: dict[str, object] = {
        "signer": hex0x(verdict.signer),
        "what": verdict.shown,
        "rollup": hex0x(verdict.rollup_id),
    }
    lists: list[Any] = [_WORDS[verdict.outcome], make_facts(facts)]
    if verdict.unchecked:
        lists += ["", "Not checked:", *[f"  {sentence}" for sentence in verdict.unchecked]]
    return lists
