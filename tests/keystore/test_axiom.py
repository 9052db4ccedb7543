"""Keystore+ through Axiom's transactions: updates, withdrawals, fees, sponsors, what begins on L1, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from apps.keystore.accounts import Account
from apps.keystore.axiom.envelope import AxiomEnvelope
from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY, KeyData, encode_key_data
from apps.keystore.axiom.making import sign
from apps.keystore.axiom.messages import compute_sponsor_hash, compute_user_hash
from apps.keystore.axiom.proofs import PUBLIC_BYTES, Witness, encode_public_inputs, encode_witness
from apps.keystore.axiom.transactions import (
    DepositTransaction,
    UpdateTransaction,
    compute_transaction_hash,
    compute_withdrawal_hash,
    encode_transaction,
)
from apps.keystore.plus.acting import FeePaid
from apps.keystore.plus.axiom import AXIOM_GAS, AxiomFeePaid
from apps.keystore.plus.fees import SetAxiomFee, SetPrice
from apps.keystore.plus.policy import Lock
from apps.keystore.plus.rules import Limits, Rule
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.state import Plus, Recovery, SpendingRules, Vault, Withdrawal
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.plus.vault import Freeze, Transfer, Withdraw, Withdrawn
from apps.keystore.transitions import Registered, Update, Updated
from axiom_world import (
    TO,
    Wallet,
    make_keys,
    make_update,
    make_wallet,
    make_withdrawal,
    prove_update,
    prove_user,
    send,
    wrap_key_data,
)
from microrollup import Map, Revert
from microrollup.testing.execution import Execution, at, execute, force
from plus_world import (
    ALICE,
    BOB,
    BRIDGE,
    CODE,
    CODE_2,
    COLLECTOR,
    COLLECTOR_KEY,
    CONFIG,
    CONFIG_2,
    DAY,
    ETHER,
    PLUS,
    START,
    THIEF,
    TOKEN,
    VAULT,
    A,
    count_money,
    list_reasons,
    make_state,
    run,
)

USER, NEXT, SPONSOR = make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 1, 2)
OPEN_SPONSOR = make_wallet(31, 0, 1)
"""A threshold of zero, as Axiom's own."""
LATER = START + 2 * DAY
PRICED = [(COLLECTOR, SetAxiomFee(3, 5)), at(LATER)]
RICH = 10**9
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""
FUNDS = [(wallet.address, ETHER, RICH) for wallet in (USER, SPONSOR, OPEN_SPONSOR)]
NO_NONCE = "not the account's next nonce"
NOT_CURRENT = "not the account's current data and vkey"


def get_fee(outcome: Execution, place: int) -> AxiomFeePaid:
    """What a step's transaction cost."""
    (paid,) = [event for event in outcome.outcomes[place].events if isinstance(event, AxiomFeePaid)]
    return paid


def test_updates() -> None:
    """The first one of an account that nobody has seen, then one of the next keys, without a salt."""
    after = USER.rotate(NEXT)
    outcome = run(send(make_update(USER, NEXT)), send(make_update(after, USER, 1)), send(make_update(after, NEXT, 1)))
    assert ["executed", "executed", NOT_CURRENT] == list_reasons(outcome)
    assert Account(USER.key_data, M_OF_N_ECDSA_VKEY) == outcome.state.keystore.accounts[USER.address]
    assert 2 == outcome.state.vault.axiom_nonces[USER.address]
    assert (Registered(USER.address), AxiomFeePaid(USER.address, AXIOM_GAS, 0, 0), Updated(USER.address)) == (
        outcome.outcomes[0].events
    )
    assert 2 == outcome.state.recovery.standings[USER.address].epoch


