"""Attestations of a based rollup on the way to L1: each verifier serves its own, anybody gathers a quorum."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from microrollup.chain.block import Header, compute_block_hash, decode_header_words
from microrollup.client import ClientError, SyncClient
from microrollup.codec.json import read_hex
from microrollup.codec.json_text import parse_json
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.deployment.settling import gather_proofs
from microrollup.errors import DecodeError, RefusedError, UsageError
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.settlement.attestation import SignedAttestation, attestation_from_json, recover_attester
from microrollup.settlement.errors import MalleableSignature
from microrollup.settlement.proofs import ProofBook, ProofSource
from microrollup.settlement.protocol import Inbox, SettledHead
from microrollup.settlement.quorum_errors import FalseShare
from microrollup.verifier.events import Report

__all__ = ["AttestationBoard", "ServedAttestation", "gather_attestations", "serve_attestations", "settle_based"]

METHOD: Final = "rollup_getAttestations"
_MAX_REQUEST_BYTES: Final = 4_096
_MAX_SERVED: Final = 64
"""Attestations that are taken from one verifier."""


class ServedAttestation(msgspec.Struct, frozen=True):
    """A verifier's attestation, with the header of its last block."""

    signed: SignedAttestation
    header: Header


class AttestationBoard:
    """What a verifier serves: its newest attestation."""

    def __init__(self) -> None:
        self._forms: list[dict[str, Any]] = []

    def note(self, report: Report) -> None:
        """Take over what a report brings."""
        if report.attestations and report.header is not None:
            form = msgspec.json.decode(report.attestations[-1])
            self._forms = [form | {"header": report.header}]

    async def answer(self, request: Request) -> JSONResponse:
        """Answer a call of JSON-RPC 2.0."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_REQUEST_BYTES:
                return _fail(None, -32600, f"a request has at most {_MAX_REQUEST_BYTES} bytes", status=413)
        try:
            asked = parse_json(body)
        except RefusedError as error:
            return _fail(None, -32700, str(error))
        if not isinstance(asked, dict) or asked.get("jsonrpc") != "2.0":
            return _fail(None, -32600, "a request is an object with jsonrpc, id, method and params")
        if asked.get("method") != METHOD:
            return _fail(asked.get("id"), -32601, f"a verifier has {METHOD} only")
        return JSONResponse({"jsonrpc": "2.0", "id": asked.get("id"), "result": self._forms})


def _fail(identity: object, code: int, message: str, *, status: int = 200) -> JSONResponse:
    shown = identity if isinstance(identity, (int, str)) else None
    error = {"code": code, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": shown, "error": error}, status_code=status)


@contextmanager
def serve_attestations(board: AttestationBoard, host: str, port: int) -> Iterator[int]:
    """Serve a verifier's attestations meanwhile; the port. Raises `UsageError` if the address cannot be had."""
    listener = bind(host, port)
    server = Server(Starlette(routes=[Route("/", board.answer, methods=["POST"])]), listener, RpcLimits())
    thread = threading.Thread(target=server.serve_forever, name="attestations")
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.stop()
        thread.join()


def gather_attestations(urls: Iterable[str]) -> tuple[list[ServedAttestation], dict[str, str]]:
    """What verifiers serve, and by URL why one did not answer or what it served is not one."""
    found: list[ServedAttestation] = []
    failed: dict[str, str] = {}
    for url in urls:
        try:
            with SyncClient(url) as client:
                found += _read_served(client.call("getAttestations"))
        except (ClientError, DecodeError, RefusedError) as error:
            failed[url] = str(error)
    return found, failed


def _read_served(answer: Any) -> list[ServedAttestation]:
    """Raises `DecodeError`, `RefusedError`."""
    if not isinstance(answer, list) or len(answer) > _MAX_SERVED:
        raise DecodeError("attestations", f"not a list of at most {_MAX_SERVED}")
    served = []
    for item in answer:
        if not isinstance(item, dict) or not {"attestation", "signature", "header"} <= item.keys():
            raise DecodeError("attestations", "an item has attestation, signature and header")
        form = {name: value for name, value in item.items() if name != "header"}  # with a BLS key's `key`
        signed = attestation_from_json(json.dumps(form).encode())
        header = decode_header_words(read_hex(item["header"], "header"))
        if compute_block_hash(header) != signed.attestation.block_hash:
            raise DecodeError("attestations", "the header is not that of the attested block")
        served.append(ServedAttestation(signed, header))
    return served


def settle_based(
    inbox: Inbox, key: SigningKey, served: Iterable[ServedAttestation], sources: Sequence[ProofSource] = ()
) -> SettledHead | None:
    """Settle what a quorum of the verifiers has attested, if it goes beyond the settled head; None if it does not.

    `sources` say where the proofs are for the rules of the verifiers' set.

    Raises `UsageError` if no attestation has a quorum, and the `SettlementError` of the rule that is broken.
    """
    genesis, settled = inbox.get_genesis(), inbox.get_settled()
    if not genesis.is_based:
        raise UsageError("the rollup has a builder, who settles it: give --attestations")
    verifiers = inbox.get_verifiers(inbox.get_number())
    votes = _count_votes(inbox, served)
    weight = sum(rule.weight for rule in verifiers.rules)
    book = ProofBook(sources)
    for header, signed in sorted(votes.items(), key=lambda vote: -vote[0].height):
        if len(signed) + weight >= verifiers.quorum:
            chosen = [signed[attester] for attester in sorted(signed)]
            proofs = gather_proofs(inbox, chosen, book)
            return inbox.settle(b"", header, chosen, submitter=compute_address(key), proofs=proofs)
    if votes:
        most = max(map(len, votes.values()))
        raise UsageError(
            f"{most} of the rollup's verifiers agree, {verifiers.quorum} have to: name more of them with --from"
            f" (the settled height is {settled.height}, 0x{settled.block_hash.hex()})"
        )
    return None


def _count_votes(inbox: Inbox, served: Iterable[ServedAttestation]) -> dict[Header, dict[bytes, SignedAttestation]]:
    """Who of the verifiers attests which block, from the settled head on. What is false counts for nobody."""
    genesis, first_height = inbox.get_genesis(), inbox.get_settled().height + 1
    members = frozenset(inbox.get_verifiers(inbox.get_number()).members)
    votes: dict[Header, dict[bytes, SignedAttestation]] = {}
    for each in served:
        signed = each.signed
        if signed.attestation.first_height != first_height or (signed.key and signed.key not in members):
            continue  # before its share costs a pairing
        try:
            attester = recover_attester(signed, genesis.l1_chain_id, inbox.get_inbox())
        except (MalleableSignature, FalseShare):
            continue
        if attester in members:
            votes.setdefault(each.header, {})[attester] = signed
    return votes
