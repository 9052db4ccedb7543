"""Row 12: an L1: gas per action by batch size, bytes per action on DA, and the speed of deriving all from L1.

Batches settle on anvil with two of three attestations, in blobs and in calldata. Gas is the whole transaction's, with
the calldata's floor of EIP-7623; blob gas is listed apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Self

import msgspec

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import APP, Spent, Way, contest, import_lines, open_ways
from benchmarks.recovery import BareRecovery
from benchmarks.report import Row, make_size_row
from benchmarks.stores import LARGE_BLOCK
from microrollup.chain.block import Block
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.deployment.deploying import deploy_rollup
from microrollup.deployment.directory import OpenRollup, open_rollup
from microrollup.errors import MicrorollupError, UsageError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.ethereum.costs import TransactionCost
from microrollup.settlement.ethereum.funds import send_ether
from microrollup.settlement.ethereum.options import DA_TAGS, DaTag
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.place import EthereumPlace, make_options
from microrollup.testing.anvil import DEV_KEYS, find_anvil, run_anvil
from microrollup.verifier.derive import derive_blocks

__all__ = ["measure"]

_PAYER: Final = load_private_key(bytes.fromhex(DEV_KEYS[0]))
_VERIFIERS: Final = tuple([load_private_key(keccak256(b"benchmark verifier %d" % number)) for number in range(3)])
_QUORUM: Final = 2
_FUNDS: Final = 100 * 10**18
_TARGETS: Final = {"in Python": 0.3, "native": 0.4}
"""Of derivation."""
_NOWHERE: Final = "0x" + "00" * 20


class Settled(msgspec.Struct, frozen=True):
    """What some actions took to settle."""

    actions: int
    blocks: int
    batch_bytes: int
    costs: list[TransactionCost]


def measure(bench: Bench) -> list[Row]:
    """Gas rows for each kind of data, then derivation from blobs; none where no L1 can be started."""
    try:
        anvil_command = find_anvil()
    except UsageError as error:
        bench.say(str(error))
        return []
    sizes = bench.sizes.settled
    signed = bench.signed
    rows: list[Row] = []
    with run_anvil(anvil_command, "--hardfork", "osaka") as anvil:
        for da in DA_TAGS:
            place = EthereumPlace(anvil.url, _NOWHERE, da, depth=1)
            with _Operator(bench, place) as operator:
                first = 0
                for size in sizes:
                    bench.say(f"settling {size:,} actions in {da} on an L1")
                    lines = signed.lines[first : first + size]
                    first += len(lines)
                    rows.append(_make_gas_row(da, operator.settle(lines)))
                if da == "blobs":
                    bench.say(f"deriving {first:,} actions from L1")
                    rows += _measure_derivation(bench, operator, first)
    return rows


class _Operator:
    """A rollup with its inbox, and one who builds, attests and settles."""

    def __init__(self, bench: Bench, place: EthereumPlace) -> None:
        self._bench = bench
        self._place = place
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        directory = self._bench.make_directory("operator")
        addresses = tuple([compute_address(key) for key in _VERIFIERS])
        deployed = deploy_rollup(
            app, directory, self._place, _PAYER, verifiers=addresses, quorum=_QUORUM, zero_domain=True
        )
        send_ether(make_options(deployed.place), _PAYER, deployed.genesis.builder, _FUNDS)
        self.node: OpenRollup = self._stack.enter_context(open_rollup(directory, app))
        if not isinstance(self.node.l1, EthereumSettlement):
            raise TypeError(self.node.l1)
        self.l1: EthereumSettlement = self.node.l1
        domain = self.node.ledger.genesis.domain
        self.pool = self._stack.enter_context(AuthenticationPool(APP, domain, self._bench.workers))
        self._sequencer: Sequencer[int] = Sequencer(self.node.ledger, self.node.key, self.l1, block_size=LARGE_BLOCK)
        self._stack.callback(self._sequencer.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def settle(self, lines: Sequence[bytes]) -> Settled:
        """Build blocks of the lines, and settle all of them in as few batches as hold them."""
        ledger, l1 = self.node.ledger, self.l1
        first = ledger.checkpoint.height + 1
        if import_lines(self._sequencer, self.pool, lines) != len(lines):
            raise MicrorollupError("not every line executed")
        costs: list[TransactionCost] = []
        size = 0
        for blocks in cut_batches(self._read_blocks(first), l1.get_max_batch_bytes()):
            batch = encode_batch(ledger.rollup_id, blocks)
            head = l1.get_settled()
            last = blocks[-1].header
            attestation = create_attestation(head.block_hash, head.height + 1, last, l1.compute_data_hash(batch))
            chain_id, inbox = ledger.genesis.l1_chain_id, l1.get_inbox()
            signed = [sign_attestation(key, attestation, chain_id, inbox) for key in _choose(_VERIFIERS)]
            l1.settle(batch, last, signed, submitter=compute_address(self.node.key))
            cost = l1.get_cost(last.height)
            if cost is None:
                raise MicrorollupError("the batch is not settled")
            costs.append(cost)
            size += len(batch)
        return Settled(len(lines), ledger.checkpoint.height - first + 1, size, costs)

    def _read_blocks(self, first: int) -> Iterator[Block]:
        for height in count(first):
            block = self.node.ledger.get_block(height)
            if block is None:
                return
            yield block


def _choose(keys: Sequence[PrivateKey]) -> list[PrivateKey]:
    return sorted(keys, key=compute_address)[:_QUORUM]


def _make_gas_row(da: DaTag, settled: Settled) -> Row:
    gas, blob_gas = sum(cost.gas for cost in settled.costs), sum(cost.blob_gas for cost in settled.costs)
    bytes_each = settled.batch_bytes / settled.actions
    transactions = len(settled.costs)
    note = (
        f"{transactions} transaction{'s' if transactions > 1 else ''}, blocks: {settled.blocks}; {gas:,} gas and"
        f" {blob_gas:,} of blobs ({blob_gas / settled.actions:,.0f} per action); {settled.batch_bytes:,} bytes on DA,"
        f" {bytes_each:,.0f} per action"
    )
    return make_size_row("l1", f"{settled.actions:,} actions in {da}", gas / settled.actions, "gas", note=note)


def _measure_derivation(bench: Bench, operator: _Operator, actions: int) -> list[Row]:
    """Everything from L1 and its blobs into an empty store, beside bare recovery of the same signatures, by turns."""
    with BareRecovery(bench.workers) as bare, open_ways(bench) as ways:
        found = [_derive_way(bench, operator, actions, bare, name, way) for name, way in ways.items()]
    return [row for rows in found for row in rows]


def _derive_way(bench: Bench, operator: _Operator, actions: int, bare: BareRecovery, name: str, way: Way) -> list[Row]:
    signed = bench.signed

    def derive(_: int) -> Spent:
        with _open_empty(bench.make_directory("derived"), operator) as ledger:
            spent = way.measure(lambda: derive_blocks(ledger, operator.l1, way.pool), actions)
            if ledger.header.state_root != operator.l1.get_settled().state_root:
                raise MicrorollupError("what was derived has another state root than the inbox")
        return spent

    found = contest(derive, bare, signed.digests[:actions], signed.signatures[:actions], bench.sizes.repetitions)
    return found.make_rows(
        "l1",
        f"derived from L1 and blobs into an empty store, every signature checked, {name}",
        f"the same derivation, {name}",
        target=_TARGETS[name],
        fsync=bench.measure_fsync(),
        accounts=f"0 to {operator.node.ledger.checkpoint.sizes[0]:,}",
        note=f"{1 / found.wrapper.ours:,.0f} actions/s, {actions:,} actions, KZG commitments checked, durable",
    )


@contextmanager
def _open_empty(directory: Path, operator: _Operator) -> Iterator[Ledger]:
    with Ledger.create(directory, app, operator.l1.get_genesis(), audit=True) as ledger:
        yield ledger
