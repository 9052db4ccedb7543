"""`Client`: a rollup over the network, typed by the app's own action classes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, Self

import httpx
import msgspec

from microrollup.acknowledgement import SignedAcknowledgement
from microrollup.action import Action
from microrollup.block import Header
from microrollup.client.config import NodeConfig, Pins, read_uint64
from microrollup.client.connection import Connection
from microrollup.client.errors import BadAnswer, BlockInvalid, ClientError, ConfirmationTimeout, NotFound
from microrollup.client.signer import Signer
from microrollup.client.state import (
    ProvenValue,
    StateValue,
    check_proof,
    compute_proof_key,
    key_to_json,
    read_header,
    read_value,
)
from microrollup.client.submitting import Outcome, Submitter
from microrollup.client.subscription import Notification, Subscriber
from microrollup.client.transport import Transport
from microrollup.errors import DecodeError, ProofError, RefusedError, UsageError
from microrollup.receipt_proof import InboxDomain, ReceiptProof, check_receipt_proof, receipt_proof_from_json
from microrollup.record import DomainConfig
from microrollup.rollup import MicroRollup

__all__ = ["LEVELS", "Client", "Confirmation"]

LEVELS: Final = ("C0", "C1", "C2", "C3A", "C3B")
"""Acknowledged and durable; executed; verified; data available; settled. An action at C1X is as far as one at C1."""

_RANKS: Final = {level: rank for rank, level in enumerate(LEVELS)} | {"C1X": 1}
_INVALID: Final = "C2X"
_POLL_SECONDS: Final = 0.5
"""Between two questions for a level; a notification asks sooner."""


class Confirmation(msgspec.Struct, frozen=True):
    """How far a block is confirmed."""

    level: str
    height: int
    settled_depth: int | None = None
    """L1 blocks on top of the one that settled it."""


class Client:
    """A node's methods; everything that can be checked here is checked here.

        async with Client("http://127.0.0.1:8650", app, rollup_id=ROLLUP_ID) as client:
            ack = await client.submit(Register(...), key)
            await client.wait(ack, "C3B")

    Belongs to one event loop.
    """

    def __init__(
        self,
        url: str,
        app: MicroRollup | None = None,
        *,
        rollup_id: bytes | None = None,
        builder: bytes | None = None,
        domain: DomainConfig | None = None,
        timeout: float = 30.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`app` types the values of states; `rollup_id`, `builder` and `domain` are what the node has to serve.

        `timeout` in seconds is that of one call with its retries. Nothing is asked of the node yet.
        """
        self._transport = Transport(url, timeout=timeout, http=http)
        self._connection = Connection(self._transport, app, Pins(rollup_id, builder, domain))
        self._submitter = Submitter(self._connection)
        self._subscriber = Subscriber(self._transport.url, timeout)
        self._app = app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, those of subscriptions too."""
        await self._subscriber.close()
        await self._transport.close()

    async def call(self, method: str, /, **params: Any) -> Any:
        """The plain result of any `rollup_` method, named without that prefix; unchecked."""
        return await self._connection.call(method, **params)

    async def get_config(self) -> NodeConfig:
        """What the node serves. Raises `ForeignNode` if that is not what this client was made for."""
        return await self._connection.get_config()

    # Actions

    async def submit(self, action: Action, signer: Signer) -> SignedAcknowledgement:
        """Number, sign and send an action; its acknowledgement, checked: it is durable and has been executed.

        `signer` is a private key, or has an `address` and signs digests or typed data. An action that the rollup
        rejects is acknowledged too: see `status` and `reason`. Raises `ValueOutOfBounds` and `UsageError` before
        anything is signed, `ActionRefused`, `NodeBusy`, `IntakeClosed` or `Unreachable` if nothing was taken,
        `OutcomeUnknown` if that is open, and `AcknowledgementError` if the answer is not the operator's.
        """
        return await self._submitter.submit(action, signer)

    async def submit_many(self, actions: Sequence[Action], signer: Signer) -> list[Outcome]:
        """The same for actions of one sender, in their order and in batches; the outcome or error of each."""
        return await self._submitter.submit_many(actions, signer)

    async def submit_signed(self, line: bytes) -> SignedAcknowledgement:
        """Send one signed action in its JSON form, as it is; a known one is answered with its first acknowledgement."""
        return await self._submitter.submit_signed(line)

    async def submit_lines(self, lines: Sequence[bytes]) -> list[Outcome]:
        """The same for many lines, in batches; the outcome or error of each."""
        return await self._submitter.submit_lines(lines)

    async def get_nonce(self, sender: bytes) -> int:
        """The nonce that the node expects next from a 20-byte sender."""
        return await self._submitter.get_nonce(sender)

    async def get_receipt_proof(self, action_hash: bytes, *, block_hash: bytes | None = None) -> ReceiptProof:
        """The receipt of an action with all that proves it, checked; `receipt_proof_to_json` makes a file of it.

        Raises `NotFound` while its block is open, `BadAnswer`, `ProofError`, `AcknowledgementError`.
        """
        config = await self.get_config()
        try:
            proof = receipt_proof_from_json(await self.call("getReceiptProof", hash=f"0x{action_hash.hex()}"))
        except DecodeError as error:
            raise BadAnswer(str(error)) from None
        checked = check_receipt_proof(
            proof,
            rollup_id=config.rollup_id,
            builder=config.builder,
            block_hash=block_hash,
            domain=InboxDomain(config.l1_chain_id, config.inbox),
        )
        if checked.receipt.action_hash != action_hash:
            raise ProofError("the receipt is of another action")
        return proof

    # Confirmations

    async def get_confirmation(self, target: SignedAcknowledgement | bytes | int) -> Confirmation:
        """How far an action (by acknowledgement or hash) or a height is confirmed. Raises `NotFound`.

        A height is at C0 while its block is open and holds durable actions.
        """
        return await self._get_confirmation(_name_target(target), None)

    async def wait(
        self, target: SignedAcknowledgement | bytes | int, level: str = "C2", *, timeout: float = 60.0
    ) -> Confirmation:
        """Wait until an action (by acknowledgement or hash) or a height has reached a level.

        Raises `BlockInvalid` if a verifier finds the block wrong, and `ConfirmationTimeout`.
        """
        if level not in LEVELS:
            raise UsageError(f"{level!r} is none of {', '.join(LEVELS)}")
        if level == LEVELS[0] and isinstance(target, SignedAcknowledgement):
            return Confirmation(level, target.height)
        deadline = time.monotonic() + timeout
        named = _name_target(target)
        reached = await self._await_confirmation(named, timeout)
        if not _is_reached(reached, level):
            async with self._watch_confirmations(reached.height) as news:
                while not _is_reached(reached, level):
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise ConfirmationTimeout(reached.height, level, reached.level)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), min(left, _POLL_SECONDS))
                    news.clear()
                    reached = await self._await_confirmation(named, max(left, _POLL_SECONDS))
        return reached

    async def _await_confirmation(self, named: dict[str, Any], timeout: float) -> Confirmation:
        """The same for who waits: a height that is not there yet may still come."""
        try:
            return await self._get_confirmation(named, timeout)
        except NotFound:
            if "height" not in named:
                raise
            return Confirmation(LEVELS[0], named["height"])

    async def _get_confirmation(self, named: dict[str, Any], timeout: float | None) -> Confirmation:
        answer = await self._connection.call("getConfirmation", timeout=timeout, **named)
        try:
            level, height, depth = answer["level"], read_uint64(answer["height"]), answer.get("settledDepth")
            if level not in _RANKS and level != _INVALID:
                raise BadAnswer("a confirmation of no known level")
            return Confirmation(level, height, None if depth is None else read_uint64(depth))
        except (KeyError, TypeError, AttributeError, RefusedError) as error:
            raise BadAnswer(f"no confirmation: {error}") from None

    @asynccontextmanager
    async def _watch_confirmations(self, height: int) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the node announces something from a height on; never without WebSocket."""
        news = asyncio.Event()

        async def watch() -> None:
            with suppress(ClientError):
                async for _ in self.subscribe("confirmations", cursor=height):
                    news.set()

        task = asyncio.create_task(watch())
        try:
            yield news
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def subscribe(
        self, topic: str, *, cursor: int | None = None, **filters: Any
    ) -> AsyncGenerator[Notification, None]:
        """What is new of "blocks", "receipts", "events" or "confirmations", until this client is closed.

        It begins at `cursor`, if given. `filters` are the node's (`sender`, `name`). A lost connection goes on
        where it was.
        """
        shown = {name: f"0x{value.hex()}" if isinstance(value, bytes) else value for name, value in filters.items()}
        async with aclosing(self._subscriber.subscribe(topic, filters=shown, cursor=cursor)) as notifications:
            async for notification in notifications:
                yield notification

    # State

    async def get_height(self) -> int:
        """The newest closed block's height."""
        answer = await self.call("height")
        try:
            height: int = read_uint64(answer["latest"])
        except (KeyError, TypeError, RefusedError) as error:
            raise BadAnswer(f"no height: {error}") from None
        return height

    async def get_header(self, height: int | str = "latest") -> Header:
        """A header whose hash was computed again, of this rollup."""
        return read_header(await self.call("getHeader", height=height), await self.get_config())

    async def get_state(self, field: str, key: Any = None, *, height: int | None = None) -> StateValue:
        """What the node says that a field holds; see `get_proof` for what it can prove."""
        shown = key_to_json(self._app, field, key)
        return read_value(self._app, field, await self.call("getState", field=field, key=shown, height=height))

    async def get_proof(
        self, field: str, key: Any = None, *, height: int | None = None, state_root: bytes | None = None
    ) -> ProvenValue:
        """What a settled field holds at a key, or that it holds nothing, proven against a header.

        The header is the node's own, of the height that it proves at; `state_root` is a root that the caller trusts,
        out of the inbox for one. Raises `ProofError`, `BadAnswer`, `HeightNotRetained`.
        """
        config = await self.get_config()
        tree_key = compute_proof_key(self._app, config, field, key)
        answer = await self.call("getProof", field=field, key=key_to_json(self._app, field, key), height=height)
        try:
            found = read_uint64(answer["height"])
        except (KeyError, TypeError, RefusedError) as error:
            raise BadAnswer(f"no proof: {error}") from None
        header = await self.get_header(found)
        if header.height != found or (height is not None and found != height):
            raise BadAnswer("a proof at another height than asked for")
        if state_root is not None and header.state_root != state_root:
            raise ProofError("the header has another state root than the trusted one")
        return check_proof(answer, header, self._app, field, tree_key)


def _name_target(target: SignedAcknowledgement | bytes | int) -> dict[str, Any]:
    """The params that name what is to be confirmed."""
    match target:
        case SignedAcknowledgement():
            return {"hash": f"0x{target.action_hash.hex()}"}
        case bytes():
            return {"hash": f"0x{target.hex()}"}
        case _:
            return {"height": target}


def _is_reached(confirmation: Confirmation, level: str) -> bool:
    if confirmation.level == _INVALID:
        raise BlockInvalid(confirmation.height)
    return _RANKS[confirmation.level] >= _RANKS[level]
