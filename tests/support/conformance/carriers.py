"""Vectors of carriers: what each of them brings, which of it is taken, and the receipts."""

from __future__ import annotations

from typing import Any

import msgspec

from conformance.chain import CHAIN_ID
from conformance.encoding import fill, make_key, show
from microrollup.chain.carrier import encode_carrier
from microrollup.chain.record import DomainConfig, Forced
from microrollup.crypto.ecdsa import canonicalize_signature, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.declaration.map import Map
from microrollup.execution.authentication import Authenticator
from microrollup.execution.block_context import BlockContext
from microrollup.execution.carrier import apply_entries
from microrollup.execution.entry import make_forced_entry
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState
from zoo import Edit, Step, zoo

FIRST_SEQ = 100


def make_carriers() -> list[dict[str, Any]]:
    """Carriers that come one after the other, each alone in its block: payload, entries after it, receipts."""
    domain = DomainConfig("zoo", "1", CHAIN_ID, fill("verifying contract", 20))
    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    action_type = zoo.action_types.by_name["Edit"]
    action = Edit([Step(4, 0, 3)], False)

    def sign(name: str, nonce: int) -> bytes:
        signature = sign_digest(make_key(name), compile_digest(action_type.type, separator)(action, nonce))
        return action_type.encode_record(action, nonce, canonicalize_signature(signature))

    one, two, other = sign("wallet", 0), sign("wallet", 1), sign("another wallet", 0)
    junk = [msgspec.msgpack.encode(each) for each in (None, [], encode_carrier([two]), ["block"])]
    payloads = {
        "empty": encode_carrier([]),
        "in order": encode_carrier([two, one, one, *junk, two, other]),
        "in the log already": encode_carrier([one, two, other]),
        "not canonical": encode_carrier([sign("wallet", 2)]) + b"\0",
        "long form of the array": b"\x03\xdc\x00\x01" + sign("wallet", 2),
    }
    authenticator = Authenticator(zoo.action_types, domain)
    state, cases, seq = ChainState(zoo.genesis, Map(), 0), [], FIRST_SEQ
    for index, (name, payload) in enumerate(payloads.items()):
        entry = make_forced_entry(
            zoo, fill("rollup id"), Forced(index, fill("forcer", 20), 9, payload, False), authenticator
        )
        context = BlockContext(1 + index, 0, seq, Journal(len(zoo.state_fields)), rollup_id=fill("rollup id"))
        state, entries, receipts = apply_entries(zoo, state, [entry], context)
        cases.append(
            {
                "name": name,
                "domain": show(domain),
                "rollupId": show(fill("rollup id")),
                "firstSeq": show(seq),
                "payload": show(payload),
                "records": show(tuple([each.record for each in entries])),
                "receipts": show(tuple([msgspec.msgpack.encode(receipt) for receipt in receipts])),
                "signatureSteps": show(sum([each.signature_steps for each in entry.candidates or ()])),
            }
        )
        seq = context.next_seq
    return cases
