"""Money for development: a deposit on the local settlement, in the name of the vault that there is none of."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.execution.payload import encode_forced_payload
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.place import LocalPlace

from ..axiom.rpc.indexes import compute_deposit_hash
from .state import Plus
from .vault import MAX_AMOUNT, Deposit

__all__ = ["LocalDeposit", "deposit_locally"]


class LocalDeposit(Struct, frozen=True):
    """A deposit in the local settlement's queue."""

    index: int
    """Its place there."""
    id: int
    """The vault's number of it."""
    transaction_hash: bytes
    """32 bytes, by which `keystore_getTransactionReceipt` finds it."""


def deposit_locally(rollup: MicroRollup, directory: Path, key: bytes, amount: int) -> LocalDeposit:
    """Force a deposit of so many wei for a 32-byte key into the queue that a data directory's rollup reads.

    On this machine every process that may write into the directory can use the vault's name: money here is play money.
    Raises `UsageError` for a rollup that settles on Ethereum, that has no vault, or is another one.
    """
    place = find_place(directory, None)
    if not isinstance(place, LocalPlace):
        raise UsageError(f"{directory} settles on Ethereum: pay into the vault there, with `deposit`")
    state = rollup.genesis
    if not isinstance(state, Plus) or state.config.vault == ZERO_ADDRESS:
        raise UsageError(f"{rollup.name} has no vault: nobody can pay in")
    if not 0 < amount <= MAX_AMOUNT:
        raise UsageError("a deposit is of 1 wei or more, in 256 bits")
    with closing(LocalSettlement.open(Path(place.directory))) as inbox:
        if inbox.get_genesis().name != rollup.name:
            raise UsageError(f"{directory} is of the rollup {inbox.get_genesis().name!r}, not of {rollup.name!r}")
        number = time.time_ns()  # the vault counts; here two commands must not give one number
        payload = encode_forced_payload(rollup, Deposit(number, ZERO_ADDRESS, key, amount))
        index = inbox.force(payload, sender=state.config.vault)
    return LocalDeposit(index, number, compute_deposit_hash(index, amount, key))
