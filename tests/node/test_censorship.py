"""An operator that ignores somebody: the action is forced on L1, by an L1 account or by a stranger who carries what a
passkey has signed, and then no block can do without it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import apps.keystore
from apps.keystore.accounts import Account, compute_account_key, encode_account_leaf
from apps.keystore.transitions import Register, Update
from command_line import APP
from l1_node_fixtures import RollupSite, Zygote, get_address, make_user, run_chain, run_command
from microrollup.chain.block import Block
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.directory import OpenRollup, open_rollup
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.keys.files import read_key
from microrollup.primitives import ZERO_BYTES32
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.errors import ForcedSkipped
from microrollup.settlement.protocol import L1Look, L1View
from microrollup.testing.passkey import Passkey
from microrollup.testing.signing import sign_action
from waiting import wait_for

USER = make_user(77_000)
MEMBER = b"\x55" * 32
ACCOUNT = compute_account_key(MEMBER, MEMBER + MEMBER, compute_address(USER))
PASSKEY = Passkey(b"\x77" * 32)
STRANGER = make_user(77_001)
FIRST = Register(b"\x01" * 32, b"\x02" * 32, MEMBER)
KEPT = compute_account_key(MEMBER, FIRST.code_hash + FIRST.config_hash, PASSKEY.sender)
NEXT = Update(KEPT, b"\x03" * 32, b"\x04" * 32, PASSKEY.sender)


class Blinkered:
    """L1 as a censor likes to see it: the queue of forced actions is empty."""

    def __init__(self, l1: L1View) -> None:
        self._l1 = l1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)

    def get_forced_count(self, _: int) -> int:
        return 0

    def look(self, origin: int, forced_count: int) -> L1Look:
        return msgspec.structs.replace(self._l1.look(origin, forced_count), forced=())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RollupSite]:
    """A keystore on L1 with one settled block; the operator let go of what `USER` sent."""
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--da", "calldata", depth=2)
        with site.run() as node:
            site.acks += [answer["ack"] for answer in node.submit(sign(site, FIRST, 0))]
            site.submit(node)
            assert 1 == node.wait_until_settled()
            assert prove(site.data)["exists"] is False
            assert 0 == node.command.stop()
        yield site


def sign(site: RollupSite, action: Register | Update, nonce: int) -> bytes:
    """A line that the passkey has signed, without a line end."""
    return sign_action(apps.keystore.app, action, nonce, PASSKEY, site.domain)


def carry(site: RollupSite, line: bytes) -> dict[str, Any]:
    """`microrollup force --signed`, by somebody who has ether and no account here."""
    key, file = site.root / "stranger.key", site.root / "update.json"
    key.write_text(STRANGER.secret.hex())
    file.write_bytes(line)
    site.chain.anvil.call("anvil_setBalance", get_address(STRANGER), hex(10**18))
    found: dict[str, Any] = run_command("force", APP, "--signed", file, "--key", key, "--data", site.data)
    return found


def prove(directory: Path, key: bytes = ACCOUNT) -> dict[str, Any]:
    found: dict[str, Any] = run_command("prove", APP, f"0x{key.hex()}", "--data", directory)
    return found


def build_without(operator: OpenRollup, site: RollupSite) -> Block:
    """The operator's next block, with what others have sent and without what is forced."""
    sequencer: Sequencer[int] = Sequencer(operator.ledger, operator.key, Blinkered(operator.l1))  # type: ignore[arg-type]
    with closing(sequencer):
        authenticator = Authenticator(apps.keystore.app.action_types, site.domain)
        actions = [authenticator.authenticate_line(line) for line in site.make_lines(2)]
        taken = sequencer.submit([(n, action) for n, action in enumerate(actions) if isinstance(action, Authenticated)])
        assert [True, True] == [isinstance(outcome, Sequenced) for _, outcome in taken]
        sequencer.close_block()
    block = operator.ledger.get_block(2)
    assert block is not None
    return block


def collude(operator: OpenRollup, block: Block, key: Path) -> None:
    """Hand the block to the inbox with the attestation of a verifier that does not look at it."""
    batch = encode_batch(operator.ledger.rollup_id, [block])
    head = operator.l1.get_settled()
    data_hash = operator.l1.compute_data_hash(batch)
    attestation = create_attestation(head.block_hash, 2, block.header, data_hash)
    signed = sign_attestation(read_key(key), attestation, 31337, operator.l1.get_inbox())
    operator.l1.settle(batch, block.header, [signed], submitter=compute_address(operator.key))


def test_a_forced_action_cannot_be_left_out(site: RollupSite, tmp_path: Path) -> None:
    """Once the action that the operator ignores is forced on L1 and due, a block without it is refused by whoever
    verifies it (`forcedCount`), and by the inbox even with a quorum's signatures (`ForcedSkipped`); the block with it
    executes it, settles, and the account is proven against the root that the inbox holds. So it is with a passkey's
    rotation that a stranger carries.
    """
    forced = site.force(USER, f"0x{MEMBER.hex()}")
    carried = carry(site, sign(site, NEXT, 1))
    assert f"0x{PASSKEY.sender.hex()}" == carried["sender"]
    wait_for(lambda: site.chain.get_number() - 2 >= carried["inclusionBlock"])
    censored = tmp_path / "censored"
    shutil.copytree(site.data, censored)
    before = site.read_root()
    with open_rollup(censored, apps.keystore.app) as operator:
        block = build_without(operator, site)
        assert block.header.l1_origin >= carried["inclusionBlock"]
        assert (0, ZERO_BYTES32) == (block.header.forced_count, block.header.forced_hash)
        found = run_command(
            "verify", APP, "--from", censored, "--l1-url", site.chain.anvil.url, "--inbox", site.inbox,
            "--l1-depth", 2, code=1,
        )  # fmt: skip
        assert (2, "forcedCount", "2", "0") == (found["height"], found["field"], found["expected"], found["found"])
        with pytest.raises(ForcedSkipped):
            collude(operator, block, censored / "keys" / "verifier.key")
    assert (1, before) == (len(site.read_settled()), site.read_root())

    with site.run() as node:
        wait_for(lambda: node.call("status")["l1"]["forcedTaken"] == 2)
        assert 2 == node.wait_until_settled()
        receipt = node.call("getReceipt", hash=forced["actionHash"])
        assert ("executed", "C3B", 4) == (receipt["status"], receipt["confirmation"], receipt["seq"])
        action = node.call("getAction", hash=forced["actionHash"])
        assert get_address(USER) == action["sender"]
        rotated = node.call("getReceipt", hash=carried["signedHash"])
        assert ("executed", "C3B", carried["sender"]) == (rotated["status"], rotated["confirmation"], rotated["sender"])
        site.check_settled_once(node, others=2)
        assert 0 == node.command.stop()
    proof = prove(site.data)
    assert (True, site.read_root()) == (proof["exists"], proof["stateRoot"])
    assert before != site.read_root()
    shown = prove(site.data, KEPT)
    value = encode_account_leaf(Account(NEXT.code_hash + NEXT.config_hash, PASSKEY.sender))
    assert (f"0x{value.hex()}", site.read_root()) == (shown["value"], shown["stateRoot"])
