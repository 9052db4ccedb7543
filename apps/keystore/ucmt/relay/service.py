"""Running a relayer: one reader of the log, and a worker for each chain, until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Any, Final

import msgspec
import structlog

from microrollup.chain.block import Block
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.errors import DecodeError, MicrorollupError, NotRetained
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.verifier.source import StoreSource, open_source

from ...chains.errors import AnotherChain
from ...chains.serving import serve_chain
from .chain import UpdateNode
from .errors import AnotherRollup
from .store import LogNote, RelayStore
from .updates import LogReader, UpdateLines, hash_block
from .worker import ChainLimits, ChainWorker

__all__ = ["RelayOptions", "Relayer"]

_LONGEST_PAUSE_SECONDS: Final = 30.0
_BLOCKS_AT_ONCE: Final = 200

_log = structlog.get_logger(__name__)


class RelayOptions(msgspec.Struct, frozen=True):
    """How a relayer works."""

    source: str
    """A node's URL, a store's directory, or a block file."""
    chains: tuple[EthereumOptions, ...]
    limits: ChainLimits
    poll_seconds: float = 2.0
    """Between two looks at the log, and at a chain where nothing is to be done."""
    once: bool = False
    """End when nothing is left that could be sent."""
    patience: int = 5
    """Failed rounds in a row, after which `once` does not wait for a chain."""
    retry: bool = False
    """Forget what was refused before."""


class Relayer:
    """A relayer over its store. `run` is called once."""

    def __init__(self, store: RelayStore, options: RelayOptions, key: PrivateKey) -> None:
        self._store = store
        self._options = options
        self._key = key
        self._lines = UpdateLines()
        for update in store.list_updates():
            self._lines.restore(update)
        self._is_read = asyncio.Event()
        """The log was read to its end since the relayer started."""
        self._stop = asyncio.Event()
        self._workers: list[ChainWorker] = []

    def stop(self) -> None:
        """End soon; from the event loop's thread. A transaction that waits for its block is left to the next start."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`, or with `once` until all is done. Raises `RelayError`s that concern all chains."""
        reading = asyncio.create_task(self._follow_log())
        serving = [asyncio.create_task(self._serve(options)) for options in self._options.chains]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            pending: set[asyncio.Task[Any]] = {reading, *serving}
            while pending and not self._stop.is_set():
                done, _ = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                pending -= done
                if all(task.done() for task in serving):
                    return
        finally:
            tasks = [reading, stopping, *serving]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- the log -----------------------------------------------------------------------------------------------------

    async def _follow_log(self) -> None:
        pause, said = self._options.poll_seconds, ""
        while True:
            try:
                while await self._read_log():
                    pass
            except AnotherRollup:
                raise
            except (MicrorollupError, OSError) as error:
                if isinstance(error, NotRetained) or (self._options.once and not self._is_read.is_set()):
                    raise
                if str(error) != said:  # once, not in every round
                    _log.warning("relay_log_waits", reason=str(error))
                said = str(error)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._is_read.set()
                pause, said = self._options.poll_seconds, ""
            await asyncio.sleep(pause)

    async def _read_log(self) -> bool:
        """Read some blocks; whether there may be more. In a thread the source is asked, and nothing else happens."""
        meta = self._store.read_meta()
        height = 1 if meta is None else meta.height + 1
        genesis, blocks = await asyncio.to_thread(self._fetch, max(1, height - 1))
        reader = LogReader(genesis, self._lines)
        if meta is None:
            meta = LogNote(reader.rollup_id)
        elif meta.rollup_id != reader.rollup_id:
            raise AnotherRollup(meta.rollup_id, reader.rollup_id)
        if height > 1:
            # The newest block that is known comes again: the log may have been rebuilt from another one.
            if not blocks or hash_block(blocks[0]) != meta.block_hash:
                self._forget_log(reader.rollup_id)
                await asyncio.sleep(self._options.poll_seconds)  # a node may say something else each time
                return True
            blocks = blocks[1:]
        seen, first = time.time(), meta.height
        try:
            for block in blocks:
                if not reader.check(block, meta.height + 1, meta.block_hash or None):
                    raise DecodeError("blocks", f"block {meta.height + 1} does not follow the one before it")
                reader.read(block, seen)
                meta = LogNote(meta.rollup_id, block.header.height, hash_block(block))
        finally:
            if meta.height > first:
                self._store.write_log(meta, reader.found)
                reader.commit()
        return len(blocks) >= _BLOCKS_AT_ONCE - 1

    def _fetch(self, first: int) -> tuple[Any, list[Block]]:
        """The genesis, and blocks from a height on."""
        source = open_source(self._options.source)
        try:
            return source.genesis, list(islice(source.read_blocks(first), _BLOCKS_AT_ONCE))
        finally:
            if isinstance(source, StoreSource):
                source.close()

    def _forget_log(self, rollup_id: bytes) -> None:
        _log.warning("relay_log_changed", updates=self._lines.count)
        self._store.drop_log(LogNote(rollup_id))
        self._lines.clear()

    # --- the chains --------------------------------------------------------------------------------------------------

    async def _serve(self, options: EthereumOptions) -> None:
        node = UpdateNode(options, self._key)
        await serve_chain(
            node,
            lambda: self._connect(node),
            lambda worker, error, is_new: _note_failure(node, worker, error, is_new=is_new),
            poll_seconds=self._options.poll_seconds,
            once=self._options.once,
            patience=self._options.patience,
        )

    async def _connect(self, node: UpdateNode) -> ChainWorker:
        await self._is_read.wait()
        worker = await ChainWorker.connect(node, self._store, self._lines, self._options.limits)
        if node.chain_id in [each.book.note.chain_id for each in self._workers]:
            raise AnotherChain(node.place, node.chain_id, "which another URL is of")
        if self._options.retry:
            worker.forget_refusals()
        self._workers.append(worker)
        return worker


def _note_failure(node: UpdateNode, worker: ChainWorker | None, error: Exception, *, is_new: bool) -> None:
    """Say why a round did not come to its end, on disk if the chain is known."""
    text = str(error)[:300]
    if worker is not None and text != worker.book.note.error:
        worker.book.write({}, error=text)
    if is_new:
        _log.warning("relay_chain_waits", chain=node.chain_id, place=node.place, reason=text)
