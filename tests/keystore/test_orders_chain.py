"""Orders over an L1 and two L2s, in both directions: filled, expired, occupied, raced, and reorged away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from eth_abi.abi import decode

from apps.keystore.order_calls import (
    HeldOrder,
    KeystoreOrder,
    OrderOutput,
    RollupOrder,
    compute_fill_tree_key,
    compute_foreign_order_id,
    compute_order_digest,
    compute_order_tree_key,
    compute_output_hash,
    encode_close,
    encode_end_order,
    encode_escape_order,
    encode_fill,
    encode_fill_claim,
    encode_open,
    encode_open_for,
    encode_refund,
    hash_open_order,
)
from apps.keystore.plus.orders import (
    FILLED,
    MAX_ORDER_TIME,
    OPEN,
    UNFILLED,
    Fill,
    OpenOrder,
    compute_fill_id,
    compute_order_id,
)
from apps.keystore.story.exits import read_exit
from apps.keystore.vault_calls import ETHER, EscapeOpening, encode_claim
from contract_calls import Contract, Reverted
from l1_fixtures import Anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from order_world import OrderWorld, Side, run_order_world
from vault_world import PACKAGE, pack, raw

pytestmark = pytest.mark.slow

CLAIMANT, RECIPIENT, STRANGER = b"\xc1" * 20, b"\x4e" * 20, b"\x57" * 20
HOUR: Final = 3_600

# The published ABI of ERC-7683, and nothing of ours.
OUTPUT: Final = "(bytes32,uint256,bytes32,uint256)"
RESOLVED: Final = f"(address,uint256,uint32,uint32,bytes32,{OUTPUT}[],{OUTPUT}[],(uint256,bytes32,bytes)[])"
OPEN_TOPIC: Final = keccak256(f"Open(bytes32,{RESOLVED})".encode())
RESOLVE: Final = keccak256(b"resolve((uint32,bytes32,bytes))")[:4]


@pytest.fixture(scope="module")
def world() -> Iterator[OrderWorld]:
    with run_order_world() as world:
        yield world


class Locked:
    """An order into the keystore, opened by the L2's funder with ether, as a generic reader sees it."""

    def __init__(self, world: OrderWorld, side: Side, amount: int = 50, pays: int = 40) -> None:
        self.world, self.side = world, side
        self.deadline = side.get_time() + HOUR
        self.order = RollupOrder(side.roots, world.own_rollup_id, ETHER, amount, world.get_key("alice"), ETHER, pays)
        call = encode_open(self.order, self.deadline)
        settler = raw(side.settler.address)
        self.simulated = side.ask(settler, RESOLVE + call[4:])
        receipt = side.send(settler, call, value=amount).receipt
        (log,) = [each for each in receipt["logs"] if each["topics"][0] == f"0x{OPEN_TOPIC.hex()}"]
        (self.resolved,) = decode([RESOLVED], raw(log["data"]))
        self.id = raw(log["topics"][1])
        self.fill_id = keccak256(self.resolved[7][0][2])
        self.held = HeldOrder(side.funder, ETHER, amount, side.roots, self.fill_id, self.deadline)

    def fill(self, name: str = "bob", claimant: bytes = CLAIMANT, **other: Any) -> str:
        """Sign `Fill` as a filler does, from what `resolve` gives alone, but for what is given."""
        types = ["bytes32", "address", "uint64", "bytes32", "address", "uint256", "uint64"]
        names = ["order_id", "settler", "chain_id", "to_key", "token", "amount", "fill_deadline"]
        words = [raw(each) if isinstance(each, str) else each for each in decode(types, self.resolved[7][0][2])]
        filled: dict[str, Any] = {**dict(zip(names, words, strict=True)), **other}
        return self.world.act(Fill(filler_key=self.world.get_key(name), claimant=claimant, **filled), name)

    def claim(self, root: bytes, claimant: bytes = CLAIMANT) -> bytes:
        """The call by the fill's leaf at the newest block."""
        shown = self.world.prove("orders.fills", self.fill_id)
        return encode_fill_claim(self.id, self.held, claimant, shown.stored.time, root, pack(shown))


