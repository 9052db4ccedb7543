"""Vectors of what is signed, hashed and shown."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from blake3 import blake3

from conformance.encoding import fill, make_key, show
from microrollup import Address, Map, State, Uint64, metadata
from microrollup.chain.acknowledgement import compute_acknowledgement_digest, sign_acknowledgement
from microrollup.chain.block import (
    Header,
    compute_block_hash,
    compute_genesis_header,
    compute_rollup_id,
    compute_seal_digest,
    seal_header,
)
from microrollup.chain.block_entry import BLOCK_RECORD, compute_block_entry_id
from microrollup.chain.envelope_record import encode_envelope_record
from microrollup.chain.receipt import Receipt
from microrollup.chain.record import (
    GENESIS_FORMAT,
    Close,
    DomainConfig,
    Forced,
    Genesis,
    Open,
    Rebuild,
    Seal,
    encode_record,
)
from microrollup.chain.upgrade_entry import UpgradeStep, compute_upgrade_id
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator, compute_type_hash, encode_type
from microrollup.crypto.merkle.items import compute_item_hash
from microrollup.declaration.action import ActionTypes
from microrollup.declaration.field_numbers import FieldNumbers
from microrollup.declaration.manifest import FieldEntry, Manifest, ModuleEntry, StfEntry, compute_stf_id, sort_items
from microrollup.declaration.state import describe_state
from microrollup.declaration.syntax import compute_tree_hash, parse_module
from zoo import Edit, Misbehave, Step

Case = dict[str, Any]

GREATEST: Final = 2**64 - 1
CHAIN_ID: Final = 31337
INBOX: Final = fill("inbox", 20)


def make_genesis(name: str = "zoo", verifiers: int = 3) -> Genesis:
    """A genesis with this many verifiers."""
    return Genesis(
        format=GENESIS_FORMAT,
        name=name,
        l1_chain_id=CHAIN_ID,
        genesis_time=1_800_000_000,
        state_root=fill("state root"),
        metadata_root=fill("metadata root"),
        builder=compute_address(make_key("builder")),
        verifiers=tuple(sorted(compute_address(make_key(f"verifier {number}")) for number in range(verifiers))),
        quorum=verifiers // 2 + 1,
        l1_start=150_000_000,
        salt=fill("salt"),
        domain=DomainConfig(name, "1", CHAIN_ID, INBOX),
    )


def make_header(name: str, **changes: Any) -> Header:
    """A header whose words are all different."""
    words = {field: fill(f"{name} {field}") for field in Header.__struct_fields__}
    numbers = {"height": 7, "timestamp": 1_800_000_100, "l1_origin": 150_000_009, "forced_count": 3}
    return Header(**(words | numbers | {"first_seq": 40, "action_count": 5} | changes))


HEADERS: Final = {
    "plain": make_header("plain"),
    "greatest numbers": make_header(
        "greatest", **dict.fromkeys(
            ("height", "timestamp", "l1_origin", "forced_count", "first_seq", "action_count"), GREATEST
        )
    ),
    "genesis": compute_genesis_header(make_genesis()),
}  # fmt: skip


def make_records() -> list[Case]:
    """One record of each kind, in the order of a log; each is chained to the one before."""
    genesis = make_genesis()
    edit = Edit([Step(0, 1, GREATEST), Step(4, 0, 0)], False)
    types = ActionTypes((Edit, Misbehave))
    signature = sign_digest(make_key("sender"), fill("digest"))[:64] + b"\0"
    close = Close(7, seal_of(HEADERS["plain"]))
    records: list[tuple[str, Any, bytes]] = [
        ("genesis", genesis, encode_record(genesis)),
        ("open", opened := Open(7, 1_800_000_100, 150_000_009, fill("stf id")), encode_record(opened)),
        ("block", ["block"], BLOCK_RECORD),
        ("upgrade", step := UpgradeStep(fill("stf id"), fill("stf id 2")), step.record),
        ("forced", forced := Forced(2, fill("forcer", 20), 150_000_001, b"\0payload", False), encode_record(forced)),
        ("voided", voided := msgspec.structs.replace(forced, index=3, voided=True), encode_record(voided)),
        ("signed", [edit, 5, signature], types.by_name["Edit"].encode_record(edit, 5, signature)),
        ("envelope", ["ticket", fill("raw")], encode_envelope_record("ticket", fill("raw"))),
        ("close", close, encode_record(close)),
        ("rebuild", rebuilt := Rebuild(7), encode_record(rebuilt)),
    ]
    chain, cases = compute_rollup_id(genesis), []
    for kind, value, raw in records:
        chain = blake3(chain + raw).digest()
        cases.append({"kind": kind, "value": show(value), "record": show(raw), "chain": show(chain)})
    return cases


def make_block_entries() -> list[Case]:
    """The identity of the block's own entry at the lowest and the greatest heights."""
    return [
        {
            "rollupId": show(fill("rollup id")),
            "height": show(height),
            "record": show(BLOCK_RECORD),
            "actionHash": show(compute_block_entry_id(fill("rollup id"), height)),
        }
        for height in (1, 2, 256, GREATEST)
    ]


