"""The hash of a header is taken from the header alone, and says which bytes are which field's."""

from __future__ import annotations

from typing import Any

import pytest

from microrollup.settlement.ethereum.answers import L1Block, parse_block
from microrollup.settlement.ethereum.chain import HashRule
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.header_hash import compute_header_hash

EMPTY_TREE = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS: dict[str, Any] = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": f"0x{'00' * 32}",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": f"0x{'00' * 20}",
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_TREE,
    "receiptsRoot": EMPTY_TREE,
    "logsBloom": f"0x{'00' * 256}",
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": f"0x{'00' * 32}",
    "nonce": "0x0000000000000042",
}
"""Block 0 of Ethereum's mainnet."""
LATER = {
    "baseFeePerGas": "0x342770c0", "withdrawalsRoot": EMPTY_TREE, "blobGasUsed": "0x0", "excessBlobGas": "0x0",
    "parentBeaconBlockRoot": f"0x{'00' * 32}", "requestsHash": f"0x{'e3' * 32}", "blockAccessListHash": EMPTY_TREE,
    "slotNumber": "0x7",
}  # fmt: skip


def test_mainnet_genesis() -> None:
    """The hash that everybody knows. Members that nodes add, nulls of later forks, other spellings change nothing."""
    added = GENESIS | {"size": "0x21c", "uncles": [], "totalDifficulty": None} | dict.fromkeys(LATER)
    upper = GENESIS | {"stateRoot": "0x" + GENESIS["stateRoot"][2:].upper(), "gasLimit": "0x00001388"}
    for block in (GENESIS, added, upper):
        assert parse_block(block).is_bound
    assert not parse_block(GENESIS | {"timestamp": "0x1"}).is_bound


def test_fields_do_not_stand_for_each_other() -> None:
    """A header of six later fields is not one of six others with the same bytes, which would hide its base fee."""
    names = list(LATER)
    values = list(LATER.values())[:6]
    block = GENESIS | dict(zip(names[:6], values, strict=True))
    shifted = GENESIS | dict(zip(names[1:7], ["0x" if each == "0x0" else each for each in values], strict=True))
    assert compute_header_hash(block) is not None
    assert compute_header_hash(shifted) is None
    for missing in range(5):
        assert compute_header_hash({name: value for name, value in block.items() if name != names[missing]}) is None
    hashes = {compute_header_hash(GENESIS | dict(list(LATER.items())[:count])) for count in range(9)}
    assert (9, False) == (len(hashes), None in hashes)


ODD = [
    None, 0, True, [], {}, "", "0", "0X1", "-0x0", "0x-0", "0x+0", "0x0_0", "0x 0", "0x0 ", "0x\u0660", "0x\ud800",
    "0xg", "0x\n", f"0x{'f' * 66}", f"0x{'f' * 2_050}", f"0x{'f' * 100_000}", "\ufeff0x0", "0x0\x00",
]  # fmt: skip


@pytest.mark.parametrize("name", [*list(GENESIS)[1:], *LATER])
def test_odd_fields(name: str) -> None:
    """What no node writes there gives no hash, and no error."""
    for odd in ODD:
        if not (odd is None and name in LATER) and not (name == "extraData" and odd == f"0x{'f' * 66}"):
            assert compute_header_hash(GENESIS | LATER | {name: odd}) is None, odd


def test_a_made_up_header_binds_nobody() -> None:
    """On a chain with headers of its own, a node that tells a bound block among others is refused, and is forgotten."""
    own = L1Block(7, b"\1" * 32, b"\2" * 32, 5, 0)
    rule = HashRule()
    with pytest.raises(L1BadAnswer, match="not its header's"):
        rule.check([own, L1Block(8, b"\3" * 32, b"\1" * 32, 6, 0, is_bound=True)])
    rule.check([own])
    rule.note([own])
    rule.check([L1Block(8, b"\3" * 32, b"\1" * 32, 6, 0, is_bound=True)])  # the next thing refused it: not noted
    rule.check([own])
    rule.note([L1Block(8, b"\3" * 32, b"\1" * 32, 6, 0, is_bound=True)])
    with pytest.raises(L1BadAnswer):
        rule.check([own])
