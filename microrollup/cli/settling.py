"""`microrollup settle`: hand attested batches to the settlement, as the builder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import click
import msgspec

from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options, proof_option
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import PATH, app_argument
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.attesting import gather_attestations, settle_based
from microrollup.deployment.directory import open_rollup
from microrollup.deployment.place_file import find_place
from microrollup.deployment.settling import parse_attestations, settle_batches
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.proofs import ProofSource

__all__ = ["settle_command"]

_MAX_FILE_BYTES: Final = 64 << 20


@click.command("settle", cls=Command)
@app_argument
@click.option("--data", "directory", type=PATH, metavar="DIR", help="The data directory of the rollup that is settled.")
@l1_options
@click.option(
    "--attestations",
    "files",
    multiple=True,
    metavar="FILE",
    help="Take what `verify --json` printed, one file per verifier; `-`: standard input; repeatable.",
)
@click.option(
    "--from",
    "urls",
    multiple=True,
    metavar="URL",
    help="Of a based rollup: gather attestations from this verifier, `verify --serve`; repeatable.",
)
@proof_option
@click.option("--key", type=PATH, metavar="KEYFILE", help="With --from: settle from this key; it pays the gas.")
@json_option
def settle_command(
    app: str,
    directory: Path | None,
    l1: L1Place | None,
    files: tuple[str, ...],
    urls: tuple[str, ...],
    proofs: tuple[ProofSource, ...],
    key: Path | None,
    output: Output,
) -> int:
    """Hand attested blocks to the settlement.

    Nothing settles without the attestations of a quorum, and nothing is settled twice. A based rollup is settled by
    anybody, with what its verifiers serve. Exit code 1: one of these did not answer, or nothing new is attested.
    """
    if (not urls) == (not files) or (key is None) != (not urls):
        raise UsageError("give the --attestations of a builder's blocks, or --from and --key for a based rollup")
    if key is not None:
        if l1 is None and directory is None:
            raise UsageError("name the inbox: --l1-url and --inbox, or --l1, or a directory that knows it with --data")
        return _settle_based(find_place(directory or Path(), l1), urls, key, proofs, output)
    if directory is None:
        raise UsageError("--attestations are of the blocks in a data directory: name it with --data")
    attestations = [attestation for file in files for attestation in parse_attestations(_read_file(file))]
    with open_rollup(directory, load_rollup(app), l1=l1) as opened:
        ranges = settle_batches(opened, attestations, proofs)
        head = opened.l1.get_settled()
    document = {
        "settled": head.height,
        "stateRoot": hex0x(head.state_root),
        "blockHash": hex0x(head.block_hash),
        "l1Number": head.l1_number,
        "batches": [msgspec.to_builtins(settled) for settled in ranges],
    }
    facts = {"settled": f"height {head.height}", "state root": document["stateRoot"], "L1 block": head.l1_number}
    table = make_table("heights", "bytes", "attestations")
    for settled in ranges:
        table.add_row(f"{settled.first_height} to {settled.last_height}", str(settled.bytes), str(settled.attestations))
    output.show(document, make_facts(dict(facts)), table if ranges else None)
    return 0


def _settle_based(
    place: L1Place, urls: tuple[str, ...], key: Path, proofs: tuple[ProofSource, ...], output: Output
) -> int:
    secret = read_key(key)
    served, failed = gather_attestations(urls)
    with closing(open_l1(place, [secret])) as inbox:
        head = settle_based(inbox, secret, served, proofs)
        settled = inbox.get_settled() if head is None else head
    document = {
        "settled": settled.height,
        "stateRoot": hex0x(settled.state_root),
        "blockHash": hex0x(settled.block_hash),
        "l1Number": settled.l1_number,
        "attestations": len(served),
        "failed": failed,
    }
    news = "settled now" if head is not None else f"none: {'nothing more' if served else 'nothing yet'} is attested"
    facts: dict[str, object] = {"settled": f"height {settled.height}", "news": news}
    facts |= {f"no answer from {url}": reason for url, reason in failed.items()}
    output.show(document, make_facts(facts))
    return EXIT_FAILED if head is None or failed else 0


def _read_file(file: str) -> bytes:
    with open_input(file) as opened:
        raw = opened.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"{file} is larger than any list of attestations")
    return raw
