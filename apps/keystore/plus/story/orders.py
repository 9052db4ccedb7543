"""The acts of the orders: money comes from the L2 within minutes, and goes there, by fillers (ERC-7683)."""

from __future__ import annotations

from typing import Final

from microrollup.crypto.keccak import keccak256

from ...chains.plan import L2_MESSENGER
from ...order_calls import (
    HeldOrder,
    KeystoreOrder,
    OrderOutput,
    RollupOrder,
    compute_foreign_order_id,
    compute_output_hash,
    encode_close,
    encode_end_order,
    encode_fill,
    encode_fill_claim,
    encode_open,
    encode_settler_creation,
    encode_verdicts_creation,
)
from ...proofs import encode_proof
from ...story.chain import Chain
from ...story.exits import deliver, install_exit, install_l1_messenger, read_exit
from ...vault_calls import ETHER, encode_checkpoint, encode_claim
from ..order_bridges import encode_origin_creation
from ..orders import FILLED, Fill, OpenOrder, compute_fill_id, compute_order_id
from ..vault import Transfer
from .hub import DAY, DEPTH
from .process import wait_until
from .stage import Market, Stage

__all__ = ["bring_in", "deploy_market", "send_out"]

_MESSENGER: Final = keccak256(b"the L2's messenger on L1, in the story")[12:]
_LOCKED: Final = 2 * 10**16
_PAID: Final = 19 * 10**15
_FILLER: Final = keccak256(b"where Bob has his money on the L2")[12:]
_PAYEE: Final = keccak256(b"whom Bob pays on the L2")[12:]
_CLAIMANT: Final = keccak256(b"where the filler has its money on L1")[12:]
_BRIDGE_DAYS: Final = 7


def deploy_market(l1: Chain, l2: Chain) -> Market:
    """The settler on the L2, and what L1 believes of it: before the vault, which names it."""
    install_exit(l2.anvil)
    install_l1_messenger(l1.anvil, _MESSENGER)
    settler, gas = l2.deploy(encode_settler_creation(L2_MESSENGER))
    origin, first = l1.deploy(encode_origin_creation("OpStackOrigin", _MESSENGER, settler))
    verdicts, second = l1.deploy(encode_verdicts_creation([(l2.chain_id, origin)]))
    return Market(l2.chain_id, settler, verdicts, gas, first + second)


def _now(stage: Stage) -> int:
    return max(stage.l1.get_time(), stage.layer.get_time())


def bring_in(stage: Stage) -> None:
    """Somebody locks ether on the L2, Bob pays Erin on the keystore, and the L2 pays Bob by the proof of it."""
    cast, hub, layer, tell, settler = stage.cast, stage.hub, stage.layer, stage.telling, stage.market.settler
    tell.begin("Order in", "Somebody on the L2 wants Erin to be paid on the keystore. Bob does, and is paid there.")
    deadline = _now(stage) + DAY // 2
    order = RollupOrder(layer.roots, hub.custody.rollup_id, ETHER, _LOCKED, cast.erin.key, ETHER, _PAID)
    with tell.timed("an order into the keystore is opened", "use", layer.name) as figures:
        opened = layer.send(settler, encode_open(order, deadline), value=_LOCKED)
        figures.gas, figures.bytes = opened.gas, opened.bytes
    number = compute_foreign_order_id(layer.chain_id, settler, layer.funder, 0, by_user=True)
    fill = Fill(
        number, settler, layer.chain_id, cast.bob.key, cast.erin.key, ETHER, _PAID, _FILLER, deadline
    )  # fmt: skip
    before = hub.get_balance(cast.erin.key)
    ack = hub.act("Bob fills it, by a signature", fill, cast.bob.wallet)
    tell.expect("Erin has got", "", str(_PAID), str(hub.get_balance(cast.erin.key) - before))
    hub.settle("settle the fill", ack)
    with tell.timed("the fill: anybody proves the root of L1", "L2 ingestion", layer.name) as figures:
        recorded, proven = layer.mirror_by_proof(stage.l1, stage.bridges.inbox)
        figures.gas, figures.bytes = recorded.gas + proven.gas, recorded.bytes + proven.bytes
    place = compute_fill_id(number, settler, layer.chain_id, cast.erin.key, ETHER, _PAID, deadline)
    shown = hub.prove("orders.fills", place)
    held = HeldOrder(layer.funder, ETHER, _LOCKED, layer.roots, place, deadline)
    proof = encode_proof(True, shown.proof)
    call = encode_fill_claim(number, held, shown.stored.claimant, shown.stored.time, hub.read_root(), proof)
    with tell.timed("the settler pays the filler", "use", layer.name) as figures:
        paid = layer.send(settler, call, sender=layer.bundler)
        figures.gas, figures.bytes = paid.gas, paid.bytes
    tell.expect("Bob has on the L2", layer.name, str(_LOCKED), str(layer.get_balance(_FILLER)))


