"""Height 0: the record, its roots, and the store that holds nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from apps.keystore import app as keystore
from kernel_fixtures import BUILDER, START, VERIFIER, make_test_genesis
from microrollup import Context, Map, MicroRollup
from microrollup.chain.block import compute_block_hash, compute_genesis_header, compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import EMPTY_ROOT, compute_tree_key
from microrollup.errors import StoreCorrupt, StoreError, UsageError, WrongRollup
from microrollup.ledger.genesis import make_genesis, read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.reading import prove_state
from microrollup.store.environment import Environment
from microrollup.store.tables import get_block_row
from zoo import ALLOWED, Edit, Zoo, edit, make_animal, misbehave, zoo


def make_zoo(genesis: Zoo) -> MicroRollup:
    return MicroRollup(name="zoo", version="1", genesis=genesis, stfs=[edit, misbehave], allow=ALLOWED)


def make(rollup: MicroRollup = zoo, **changes: Any) -> Genesis:
    arguments: dict[str, Any] = {
        "builder": BUILDER,
        "verifiers": (VERIFIER,),
        "quorum": 1,
        "l1_start": START,
        "genesis_time": START * 12,
        "l1_chain_id": 31337,
    }
    return make_genesis(rollup, **(arguments | changes))


def test_empty_state() -> None:
    """A state without entries has the empty tree's root and the empty set's."""
    genesis = make(keystore)
    assert (EMPTY_ROOT, compute_metadata_root(EMPTY_LANES)) == (genesis.state_root, genesis.metadata_root)


def test_first_state(tmp_path: Path) -> None:
    """Entries of the first state are rows, leaves in the order of (silo, tree key), and parts of the set hash."""
    first = Zoo(
        animals=Map({f"animal {key}": make_animal(key) for key in range(5)}),
        tickets=Map({9: 9, 1: 1}),
        visitors=3,
        notes=Map({b"n": b"note"}),
        motto=b"born",
    )
    rollup = make_zoo(first)
    genesis = make(rollup)
    added = [(0, b"n", rollup.state_type.get_field("notes").encode_leaf(b"note"))]
    added.append((1, b"", rollup.state_type.get_field("motto").encode_leaf(b"born")))
    assert compute_metadata_root(update_lanes(EMPTY_LANES, [], added)) == genesis.metadata_root
    with Ledger.create(tmp_path / "store", rollup, genesis) as ledger:
        state: Any = ledger.state.app
        assert list(first.animals.items()) == list(state.animals.items())
        assert ([(1, 1), (9, 9)], 3, b"born", b"note") == (
            list(state.tickets.items()), state.visitors, state.motto, state.notes[b"n"]
        )  # fmt: skip
        indices = []
        for name, keys in (
            ("animals", [f"animal {key}" for key in range(5)]),
            ("tickets", [1, 9]),
            ("visitors", [None]),
        ):
            field = rollup.state_type.get_field(name)
            encoded = sorted(
                (compute_tree_key(field.number, field.encode_key(key)), field.encode_key(key)) for key in keys
            )
            indices += [prove_state(ledger.environment, ledger.tree, field, key).proof.leaf_index for _, key in encoded]
        assert list(range(1, 9)) == indices
        assert (5, 2, 1, 1, 1, 0, 0) == ledger.checkpoint.sizes
        assert genesis.state_root == ledger.tree.root()


def test_height_zero(tmp_path: Path) -> None:
    """Block 0 has the genesis header and no seal; the log holds the genesis record alone; nothing was executed."""
    genesis = make_test_genesis(zoo)
    with Ledger.create(tmp_path, zoo, genesis) as ledger:
        header = compute_genesis_header(genesis)
        assert (header, compute_block_hash(header)) == (ledger.header, ledger.get_block_hash(0))
        assert compute_rollup_id(genesis) == ledger.rollup_id
        row = get_block_row(ledger.environment.reader, ledger.environment.tables, 0)
        assert row is not None
        assert row.seal is None
        assert (1, 1, 0, 0) == tuple(ledger.environment.count(name) for name in ("log", "blocks", "receipts", "index"))
        assert ledger.block is None
        assert genesis == read_genesis(ledger.environment)
    with Ledger.open(tmp_path, zoo) as ledger:
        assert header == ledger.header


def test_making_it_twice_gives_the_same() -> None:
    """The genesis depends on nothing but what it is made of; the salt tells equal ones apart."""
    assert make() == make()
    assert compute_rollup_id(make()) != compute_rollup_id(make(salt=b"\x01" * 32))
    assert make(verifiers=(b"\x02" * 20, b"\x01" * 20), quorum=2) == make(
        verifiers=(b"\x01" * 20, b"\x02" * 20), quorum=2
    )


@pytest.mark.parametrize(("count", "quorum"), [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (3, 1), (4, 2), (3, 4), (2, -1)])
def test_refused_quorum(count: int, quorum: int) -> None:
    """A quorum that is not more than half of the verifiers, or more than all, could attest two histories or none."""
    with pytest.raises(UsageError):
        make(verifiers=tuple([bytes((at + 1,)) * 20 for at in range(count)]), quorum=quorum)


def test_a_verifier_named_twice_counts_once() -> None:
    """One key under two names is one verifier."""
    with pytest.raises(UsageError):
        make(verifiers=(VERIFIER, VERIFIER), quorum=2)
    assert (VERIFIER,) == make(verifiers=(VERIFIER, VERIFIER), quorum=1).verifiers


@pytest.mark.parametrize(
    "change",
    ["state_root", "metadata_root", "name", "domain name", "domain version", "domain chain", "format"],
)
def test_another_apps_genesis(tmp_path: Path, change: str) -> None:
    """A genesis that commits to another first state, app or signing domain makes no store, and leaves none behind."""
    genesis = make_test_genesis(zoo)
    domain = genesis.domain
    changed: dict[str, Any] = {
        "state_root": {"state_root": bytes(32)},
        "metadata_root": {"metadata_root": bytes(32)},
        "name": {"name": "other"},
        "domain name": {"domain": msgspec.structs.replace(domain, name="other")},
        "domain version": {"domain": msgspec.structs.replace(domain, version="9")},
        "domain chain": {"domain": msgspec.structs.replace(domain, chain_id=5)},
        "format": {"format": 99},
    }[change]
    with pytest.raises(StoreError):
        Ledger.create(tmp_path / "store", zoo, msgspec.structs.replace(genesis, **changed))
    Ledger.create(tmp_path / "store", zoo, genesis).close()


def test_opening_with_another_app(tmp_path: Path) -> None:
    """A store is opened with its own app alone: another name, another number of fields are told."""
    Ledger.create(tmp_path, zoo, make_test_genesis(zoo)).close()
    with pytest.raises(WrongRollup):
        Ledger.open(tmp_path, keystore)

    class Small(Zoo, frozen=True):
        extra: bytes = b""

    def edit_small(state: Small, action: Edit, ctx: Context) -> Small:
        return state

    edit_small.__annotations__ = {"state": Small, "action": Edit, "ctx": Context, "return": Small}
    with pytest.raises(WrongRollup):
        Ledger.open(tmp_path, MicroRollup(name="zoo", version="1", genesis=Small(), stfs=[edit_small]))
    Ledger.open(tmp_path, zoo).close()


def test_missing_record(tmp_path: Path) -> None:
    """A store whose genesis record is gone is damaged."""
    Ledger.create(tmp_path, zoo, make_test_genesis(zoo)).close()
    with Environment(tmp_path) as environment:
        with environment.write() as txn:
            record = txn.pop((0).to_bytes(8, "big"), db=environment.tables["log"])
            txn.put((1).to_bytes(8, "big"), record, db=environment.tables["log"])
        with pytest.raises(StoreCorrupt, match="log/0"):
            read_genesis(environment)