def judge(side: Side, call: bytes) -> str:
    """What the settler would say: the error's name; empty if it would do it."""
    return judge_at(side.settler, call)


def judge_at(contract: Contract, call: bytes) -> str:
    answer = contract._call({"to": contract.address, "data": f"0x{call.hex()}"}, {})
    return answer.name if isinstance(answer, Reverted) else ""


def test_resolve_by_a_generic_reader(world: OrderWorld) -> None:
    """The published ABI alone says who gives what to whom, where; the event and `resolve` say the same."""
    side = world.sides[0]
    locked = Locked(world, side)
    user, chain_id, open_deadline, fill_deadline, order_id, spent, received, (instruction,) = locked.resolved
    assert (raw(user), chain_id, fill_deadline) == (side.funder, side.chain_id, locked.deadline)
    assert open_deadline == 2**32 - 1, "it is open already"
    assert order_id == locked.id
    rollup = int.from_bytes(world.own_rollup_id, "big")
    assert [(bytes(32), 40, world.get_key("alice"), rollup)] == list(spent)
    assert [(bytes(32), 50, bytes(32), side.chain_id)] == list(received), "the filler is not known yet"
    assert (rollup, bytes(12) + raw(world.inbox.address)) == instruction[:2]
    count = int(side.settler.call("openCount", f"0x{side.funder.hex()}")[0])  # type: ignore[arg-type]
    settler = raw(side.settler.address)
    assert locked.id == compute_foreign_order_id(side.chain_id, settler, side.funder, count - 1, by_user=True)
    expected = compute_fill_id(
        locked.id, settler, side.chain_id, world.get_key("alice"), ETHER, 40, locked.deadline
    )  # fmt: skip
    assert locked.fill_id == expected
    # Nobody is the caller of a bare question, so user and id are his; all else is the same.
    (simulated,) = decode([RESOLVED], locked.simulated)
    assert (locked.resolved[1:4], locked.resolved[5:7]) == (simulated[1:4], simulated[5:7])


@pytest.mark.parametrize("place", [0, 1])
def test_into_the_keystore(world: OrderWorld, place: int) -> None:
    """Opened on an L2, filled by a signature, settled, mirrored, claimed; what is wrong is refused on the way."""
    side = world.sides[place]
    locked = Locked(world, side)
    before = world.prove("vault.balances", world.get_key("alice")).stored
    assert "executed" == locked.fill(amount=1), "a wrong fill is somebody's gift, and occupies nothing"
    assert "executed" == locked.fill()
    assert "order was filled already" == locked.fill(claimant=STRANGER)
    root = world.settle()
    assert before + 41 == world.prove("vault.balances", world.get_key("alice")).stored
    assert "UnknownRoot" == judge(side, locked.claim(root)), "before the chain was shown the root"
    proof = side.mirror()
    assert "WrongProof" == judge(side, locked.claim(root, STRANGER)), "claimed by another"
    absent = world.prove("orders.fills", b"\xab" * 32)
    assert "TooEarly" == judge(side, encode_refund(locked.id, locked.held, proof, pack(absent)))
    paid = side.get_balance(CLAIMANT)
    side.send(raw(side.settler.address), locked.claim(root))
    assert paid + 50 == side.get_balance(CLAIMANT)
    assert "NoOrder" == judge(side, locked.claim(root))
    world.pass_time(HOUR + 1)
    world.settle_root(root)  # nothing has happened since
    proof = side.mirror()
    assert "NoOrder" == judge(side, encode_refund(locked.id, locked.held, proof, pack(absent)))


