"""A store goes on under the code that built it, and under no other."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, START, VERIFIER, Signer
from microrollup import MicroRollup
from microrollup.chain.block import seal_header
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.record import Open
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.rollup import load_rollup
from microrollup.execution.entry import make_signed_entry
from microrollup.ledger.code import OtherCode, read_manifests
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot

NUMBERS = count()

APP = """from microrollup import Action, Context, MicroRollup, State, Uint64, replace
from {rules} import STEP


class Counter(State, frozen=True):
    value: Uint64 = 0


class Increment(Action, frozen=True):
    by: Uint64


def increment(state: Counter, action: Increment, ctx: Context) -> Counter:
    return replace(state, value=state.value + action.by * STEP)


app = MicroRollup(name="counter", version="1", genesis=Counter(), stfs=[increment])
"""


class Site:
    """An app in two files, which can be edited, and a store of it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        number = next(NUMBERS)
        self.name, self.rules = f"steps_app_{number}", f"steps_{number}"
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.syspath_prepend(root)
        self.edit("STEP = 1\n")
        self.rollup = self.load()
        self.genesis = make_genesis(
            self.rollup,
            builder=BUILDER,
            verifiers=(VERIFIER,),
            quorum=1,
            l1_start=START,
            genesis_time=12 * START,
            l1_chain_id=31337,
        )
        Ledger.create(root / "store", self.rollup, self.genesis, map_size=MAP_SIZE).close()
        self.nonce = 0

    def edit(self, rules: str, app: str = APP) -> None:
        (self.root / f"{self.rules}.py").write_text(rules)
        (self.root / f"{self.name}.py").write_text(app.format(rules=self.rules))

    def load(self) -> MicroRollup:
        """The app as it is on disk now."""
        for name in (self.name, self.rules):
            sys.modules.pop(name, None)
        return load_rollup(self.name)

    def open(self) -> Ledger:
        return Ledger.open(self.root / "store", self.load(), map_size=MAP_SIZE)

    def execute(self, *, close: bool) -> None:
        """One action in a new block, acknowledged; the block closed or left open."""
        with self.open() as ledger:
            self.rollup = ledger.rollup
            signer = Signer(self.rollup, self.genesis)
            signer.nonces["alice"] = self.nonce
            self.nonce += 1
            if ledger.block is None:
                height = ledger.checkpoint.height + 1
                ledger.begin(Open(height, 12 * START + height, START + height, self.rollup.stf_id))
            (cls,) = self.rollup.stf_by_action
            ledger.execute([make_signed_entry(self.rollup, signer.sign(cls(by=1)))])
            ledger.commit()
            if close:
                closing = ledger.compute_header()
                ledger.finish(closing, seal_header(BUILDER_KEY, closing.header, 0))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_an_edited_app_is_refused(site: Site) -> None:
    """After a block, a changed rule in any local file is refused by the file's name; a comment is not a change."""
    site.execute(close=True)
    site.edit("STEP = 2\n")
    with pytest.raises(OtherCode, match=f"built block 1: {site.rules} changed .*another directory") as refused:
        site.open()
    assert (1, (f"{site.rules} changed",)) == (refused.value.height, refused.value.changes)
    site.edit("# the step\nSTEP = 1\n")
    site.execute(close=True)


def test_an_open_block_is_finished_by_its_own_code(site: Site) -> None:
    """An acknowledged action of an open block is executed again by the code that its opening names, or not at all."""
    site.execute(close=False)
    site.edit("STEP = 2\n")
    with pytest.raises(OtherCode, match="block 1"):
        site.open()
    site.edit("STEP = 1\n")
    site.execute(close=True)
    with site.open() as ledger:
        assert 2 == ledger.state.app.value  # type: ignore[attr-defined]


def test_without_a_block_the_app_may_change(site: Site) -> None:
    """A store that holds the genesis alone belongs to whatever code has that first state."""
    site.edit("STEP = 2\n")
    site.execute(close=True)
    with site.open() as ledger:
        assert 2 == ledger.state.app.value  # type: ignore[attr-defined]
        assert {site.rollup.stf_id: encode_canonical(site.rollup.manifest)} == read_manifests(ledger.environment)


def test_an_edited_app_cannot_restore(site: Site) -> None:
    """A snapshot is restored by the code that built its block."""
    site.execute(close=True)
    snapshot = site.root / "snapshot"
    with site.open() as ledger:
        write_snapshot(ledger.environment, site.rollup, snapshot)
    site.edit("STEP = 2\n")
    with pytest.raises(OtherCode, match="block 1"):
        restore_snapshot(snapshot, site.root / "restored", site.load(), map_size=MAP_SIZE)
    site.edit("STEP = 1\n")
    restore_snapshot(snapshot, site.root / "restored", site.load(), map_size=MAP_SIZE).close()


def test_exports_carry_manifests(site: Site) -> None:
    """A block file holds the manifest of its code, under the stfId that it hashes to, and no other."""
    site.execute(close=True)
    path = site.root / "blocks"
    with site.open() as ledger:
        write_blocks(path, site.genesis, [], read_manifests(ledger.environment).values())
    file = BlockFile(path)
    assert encode_canonical(site.rollup.manifest) == file.read_manifest(site.rollup.stf_id)
    assert file.read_manifest(bytes(32)) is None


def test_the_code_is_named_when_it_is_loaded(site: Site) -> None:
    """A ledger names the code that it runs, not what the files hold when the first block opens."""
    with site.open() as ledger:
        loaded = ledger.rollup.stf_id
    with site.open() as ledger:
        site.edit("STEP = 2\n")
        assert loaded == ledger.rollup.stf_id
    assert loaded != site.load().stf_id
