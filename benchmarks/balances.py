"""Row: transfers of Keystore+ among many accounts with balances, from records to checkpoints.

Each account was registered and then paid by one that has everything in the genesis; nothing is signed.
"""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from apps.keystore.accounts import Account, Keystore, compute_account_key
from apps.keystore.plus import app as plus
from apps.keystore.plus.state import Plus, Vault
from apps.keystore.plus.vault import Transfer
from apps.keystore.transitions import Register
from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import build_block, create_genesis
from benchmarks.workload import make_sender
from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Map, MicroRollup
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.ledger import Ledger

__all__ = ["measure"]

_BLOCK: Final = 1_000
_BUILT: Final = 2_500
"""Actions of a block while a store is filled: their records fit."""
_MOST: Final = 200_000
"""Balances of the large store: it is filled action by action, which takes five minutes for a million."""
_ROUNDS: Final = 12
_FUNDER: Final = 1 << 40
"""The number of who has everything."""
_GIVEN: Final = 10**18
_SEED: Final = 20_000
_CODE: Final = keccak256(b"validator")


def _make_key(number: int) -> bytes:
    return compute_account_key(ZERO_BYTES32, _CODE + _CODE, make_sender(number))


def _make_app() -> MicroRollup:
    key = _make_key(_FUNDER)
    genesis = Plus(
        keystore=Keystore(Map({key: Account(_CODE + _CODE, make_sender(_FUNDER))})),
        vault=Vault(balances=Map({key: 2**200})),
    )
    return MicroRollup(
        name=plus.name,
        version=plus.version,
        genesis=genesis,
        stfs=list(plus.stf_by_action.values()),
        envelopes=[envelope.cls for envelope in plus.envelopes.values()],
    )


class FilledStore:
    """A store of so many accounts with balances, and the nonces of their senders. Use it in a `with` statement."""

    def __init__(self, directory: Path, rollup: MicroRollup, accounts: int) -> None:
        self.accounts = accounts
        self.seconds: list[float] = []
        """What each block of transfers took; `cpu_seconds` likewise."""
        self.cpu_seconds: list[float] = []
        self._rollup = rollup
        self._nonces: dict[int, int] = {}
        self._random = random.Random(_SEED)
        self._ledger = Ledger.create(directory, rollup, create_genesis(rollup))
        self._fill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    def _sign(self, number: int, action: Action) -> Authenticated:
        nonce = self._nonces.get(number, 0)
        self._nonces[number] = nonce + 1
        sender = make_sender(number)
        action_hash = keccak256(sender + nonce.to_bytes(8, "big"))
        action_type = self._rollup.action_types.by_name[type(action).__name__]
        return Authenticated(
            action_type.encode_record(action, nonce, action_hash * 2 + b"\0"), sender, nonce, action_hash
        )

    def _fill(self) -> None:
        funder = _make_key(_FUNDER)
        for first in range(0, self.accounts, _BUILT):
            numbers = range(first, min(first + _BUILT, self.accounts))
            registers = [self._sign(number, Register(_CODE, _CODE, ZERO_BYTES32)) for number in numbers]
            build_block(self._ledger, registers)
            gifts = [Transfer(funder, _make_key(number), ZERO_ADDRESS, _GIVEN) for number in numbers]
            build_block(self._ledger, [self._sign(_FUNDER, gift) for gift in gifts])

    def transfer(self) -> None:
        """A block of transfers between accounts at random; note what it took."""
        pairs = [(self._random.randrange(self.accounts), self._random.randrange(self.accounts)) for _ in range(_BLOCK)]
        actions = [
            self._sign(payer, Transfer(_make_key(payer), _make_key(payee), ZERO_ADDRESS, 1)) for payer, payee in pairs
        ]
        started, used = time.perf_counter(), time.process_time()
        build_block(self._ledger, actions)
        self.seconds.append(time.perf_counter() - started)
        self.cpu_seconds.append(time.process_time() - used)

    def compute_costs(self) -> tuple[float, float]:
        """Microseconds per transfer, syncs of the tree's files included, and those of CPU."""
        return 1e6 * statistics.fmean(self.seconds) / _BLOCK, 1e6 * statistics.fmean(self.cpu_seconds) / _BLOCK


def measure(bench: Bench) -> list[Row]:
    """Few and many balances by turns."""
    rollup, sizes = _make_app(), (bench.sizes.growth[0], min(_MOST, bench.sizes.accounts))
    with ExitStack() as stack:
        stores = []
        for accounts in sizes:
            bench.say(f"filling a store of {accounts:,} balances")
            directory = bench.make_directory(f"balances-{accounts}")
            stores.append(stack.enter_context(FilledStore(directory, rollup, accounts)))
        fsync = bench.measure_fsync()
        rounds = _ROUNDS if bench.sizes.repetitions > 1 else 1
        for _ in range(rounds):
            for store in stores:
                store.transfer()
    costs, used = zip(*[store.compute_costs() for store in stores], strict=True)
    shown = ", ".join(f"{cost:.1f} us at {store.accounts:,}" for cost, store in zip(costs, stores, strict=True))
    return [
        make_size_row(
            "balances",
            f"cost per Transfer of Keystore+, {sizes[0]:,} to {sizes[1]:,} balances, blocks of {_BLOCK:,}",
            costs[1] / costs[0],
            "x",
            limit_name="flat",
            repetitions=rounds,
            fsync=fsync,
            points=tuple((store.accounts, cost) for store, cost in zip(stores, costs, strict=True)),
            cpu={f"writer at {store.accounts:,}": each for store, each in zip(stores, used, strict=True)},
            note=f"{shown}; unsigned, durable by groups of 1,000",
        )
    ]