def test_into_the_keystore_expired(world: OrderWorld) -> None:
    """Nobody fills: the user has it back once a root's block is later than the deadline, and not before; no fill
    can come any more. A wrong fill does not keep the money from him.
    """
    side = world.sides[0]
    locked = Locked(world, side, amount=70)
    assert "executed" == locked.fill(to_key=world.get_key("bob"))
    world.settle()
    proof = side.mirror()
    absent = pack(world.prove("orders.fills", locked.fill_id))
    assert "TooEarly" == judge(side, encode_refund(locked.id, locked.held, proof, absent))
    world.pass_time(HOUR + 12)
    proof = side.see_l1()
    assert "TooEarly" == judge(side, encode_refund(locked.id, locked.held, proof, absent)), "time alone shows nothing"
    assert "the order's deadline has passed" == locked.fill()
    world.settle()
    proof, absent = side.see_l1(), pack(world.prove("orders.fills", locked.fill_id))
    present = compute_fill_id(
        locked.id, raw(side.settler.address), side.chain_id, world.get_key("bob"), ETHER, 40, locked.deadline
    )  # fmt: skip
    wrong = pack(world.prove("orders.fills", present))
    assert "WrongProof" == judge(side, encode_refund(locked.id, locked.held, proof, wrong))
    before = side.get_balance(side.funder)
    side.send(raw(side.settler.address), encode_refund(locked.id, locked.held, proof, absent), sender=side.bundler)
    assert before + 70 == side.get_balance(side.funder)
    assert "NoOrder" == judge(side, encode_refund(locked.id, locked.held, proof, absent))


def test_a_fill_that_is_filled_is_not_paid_back(world: OrderWorld) -> None:
    """A fill in the last second counts, whenever its root comes: its absence can never be shown."""
    side = world.sides[1]
    locked = Locked(world, side)
    world.chain.seconds = float(locked.deadline)
    assert "executed" == locked.fill()
    root = world.settle()
    world.pass_time(2 * HOUR)
    world.settle_root(root)
    proof = side.mirror()
    shown = world.prove("orders.fills", locked.fill_id)
    assert shown.exists
    assert "WrongProof" == judge(side, encode_refund(locked.id, locked.held, proof, pack(shown)))
    side.send(raw(side.settler.address), locked.claim(root))


def test_attack_a_rollup_that_is_gone_keeps_an_order(world: OrderWorld) -> None:
    """No block later than the deadline ever settles: thirty days after it what L1 holds decides, fill or no fill."""
    side = world.sides[0]
    filled = Locked(world, side, amount=30)
    assert "executed" == filled.fill()
    root = world.settle()
    locked = Locked(world, side, amount=70)
    absent = pack(world.prove("orders.fills", locked.fill_id))
    world.pass_time(locked.deadline + MAX_ORDER_TIME - world.anvil.get_head()[1])
    assert "TooEarly" == judge(side, encode_refund(locked.id, locked.held, side.see_l1(), absent))
    world.pass_time(1)
    proof = side.mirror()
    refund = encode_refund(filled.id, filled.held, proof, pack(world.prove("orders.fills", filled.fill_id)))
    assert "WrongProof" == judge(side, refund)
    before = side.get_balance(side.funder)
    side.send(raw(side.settler.address), encode_refund(locked.id, locked.held, proof, absent), sender=side.bundler)
    assert before + 70 == side.get_balance(side.funder)
    side.send(raw(side.settler.address), filled.claim(root))


def test_into_the_keystore_reorged_away(world: OrderWorld) -> None:
    """L1 loses the settlement, and the L2 with it what it was shown: nothing is paid until it is settled again."""
    side = world.sides[0]
    locked = Locked(world, side)
    assert "executed" == locked.fill()
    settled = world.header
    snapshots: list[tuple[Anvil, str]] = [(each, each.call("evm_snapshot")) for each in (world.anvil, side.anvil)]
    root = world.settle()
    side.mirror()
    assert "" == judge(side, locked.claim(root))
    for anvil, snapshot in snapshots:
        assert anvil.call("evm_revert", snapshot)
    world.header = settled
    assert "UnknownRoot" == judge(side, locked.claim(root))
    side.mirror()
    assert "UnknownRoot" == judge(side, locked.claim(root)), "L1 does not hold it any more"
    assert root == world.settle_root(root)
    side.mirror()
    side.send(raw(side.settler.address), locked.claim(root))


