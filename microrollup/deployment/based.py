"""A based rollup's node over a data directory: made on first use, and brought in line with L1 before anybody reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import structlog

from microrollup.based.block import require_based
from microrollup.based.following import rewind_to_l1
from microrollup.chain.record import Genesis
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import check_announced_code
from microrollup.deployment.place_file import find_place, keep_place
from microrollup.deployment.serving import has_store, open_away
from microrollup.errors import CommitFailed, L1Behind, StoreCorrupt, StoreError, StoreMissing, UsageError, WrongRollup
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.node.based import BasedNode
from microrollup.node.options import NodeOptions
from microrollup.node.reading import ReadingNode
from microrollup.settlement.ethereum.errors import L1Throttled, L1Unreachable
from microrollup.settlement.place import EthereumPlace, L1Place, describe_place, open_l1
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import Environment, map_errors

__all__ = ["is_based", "open_based"]

_log = structlog.get_logger(__name__)


def is_based(directory: Path, l1: L1Place | None) -> bool:
    """Whether a data directory is a based rollup's, or would become one: where it holds nothing, its L1 is asked.

    Raises `StoreError`s, and what opening a settlement raises.
    """
    try:
        with Environment(directory, read_only=True) as environment, map_errors(directory):
            return read_genesis(environment).is_based
    except StoreMissing:
        pass
    try:
        with closing(open_l1(find_place(directory, l1))) as settlement:
            return settlement.get_genesis().is_based
    except StoreMissing:
        return False


@contextmanager
def open_based(
    app: str, directory: Path, rollup: MicroRollup, l1: L1Place | None, methods: Sequence[str] = ()
) -> Iterator[ReadingNode]:
    """The node over a data directory, not started yet. Blocks that do not follow from L1 any more are taken back first.

    While L1 does not answer, or ends below what blocks were built on, it is one that serves reads alone, and is spent
    as soon as L1 is there. Nothing here needs a key. Raises `StoreError`s, `WrongRollup`, `OtherCode`, `UsageError`,
    and what opening a settlement raises.
    """
    place = find_place(directory, l1)
    with ExitStack() as stack:
        try:
            node: ReadingNode = _derive(app, directory, rollup, place, methods, stack)
        except (L1Unreachable, L1Throttled, L1Behind) as error:
            stack.close()
            if not has_store(directory):
                raise
            options = NodeOptions(methods=tuple(methods))
            node = stack.enter_context(open_away(app, directory, rollup, place, options, str(error)))
        yield node


def _derive(
    app: str, directory: Path, rollup: MicroRollup, place: L1Place, methods: Sequence[str], stack: ExitStack
) -> BasedNode:
    settlement = stack.enter_context(closing(open_l1(place)))
    genesis = settlement.get_genesis()
    require_based(rollup, genesis)
    ledger = stack.enter_context(_open_ledger(directory, rollup, genesis, place))
    if ledger.genesis != genesis:
        raise WrongRollup(f"{describe_place(place)} is the settlement of another rollup than {directory} holds")
    check_announced_code(ledger, settlement)
    _rewind(directory, ledger, settlement)
    return BasedNode(app, ledger, settlement, methods=methods)


def _open_ledger(directory: Path, rollup: MicroRollup, genesis: Genesis, place: L1Place) -> Ledger:
    try:
        return Ledger.open(directory, rollup)
    except StoreMissing:
        if isinstance(place, EthereumPlace):
            keep_place(directory, place)
        return Ledger.create(directory, rollup, genesis)


def _rewind(directory: Path, ledger: Ledger, l1: L1View) -> None:
    try:
        changed = rewind_to_l1(ledger, l1)
    except (CommitFailed, StoreCorrupt):
        raise
    except StoreError as error:  # what is final, or too far back
        raise UsageError(
            f"L1 has taken back more than {directory} can follow ({error}): give --data another directory, everything"
            " is derived from L1 again"
        ) from None
    if changed is not None:
        _log.warning("blocks_forgotten", height=changed)
