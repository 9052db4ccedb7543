"""A key that a web3signer holds: `POST /api/v1/eth1/sign/KEY` signs the Keccak hash of what it is sent.

A seal is signed over `keccak256(abi.encode(blockHash, round))`, an acknowledgement, an attestation and a transaction
over the hash of their encoding as well, so the encoding is what is sent; `eth_signTypedData` could not make a seal.
Each signature is checked before it is used. A signer that is away is looked for until it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from microrollup.codec.json import read_hex
from microrollup.crypto.ecdsa import SignerUnavailable, canonicalize_signature, recover_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MicrorollupError, RefusedError, UsageError
from microrollup.keys.errors import WrongSigner

__all__ = ["RemoteKey"]

MAX_AT_ONCE: Final = 8
"""Requests that one group of messages has under way."""

SECONDS: Final = 5.0
"""For one answer."""

PROBE_SECONDS: Final = 1.0
"""Between two looks whether a signer that went away is back."""

_MAX_ANSWER_BYTES: Final = 1 << 16
_SIGNATURE_BYTES: Final = 65


class RemoteKey:
    """One key of one signer. Any thread may use it."""

    def __init__(self, url: str, address: bytes, identifier: str) -> None:
        """`identifier` is the public key by which the signer knows the key; see `open`."""
        import httpx  # noqa: PLC0415  # takes 0.1 s

        self.address: Final = address
        """20 bytes."""
        self.place: Final = _name(url)
        self.failure: str | None = None
        self._path = f"{_strip(url)}/api/v1/eth1"
        self._identifier = identifier
        self._client = httpx.Client(timeout=SECONDS, trust_env=False, limits=httpx.Limits(max_connections=MAX_AT_ONCE))
        self._errors = (httpx.HTTPError, OSError)
        self._dropped = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._failures = 0

    @classmethod
    def open(cls, reference: str) -> RemoteKey:
        """The key of `http://HOST:PORT#0xADDRESS`; without the address the only one that the signer has.

        Raises `SignerUnavailable`, `WrongSigner`, `UsageError` for a reference that is none.
        """
        parts = urlsplit(reference)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"a signer is named as http://HOST:PORT#0xADDRESS, not {reference.partition('@')[2] or reference}"
            )
        wanted = _read_address(parts.fragment) if parts.fragment else None
        probe = cls(reference, b"", "")
        try:
            found = probe._list_keys()
        finally:
            probe.close()
        chosen = [item for item in found.items() if wanted in (None, item[0])]
        if len(chosen) != 1:
            held = ", ".join([f"0x{address.hex()}" for address in found]) or "none"
            raise WrongSigner(f"the signer at {probe.place} holds these keys: {held}; name one of them, URL#0xADDRESS")
        return cls(reference, *chosen[0])

    def close(self) -> None:
        """End what it does by itself."""
        self._closed.set()
        self._client.close()

    def sign_messages(self, messages: Sequence[bytes]) -> list[bytes | MicrorollupError]:
        """Some requests at a time; after one that found no signer, no more are made."""
        if len(messages) == 1:
            return [self._sign(messages[0])]
        gone = threading.Event()

        def sign(message: bytes) -> bytes | MicrorollupError:
            if gone.is_set():
                return self._tell(self.failure or "it went away")
            signature = self._sign(message)
            if isinstance(signature, SignerUnavailable):
                gone.set()
            return signature

        with ThreadPoolExecutor(min(MAX_AT_ONCE, max(1, len(messages)))) as threads:
            return list(threads.map(sign, messages))

    def _sign(self, message: bytes) -> bytes | MicrorollupError:
        failures = self._failures
        try:
            raw = self._ask("POST", f"/sign/{self._identifier}", {"data": f"0x{message.hex()}"})
        except SignerUnavailable as away:
            self._note_failure(str(away))
            return away
        except WrongSigner as error:
            self._note_failure(str(error))
            return self._tell(str(error))
        text = raw.decode("latin-1").strip().strip('"')
        try:
            signature = read_hex(text, "signature")
            if len(signature) != _SIGNATURE_BYTES:
                raise UsageError("its length is wrong")
            canonical = canonicalize_signature(signature)
            if recover_address(keccak256(message), canonical) != self.address:
                raise UsageError("it is of another key or message")
        except (RefusedError, UsageError) as error:
            reason = f"the signer at {self.place} gave a wrong signature: {error}"
            self._note_failure(reason)
            return self._tell(reason)
        with self._lock:
            if failures == self._failures:  # else this was on its way while another failed
                self.failure = None
        return canonical[:64] + bytes((canonical[64] + 27,))

    def _tell(self, reason: str) -> SignerUnavailable:
        return SignerUnavailable(f"{reason}; send again what waits for its signature")

    def _note_failure(self, reason: str) -> None:
        """Remember it, and look for the signer in the background until it answers."""
        with self._lock:
            begins = self.failure is None
            self.failure = reason
            self._failures += 1
        if begins and self._identifier:
            threading.Thread(target=self._probe, name="signer", daemon=True).start()

    def _probe(self) -> None:
        while self.failure is not None and not self._closed.wait(PROBE_SECONDS):
            try:
                is_back = self.address in self._list_keys()
            except MicrorollupError:
                continue
            if is_back:
                self.failure = None

    def _list_keys(self) -> dict[bytes, str]:
        """The addresses of its keys, with the names by which it knows them."""
        import msgspec  # noqa: PLC0415

        raw = self._ask("GET", "/publicKeys", None)
        try:
            names = msgspec.json.decode(raw, type=list[str])
            return {_compute_address(name): name for name in names}
        except (msgspec.MsgspecError, RefusedError, UsageError):
            raise WrongSigner(f"{self.place} does not answer as a web3signer does: no list of public keys") from None

    def _ask(self, method: str, path: str, body: Any) -> bytes:
        """The body of the answer. Raises `SignerUnavailable`, `WrongSigner` if it says no."""
        try:
            try:
                status, raw = self._exchange(method, path, body)
            except self._dropped:  # it may have closed a connection that was idle; signing twice does no harm
                status, raw = self._exchange(method, path, body)
        except self._errors as error:
            reason = f"the signer at {self.place} does not answer ({type(error).__name__})"
            raise self._tell(reason) from None
        except RuntimeError:  # the client was closed
            raise self._tell(f"the signer at {self.place} is not asked any more") from None
        if status >= 500 or status in (408, 429):
            raise self._tell(f"the signer at {self.place} cannot sign now (HTTP {status})")
        if status != 200:
            said = " ".join(raw.decode("utf-8", "replace").split())[:200]
            raise WrongSigner(f"the signer at {self.place} refuses (HTTP {status}) {said}".strip())
        return raw

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        with self._client.stream(method, self._path + path, json=body) as response:
            raw = b""
            for chunk in response.iter_bytes():
                raw += chunk
                if len(raw) > _MAX_ANSWER_BYTES:
                    break
            return response.status_code, raw


def _strip(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _name(url: str) -> str:
    """Scheme, host and port: what may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _read_address(text: str) -> bytes:
    try:
        raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "address")
    except RefusedError:
        raw = b""
    if len(raw) != 20:
        raise UsageError(f"{text!r} is not an address of 20 bytes")
    return raw


def _compute_address(name: str) -> bytes:
    """Of an uncompressed public key in hex digits, with or without the byte 04 before it."""
    raw = read_hex(name if name[:2] == "0x" else f"0x{name}", "publicKey")
    if len(raw) not in (64, 65):
        raise UsageError("a public key has 64 bytes")
    return keccak256(raw[-64:])[12:]
