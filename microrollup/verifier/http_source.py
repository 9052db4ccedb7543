"""Blocks of a node elsewhere, over its JSON-RPC. Nothing that it answers is trusted, nor how much.

One connection per call, on the standard library's client: a verifier's process loads nothing that it can do without.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from microrollup.chain.block import Block, Header
from microrollup.chain.export import decode_block
from microrollup.chain.receipt_proof import MAX_SIBLINGS, ReceiptProof, receipt_proof_from_json
from microrollup.chain.record import decode_genesis
from microrollup.codec.json import read_hex
from microrollup.errors import DecodeError, NotRetained, RefusedError, SourceUnavailable, UsageError
from microrollup.verifier.wire import Wire, connect

__all__ = ["HttpSource", "RemoteError", "is_address"]

T = TypeVar("T")

CONNECT_SECONDS: Final = 5.0
"""Of looking the source's name up, and of opening a connection."""
TIMEOUT_SECONDS: Final = 30.0
"""Of silence."""
ANSWER_SECONDS: Final = 120.0
"""Of one answer, to its last byte."""
BLOCKS_AT_ONCE: Final = 100
MAX_ANSWER_BYTES: Final = 32 << 20
"""Of an answer; a node gives at most 4 MiB of records at once, which hex digits double."""

NOT_FOUND: Final = -32001
NOT_RETAINED: Final = -32002
HEIGHT_NOT_REACHED: Final = -32010


