"""Recoveries end to end: at a node over RPC, by guardians of three kinds, in both modes; re-executed by a verifier."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apps.keystore.accounts import Account, encode_account_leaf
from apps.keystore.plus.dkim_keys import AddDkimKey, RevokeDkimKey
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import MailForm, MailKey, make_envelope, sign_mail, write_subject
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import (
    CancelRecovery,
    FinishRecovery,
    StartRecovery,
    SupportRecovery,
    compute_proposal_id,
)
from apps.keystore.plus.updates import SetCareful
from apps.keystore.transitions import Register, Update
from kernel_fixtures import make_key
from mail_keys import ED25519_KEY, RSA_KEY
from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.block import compute_rollup_id
from microrollup.client import ActionRefused, Client
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import BadEnvelope
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import replay_log
from microrollup.testing.passkey import Passkey
from node_fixtures import MAP_SIZE, Site
from plus_world import CODE, CODE_2, CONFIG, CONFIG_2, DAY, SALT
from recovery_app import COLLECTOR, app, compute_key
from waiting import SECONDS, wait_for

pytestmark = pytest.mark.slow

OWNERS, NEXT, ERIN = [make_key(f"owner {mode}") for mode in (0, 1)], make_key("next"), make_key("erin")
PHONE = Passkey(b"\x21" * 32, rp_id="wallet.example", origin="https://wallet.example")
ANN = "ann@mail.example"
KEYS = [compute_key(compute_address(owner)) for owner in OWNERS]
NEXT_VK = compute_address(NEXT)
GUARDIANS = [
    Guardian(0, bytes(12) + PHONE.sender),
    Guardian(1, compute_key(compute_address(ERIN))),
    Guardian(2, compute_mail_id(SALT, ANN)),
]
HASH = compute_guardians_hash(SALT, GUARDIANS)
DELAY = 3 * DAY


class Story:
    """The steps of one test, at one node."""

    def __init__(self, site: Site, client: Client) -> None:
        self.site = site
        self.client = client
        self.acknowledged: SignedAcknowledgement
        self.starts = [StartRecovery(key, CODE_2, CONFIG_2, NEXT_VK, SALT, GUARDIANS) for key in KEYS]
        rollup_id = compute_rollup_id(site.genesis)
        self.proposals = [
            compute_proposal_id(rollup_id, start, Policy(HASH, 3, 3, DELAY, mode, 1), 0)
            for mode, start in enumerate(self.starts)
        ]

    @property
    def now(self) -> int:
        return int(self.site.get_time())

    async def do(self, key: Any, *actions: Any) -> list[str]:
        """What became of them: "executed", or why they were rejected."""
        acks = [await self.client.submit(action, key) for action in actions]
        self.acknowledged = acks[-1]
        return [ack.reason or ack.status for ack in acks]

    async def send(self, proposal: bytes, form: MailForm | None = None, key: MailKey = RSA_KEY) -> str:
        """A mail of Ann's for a proposal, handed in; "executed", or why it was refused."""
        raw = make_envelope(sign_mail(key, f"Ann <{ANN}>", write_subject(proposal), form), key.public, SALT)
        try:
            self.acknowledged = await self.client.submit_envelope("dkim", raw)
        except (ActionRefused, BadEnvelope) as refused:
            return refused.detail
        return self.acknowledged.status

    async def pass_time(self, seconds: int) -> None:
        """What there is is settled; L1's clock moves on, and the node sees it: a block of then is closed."""
        await self.client.wait(self.acknowledged, "C3A")
        self.site.ahead += seconds
        until, height = self.now - 120, await self.client.get_height()
        async with asyncio.timeout(SECONDS):
            while (await self.client.get_header(height)).timestamp < until:
                await self.do(OWNERS[0], SetCareful(KEYS[0], True))
                height = (await self.client.wait(self.acknowledged, "C1")).height

    async def prove(self, key: bytes) -> bytes:
        """The leaf of an account, proven against a header that was checked."""
        await self.client.wait(self.acknowledged, "C1")
        return (await self.client.get_proof("keystore.accounts", key)).value


