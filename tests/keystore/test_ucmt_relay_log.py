"""What the relayer takes from a log that it does not trust."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.ucmt import app
from apps.keystore.ucmt.relay.errors import AnotherRollup
from apps.keystore.ucmt.relay.service import Relayer, RelayOptions
from apps.keystore.ucmt.relay.store import LogNote, RelayStore
from apps.keystore.ucmt.relay.updates import LoggedUpdate, LogReader, UpdateLines, hash_block
from microrollup.chain.block import Block
from microrollup.chain.envelope_record import encode_envelope_record
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.record import Genesis
from microrollup.errors import DecodeError, LimitExceeded
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.store.tables import get_block
from microrollup.testing.execution import Senders, envelope
from microrollup.testing.stored import StoredRollup
from ucmt_relay import LIMITS, RELAYER, Log
from ucmt_world import User, encode_raw

(CARRIER,) = Senders(1)


def read_blocks(log: Log) -> tuple[Genesis, list[Block]]:
    source = BlockFile(log.path)
    return source.genesis, list(source.read_blocks())


def find_updates(genesis: Genesis, blocks: list[Block]) -> list[LoggedUpdate]:
    reader = LogReader(genesis, UpdateLines())
    for block in blocks:
        reader.read(block, 0.0)
    return reader.found


def test_every_record_is_judged_again(tmp_path: Path) -> None:
    """Forged, repeated, early and damaged records beside a good one: only that one counts."""
    log, user, stranger = Log(tmp_path), User("judged"), User("stranger")
    good, later = user.rotate(), user.rotate()
    log.add(good)
    genesis, blocks = read_blocks(log)
    forged = replace(stranger.rotate(), data=good.data)
    records: list[bytes] = [
        encode_envelope_record("ucmt", encode_raw(forged)),
        encode_envelope_record("ucmt", encode_raw(later)),
        encode_envelope_record("ucmt", b"\0" * 40),
        encode_envelope_record("other", encode_raw(stranger.rotate())),
        b"\x93\xa8envelope",
        b"\x96\xa6forced",
        b"",
        *blocks[-1].records,
        *blocks[-1].records,
    ]
    found = find_updates(genesis, [replace(blocks[-1], records=tuple(records))])
    assert [(0, good)] == [(each.index, each.update) for each in found]


def test_an_update_that_was_carried_through_l1(tmp_path: Path) -> None:
    """Forced envelopes count like those that are handed in; cut off ones do not."""
    user = User("carried")
    first, second = user.rotate(), user.rotate()
    with StoredRollup(tmp_path, app, Senders(1)) as rollup:
        rollup.apply(envelope("ucmt", encode_raw(first), l1_sender=CARRIER))
        rollup.apply(envelope("ucmt", encode_raw(second)[:-1], l1_sender=CARRIER))
        rollup.close_block()
        rollup.close_block()
        state: Any = rollup.ledger.state.app
        assert first.next_hash == state.roots[user.ref_hash, user.account]
        blocks = list(_list_blocks(rollup))
        assert [first] == [each.update for each in find_updates(rollup.genesis, blocks)]


def _list_blocks(rollup: StoredRollup) -> list[Block]:

    environment, found = rollup.ledger.environment, []
    height = 1
    with environment.snapshot() as txn:
        while True:
            block = get_block(txn, environment.tables, rollup.ledger.rollup_id, height)
            if block is None:
                return found
            found.append(block)
            height += 1


def test_blocks_that_do_not_follow(tmp_path: Path) -> None:
    """What comes before the gap is kept, once; nothing of what comes after."""
    log, user = Log(tmp_path), User("follow")
    log.add(user.rotate())
    log.add(user.rotate())
    genesis, blocks = read_blocks(log)
    broken = replace(blocks[-1], header=replace(blocks[-1].header, parent_hash=bytes(32)))
    whole = log.path.read_bytes()
    write_blocks(log.path, genesis, [*blocks[:-1], broken])
    with RelayStore(tmp_path / "relay") as store:
        relayer = Relayer(store, RelayOptions(str(log.path), (), LIMITS), RELAYER)
        for _ in range(2):
            with pytest.raises(DecodeError, match="does not follow"):
                asyncio.run(relayer._read_log())
            assert 1 == relayer._lines.count == len(list(store.list_updates()))
        log.path.write_bytes(whole)
        asyncio.run(relayer._read_log())
        assert [0, 1] == [each.index for each in store.list_updates()]
        again = Relayer(store, RelayOptions(str(log.path), (), LIMITS), RELAYER)
        assert again._lines.state == relayer._lines.state
        assert LogNote(store.read_meta().rollup_id, len(blocks), hash_block(blocks[-1])) == store.read_meta()


def test_too_little_memory_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block is read again, and its updates are not left out."""
    log, user = Log(tmp_path), User("memory")
    log.add(user.rotate(), user.rotate())
    opened = EnvelopeOpener.open
    calls = iter(range(100))

    def fail_once(self: EnvelopeOpener, name: str, raw: bytes, *, twice: bool = False) -> Any:
        if next(calls) == 1:
            raise LimitExceeded("too little memory")
        return opened(self, name, raw, twice=twice)

    monkeypatch.setattr(EnvelopeOpener, "open", fail_once)
    with RelayStore(tmp_path / "relay") as store:
        relayer = Relayer(store, RelayOptions(str(log.path), (), LIMITS), RELAYER)
        with pytest.raises(LimitExceeded):
            asyncio.run(relayer._read_log())
        assert 0 == relayer._lines.count
        asyncio.run(relayer._read_log())
        assert 2 == relayer._lines.count


def test_another_rollup(tmp_path: Path) -> None:
    """A directory belongs to one rollup."""
    log = Log(tmp_path)
    with RelayStore(tmp_path / "relay") as store:
        store.write_log(LogNote(b"\1" * 32, 0), [])
        relayer = Relayer(store, RelayOptions(str(log.path), (), LIMITS), RELAYER)
        with pytest.raises(AnotherRollup, match="give another --data"):
            asyncio.run(relayer._read_log())