def seal_of(header: Header, round_: int = 0) -> Seal:
    """The builder's seal, without the versions of this machine."""
    return msgspec.structs.replace(seal_header(make_key("builder"), header, round_), info="python 3.11")


def make_headers() -> list[Case]:
    """Headers, their hashes and seals."""
    return [
        {
            "name": name,
            "header": show(header),
            "blockHash": show(compute_block_hash(header)),
            "builder": show(compute_address(make_key("builder"))),
            "sealDigest": show(compute_seal_digest(compute_block_hash(header), round_)),
            "seal": show(seal_of(header, round_)),
        }
        for (name, header), round_ in zip(HEADERS.items(), (1, GREATEST, 0), strict=True)
    ]


def make_rollup_ids() -> list[Case]:
    """Genesis records with one, three and many verifiers, and a name that fills more than a word."""
    return [
        {
            "genesis": show(genesis),
            "rollupId": show(compute_rollup_id(genesis)),
            "genesisHash": show(compute_block_hash(compute_genesis_header(genesis))),
        }
        for genesis in (
            make_genesis(verifiers=1),
            make_genesis(),
            make_genesis("a name of more than 32 bytes, all told", 9),
        )
    ]


RECEIPTS: Final = (
    Receipt(40, fill("hash 0"), 0, "", ()),
    Receipt(41, fill("hash 1"), 0, "", (("Edited", b"\x91\x02"), ("Edited", b"\x91\xcd\x01\x00"))),
    Receipt(42, fill("hash 2"), 1, "`by` must be positive", ()),
    Receipt(43, fill("hash 3"), 2, "", ()),
    Receipt(44, fill("hash 4"), 3, "", ()),
    Receipt(GREATEST, fill("hash 5"), 4, "", ()),
)


def make_receipts() -> list[Case]:
    """A receipt of each status, with and without events."""
    return [
        {"receipt": show(receipt), "item": show(raw), "leaf": show(compute_item_hash(raw))}
        for receipt in RECEIPTS
        for raw in (encode_canonical(receipt),)
    ]


def make_acknowledgements() -> list[Case]:
    """Acknowledgements of executed, rejected and faulted actions."""
    cases = []
    for receipt in RECEIPTS[:4]:
        signed = sign_acknowledgement(
            make_key("builder"), fill("rollup id"), 7, receipt, chain_id=CHAIN_ID, inbox=INBOX
        )
        digest = compute_acknowledgement_digest(signed.acknowledgement, CHAIN_ID, INBOX)
        cases.append(
            {
                "chainId": show(CHAIN_ID),
                "inbox": show(INBOX),
                "acknowledgement": show(signed.acknowledgement),
                "digest": show(digest),
                "operator": show(compute_address(make_key("builder"))),
                "signature": show(signed.signature),
            }
        )
    return cases


def make_typed_data() -> list[Case]:
    """Actions as wallets sign them: with an array of structs, and with text."""
    separator = compute_domain_separator("zoo", "1", CHAIN_ID, INBOX)
    types, cases = ActionTypes((Edit, Misbehave)), []
    actions = (Edit([], True), Edit([Step(0, 1, GREATEST), Step(4, 0, 0)], False), Misbehave("gräßlich"))
    for nonce, action in enumerate(actions):
        kind = next(item.type for item in types if item.cls is type(action))
        cases.append(
            {
                "domain": show({"name": "zoo", "version": "1", "chainId": CHAIN_ID, "verifyingContract": INBOX}),
                "domainSeparator": show(separator),
                "encodedType": encode_type(kind),
                "typeHash": show(compute_type_hash(kind)),
                "message": show(action) | {"nonce": show(nonce)},
                "digest": show(compile_digest(kind, separator)(action, nonce)),
            }
        )
    return cases


SHOP: Final = """
from microrollup import State


class Shop(State, frozen=True):
    \"\"\"What a shop keeps.\"\"\"

    sold: Uint64 = 0


def name(shop, /, *rest: int, **more):  # not hashed
    if (count := len(rest)) > 1_000 and not shop.sold == None:
        return f"{count:>{10 ** 2}}" "x" f"{shop!r}", b"\\x00", 1.5, 2j, ...
    match rest:
        case [None, True, *_] | {"a": 1, **more}:
            return {**more, "b": {1, 2}}
    return [x async for x in y] if more else lambda: (yield)
"""


