"""A node as the other modules see it: its methods, and its config, checked once and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from microrollup.chain.acknowledgement import SignedAcknowledgement, acknowledgement_from_json, verify_acknowledgement
from microrollup.chain.answers.node import EventConfig, NodeConfig
from microrollup.client.config import Pins, check_config
from microrollup.client.declaring import declare_event
from microrollup.client.errors import BadAnswer, ForeignNode
from microrollup.client.transport import Transport
from microrollup.codec.document import read_document
from microrollup.declaration.events import EventReader
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DeclarationError, DecodeError, RefusedError, WrongOperator

__all__ = ["Connection"]

T = TypeVar("T", bound=msgspec.Struct)


class Connection:
    """Owns the transport to one node, and what is known of the node."""

    def __init__(self, transport: Transport, app: MicroRollup | None, pins: Pins) -> None:
        self.transport: Final = transport
        self.app: Final = app
        self._pins = pins
        self._config: NodeConfig | None = None
        self._rollup_id: bytes | None = None
        self._event_reader: EventReader | None = None
        self._lock = asyncio.Lock()

    async def call(self, method: str, /, *, timeout: float | None = None, **params: Any) -> Any:
        """The result of a method; params that are None are left out.

        A name without an underscore is one of `rollup_`'s: `getBlock` is `rollup_getBlock`.
        """
        given = {name: value for name, value in params.items() if value is not None}
        full = method if "_" in method else f"rollup_{method}"
        return await self.transport.call(full, given, timeout=timeout)

    async def ask(self, method: str, answer: type[T], /, *, timeout: float | None = None, **params: Any) -> T:
        """The same, read as the type that the method answers. Raises `BadAnswer` if it is not one."""
        document = await self.call(method, timeout=timeout, **params)
        try:
            return read_document(answer, document)
        except RefusedError as error:
            raise BadAnswer(
                f"rollup_{method} was answered by what is not a {answer.__name__}: {error.detail}"
            ) from None

    async def get_config(self) -> NodeConfig:
        """The node's config, asked for once. Raises `ForeignNode` if it is not what was pinned, `BadAnswer`."""
        async with self._lock:
            if self._config is None:
                self._config = await self._load()
            return self._config

    async def get_event_reader(self) -> EventReader:
        """Reads events by the app's classes if the app is known, else by the types that the node serves."""
        if self._event_reader is None:
            if self.app is not None:
                self._event_reader = EventReader(self.app.event_classes)
            else:
                self._event_reader = _make_event_reader((await self.get_config()).events)
        return self._event_reader

    async def _load(self) -> NodeConfig:
        config = check_config(await self.ask("config", NodeConfig), self._pins, self.app)
        if self._rollup_id not in (None, config.rollup_id):
            raise ForeignNode("rollup", expected=self._rollup_id, found=config.rollup_id)
        self._rollup_id = config.rollup_id
        return config

    def forget_domain(self) -> None:
        """The rollup may have been upgraded: ask for its config again before anything is signed; it stays the
        rollup.
        """
        self._config = self._event_reader = None

    async def _reload(self) -> NodeConfig:
        """Ask again: the builder may have been replaced, but the rollup and the domain may not."""
        async with self._lock:
            config = await self._load()
            if self._config is not None and (config.rollup_id, config.domain) != (
                self._config.rollup_id,
                self._config.domain,
            ):
                raise ForeignNode("rollup", expected=self._config.rollup_id, found=config.rollup_id)
            self._config = config
            return config

    async def read_acknowledgement(self, document: Any, action_hash: bytes | None) -> SignedAcknowledgement:
        """The acknowledgement of an answer, checked: the operator's, of this rollup, and of the action asked for.

        Raises `BadAnswer`, `ForeignNode`, or an `AcknowledgementError`.
        """
        try:
            signed = acknowledgement_from_json(document)
        except DecodeError as error:
            raise BadAnswer(str(error)) from None
        config = await self.get_config()
        try:
            _verify(signed, config)
        except WrongOperator:
            if self._pins.builder is not None:
                raise
            config = await self._reload()
            _verify(signed, config)
        if signed.acknowledgement.rollup_id != config.rollup_id:
            raise ForeignNode("rollup", expected=config.rollup_id, found=signed.acknowledgement.rollup_id)
        if action_hash is not None and signed.action_hash != action_hash:
            raise BadAnswer(f"the acknowledgement of 0x{signed.action_hash.hex()}, not of 0x{action_hash.hex()}")
        return signed


def _make_event_reader(events: Sequence[EventConfig]) -> EventReader:
    try:
        return EventReader({event.name: declare_event(event.name, event.types) for event in events})
    except DeclarationError as error:
        raise BadAnswer(f"the types of an event are those of no event: {error}") from None


def _verify(signed: SignedAcknowledgement, config: NodeConfig) -> None:
    verify_acknowledgement(signed, config.builder, chain_id=config.l1_chain_id, inbox=config.inbox)
