"""What the rows of one run share: sizes, a directory, and the costly things that are made once and used again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.child_build import Build, build_store_apart
from benchmarks.measure import Fsync, measure_fsync
from benchmarks.signing import SignedWork, sign_work
from benchmarks.stores import Store
from benchmarks.workload import Population

__all__ = ["FULL", "QUICK", "TINY", "Bench", "Sizes"]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much work a run does."""

    accounts: int
    """Of the large store, and of the fold in memory."""
    updates: int
    """Actions after those accounts' registrations, for the memory row."""
    growth: tuple[int, ...]
    """Accounts at which the cost per action is taken, besides `accounts`."""
    block_sizes: tuple[int, ...]
    fold: int
    """Actions of one repetition in memory: a group as the authentication pool hands it to the sequencer."""
    growth_actions: int
    """Actions at each size of store: enough for the tree's files to be synced on the way."""
    signed: int
    """Signed lines of one repetition."""
    signed_rounds: int
    segmented: int
    """Actions of the history that is verified in segments."""
    settled: tuple[int, ...]
    """Actions of the batches that are settled on an L1, in this order."""
    tree_updates: int
    back: int
    """How many heights back an old proof is taken."""
    proofs: int
    peer_events: int
    stackr: tuple[int, ...]
    """Accounts that are there before Stackr's SDK and ours execute actions."""
    stackr_actions: int
    stackr_seconds: float
    """The most that the SDK may take for them; 0 to do without it."""
    repetitions: int


FULL: Final = Sizes(
    accounts=1_000_000,
    updates=1_000_000,
    growth=(1_000, 10_000, 100_000),
    block_sizes=(1_000, 3_200),
    fold=250,
    growth_actions=26_000,
    signed=10_000,
    signed_rounds=5,
    segmented=200_000,
    settled=(1, 1_000, 6_000),
    tree_updates=1_000,
    back=200,
    proofs=500,
    peer_events=5_000,
    stackr=(100, 1_000, 5_000),
    stackr_actions=100,
    stackr_seconds=10,
    repetitions=7,
)

QUICK: Final = Sizes(
    accounts=30_000,
    updates=30_000,
    growth=(1_000, 10_000),
    block_sizes=(1_000,),
    fold=250,
    growth_actions=4_000,
    signed=3_000,
    signed_rounds=3,
    segmented=3_000,
    settled=(1, 1_000),
    tree_updates=1_000,
    back=20,
    proofs=100,
    peer_events=500,
    stackr=(100,),
    stackr_actions=20,
    stackr_seconds=5,
    repetitions=3,
)

TINY: Final = Sizes(
    accounts=400,
    updates=100,
    growth=(100,),
    block_sizes=(50,),
    fold=100,
    growth_actions=100,
    signed=20,
    signed_rounds=1,
    segmented=60,
    settled=(1, 10),
    tree_updates=20,
    back=2,
    proofs=5,
    peer_events=20,
    stackr=(6,),
    stackr_actions=10,
    stackr_seconds=0,
    repetitions=1,
)
"""For tests: every row runs, no figure means anything."""


class Bench:
    """One run. `say` tells people what is going on."""

    def __init__(self, directory: Path, sizes: Sizes, workers: int, say: Callable[[str], None]) -> None:
        self.directory = directory
        self.sizes = sizes
        self.workers = workers
        """Processes that authenticate, and that bare recovery runs in: one per core."""
        self.say = say
        self._names = 0

    def make_directory(self, name: str) -> Path:
        """A path of its own below the run's directory; nothing is there yet."""
        self._names += 1
        return self.directory / f"{self._names:02}-{name}"

    def measure_fsync(self) -> Fsync:
        """Sync latency now, where the stores are."""
        return measure_fsync(self.directory)

    @cached_property
    def built(self) -> Build:
        """What building the large store took, in a process of its own."""
        sizes = self.sizes
        self.say(f"building a store of {sizes.accounts:,} accounts and {sizes.updates:,} updates of them")
        return build_store_apart(self.make_directory("large"), sizes.accounts, sizes.updates)

    @cached_property
    def store(self) -> Store:
        """The large store."""
        built = self.built
        population = Population(built.accounts)
        population.make_updates(built.updates)  # its nonces are where the store's are
        return Store(Path(built.directory), population)

    @cached_property
    def signed(self) -> SignedWork:
        """Signed lines for all repetitions."""
        count = self.sizes.signed * self.sizes.signed_rounds
        self.say(f"signing {count:,} actions")
        return sign_work(count, self.workers)