def send_out(stage: Stage) -> None:
    """Bob locks ether on the keystore, a filler pays on the L2, and L1 hears of it by the chain's own bridge."""
    cast, hub, l1, layer, tell = stage.cast, stage.hub, stage.l1, stage.layer, stage.telling
    tell.begin("Order out", "Bob wants somebody to be paid on the L2. A filler does, and is paid on L1 a week later.")
    outputs = [OrderOutput(ETHER, _PAID, _PAYEE, layer.chain_id)]
    deadline = _now(stage) + DAY // 2
    wanted = OpenOrder(cast.bob.key, ETHER, _LOCKED, layer.chain_id, compute_output_hash(outputs), deadline)
    number = compute_order_id(hub.custody.rollup_id, cast.bob.key, 0)
    order = KeystoreOrder(cast.bob.key, ETHER, _LOCKED, layer.chain_id, wanted.output_hash, deadline)
    hub.settle("settle the order", hub.act("Bob opens an order out, by a signature", wanted, cast.bob.wallet))
    settler, vault = stage.market.settler, hub.custody.vault
    with tell.timed("a filler pays on the L2", "use", layer.name) as figures:
        call = encode_fill(number, order, outputs, _CLAIMANT)
        filled = layer.send(settler, call, value=_PAID, sender=layer.bundler)
        figures.gas, figures.bytes = filled.gas, filled.bytes
    tell.expect("who was to be paid has on the L2", layer.name, str(_PAID), str(layer.get_balance(_PAYEE)))
    with tell.timed("the settler tells L1", "use", layer.name) as figures:
        closed = layer.send(settler, encode_close(number, order, stage.market.verdicts))
        figures.gas, figures.bytes = closed.gas, closed.bytes
    with tell.timed("the bridge's seven days, and its message", "settlement", "L1") as figures:
        hub.pass_time(_BRIDGE_DAYS * DAY)
        figures.gas = deliver(l1, _MESSENGER, read_exit(closed.receipt)).gas
    with tell.timed("the vault ends the order", "settlement", "L1") as figures:
        recorded = l1.send(vault, encode_checkpoint())
        proof = encode_proof(True, hub.prove("orders.orders", number).proof)
        ended = l1.send(vault, encode_end_order(number, order, hub.read_root(), proof))
        figures.gas, figures.bytes = recorded.gas + ended.gas, recorded.bytes + ended.bytes
        l1.anvil.mine(DEPTH + 1)
        wait_until("the rollup hears of it", lambda: hub.get("orders.orders", number).status == FILLED)
    ack = hub.act("Bob pays a wei", Transfer(cast.bob.key, cast.shop.key, ETHER, 1), cast.bob.wallet)
    hub.settle("settle the order's end", ack)
    with tell.timed("the vault pays the filler", "use", "L1") as figures:
        recorded = l1.send(vault, encode_checkpoint())
        proof = encode_proof(True, hub.prove("vault.withdrawals", number).proof)
        claimed = l1.send(vault, encode_claim(hub.read_root(), number, ETHER, _CLAIMANT, _LOCKED, proof))
        figures.gas, figures.bytes = recorded.gas + claimed.gas, recorded.bytes + claimed.bytes
    tell.expect("the filler has on L1", "L1", str(_LOCKED), str(l1.get_balance(_CLAIMANT)))
