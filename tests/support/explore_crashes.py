"""Crashes at every write of a small store whose rows are written out late: the whole exploration.

`python tests/support/explore_crashes.py [STEPS] [STATES] [SEED]`: random steps by four senders, of which every fifth
closes a block; then `CrashExplorer`, whose store has layers of 12 rows and slices of 4. Prints how many different
states were opened, of how many writes and syncs. A state that does not come back as it must ends it with an error that
names the write after which the crash came. `tests/testing/test_crashes.py` runs a short form.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Final

from machine_apps import Mint, Send, bank
from microrollup.logs import configure_logging
from microrollup.testing.crashes import CrashExplorer
from microrollup.testing.execution import ExecutionStep, Senders, force, next_block

SENDERS: Final = 4


def make_steps(count: int, seed: int) -> list[ExecutionStep]:
    """So many random steps; a fifth of them close a block, a tenth are forced, some sends are rejected."""
    rng, senders = Random(seed), Senders(SENDERS)
    steps: list[ExecutionStep] = []
    for _ in range(count):
        kind, sender, other = rng.random(), rng.choice(senders), rng.choice(senders)
        action = Mint(rng.randrange(1, 99)) if rng.random() < 0.5 else Send(other, rng.randrange(1, 60))
        if kind < 0.2:
            steps.append(next_block())
        elif kind < 0.3:
            steps.append(force(sender, action))
        else:
            steps.append((sender, action))
    return steps


def main() -> None:
    """See the module."""
    configure_logging()
    steps, states, seed = (
        int(sys.argv[place]) if len(sys.argv) > place else default for place, default in ((1, 110), (2, 26_000), (3, 1))
    )
    found = CrashExplorer(bank, make_steps(steps, seed), seed=seed).explore(states)
    sys.stdout.write(f"{found.states} different states of {found.events} writes and syncs, all right\n")


if __name__ == "__main__":
    main()