def test_by_signature(world: OrderWorld) -> None:
    """The digest in Python is the settler's; ether needs the user himself."""
    side = world.sides[0]
    settler, order = raw(side.settler.address), Locked(world, side).order
    deadlines = side.get_time() + 60, side.get_time() + HOUR
    digest = compute_order_digest(order, settler, side.funder, 5, side.chain_id, deadlines)
    call = encode_open_for(order, settler, side.funder, 5, side.chain_id, deadlines, b"\1" * 65)
    hashed = keccak256(b"hashOrder((address,address,uint256,uint256,uint32,uint32,bytes32,bytes))")[:4]
    words = call[4:]
    offset = int.from_bytes(words[:32], "big")
    assert digest == side.ask(settler, hashed + (32).to_bytes(32, "big") + words[offset:])
    assert "BadOrder" == judge(side, call)


# Out of the keystore


class Opened:
    """An order out of alice's account for a payment on an L2."""

    def __init__(self, world: OrderWorld, side: Side, amount: int = 60) -> None:
        self.world, self.side = world, side
        self.outputs = [OrderOutput(ETHER, 55, RECIPIENT, side.chain_id)]
        deadline = world.anvil.get_head()[1] + HOUR
        key = world.get_key("alice")
        self.id = compute_order_id(world.own_rollup_id, key, world.chain.ledger.state.app.order_counts.get(key, 0))
        self.order = KeystoreOrder(key, ETHER, amount, side.chain_id, compute_output_hash(self.outputs), deadline)
        action = OpenOrder(key, ETHER, amount, side.chain_id, self.order.output_hash, deadline)
        assert "executed" == world.act(action, "alice")

    @property
    def status(self) -> int:
        return int(self.world.chain.ledger.state.app.orders.orders[self.id].status)

    def fill(self) -> None:
        """A filler pays on the L2."""
        call = encode_fill(self.id, self.order, self.outputs, CLAIMANT)
        self.side.send(raw(self.side.settler.address), call, value=55, sender=self.side.bundler)

    def close(self) -> dict[str, Any]:
        """The L2 tells L1; the receipt of it."""
        call = encode_close(self.id, self.order, self.world.verdicts)
        return self.side.send(raw(self.side.settler.address), call).receipt

    def end(self, root: bytes) -> bytes:
        """The call to the vault."""
        return encode_end_order(self.id, self.order, root, pack(self.world.prove("orders.orders", self.id)))


@pytest.mark.parametrize("place", [0, 1])
def test_out_of_the_keystore(world: OrderWorld, place: int) -> None:
    """Opened by a signature, filled on the L2, told to L1, ended by the vault, withdrawn by the filler on L1."""
    side = world.sides[place]
    opened = Opened(world, side)
    root = world.settle()
    before = side.get_balance(RECIPIENT)
    opened.fill()
    assert before + 55 == side.get_balance(RECIPIENT)
    assert "AlreadyFilled" == judge(side, encode_fill(opened.id, opened.order, opened.outputs, STRANGER))
    assert "NoVerdict" == judge_at(world.vault, opened.end(root))
    receipt = opened.close()
    assert hash_open_order(opened.order) in read_exit(receipt).data
    assert "AlreadyClosed" == judge(side, encode_close(opened.id, opened.order, world.verdicts))
    other = world.sides[1 - place]
    with pytest.raises(Exception, match="reverted"):
        other.exit(receipt)  # another chain's messenger says the same: nobody believes it
    side.exit(receipt)
    end = opened.end(root)
    world.to_vault(end)
    world.take_queue()
    new_root = world.settle()
    assert FILLED == opened.status
    claim = encode_claim(new_root, opened.id, ETHER, CLAIMANT, 60, pack(world.prove("vault.withdrawals", opened.id)))
    before = world.l1.get_balance(CLAIMANT)
    world.to_vault(claim)
    assert before + 60 == world.l1.get_balance(CLAIMANT)
    # The same word once more ends nothing.
    world.to_vault(end)
    world.take_queue()
    world.settle()
    assert FILLED == opened.status


