"""Proofs for the rules of a verifier set: where provers leave them, and which of them a batch needs.

A prover computes the statement of the batch that is to be settled, as verifiers do, and leaves its proof under that
name: `PLACE/0x<64 hex digits>`, a file in a directory or an answer to GET. What is not there yet is asked for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from microrollup.codec.json import read_hex
from microrollup.errors import MicrorollupError, RefusedError, UsageError
from microrollup.settlement.quorum import BatchProof
from microrollup.settlement.verifiers import REQUIRE, VerifierRule, VerifierSet

__all__ = ["MAX_PROOF_BYTES", "GatheredProofs", "ProofBook", "ProofSource", "read_proof_source"]

MAX_PROOF_BYTES: Final = 32_768
"""Of one proof: four of them, twice over for their padding, still fit into a transaction that L1's nodes take."""

_SECONDS: Final = 5.0
"""For one answer, whatever comes."""

_PAUSE_SECONDS: Final = 15.0
"""A place that failed is left alone for so long: it must not hold up the settling of batches that do without it."""


class ProofSource(msgspec.Struct, frozen=True):
    """Where the proofs for one contract are."""

    verifier: bytes
    """The contract's 20-byte address, as the set's rule names it."""
    place: str
    """A URL, or a directory."""


class GatheredProofs(msgspec.Struct, frozen=True):
    """What there is for a batch."""

    proofs: tuple[BatchProof, ...]
    """In the order of the rules."""
    weight: int
    """As how many verifiers they count."""
    missing: tuple[str, ...]
    """Why a rule that requires a proof has none, or one that would be needed to count has none."""

    def is_enough(self, verifiers: VerifierSet, signed: int) -> bool:
        """Whether a batch with so many verifiers' signatures can settle with these."""
        given = {proof.rule for proof in self.proofs}
        required = {index for index, rule in enumerate(verifiers.rules) if rule.kind == REQUIRE}
        return required <= given and signed + self.weight >= verifiers.quorum


def read_proof_source(text: str) -> ProofSource:
    """Of `ADDRESS=PLACE`. Raises `UsageError`."""
    address, _, place = text.partition("=")
    try:
        verifier = read_hex(address, "")
    except RefusedError:
        verifier = b""
    if len(verifier) != 20 or not place:
        raise UsageError(
            f"{text!r} is not ADDRESS=URL or ADDRESS=DIR: the contract of a rule, and where its proofs are"
        )
    return ProofSource(verifier, place if _is_url(place) else str(Path(place).absolute()))


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


class _NoProofError(Exception):
    """There is none; the text says why. `pause`: so long it is of no use to ask again."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class ProofBook:
    """The proofs of one statement at a time. Belongs to the thread that settles."""

    def __init__(self, sources: Sequence[ProofSource] = (), clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `UsageError` for a contract with two places."""
        self._places = {source.verifier: source.place for source in sources}
        if len(self._places) != len(sources):
            raise UsageError("the proofs of a contract are at one place: it is named twice")
        self._clock = clock
        self._statement = b""
        self._found: dict[bytes, bytes] = {}
        self._refused: dict[bytes, bytes] = {}
        self._quiet: dict[bytes, tuple[float, str]] = {}

    def gather(self, verifiers: VerifierSet, statement: bytes, signed: int) -> GatheredProofs:
        """What a batch with so many signatures needs beside them, as far as it is there; raises nothing.

        `statement` is the 32-byte digest that verifiers sign. Proofs that count are asked for only while signatures are
        too few: a prover cannot spoil a batch that does without.
        """
        if statement != self._statement:
            self._statement, self._found, self._refused = statement, {}, {}
        proofs: dict[int, bytes] = {}
        weight, missing = 0, []
        for index in sorted(range(len(verifiers.rules)), key=lambda index: verifiers.rules[index].kind != REQUIRE):
            rule = verifiers.rules[index]
            if rule.kind != REQUIRE and signed + weight >= verifiers.quorum:
                break
            try:
                proofs[index] = self._find(rule)
                weight += rule.weight
            except _NoProofError as error:
                missing.append(f"rule {index}, 0x{rule.verifier.hex()}: {error}")
        ordered = tuple([BatchProof(index, proofs[index]) for index in sorted(proofs)])
        return GatheredProofs(ordered, weight, tuple(missing))

    def refuse(self, verifier: bytes) -> None:
        """The contract said no to what was found of it: its place has to bring something else."""
        found = self._found.pop(verifier, None)
        if found is not None:
            self._refused[verifier] = found

    def _find(self, rule: VerifierRule) -> bytes:
        found = self._found.get(rule.verifier)
        if found is not None:
            return found
        place = self._places.get(rule.verifier)
        if place is None:
            raise _NoProofError("no place of its proofs is named, --proof")
        until, reason = self._quiet.get(rule.verifier, (0.0, ""))
        if self._clock() < until:
            raise _NoProofError(reason)
        try:
            proof = _fetch(place, f"0x{self._statement.hex()}")
        except _NoProofError as error:
            self._quiet[rule.verifier] = (self._clock() + error.pause, str(error))
            raise
        if proof == self._refused.get(rule.verifier):
            self._quiet[rule.verifier] = (self._clock() + _PAUSE_SECONDS, "its contract says no to the proof")
            raise _NoProofError("its contract says no to the proof")
        self._found[rule.verifier] = proof
        return proof


def _fetch(place: str, name: str) -> bytes:
    """The bytes under a name. Raises `_NoProofError`."""
    proof = _fetch_from_web(place, name) if _is_url(place) else _read_file(Path(place) / name)
    if len(proof) > MAX_PROOF_BYTES:
        raise _NoProofError(f"a proof has at most {MAX_PROOF_BYTES} bytes", _PAUSE_SECONDS)
    return proof


def _read_file(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise _NoProofError("not there yet")
        with path.open("rb") as file:
            return file.read(MAX_PROOF_BYTES + 1)
    except OSError as error:
        raise _NoProofError(str(error.strerror or error), _PAUSE_SECONDS) from None


def _fetch_from_web(place: str, name: str) -> bytes:
    from microrollup.settlement.ethereum.http import (  # noqa: PLC0415  # an extra
        NoReplyError,
        ReplyTooLongError,
        add_path,
        exchange,
        make_client,
    )

    async def ask() -> bytes:
        async with make_client({}) as client:
            reply = await exchange(client, add_path(place, f"/{name}"), None, seconds=_SECONDS, limit=MAX_PROOF_BYTES)
        if reply.status == 404:
            raise _NoProofError("not there yet")
        if reply.status != 200:
            raise _NoProofError(reply.describe(), _PAUSE_SECONDS)
        return reply.body

    try:
        return asyncio.run(ask())
    except ReplyTooLongError:
        raise _NoProofError(f"a proof has at most {MAX_PROOF_BYTES} bytes", _PAUSE_SECONDS) from None
    except (NoReplyError, MicrorollupError) as error:
        raise _NoProofError(str(error), _PAUSE_SECONDS) from None