class RemoteError(SourceUnavailable):
    """The node answered a call with an error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code


class _ErrorForm(msgspec.Struct):
    code: int
    message: str


class _AnswerForm(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _ErrorForm | None = None


class _RecordForm(msgspec.Struct):
    record: str


class _ManifestForm(msgspec.Struct):
    manifest: str


class _BatchForm(msgspec.Struct):
    batch: str


class _HeightsForm(msgspec.Struct):
    latest: Annotated[int, msgspec.Meta(ge=0)]


class _HashForm(msgspec.Struct):
    hash: str | None = None


class _ReceiptForm(msgspec.Struct, rename="camel"):
    action_hash: str


class _SealForm(msgspec.Struct):
    round: int | str
    signature: str
    info: str


class _ReceiptProofForm(msgspec.Struct, rename="camel"):
    """Without the acknowledgement: who asks a source holds one of its own."""

    receipt: str
    index: int | str
    count: int | str
    siblings: Annotated[list[str], msgspec.Meta(max_length=MAX_SIBLINGS)]
    header: Annotated[dict[str, int | str], msgspec.Meta(max_length=len(Header.__struct_fields__))]
    block_hash: str
    seal: _SealForm


_ANSWER_DECODER: Final = msgspec.json.Decoder(_AnswerForm)


def is_address(place: str) -> bool:
    """Whether a text names a node and no file."""
    return place.startswith(("http://", "https://"))


class HttpSource:
    """The blocks of the node at an address, `http://host:port` or `https://…`."""

    def __init__(self, address: str, wire: Wire | None = None) -> None:
        """Ask for the genesis. `wire` lets another thread end a call.

        Raises `SourceUnavailable`, `DecodeError`, `UsageError` for anything but an address.
        """
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if not parts.hostname or port == -1:
            raise UsageError(f"{address!r} is not an address of a node")
        self._secure = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, port, parts.path or "/"
        self._wire = wire or Wire()
        self.genesis = decode_genesis(_read_hex(self._call("rollup_getGenesis", form=_RecordForm).record))

    def read_blocks(self, first_height: int = 1) -> Iterator[Block]:
        """Closed blocks from a height on, until there are no more. Raises `SourceUnavailable`, `DecodeError`."""
        height = first_height
        while True:
            first = height
            for block in self._read_page(first, BLOCKS_AT_ONCE):
                yield block
                height += 1
            if height == first:
                return

    def read_next(self, first_height: int) -> list[Block]:
        """The next closed blocks from a height on, as many as one answer holds; none if there are none for a while.

        A node that knows `X-Microrollup-Min-Height` answers as soon as there is one. Raises as `read_blocks`.
        """
        return list(self._read_page(first_height, BLOCKS_AT_ONCE, wait=True))

    def read_block(self, height: int) -> Block | None:
        """The closed block of a height, if the source has it. Raises as `read_blocks`."""
        return next(iter(self._read_page(height, 1)), None)

    def _read_page(self, first_height: int, limit: int, *, wait: bool = False) -> Iterator[Block]:
        """One answer's blocks, decoded as they are taken."""
        headers = {"X-Microrollup-Min-Height": str(first_height)} if wait else {}
        try:
            answer = self._call("rollup_getBlocks", {"from": first_height, "limit": limit}, headers, form=list[str])
        except RemoteError as error:
            if error.code in {NOT_FOUND, HEIGHT_NOT_REACHED}:
                return
            if error.code == NOT_RETAINED:
                raise NotRetained(f"the node does not hold height {first_height}: it began with a snapshot") from None
            raise
        if not answer:
            raise DecodeError("blocks", "the node's answer is an empty list")
        for item in answer:
            yield decode_block(_read_hex(item))

    def read_tip(self) -> int:
        """The newest closed block's height, as the node says. Raises `SourceUnavailable`, `DecodeError`."""
        return self._call("rollup_height", form=_HeightsForm).latest

    def read_hash(self, height: int) -> str | None:
        """The hash that the source says a closed block has, unchecked; None if it has no such block."""
        try:
            return self._call("rollup_getHeader", {"height": height}, form=_HashForm).hash
        except RemoteError as error:
            if error.code in {NOT_FOUND, NOT_RETAINED}:
                return None
            raise

    def read_status(self, form: type[T]) -> T:
        """What `rollup_status` answers. Raises `SourceUnavailable`, `DecodeError`."""
        return self._call("rollup_status", form=form)

    def read_manifest(self, stf_id: bytes) -> bytes | None:
        """The manifest of the code with this 32-byte stfId; None if the node does not have it or does not answer."""
        try:
            answer = self._call("rollup_code", {"stfId": f"0x{stf_id.hex()}"}, form=_ManifestForm)
            return _read_hex(answer.manifest)
        except (SourceUnavailable, DecodeError):
            return None

    def read_batches(self, first_height: int) -> list[bytes]:
        """The batch that the builder offers for the blocks from a height on; none if it offers none now."""
        try:
            answer = self._call("rollup_getBatch", {"firstHeight": first_height}, form=_BatchForm)
        except RemoteError as error:
            if error.code == NOT_FOUND:
                return []
            raise
        return [_read_hex(answer.batch)]

    def read_receipt_proof(self, seq: int) -> ReceiptProof:
        """The proof of the receipt at a sequence number, without the acknowledgement; nothing of it is checked.

        Raises `SourceUnavailable`, `DecodeError`.
        """
        receipt = self._call("rollup_getReceipt", {"seq": seq}, form=_ReceiptForm)
        proof = self._call("rollup_getReceiptProof", {"hash": receipt.action_hash}, form=_ReceiptProofForm)
        return receipt_proof_from_json(msgspec.to_builtins(proof))

    def submit_attestation(self, attestation: bytes) -> None:
        """Hand back an attestation in its JSON form. Raises `SourceUnavailable` if the node does not take it."""
        self._call("rollup_submitAttestation", {"attestation": msgspec.Raw(attestation)}, form=msgspec.Raw)

    def _call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        form: type[T],
    ) -> T:
        """A result, of which only what its form has is taken into memory."""
        from http.client import HTTPException  # noqa: PLC0415  # as below

        request = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        try:
            raw = self._post(request, headers or {})
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
            port = "" if self._port is None else f":{self._port}"
            raise SourceUnavailable(f"{self._host}{port} does not answer: {reason}") from None
        try:
            answer = _ANSWER_DECODER.decode(raw)
            if answer.error is None:
                return msgspec.json.decode(bytes(answer.result), type=form)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("answer", f"not an answer of a node to {method}: {error}") from None
        raise RemoteError(method, answer.error.code, answer.error.message[:500])

    def _post(self, body: bytes, headers: dict[str, str]) -> bytes:
        # email, ssl: 30 ms, and nobody needs them who reads from this machine
        from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415

        make = HTTPSConnection if self._secure else HTTPConnection
        connection = make(self._host, self._port or make.default_port)
        opened = connect(self._host, connection.port, CONNECT_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secure:
            opened = _wrap(opened, self._host)
        with self._wire.hold(opened, ANSWER_SECONDS), closing(connection):
            opened.settimeout(TIMEOUT_SECONDS)
            connection.sock = opened  # with TLS the handshake comes with the first byte that is sent
            connection.request("POST", self._path, body, {"Content-Type": "application/json", **headers})
            raw = connection.getresponse().read(MAX_ANSWER_BYTES + 1)
        if len(raw) > MAX_ANSWER_BYTES:
            raise HTTPException(f"more than {MAX_ANSWER_BYTES} bytes")
        return raw


def _wrap(opened: socket.socket, host: str) -> socket.socket:
    import ssl  # noqa: PLC0415  # which nobody needs who reads from this machine

    return ssl.create_default_context().wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)


def _read_hex(value: Any) -> bytes:
    try:
        return read_hex(value, "answer")
    except RefusedError as error:
        raise DecodeError("answer", error.detail) from None
