"""Upgrades of the code, from the announcement to verifiers, replay, snapshots and proofs across it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from kernel_fixtures import OWNER, list_replay_differences, make_key, read_receipts
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.receipt import EXECUTED, FAULTED
from microrollup.chain.upgrade_entry import UpgradeStep, compute_upgrade_id, is_upgrade_record
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.merkle.indexed import verify_inclusion
from microrollup.errors import Divergence, DomainChanged, IntakeStopped, SenderRequired
from microrollup.ledger.code import OtherCode, read_manifests
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.reading import get_field_at, prove_state
from microrollup.maintenance.scrub.launch import scrub_store
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.sequencer.sequencer import Sequenced
from microrollup.sequencer.upgrading import find_due_upgrade, open_upgrade
from microrollup.settlement.errors import NotOwner, WrongStfId
from microrollup.settlement.local import LocalSettlement
from microrollup.testing.signing import sign_action
from shop import v1, v2, v3, v4
from shop.chain import ShopChain

ALICE = compute_address(make_key("alice"))
FRANK = compute_address(make_key("frank"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ShopChain]:
    made = ShopChain(tmp_path)
    yield made
    made.close()


def list_codes(shop: ShopChain) -> list[str]:
    """The version that each block names."""
    versions = {version.stf_id: version.version for version in v3.app.versions}
    return [versions[block.header.stf_id] for block in shop.blocks()]


def find_upgrades(shop: ShopChain) -> list[int]:
    """The heights of the blocks that upgrade."""
    return [block.header.height for block in shop.blocks() if any(map(is_upgrade_record, block.records))]


def fill(shop: ShopChain) -> None:
    """A first block under the first version."""
    for action in (v1.Deposit(250), v1.Tag(1, b"a" * 32)):
        outcome = shop.do(action)
        assert isinstance(outcome, Sequenced)
        assert EXECUTED == outcome.receipt.status
    shop.build()


def check_everywhere(shop: ShopChain) -> None:
    """Verifiers, replay, derivation from L1 and a restart come to the same."""
    tip = shop.ledger.checkpoint
    for number, l1 in enumerate((True, False)):
        with shop.verifier(f"verifier {number} {tip.height}") as ledger:
            shop.verify(ledger, l1=l1)
            assert tip == ledger.checkpoint
    assert [] == list_replay_differences(shop.ledger, "shop.v3", shop.root / f"replay {tip.height}")
    shop.settle()
    with shop.verifier(f"derived {tip.height}") as ledger:
        shop.derive(ledger)
        assert tip == ledger.checkpoint
    shop.reopen()
    assert tip == shop.ledger.checkpoint


def test_announced(shop: ShopChain) -> None:
    fill(shop)
    effective = shop.announce(v2.app)
    before = shop.ledger.checkpoint
    shop.build()
    assert [2] == find_upgrades(shop)
    assert ["1", "2"] == list_codes(shop)
    block, (receipt,) = shop.blocks()[1], read_receipts(shop.ledger, 2)
    assert (UpgradeStep(v1.app.stf_id, v2.app.stf_id).record,) == block.records
    assert compute_upgrade_id(shop.ledger.rollup_id, 2, 0) == receipt.action_hash
    assert (EXECUTED, "", ("Upgraded",)) == (receipt.status, receipt.reason, tuple(name for name, _ in receipt.events))
    assert before.forced_count == block.header.forced_count
    assert block.header.l1_origin >= effective
    state = shop.ledger.state.app
    assert v2.Account(250, 2) == state.accounts[ALICE]
    assert [(0, bytes(31) + b"\2"), (1, b"a" * 32)] == list(state.labels.items())
    assert (250, 2_000, 2) == (state.total, state.limit, state.fee)
    outcome = shop.do(v2.Deposit(12))
    assert isinstance(outcome, Sequenced)
    assert 1 == shop.do(v2.Order(7)).receipt.seq - outcome.receipt.seq  # type: ignore[union-attr]
    shop.build()
    shop.announce(v3.app)
    shop.build()
    shop.do(v3.See(), "bob")
    shop.build()
    assert ["1", "2", "2", "3", "3"] == list_codes(shop)
    assert [2, 4] == find_upgrades(shop)
    state = shop.ledger.state.app
    assert {ALICE, compute_address(make_key("bob"))} == set(state.seen)
    assert [7] == list(state.orders)
    check_everywhere(shop)
    outcome = shop.do(v3.See())
    assert isinstance(outcome, Sequenced)


def test_too_early_and_never_announced(shop: ShopChain, tmp_path: Path) -> None:
    fill(shop)
    effective = shop.announce(v2.app, delay=100)
    shop.do(v1.Deposit(1))
    shop.build()
    assert ["1", "1"] == list_codes(shop), "not in force yet"
    shop.forge_upgrade(v2.app)
    with shop.verifier() as ledger, pytest.raises(Divergence, match="no upgrade") as caught:
        shop.verify(ledger)
    assert ("upgrade", 3) == (caught.value.field, caught.value.height)
    shop.reopen()
    never = ShopChain(tmp_path / "never")
    fill(never)
    never.forge_upgrade(v2.app)
    with never.verifier() as ledger, pytest.raises(Divergence, match="no upgrade"):
        never.verify(ledger)
    with never.verifier("without L1") as ledger:
        never.verify(ledger, l1=False)
        assert 2 == ledger.checkpoint.height, "who has no view of L1 cannot tell what is announced"
    never.close()
    assert effective > shop.l1.get_number()


def test_who_goes_on_under_the_old_code_is_found_out(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    blind = LocalSettlement.create(
        shop.root / "blind", shop.genesis, OWNER, v1.app.stf_id, lambda: shop.seconds
    )  # an L1 on which nothing was announced
    shop.sequencer.l1, real = blind, shop.sequencer.l1
    shop.do(v1.Deposit(1))
    shop.build()
    shop.sequencer.l1 = real
    blind.close()
    with shop.verifier() as ledger, pytest.raises(Divergence, match="an upgrade to 0x") as caught:
        shop.verify(ledger)
    assert ("upgrade", 2) == (caught.value.field, caught.value.height)


def test_two_announcements_between_two_origins(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.announce(v3.app)
    shop.build()
    assert ["1", "3"] == list_codes(shop)
    receipts = read_receipts(shop.ledger, 2)
    assert [EXECUTED, EXECUTED] == [receipt.status for receipt in receipts]
    assert [compute_upgrade_id(shop.ledger.rollup_id, 2, index) for index in range(2)] == [
        receipt.action_hash for receipt in receipts
    ]
    check_everywhere(shop)


def test_no_path_and_back_and_forth(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.announce(v1.app)
    shop.do(v1.Deposit(1))
    shop.build()
    assert [] == find_upgrades(shop), "what is in force again before anybody looked was never away"
    shop.announce(v2.app)
    shop.build()
    shop.announce(v1.app)
    shop.build()
    (receipt,) = read_receipts(shop.ledger, 4)
    assert (FAULTED, "no path") == (receipt.status, receipt.reason)
    assert ["1", "1", "2", "2"] == list_codes(shop)
    shop.do(v2.Deposit(5))
    shop.build()
    assert [3, 4] == find_upgrades(shop), "the announcement is spent"
    shop.announce(v2.app)
    shop.do(v2.Deposit(5))
    shop.build()
    assert [3, 4] == find_upgrades(shop), "that is the code in force"
    check_everywhere(shop)
    shop.announce(v3.app)
    shop.build()
    check_everywhere(shop)


@pytest.mark.parametrize(("amount", "reason"), [(13, "unlucky"), (14, "limit: steps"), (15, "")])
def test_a_migration_that_fails(shop: ShopChain, amount: int, reason: str) -> None:
    shop.do(v1.Deposit(amount))
    shop.build()
    before = shop.ledger.header
    shop.announce(v3.app)
    shop.build()
    receipts = read_receipts(shop.ledger, 2)
    assert [(FAULTED, reason), (FAULTED, "")] == [(receipt.status, receipt.reason) for receipt in receipts]
    header = shop.ledger.header
    assert (before.state_root, before.metadata_root, before.stf_id) == (
        header.state_root, header.metadata_root, header.stf_id
    )  # fmt: skip
    shop.do(v1.Deposit(100))
    shop.build()
    assert ["1", "1", "1"] == list_codes(shop)
    if amount > 13:  # 14 takes a million steps for each who looks
        with shop.verifier() as ledger:
            shop.verify(ledger)
            assert shop.ledger.checkpoint == ledger.checkpoint
        return
    check_everywhere(shop)
    shop.announce(v3.app)
    shop.build()
    assert ["1", "1", "1", "3"] == list_codes(shop), "announced anew, and the state is another"
    check_everywhere(shop)


def test_forced_actions_before_the_effect_are_taken_by_the_old_code(shop: ShopChain) -> None:
    fill(shop)
    for _ in range(66):
        shop.force(v1.Deposit(1))
    effective = shop.announce(v2.app, delay=1)
    shop.advance()
    shop.force(v1.Deposit(5))
    shop.advance(2)
    shop.build()
    shop.build()
    blocks = shop.blocks(2)
    assert ["1", "1", "1", "2", "2"] == list_codes(shop)
    assert [64, 66, 66, 67] == [block.header.forced_count for block in blocks]
    assert [effective - 1, effective - 1] == [block.header.l1_origin for block in blocks[:2]]
    assert 66 + 5 - 2 == shop.ledger.state.app.accounts[FRANK].balance, "the last one under the new code, with its fee"
    check_everywhere(shop)


def test_an_upgrade_before_the_exit_is_refused(shop: ShopChain) -> None:
    fill(shop)
    shop.force(v1.Deposit(1))
    shop.advance()
    shop.announce(v2.app)
    shop.forge_upgrade(v2.app)
    with shop.verifier() as ledger, pytest.raises(Divergence, match="all forced actions that L1 included before"):
        shop.verify(ledger)


def test_an_open_block_is_finished_by_the_code_that_opened_it(shop: ShopChain) -> None:
    fill(shop)
    shop.do(v1.Deposit(1))
    shop.announce(v2.app)
    shop.reopen()
    assert v1.app is shop.ledger.rollup
    shop.do(v1.Deposit(2))
    shop.sequencer.close_block()
    shop.build()
    assert ["1", "1", "2"] == list_codes(shop)
    check_everywhere(shop)


def test_a_crash_leaves_no_trace_of_an_upgrade(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    before, length = shop.ledger.checkpoint, shop.ledger.environment.count("log")
    origin = shop.l1.get_origin()
    look = find_due_upgrade(shop.ledger, shop.l1, origin)
    assert look is not None
    block = open_upgrade(shop.ledger, origin, look, int(shop.seconds))
    assert block.upgraded is not None
    assert not block.upgraded.has_failed
    shop.reopen()
    assert (before, length) == (shop.ledger.checkpoint, shop.ledger.environment.count("log"))
    assert v1.app is shop.ledger.rollup
    shop.build()
    assert ["1", "2"] == list_codes(shop)
    check_everywhere(shop)


def test_without_consent_intake_stops(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.reopen(upgrade=False)
    with pytest.raises(IntakeStopped, match="run --upgrade"):
        shop.sequencer.poll()
    with pytest.raises(IntakeStopped, match="run --upgrade"):
        shop.do(v1.Deposit(1))
    shop.reopen()
    shop.build()
    assert ["1", "2"] == list_codes(shop)


def test_without_the_code_nothing_goes_on(shop: ShopChain) -> None:
    fill(shop)
    shop.reopen(v1.app)
    shop.announce(v2.app)
    with pytest.raises(IntakeStopped, match="the app here has no such version"):
        shop.sequencer.poll()
    shop.reopen(v3.app)
    shop.build()
    shop.ledger.close()
    with pytest.raises(OtherCode, match="built block 2"):
        Ledger.open(shop.root / "builder", v1.app)
    shop.reopen()
    for app, l1 in ((v1.app, True), (v1.app, False)):
        with shop.verifier(f"old {l1}", app) as ledger:
            with pytest.raises(OtherCode) as caught:
                shop.verify(ledger, l1=l1)
            assert (2, v2.app.stf_id, 1) == (caught.value.height, caught.value.expected, ledger.checkpoint.height)


def test_who_waits_is_told_that_the_domain_has_changed(shop: ShopChain) -> None:
    fill(shop)
    early, old = shop.sign(v1.Deposit(1), skip=1), shop.sign(v1.Deposit(2))
    assert [] == shop.submit(early)
    shop.announce(v2.app)
    shop.build()
    assert shop.sequencer.gaps.has_moved
    (refusal,) = shop.submit()
    assert isinstance(refusal, DomainChanged)
    (refusal,) = shop.submit(old)
    assert isinstance(refusal, DomainChanged)
    line = msgspec.json.decode(sign_action(v2.app, v2.Order(1), 2, make_key("alice"), v2.app.make_domain()))
    del line["sender"]
    with pytest.raises(SenderRequired):
        shop.ledger.authenticator.authenticate_line(msgspec.json.encode(line))


def test_rebuilt_across_an_upgrade(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.build()
    shop.do(v2.Order(3))
    shop.build()
    hashes = [block.header for block in shop.blocks()]
    for height in (3, 2, 1):
        shop.sequencer.rebuild(height)
        assert hashes == [block.header for block in shop.blocks()]
    assert v2.app is shop.ledger.rollup
    shop.reopen()
    check_everywhere(shop)


def test_a_batch_begins_with_an_upgrade(shop: ShopChain) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.build()
    shop.do(v2.Order(3))
    shop.build()
    shop.announce(v1.app)
    shop.build()
    shop.do(v2.Order(4))
    shop.build()
    batches = shop.settle()
    assert [[1], [2, 3], [4, 5]] == [[block.header.height for block in batch] for batch in batches]
    assert v2.app.stf_id == batches[-1][-1].header.stf_id != shop.l1.get_stf_id(shop.l1.get_number())


def test_owner_zero_never_changes_the_code(shop: ShopChain) -> None:
    shop.l1.change_owner(bytes(20), caller=OWNER)
    shop.advance(30_000)
    for caller in (OWNER, bytes(20)):
        with pytest.raises(NotOwner):
            shop.l1.announce_code(v2.app.stf_id, caller=caller)


def test_proofs_and_snapshots_before_and_after(shop: ShopChain, tmp_path: Path) -> None:
    fill(shop)
    shop.announce(v2.app)
    shop.build()
    shop.do(v2.Deposit(50))
    shop.build()
    environment, tree = shop.ledger.environment, shop.ledger.tree
    found = []
    for height in (1, 2, 3):
        for name in ("accounts", "tags" if height == 1 else "labels"):
            field = get_field_at(environment, v3.app, name, height)
            key = field.encode_key(ALICE if name == "accounts" else 1)
            proof = prove_state(environment, tree, field, key, height)
            verify_inclusion(proof.header.state_root, proof.tree_key, proof.value, proof.proof)
            found.append((height, proof.stored, proof.tree_key))
    assert [v1.Account(250), v2.Account(250, 2), v2.Account(298, 2)] == [stored for _, stored, _ in found[::2]]
    assert all(one[2] == other[2] for one, other in pairwise(found[::2])), "a key stays where it is"
    assert all(one[2] == other[2] for one, other in pairwise(found[1::2])), "also under another name"
    for height in (1, 2, 3):
        path = tmp_path / f"{height}.snapshot"
        info = write_snapshot(environment, v3.app, path, height)
        with restore_snapshot(path, tmp_path / f"at {height}", v3.app, expected_block_hash=info.block_hash) as restored:
            assert (v1.app if height == 1 else v2.app) is restored.rollup
            assert shop.ledger.get_header(height) == restored.header
            shop.verify(restored)
            assert shop.ledger.checkpoint == restored.checkpoint


def test_the_inbox_takes_no_other_code(shop: ShopChain) -> None:
    fill(shop)
    shop.settle()
    shop.forge_upgrade(v2.app)
    with pytest.raises(WrongStfId):
        shop.settle()


def test_parts_hooks_and_scrubbing(tmp_path: Path) -> None:
    """A field moves into a part and keeps its number; the hook begins with the version that declares it."""
    shop = ShopChain(tmp_path, v4.app)
    fill(shop)
    shop.announce(v2.app)
    shop.build()
    shop.do(v2.Order(7))
    shop.build()
    shop.announce(v4.app)
    shop.build()
    assert (4, 2) == (shop.ledger.header.height, shop.ledger.header.action_count)
    shop.do(v3.See(), "bob")
    shop.force(v3.See())
    shop.advance()
    shop.build()
    shop.build()
    state = shop.ledger.state.app
    assert (2, 250) == (state.counters.blocks, state.counters.total)
    assert {"counters.total": 0, "counters.blocks": 4} == {
        field.name: field.number for field in v4.app.state_type.fields if field.name.startswith("counters")
    }
    with shop.verifier("other", v4.app) as ledger:
        shop.verify(ledger)
        assert shop.ledger.checkpoint == ledger.checkpoint
    manifests = tuple(read_manifests(shop.ledger.environment).values())
    with (tmp_path / "blocks").open("wb") as file:
        write_blocks(file, shop.genesis, shop.blocks(), manifests)
    exported = BlockFile(tmp_path / "blocks")
    with shop.verifier("from a file", v4.app) as ledger:
        shop.verify(ledger, exported.read_blocks(), l1=False)
        assert shop.ledger.checkpoint == ledger.checkpoint
    assert {version.app.stf_id for version in (v1, v2, v4)} == set(exported.manifests)
    shop.sequencer.rebuild(3)
    assert state.counters == shop.ledger.state.app.counters
    shop.close()
    assert [] == scrub_store(tmp_path / "builder", "shop.v4").damages
