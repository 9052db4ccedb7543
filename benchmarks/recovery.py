"""The limit of all that checks signatures: bare libsecp256k1 recovery, in the same number of processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Self

import coincurve

__all__ = ["BareRecovery"]


class BareRecovery:
    """Processes that recover public keys and do nothing else. Use it in a `with` statement."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        list(self._executor.map(_warm_up, range(4 * workers)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()

    def measure(self, digests: Sequence[bytes], signatures: Sequence[bytes]) -> float:
        """Seconds a signature, all processes working on an equal share of them."""
        shares = [
            (digests[first :: self._workers], signatures[first :: self._workers]) for first in range(self._workers)
        ]
        started = time.perf_counter()
        list(self._executor.map(_recover, shares))
        return (time.perf_counter() - started) / len(digests)


def _warm_up(_: int) -> None:
    time.sleep(0.02)


def _recover(share: tuple[Sequence[bytes], Sequence[bytes]]) -> None:
    recover = coincurve.PublicKey.from_signature_and_message
    for digest, signature in zip(*share, strict=True):
        recover(signature, digest, hasher=None)
