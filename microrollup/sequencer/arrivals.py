"""What arrives at the sequencer, in one form: signed actions, and what came in envelopes of the app's own.

An envelope has no sender and no nonce. It is admitted as the one action, with nonce 0, of an account that is its own
identity: what has executed already comes late, as a used nonce does.
"""

from __future__ import annotations

from collections.abc import Iterable

from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.chain.receipt import REJECTED
from microrollup.errors import EnvelopeFaulted, EnvelopeRejected, RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.entry import make_envelope_entry, make_signed_entry
from microrollup.execution.envelope import Enveloped
from microrollup.execution.stf import Entry, NotExecuted, NotTaken
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.known import KnownActions

__all__ = ["ArrivedEnvelope", "Arrivals", "explain_failure"]


class ArrivedEnvelope(Authenticated, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What came in an envelope, as it is admitted: its `sender` is its identity, 32 bytes, which no signer has."""

    entry: Entry | None = None
    """None if it was opened under another version than the one in force: then it is not taken."""
    seconds: float = 0.0
    """What opening took."""


class Arrivals:
    """Gives what arrives its form, and knows which nonce is next."""

    def __init__(self, ledger: Ledger, known: KnownActions) -> None:
        self._ledger = ledger
        self._known = known

    def receive(self, action: Authenticated | Enveloped) -> Authenticated:
        """An action as it is admitted."""
        if not isinstance(action, Enveloped):
            return action
        identity = compute_envelope_id(self._ledger.rollup_id, action.name, action.hash)
        entry = None
        if action.version == self._ledger.authenticator.version:
            entry = make_envelope_entry(self._ledger.rollup, self._ledger.rollup_id, action, must_execute=True)
        return ArrivedEnvelope(action.record, identity, 0, identity, action.version, entry, action.seconds)

    def find_next(self, action: Authenticated) -> int:
        """The nonce that is next: the sender's; for an envelope 1 once it has executed. Raises `StoreCorrupt`."""
        if isinstance(action, ArrivedEnvelope):
            return int(self._known.is_executed(action.action_hash))
        return self._ledger.state.nonces.get(action.sender, 0)

    def sum_opening(self, actions: Iterable[Authenticated]) -> float:
        """Seconds that opening took those of them that came in envelopes: verifiers need them too, for the block."""
        return sum([action.seconds for action in actions if isinstance(action, ArrivedEnvelope)])

    def make_entry(self, action: Authenticated) -> Entry:
        """The entry to execute."""
        if isinstance(action, ArrivedEnvelope) and action.entry is not None:
            return action.entry
        return make_signed_entry(self._ledger.rollup, action)


def explain_failure(stopped: NotExecuted | NotTaken) -> RefusedError:
    """Why an envelope is refused that did not execute, or an action that the app's policy does not take."""
    if isinstance(stopped, NotTaken):
        return stopped.refusal
    if stopped.status == REJECTED:
        return EnvelopeRejected(stopped.reason or "the state transition function rejects it")
    return EnvelopeFaulted("the state transition function fails on it; the node's log says why")