class Balances(State, frozen=True):
    """The vectors' part of a part."""

    by_owner: Map[Address, Uint64] = Map()
    changes: Annotated[Uint64, metadata] = 0


class Bank(State, frozen=True):
    """The vectors' part."""

    balances: Balances = Balances()
    fee: Uint64 = 1
    names: Annotated[Map[Address, str], metadata] = Map()


class Before(State, frozen=True):
    total: Uint64 = 0
    tags: Map[Uint64, Address] = Map()
    old: Map[Uint64, Uint64] = Map()
    limit: Annotated[Uint64, metadata] = 0


class After(State, frozen=True):
    limit: Annotated[Uint64, metadata] = 0
    orders: Map[Uint64, Uint64] = Map()
    labels: Map[Uint64, Address] = Map()
    total: Uint64 = 0
    seen: Annotated[Map[Address, bool], metadata] = Map()


class Town(State, frozen=True):
    """The vectors' state of states."""

    height: Uint64 = 0
    bank: Bank = Bank()
    mayor: Address = bytes(20)


def _make_manifest(state_schema: str, fields: tuple[FieldEntry, ...], **others: Any) -> Manifest:
    return Manifest(
        **{
            "rules": 2, "version": "1", "state_schema": state_schema, "action_schemas": ("Buy{count:uint64}",),
            "modules": (ModuleEntry(".", fill("town")),), "stfs": (StfEntry("Buy", ".:buy"),), "fields": fields,
            "on_block": None, "migrate": None, "envelopes": (), "allow": (), "libraries": (), "previous": None,
            **others,
        }
    )  # fmt: skip


def make_upgrade_entries() -> list[Case]:
    """The identities of an upgrade block's entries, at several heights and places in the block."""
    step = UpgradeStep(fill("stf id"), fill("stf id 2"))
    return [
        {
            "rollupId": show(fill("rollup id")),
            "height": show(height),
            "index": show(index),
            "old": show(step.old),
            "new": show(step.new),
            "record": show(step.record),
            "actionHash": show(compute_upgrade_id(fill("rollup id"), height, index)),
        }
        for height, index in ((1, 0), (256, 1), (GREATEST, 63))
    ]


def make_manifests() -> list[Case]:
    """The manifest of a shop with made-up modules, the hash of one module's syntax tree, a state of states, and a
    version that follows on another, whose fields keep their numbers.
    """
    tree = compute_tree_hash(parse_module(SHOP, "shop"), "shop")
    shop = _make_manifest(
        "Shop{sold:settled:uint64}",
        (FieldEntry("sold", 0, None, False), FieldEntry("notes", 0, ".:encode_note", True)),
        modules=(ModuleEntry(".", tree), ModuleEntry(".rules", fill("rules"))),
        stfs=(StfEntry("Buy", ".rules:buy"),),
        libraries=("shapely",),
    )
    described = describe_state(Town)
    fields = [FieldEntry(field.name, field.number, None, not field.settled) for field in described.fields]
    town = _make_manifest(described.schema, sort_items(fields))
    return [
        {"source": SHOP, "treeHash": show(tree), **_show_manifest(shop)},
        {
            "numbers": [[show(field.name), show(field.number), field.metadata] for field in fields],
            **_show_manifest(town),
        },
        _make_next_version(),
    ]


def _make_next_version() -> Case:
    """Fields that are kept, one under another name, one that is new; the number of the one that is gone stays
    unused.
    """
    first, renamed = describe_state(Before), {"tags": "labels"}
    known = {field.name: field for field in first.fields}
    second = describe_state(After, FieldNumbers.follow(known, renamed, first.free_numbers))
    fields = [FieldEntry(field.name, field.number, None, not field.settled) for field in second.fields]
    manifest = _make_manifest(second.schema, sort_items(fields))
    manifest = msgspec.structs.replace(manifest, version="2", migrate=".:migrate", previous=fill("stf id"))
    return {
        "before": [[show(field.name), show(field.number), not field.settled] for field in first.fields],
        "renamed": [[show(old), show(new)] for old, new in renamed.items()],
        "numbers": [[show(field.name), show(field.number), field.metadata] for field in fields],
        **_show_manifest(manifest),
    }


def _show_manifest(manifest: Manifest) -> Case:
    return {
        "manifest": show(manifest),
        "encoded": show(encode_canonical(manifest)),
        "stfId": show(compute_stf_id(manifest)),
    }
