"""The signature prover: from signatures to proofs, in the background, asked for again by the hash of the request."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from microrollup.codec.document import to_document
from microrollup.crypto.keccak import keccak256
from microrollup.errors import LimitExceeded, RefusedError

from ..keys import KeyData, encode_key_data
from ..making import ProofRefused, authenticate, prove_for_sponsor
from ..proofs import Witness
from ..transactions import UpdateTransaction, WithdrawTransaction, encode_transaction
from .shapes import AuthenticationStatus, AuthInputs, SponsoredAuthInputs

__all__ = [
    "KEPT_SECONDS",
    "MAX_REQUEST_BYTES",
    "OPEN_SPONSOR",
    "Prover",
    "compute_request_hash",
    "prove_sponsored",
    "prove_transaction",
]

KEPT_SECONDS: Final = 24 * 3_600
"""So long a request's outcome can be asked for, unless newer ones need its room before."""

MAX_REQUEST_BYTES: Final = 64 << 20
"""Of all requests that are kept, twice their transactions and inputs. The oldest that are done make room for new ones,
so that nobody shuts others out for a day; what is not done stays.
"""

OPEN_SPONSOR: Final = encode_key_data(KeyData(bytes(32), 0, ()))
"""Key data of the account with which the prover sponsors: it takes no signature, so that
anybody may spend on updates what is paid into it.
"""

_PENDING: Final = AuthenticationStatus("Pending")
_OVERHEAD: Final = 512


def compute_request_hash(raw: bytes, inputs: AuthInputs | SponsoredAuthInputs) -> bytes:
    """32 bytes: `keccak256(keccak256(transaction) || keccak256(JSON of the inputs))`."""
    return keccak256(keccak256(raw) + keccak256(msgspec.json.encode(to_document(inputs))))


def prove_transaction(transaction: UpdateTransaction | WithdrawTransaction, inputs: AuthInputs) -> bytes:
    """The transaction's bytes with the user's proof. Raises `ProofRefused`."""
    witness = Witness(inputs.key_data, inputs.auth_data)
    if isinstance(transaction, WithdrawTransaction):
        return encode_transaction(authenticate(transaction, witness))
    return encode_transaction(authenticate(transaction, witness))


def prove_sponsored(transaction: UpdateTransaction, inputs: SponsoredAuthInputs) -> bytes:
    """The update's bytes with the user's proof and the sponsor's; a proof that was given is passed on unjudged.

    Raises `ProofRefused`.
    """
    chosen = [each for each in (inputs.prove_sponsored, inputs.prove_only_sponsored, inputs.sponsor_and_prove) if each]
    if len(chosen) != 1:
        raise ProofRefused("give one of proveSponsored, proveOnlySponsored and sponsorAndProve")
    sponsor_witness = Witness(OPEN_SPONSOR, b"")
    if inputs.prove_only_sponsored is not UNSET:
        transaction = replace(transaction, user_proof=inputs.prove_only_sponsored.user_proof)
    if inputs.prove_sponsored is not UNSET:
        transaction = _prove_user(transaction, inputs.prove_sponsored.user_auth_inputs)
    if inputs.sponsor_and_prove is not UNSET:
        transaction = _prove_user(transaction, inputs.sponsor_and_prove.user_auth_inputs)
    for given in (inputs.prove_sponsored, inputs.prove_only_sponsored):
        if given is not UNSET:
            sponsor_inputs = given.sponsor_auth_inputs
            sponsor_witness = Witness(sponsor_inputs.key_data, sponsor_inputs.auth_data)
    return encode_transaction(replace(transaction, sponsor_proof=prove_for_sponsor(transaction, sponsor_witness)))


def _prove_user(transaction: UpdateTransaction, inputs: AuthInputs) -> UpdateTransaction:
    return authenticate(transaction, Witness(inputs.key_data, inputs.auth_data))


class _Request(msgspec.Struct):
    """A request that is kept."""

    since: float
    size: int
    status: AuthenticationStatus


class Prover:
    """The requests of one process. Any thread may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = MAX_REQUEST_BYTES) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._requests: OrderedDict[bytes, _Request] = OrderedDict()
        self._size = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="axiom-prover")

    def submit(self, request_hash: bytes, size: int, prove: Callable[[], bytes]) -> None:
        """Let `prove` run soon; a request that is known is not run again. `size` are its bytes.

        Raises `LimitExceeded` if too much is under way already.
        """
        with self._lock:
            self._forget()
            if request_hash in self._requests:
                return
            size = 2 * size + _OVERHEAD
            if size > self._limit or not self._make_room(size):
                raise LimitExceeded("the signature prover has as many requests as it can hold; try again later")
            self._size += size
            self._requests[request_hash] = _Request(self._clock(), size, _PENDING)
        self._executor.submit(self._run, request_hash, prove)

    def get(self, request_hash: bytes) -> AuthenticationStatus | None:
        """How far a request is; None for an unknown one, and for one that has expired."""
        with self._lock:
            self._forget()
            found = self._requests.get(request_hash)
            return None if found is None else found.status

    def close(self) -> None:
        """End the thread when it is done."""
        self._executor.shutdown()

    def _run(self, request_hash: bytes, prove: Callable[[], bytes]) -> None:
        try:
            status = AuthenticationStatus("Completed", prove())
        except RefusedError as error:
            status = AuthenticationStatus("Failed", error=error.detail)
        except Exception as error:  # a request is answered whatever happens
            status = AuthenticationStatus("Failed", error=f"internal error: {type(error).__name__}")
        with self._lock:
            if request_hash in self._requests:
                self._requests[request_hash].status = status

    def _make_room(self, size: int) -> bool:
        """Drop the oldest requests that are done until so many bytes fit; whether they do."""
        if self._size + size <= self._limit:
            return True
        for request_hash, request in list(self._requests.items()):
            if request.status is not _PENDING:
                self._drop(request_hash)
                if self._size + size <= self._limit:
                    return True
        return False

    def _drop(self, request_hash: bytes) -> None:
        self._size -= self._requests.pop(request_hash).size

    def _forget(self) -> None:
        """Drop what has expired: the oldest are first."""
        now = self._clock()
        while self._requests:
            request_hash, oldest = next(iter(self._requests.items()))
            if now - oldest.since < KEPT_SECONDS:
                return
            self._drop(request_hash)
