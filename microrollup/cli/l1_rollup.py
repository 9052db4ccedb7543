"""A rollup on an L1, for demonstrations: operator and verifiers have a directory each, and share nothing but L1."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from microrollup.action import Action
from microrollup.block import Header
from microrollup.cli.deploying import Deployed, deploy_rollup
from microrollup.cli.directory import Node, make_key, open_node
from microrollup.cli.settling import SettledRange, parse_attestations, settle_batches
from microrollup.cli.verification import make_request, watch_verifier, watch_verifiers
from microrollup.crypto import PrivateKey, compute_address
from microrollup.entry import encode_forced_payload
from microrollup.errors import MicrorollupError
from microrollup.export import write_blocks
from microrollup.rollup import load_rollup
from microrollup.sequencer import Sequencer
from microrollup.settlement.place import EthereumPlace, make_options, open_l1
from microrollup.settlement.protocol import SettledHead
from microrollup.testing.anvil import Anvil
from microrollup.verifier.events import DivergenceEvent, Report
from microrollup.verifier.source import StoreSource

__all__ = ["Forced", "L1Rollup", "Settled"]

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


class Forced(msgspec.Struct, frozen=True):
    """An action in the inbox's queue, and what it took."""

    sender: bytes
    l1_number: int
    payload_bytes: int
    gas: int


class L1Rollup:
    """The directories of one run; whoever operates the rollup does it in `operator`."""

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
        from microrollup.settlement.ethereum.funds import send_ether  # noqa: PLC0415  # web3 takes 0.7 s to import

        send_ether(make_options(self.place), payer, to, _FUNDS)

    def verify(self, first_height: int = 1) -> list[Report] | DivergenceEvent:
        """A quorum, each in a process and a store of its own, executes everything again and attests.

        `first_height` is that of the first block that the operator has: a restored store lacks those below.
        """
        blocks = self.directory / "blocks.microrollup"
        with StoreSource(self.operator) as source:
            write_blocks(blocks, source.genesis, source.read_blocks(first_height))
        requests = [
            make_request(self.app, blocks, path.with_suffix(".data"), l1=self.place, key=path)
            for path in self.verifier_keys[:_QUORUM]
        ]
        reports: list[Report] = []
        for outcome in watch_verifiers(requests):
            if isinstance(outcome, DivergenceEvent):
                return outcome
            reports.append(outcome)
        return reports

    def settle(self, reports: list[Report], submitter: PrivateKey | None = None) -> Settled:
        """One transaction a batch, the data in blobs; sent by the builder, or by another key that pays for it."""
        attestations = [
            attestation
            for report in reports
            for attestation in parse_attestations(msgspec.json.encode(report.attestations))
        ]
        with open_node(self.operator, self.rollup) as node:
            if submitter is None:
                return self._read_costs(node, settle_batches(node, attestations))
            with closing(open_l1(self.place, [submitter])) as inbox:
                other = msgspec.structs.replace(node, l1=inbox, key=submitter)
                return self._read_costs(other, settle_batches(other, attestations))

    def _read_costs(self, node: Node, ranges: list[SettledRange]) -> Settled:
        from microrollup.settlement.ethereum.settlement import EthereumSettlement  # noqa: PLC0415

        if not isinstance(node.l1, EthereumSettlement):
            raise TypeError(node.l1)
        costs = [cost for settled in ranges if (cost := node.l1.get_cost(settled.last_height)) is not None]
        gas, blob_gas = sum(cost.gas for cost in costs), sum(cost.blob_gas for cost in costs)
        head = node.l1.get_settled()
        settled = node.l1.get_settled_at(head.height)
        return Settled(head, ranges, b"" if settled is None else settled.submitter, gas, blob_gas)

    def force(self, user: PrivateKey, action: Action) -> Forced:
        """A user's action into the inbox's queue; then L1 goes on until it is not expected to take it back."""
        payload = encode_forced_payload(self.rollup, action)
        sender = compute_address(user)
        with closing(open_l1(self.place, [user])) as inbox:
            index = inbox.force(payload, sender=sender)
            (entry,) = inbox.get_forced_entries(index, inbox.get_number(), 1)
        (receipt,) = self.anvil.call("eth_getBlockReceipts", hex(entry.inclusion_block))
        self.pass_depth()
        return Forced(sender, entry.inclusion_block, len(payload), int(receipt["gasUsed"], 16))

    def pass_depth(self) -> None:
        """L1 goes on until blocks are built on what it says now."""
        self.anvil.mine(_DEPTH + 1)

    def take_forced(self) -> Header:
        """The operator's next block, which has to begin with what is forced. Raises `MicrorollupError` without that."""
        with (
            open_node(self.operator, self.rollup) as node,
            closing(Sequencer[int](node.ledger, node.key, node.l1)) as sequencer,
        ):
            header = sequencer.poll()
        if header is None:
            raise MicrorollupError("no forced action was due")
        return header

    def rebuild(self, directory: Path, workers: int | None = None) -> Report | DivergenceEvent:
        """Anybody derives the rollup from L1 and its blobs, into `directory / "store"`."""
        return watch_verifier(make_request(self.app, None, directory, l1=self.place, workers=workers))

    def read_inbox_root(self) -> bytes:
        """What the inbox itself says, by a look at the contract's storage."""
        slot: str = self.anvil.call("eth_getStorageAt", self.place.inbox, "0x0", "latest")
        return bytes.fromhex(slot[2:])
