"""How settling goes and what is left of money and disk, for `/health` and `/metrics`. Asks neither disk nor network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from microrollup.chain.answers.standing import (
    BlobsStatus,
    PayerAnswer,
    PendingAnswer,
    SettlingFailure,
    SettlingStatus,
)
from microrollup.node.metrics import Metrics
from microrollup.node.observer import Observer
from microrollup.node.settling import Settler
from microrollup.settlement.payer import PayerStatus, Payments, PendingTransaction

__all__ = ["describe_blobs", "describe_settling", "watch_observer", "watch_settling"]

T = TypeVar("T")

_WEI: Final = 10**18


def describe_settling(settler: Settler, observer: Observer, payments: Payments | None, payer: bytes) -> SettlingStatus:
    """How settling goes; `payer` is the 20-byte address that pays for batches."""
    failure, now = settler.failures.newest, time.monotonic()
    pending = None if payments is None else payments.get_pending(payer)
    return SettlingStatus(
        unsettled_age=_round(settler.timing.oldest_age),
        quorum_missing=settler.quorum_missing,
        failure=None
        if failure is None
        else SettlingFailure(failure.kind, failure.reason, _round(now - failure.at), failure.count),
        pending=None
        if pending is None
        else PendingAnswer(
            pending.hash, pending.nonce, _round(now - pending.since), pending.cap, pending.blob_cap, pending.raised
        ),
        payer=None if observer.payer is None else _describe_payer(observer.payer, observer.payer_age),
        head_age=None if payments is None else _round(payments.get_head_age()),
    )


def _describe_payer(payer: PayerStatus, age: float | None) -> PayerAnswer:
    runway = None if payer.runway is None else _round(payer.runway)
    return PayerAnswer(
        payer.address, payer.balance, payer.batch_cost, runway, payer.fee_per_gas, payer.fee_per_blob_gas,
        _round(age or 0.0),
    )  # fmt: skip


def describe_blobs(observer: Observer) -> BlobsStatus | None:
    """The blobs in the data directory, as they were counted last."""
    found = observer.blobs
    if found is None:
        return None
    return BlobsStatus(found.count, found.bytes, found.unarchived, _find_age(found.oldest_unarchived))


def _find_age(since: float | None) -> float | None:
    return None if since is None else _round(max(0.0, time.time() - since))


def _round(seconds: float) -> float:
    return round(seconds, 3)


def watch_observer(metrics: Metrics, observer: Observer) -> None:
    """Let the metrics look at what a node saw of its disk."""
    watch = metrics.watch
    watch("disk_free_bytes", "Free where the data directory is.", lambda: observer.disk_free)
    watch("blobs", "Blobs of batches in the data directory.", lambda: _count_blobs(observer)[0])
    watch("blobs_bytes", "Their bytes.", lambda: _count_blobs(observer)[1])
    watch("blobs_unarchived", "Those that no archive has confirmed.", lambda: _count_blobs(observer)[2])
    watch(
        "blobs_unarchived_age_seconds", "Since the oldest of these was written; 0 without one.",
        lambda: 0.0 if (found := observer.blobs) is None else _find_age(found.oldest_unarchived) or 0.0,
    )  # fmt: skip


def watch_settling(
    metrics: Metrics, settler: Settler, observer: Observer, payments: Payments | None, payer: bytes
) -> None:
    """Let the metrics look at how settling goes; `payer` is the 20-byte address that pays for batches."""
    watch, timing = metrics.watch, settler.timing
    watch(
        "quorum_missing_blocks",
        "L1 blocks since a batch that lacks a quorum should have had one; 0 while there is none.",
        lambda: settler.quorum_missing,
    )
    watch(
        "unsettled_age_seconds", "Since the block of the oldest action that is not on L1; 0 if all are.",
        lambda: timing.oldest_age,
    )  # fmt: skip
    watch("settle_every_seconds", "What batches wait for by --settle-every.", lambda: timing.options.every)
    watch(
        "l1_head_age_seconds", "Since L1's newest known block.",
        lambda: None if payments is None else payments.get_head_age(),
    )  # fmt: skip
    _watch_payer(metrics, observer)
    _watch_pending(metrics, lambda: None if payments is None else payments.get_pending(payer))


def _watch_payer(metrics: Metrics, observer: Observer) -> None:
    watch = metrics.watch

    def read() -> PayerStatus:
        return _require(observer.payer)

    watch("l1_fee_per_gas_wei", "Base fee and tip on L1.", lambda: read().fee_per_gas)
    watch("l1_fee_per_blob_gas_wei", "Fee of blob gas on L1; 0 without blobs.", lambda: read().fee_per_blob_gas)
    watch("payer_balance_ether", "What the payer of batches has.", lambda: read().balance / _WEI)
    watch("payer_runway_batches", "Batches that L1 takes from this balance at present fees.", lambda: read().runway)
    watch("payer_age_seconds", "Since L1 said what the payer has.", lambda: observer.payer_age)
    watch("batch_cost_ether", "What a batch would cost now.", lambda: _require(read().batch_cost) / _WEI)


def _watch_pending(metrics: Metrics, read: Callable[[], PendingTransaction | None]) -> None:
    watch = metrics.watch
    watch(
        "pending_transaction_age_seconds", "Since a transaction was sent that is not included; 0 without one.",
        lambda: 0.0 if (found := read()) is None else time.monotonic() - found.since,
    )  # fmt: skip
    watch(
        "pending_transaction_fee_per_gas_wei", "What that transaction offers at most; 0 without one.",
        lambda: 0 if (found := read()) is None else found.cap,
    )  # fmt: skip
    watch(
        "pending_transaction_fee_per_blob_gas_wei", "What it offers for blob gas at most; 0 without blobs.",
        lambda: 0 if (found := read()) is None else found.blob_cap,
    )  # fmt: skip


def _require(value: T | None) -> T:
    """A value, or what makes the metric NaN."""
    if value is None:
        raise LookupError
    return value


def _count_blobs(observer: Observer) -> tuple[int, int, int]:
    found = observer.blobs
    return (0, 0, 0) if found is None else (found.count, found.bytes, found.unarchived)
