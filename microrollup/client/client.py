"""`Client`: a rollup over the network, typed by the app's own action classes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from microrollup.chain.acknowledgement import EventForm, ReadFields, SignedAcknowledgement, make_event_forms
from microrollup.chain.answers.actions import HeaderAnswer
from microrollup.chain.answers.confirmations import Confirmation, Heights
from microrollup.chain.answers.node import NodeConfig
from microrollup.chain.answers.state import EntriesAnswer, StateAnswer, StateProofAnswer
from microrollup.chain.block import Header
from microrollup.chain.receipt_proof import InboxDomain, ReceiptProof, check_receipt_proof, receipt_proof_from_json
from microrollup.chain.record import DomainConfig
from microrollup.client.config import Pins
from microrollup.client.connection import Connection
from microrollup.client.errors import BadAnswer, ClientError, ConfirmationTimeout, NotFound
from microrollup.client.events import HasReceipt, get_receipt
from microrollup.client.signed import SignedAction
from microrollup.client.signer import Signer
from microrollup.client.state import (
    EntriesPage,
    ProvenValue,
    StateValue,
    check_header,
    check_proof,
    compute_proof_key,
    key_to_json,
    prefix_to_json,
    read_entries,
    read_value,
)
from microrollup.client.submitting import Outcome, Submitter
from microrollup.client.subscription import Notification, Subscriber
from microrollup.client.transport import Transport
from microrollup.client.waiting import LEVELS, StopWatch, is_reached, name_target
from microrollup.declaration.action import Action
from microrollup.declaration.node_view import NodeView
from microrollup.declaration.query import HEIGHT, Query, describe_method, describe_query, name_namespace
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.view import View
from microrollup.errors import DecodeError, ProofError, RefusedError, UsageError

if TYPE_CHECKING:
    import httpx

__all__ = ["LEVELS", "Client"]

P = ParamSpec("P")
R = TypeVar("R")

_POLL_SECONDS: Final = 0.5
"""Between two questions for a level; a notification asks sooner."""


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
        token: str | None = None,
        timeout: float = 30.0,
        http: httpx.AsyncClient | None = None,
        on_silence: Callable[[float], None] | None = None,
    ) -> None:
        """`app` types the values of states; `rollup_id`, `builder` and `domain` are what the node has to serve.
        `token` is for a node that takes actions from those who have one. `timeout` in seconds is that of one call with
        its retries; `on_silence` is told what is left of it if the node has not yet answered anything after two.
        """
        self._transport = Transport(url, timeout=timeout, token=token, http=http, on_silence=on_silence)
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
        """The plain result of any method; unchecked. `getBlock` is short for `rollup_getBlock`."""
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

    async def sign(self, action: Action, signer: Signer, *, nonce: int | None = None) -> SignedAction:
        """As `submit`, but nothing is sent: somebody carries it to L1. The nonce is the node's next, or as given."""
        return await self._submitter.sign(action, signer, nonce)

    async def submit_many(self, actions: Sequence[Action], signer: Signer) -> list[Outcome]:
        """The same for actions of one sender, in their order and in batches; the outcome or error of each."""
        return await self._submitter.submit_many(actions, signer)

    async def submit_signed(self, line: bytes) -> SignedAcknowledgement:
        """Send one signed action in its JSON form, as it is; a known one is answered with its first acknowledgement."""
        return await self._submitter.submit_signed(line)

    async def submit_envelope(self, name: str, raw: bytes) -> SignedAcknowledgement:
        """Send what comes in an envelope of the app's own; with the `app` it is opened here first (`BadEnvelope`)."""
        return await self._submitter.submit_envelope(name, raw)

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
        domain = InboxDomain(config.l1_chain_id, config.inbox)
        checked = check_receipt_proof(
            proof, rollup_id=config.rollup_id, builder=config.builder, block_hash=block_hash, domain=domain
        )
        if checked.receipt.action_hash != action_hash:
            raise ProofError("the receipt is of another action")
        return proof

    async def describe_events(self, source: HasReceipt) -> tuple[EventForm, ...]:
        """The events of a receipt with their members by name, out of its own bytes.

        The classes are the app's if it is known, else the node's types. `read_events` gives instances of a class.
        """
        return make_event_forms(get_receipt(source), await self.get_event_reader())

    async def get_event_reader(self) -> ReadFields:
        """What gives the members of an event as plain JSON."""
        return (await self._connection.get_event_reader()).read

    # Confirmations

    async def get_confirmation(self, target: SignedAcknowledgement | bytes | int) -> Confirmation:
        """How far an action (by acknowledgement or hash) or a height is confirmed. Raises `NotFound`.

        A height is at C0 while its block is open and holds durable actions.
        """
        return await self._connection.ask("getConfirmation", Confirmation, **name_target(target))

    async def wait(
        self, target: SignedAcknowledgement | bytes | int, level: str = "C2", *, timeout: float = 60.0
    ) -> Confirmation:
        """Wait until an action (by acknowledgement or hash) or a height has reached a level.

        Raises `BlockInvalid` if a verifier finds the block wrong, `IntakeClosed` if the block is open and the node has
        stopped, so that it stays open, and `ConfirmationTimeout`.
        """
        if level not in LEVELS:
            raise UsageError(f"{level!r} is none of {', '.join(LEVELS)}")
        if level == LEVELS[0] and isinstance(target, SignedAcknowledgement):
            return Confirmation(level, target.height)
        deadline = time.monotonic() + timeout
        named = name_target(target)
        reached = await self._await_confirmation(named, timeout)
        if not is_reached(reached, level):
            watch = StopWatch(self._connection)
            async with self._watch_confirmations(reached.height) as news:
                while not is_reached(reached, level):
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise ConfirmationTimeout(reached.height, level, reached.level)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), min(left, _POLL_SECONDS))
                    news.clear()
                    await watch.require_closing(reached)
                    reached = await self._await_confirmation(named, max(left, _POLL_SECONDS))
        return reached

    async def _await_confirmation(self, named: dict[str, Any], timeout: float) -> Confirmation:
        """The same for a caller that waits: a height that is not there yet may still come."""
        try:
            return await self._connection.ask("getConfirmation", Confirmation, timeout=timeout, **named)
        except NotFound:
            if "height" not in named:
                raise
            return Confirmation(LEVELS[0], named["height"])

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

        It begins at `cursor`, if given. `filters` are the node's (`sender`, `name`). A lost connection goes on.
        """
        shown = {name: f"0x{value.hex()}" if isinstance(value, bytes) else value for name, value in filters.items()}
        async with aclosing(self._subscriber.subscribe(topic, filters=shown, cursor=cursor)) as notifications:
            async for notification in notifications:
                yield notification

    # State

    async def get_height(self) -> int:
        """The newest closed block's height."""
        return (await self._connection.ask("height", Heights)).latest

    async def get_header(self, height: int | str = "latest") -> Header:
        """A header whose hash was computed again, of this rollup."""
        answer = await self._connection.ask("getHeader", HeaderAnswer, height=height)
        return check_header(answer, await self.get_config())

    async def get_state(self, field: str, key: Any = None, *, height: int | None = None) -> StateValue:
        """What the node says that a field holds; see `get_proof` for what it can prove."""
        shown = key_to_json(self._app, field, key)
        answer = await self._connection.ask("getState", StateAnswer, field=field, key=shown, height=height)
        return read_value(self._app, field, answer)

    async def get_entries(
        self,
        field: str,
        *,
        prefix: Any = None,
        after: Any = None,
        limit: int = 1_000,
        reverse: bool = False,
        height: int | None = None,
    ) -> EntriesPage:
        """A page of a map field, in the order of encoded keys; `next` of one is `after` of the next at its height.

        `prefix` is leading components of a composite key, or the beginning of a key that is text or bytes. Nothing is
        proven. Raises `HeightNotRetained`.
        """
        answer = await self._connection.ask(
            "getEntries",
            EntriesAnswer,
            field=field,
            prefix=prefix_to_json(self._app, field, prefix),
            after=None if after is None else key_to_json(self._app, field, after),
            limit=limit,
            reverse=reverse,
            height=height,
        )
        if height not in (None, answer.height):
            raise BadAnswer("a page at another height than asked for")
        return read_entries(self._app, field, answer)

    async def entries(
        self, field: str, *, prefix: Any = None, reverse: bool = False, height: int | None = None
    ) -> AsyncGenerator[tuple[Any, Any], None]:
        """All entries of a map field at one height (the newest by default), page by page: each exactly once.

        Memory holds one page. `prefix` is as in `get_entries`. Raises `HeightNotRetained` once too many blocks were
        closed meanwhile.
        """
        after: Any = None
        while True:
            page = await self.get_entries(field, prefix=prefix, after=after, reverse=reverse, height=height)
            for entry in page.entries:
                yield entry
            if page.next is None:
                return
            if page.next == after or not page.entries:
                raise BadAnswer("a page that leads nowhere")
            after, height = page.next, page.height

    async def query(
        self, function: Callable[Concatenate[View[Any], P], R], /, *arguments: P.args, **named: P.kwargs
    ) -> R:
        """What a query of the app answers at the newest closed block: its function, and its arguments but the view.

        Nothing is proven. Raises `QueryFailed`, `UsageError` and `ValueOutOfBounds`.
        """
        return await self._query(function, arguments, named, None)

    async def query_at(
        self, height: int, function: Callable[Concatenate[View[Any], P], R], /, *arguments: P.args, **named: P.kwargs
    ) -> R:
        """The same after the block of a height. Raises `HeightNotRetained` besides."""
        return await self._query(function, arguments, named, height)

    async def call_method(
        self, function: Callable[Concatenate[NodeView, P], R], /, *arguments: P.args, **named: P.kwargs
    ) -> R:
        """What a method of the app's own answers: its function, and its arguments but the node.

        Raises what the node answers, `UsageError` and `ValueOutOfBounds`.
        """
        answer: R = await self._call(describe_method(function), arguments, named, None)
        return answer

    async def _query(
        self, function: Callable[..., R], arguments: Sequence[Any], named: Mapping[str, Any], height: int | None
    ) -> R:
        answer: R = await self._call(describe_query(function), arguments, named, height)
        return answer

    async def _call(
        self, described: Query, arguments: Sequence[Any], named: Mapping[str, Any], height: int | None
    ) -> Any:
        params = described.write_arguments(arguments, named) | ({} if height is None else {HEIGHT: height})
        name = self._app.name if self._app is not None else (await self.get_config()).name
        document = await self.call(f"{name_namespace(name)}_{described.name}", **params)
        try:
            return described.form.read(document)
        except RefusedError as error:
            raise BadAnswer(f"{described.name} was answered by what it does not return: {error.detail}") from None

    async def get_proof(
        self, field: str, key: Any = None, *, height: int | None = None, state_root: bytes | None = None
    ) -> ProvenValue:
        """What a settled field holds at a key, or that it holds nothing, proven against a header.

        The header is the node's own, of the height that it proves at; `state_root` is a root that the caller trusts,
        out of the inbox for one. Raises `ProofError`, `BadAnswer`, `HeightNotRetained`.
        """
        config = await self.get_config()
        tree_key = compute_proof_key(self._app, config, field, key)
        shown = key_to_json(self._app, field, key)
        answer = await self._connection.ask("getProof", StateProofAnswer, field=field, key=shown, height=height)
        header = await self.get_header(answer.height)
        if header.height != answer.height or height not in (None, answer.height):
            raise BadAnswer("a proof at another height than asked for")
        if state_root is not None and header.state_root != state_root:
            raise ProofError("the header has another state root than the trusted one")
        return check_proof(answer, header, self._app, field, tree_key)
