"""A rollup on an L1, for demonstrations: operator and verifiers have a directory each, and share nothing but L1."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from microrollup.chain.block import Header
from microrollup.chain.export import write_blocks
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.deploying import Deployed, deploy_rollup
from microrollup.deployment.directory import OpenRollup, open_rollup
from microrollup.deployment.forcing import QueuedAction, force_action
from microrollup.deployment.settling import SettledRange, parse_attestations, settle_batches
from microrollup.deployment.verifying import make_request, verify_blocks, verify_together
from microrollup.errors import MicrorollupError
from microrollup.keys.files import make_key
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.place import EthereumPlace, make_options, open_l1
from microrollup.settlement.protocol import SettledHead
from microrollup.testing.anvil import Anvil
from microrollup.verifier.events import DivergenceEvent, Report, VerifierProgress
from microrollup.verifier.source import StoreSource

__all__ = ["L1Rollup", "Settled"]

_DEPTH: Final = 2
_VERIFIERS: Final = 3
_QUORUM: Final = 2
_FUNDS: Final = 10 * 10**18
_ZERO_INBOX: Final = "0x" + "00" * 20


class Settled(msgspec.Struct, frozen=True):
    """What was settled, and what it took."""

    head: SettledHead
    ranges: list[SettledRange]
    submitter: bytes
    """20 bytes: who sent the last batch."""
    gas: int
    blob_gas: int

    @property
    def bytes(self) -> int:
        """Published."""
        return sum(settled.bytes for settled in self.ranges)


def _ignore(_: VerifierProgress) -> None:
    return


class L1Rollup:
    """The directories of one run; the operator's is `operator`."""

    def __init__(self, app: str, directory: Path, anvil: Anvil) -> None:
        self.app = app
        self.rollup = load_rollup(app)
        self.directory = directory
        self.anvil = anvil
        self.operator = directory / "operator"
        self.verifier_keys = [directory / f"verifier-{number}.key" for number in range(_VERIFIERS)]
        self.place = EthereumPlace(anvil.url, _ZERO_INBOX, depth=_DEPTH)

    def deploy(self, payer: PrivateKey, *, zero_domain: bool = False) -> Deployed:
        """The inbox, owned by `payer`, with three verifiers of whom two must attest, and a builder with ether."""
        deployed = deploy_rollup(
            self.rollup,
            self.operator,
            self.place,
            payer,
            verifiers=tuple([compute_address(make_key(path)) for path in self.verifier_keys]),
            quorum=_QUORUM,
            zero_domain=zero_domain,
        )
        self.place = deployed.place
        self.send_ether(payer, deployed.genesis.builder)
        return deployed

    def send_ether(self, payer: PrivateKey, to: bytes) -> None:
        """Enough of it for some batches."""
        from microrollup.settlement.ethereum.funds import send_ether  # noqa: PLC0415  # an extra

        send_ether(make_options(self.place), payer, to, _FUNDS)

    def verify(
        self, first_height: int = 1, on_progress: Callable[[VerifierProgress], None] = _ignore
    ) -> list[Report] | DivergenceEvent:
        """A quorum, each in a process and a store of its own, executes everything again and attests.

        `first_height` is that of the first block that the operator has: a restored store lacks those below.
        """
        blocks = self.directory / "blocks.microrollup"
        with StoreSource(self.operator) as source:
            write_blocks(blocks, source.genesis, source.read_blocks(first_height), source.read_manifests())
        requests = [
            make_request(self.app, blocks, path.with_suffix(".data"), l1=self.place, key=path)
            for path in self.verifier_keys[:_QUORUM]
        ]
        reports: list[Report] = []
        for outcome in verify_together(requests, on_progress):
            if isinstance(outcome, DivergenceEvent):
                return outcome
            reports.append(outcome)
        return reports

    def settle(self, reports: list[Report], submitter: PrivateKey | None = None) -> Settled:
        """One transaction per batch, the data in blobs; sent by the builder, or by another key that pays for it."""
        attestations = [
            attestation
            for report in reports
            for attestation in parse_attestations(msgspec.json.encode(report.attestations))
        ]
        with open_rollup(self.operator, self.rollup) as opened:
            if submitter is None:
                return self._read_costs(opened, settle_batches(opened, attestations))
            with closing(open_l1(self.place, [submitter])) as inbox:
                other = msgspec.structs.replace(opened, l1=inbox, key=submitter)
                return self._read_costs(other, settle_batches(other, attestations))

    def _read_costs(self, opened: OpenRollup, ranges: list[SettledRange]) -> Settled:
        from microrollup.settlement.ethereum.settlement import EthereumSettlement  # noqa: PLC0415

        if not isinstance(opened.l1, EthereumSettlement):
            raise TypeError(opened.l1)
        costs = [cost for settled in ranges if (cost := opened.l1.get_cost(settled.last_height)) is not None]
        gas, blob_gas = sum(cost.gas for cost in costs), sum(cost.blob_gas for cost in costs)
        head = opened.l1.get_settled()
        settled = opened.l1.get_settled_at(head.height)
        return Settled(head, ranges, b"" if settled is None else settled.submitter, gas, blob_gas)

    def force(self, user: PrivateKey, action: Action) -> tuple[QueuedAction, int]:
        """A user's action into the inbox's queue, and its gas; then L1 goes on beyond the depth of reorgs.

        Raises `MicrorollupError` if L1 does not show it.
        """
        queued = force_action(self.rollup, self.place, action, user)
        if queued.inclusion_block is None:
            raise MicrorollupError("L1 does not show the forced action")
        (receipt,) = self.anvil.call("eth_getBlockReceipts", hex(queued.inclusion_block))
        self.pass_depth()
        return queued, int(receipt["gasUsed"], 16)

    def pass_depth(self) -> None:
        """L1 goes on until blocks are built on what it says now."""
        self.anvil.mine(_DEPTH + 1)

    def take_forced(self) -> Header:
        """The operator's next block, which has to begin with what is forced. Raises `MicrorollupError` without that."""
        with (
            open_rollup(self.operator, self.rollup) as opened,
            closing(Sequencer[int](opened.ledger, opened.key, opened.l1)) as sequencer,
        ):
            header = sequencer.poll()
        if header is None:
            raise MicrorollupError("no forced action was due")
        return header

    def rebuild(
        self, directory: Path, workers: int | None = None, on_progress: Callable[[VerifierProgress], None] = _ignore
    ) -> Report | DivergenceEvent:
        """Anybody derives the rollup from L1 and its blobs, into `directory / "store"`."""
        return verify_blocks(make_request(self.app, None, directory, l1=self.place, workers=workers), on_progress)

    def read_inbox_root(self) -> bytes:
        """What the inbox itself says, by a look at the contract's storage."""
        slot: str = self.anvil.call("eth_getStorageAt", self.place.inbox, "0x0", "latest")
        return bytes.fromhex(slot[2:])