async def recover(story: Story) -> None:
    """Both accounts, side by side: the veto is not used, and the lock is."""
    now = story.now
    for key in (*OWNERS, ERIN, COLLECTOR):
        assert ["executed"] == await story.do(key, Register(CODE, CONFIG, SALT))
    first = now + 7 * DAY + 3_600
    announced = AddDkimKey("mail.example", "s1", RSA_KEY.hash, first, first + 99 * DAY)
    assert ["executed"] == await story.do(COLLECTOR, announced)
    for mode, owner in enumerate(OWNERS):
        assert ["executed"] == await story.do(owner, SetRecovery(KEYS[mode], HASH, 3, 3, DELAY, mode))
    await story.pass_time(8 * DAY)
    assert ["executed"] * 2 == await story.do(PHONE, *story.starts)
    assert ["executed"] * 2 == await story.do(PHONE, *[SupportRecovery(each, 0) for each in story.proposals])
    assert ["executed"] * 2 == await story.do(ERIN, *[SupportRecovery(each, 1) for each in story.proposals])
    assert encode_account_leaf(Account(CODE + CONFIG, compute_address(OWNERS[1]))) == await story.prove(KEYS[1])
    await refuse_attacks(story)
    assert ["executed"] * 2 == [await story.send(each) for each in story.proposals]
    await act_meanwhile(story)
    early = "the delay is not over"
    assert [early] * 2 == await story.do(NEXT, *[FinishRecovery(each) for each in story.proposals])
    await story.pass_time(DELAY)
    assert ["executed"] * 2 == await story.do(NEXT, *[FinishRecovery(each) for each in story.proposals])
    for key, owner in zip(KEYS, OWNERS, strict=True):
        assert encode_account_leaf(Account(CODE_2 + CONFIG_2, NEXT_VK)) == await story.prove(key)
        assert ["sender is not the account's vk"] == await story.do(owner, Update(key, CODE, CONFIG, b"\x0b" * 20))
        assert ["executed"] == await story.do(NEXT, Update(key, CODE, CONFIG, NEXT_VK))


async def refuse_attacks(story: Story) -> None:
    """Mails that the node takes at no time, now, or for this."""
    proposal, expired = story.proposals[0], MailForm(expires=story.now - DAY)
    assert "of the body only: l=" in await story.send(proposal, MailForm(more="l=0; "))
    assert "the mail's signature has expired" == await story.send(proposal, expired)
    assert "the mail's key is not known" == await story.send(proposal, key=ED25519_KEY)
    assert "no such proposal" == await story.send(keccak256(b"another rollup's"))
    assert ["this guardian speaks by mail"] == await story.do(PHONE, SupportRecovery(proposal, 2))


async def act_meanwhile(story: Story) -> None:
    """The account of mode 1 is locked, as its leaf says; that of mode 0 acts; the same mail again does nothing."""
    locked = Account(bytes(32) + keccak256(NEXT_VK), compute_address(OWNERS[1]))
    assert encode_account_leaf(locked) == await story.prove(KEYS[1])
    assert ["account is locked"] == await story.do(OWNERS[1], Update(KEYS[1], CODE, CONFIG, b"\x0b" * 20))
    assert ["executed"] == await story.do(OWNERS[0], Update(KEYS[0], CODE, CONFIG, compute_address(OWNERS[0])))
    assert ["executed"] == await story.do(OWNERS[1], CancelRecovery(story.proposals[1], 255)), "one of two needed"
    assert "executed" == await story.send(story.proposals[0]), "what is known is acknowledged as before"
    again = await story.send(story.proposals[0], MailForm(signed=story.now))
    assert "proposal is not open" == again
    assert ["executed"] == await story.do(COLLECTOR, RevokeDkimKey(RSA_KEY.hash))


def test_recovery_by_guardians_of_three_kinds(tmp_path: Path) -> None:
    """A passkey, an account and a mail; a verifier re-executes all of it, and a replay of the log gives the same."""
    site = Site(tmp_path, "recovery_app:app")
    with site.serve(verifiers=1) as caller:

        async def tell() -> None:
            async with Client(caller.url, app) as client:
                await recover(Story(site, client))

        asyncio.run(tell())
        cut = make_envelope(sign_mail(RSA_KEY, ANN, write_subject(SALT), MailForm(more="l=0; ")), RSA_KEY.public, SALT)
        refused = caller.ask("submitEnvelope", name="dkim", raw=f"0x{cut.hex()}")["error"]["data"]
        assert "bad_envelope" == refused["code"], "the node says so too"
        latest = caller.call("height")["latest"]
        wait_for(lambda: caller.call("height")["verified"] >= latest)
    with Ledger.open(tmp_path / "node", site.rollup, map_size=MAP_SIZE) as ledger:
        with AuthenticationPool("recovery_app:app", site.genesis.domain, 0) as pool:
            replayed = replay_log(ledger.environment, site.rollup, tmp_path / "again", pool)
        with replayed:
            assert ledger.header == replayed.header
