"""Keystore+ under random actions, restarts and crashes: no money is made or lost, no rule or lock is passed."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.structs import replace

from apps.keystore.accounts import Account, Keystore, compute_account_key
from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY
from apps.keystore.axiom.transactions import UpdateTransaction, WithdrawTransaction
from apps.keystore.plus.clock import MAX_TIME
from apps.keystore.plus.config import Config, OrderSettler, PriceCap
from apps.keystore.plus.fees import SetAxiomFee, SetFeeToken, SetPrice, Sponsor
from apps.keystore.plus.guardians import MAIL, compute_guardians_hash
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import make_envelope, sign_mail, write_subject
from apps.keystore.plus.money import EVERY_TOKEN, get_balance
from apps.keystore.plus.orders import EndOrder, Fill, OpenOrder
from apps.keystore.plus.outbox import Intend
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import DkimKey, Guardian, Lock, Policy
from apps.keystore.plus.recovery import CancelRecovery, FinishRecovery, StartRecovery, SupportRecovery
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.rules import Limits, Rule
from apps.keystore.plus.spending import PermitSpending, SetSpendingRule
from apps.keystore.plus.state import Plus, Recovery, SpendingRules, Vault
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw
from apps.keystore.transitions import Register, Update
from axiom_world import Wallet, make_update, make_wallet, make_withdrawal, prove_user, send
from mail_keys import ED25519_KEY
from microrollup import Map, MicroRollup
from microrollup.declaration.action import Action
from microrollup.errors import RefusedError
from microrollup.testing.execution import Senders, at, envelope, force
from microrollup.testing.machine import RollupMachine
from microrollup.testing.strategies import app_actions
from plus_world import CODE, CODE_2, CONFIG, CONFIG_2, DAY, ETHER, SALT, TOKEN, count_money

VAULT, ALICE, BOB, CAROL, COLLECTOR = PEOPLE = Senders(5)
STRANGER = b"\x5a" * 20
"""Controls the rule; signs nothing, so nothing loosens it."""
OWNERS = (ALICE, BOB, CAROL, COLLECTOR, STRANGER)
A, B, C, K, S = KEYS = [compute_account_key(SALT, CODE + CONFIG, who) for who in OWNERS]
GUARDIANS = sorted([Guardian(0, bytes(12) + BOB), Guardian(0, bytes(12) + CAROL)], key=lambda each: each.id)
HASH = compute_guardians_hash(SALT, GUARDIANS)
ANN = "ann@mail.example"
MAILED = [Guardian(0, bytes(12) + BOB), Guardian(2, compute_mail_id(SALT, ANN))]
LIMIT = 50
TOKENS = (ETHER, TOKEN)
BRIDGE = b"\x5b" * 20

SEEN, UNSEEN, PAYER, OPEN_PAYER = (
    make_wallet(1, 2, 3),
    make_wallet(11, 1, 1),
    make_wallet(21, 1, 2),
    make_wallet(31, 0, 1),
)
"""Accounts of Axiom's kind: one that the state knows, one that it does not, and two sponsors."""
RINGS = {each.key_data: each for each in (SEEN, UNSEEN, PAYER, OPEN_PAYER, make_wallet(41, 1, 2))}
WEALTH = 10**7


def make_genesis() -> Plus:
    """Alice has a rule that only a stranger loosens, and guardians who lock; Bob has guardians whom he vetoes; one of
    Carol's guardians writes mails.
    """
    accounts = {key: Account(CODE + CONFIG, who) for key, who in zip(KEYS, OWNERS, strict=True)}
    accounts[SEEN.address] = Account(SEEN.key_data, M_OF_N_ECDSA_VKEY)
    rich = [wallet.address for wallet in (SEEN, UNSEEN, PAYER, OPEN_PAYER)]
    caps = (PriceCap(ETHER, 9), PriceCap(TOKEN, 9))
    policies = {A: Policy(HASH, 2, 2, DAY, 1, 1), B: Policy(HASH, 2, 1, DAY, 0, 1)}
    policies[C] = Policy(compute_guardians_hash(SALT, MAILED), 2, 2, DAY, 1, 1)
    keys = {ED25519_KEY.hash: DkimKey("mail.example", "s1", 0, MAX_TIME)}
    funded = (A, B, C)
    vault = Vault(
        balances=Map(dict.fromkeys(funded, 1_000) | dict.fromkeys(rich, WEALTH)),
        tokens=Map({(TOKEN, key): 1_000 for key in funded}),
        credited=Map({ETHER: 3_000 + len(rich) * WEALTH, TOKEN: 3_000}),
    )
    return Plus(
        vault=vault,
        keystore=Keystore(Map(accounts)),
        recovery=Recovery(policies=Map(policies), dkim_keys=Map(keys)),
        spending=SpendingRules(rules=Map({A: (Rule(EVERY_TOKEN, (Limits(LIMIT, DAY, S, 0, 0),)),)})),
        config=Config(vault=VAULT, bridge=BRIDGE, settlers=(OrderSettler(10, BRIDGE),), collector=K, price_caps=caps),
    )


