"""Random apps whose actions change many keys or large values; run under a memory limit that nothing can raise.

`python fan_apps.py FIRST COUNT SCALE`: for each app, whatever is acknowledged must close, open again and replay. With a
scale of 1 the budget is that of the kernel and the process has 1 GiB; with N an Nth of the budget, and of what the
process has beside Python and its libraries. Prints one line per app; ends with 0 if all is well.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from kernel_fixtures import Chain, Signer, fast_directory
from microrollup.chain.receipt import EXECUTED
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import ActionLimit
from microrollup.execution import budget
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.limits import MEMORY_BYTES
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.sequencer.sequencer import Sequenced
from microrollup.store.environment import Environment

MAP_SIZE: Final = 1 << 33

KEYS: Final = {"Uint64": "number", "Bytes32": 'number.to_bytes(32, "big")', "str": 'f"key {number}"'}
VALUES: Final = {
    "Bytes": "bytes(size)",
    "str": '"x" * size',
    "tuple[Uint8, ...]": "(7,) * size",
    "tuple[Uint32, ...]": "tuple(range(1_000, 1_000 + size))",
    "tuple[Pair, ...]": "tuple([Pair(index % 100, b'') for index in range(size // 4)])",
}


def write_app(rng: Random, name: str) -> str:
    """The source of an app with some maps, settled and not, and one action that fans out over one of them."""
    fields, cases = [], []
    for number in range(rng.randrange(1, 4)):
        key, value = rng.choice(list(KEYS)), rng.choice(list(VALUES))
        shape = f"Map[{key}, {value}]"
        mark = rng.randrange(3)
        fields.append(f"    field{number}: " + (f"Annotated[{shape}, metadata]" if mark == 0 else shape) + " = Map()")
        cases.append((number, KEYS[key], VALUES[value], rng.random() < 0.5))
    lines = [
        "from typing import Annotated",
        "import msgspec",
        "from microrollup import (",
        "    Action, Bytes, Bytes32, Context, Event, Map, MicroRollup, State,",
        "    Uint8, Uint32, Uint64, metadata, replace,",
        ")",
        "class Pair(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):",
        "    left: Uint8",
        "    right: Bytes",
        "class World(State, frozen=True):",
        *fields,
        "    count: Uint64 = 0",
        "class Done(Event, frozen=True):",
        "    body: Bytes",
        "class Fan(Action, frozen=True):",
        *[f"    {member}: Uint32" for member in ("field", "kind", "first", "count", "size", "event")],
        "def fan(state: World, action: Fan, ctx: Context) -> World:",
        "    size = action.size",
        "    ctx.emit(Done(bytes(action.event)))",
    ]
    for number, key, value, shared in cases:
        lines += [
            f"    if action.field == {number}:",
            f"        entries = state.field{number}",
            f"        value = {value}",
            "        for number in range(action.first, action.first + action.count):",
            f"            key = {key}",
            "            if action.kind == 0:",
            "                entries.get(key)",
            "            elif action.kind == 1:",
            "                entries = entries.delete(key)",
            "            else:",
            f"                entries = entries.set(key, {'value' if shared else value})",
            f"        return replace(state, field{number}=entries, count=state.count + 1)",
        ]
    lines += ["    return state", f"app = MicroRollup(name={name!r}, version='1', genesis=World(), stfs=[fan])", ""]
    return "\n".join(lines)


def make_action(rng: Random, module: Any, fields: int, scale: int) -> Any:
    """Few keys with large values, many with small ones, or whatever comes; now and then more than is allowed."""
    if rng.randrange(3) == 0:
        count, size = int(rng.uniform(0.02, 0.8) * budget.MAX_ENTRY_CHANGED_ROWS), rng.randrange(20)
    else:
        count = int(2 ** rng.uniform(0, 12)) // scale + 1
        size = int(rng.uniform(0.05, 0.8) * budget.MAX_ENTRY_CHANGED_BYTES) // count
    if rng.randrange(20) == 0:
        size *= 50
    kind = rng.choice((0, 1, 2, 2, 2, 2))
    return module.Fan(rng.randrange(fields), kind, rng.randrange(3) * count // 2, count, size, rng.choice((0, 10_000)))


def build(root: Path, module: Any, rng: Random, scale: int) -> None:
    """A chain as far as the app's actions are taken, a crash now and then, and a close at the end."""
    rollup: MicroRollup = module.app
    chain = Chain(root, rollup, map_size=MAP_SIZE)
    signer, taken, refused = Signer(rollup, chain.genesis), 0, 0
    for _ in range(rng.randrange(5, 16)):
        action = make_action(rng, module, len(rollup.state_fields) - 1, scale)
        (outcome,) = chain.submit(signer.sign(action, nonce=taken))
        if isinstance(outcome, Sequenced):
            assert EXECUTED == outcome.receipt.status
            taken += 1
        else:
            assert isinstance(outcome, ActionLimit), outcome
            refused += 1
        if rng.randrange(8) == 0:
            chain.reopen(abandon=True)
            gc.collect()
    assert taken == chain.ledger.next_seq
    chain.sequencer.close_block()
    sys.stdout.write(f"{rollup.name}: {taken} taken, {refused} refused, {chain.ledger.checkpoint.height} blocks\n")
    if rng.randrange(2):
        chain.ledger.close()
    chain.close()


def reopen(root: Path, module: Any) -> None:
    """What was acknowledged is there, whatever the last block was."""
    with Ledger.open(root / "builder", module.app, map_size=MAP_SIZE) as ledger:
        assert ledger.block is None
        for value, size in zip(msgspec.structs.astuple(ledger.state.app), ledger.checkpoint.sizes, strict=False):
            assert not isinstance(value, Map) or len(value) == size


def replay(root: Path, module: Any) -> None:
    """The log gives the same store again."""
    with (
        Environment(root / "builder", read_only=True, map_size=MAP_SIZE) as source,
        AuthenticationPool(module.__name__, read_genesis(source).domain, 0) as pool,
    ):
        ledger = replay_log(source, module.app, root / "replayed", pool)
        ledger.sync_tree()
        assert [] == compare_stores(source, ledger.environment)
        ledger.abandon()


def run_alone(work: Callable[[], None]) -> bool:
    """Run something in a process of its own, which has no store open yet; whether it ended well."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        work()
        sys.stdout.flush()
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def run_app(directory: Path, number: int, scale: int) -> None:
    """All stages of one app, each under the limit alone."""
    rng, name = Random(number), f"fan_app_{number}"
    (directory / f"{name}.py").write_text(write_app(rng, name))
    module, root = importlib.import_module(name), directory / f"{name}.d"
    stages = (lambda: build(root, module, rng, scale), lambda: reopen(root, module), lambda: replay(root, module))
    for stage, work in zip(("build", "reopen", "replay"), stages, strict=True):
        if not run_alone(work):
            sys.exit(f"app {number}: {stage} did not end well")
    shutil.rmtree(root)


def measure_memory() -> int:
    """Bytes that count against RLIMIT_DATA."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData")]
    return 1024 * int(line.split()[1])


def main() -> None:
    """See the module."""
    first, count, scale = map(int, sys.argv[1:])
    for name in ("ENTRY", "BLOCK"):
        for what in ("ROWS", "BYTES"):
            limit = f"MAX_{name}_CHANGED_{what}"
            setattr(budget, limit, getattr(budget, limit) // scale)
    used = measure_memory()
    most = used + (MEMORY_BYTES - used) // scale
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with fast_directory() as directory:
        sys.path.insert(0, str(directory))
        for number in range(first, first + count):
            run_app(directory, number, scale)


if __name__ == "__main__":
    main()