def test_withdrawals() -> None:
    """The first puts the account into the state, so that a second one finds it without a salt."""
    outcome = run(send(make_withdrawal(USER, 400)), send(make_withdrawal(USER.settled, 5, 1)), funds=FUNDS)
    assert ["executed"] * 2 == list_reasons(outcome)
    first, second = [compute_withdrawal_hash(USER.address, number) for number in (0, 1)]
    assert {first: Withdrawal(TO, 400), second: Withdrawal(TO, 5)} == dict(outcome.state.vault.withdrawals.items())
    assert Account(USER.key_data, M_OF_N_ECDSA_VKEY) == outcome.state.keystore.accounts[USER.address]
    assert Withdrawn(first, USER.address, ETHER, 400, TO) == outcome.outcomes[0].events[-1]
    assert RICH - 405 == outcome.state.vault.balances[USER.address]


def test_both_worlds_count_with_one_number() -> None:
    """So no withdrawal takes the place of another."""
    state = make_state()
    vault = replace(state.vault, balances=Map({A: 100}))
    outcome = execute(PLUS, [(ALICE, Withdraw(A, ETHER, 1, BOB)), (ALICE, Withdraw(A, ETHER, 2, BOB))],
                      state=replace(state, vault=vault))  # fmt: skip
    assert 2 == outcome.state.vault.axiom_nonces[A]
    assert compute_withdrawal_hash(A, 1) in outcome.state.vault.withdrawals


def test_fees_of_the_user() -> None:
    """Gas at the price that was signed, and bytes at the collector's price; the event adds up to what is gone."""
    first, second = make_update(USER, NEXT, fee=4), make_withdrawal(USER.rotate(NEXT), 400, 1, 3)
    cheap = make_withdrawal(USER.rotate(NEXT), 400, 1, 2)
    outcome = run(*PRICED, send(first), send(cheap), send(second), funds=FUNDS)
    assert ["executed", "feePerGas is below the minimum", "executed"] == list_reasons(outcome)[1:]
    spent = 0
    for place, price, transaction in ((1, 4, first), (3, 3, second)):
        size = len(encode_transaction(transaction))
        assert AxiomFeePaid(USER.address, 100_000, price, 5 * size) == get_fee(outcome, place)
        amount = 100_000 * price + 5 * size
        assert FeePaid(USER.address, ETHER, amount) in outcome.outcomes[place].events
        spent += amount
    assert RICH - spent - 400 == outcome.state.vault.balances[USER.address]
    assert spent == outcome.state.vault.balances[COLLECTOR_KEY]
    assert 3 * RICH == count_money(outcome.state, ETHER)


def test_prices_of_actions_are_not_added() -> None:
    """A transaction pays by its own tariff."""
    steps = [(COLLECTOR, SetPrice(ETHER, 1_000)), (COLLECTOR, SetPrice(TOKEN, 50)), at(LATER)]
    outcome = run(*steps, send(make_withdrawal(USER, 1)), funds=FUNDS)
    assert RICH - 1 == outcome.state.vault.balances[USER.address]


@pytest.mark.parametrize("payer", [SPONSOR, OPEN_SPONSOR])
def test_fees_of_a_sponsor(payer: Wallet) -> None:
    """The sponsor pays and signs for nothing else: nonce and state of its account stay."""
    update = make_update(USER, NEXT, fee=9, sponsor=payer)
    outcome = run(*PRICED, send(update), funds=FUNDS)
    cost = 900_000 + 5 * len(encode_transaction(update))
    assert AxiomFeePaid(payer.address, AXIOM_GAS, 9, cost - 900_000) == get_fee(outcome, 1)
    assert RICH - cost == outcome.state.vault.balances[payer.address]
    assert RICH == outcome.state.vault.balances[USER.address]
    assert payer.address not in outcome.state.keystore.accounts
    assert payer.address not in outcome.state.vault.axiom_nonces


