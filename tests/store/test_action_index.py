"""The index of action hashes: buckets keep a block's rows together, and every action is found again."""

from __future__ import annotations

import random

from microrollup.store.action_index import LogPlace, encode_place, find_action, make_index_key


def test_every_action_is_found() -> None:
    """Actions of several buckets are found by hash alone, at their own place; an unknown hash is not."""
    chance = random.Random(1)
    hashes = {seq: chance.randbytes(32) for seq in (0, 1, 65_535, 65_536, 200_000)}
    rows = {make_index_key(seq, action_hash): encode_place(seq, seq // 7) for seq, action_hash in hashes.items()}
    for seq, action_hash in hashes.items():
        assert LogPlace(seq, seq // 7) == find_action(rows.get, action_hash, 200_001)
    assert None is find_action(rows.get, bytes(32), 200_001)


def test_later_buckets_are_not_asked() -> None:
    """Nothing at or above the bucket of `next_seq` is looked up, and the newest bucket comes first."""
    asked: list[int] = []

    def get(key: bytes) -> None:
        asked.append(int.from_bytes(key[:4], "big"))

    assert None is find_action(get, bytes(32), 140_000)
    assert [2, 1, 0] == asked


def test_keys_of_a_block_lie_together() -> None:
    """Rows of neighbouring actions share their first four bytes, whatever their hashes are."""
    keys = [make_index_key(seq, random.Random(seq).randbytes(32)) for seq in range(70_000, 73_200)]
    assert {b"\0\0\0\x01"} == {key[:4] for key in keys}
