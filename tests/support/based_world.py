"""A based rollup on local L1s that are made of histories: two histories with a common beginning are a reorg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kernel_fixtures import OWNER, START, Signer, make_key, make_test_genesis
from microrollup import Action
from microrollup.based.following import follow_queue
from microrollup.chain.block import Header
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from zoo import zoo


class Call(msgspec.Struct, frozen=True):
    """A call of the inbox."""

    number: int
    """L1 block, counted from the rollup's start."""
    sender: str
    payload: bytes


def make_based_genesis(rollup: MicroRollup, verifiers: Sequence[bytes] = (), quorum: int = 1) -> Genesis:
    """The genesis of a based rollup."""
    genesis = msgspec.structs.replace(make_test_genesis(rollup), builder=ZERO_ADDRESS)
    if verifiers:
        genesis = msgspec.structs.replace(genesis, verifiers=tuple(sorted(verifiers)), quorum=quorum)
    return genesis


class BasedWorld:
    """Histories of L1, and ledgers that follow them."""

    def __init__(self, root: Path, rollup: MicroRollup = zoo, genesis: Genesis | None = None) -> None:
        self.root, self.rollup = root, rollup
        self.genesis = genesis or make_based_genesis(rollup)
        self.signer = Signer(rollup, self.genesis)
        self.seconds = 0.0

    def call(self, number: int, payload: bytes | Action, sender: str = "alice") -> Call:
        if isinstance(payload, Action):
            payload = encode_forced_payload(self.rollup, payload)
        return Call(number, sender, payload)

    @contextmanager
    def open_l1(self, name: str, history: Sequence[Call], ends: int) -> Iterator[LocalSettlement]:
        """The L1 of a history, `ends` blocks after the start."""
        first = START + 10

        def tell() -> float:
            return self.seconds

        self.seconds = float(first * SECONDS_PER_BLOCK)
        l1 = LocalSettlement.create(self.root / name, self.genesis, OWNER, self.rollup.oldest.stf_id, tell)
        try:
            for call in history:
                self.seconds = float((first + call.number) * SECONDS_PER_BLOCK)
                l1.force(call.payload, sender=compute_address(make_key(call.sender)))
            self.seconds = float((first + ends) * SECONDS_PER_BLOCK)
            yield l1
        finally:
            l1.close()

    def make_ledger(self, name: str) -> Ledger:
        return Ledger.create(self.root / name, self.rollup, self.genesis, audit=True)


def follow(ledger: Ledger, l1: LocalSettlement) -> int | None:
    """Follow an L1 up to its newest past block."""
    return follow_queue(ledger, l1, l1.get_number() - 1)


def list_headers(ledger: Ledger) -> list[Header]:
    return [ledger.get_header(height) for height in range(1, ledger.checkpoint.height + 1)]