def test_who_cannot_pay() -> None:
    """Nothing of the transaction happens."""
    poor, price = make_wallet(41, 1, 1), 2**256 - 1
    steps = [
        send(make_update(poor, NEXT, fee=3)), send(make_update(USER, NEXT, fee=price)),
        send(make_update(poor, NEXT, fee=price, sponsor=SPONSOR)),
        send(make_withdrawal(USER, RICH, fee=3)),
    ]  # fmt: skip
    outcome = run(*PRICED, *steps, funds=FUNDS)
    assert ["balance too low"] * 4 == list_reasons(outcome)[1:]
    assert RICH == outcome.state.vault.balances[USER.address] == outcome.state.vault.balances[SPONSOR.address]
    assert 0 == len(outcome.state.vault.axiom_nonces)
    assert USER.address not in outcome.state.keystore.accounts


def test_the_collector_pays_itself_nothing() -> None:
    """And where there is no collector, or the vault is frozen, nobody pays."""
    app_state = make_state()
    own = replace(app_state, config=replace(app_state.config, collector=USER.address))
    outcome = execute(PLUS, [send(make_update(USER, NEXT, fee=8))], state=own)
    assert AxiomFeePaid(USER.address, AXIOM_GAS, 0, 0) == get_fee(outcome, 0)
    frozen = run(*PRICED, force(VAULT, Freeze()), send(make_update(USER, NEXT)),
                 send(make_withdrawal(USER.rotate(NEXT), 1, 1)), funds=FUNDS)  # fmt: skip
    assert ["executed", "the vault is frozen"] == list_reasons(frozen)[2:]
    assert RICH == frozen.state.vault.balances[USER.address]


def test_what_begins_on_l1() -> None:
    """Only the bridge's own forced bytes say so; it took the fee there. A carrier's other transactions pay."""
    begun = prove_user(replace(make_update(USER, NEXT), l1_nonce=7, fee_per_gas=b""), USER)
    out = prove_user(replace(make_withdrawal(USER.rotate(NEXT), 4, 1), l1_nonce=8), USER.rotate(NEXT))
    sent = make_withdrawal(USER.rotate(NEXT), 4, 2, 3)
    steps = [send(begun), at(LATER + 1), send(begun, THIEF), send(begun, VAULT), send(begun, BRIDGE), send(out, BRIDGE),
             send(sent, THIEF)]  # fmt: skip
    outcome = run(*PRICED, *steps, funds=FUNDS)
    assert ["not from the bridge on L1"] * 3 + ["executed"] * 3 == list_reasons(outcome)[1:]
    assert AxiomFeePaid(USER.address, AXIOM_GAS, 0, 0) == get_fee(outcome, 4) == get_fee(outcome, 5)
    assert 3 == get_fee(outcome, 6).gas_price
    without = replace(make_state(), config=replace(make_state().config, bridge=bytes(20)))
    assert ["not from the bridge on L1"] == list_reasons(execute(PLUS, [send(begun, bytes(20))], state=without))


def test_replays_and_stale_nonces() -> None:
    """A nonce counts once; what is refused counts nothing."""
    first, last = make_withdrawal(USER, 1), make_withdrawal(USER.settled, 1, 2)
    steps = [send(last), send(first), send(first), send(last), send(make_withdrawal(USER.settled, 1, 1))]
    outcome = run(*steps, funds=FUNDS)
    unknown = "salt, data and vkey do not give the address"
    assert [unknown, "executed", NO_NONCE, NO_NONCE, "executed"] == list_reasons(outcome)
    assert 2 == outcome.state.vault.axiom_nonces[USER.address]
    outcome = run(send(make_update(USER, NEXT, 1)), send(make_withdrawal(USER, 1, 2**256 - 1)), funds=FUNDS)
    assert [NO_NONCE] * 2 == list_reasons(outcome)


