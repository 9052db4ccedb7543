"""`SyncClient`: the same client for code without an event loop, which runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from microrollup.chain.acknowledgement import EventForm, SignedAcknowledgement
from microrollup.chain.answers.confirmations import Confirmation
from microrollup.chain.answers.node import NodeConfig
from microrollup.chain.block import Header
from microrollup.chain.receipt_proof import ReceiptProof
from microrollup.chain.record import DomainConfig
from microrollup.client.client import Client
from microrollup.client.events import HasReceipt
from microrollup.client.signed import SignedAction
from microrollup.client.signer import Signer
from microrollup.client.state import EntriesPage, ProvenValue, StateValue
from microrollup.client.submitting import Outcome
from microrollup.client.subscription import Notification
from microrollup.declaration.action import Action
from microrollup.declaration.node_view import NodeView
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.view import View

__all__ = ["SyncClient"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncClient:
    """Each method waits for `Client`'s of the same name. Any thread may call it.

    with SyncClient("http://127.0.0.1:8650", app) as client:
        ack = client.submit(Register(...), key)
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
    ) -> None:
        """As `Client`'s. Starts the thread; nothing is asked of the node yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="microrollup client", daemon=True)
        self._thread.start()

        async def make() -> Client:
            return Client(url, app, rollup_id=rollup_id, builder=builder, domain=domain, token=token, timeout=timeout)

        try:
            self._client = self._run(make())
        except BaseException:
            self._stop()
            raise

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if not self._loop.is_closed():
            self._run(self._client.close())
            self._run(self._loop.shutdown_asyncgens())
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, /, **params: Any) -> Any:
        """See `Client.call`."""
        return self._run(self._client.call(method, **params))

    def get_config(self) -> NodeConfig:
        """See `Client.get_config`."""
        return self._run(self._client.get_config())

    def submit(self, action: Action, signer: Signer) -> SignedAcknowledgement:
        """See `Client.submit`."""
        return self._run(self._client.submit(action, signer))

    def sign(self, action: Action, signer: Signer, *, nonce: int | None = None) -> SignedAction:
        """See `Client.sign`."""
        return self._run(self._client.sign(action, signer, nonce=nonce))

    def submit_many(self, actions: Sequence[Action], signer: Signer) -> list[Outcome]:
        """See `Client.submit_many`."""
        return self._run(self._client.submit_many(actions, signer))

    def submit_signed(self, line: bytes) -> SignedAcknowledgement:
        """See `Client.submit_signed`."""
        return self._run(self._client.submit_signed(line))

    def submit_envelope(self, name: str, raw: bytes) -> SignedAcknowledgement:
        """See `Client.submit_envelope`."""
        return self._run(self._client.submit_envelope(name, raw))

    def submit_lines(self, lines: Sequence[bytes]) -> list[Outcome]:
        """See `Client.submit_lines`."""
        return self._run(self._client.submit_lines(lines))

    def get_nonce(self, sender: bytes) -> int:
        """See `Client.get_nonce`."""
        return self._run(self._client.get_nonce(sender))

    def get_receipt_proof(self, action_hash: bytes, *, block_hash: bytes | None = None) -> ReceiptProof:
        """See `Client.get_receipt_proof`."""
        return self._run(self._client.get_receipt_proof(action_hash, block_hash=block_hash))

    def describe_events(self, source: HasReceipt) -> tuple[EventForm, ...]:
        """See `Client.describe_events`."""
        return self._run(self._client.describe_events(source))

    def get_confirmation(self, target: SignedAcknowledgement | bytes | int) -> Confirmation:
        """See `Client.get_confirmation`."""
        return self._run(self._client.get_confirmation(target))

    def wait(
        self, target: SignedAcknowledgement | bytes | int, level: str = "C2", *, timeout: float = 60.0
    ) -> Confirmation:
        """See `Client.wait`."""
        return self._run(self._client.wait(target, level, timeout=timeout))

    def subscribe(self, topic: str, *, cursor: int | None = None, **filters: Any) -> Iterator[Notification]:
        """See `Client.subscribe`."""
        return self._iterate(self._client.subscribe(topic, cursor=cursor, **filters))

    def _iterate(self, generator: AsyncGenerator[T, None]) -> Iterator[T]:
        async def get_next() -> T:
            return await anext(generator)

        async def close() -> None:
            await generator.aclose()

        try:
            while True:
                try:
                    found = self._run(get_next())
                except StopAsyncIteration:
                    return
                yield found
        finally:
            if not self._loop.is_closed():
                self._run(close())

    def get_height(self) -> int:
        """See `Client.get_height`."""
        return self._run(self._client.get_height())

    def get_header(self, height: int | str = "latest") -> Header:
        """See `Client.get_header`."""
        return self._run(self._client.get_header(height))

    def get_state(self, field: str, key: Any = None, *, height: int | None = None) -> StateValue:
        """See `Client.get_state`."""
        return self._run(self._client.get_state(field, key, height=height))

    def get_entries(
        self,
        field: str,
        *,
        prefix: Any = None,
        after: Any = None,
        limit: int = 1_000,
        reverse: bool = False,
        height: int | None = None,
    ) -> EntriesPage:
        """See `Client.get_entries`."""
        return self._run(
            self._client.get_entries(field, prefix=prefix, after=after, limit=limit, reverse=reverse, height=height)
        )

    def entries(
        self, field: str, *, prefix: Any = None, reverse: bool = False, height: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """See `Client.entries`."""
        return self._iterate(self._client.entries(field, prefix=prefix, reverse=reverse, height=height))

    def query(self, function: Callable[Concatenate[View[Any], P], R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """See `Client.query`."""
        return self._run(self._client.query(function, *arguments, **named))

    def query_at(
        self, height: int, function: Callable[Concatenate[View[Any], P], R], /, *arguments: P.args, **named: P.kwargs
    ) -> R:
        """See `Client.query_at`."""
        return self._run(self._client.query_at(height, function, *arguments, **named))

    def call_method(
        self, function: Callable[Concatenate[NodeView, P], R], /, *arguments: P.args, **named: P.kwargs
    ) -> R:
        """See `Client.call_method`."""
        return self._run(self._client.call_method(function, *arguments, **named))

    def get_proof(
        self, field: str, key: Any = None, *, height: int | None = None, state_root: bytes | None = None
    ) -> ProvenValue:
        """See `Client.get_proof`."""
        return self._run(self._client.get_proof(field, key, height=height, state_root=state_root))
