"""The limits of all that checks signatures, in the same number of processes: recovery alone, by a wrapper and in C."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, Self

import coincurve

from benchmarks.measure import list_processes, read_cpu_seconds
from microrollup.crypto.ecdsa import recover_addresses

__all__ = ["IN_C", "WRAPPER", "BareRecovery"]

WRAPPER: Final = "bare recovery, same cores"
"""The limit's name: public keys by coincurve's class, in a loop of Python."""

IN_C: Final = "recovery and address in C, same cores"
"""libsecp256k1's recovery, serialisation and keccak256 in one loop of C; without the native helper a loop of Python."""

_Share = tuple[Sequence[bytes], Sequence[bytes]]


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
        """Seconds a signature by the wrapper, all processes working on an equal share of them."""
        return self._measure(_recover, digests, signatures)

    def measure_in_c(self, digests: Sequence[bytes], signatures: Sequence[bytes]) -> float:
        """The same to addresses, and in C."""
        return self._measure(_recover_in_c, digests, signatures)

    def read_cpu(self) -> float:
        """Seconds of CPU that the processes have taken until now."""
        return read_cpu_seconds(list_processes(self._executor))

    def _measure(self, work: Callable[[_Share], None], digests: Sequence[bytes], signatures: Sequence[bytes]) -> float:
        shares = [
            (digests[first :: self._workers], signatures[first :: self._workers]) for first in range(self._workers)
        ]
        started = time.perf_counter()
        list(self._executor.map(work, shares))
        return (time.perf_counter() - started) / len(digests)


def _warm_up(_: int) -> None:
    time.sleep(0.02)


def _recover(share: _Share) -> None:
    recover = coincurve.PublicKey.from_signature_and_message
    for digest, signature in zip(*share, strict=True):
        recover(signature, digest, hasher=None)


def _recover_in_c(share: _Share) -> None:
    recover_addresses(*share)