def test_whose_address_it_is() -> None:
    """Salt and data must give it while the state does not know it; afterwards the state alone says."""
    stolen = replace(NEXT, account=replace(NEXT.account, keystore_address=USER.address))
    wrong_salt = replace(USER, account=replace(USER.account, salt=b"\x09" * 32))
    other = USER.rotate(NEXT)
    steps = [
        send(make_update(stolen, NEXT)), send(make_update(wrong_salt, NEXT)), send(make_withdrawal(stolen, 1)),
        send(make_update(USER, NEXT, sponsor=stolen)),
        send(make_update(USER, NEXT)), send(make_update(USER, NEXT, 1)), send(make_withdrawal(USER, 1, 1)),
        send(make_update(NEXT, NEXT, sponsor=USER)), send(make_update(NEXT, NEXT, sponsor=other)),
    ]  # fmt: skip
    reasons = list_reasons(run(*steps, funds=FUNDS))
    assert ["salt, data and vkey do not give the address"] * 4 == reasons[:4]
    assert ["executed", NOT_CURRENT, NOT_CURRENT, NOT_CURRENT, "executed"] == reasons[4:]


def test_an_account_of_a_sender_has_no_way_in_here() -> None:
    """Its vk is no circuit's, whatever its data is."""
    as_if = replace(USER, account=replace(USER.account, keystore_address=A))
    assert [NOT_CURRENT] * 2 == list_reasons(run(send(make_update(as_if, NEXT)), send(make_withdrawal(as_if, 1))))
    with pytest.raises(Revert, match="vkey of no known circuit"):
        AxiomEnvelope().open(encode_transaction(replace(
            make_update(USER, NEXT), user=replace(USER.account, vkey=ALICE))))  # fmt: skip


def test_it_has_no_authority_elsewhere() -> None:
    """Nobody is the sender that a vk of 290 bytes is, and no action of a sender gives an account such a vk."""
    steps = [
        send(make_update(USER, NEXT)), (ALICE, Transfer(USER.address, A, ETHER, 1)),
        (ALICE, Withdraw(USER.address, ETHER, 1, ALICE)), (ALICE, Update(USER.address, CODE, CONFIG, ALICE)),
        (ALICE, SetCareful(USER.address, True)), (ALICE, SetSpendingRule(USER.address, ETHER, 1, DAY, bytes(32))),
        (ALICE, Update(A, CODE, CONFIG, M_OF_N_ECDSA_VKEY)),
    ]  # fmt: skip
    outcome = run(*steps, funds=FUNDS)
    assert ["executed", *["sender is not the account's vk"] * 5, "vk of no known kind"] == list_reasons(outcome)


def move(user: Wallet, data: bytes, vk: bytes, nonce: int = 0) -> UpdateTransaction:
    """An update to anything."""
    return prove_user(replace(make_update(user, NEXT, nonce), new_data=data, new_vkey=vk), user)


def test_moving_on_to_a_sender() -> None:
    """An update to 20 bytes: from then on the account has all that Keystore+ has, and no way back."""
    steps = [
        send(move(USER, CODE + CONFIG, ALICE)), (ALICE, Withdraw(USER.address, ETHER, 5, ALICE)),
        (ALICE, SetCareful(USER.address, True)), (ALICE, Update(USER.address, CODE_2, CONFIG_2, BOB)),
        (BOB, AcceptUpdate(USER.address)), send(make_update(USER.settled, NEXT, 2)),
    ]  # fmt: skip
    outcome = run(*steps, funds=FUNDS)
    assert [*["executed"] * 5, NOT_CURRENT] == list_reasons(outcome)
    assert compute_withdrawal_hash(USER.address, 1) in outcome.state.vault.withdrawals


@pytest.mark.parametrize(
    ("data", "vk", "reason"),
    [
        (NEXT.key_data, b"\x12\x34", "vk of no known kind"),
        (NEXT.key_data, M_OF_N_ECDSA_VKEY[:-1], "vk of no known kind"),
        (CODE + CONFIG, bytes(20), "vk of no known kind"),
        (CODE, ALICE, "data of a sender has 64 bytes"),
        (bytes(32) + CONFIG, ALICE, "a code hash of zero marks a locked account"),
        (bytes(32) + CONFIG, M_OF_N_ECDSA_VKEY, "key data: not of m-of-n ECDSA"),
        (b"\x12\x34", M_OF_N_ECDSA_VKEY, "key data: not of m-of-n ECDSA"),
        (OPEN_SPONSOR.key_data, M_OF_N_ECDSA_VKEY, "a threshold of zero authenticates no user"),
    ],
)
def test_updates_to_what_nobody_could_use(data: bytes, vk: bytes, reason: str) -> None:
    """A mistake in the next keys costs nothing."""
    assert [reason] == list_reasons(run(send(move(USER, data, vk))))


