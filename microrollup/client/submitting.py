"""Submitting: one nonce per signature, the same bytes however often they are sent, an acknowledgement that is checked.

What is signed once is never signed again under another nonce while the first signature might still be executed. Only
when the node answered the one and only sending with "nonce_used" (another action of the sender took the number, so
that these bytes are void for ever) the action is signed anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.answers.state import NonceAnswer
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.client.connection import Connection
from microrollup.client.errors import (
    ActionRefused,
    BadAnswer,
    ClientError,
    IntakeClosed,
    NodeBusy,
    OutcomeUnknown,
    RpcError,
    Unreachable,
    make_rpc_error,
)
from microrollup.client.nonces import Fate, NonceSlot, SenderNonces
from microrollup.client.signed import SignedAction
from microrollup.client.signer import Signer, get_address
from microrollup.client.signing import ActionSigner, make_authenticator
from microrollup.declaration.action import Action
from microrollup.errors import AcknowledgementError, MicrorollupError, RefusedError
from microrollup.execution.authentication import Authenticated, Authenticator, may_be_envelope, parse_json_fast
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["Outcome", "Submitter"]

Outcome = SignedAcknowledgement | MicrorollupError
"""Of one action among several: its acknowledgement, or why there is none."""

MAX_BATCH_ACTIONS: Final = 500
MAX_BATCH_BYTES: Final = 2 << 20
_MAX_SIGNINGS: Final = 8
_TOO_EARLY: Final = frozenset({"nonce_gap", "nonce_too_high", "queue_full", "budget_spent", "rejections_spent"})
_NONCE_REFUSALS: Final = _TOO_EARLY | {"nonce_used"}
_DOMAIN_REFUSALS: Final = frozenset({"domain_changed", "sender_mismatch", "unknown_type"})
"""What an action is refused with that was signed for another version of the app."""
_BUSY_PAUSE_SECONDS: Final = 0.1
_MAX_SENDERS: Final = 10_000
"""Senders whose nonces are counted here; who was idle for longest is asked for again."""


class Submitter:
    """Numbers, signs and sends actions through one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._nonces: dict[bytes, SenderNonces] = {}
        self._signer: ActionSigner | None = None
        self._authenticator: Authenticator | None = None

    async def submit(self, action: Action, signer: Signer) -> SignedAcknowledgement:
        """Number, sign and send one action."""
        action_signer = await self._get_signer()
        action_signer.check(action)
        nonces = self._get_nonces(get_address(signer))
        for _ in range(_MAX_SIGNINGS - 1):
            try:
                return await self._submit_once(action, signer, action_signer, nonces)
            except ActionRefused as error:
                if error.refusal != "nonce_used" or error.unanswered:
                    raise
        return await self._submit_once(action, signer, action_signer, nonces)

    async def _submit_once(
        self, action: Action, signer: Signer, action_signer: ActionSigner, nonces: SenderNonces
    ) -> SignedAcknowledgement:
        async with nonces.take() as slot:
            slot.fate = "free"
            signed = await action_signer.sign(action, slot.first, signer)
            slot.fate = "unknown"
            try:
                acknowledgement = await self._send_in_order(signed, slot, nonces)
            except (RpcError, Unreachable) as error:
                slot.fate = _judge(error)
                self._note_domain(error)
                raise
            slot.fate = "consumed"
            return acknowledgement

    async def sign(self, action: Action, signer: Signer, nonce: int | None) -> SignedAction:
        """Sign one action that is not sent, so that its number is not counted here."""
        action_signer = await self._get_signer()
        action_signer.check(action)
        number = await self.get_nonce(get_address(signer)) if nonce is None else nonce
        return await action_signer.sign(action, number, signer)

    async def submit_many(self, actions: Sequence[Action], signer: Signer) -> list[Outcome]:
        """Number, sign and send actions of one sender in their order, in batches."""
        action_signer = await self._get_signer()
        for action in actions:
            action_signer.check(action)
        async with self._get_nonces(get_address(signer)).take_all(len(actions)) as slot:
            numbered = enumerate(actions, slot.first)
            signed = [await action_signer.sign(action, nonce, signer) for nonce, action in numbered]
            outcomes = await self._send_all(signed)
            for outcome in outcomes:
                self._note_domain(outcome)
            if all(isinstance(outcome, SignedAcknowledgement) for outcome in outcomes):
                slot.fate = "consumed"
        return outcomes

    async def submit_signed(self, line: bytes) -> SignedAcknowledgement:
        """Send one line that is signed already, perhaps for the second time."""
        return await self._send(await self._name(line))

    async def submit_envelope(self, name: str, raw: bytes) -> SignedAcknowledgement:
        """Send what comes in an envelope of that name, perhaps for the second time."""
        return await self._send(await self._name(msgspec.json.encode({"envelope": name, "raw": f"0x{raw.hex()}"})))

    async def submit_lines(self, lines: Sequence[bytes]) -> list[Outcome]:
        """Send lines that are signed already, in batches; those that no node would take are refused here."""
        outcomes: list[Outcome | None] = []
        signed: list[SignedAction] = []
        for line in lines:
            try:
                signed.append(await self._name(line))
                outcomes.append(None)
            except RefusedError as error:
                outcomes.append(error)
        answers = iter(await self._send_all(signed))
        return [next(answers) if outcome is None else outcome for outcome in outcomes]

    async def get_nonce(self, sender: bytes) -> int:
        """The nonce that the node expects next from a sender."""
        return (await self._connection.ask("getNonce", NonceAnswer, sender=f"0x{sender.hex()}")).next

    # Sending

    async def _send_in_order(
        self, signed: SignedAction, slot: NonceSlot, nonces: SenderNonces
    ) -> SignedAcknowledgement:
        """Send it; and, if it came too long before lower numbers that are under way, the same bytes after them."""
        while True:
            try:
                return await self._send(signed)
            except ActionRefused as error:
                if error.refusal not in _TOO_EARLY or not await nonces.wait_for_lower(slot):
                    raise

    async def _send(self, signed: SignedAction) -> SignedAcknowledgement:
        """Raises an `RpcError` or `Unreachable` if nothing was taken, `OutcomeUnknown` if that is open."""
        try:
            answer = await self._connection.call("submitAction", action=msgspec.Raw(signed.line))
        except BadAnswer as error:
            raise OutcomeUnknown(signed, str(error)) from error
        except (RpcError, Unreachable) as error:
            if _may_be_taken(error):
                raise OutcomeUnknown(signed, str(error)) from error
            raise
        return await self._connection.read_acknowledgement(answer, signed.action_hash)

    async def _send_all(self, signed: Sequence[SignedAction]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for first, last in _cut(signed):
            outcomes += await self._send_batch(signed[first:last])
        return outcomes

    async def _send_batch(self, signed: Sequence[SignedAction]) -> list[Outcome]:
        """The outcomes of one batch; what the node was too busy for is sent again until the time is up."""
        outcomes: dict[int, Outcome] = {}
        deadline = time.monotonic() + self._connection.transport.timeout
        waiting = list(range(len(signed)))
        while True:
            answers = await self._call_batch([signed[index] for index in waiting])
            outcomes.update(zip(waiting, answers, strict=True))
            waiting = [index for index in waiting if isinstance(outcomes[index], NodeBusy)]
            if not waiting or time.monotonic() > deadline:
                return [outcomes[index] for index in range(len(signed))]
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)

    async def _call_batch(self, signed: Sequence[SignedAction]) -> list[Outcome]:
        try:
            answers = await self._connection.call("submitActions", actions=[msgspec.Raw(each.line) for each in signed])
        except ClientError as error:
            if isinstance(error, (RpcError, Unreachable)) and not _may_be_taken(error):
                return [error] * len(signed)
            return [OutcomeUnknown(each, str(error)) for each in signed]
        if not isinstance(answers, list) or len(answers) != len(signed):
            return [OutcomeUnknown(each, "the answer is of another length than the batch") for each in signed]
        return [await self._read_outcome(answer, each) for answer, each in zip(answers, signed, strict=True)]

    async def _read_outcome(self, answer: Any, signed: SignedAction) -> Outcome:
        try:
            if isinstance(answer, dict) and "ack" in answer:
                return await self._connection.read_acknowledgement(answer["ack"], signed.action_hash)
            error = make_rpc_error(answer.get("error") if isinstance(answer, dict) else None)
            return OutcomeUnknown(signed, str(error)) if _may_be_taken(error) else error
        except (ClientError, AcknowledgementError) as error:
            return error

    async def _name(self, line: bytes) -> SignedAction:
        """A line with its identity. Raises the class of `RefusedError` with which every node would refuse it."""
        authenticator = await self._get_authenticator()
        if self._connection.app is None and _is_envelope(line):
            return SignedAction(line, ZERO_ADDRESS, 0, None)
        authentic = authenticator.authenticate_line(line)
        if isinstance(authentic, Authenticated):
            return SignedAction(line, authentic.sender, authentic.nonce, authentic.action_hash)
        rollup_id = (await self._connection.get_config()).rollup_id
        return SignedAction(line, ZERO_ADDRESS, 0, compute_envelope_id(rollup_id, authentic.name, authentic.hash))

    def _note_domain(self, outcome: object) -> None:
        """Sign again only after asking for the config, once an answer says that the signing domain is another now."""
        if isinstance(outcome, ActionRefused) and outcome.refusal in _DOMAIN_REFUSALS:
            self._connection.forget_domain()
            self._signer = self._authenticator = None

    # What is made once

    async def _get_signer(self) -> ActionSigner:
        if self._signer is None:
            self._signer = ActionSigner(await self._connection.get_config())
        return self._signer

    async def _get_authenticator(self) -> Authenticator:
        if self._authenticator is None:
            self._authenticator = make_authenticator(await self._connection.get_config(), self._connection.app)
        return self._authenticator

    def _get_nonces(self, sender: bytes) -> SenderNonces:
        nonces = self._nonces.pop(sender, None) or SenderNonces(partial(self.get_nonce, sender))
        self._nonces[sender] = nonces
        for oldest in list(islice(self._nonces, max(0, len(self._nonces) - _MAX_SENDERS))):
            if self._nonces[oldest].is_idle:
                del self._nonces[oldest]
        return nonces


