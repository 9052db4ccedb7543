"""The acts of the story, in their order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.errors import ProofError
from microrollup.settlement.errors import SettlementError
from microrollup.testing.anvil import DEV_KEYS, Anvil, pass_blocks
from microrollup.testing.passkey import Passkey
from microrollup.verifier.events import Report

from ..smart_account import CACHED, Opening, remember
from .bridges import Bridges, broadcast, deploy_bridges
from .bundling import Bundler
from .chain import Chain
from .holder import Device, Identity, make_ecdsa_device, make_passkey_device
from .layer2 import Layer2
from .measure import measure_validation
from .operator import ActionToSign, KeystoreOperator
from .stand_ins import install_l1_block, read_ticket
from .telling import KeystoreChange, Telling

__all__ = ["GRACE_SECONDS", "Story"]

GRACE_SECONDS: Final = 15 * 60
"""How long an account believes the root before, once a newer one is pushed (`AccountRoots.GRACE_SECONDS`)."""

_REFUSED: Final = "AA24 signature error"
_OUTDATED: Final = "AA22 expired or not due"
_TAKEN: Final = "taken"
_ABSENT: Final = "no proof can be made"


def _make_device(name: str) -> Device:
    return make_ecdsa_device(name, load_private_key(keccak256(b"the story's " + name.encode())))


class Story:
    """Three chains, the keystore, and those who live by it."""

    def __init__(
        self,
        directory: Path,
        chains: tuple[Anvil, Anvil, Anvil],
        telling: Telling,
        code: bytes,
        start_bundler: Callable[[Layer2], Bundler | None],
    ) -> None:
        self.telling = telling
        self._start_bundler = start_bundler
        self.l1 = Chain("L1", chains[0])
        self.operator = KeystoreOperator(directory, chains[0])
        self._anvils = chains[1:]
        self._entry_point = code
        self.owner = load_private_key(bytes.fromhex(DEV_KEYS[0]))
        self.validation_gas: dict[str, int] = {}
        self.signature_bytes: dict[str, int] = {}
        self.depth = 0
        # Alice's wallet may change the account, her phones act with it; Bob's passkey does both; Carol never registers.
        self.wallet = load_private_key(bytes.fromhex(DEV_KEYS[2]))
        self.phone, self.new_phone, self.last_phone = [_make_device(f"phone {number}") for number in (1, 2, 3)]
        self.alice = Identity.of("Alice", self.phone, compute_address(self.wallet), keccak256(b"Alice"))
        self.passkey = Passkey(keccak256(b"Bob's passkey"))
        self.bobs_device = make_passkey_device("passkey", self.passkey)
        self.bob = Identity.of("Bob", self.bobs_device, self.passkey.sender, keccak256(b"Bob"))
        self.carols_device = _make_device("Carol's phone")
        carols_vk = compute_address(load_private_key(keccak256(b"Carol's wallet")))
        self.carol = Identity.of("Carol", self.carols_device, carols_vk, keccak256(b"Carol"))
        self.bridges: Bridges
        self.first: Layer2
        self.second: Layer2

    def deploy(self) -> None:
        """The inbox on L1, with everything that brings its roots to L2s; on both L2s the same at the same addresses."""
        tell = self.telling
        tell.begin("Deploy", "The keystore's inbox on L1 (2 of 3 verifiers), and its contracts on two L2s.")
        with tell.timed("deploy the inbox", "set-up", "L1") as figures:
            figures.gas = self.operator.stage.deploy(self.owner).gas_used
        inbox = bytes.fromhex(self.operator.stage.place.inbox[2:])
        with tell.timed("deploy broadcaster and adapters", "set-up", "L1") as figures:
            self.bridges = deploy_bridges(self.l1, inbox)
            figures.gas = self.bridges.gas
        layers = []
        for name, anvil in zip(("L2 A", "L2 B"), self._anvils, strict=True):
            install_l1_block(anvil)
            with tell.timed(f"deploy EntryPoint, validators, roots, factory on {name}", "set-up", name) as figures:
                layers.append(Layer2(name, anvil, self.bridges, self._entry_point))
                figures.gas = layers[-1].gas
        bundler = layers[0].bundler_node = self._start_bundler(layers[0])
        if bundler is not None:
            with tell.timed("deploy the sponsor on L2 A, deposit for it", "set-up", "L2 A") as figures:
                figures.gas = bundler.sponsor_gas
        self.first, self.second = layers
        addresses = [{layer.roots, layer.factory, layer.account_of(self.alice)} for layer in layers]
        tell.expect("the same addresses on both L2s", "", "yes", "yes" if addresses[0] == addresses[1] else "no")

    # Changes of the keystore.

    def register(self) -> None:
        """Alice and Bob register, each with one signature."""
        self.telling.begin("Register", "Alice (a wallet and a phone) and Bob (a passkey) sign a Register each.")
        with self.telling.timed("authenticate, execute, log", "authentication", "", "registration") as figures:
            actions: list[ActionToSign] = [
                (self.alice.register(self.phone), 0, self.wallet),
                (self.bob.register(self.bobs_device), 0, self.passkey),
            ]
            _, figures.bytes = self.operator.submit(actions)
        self.settle("registration")

    def rotate(self) -> None:
        """Alice rotates her key, once."""
        self.telling.begin("Rotate", "Alice's wallet signs one Update: from phone 1 to phone 2, on all chains.")
        with self.telling.timed("authenticate, execute, log", "authentication", "", "rotation") as figures:
            _, figures.bytes = self.operator.submit([(self.alice.update(self.new_phone), 1, self.wallet)])
        self.settle("rotation")

    def settle(self, change: KeystoreChange) -> None:
        """Two verifiers execute again and attest; the batch goes to L1."""
        with self.telling.timed("two verifiers execute again, attest", "settlement", "", change):
            reports = self.operator.verify()
        by_force = change == "forced rotation"
        if not by_force:
            found = self._try_to_settle(reports)
            self.telling.expect("Alice settles in the builder's place", "L1", "NotBuilder", found)
        with self.telling.timed("settle in blobs", "settlement", "L1", change) as figures:
            settled = self.operator.settle(reports, self.wallet if by_force else None)
            figures.gas, figures.blob_gas, figures.bytes = settled.gas, settled.blob_gas, settled.bytes
        self.telling.expect("settled", "L1", reports[0].state_root, hex0x(self.operator.stage.read_inbox_root()))
        if by_force:
            self.telling.expect("settled by Alice", "L1", hex0x(compute_address(self.wallet)), hex0x(settled.submitter))

    def _try_to_settle(self, reports: list[Report]) -> str:
        """The name of the rule by which the inbox refuses a batch of Alice's."""
        try:
            self.operator.settle(reports, self.wallet)
        except SettlementError as refusal:
            return type(refusal).__name__
        return "settled"

    def mirror(self, change: KeystoreChange, *pushed: tuple[Layer2, Identity]) -> None:
        """L1's root comes to both L2s, each in another way, and to the accounts that are there."""
        tell, root = self.telling, hex0x(self.operator.stage.read_inbox_root())
        with tell.timed("A: anybody proves L1's storage (L1Block)", "L2 ingestion", "L2 A", change) as figures:
            recorded, proven = self.first.mirror_by_proof(self.l1, self.bridges.inbox)
            figures.gas, figures.bytes = recorded.gas + proven.gas, recorded.bytes + proven.bytes
        with tell.timed("B: anybody broadcasts on L1", "L2 ingestion", "L1", change) as figures:
            sent = broadcast(self.l1, self.bridges, self.second.roots)
            figures.gas, figures.bytes = sent.gas, sent.bytes
        with tell.timed("B: the ticket is executed", "L2 ingestion", "L2 B", change) as figures:
            ticket = read_ticket(sent.receipt)
            executed = self.second.execute_ticket(ticket, self.l1.get_time())
            figures.gas, figures.bytes = executed.gas, executed.bytes
        for layer in (self.first, self.second):
            tell.expect("the root of L1", layer.name, root, hex0x(layer.read_root()))
            expected = layer.get_time() - self._read_settled_time()
            tell.expect("seconds since L1 took it", layer.name, str(expected), str(layer.read_age()))
        for layer, identity in pushed:
            account = layer.account_of(identity)
            step = f"{layer.name[3:]}: pushRoot, {identity.name}"
            with tell.timed(step, "L2 ingestion", layer.name, change) as figures:
                renewed = layer.push_root(account)
                figures.gas, figures.bytes = renewed.gas, renewed.bytes
            tell.expect(
                f"{identity.name}'s copy of the root", layer.name, root, hex0x(layer.read_account_root(account))
            )

    def _read_settled_time(self) -> int:
        """L1's time when it took the newest root, in seconds: the top 40 bits of the inbox's slot 1."""
        word = self.l1.anvil.call("eth_getStorageAt", hex0x(self.bridges.inbox), "0x1", "latest")
        return int(word, 16) >> 216

    # Operations.

    def open(self, identity: Identity, device: Device) -> Opening:
        """What the keystore's newest block shows of an account."""
        shown = self.operator.prove(identity.key)
        self.depth = len(shown.proof.siblings)
        return identity.open(device, shown)

    def act(self, layer: Layer2, identity: Identity, device: Device, opening: Opening, how: str) -> None:
        """One operation through the entry point, which must be done."""
        made = layer.has_code(layer.account_of(identity))
        if not made:
            layer.give_ether(layer.account_of(identity))
        bundled = layer.bundler_node is not None
        make = layer.make_sponsored if bundled else layer.make_operation
        operation = make(identity, device, opening, self.depth)
        step = f"{identity.name}, {device.name}: {how}"
        received, balance = layer.get_received(), layer.get_balance(operation.sender)
        kind = f"{how}, {device.kind}"
        self.signature_bytes[kind] = len(operation.signature) - len(device.sign(bytes(32)))
        if made:
            self.validation_gas[kind] = measure_validation(layer, operation)
        with self.telling.timed(step, "use", layer.name) as figures:
            done = layer.handle(operation)
            figures.gas, figures.bytes = done.gas, done.bytes
        self.telling.expect(step, layer.name, "done", "done" if layer.get_received() == received + 1 else "not done")
        if bundled:
            spent = balance - layer.get_balance(operation.sender)
            self.telling.expect(f"{step}: wei that the account spent", layer.name, "1", str(spent))

    def try_operation(self, layer: Layer2, device: Device, opening: Opening, how: str, expected: str) -> None:
        """An operation of Alice's that is only simulated: what a bundler would be told."""
        account = layer.account_of(self.alice)
        if not layer.has_code(account) and layer.get_balance(account) == 0:
            layer.give_ether(account)
        operation = layer.make_operation(self.alice, device, opening, self.depth)
        self.telling.expect(f"{device.name}, {how}", layer.name, expected, layer.refuse(operation) or _TAKEN)

    def transact(self) -> Opening:
        """The account is made by its first operation; what comes later needs no proof. The opening of phone 1."""
        self.telling.begin("Transact", "Alice's and Bob's accounts on L2 A are made by their first operation.")
        opening = self.open(self.alice, self.phone)
        self.act(self.first, self.alice, self.phone, opening, "deploy with a proof")
        self.act(self.first, self.alice, self.phone, opening, "proof")
        self.act(self.first, self.alice, self.phone, remember(opening), "proof, remembered")
        self.act(self.first, self.alice, self.phone, CACHED, "from memory")
        bobs = self.open(self.bob, self.bobs_device)
        self.act(self.first, self.bob, self.bobs_device, bobs, "deploy with a proof")
        self.act(self.first, self.bob, self.bobs_device, bobs, "proof")
        return opening

    def use_rotated(self, old: Device, old_opening: Opening, new: Device) -> None:
        """After a rotation has reached both L2s: the old key is worth nothing there, the new one acts.

        Accounts believe the root before for 15 minutes more, so that what is on its way arrives: one that knew it, from
        the push on; one that is made now and whose `initCode` names it, from when the chain replaced it. Then it is
        over.
        """
        self.telling.begin("Old and new", f"{old.name} is refused on both L2s, {new.name} works on both.")
        opening = self.open(self.alice, new)
        self.telling.expect(f"a new proof for {old.name}", "", _ABSENT, self._try_open(old))
        borrowing = replace(old, configuration=new.configuration)
        for layer in (self.first, self.second):
            known = layer.has_code(layer.account_of(self.alice))
            self.try_operation(layer, borrowing, opening, f"under the configuration of {new.name}", _REFUSED)
            self.try_operation(layer, old, old_opening, "old proof, at once", _TAKEN)
            layer.reach_time(layer.get_time() + GRACE_SECONDS + 60)
            after = "old proof, after 15 minutes of grace"
            self.try_operation(layer, old, old_opening, after, _OUTDATED)
            self.act(layer, self.alice, new, opening, "proof" if known else "deploy with a proof")

    def replay(self, device: Device) -> None:
        """What is signed for one L2 is worth nothing on the other, with the same account, entry point and nonce."""
        opening = self.open(self.alice, device)
        here = self.second.make_operation(self.alice, device, opening, self.depth)
        self.telling.expect(f"{device.name}, signed for L2 B", "L2 B", _TAKEN, self.second.refuse(here) or _TAKEN)
        found = self.second.refuse(self.first.sign(here, device, opening)) or _TAKEN
        self.telling.expect(f"{device.name}, signed for L2 A", "L2 B", _REFUSED, found)

    def _try_open(self, device: Device) -> str:
        try:
            self.open(self.alice, device)
        except ProofError:
            return _ABSENT
        return "a proof was made"

    def appear_from_nothing(self) -> None:
        """Carol's account was never registered anywhere; that it was not, is its proof."""
        self.telling.begin("Never registered", "Carol acts on L2 B: the keystore proves that it does not know her key.")
        opening = self.open(self.carol, self.carols_device)
        self.act(self.second, self.carol, self.carols_device, opening, "deploy with an exclusion")
        self.act(self.second, self.carol, self.carols_device, opening, "exclusion")

    # When the operator is gone.

    def lose_operator(self) -> None:
        """The operator disappears; accounts go on, and everything can be rebuilt from L1."""
        self.telling.begin("No operator", "Its data and keys are deleted. Anybody rebuilds all from L1 and its blobs.")
        root = self.operator.stage.read_inbox_root()
        self.operator.disappear()
        with self.telling.timed("rebuild from L1", "use") as figures:
            report = self.operator.rebuild()
            figures.bytes = sum(row.bytes or 0 for row in self.telling.rows if row.blob_gas)
        self.telling.expect("rebuilt from L1", "", hex0x(root), report.state_root)
        self.mirror("", (self.second, self.alice))
        opening = self.open(self.alice, self.new_phone)
        self.act(self.second, self.alice, self.new_phone, opening, "proof")

    def rotate_by_force(self) -> Opening:
        """Alice's phone is stolen now. L1 takes her Update, and the next block must begin with it.

        A block needs a builder's seal, and the builder's key is lost: the inbox's owner names another one, which takes
        three days. By then the inbox takes batches from anybody; Alice herself pays for this one. Gives what opened the
        account for the stolen phone.
        """
        self.telling.begin("Rotate through L1", "Phone 2 is stolen and nobody operates: L1 takes Alice's Update.")
        old = self.open(self.alice, self.new_phone)
        change: KeystoreChange = "forced rotation"
        with self.telling.timed("force the Update", "authentication", "L1", change) as figures:
            forced, gas = self.operator.stage.force(self.wallet, self.alice.update(self.last_phone))
            figures.gas, figures.bytes = gas, len(forced.payload)
        with self.telling.timed("the owner names a builder, who restores a snapshot", "settlement", "", change):
            effective = self.operator.hand_over(self.owner)
        with self.telling.timed("three days pass on L1 (jumped)", "settlement", "", change):
            pass_blocks(self.l1.anvil, effective - self.l1.anvil.get_head()[0])
            self.operator.stage.pass_depth()
        with self.telling.timed("the next block begins with it", "settlement", "", change):
            header = self.operator.stage.take_forced()
        self.telling.expect("forced actions taken", "", "1", str(header.forced_count))
        self.settle(change)
        return old

    def tell(self) -> None:
        """All acts."""
        self.deploy()
        self.register()
        self.mirror("registration")
        opening = self.transact()
        self.rotate()
        self.mirror("rotation", (self.first, self.alice))
        self.use_rotated(self.phone, opening, self.new_phone)
        self.appear_from_nothing()
        self.lose_operator()
        opening = self.rotate_by_force()
        self.mirror("forced rotation", (self.first, self.alice), (self.second, self.alice))
        self.use_rotated(self.new_phone, opening, self.last_phone)
        self.replay(self.last_phone)
