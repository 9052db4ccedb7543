"""Vectors of what goes to L1 and to data availability."""

from __future__ import annotations

import zlib
from typing import Any

import tickets
from conformance.chain import CHAIN_ID, HEADERS, INBOX, seal_of
from conformance.encoding import fill, make_key, show
from microrollup.chain.block import Block
from microrollup.chain.envelope_record import compute_envelope_id, encode_envelope_record
from microrollup.chain.record import DomainConfig, Forced, Open, encode_record
from microrollup.crypto.bls_shares import expand_key, expand_signature, load_bls_key
from microrollup.crypto.ecdsa import canonicalize_signature, compute_address, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import make_forced_entry
from microrollup.execution.payload import encode_carried_payload, encode_envelope_payload, encode_forced_payload
from microrollup.settlement.attestation import (
    compute_attestation_digest,
    create_attestation,
    sign_attestation,
)
from microrollup.settlement.batch import compute_blob_data_hash, compute_data_hash, encode_batch
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, compute_forced_id, compute_queue_hash
from microrollup.settlement.quorum import BatchProof, join_signatures, verify_signatures
from microrollup.settlement.verifiers import BLS, ECDSA, VerifierRule, VerifierSet, compute_set_id, sort_keys
from zoo import Edit, Step, zoo

Case = dict[str, Any]


def make_attestations() -> list[Case]:
    """Attestations of batches that end with the headers of `headers.json`."""
    cases = []
    for name, header in HEADERS.items():
        attestation = create_attestation(fill("parent"), max(1, header.height - 2), header, fill("data hash"))
        signed = sign_attestation(make_key("verifier 0"), attestation, CHAIN_ID, INBOX)
        cases.append(
            {
                "name": name,
                "chainId": show(CHAIN_ID),
                "inbox": show(INBOX),
                "attestation": show(attestation),
                "digest": show(compute_attestation_digest(attestation, CHAIN_ID, INBOX)),
                "verifier": show(compute_address(make_key("verifier 0"))),
                "signature": show(signed.signature),
            }
        )
    return cases


def make_verifier_sets() -> list[Case]:
    """Sets of both kinds and with rules, and what a batch of one attestation brings; the absent are the first two."""
    header = HEADERS["plain"]
    attestation = create_attestation(fill("parent"), header.height, header, fill("data hash"))
    digest = compute_attestation_digest(attestation, CHAIN_ID, INBOX)
    keys = sorted([make_key(f"verifier {index}") for index in range(5)], key=compute_address)
    addresses = tuple([compute_address(key) for key in keys])
    shares = {key.public: key for key in [load_bls_key(b"\0" + fill(f"bls {index}", 31)) for index in range(11)]}
    order = sort_keys(shares)
    rules = (VerifierRule(0, b"\1" * 20, 2), VerifierRule(1, b"\2" * 20, 0))
    proofs = (BatchProof(0, b"proof"), BatchProof(1, b""))
    pages = (fill("page 0", 20), fill("page 1", 20))
    cases: list[Case] = []
    for verifiers, signers in (
        (VerifierSet(addresses, 3), keys[2:]),
        (VerifierSet(pages, 6, BLS, keys=tuple(order)), [shares[key] for key in order[2:]]),
        (VerifierSet(addresses, 4, ECDSA, rules), keys[2:]),
        (VerifierSet(pages, 7, BLS, rules, tuple(order)), [shares[key] for key in order[2:]]),
    ):
        signed = [sign_attestation(key, attestation, CHAIN_ID, INBOX) for key in signers]
        signatures = join_signatures(verifiers, digest, signed, proofs if verifiers.rules else ())
        verify_signatures(verifiers, digest, signatures)
        cases.append(
            {
                "kind": show(verifiers.kind),
                "members": show(verifiers.addresses),
                "quorum": show(verifiers.quorum),
                "rules": show(verifiers.rules),
                "keys": show([expand_key(key) for key in verifiers.keys]),
                "proofsOfPossession": show(
                    [expand_signature(shares[key].prove_possession()) for key in verifiers.keys]
                ),
                "id": show(compute_set_id(verifiers)),
                "digest": show(digest),
                "shares": [show({"key": one.key, "signature": one.signature}) for one in signed],
                "signatures": show(signatures),
            }
        )
    return cases


