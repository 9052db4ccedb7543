"""`ctx.scheme`: the scheme of the signature, whatever way the action came, and when it is executed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from microrollup.execution.payload import encode_carried_payload
from microrollup.testing.execution import Senders, force
from microrollup.testing.keys import BlsKeys, Ed25519Key, GroupKey, MlDsaKey, WinternitzKey
from microrollup.testing.passkey import P256Key, Passkey
from microrollup.testing.signing import sign_action
from microrollup.testing.stored import StoredRollup
from schemes_app import Look, app

PEOPLE = Senders(2)
ALICE, STRANGER = PEOPLE


def make_keys(salt: int) -> list[Any]:
    """A key of each scheme, by its number; 0 is Alice's own."""
    secret = bytes([salt]) * 32
    ed25519 = Ed25519Key(secret)
    return [
        PEOPLE.keys[ALICE], P256Key(secret), Passkey(secret), ed25519, GroupKey(1, [ed25519, PEOPLE.keys[ALICE]], [0]),
        BlsKeys([secret]), MlDsaKey(secret), WinternitzKey(secret),
    ]  # fmt: skip


def test_every_scheme_is_seen(tmp_path: Path) -> None:
    """Signed, and carried through the inbox; an L1 account's own action has none. Replay sees the same."""
    with StoredRollup(tmp_path / "rollup", app, PEOPLE) as rollup:
        domain = app.make_domain(rollup.genesis.domain.chain_id, rollup.genesis.domain.verifying_contract)
        expected = {}
        for scheme, key in enumerate(make_keys(1)):
            sender = ALICE if scheme == 0 else key.sender
            expected[sender] = scheme
            line = sign_action(app, Look(), 0, key, domain)
            rollup.sequencer.submit([(None, rollup.ledger.authenticator.authenticate_line(line))])
        for scheme, key in list(enumerate(make_keys(2)))[1:]:
            expected[key.sender] = scheme
            signed: Any = rollup.ledger.authenticator.authenticate_line(sign_action(app, Look(), 0, key, domain))
            rollup.l1.force(encode_carried_payload(signed.record), sender=STRANGER)
        rollup.apply(force(STRANGER, Look()))
        expected[STRANGER] = 0
        rollup.close_block()
        rollup.close_block()
        state: Any = rollup.ledger.state.app
        assert expected == dict(state.schemes.items())
        assert [] == rollup.replay(tmp_path / "again")
