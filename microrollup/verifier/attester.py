"""A verifier's key, and which batches it attests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from microrollup.chain.block import compute_rollup_id
from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import SigningKey
from microrollup.errors import UsageError
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.attestation import SignedAttestation, get_attester
from microrollup.settlement.attesters import list_attesters
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.protocol import L1View
from microrollup.verifier.events import Tick
from microrollup.verifier.follow import attest
from microrollup.verifier.http_source import HttpSource
from microrollup.verifier.signatures import SharedHeights, SignedHeights
from microrollup.verifier.source import BlockSource, read_batches

__all__ = ["Attester"]


class Attester:
    """A key that attests while it is among the verifiers: it may run before its set is in force, and go on after."""

    def __init__(self, l1: L1View, key: SigningKey | BlsKey, signed: SignedHeights | SharedHeights) -> None:
        self._l1 = l1
        self._key = key
        self._signed = signed
        self._is_known = False
        """Whether it was among them, or announced to be, at some time."""
        self._given: list[SignedAttestation] = []
        """Those of the last time: what has not settled since is attested again, and a signer is asked once."""

    def attest(self, ledger: Ledger, source: BlockSource, tick: Tick) -> list[SignedAttestation]:
        """Attest the batches that are to be. Raises `UsageError` for a stranger's key, and what attesting raises."""
        l1, attester = self._l1, get_attester(self._key)
        if not self._is_known and attester not in list_attesters(l1):
            raise UsageError(f"0x{attester.hex()} is not among the rollup's verifiers")
        self._is_known = True
        if attester not in l1.get_verifiers(l1.get_number()).members:
            return []

        def read(first_height: int) -> Iterable[bytes]:
            return _read_batches(source, first_height, ledger.checkpoint.height, tick, l1)

        self._given = attest(ledger, l1, self._key, self._signed, read, self._given)
        return self._given


def _read_batches(source: BlockSource, first_height: int, verified: int, tick: Tick, l1: L1View) -> Iterable[bytes]:
    """The batches to attest: what the builder offers, or up to the height that was named, or all that is verified."""
    if isinstance(source, HttpSource):
        return source.read_batches(first_height)
    if tick.last_height is None:
        return read_batches(source, first_height, verified, l1)
    count = tick.last_height - first_height + 1
    blocks = list(islice(source.read_blocks(first_height), max(0, count)))
    return [encode_batch(compute_rollup_id(source.genesis), blocks)] if blocks and len(blocks) == count else []