def test_out_of_the_keystore_expired(world: OrderWorld) -> None:
    """Nobody fills: after the deadline the L2 says so, the money is back, and no fill can come."""
    side = world.sides[0]
    key = world.get_key("alice")
    before = world.prove("vault.balances", key).stored
    opened = Opened(world, side)
    root = world.settle()
    assert before - 60 == world.prove("vault.balances", key).stored
    assert "StillOpen" == judge(side, encode_close(opened.id, opened.order, world.verdicts))
    world.pass_time(HOUR + 12)
    assert "BadDeadline" == judge(side, encode_fill(opened.id, opened.order, opened.outputs, CLAIMANT))
    side.exit(opened.close())
    world.to_vault(opened.end(root))
    world.take_queue()
    world.settle()
    assert (UNFILLED, before) == (opened.status, world.prove("vault.balances", key).stored)


def test_out_of_the_keystore_occupied(world: OrderWorld) -> None:
    """A fill of somebody's invention under the order's id ends nothing, and the right one still counts."""
    side = world.sides[1]
    opened = Opened(world, side)
    root = world.settle()
    little = [OrderOutput(ETHER, 0, RECIPIENT, side.chain_id)]
    words = opened.order
    invented = KeystoreOrder(
        words.key, words.token, words.amount, words.chain_id, compute_output_hash(little), words.fill_deadline
    )
    side.send(raw(side.settler.address), encode_fill(opened.id, invented, little, STRANGER))
    side.exit(side.send(raw(side.settler.address), encode_close(opened.id, invented, world.verdicts)).receipt)
    proof = pack(world.prove("orders.orders", opened.id))
    assert "WrongProof" == judge_at(world.vault, encode_end_order(opened.id, invented, root, proof))
    assert "NoVerdict" == judge_at(world.vault, opened.end(root))
    opened.fill()
    side.exit(opened.close())
    world.to_vault(opened.end(root))
    world.take_queue()
    world.settle()
    assert FILLED == opened.status


def test_out_of_the_keystore_reorged_away(world: OrderWorld) -> None:
    """L1 loses the vault's word in its queue, and the rollup never heard it: it is said again, and ends the order."""
    side = world.sides[0]
    opened = Opened(world, side)
    root = world.settle()
    opened.fill()
    side.exit(opened.close())
    snapshot = world.anvil.call("evm_snapshot")
    end = opened.end(root)
    world.to_vault(end)
    assert world.anvil.call("evm_revert", snapshot)
    world.take_queue()
    world.settle()
    assert OPEN == opened.status
    world.to_vault(end)
    world.take_queue()
    world.settle()
    assert FILLED == opened.status


def test_calls() -> None:
    """Each call's bytes are what the contracts' own interfaces say, and tree keys are of silos 8 and 9."""
    assert compute_tree_key(8, CLAIMANT) == compute_order_tree_key(CLAIMANT)
    assert compute_tree_key(9, CLAIMANT) == compute_fill_tree_key(CLAIMANT)
    vault = Contract(Anvil.__new__(Anvil), load_artifact("KeystoreVault", PACKAGE), "0x")
    order = KeystoreOrder(b"\1" * 32, ETHER, 5, 10, b"\2" * 32, 9)
    words = (order.key, ETHER, 5, 10, order.output_hash, 9)
    opening = EscapeOpening(b"data", b"vk", False, bytes(32), b"proof")
    opened = (b"data", b"vk", False, bytes(32), b"proof")
    call = encode_escape_order(b"\3" * 32, order, b"p", CLAIMANT, opening, b"\0")
    assert vault.encode("escapeOrder", b"\3" * 32, words, b"p", CLAIMANT, opened, b"\0") == f"0x{call.hex()}"
    call = encode_end_order(b"\3" * 32, order, b"\4" * 32, b"p")
    assert vault.encode("endOrder", b"\3" * 32, words, b"\4" * 32, b"p") == f"0x{call.hex()}"