@pytest.mark.parametrize(("to", "amount", "reason"), [
    (bytes(20), 1, "nobody claims for the zero address"),
    (TO, 0, "nothing to withdraw"),
    (TO, RICH + 1, "balance too low"),
    (TO, 2**256 - 1, "balance too low"),
])  # fmt: skip
def test_withdrawals_of_nothing_or_to_nobody(to: bytes, amount: int, reason: str) -> None:
    """The rules are those of every withdrawal."""
    step = send(prove_user(replace(make_withdrawal(USER, amount), to=to), USER))
    outcome = run(step, funds=FUNDS)
    assert ([reason], 0) == (list_reasons(outcome), len(outcome.state.vault.axiom_nonces))


def make_known(**parts: Any) -> Plus:
    """A state that knows the user, with money, and other parts as given."""
    state = make_state()
    accounts = state.keystore.accounts.set(USER.address, Account(USER.key_data, M_OF_N_ECDSA_VKEY))
    balances = Map({USER.address: RICH, SPONSOR.address: RICH})
    return replace(state, keystore=replace(state.keystore, accounts=accounts), vault=Vault(balances=balances), **parts)


def test_attack_a_locked_account_acts() -> None:
    """Neither as the user nor as the sponsor, with a fee or without, forced or not."""
    for locked in (USER, SPONSOR):
        recovery = Recovery(locks=Map({locked.address: Lock(b"\x01" * 32, locked.key_data)}))
        update = make_update(USER, NEXT, sponsor=SPONSOR)
        steps = [send(update), send(update, THIEF), send(make_withdrawal(locked, 1))]
        outcome = execute(PLUS, steps, state=make_known(recovery=recovery))
        assert ["account is locked"] * 3 == list_reasons(outcome)


def test_spending_rules_bind_amounts_and_fees() -> None:
    """Of the user and of the sponsor: fee and amount together."""
    limits = (Limits(300_000, DAY, bytes(32), 0, 0),)
    for bound in (USER, SPONSOR):
        rules = SpendingRules(rules=Map({bound.address: (Rule(ETHER, limits),)}))
        steps = [
            send(make_withdrawal(bound, 300_001)), send(make_withdrawal(bound, 100_001, fee=2)),
            send(make_update(USER, NEXT, 0, 4, SPONSOR if bound is SPONSOR else None)),
            send(make_withdrawal(bound, 100_000, fee=2)), send(make_withdrawal(bound, 1, 1)),
        ]  # fmt: skip
        outcome = execute(PLUS, steps, state=make_known(spending=rules))
        over = "more than the spending rule allows"
        assert [over, over, over, "executed", over] == list_reasons(outcome)


def test_a_careful_account_takes_senders_only() -> None:
    """Nobody could accept for other vks."""
    state = make_known(recovery=Recovery(careful=Map({USER.address: 2**64 - 1})))
    steps = [send(make_update(USER, NEXT)), send(move(USER, CODE_2 + CONFIG_2, BOB)), (BOB, AcceptUpdate(USER.address))]
    outcome = execute(PLUS, steps, state=state)
    assert ["the next vk of a careful account is a sender", "executed", "executed"] == list_reasons(outcome)
    assert Account(CODE_2 + CONFIG_2, BOB) == outcome.state.keystore.accounts[USER.address]


def refuse(transaction: Any, reason: str) -> None:
    """Bytes that do not open, for this reason, handed in or forced; and nothing comes of them."""
    raw = encode_transaction(transaction)
    with pytest.raises(Revert) as error:
        AxiomEnvelope().open(raw)
    assert reason == error.value.reason
    outcome = run(send(transaction, THIEF), funds=FUNDS)
    assert ["invalid forced"] == [each.status for each in outcome.outcomes]
    assert RICH == outcome.state.vault.balances[USER.address]
    assert 0 == len(outcome.state.vault.axiom_nonces)