def make_batches() -> list[Case]:
    """Batches as they are before zlib, whose output depends on its build; data hashes are of any bytes."""
    header = HEADERS["plain"]
    opened = Open(header.height, header.timestamp, header.l1_origin, header.stf_id)
    records = (encode_record(Forced(2, fill("forcer", 20), 150_000_001, b"", False)),)
    cases: list[Case] = []
    for kept in ((), records):
        batch = encode_batch(header.rollup_id, [Block(header, opened, kept, seal_of(header))])
        cases.append(
            {
                "rollupId": show(header.rollup_id),
                "open": show(opened),
                "records": show(kept),
                "seal": show(seal_of(header)),
                "inflated": show(zlib.decompress(batch)),
            }
        )
    hashes = [b"\x01" + fill(f"blob {index}")[1:] for index in range(6)]
    cases += [{"calldata": show(raw), "dataHash": show(compute_data_hash(raw))} for raw in (b"", b"batch")]
    cases += [
        {"versionedHashes": show(hashes[:count]), "dataHash": show(compute_blob_data_hash(hashes[:count]))}
        for count in (1, 6)
    ]
    return cases


def make_envelopes() -> list[Case]:
    """What comes in envelopes of an app's own: record, line and payload; then payloads that hold none."""
    cases: list[Case] = []
    for name, size in (("a", 20), ("p256-ticket", 165), ("0123456789abcdef-0123456789abcdef"[:32], 8_158)):
        raw, digest = fill(f"raw {name}", size), fill(f"hash {name}")
        cases.append(
            {
                "rollupId": show(fill("rollup id")),
                "name": name,
                "raw": show(raw),
                "hash": show(digest),
                "record": show(encode_envelope_record(name, raw)),
                "payload": show(encode_envelope_payload(name, raw)),
                "actionHash": show(compute_envelope_id(fill("rollup id"), name, digest)),
            }
        )
    raw = fill("raw", 20)
    hostile = (b"", b"\0", b"\1", b"\x21" + b"a" * 33 + raw, b"\5a" + raw[:3], b"\2\xc3\xa9" + raw)
    cases += [{"payload": show(b"\2" + payload), "decodes": False} for payload in hostile]
    ticket = fill("ticket", tickets.RAW_BYTES)
    endless = ticket[:100] + b"\x09" + ticket[101:]
    return cases + [_count_opening(raw) for raw in (ticket[:20], ticket, endless)]


def _count_opening(raw: bytes) -> Case:
    """What bytes that do not open take of a block's steps, in the queue of the app `tickets`."""
    payload = encode_envelope_payload("p256-ticket", raw)
    authenticator = Authenticator.of(tickets.app, tickets.app.make_domain())
    forced = Forced(3, fill("forcer", 20), 9, payload, False)
    entry = make_forced_entry(tickets.app, fill("rollup id"), forced, authenticator)
    return {"payload": show(payload), "opens": entry.action is not None, "openingSteps": show(entry.opening_steps)}


def make_carried_payloads() -> list[Case]:
    """A signed action as anybody may carry it, and what is not one: whether it decodes, and what it says then."""
    domain = DomainConfig("zoo", "1", CHAIN_ID, fill("verifying contract", 20))
    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    action, nonce, action_type = Edit([Step(4, 0, 3)], False), 7, zoo.action_types.by_name["Edit"]
    signature = sign_digest(make_key("wallet"), compile_digest(action_type.type, separator)(action, nonce))
    good = encode_carried_payload(action_type.encode_record(action, nonce, canonicalize_signature(signature)))
    authenticator, cases = Authenticator(zoo.action_types, domain), []
    for payload in (good, b"\x01", good + b"\x00", b"\x04" + good[1:]):
        entry = make_forced_entry(
            zoo, fill("rollup id"), Forced(3, fill("forcer", 20), 9, payload, False), authenticator
        )
        case: Case = {"domain": show(domain), "payload": show(payload), "decodes": entry.action is not None}
        if entry.signed_hash is not None:
            case |= {"sender": show(entry.sender), "nonce": show(nonce), "actionHash": show(entry.signed_hash)}
        cases.append(case)
    return cases


def make_queues() -> list[Case]:
    """A queue of four: an action, nothing, garbage, and the longest number of a block."""
    payloads = (encode_forced_payload(zoo, Edit([Step(4, 0, 3)], False)), b"", b"\xff" * 40, b"\0")
    queue_hash, cases = EMPTY_QUEUE_HASH, []
    for index, payload in enumerate(payloads):
        sender, included = fill(f"forcer {index}", 20), (150_000_000, 150_000_000, 150_000_007, 2**64 - 1)[index]
        queue_hash = compute_queue_hash(queue_hash, sender, included, payload)
        cases.append(
            {
                "index": show(index),
                "sender": show(sender),
                "inclusionBlock": show(included),
                "payload": show(payload),
                "queueHash": show(queue_hash),
                "rollupId": show(fill("rollup id")),
                "identity": show(compute_forced_id(fill("rollup id"), index)),
            }
        )
    return cases
