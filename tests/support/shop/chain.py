"""A shop on a local L1 of its own, with a builder that upgrades, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kernel_fixtures import BUILDER, BUILDER_KEY, OWNER, START, VERIFIER_KEY, make_key, make_test_genesis
from microrollup import Action, MicroRollup
from microrollup.chain.block import Block, Header, seal_header
from microrollup.chain.record import Open
from microrollup.chain.upgrade_entry import UpgradeStep
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import make_upgrade_entry
from microrollup.execution.payload import encode_forced_payload
from microrollup.execution.upgrading import list_steps
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, cut_batches, encode_batch
from microrollup.settlement.due import make_may_end
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.testing.signing import sign_action
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import verify_blocks
from shop import v3

__all__ = ["ShopChain"]


class ShopChain:
    """The builder's side, and what verifiers do with its blocks. `app` is what the builder has loaded, and `reference`
    its module.
    """

    def __init__(self, root: Path, app: MicroRollup = v3.app, reference: str = "") -> None:
        self.root = root
        self.app = app
        self.reference = reference or f"shop.v{app.version}"
        self.seconds = float((START + 10) * SECONDS_PER_BLOCK)
        self.genesis = make_test_genesis(app)
        self.l1 = LocalSettlement.create(root / "l1", self.genesis, OWNER, app.oldest.stf_id, lambda: self.seconds)
        self.ledger = Ledger.create(root / "builder", app, self.genesis)
        self.sequencer = self.make_sequencer()

    def make_sequencer(self, *, upgrade: bool = True) -> Sequencer[Any]:
        """A sequencer over the ledger."""
        return Sequencer(self.ledger, BUILDER_KEY, self.l1, clock=lambda: self.seconds, upgrade=upgrade)

    def reopen(self, app: MicroRollup | None = None, *, upgrade: bool = True) -> None:
        """Let go of the ledger as a crash does, and open it again, perhaps with other code."""
        self.sequencer.close()
        self.ledger.abandon()
        self.app = app or self.app
        self.ledger = Ledger.open(self.root / "builder", self.app)
        self.sequencer = self.make_sequencer(upgrade=upgrade)

    def close(self) -> None:
        """Close everything but verifiers."""
        self.sequencer.close()
        self.ledger.abandon()
        self.l1.close()

    def advance(self, blocks: int = 1) -> None:
        """Let L1 pass by so many blocks."""
        self.seconds += blocks * SECONDS_PER_BLOCK

    def announce(self, app: MicroRollup, delay: int = 0) -> int:
        """Announce a code; with no delay the next block's origin has reached it."""
        effective = self.l1.announce_code(app.stf_id, caller=OWNER, delay_blocks=delay)
        self.advance(2)
        return effective

    def sign(self, action: Action, name: str = "alice", skip: int = 0) -> Authenticated:
        """The action as `name` signs it for the version in force, with the next nonce or one further on."""
        key, version, old = make_key(name), self.ledger.rollup, self.genesis.domain
        nonce = self.ledger.state.nonces.get(compute_address(key), 0) + skip
        line = sign_action(version, action, nonce, key, version.make_domain(old.chain_id, old.verifying_contract))
        return self.ledger.authenticator.authenticate_line(line)

    def submit(self, *signed: Authenticated) -> list[Sequenced | RefusedError]:
        """What became of these, in order; those that wait are missing."""
        return [outcome for _, outcome in sorted(self.sequencer.submit(enumerate(signed)), key=lambda pair: pair[0])]

    def do(self, action: Action, name: str = "alice") -> Sequenced | RefusedError:
        """Sign and submit one action."""
        (outcome,) = self.submit(self.sign(action, name))
        return outcome

    def force(self, action: Action, name: str = "frank") -> int:
        """Put an action into the inbox, as the version in force decodes it."""
        return self.l1.force(encode_forced_payload(self.ledger.rollup, action), sender=compute_address(make_key(name)))

    def build(self) -> list[Header]:
        """Whatever is due, then close the open block, if there is something in it."""
        first = self.ledger.checkpoint.height + 1
        self.sequencer.poll()
        self.sequencer.close_block()
        self.advance()
        return [self.ledger.get_header(height) for height in range(first, self.ledger.checkpoint.height + 1)]

    def forge_upgrade(self, app: MicroRollup, *, l1_origin: int | None = None) -> Header:
        """An upgrade that nobody asked for, built and sealed all the same."""
        ledger = self.ledger
        origin = self.l1.get_origin() if l1_origin is None else l1_origin
        height = ledger.header.height + 1
        steps: list[UpgradeStep] = list_steps(ledger.app, ledger.rollup.stf_id, app.stf_id)
        entries = [make_upgrade_entry(ledger.rollup_id, height, at, step.record) for at, step in enumerate(steps)]
        ledger.upgrade(Open(height, origin * SECONDS_PER_BLOCK, origin, app.stf_id), entries)
        closing = ledger.compute_header()
        return ledger.finish(closing, seal_header(BUILDER_KEY, closing.header, 0))

    def blocks(self, first: int = 1) -> list[Block]:
        """The builder's closed blocks."""
        found = [self.ledger.get_block(height) for height in range(first, self.ledger.checkpoint.height + 1)]
        return [block for block in found if block is not None]

    def verifier(self, name: str = "verifier", app: MicroRollup | None = None) -> Ledger:
        """A verifier's empty store."""
        ledger = Ledger.create(self.root / name, app or self.app, self.genesis, audit=True)
        ledger.twice = True
        return ledger

    def verify(self, ledger: Ledger, blocks: Iterable[Block] | None = None, *, l1: bool = True) -> None:
        """Verify blocks, by default all that the builder has and the ledger lacks."""
        chosen = self.blocks(ledger.checkpoint.height + 1) if blocks is None else blocks
        with AuthenticationPool(self.reference, self.genesis.domain, 0) as pool:
            verify_blocks(ledger, chosen, self.l1 if l1 else None, pool)

    def settle(self) -> list[list[Block]]:
        """Settle everything; the blocks of each batch."""
        head = self.l1.get_settled()
        batches = list(
            cut_batches(self.blocks(head.height + 1), may_end=make_may_end(self.l1), forced_count=head.forced_count)
        )
        for batch in batches:
            data, header, settled = encode_batch(self.ledger.rollup_id, batch), batch[-1].header, self.l1.get_settled()
            attestation = create_attestation(settled.block_hash, settled.height + 1, header, compute_data_hash(data))
            signed = sign_attestation(VERIFIER_KEY, attestation, self.genesis.l1_chain_id, self.l1.get_inbox())
            self.l1.settle(data, header, [signed], submitter=BUILDER)
        return batches

    def derive(self, ledger: Ledger) -> None:
        """Derive what is settled from L1 alone."""
        with AuthenticationPool(self.reference, self.genesis.domain, 0) as pool:
            derive_blocks(ledger, self.l1, pool)