AMOUNTS = st.sampled_from([1, 2, 7, 30, 50, 51, 1_000, 2**256 - 1])
PERIODS = st.sampled_from([3_600, DAY, 9 * DAY])
SECONDS = st.sampled_from([1, 3_600, DAY // 2, DAY, 2 * DAY, 8 * DAY])


def draw_action(state: Plus, key: bytes, now: int) -> st.SearchStrategy[Action]:
    """What somebody might want of an account."""
    other, token = st.sampled_from(KEYS), st.sampled_from(TOKENS)
    vk, until = st.sampled_from(PEOPLE), st.integers(now, now + 2 * DAY)
    proposals = st.sampled_from([*state.recovery.proposals.keys(), SALT])
    place, own = st.sampled_from([0, 1, 255]), st.just(key)
    data = (st.sampled_from([CODE, CODE_2]), st.just(CONFIG_2))
    return st.one_of(
        st.builds(Transfer, own, other, token, AMOUNTS),
        st.builds(Withdraw, own, token, AMOUNTS, vk),
        st.builds(Update, own, *data, vk),
        st.builds(SetCareful, own, st.booleans()),
        st.builds(AcceptUpdate, own),
        st.builds(Register, *data, st.just(SALT)),
        st.builds(SetPrice, token, st.integers(0, 10)),
        st.builds(SetAxiomFee, st.integers(0, 10), st.integers(0, 10)),
        st.builds(SetFeeToken, own, token),
        st.builds(Sponsor, own, other, AMOUNTS, token, until),
        st.builds(SetSpendingRule, own, token, AMOUNTS, PERIODS, st.just(bytes(32)) | other),
        st.builds(PermitSpending, other, token, AMOUNTS, until),
        st.builds(SetRecovery, own, st.just(HASH), st.just(2), st.integers(1, 2), st.just(DAY), st.integers(0, 1)),
        st.builds(StartRecovery, own, *data, vk, st.just(SALT), st.just(GUARDIANS)),
        st.builds(SupportRecovery, proposals, place),
        st.builds(SupportRecovery, proposals, place),
        st.builds(CancelRecovery, proposals, place),
        st.builds(FinishRecovery, proposals),
        st.builds(Intend, own, st.integers(0, 3), st.just(10), vk, st.just(CODE), until),
        st.builds(OpenOrder, own, token, AMOUNTS, st.just(10), st.just(CODE), until),
        st.builds(Fill, st.just(CODE), st.just(BRIDGE), st.just(10), own, other, token, AMOUNTS, vk, st.just(now + 1)),
        st.builds(
            EndOrder, st.sampled_from([*state.orders.orders.keys(), SALT]), st.booleans(), vk | st.just(bytes(20))
        ),
        st.builds(Deposit, st.integers(0, 9), token, own, AMOUNTS),
    )


def find_wallet(state: Plus, first: Wallet) -> Wallet:
    """An account of Axiom's kind as it is now."""
    account = state.keystore.accounts.get(first.address)
    return first if account is None else first.rotate(RINGS[account.data])


def draw_transaction(draw: Any, state: Plus) -> tuple[UpdateTransaction | WithdrawTransaction, bytes | None]:
    """A proven transaction, and who forces it, if anybody. The nonce may be stale or early, the origin a lie."""
    user = find_wallet(state, draw(st.sampled_from([SEEN, UNSEEN])))
    nonce = state.vault.axiom_nonces.get(user.address, 0) + draw(st.sampled_from([0, 0, 0, 0, 1]))
    nonce = max(0, nonce - draw(st.sampled_from([0, 0, 0, 1])))
    fee, payer = draw(st.sampled_from([0, 3, 10])), draw(st.sampled_from([None, PAYER, OPEN_PAYER]))
    transaction: UpdateTransaction | WithdrawTransaction
    if draw(st.booleans()):
        after = draw(st.sampled_from([ring for ring in RINGS.values() if ring.keys]))
        transaction = make_update(user, after, nonce, fee, payer)
    else:
        transaction = make_withdrawal(user, draw(st.sampled_from([0, 1, 1_000, WEALTH, 2**256 - 1])), nonce, fee)
    carrier = draw(st.sampled_from([None, None, None, STRANGER, BRIDGE]))
    if draw(st.integers(0, 3)) == 0 and not (isinstance(transaction, UpdateTransaction) and transaction.sponsor):
        transaction = prove_user(replace(transaction, l1_nonce=7), user)
    return transaction, carrier


class Seen(NamedTuple):
    """What a state held: maps of earlier blocks cannot be read again."""

    locks: dict[bytes, Lock]
    accounts: dict[bytes, Account]
    balances: dict[tuple[bytes, bytes], int]
    nonces: dict[bytes, int]


def see(state: Plus) -> Seen:
    """What the next state is compared with."""
    keys = (*KEYS, SEEN.address, UNSEEN.address)
    balances = {(key, token): get_balance(state, key, token) for key in keys for token in TOKENS}
    nonces = {key: state.vault.axiom_nonces.get(key, 0) for key in keys}
    return Seen(dict(state.recovery.locks.items()), dict(state.keystore.accounts.items()), balances, nonces)


class PlusMachine(RollupMachine):
    app: ClassVar[MicroRollup] = MicroRollup(
        name="keystore-plus", version="1", genesis=make_genesis(), stfs=list(make_app(Config()).stf_by_action.values()),
        envelopes=[each.cls for each in make_app(Config()).envelopes.values()],
    )  # fmt: skip
    senders: ClassVar[Senders] = PEOPLE

    def __init__(self) -> None:
        self.before: Seen | None = None
        self.outflows: list[tuple[int, bytes, int]] = []
        self.deposits = 10
        super().__init__()

    def _draw(self, data: st.DataObject) -> tuple[bytes, Action]:
        """Mostly what makes sense by who may do it; sometimes anything by anybody."""
        state = self.rollup.ledger.state.app
        if data.draw(st.integers(0, 9), "kind") == 0:
            sender = data.draw(st.sampled_from(list(PEOPLE)), "sender")
            return sender, data.draw(app_actions(self.app, self._known), "action")
        key = data.draw(st.sampled_from(KEYS[:4]), "account")
        action = data.draw(draw_action(state, key, int(self.rollup.seconds)), "action")
        owner = state.keystore.accounts[key].vk
        sender = data.draw(
            st.sampled_from([owner, owner, *PEOPLE]) if owner in PEOPLE.keys else st.sampled_from(PEOPLE)
        )
        note(f"0x{sender.hex()}: {action}")
        return sender, action

    @rule(data=st.data())
    def sign_more(self, data: st.DataObject) -> None:
        """Signed actions are what there is most of."""
        self.sign(data)

    @rule(pair=st.permutations([A, B, C]), token=st.sampled_from(TOKENS), amount=st.integers(1, 60), out=st.booleans())
    def pay(self, pair: list[bytes], token: bytes, amount: int, out: bool) -> None:
        """An owner pays or withdraws a little."""
        owner = self.rollup.ledger.state.app.keystore.accounts[pair[0]].vk
        if owner in PEOPLE.keys:
            action = Withdraw(pair[0], token, amount, VAULT) if out else Transfer(pair[0], pair[1], token, amount)
            self._submit(owner, action)

    @rule(data=st.data())
    def transact(self, data: st.DataObject) -> None:
        """A transaction in Axiom's bytes is sent, or forced; one that was executed is sent again."""
        transaction, carrier = draw_transaction(data.draw, self.rollup.ledger.state.app)
        note(f"{'forced' if carrier else 'sent'}: {transaction}")
        for _ in range(2):
            outcome: Any = self.rollup.apply(send(transaction, carrier))
            if outcome is not None and not isinstance(outcome, RefusedError):
                self._receipts[outcome.receipt.seq] = outcome.receipt
        self.close_block()

    @rule()
    def finish(self) -> None:
        """Who waits for an account takes it."""
        proposals = self.rollup.ledger.state.app.recovery.proposals.items()
        running = [(name, value.vk) for name, value in proposals if value.reached > 0]
        if running and running[0][1] in PEOPLE.keys:
            self.wait(DAY)
            self._submit(running[0][1], FinishRecovery(running[0][0]))

    @rule(key=st.sampled_from(KEYS), token=st.sampled_from(TOKENS), amount=st.integers(1, 500))
    def deposit(self, key: bytes, token: bytes, amount: int) -> None:
        """The vault on L1 has taken money."""
        self.deposits += 1
        self.rollup.apply(force(VAULT, Deposit(self.deposits, token, key, amount)))
        self.close_block()

    @rule(data=st.data(), filled=st.booleans())
    def end_order(self, data: st.DataObject, filled: bool) -> None:
        """The vault on L1 has a settler's word, perhaps once more."""
        orders = self.rollup.ledger.state.app.orders.orders
        place = data.draw(st.sampled_from([*orders.keys(), SALT]), "order")
        self.rollup.apply(force(VAULT, EndOrder(place, filled, STRANGER if filled else bytes(20))))
        self.close_block()

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.rollup.apply(at(int(self.rollup.seconds) + seconds))
        self._follow()

    @rule(lock=st.just(None))
    def lock_alice(self, lock: None) -> None:
        """Her guardians propose, and support it."""
        accounts, locks = self.rollup.ledger.state.app.keystore.accounts, self.rollup.ledger.state.app.recovery.locks
        if A in locks or accounts[A].vk in (BOB, CAROL):
            return
        self._submit(BOB, StartRecovery(A, CODE_2, CONFIG_2, CAROL, SALT, GUARDIANS))
        for proposal, value in self.rollup.ledger.state.app.recovery.proposals.items():
            for place, guardian in enumerate(GUARDIANS):
                if value.key == A:
                    self._submit(guardian.id[12:], SupportRecovery(proposal, place))

    @rule(data=st.data())
    def lock_carol(self, data: st.DataObject) -> None:
        """Bob proposes; he and a mail support it, or a mail for whatever proposal there is."""
        if data.draw(st.booleans(), "begin"):
            self._submit(BOB, StartRecovery(C, CODE_2, CONFIG_2, BOB, SALT, MAILED))
        proposals = [name for name, value in self.rollup.ledger.state.app.recovery.proposals.items() if value.key == C]
        proposal = data.draw(st.sampled_from([*proposals, SALT]), "proposal")
        self._submit(BOB, SupportRecovery(proposal, 0))
        before, carrier = self.rollup.list_rows(), data.draw(st.sampled_from((None, None, BOB)), "carrier")
        raw = make_envelope(sign_mail(ED25519_KEY, ANN, write_subject(proposal)), ED25519_KEY.public, SALT)
        if isinstance(self.rollup.apply(envelope("dkim", raw, l1_sender=carrier)), RefusedError):
            assert before == self.rollup.list_rows()
        self._follow()

    def _submit(self, sender: bytes, action: Action) -> None:
        outcome: Any = self.rollup.submit(sender, action)
        self._receipts[outcome.receipt.seq] = outcome.receipt
        self._check_status(action, outcome.receipt)
        self._follow()

    def check_state(self, state: Plus) -> None:
        """Balances and withdrawals are the deposits; a locked account loses nothing and stays; Alice's rule holds."""
        for token in {*TOKENS, *state.vault.credited.keys()}:
            assert state.vault.credited.get(token, 0) == count_money(state, token)
        before, self.before = self.before, see(state)
        for key, lock in state.recovery.locks.items():
            assert state.keystore.accounts[key].data[:32] == bytes(32)
            assert state.recovery.standings[key].running == lock.proposal
            running = state.recovery.proposals[lock.proposal]
            voted = {vote.guardian for vote in running.supports}
            assert len(voted) == len(running.supports) >= running.policy.threshold
            assert any(running.guardians[place].kind != MAIL for place in voted)
            if before is not None and before.locks.get(key) == lock:
                assert before.accounts[key] == state.keystore.accounts[key]
                assert all(before.balances[key, token] <= get_balance(state, key, token) for token in TOKENS)
        if before is None:
            return
        self._check_axiom(state, before)
        now = int(self.rollup.seconds)
        for token in TOKENS:
            lost = before.balances[A, token] - get_balance(state, A, token)
            if lost > 0:
                self.outflows.append((now, token, lost))
            recent = [amount for time, which, amount in self.outflows if which == token and now - time <= DAY - 3_600]
            assert sum(recent) <= 2 * LIMIT

    def _check_axiom(self, state: Plus, before: Seen) -> None:
        """Accounts of Axiom's kind change and lose money by their own counted transactions; sponsors stay unseen."""
        for key in (SEEN.address, UNSEEN.address):
            counted = state.vault.axiom_nonces.get(key, 0) - before.nonces[key]
            assert counted >= 0
            changed = state.keystore.accounts.get(key) != before.accounts.get(key)
            lost = any(get_balance(state, key, token) < before.balances[key, token] for token in TOKENS)
            assert counted > 0 or not (changed or lost)
        for payer in (PAYER, OPEN_PAYER):
            assert payer.address not in state.keystore.accounts
            assert payer.address not in state.vault.axiom_nonces


TestPlus = PlusMachine.TestCase
TestPlus.settings = settings(TestPlus.settings, max_examples=4, stateful_step_count=50)
