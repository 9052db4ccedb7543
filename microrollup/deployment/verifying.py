"""Others' blocks, or what L1 settled, executed again in a process and a store of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.deployment.workers import choose_workers
from microrollup.errors import MicrorollupError
from microrollup.keys.reference import KeyReference, NamedKey, open_key
from microrollup.replication.opening import ReplicaPlace
from microrollup.settlement.place import L1Place
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Report, VerifierProgress, VerifierRequest
from microrollup.verifier.launch import run_verifier

__all__ = ["make_request", "verify_blocks", "verify_together"]


def make_request(
    app: str,
    source: Path | str | None,
    directory: Path,
    *,
    l1: L1Place | None = None,
    key: KeyReference | NamedKey | None = None,
    signed: Path | None = None,
    rollup_id: bytes | None = None,
    workers: int | None = None,
    follow: bool = False,
    once: bool = False,
    replica: ReplicaPlace | None = None,
) -> VerifierRequest:
    """The request to the verifier's process, which works elsewhere: all paths are made absolute.

    `signed` is where the table of what the key has signed lies; by default beside the key's file, or in `directory`.
    `replica` is a log that holds it as well, for a key that may sign on more than one machine.
    """
    named = open_key(key) if isinstance(key, Path | str) else key
    return VerifierRequest(
        app=app,
        source=str(source.absolute()) if isinstance(source, Path) else source,
        directory=str(directory.absolute()),
        python_path=[str(Path(path).absolute()) for path in ["", *sys.path]],
        l1=l1,
        secret=named.key.secret.hex() if named is not None and isinstance(named.key, PrivateKey | BlsKey) else None,
        bls=named is not None and isinstance(named.key, BlsKey),
        signer=named.reference if named is not None and isinstance(named.reference, str) else None,
        rollup_id=None if rollup_id is None else rollup_id.hex(),
        workers=choose_workers(workers, source if isinstance(source, Path) else None),
        signed=str(signed.absolute()) if signed is not None else None if named is None else named.signed_path,
        follow=follow,
        once=once,
        replica=replica,
    )


def _ignore(_: VerifierProgress) -> None:
    return


def verify_blocks(
    request: VerifierRequest, on_progress: Callable[[VerifierProgress], None] = _ignore
) -> Report | DivergenceEvent:
    """Run the verifier's process to its end. Raises `MicrorollupError` if it could not do its work."""
    return _require_outcome(run_verifier(request, on_progress))


def verify_together(
    requests: Sequence[VerifierRequest], on_progress: Callable[[VerifierProgress], None] = _ignore
) -> list[Report | DivergenceEvent]:
    """Several at once, each in a process of its own; the progress is the first one's. Raises `MicrorollupError`."""
    first, *others = requests
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(run_verifier, request) for request in others]
        return [verify_blocks(first, on_progress), *[_require_outcome(each.result()) for each in running]]


def _require_outcome(outcome: Report | DivergenceEvent | ErrorEvent) -> Report | DivergenceEvent:
    if isinstance(outcome, ErrorEvent):
        raise MicrorollupError(outcome.message)
    return outcome