_OPEN_CODES: Final = frozenset({-32603, -32009})
"""The node has a fault, or its source gave no answer: what was submitted may be logged."""


def _may_be_taken(error: RpcError | Unreachable) -> bool:
    """Whether actions may be logged although this came in place of an acknowledgement."""
    if isinstance(error, ActionRefused):
        return False
    return bool(error.unanswered) or (isinstance(error, RpcError) and error.code in _OPEN_CODES)


def _judge(error: RpcError | Unreachable) -> Fate:
    """What became of the nonce of an action that got this answer."""
    if error.unanswered or isinstance(error, IntakeClosed):
        return "unknown"
    if isinstance(error, ActionRefused) and error.refusal in _NONCE_REFUSALS:
        return "unknown"
    return "free"


def _is_envelope(line: bytes) -> bool:
    """Whether a line is an envelope's. Raises a class of `RefusedError` for what is not JSON."""
    if not may_be_envelope(line):
        return False
    document = parse_json_fast(line)
    return isinstance(document, dict) and "envelope" in document


def _cut(signed: Sequence[SignedAction]) -> list[tuple[int, int]]:
    """Where batches begin and end, so that each stays within a node's limits."""
    cuts: list[tuple[int, int]] = []
    first = size = 0
    for index, each in enumerate(signed):
        if index > first and (index - first >= MAX_BATCH_ACTIONS or size + len(each.line) > MAX_BATCH_BYTES):
            cuts.append((first, index))
            first, size = index, 0
        size += len(each.line) + 1
    if first < len(signed):
        cuts.append((first, len(signed)))
    return cuts