def forge(transaction: UpdateTransaction, key_data: bytes, auth_data: bytes) -> UpdateTransaction:
    """With this witness, whatever it proves."""
    words = encode_public_inputs(transaction.user.data_hash, compute_user_hash(transaction))
    return replace(transaction, user_proof=words + encode_witness(Witness(key_data, auth_data)))


def test_attack_a_bare_proof() -> None:
    """512 bytes are what Axiom's development mode takes; the user's and the sponsor's are refused."""
    update = make_update(USER, NEXT, sponsor=SPONSOR)
    out = make_withdrawal(USER, 1)
    for proof in (b"", update.user_proof[:PUBLIC_BYTES], update.user_proof[: PUBLIC_BYTES - 1]):
        refuse(replace(update, user_proof=proof), "proof without a witness")
        refuse(replace(out, user_proof=proof), "proof without a witness")
    for proof in (b"", update.sponsor_proof[:PUBLIC_BYTES]):
        refuse(replace(update, sponsor_proof=proof), "proof without a witness")


def test_attack_signatures_that_are_too_few() -> None:
    """M - 1; one of them twice, which Axiom's consumer took for two; a stranger's; of another message."""
    update = make_update(USER, NEXT)
    message = compute_user_hash(update)
    first, second, third = make_keys(1, 3)
    (stranger,) = make_keys(99, 1)
    refuse(forge(update, USER.key_data, sign([first], message)), "not as many signatures as the threshold")
    refuse(
        forge(update, USER.key_data, sign([first, second, third], message)), "not as many signatures as the threshold"
    )
    refuse(forge(update, USER.key_data, sign([first, first], message)), "two signatures of one signer")
    refuse(forge(update, USER.key_data, sign([first, stranger], message)), "a signature of no signer")
    refuse(forge(update, USER.key_data, sign([first, second], b"\x01" * 32)), "a signature of no signer")
    high = sign([first], message)
    other_s = ORDER - int.from_bytes(high[32:64], "big")
    flipped = high[:32] + other_s.to_bytes(32, "big") + bytes([55 - high[64]])
    refuse(forge(update, USER.key_data, flipped + sign([second], message)), "a signature of no signer")
    refuse(forge(update, USER.key_data, flipped + high), "a signature of no signer")
    assert ["executed"] == list_reasons(run(send(forge(update, USER.key_data, sign([third, first], message)))))


def test_attack_key_data_of_ones_own() -> None:
    """The witness must be what the hash is of, and well-formed: no more than 50 signers, nobody twice."""
    update = make_update(USER, NEXT)
    message = compute_user_hash(update)
    refuse(forge(update, NEXT.key_data, sign(NEXT.keys, message)), "witness: not the account's key data")
    (key,) = make_keys(1, 1)
    many = tuple([bytes([place]) * 20 for place in range(1, 52)])
    for key_data, reason in (
        (KeyData(CODE, 1, many), "key data: more than 50 signers"),
        (KeyData(CODE, 4, many[:3]), "key data: more signatures than signers"),
        (KeyData(CODE, 2**256 - 1, many[:3]), "key data: more signatures than signers"),
        (KeyData(CODE, 1, many[:1] * 2), "key data: a signer twice"),
    ):
        wallet = wrap_key_data(encode_key_data(key_data), ())
        update = UpdateTransaction(None, 0, bytes(32), NEXT.key_data, M_OF_N_ECDSA_VKEY, wallet.account)
        refuse(forge(update, wallet.key_data, sign([key], compute_user_hash(update))), reason)


def test_attack_an_open_sponsor_as_the_user() -> None:
    """A threshold of zero sponsors; as the user anybody could take its account."""
    reason = "a threshold of zero may sponsor, and authenticates no user"
    refuse(make_update(OPEN_SPONSOR, NEXT), reason)
    refuse(make_withdrawal(OPEN_SPONSOR, 1), reason)


