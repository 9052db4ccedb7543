"""What a verifier found wrong, kept until the blocks have been built again: intake stays shut until then."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.block import Header, compute_rollup_id
from microrollup.chain.record import Rebuild
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreError
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.code import check_newest_block, find_code
from microrollup.ledger.flush import write_out
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.recovery import open_tree, take_blocks_back
from microrollup.store.environment import Environment
from microrollup.store.retention import read_settled
from microrollup.store.tables import get_chain, get_checkpoint, get_log_length, get_log_start
from microrollup.system import sync_file

__all__ = ["drop_divergence", "keep_divergence", "mend_divergence", "read_divergence"]

_FILE: Final = "divergence.json"

_log = structlog.get_logger(__name__)


def keep_divergence(directory: Path, divergent: Divergent) -> None:
    """Write it down, durably."""
    aside = directory / f"{_FILE}.part"
    with aside.open("wb") as file:
        file.write(msgspec.json.encode(divergent))
        file.flush()
        sync_file(file.fileno())
    aside.replace(directory / _FILE)


def read_divergence(directory: Path) -> Divergent | None:
    """What was written down. Raises `StoreError` if it cannot be read."""
    try:
        raw = (directory / _FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(raw, type=Divergent)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{directory / _FILE} is damaged: {error}") from None


def drop_divergence(directory: Path) -> None:
    """Forget it: the blocks were built again."""
    (directory / _FILE).unlink()


def mend_divergence(directory: Path, rollup: MicroRollup) -> Divergent | None:
    """Take back the blocks from the one that was found wrong, so that they are built again out of the log.

    To be called before the store is opened; the opening executes the same entries again and seals the blocks anew,
    under the code that built them: another is refused with `OtherCode`. Acknowledged actions keep their seq. What is
    settled stays: then intake stays shut, and what was found is returned. A crash at any point leaves it to the next
    start.
    """
    divergent = read_divergence(directory)
    if divergent is None:
        return None
    with Environment(directory) as environment:
        check_newest_block(environment, rollup)
        txn, tables = environment.reader, environment.tables
        genesis = read_genesis(environment)
        rollup_id = compute_rollup_id(genesis)
        checkpoint = get_checkpoint(txn, tables)
        cursor = environment.cursor("settled")
        lowest = read_settled(cursor)[0] + 1 if cursor.last() else 1
        start = get_log_start(txn, tables)
        if start is not None:
            lowest = max(lowest, start.height + 1)
        if divergent.height < lowest:
            return divergent
        if divergent.height <= checkpoint.height:
            length = get_log_length(txn, tables)
            chain = get_chain(txn, tables, length - 1, rollup_id)
            tree = open_tree(environment, checkpoint, None)
            write_out(environment, checkpoint.height)
            try:

                def find_authenticator(header: Header) -> Authenticator:
                    return Authenticator.of(find_code(environment, rollup, 1, header.stf_id), genesis.domain)

                rebuild = Rebuild(divergent.height)
                take_blocks_back(environment, tree, rebuild, checkpoint.height, length, chain, find_authenticator)
            finally:
                tree.close()
    drop_divergence(directory)
    _log.warning("blocks_taken_back", height=divergent.height, field=divergent.field)
    return None
