"""JSON Schemas of what methods answer, for the OpenRPC document."""

from __future__ import annotations

from typing import Any, Final

from microrollup.block import Header
from microrollup.codec.schema import to_camel_case
from microrollup.node.confirmations import LEVELS
from microrollup.receipt import STATUS_NAMES

__all__ = [
    "ACK",
    "ACTION",
    "ADDRESS",
    "ANY",
    "BATCH",
    "BLOCK",
    "BOOLEAN",
    "CONFIG",
    "CONFIRMATION",
    "HASH",
    "HEADER",
    "HEIGHTS",
    "HEX",
    "INTEGER",
    "NONCES",
    "PROOF",
    "RECEIPT",
    "RECEIPT_PROOF",
    "STATE",
    "STATUS",
    "SUBSCRIPTION",
    "array",
    "obj",
]

Schema = dict[str, Any]

HEX: Final[Schema] = {"type": "string", "pattern": "^0x([0-9a-f]{2})*$"}
HASH: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
ADDRESS: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-f]{40}$"}
TEXT: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
INTEGER: Final[Schema] = {
    "description": "a number below 2^53, a decimal string from there on",
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}],
}
NUMBER: Final[Schema] = {"type": "number"}
ANY: Final[Schema] = {"description": "a value of the app's own type"}
LEVEL: Final[Schema] = {"type": "string", "enum": list(LEVELS)}
OUTCOME: Final[Schema] = {"type": "string", "enum": list(STATUS_NAMES)}


def obj(**members: Any) -> Schema:
    """An object that has at least these members; a name with a trailing underscore need not be there."""
    return {
        "type": "object",
        "properties": {name.rstrip("_"): schema for name, schema in members.items()},
        "required": [name for name in members if not name.endswith("_")],
    }


def array(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def maybe(schema: Schema) -> Schema:
    """A value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


_WORDS: Final = {
    to_camel_case(name): INTEGER if annotation == "Uint64" else HASH
    for name, annotation in Header.__annotations__.items()
}
EVENT: Final = obj(name=TEXT, data=HEX, fields_={"type": "object"})
SEAL: Final = obj(signature=HEX, info=TEXT)
HEADER_WORDS: Final = obj(**_WORDS)
HEADER: Final = obj(**_WORDS, hash=HASH)
ACK: Final = obj(
    rollupId=HASH,
    actionHash=HASH,
    seq=INTEGER,
    height=INTEGER,
    status=OUTCOME,
    reason=TEXT,
    events=array(EVENT),
    confirmation=LEVEL,
    receiptHash=HASH,
    signature=HEX,
)
ACTION: Final = obj(
    hash=HASH,
    seq=INTEGER,
    height=INTEGER,
    sender=ADDRESS,
    origin={"type": "string", "enum": ["signed", "l1"]},
    type=maybe(TEXT),
    message=maybe({"type": "object"}),
    signature=maybe(HEX),
    forced_={"type": "object"},
)
RECEIPT: Final = obj(
    actionHash=HASH,
    type=maybe(TEXT),
    seq=INTEGER,
    height=INTEGER,
    status=OUTCOME,
    reason=TEXT,
    events=array(EVENT),
    confirmation=LEVEL,
    sender=ADDRESS,
)
RECEIPT_PROOF: Final = obj(
    receipt=HEX,
    index=INTEGER,
    count=INTEGER,
    siblings=array(HASH),
    header=HEADER_WORDS,
    blockHash=HASH,
    seal=SEAL,
    ack_=ACK,
    domain_=obj(chainId=INTEGER, verifyingContract=ADDRESS),
)
CHANGE: Final = obj(field=TEXT, key=ANY, before=ANY, after=ANY)
BLOCK: Final = obj(
    header=HEADER_WORDS,
    hash=HASH,
    seal=maybe(SEAL),
    actions=array(
        obj(
            seq=INTEGER,
            hash=HASH,
            type=maybe(TEXT),
            sender=ADDRESS,
            origin=TEXT,
            status=OUTCOME,
            reason=TEXT,
            changes_=array(CHANGE),
        )
    ),
    confirmation=LEVEL,
)
HEIGHTS: Final = obj(latest=INTEGER, verified=INTEGER, available=INTEGER, settled=INTEGER)
STATE: Final = obj(field=TEXT, key=ANY, exists=BOOLEAN, value=ANY, height=INTEGER)
PROOF: Final = obj(
    key=ANY,
    exists=BOOLEAN,
    value=maybe(HEX),
    leaf={"type": "object"},
    leafIndex=INTEGER,
    siblings=array(HASH),
    isLeft=INTEGER,
    stateRoot=HASH,
    height=INTEGER,
    field=TEXT,
    encodedKey=HEX,
    treeKey=HASH,
    stored=ANY,
)
NONCES: Final = obj(sender=ADDRESS, next=INTEGER, pending=INTEGER, closed=INTEGER)
CONFIRMATION: Final = obj(level=LEVEL, height=INTEGER, settledDepth_=maybe(INTEGER), divergence_={"type": "object"})
BATCH: Final = obj(batch=HEX, firstHeight=INTEGER, lastHeight=INTEGER)
SUBSCRIPTION: Final = obj(subscription=TEXT, cursor=INTEGER)
STATUS: Final = obj(
    intake={"type": "string", "enum": ["open", "stopped"]},
    reason=maybe(TEXT),
    divergence=maybe({"type": "object"}),
    acknowledged=INTEGER,
    height=HEIGHTS,
    l1=obj(number=INTEGER, origin=INTEGER, settledIn=INTEGER, forcedQueue=INTEGER, forcedTaken=INTEGER),
    queueDepth=INTEGER,
    subscribers=INTEGER,
    uptime=NUMBER,
    memory=INTEGER,
    verifiers=array({"type": "object"}),
)
CONFIG: Final = obj(
    name=TEXT,
    version=TEXT,
    rollupId=HASH,
    genesisHash=HASH,
    stfId=HASH,
    l1ChainId=INTEGER,
    inbox=ADDRESS,
    builder=ADDRESS,
    verifiers=array(ADDRESS),
    quorum=INTEGER,
    domain=obj(name=TEXT, version=TEXT, chainId=INTEGER, verifyingContract=ADDRESS),
    types={"type": "object"},
    actions=array(obj(name=TEXT, typeString=TEXT, typeHash=HASH, types={"type": "object"})),
    fields=array(
        obj(
            name=TEXT,
            kind={"type": "string", "enum": ["map", "scalar"]},
            settled=BOOLEAN,
            keyType=maybe(TEXT),
            valueType=TEXT,
        )
    ),
    events=array(TEXT),
    blockTime=NUMBER,
    blockSize=INTEGER,
    limits={"type": "object"},
    confirmations=array(LEVEL),
)