def test_attack_a_sponsor_who_signed_something_else() -> None:
    """The user's own hash, another nonce or fee of the user, another user: none of them is this sponsorship."""
    update = make_update(USER, NEXT, fee=3, sponsor=SPONSOR)
    reason = "proof of other data or another message"
    for other in (make_update(USER, NEXT, 1, 3, SPONSOR), make_update(USER, NEXT, 0, 4, SPONSOR),
                  make_update(NEXT, NEXT, 0, 3, SPONSOR), make_update(USER, NEXT, 0, 3, OPEN_SPONSOR)):  # fmt: skip
        refuse(replace(update, sponsor_proof=other.sponsor_proof), reason)
    refuse(replace(update, sponsor_proof=update.user_proof), reason)
    message = compute_user_hash(update)
    words = encode_public_inputs(
        SPONSOR.account.data_hash, compute_sponsor_hash(SPONSOR.account, message, USER.account)
    )
    wrong = words + encode_witness(Witness(SPONSOR.key_data, sign(SPONSOR.keys, message)))
    refuse(replace(update, sponsor_proof=wrong), "a signature of no signer")
    refuse(replace(update, fee_per_gas=b"\x01" * 32), reason)
    unsponsored = prove_user(replace(update, sponsor=None, sponsor_proof=b""), USER)
    assert ["executed"] == list_reasons(run(*PRICED, send(unsponsored), funds=FUNDS))[1:]


SENT = encode_transaction(make_update(USER, NEXT, fee=3, sponsor=SPONSOR))


@given(st.integers(0, len(SENT) - 1), st.integers(1, 255))
@example(len(SENT) - 32, 27)
def test_attack_a_changed_byte(place: int, mask: int) -> None:
    """Whatever byte is changed on the way, nothing else is authorised: it does not open, or it means the same."""
    raw = SENT[:place] + bytes([SENT[place] ^ mask]) + SENT[place + 1 :]
    try:
        opened = AxiomEnvelope().open(raw)
    except Revert:
        return
    assert AxiomEnvelope().open(SENT).action == opened.action
    assert AxiomEnvelope().encode(opened) == raw


def test_another_form_of_a_signature_is_another_transaction_of_the_same_nonce() -> None:
    """V 0 for 27, or the signatures in another order: another hash; one of them executes."""
    update = make_update(USER, NEXT)
    signatures = sign(USER.keys, compute_user_hash(update))
    turned = forge(update, USER.key_data, signatures[65:] + signatures[:65])
    low = forge(update, USER.key_data, signatures[:64] + bytes([signatures[64] - 27]) + signatures[65:])
    assert 3 == len({compute_transaction_hash(encode_transaction(each)) for each in (update, turned, low)})
    assert ["executed", NOT_CURRENT, NOT_CURRENT] == list_reasons(run(send(low), send(turned), send(update)))


def test_attack_a_deposit_by_a_user() -> None:
    """Money comes in through the vault."""
    refuse(DepositTransaction(0, RICH, USER.address), "a deposit comes from L1 only")


def test_the_hash_is_that_of_the_bytes() -> None:
    """As Axiom's clients compute it, so they find their transaction by it."""
    raw = encode_transaction(make_update(USER, NEXT))
    opened = AxiomEnvelope().open(raw)
    assert (compute_transaction_hash(raw), raw) == (opened.hash, AxiomEnvelope().encode(opened))


def test_the_largest() -> None:
    """50 of 50 for the user, the sponsor and the next keys: within an envelope, and within the steps of opening."""
    user, after, payer = [make_wallet(first, 50, 50) for first in (1, 101, 201)]
    update = make_update(user, after, sponsor=payer)
    assert len(encode_transaction(update)) < 16_000
    assert ["executed"] == list_reasons(run(send(update)))
    assert ["executed"] == list_reasons(run(send(prove_update(update, user, payer))))
