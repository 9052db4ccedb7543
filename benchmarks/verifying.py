"""Row: a verifier that executes every action twice, beside one that executes each once (`verify --once`).

CPU time of one process that authenticates, executes and closes the same blocks, by turns.
"""

from __future__ import annotations

import time
from contextlib import closing

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import import_lines, open_sequencer, warm_pool
from benchmarks.measure import compare
from benchmarks.report import Row, make_ratio_row
from microrollup.chain.block import Block
from microrollup.execution.authentication import Authentication, Authenticator
from microrollup.execution.entry import is_signed_record
from microrollup.ledger.ledger import Ledger
from microrollup.verifier.source import StoreSource
from microrollup.verifier.verify import verify_block

__all__ = ["measure"]

_BLOCK_SIZE = 1_000
_ROUNDS = 4


def measure(bench: Bench) -> list[Row]:
    """Every round verifies all blocks into an empty store."""
    lines = bench.signed.lines[: bench.sizes.signed]
    directory = bench.make_directory("verified-source")
    with warm_pool(bench) as pool, open_sequencer(directory, _BLOCK_SIZE) as sequencer:
        import_lines(sequencer, pool, lines)
        root, accounts = sequencer.ledger.header.state_root, sequencer.ledger.checkpoint.sizes[0]
    with StoreSource(directory / "store") as source:
        genesis, blocks = source.genesis, [*source.read_blocks()]
    authenticator = Authenticator(app.action_types, genesis.domain)
    bench.say(f"verifying {len(lines):,} actions, executed twice and once")

    def run(*, twice: bool) -> float:
        with closing(Ledger.create(bench.make_directory("verified"), app, genesis)) as ledger:
            ledger.twice = twice
            started = time.process_time()
            for block in blocks:
                verify_block(ledger, block, None, _authenticate(authenticator, block))
            seconds = time.process_time() - started
            if ledger.header.state_root != root:
                raise AssertionError("the verified store has another state root")
        return seconds / len(lines)

    found = compare(lambda _: run(twice=True), lambda _: run(twice=False), _ROUNDS * bench.sizes.repetitions)
    more = 100 / found.ratio - 100
    note = f"CPU time, {len(lines):,} actions, signatures checked; the second execution takes {more:.0f} % more"
    return [
        make_ratio_row(
            "verifying",
            "a verifier that executes twice",
            found,
            limit_name="executing once",
            accounts=f"0 to {accounts:,}",
            cpu=found.name_cpu("the verifier", "executing once"),
            note=note,
        )
    ]


def _authenticate(authenticator: Authenticator, block: Block) -> list[Authentication]:
    return authenticator.authenticate_records([record for record in block.records if is_signed_record(record)])
