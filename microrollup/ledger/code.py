"""Which code a store belongs to: the manifests it keeps, and whether the app that is loaded may go on from here.

An edited app would execute the open block under other rules than its header names, and would cut blocks that nobody can
verify together with the ones before. So the code that opens a store for writing must be the code of its newest block
and of its open one.
"""

from __future__ import annotations

from typing import Final

from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.manifest import decode_manifest, list_changes
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, StoreCorrupt, UsageError
from microrollup.store.environment import Environment, Tables, Transaction
from microrollup.store.tables import get_block_row, get_checkpoint

__all__ = [
    "MANIFEST_PREFIX",
    "OtherCode",
    "check_code",
    "check_inbox",
    "check_newest_block",
    "describe_changes",
    "find_code",
    "get_code_at",
    "keep_manifest",
    "read_manifests",
]

MANIFEST_PREFIX: Final = b"manifest/"


class OtherCode(UsageError):
    """The app that is loaded is not the code by which a block was built: no verdict on the block.

    `expected` is the block's 32-byte stfId, `found` the app's; `changes` says in words what differs, where the block's
    manifest is known. Height 0: the code is that of the rollup's inbox, which takes blocks of no other.
    """

    def __init__(self, height: int, *, expected: bytes, found: bytes, changes: tuple[str, ...] = ()) -> None:
        differs = f": {', '.join(changes)}" if changes else ""
        whose, run = (f"built block {height}", "built it") if height else ("the rollup's inbox names", "it names")
        super().__init__(
            f"the app differs from the code that {whose}{differs} (stfId 0x{expected.hex()}, here "
            f"0x{found.hex()}); run the code that {run}, let this one follow on it (`previous=`), or start a new rollup"
            " in another directory"
        )
        self.height = height
        self.expected = expected
        self.found = found
        self.changes = changes


def keep_manifest(txn: Transaction, tables: Tables, rollup: MicroRollup) -> None:
    """Keep the app's manifest by its stfId, if the store does not have it yet."""
    key = MANIFEST_PREFIX + rollup.stf_id
    if txn.get(key, db=tables["meta"]) is None:
        txn.put(key, encode_canonical(rollup.manifest), db=tables["meta"])


def read_manifests(environment: Environment) -> dict[bytes, bytes]:
    """The canonical bytes of all manifests that the store keeps, by stfId. Raises `StoreCorrupt`."""
    with environment.snapshot() as txn, txn.cursor(db=environment.tables["meta"]) as cursor:
        found: dict[bytes, bytes] = {}
        more = cursor.set_range(MANIFEST_PREFIX)
        while more and (key := bytes(cursor.key())).startswith(MANIFEST_PREFIX):
            stf_id = key[len(MANIFEST_PREFIX) :]
            found[stf_id] = bytes(cursor.value())
            if keccak256(found[stf_id]) != stf_id:
                raise StoreCorrupt(f"meta/manifest 0x{stf_id.hex()}", "does not hash to its stfId")
            more = cursor.next()
    return found


def describe_changes(rollup: MicroRollup, stf_id: bytes, manifest: bytes | None) -> tuple[str, ...]:
    """What the loaded app changed since the manifest of `stf_id`, in words; nothing if that is not at hand."""
    if manifest is None or keccak256(manifest) != stf_id:
        return ()
    try:
        return tuple(list_changes(decode_manifest(manifest), rollup.manifest, rollup.module_names))
    except DecodeError:
        return ()


def check_code(environment: Environment, rollup: MicroRollup, height: int, stf_id: bytes) -> None:
    """Raise `OtherCode` unless the version is the code that block `height` names (32-byte `stf_id`)."""
    if stf_id != rollup.stf_id:
        changes = describe_changes(rollup, stf_id, environment.get("meta", MANIFEST_PREFIX + stf_id))
        raise OtherCode(height, expected=stf_id, found=rollup.stf_id, changes=changes)


def find_code(environment: Environment, app: MicroRollup, height: int, stf_id: bytes) -> MicroRollup:
    """The version of the app that is in force after block `height`, whose header names it (32-byte `stf_id`): the
    oldest after the genesis. Raises `OtherCode` if the app has no such version.
    """
    if height == 0:
        return app.oldest
    version = app.find_version(stf_id)
    if version is None:
        check_code(environment, app, height, stf_id)
        raise AssertionError  # the app's own stfId is that of a version
    return version


def get_code_at(environment: Environment, txn: Transaction, app: MicroRollup, height: int) -> MicroRollup:
    """The version by which the state after a closed block is read; an app that was edited reads what has its shape.

    Raises `OtherCode`, and `StoreCorrupt` if there is no such block.
    """
    row = get_block_row(txn, environment.tables, height)
    if row is None:
        raise StoreCorrupt(f"blocks/{height}", "missing")
    stf_id = row.header.stf_id
    version = app.oldest if height == 0 else app.find_version(stf_id)
    if version is not None:
        return version
    raw = txn.get(MANIFEST_PREFIX + stf_id, db=environment.tables["meta"])
    manifest = None if raw is None else decode_manifest(bytes(raw))
    if manifest is None or (manifest.state_schema, manifest.fields) != (app.manifest.state_schema, app.manifest.fields):
        return find_code(environment, app, height, stf_id)
    return app


def check_inbox(rollup: MicroRollup, stf_id: bytes, manifest: bytes | None = None) -> None:
    """Raise `OtherCode` unless the version is the code that the rollup's inbox names (32-byte `stf_id`)."""
    if stf_id != rollup.stf_id:
        raise OtherCode(0, expected=stf_id, found=rollup.stf_id, changes=describe_changes(rollup, stf_id, manifest))


def check_newest_block(environment: Environment, rollup: MicroRollup) -> None:
    """Raise `OtherCode` unless one of the app's versions is the code of the newest closed block; the genesis is
    anybody's.
    """
    txn, tables = environment.reader, environment.tables
    row = get_block_row(txn, tables, get_checkpoint(txn, tables).height)
    if row is not None:
        find_code(environment, rollup, row.header.height, row.header.stf_id)
