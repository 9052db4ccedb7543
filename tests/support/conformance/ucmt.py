"""Vectors of the relayer's rollup: updates as envelopes, what they open to, the settled entries that they write."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from apps.keystore.ucmt import RootUpdate, app, update_to_json
from apps.keystore.ucmt.published import STACKUP_KEYSTORE, VERIFIERS
from conformance.encoding import show
from conformance.keystore import show_entry
from microrollup.errors import BadEnvelope
from microrollup.execution.envelope import EnvelopeOpener
from ucmt_world import KINDS, User, encode_raw

Case = dict[str, Any]


def make_verifiers() -> list[Case]:
    """The verifiers that the envelope knows."""
    return [
        {"verifier": show(address), "kind": kind, "keystore": show(keystore)} for address, kind, keystore in VERIFIERS
    ]


def make_envelopes() -> list[Case]:
    """A rotation from each kind of node, of the keystore here and of Stackup's; then updates that do not open."""
    opener, cases = EnvelopeOpener(app), list[Case]()
    for kind in KINDS:
        user = User(f"vector {kind}", kind)
        cases += [_open(opener, user.rotate(kind, key=7)), _open(opener, user.rotate(keep=True, key=2**192 - 1))]
    cases.append(_open(opener, User("vector stackup", keystore=STACKUP_KEYSTORE).rotate()))
    good = User("vector refused").rotate()
    for bad in (
        replace(good, use_chain_id=True),
        replace(good, nonce=good.nonce + 1),
        replace(good, next_proof=()),
        replace(good, data=good.data[:64] + bytes((good.data[64] - 27,))),
    ):
        raw = encode_raw(bad)
        try:
            opener.open("ucmt", raw)
        except BadEnvelope:
            cases.append({"raw": show(raw), "opens": False})
    return cases


def _open(opener: EnvelopeOpener, update: RootUpdate) -> Case:
    raw = encode_raw(update)
    enveloped = opener.open("ucmt", raw)
    action: Any = app.envelopes["ucmt"].decode_action(enveloped.action)
    nonce = action.nonce_key << 64 | action.sequence
    assert update.nonce == nonce
    return {
        "update": update_to_json(update),
        "raw": show(raw),
        "opens": True,
        "hash": show(enveloped.hash),
        "action": show(action),
    }


def make_leaves() -> list[Case]:
    """One entry of each settled field, in the order of silos."""
    user = User("vector leaves")
    place = (user.ref_hash, user.account)
    return [
        show_entry(app, "roots", place, user.rotate().next_hash),
        show_entry(app, "nonces", (user.ref_hash, 2**192 - 1, user.account), 2**64 - 1),
        show_entry(app, "keystores", place, user.keystore),
    ]
