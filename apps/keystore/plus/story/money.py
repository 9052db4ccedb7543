"""The first acts: accounts and a name, money that comes in and moves, fees that a sponsor pays."""

from __future__ import annotations

from typing import Final

from microrollup.client import read_events
from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256

from ...proofs import encode_proof
from ...vault_calls import ETHER, encode_checkpoint, encode_claim
from ..acting import FeePaid
from ..dkim_keys import AddDkimKey
from ..fees import SetPrice, Sponsor
from ..naming import CommitName, RegisterNamed, compute_commitment
from ..policies import SetRecovery
from ..spending import SetSpendingRule
from ..vault import Transfer, Withdraw, compute_withdrawal_id
from .cast import LABEL
from .hub import DAY, HOUR
from .stage import Stage

__all__ = ["DAILY_LIMIT", "FIRST_TRANSFER", "WITHDRAWN", "enter", "make_rules", "pay_fees", "pay_in", "take_out"]

_ETHER: Final = 10**18
FIRST_TRANSFER: Final = 3 * 10**17
WITHDRAWN: Final = 5 * 10**16
DAILY_LIMIT: Final = 10**17
_PRICE: Final = 10**12
_POCKET: Final = keccak256(b"Alice's address on L1")[12:]
_SECRET: Final = keccak256(b"Alice's secret until she has the name")


def enter(stage: Stage) -> None:
    """Accounts; one of them has a name, which is its key."""
    cast, hub, tell = stage.cast, stage.hub, stage.telling
    tell.begin(
        "Accounts", "Bob, Erin, a shop and the collector of fees register; Alice takes the name alice.story.eth."
    )
    for person in (cast.bob, cast.erin, cast.shop, cast.collector, cast.thief):
        hub.act(f"{person.identity.name} registers", person.identity.register(person.device), person.wallet)
    commitment = compute_commitment(LABEL, cast.alice.identity.vk, _SECRET)
    promised = hub.act("Alice commits to a name", CommitName(commitment), cast.alice.wallet)
    hub.client.wait(promised, "C1")
    hub.act("Alice registers it", RegisterNamed(LABEL, _SECRET, *cast.commitments), cast.alice.wallet)
    namehash = keccak256(cast.parent_node + keccak256(LABEL.encode()))
    tell.expect("her key is the name's ENS namehash", "", hex0x(namehash), hex0x(cast.alice.key))
    begins = stage.l1.get_time() + 7 * DAY + HOUR
    announce = AddDkimKey("mail.example", "s1", cast.provider.hash, begins, begins + 300 * DAY)
    hub.act("the collector announces a mail provider's key", announce, cast.collector.wallet)


def pay_in(stage: Stage) -> None:
    """Deposits through L1, and a transfer that L1 never sees."""
    cast, hub, tell = stage.cast, stage.hub, stage.telling
    tell.begin("Money", "Alice and the shop pay one ether each into the vault on L1; Alice pays Bob.")
    hub.deposit("Alice deposits an ether", cast.alice.key, _ETHER)
    hub.deposit("the shop deposits an ether", cast.shop.key, _ETHER)
    ack = hub.act("Alice pays Bob", Transfer(cast.alice.key, cast.bob.key, ETHER, FIRST_TRANSFER), cast.alice.wallet)
    tell.expect("Bob has", "", str(FIRST_TRANSFER), str(hub.get_balance(cast.bob.key)))
    withdrawal = Withdraw(cast.alice.key, ETHER, WITHDRAWN, _POCKET)
    ack = hub.act("Alice withdraws", withdrawal, cast.alice.wallet)
    hub.settle("settle all of it in calldata", ack)


def take_out(stage: Stage) -> None:
    """What is withdrawn is paid on L1 to whom it names, by anybody, against a proof."""
    hub, tell, l1, vault = stage.hub, stage.telling, stage.l1, stage.hub.custody.vault
    tell.begin("Withdrawal", "Anybody shows the vault the settled root and Alice's withdrawal under it.")
    with tell.timed("the vault records the root", "use", "L1") as figures:
        recorded = l1.send(vault, encode_checkpoint())
        figures.gas, figures.bytes = recorded.gas, recorded.bytes
    number = compute_withdrawal_id(stage.cast.alice.key, 0)
    shown = hub.prove("vault.withdrawals", number)
    proof = encode_proof(shown.exists, shown.proof)
    with tell.timed("the vault pays", "use", "L1") as figures:
        paid = l1.send(vault, encode_claim(hub.read_root(), number, ETHER, _POCKET, WITHDRAWN, proof))
        figures.gas, figures.bytes = paid.gas, paid.bytes
    tell.expect("Alice has on L1", "L1", str(WITHDRAWN), str(l1.get_balance(_POCKET)))


def pay_fees(stage: Stage) -> None:
    """A price, a day later; who cannot pay is refused; whom a sponsor pays for is not."""
    cast, hub, tell = stage.cast, stage.hub, stage.telling
    tell.begin("Fees", "The collector sets a price, which holds a day later. The shop pays for Alice.")
    hub.act("the collector sets a price", SetPrice(ETHER, _PRICE), cast.collector.wallet)
    hub.pass_time(DAY + HOUR)
    tries = Transfer(cast.erin.key, cast.bob.key, ETHER, 0)
    hub.refuse("Erin has nothing to pay with", "not_admitted: balance too low", tries, cast.erin.wallet)
    until = stage.l1.get_time() + 300 * DAY
    promise = Sponsor(cast.shop.key, cast.alice.key, 100 * _PRICE, ETHER, until)
    hub.act("the shop sponsors Alice", promise, cast.shop.wallet)
    before = hub.get_balance(cast.alice.key)
    ack = hub.act("Alice pays Bob again", Transfer(cast.alice.key, cast.bob.key, ETHER, 1), cast.alice.wallet)
    paid = read_events(ack, FeePaid)
    tell.expect("who paid the fee", "", f"{hex0x(cast.shop.key)}: {_PRICE}", f"{hex0x(paid[0].key)}: {paid[0].amount}")
    tell.expect("Alice has paid", "", "1", str(before - hub.get_balance(cast.alice.key)))


def make_rules(stage: Stage) -> None:
    """What will hold a thief up: a limit, at once; guardians, two days later."""
    cast, hub, alice = stage.cast, stage.hub, stage.cast.alice
    stage.telling.begin(
        "Rules", "Alice bounds what may leave in a day, and names three guardians: one is a mail address."
    )
    limit = SetSpendingRule(alice.key, ETHER, DAILY_LIMIT, DAY, bytes(32))
    hub.act("Alice sets a spending rule", limit, alice.wallet)
    policy = SetRecovery(alice.key, cast.guardians_hash, len(cast.guardians), 2, DAY, 1)
    hub.act("Alice names guardians, by a hash", policy, alice.wallet)
