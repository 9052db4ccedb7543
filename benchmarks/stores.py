"""Stores of made-up accounts, built through the ledger as any import would, and reused by all rows that need one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from apps.keystore import app
from benchmarks.workload import Population
from microrollup.chain.record import Genesis, Open, Seal
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.authentication import Authenticated
from microrollup.execution.entry import make_signed_entry
from microrollup.execution.stf import Entry
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_BLOCK_RECORD_BYTES

__all__ = [
    "BUILDER",
    "GROUP",
    "LARGE_BLOCK",
    "MADE_UP_SEAL",
    "Store",
    "begin_block",
    "build_block",
    "build_store",
    "create_genesis",
    "create_ledger",
    "execute_block",
    "make_entries",
]

BUILDER: Final[PrivateKey] = load_private_key(b"\x01" * 32)
VERIFIER: Final[PrivateKey] = load_private_key(b"\x02" * 32)

GROUP: Final = 1_000
"""Actions that are executed and committed together."""

L1_SECONDS: Final = 12
MADE_UP_SEAL: Final = Seal(0, bytes(65), "made up: unsigned benchmark input")
_REGISTER_BYTES: Final = len(Population().make_registers(1)[0].record)

LARGE_BLOCK: Final = MAX_BLOCK_RECORD_BYTES // (_REGISTER_BYTES + 36) // 100 * 100
"""The largest block of keystore actions, in whole hundreds: an update is up to 36 bytes longer than a register."""


def create_genesis(rollup: MicroRollup = app) -> Genesis:
    """A rollup's genesis of a little while ago, by default a keystore's."""
    start = int(time.time()) // L1_SECONDS - 2
    return make_genesis(
        rollup,
        builder=compute_address(BUILDER),
        verifiers=(compute_address(VERIFIER),),
        quorum=1,
        l1_start=start,
        genesis_time=start * L1_SECONDS,
        l1_chain_id=31337,
    )


def create_ledger(directory: Path) -> Ledger:
    """A new keystore with no accounts."""
    return Ledger.create(directory, app, create_genesis())


def make_entries(actions: Sequence[Authenticated], rollup: MicroRollup = app) -> list[Entry]:
    """Stored records made ready to execute, as sequencer and replay do."""
    return [make_signed_entry(rollup, action) for action in actions]


def begin_block(ledger: Ledger) -> None:
    """Open the next block; no time passes in made-up work."""
    header = ledger.header
    ledger.begin(Open(header.height + 1, header.timestamp, header.l1_origin, ledger.rollup.stf_id))


def execute_block(ledger: Ledger, entries: Sequence[Entry]) -> None:
    """Open a block, execute entries and make them durable; it stays open."""
    begin_block(ledger)
    ledger.execute(entries)
    ledger.commit()


def build_block(ledger: Ledger, actions: Sequence[Authenticated], group: int = GROUP) -> None:
    """One block, from records to checkpoint: decoded, executed and made durable by groups; its seal is made up."""
    begin_block(ledger)
    for first in range(0, len(actions), group):
        ledger.execute(make_entries(actions[first : first + group], ledger.rollup))
        ledger.commit()
    ledger.finish(ledger.compute_header(), MADE_UP_SEAL)


def build_store(directory: Path, accounts: int, block_size: int = LARGE_BLOCK) -> Population:
    """A store of that many registered accounts, and who owns them."""
    population = Population()
    with create_ledger(directory) as ledger:
        while population.accounts < accounts:
            build_block(ledger, population.make_registers(min(block_size, accounts - population.accounts)))
    return population


class Store:
    """A built store with its population. Rows that add to it go through one open ledger at a time."""

    def __init__(self, directory: Path, population: Population) -> None:
        self.directory = directory
        self.population = population

    def open(self) -> Ledger:
        """The ledger over it; close it again."""
        return Ledger.open(self.directory, app)
