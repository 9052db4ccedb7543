"""Rows: verifying an exported file, all of it in one process, beside what recovering its signatures alone takes.

CPU time of the command `microrollup verify`, which starts a verifier's process; what it takes before the first block is
in the figure, and named.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Final

import coincurve

from benchmarks.context import Bench
from benchmarks.importing import APP, import_lines, open_sequencer, warm_pool
from benchmarks.measure import Comparison
from benchmarks.recovery import IN_C, WRAPPER
from benchmarks.report import Row, make_ratio_row
from benchmarks.subprocesses import read_children_cpu, run_python
from microrollup.crypto.ecdsa import recover_addresses

__all__ = ["measure"]

_SHARES: Final = 2
"""Of the signed lines, each as large as what one repetition of other rows takes."""
_MOST_TURNS: Final = 3


def measure(bench: Bench) -> list[Row]:
    """The same verification beside libsecp256k1 called from Python, and from C with the address of each key."""
    count = min(_SHARES, bench.sizes.signed_rounds) * bench.sizes.signed
    signed = bench.signed
    lines, digests, signatures = signed.lines[:count], signed.digests[:count], signed.signatures[:count]
    short, _, _ = _export(bench, lines[:1])
    file, root, accounts = _export(bench, lines)
    bench.say(f"verifying an export of {count:,} actions")
    found: list[tuple[float, float, float]] = []
    starting: list[float] = []
    for _ in range(min(_MOST_TURNS, bench.sizes.repetitions)):
        starting.append(_verify(short))
        taken = _verify(file, root)
        started = time.process_time()
        recover_addresses(digests, signatures)
        between = time.process_time()
        for digest, signature in zip(digests, signatures, strict=True):
            coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
        found.append((taken, between - started, time.process_time() - between))
    first = statistics.median(starting)
    ours = statistics.median(each[0] for each in found)
    note = (
        f"CPU of the command and its verifier, every action executed twice; {first:.2f} s of it for one block alone, "
        f"{1e6 * (ours - first) / count:.0f} us per action without that; {file.stat().st_size / count:.0f} bytes"
        " per action in the file"
    )
    what = f"verifying a file of {count:,} actions, from 0 to {accounts:,} accounts"
    in_c, wrapper = _compare(found, 1, count), _compare(found, 2, count)
    ours_name = "the command with its verifier"
    return [
        make_ratio_row("export", what, in_c, limit_name=IN_C, cpu=in_c.name_cpu(ours_name, "C"), note=note),
        make_ratio_row(
            "export",
            "the same beside recovery from Python",
            wrapper,
            limit_name=WRAPPER,
            accounts=f"0 to {accounts:,}",
            cpu=wrapper.name_cpu(ours_name, "the wrapper"),
        ),
    ]


def _compare(found: list[tuple[float, float, float]], limit: int, count: int) -> Comparison:
    ratios = sorted(each[limit] / each[0] for each in found)
    ours, bare = (statistics.median(each[place] for each in found) / count for place in (0, limit))
    return Comparison(ours, bare, ratios[0], ratios[-1], len(found))


def _export(bench: Bench, lines: list[bytes]) -> tuple[Path, str, int]:
    """A file with these actions in closed blocks, the state root after them, and the accounts."""
    directory = bench.make_directory("exported")
    with warm_pool(bench) as pool, open_sequencer(directory) as sequencer:
        import_lines(sequencer, pool, lines)
        root, accounts = sequencer.ledger.header.state_root.hex(), sequencer.ledger.checkpoint.sizes[0]
    file = directory / "blocks"
    run_python("-m", "microrollup", "export", APP, "--data", str(directory / "store"), "--out", str(file))
    return file, root, accounts


def _verify(file: Path, root: str | None = None) -> float:
    """Seconds of CPU of the command and of what it starts; the blocks end in that state root, if one is named."""
    before = read_children_cpu()
    report = json.loads(run_python("-m", "microrollup", "verify", APP, "--from", str(file), "--workers", "0", "--json"))
    used = read_children_cpu() - before
    if root is not None and report["stateRoot"] != f"0x{root}":
        raise AssertionError("the verified blocks end in another state root")
    return used
