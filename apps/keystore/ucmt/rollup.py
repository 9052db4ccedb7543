"""The relayer's rollup: the newest root and the nonces of each account, by updates that their users signed once."""

from __future__ import annotations

from typing import Final

from microrollup import (
    Address,
    Bytes32,
    Context,
    Event,
    Map,
    MicroRollup,
    State,
    Uint64,
    Uint192,
    Uint256,
    replace,
    require,
)

from .envelope import UcmtEnvelope, UpdateRoot

__all__ = ["RootHashUpdated", "Ucmt", "app", "update_root"]

_LAST_SEQUENCE: Final = 2**64 - 1
"""The contract counts to it, and reverts at an update that would count on."""


class Ucmt(State, frozen=True):
    """What the contracts hold on a chain that every update has reached."""

    roots: Map[tuple[Bytes32, Address], Bytes32] = Map()
    """(refHash, account) -> root. Without an entry it is the refHash itself."""
    nonces: Map[tuple[Bytes32, Uint192, Address], Uint64] = Map()
    """(refHash, nonce key, account) -> the next sequence."""
    keystores: Map[tuple[Bytes32, Address], Address] = Map()
    """(refHash, account) -> the contract that the account's verifiers answer to. Each contract has roots of its own, so
    an account stays with the contract of its first update."""


class RootHashUpdated(Event, frozen=True):
    """As the contract's."""

    ref_hash: Bytes32
    account: Address
    next_hash: Bytes32
    nonce: Uint256


def update_root(state: Ucmt, action: UpdateRoot, ctx: Context) -> Ucmt:
    """Change a root, in the contract's order: the nonce, then the proof of the node under the current root."""
    place = (action.ref_hash, action.account)
    line, sequence = (action.ref_hash, action.nonce_key, action.account), action.sequence
    require(sequence == state.nonces.get(line, 0), "InvalidNonce: not the next of its key")
    require(sequence < _LAST_SEQUENCE, "InvalidNonce: the last one is never used")
    root = state.roots.get(place, action.ref_hash)
    require(action.root == root, "InvalidProof: not the current root's")
    keystore = state.keystores.get(place, action.keystore)
    require(action.keystore == keystore, "another keystore than the account's")
    nonce = action.nonce_key << 64 | sequence
    ctx.emit(RootHashUpdated(action.ref_hash, action.account, action.next_hash, nonce))
    return replace(
        state,
        roots=state.roots.set(place, action.next_hash),
        nonces=state.nonces.set(line, sequence + 1),
        keystores=state.keystores.set(place, action.keystore),
    )


app = MicroRollup(name="ucmt", version="1", genesis=Ucmt(), stfs=[update_root], envelopes=[UcmtEnvelope])
