"""The client believes nothing that it can check, and never lets an action be executed twice."""

import asyncio
import re
import subprocess
import sys
from types import SimpleNamespace

import httpx
import msgspec
import pytest
from eth_account import Account

import microrollup
from apps.keystore import app
from apps.keystore.accounts import Account as StoredAccount
from apps.keystore.transitions import Register, Registered
from client_server import RefusedCall, RunningNode, serve
from kernel_fixtures import BUILDER, VERIFIER_KEY, make_key
from microrollup import Action, Bytes32, Uint64
from microrollup.chain.block import compute_rollup_id
from microrollup.chain.receipt_proof import check_receipt_proof
from microrollup.chain.record import DomainConfig
from microrollup.client import (
    ActionRefused,
    BadAnswer,
    BlockInvalid,
    Client,
    ClientError,
    ConfirmationTimeout,
    ForeignNode,
    HeightNotRetained,
    IntakeClosed,
    NodeBusy,
    NotFound,
    OutcomeUnknown,
    RateExceeded,
    RpcError,
    SyncClient,
    Unreachable,
    declare_action,
    read_events,
    transport,
)
from microrollup.client.errors import _CLASSES, make_rpc_error
from microrollup.client.nonces import SenderNonces
from microrollup.client.signer import get_address
from microrollup.client.submitting import Submitter
from microrollup.client.subscription import Notification, _listen, _Position
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.errors import (
    BadHex,
    MicrorollupError,
    ProofError,
    ReceiptMismatch,
    UsageError,
    ValueOutOfBounds,
    WrongOperator,
)
from microrollup.primitives import ZERO_ADDRESS
from microrollup.testing.passkey import P256Key, Passkey
from paths import ROOT
from resolver import NAME, hang_lookups
from waiting import wait_for
from zoo import Edit, Step, zoo

ALICE = make_key("alice")
BOB = make_key("bob")


@pytest.fixture
def node():
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def lasting_node():
    with serve() as running:
        yield running


@pytest.fixture
def used(lasting_node):
    """A node that other tests have used; no test of one key's counting."""
    lasting_node.double.behave()
    return lasting_node


def make_register(number: int) -> Register:
    return Register(b"\x01" * 32, b"\x02" * 32, number.to_bytes(32, "big"))


def drive(node: RunningNode, use, rollup=app, **options):
    """The result of `use(client)`, with a client of a short patience."""

    async def run():
        async with Client(node.url, rollup, **{"timeout": 5.0, **options}) as client:
            return await asyncio.wait_for(use(client), 60)

    return asyncio.run(run())


def refuse(node: RunningNode, error: type[Exception], use, match: str | None = None, **options):
    """The error that `use(client)` raises."""
    with pytest.raises(error, match=match) as caught:
        drive(node, use, **options)
    return caught.value


def executed(node: RunningNode) -> int:
    """Actions in the log."""
    return node.run(lambda: node.double.chain.ledger.next_seq)


# --- calling ---------------------------------------------------------------------------------------------------------


def test_methods_by_short_and_by_full_name(node):
    """`height` and `rollup_height` are one method; a name with an underscore is sent as it is."""

    async def use(client: Client):
        return await client.call("height"), await client.call("rollup_height")

    short, full = drive(node, use)
    assert short == full
    refuse(node, RpcError, lambda client: client.call("zoo_height"), match="zoo_height")


def test_events_are_described(node):
    """The events of an acknowledgement and of a proven receipt come by members, with the app's classes or the node's
    types; instances of a class come from `read_events`.
    """
    shown = []
    for number, rollup in enumerate((app, None)):

        async def use(client: Client, number=number):
            ack = await client.submit(make_register(number), ALICE)
            proof = check_receipt_proof(await client.get_receipt_proof(ack.action_hash))
            assert (
                read_events(ack, Registered) == read_events(proof, Registered) == read_events(ack.receipt, Registered)
            )
            assert await client.describe_events(ack) == await client.describe_events(proof)
            (event,) = await client.describe_events(ack)
            (registered,) = read_events(ack, Registered)
            assert {"key": f"0x{registered.key.hex()}"} == event.fields
            shown.append(event.name)

        drive(node, use, rollup=rollup)
    assert ["Registered", "Registered"] == shown


def test_events_of_other_types_are_noticed(node):
    """A node whose event types are those of no event is refused; bytes that do not fit them stay bytes."""
    types = {"Registered": [{"name": "key", "type": "float"}]}
    ack = drive(node, lambda client: client.submit(make_register(0), ALICE))
    for served, error in (
        (types, BadAnswer),
        ({"Registered": []}, None),
        ({}, BadAnswer),
        ({"Registered": 5}, BadAnswer),
    ):
        node.double.change = lambda method, answer, served=served: (
            answer | {"events": [{"name": "Registered", "types": served}]} if method == "config" else answer
        )
        if error is not None:
            refuse(node, error, lambda client: client.describe_events(ack), rollup=None)
        else:
            (event,) = drive(node, lambda client: client.describe_events(ack), rollup=None)
            assert (ack.receipt.events[0][1], msgspec.UNSET) == (event.data, event.fields)


# --- submitting ------------------------------------------------------------------------------------------------------


def test_submit_and_read_back(node):
    """An action of the app's class is numbered, signed, acknowledged, readable and proven, with the app's own types."""

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        (event,) = read_events(ack.receipt, Registered)
        account = StoredAccount(b"\x01" * 32 + b"\x02" * 32, compute_address(ALICE))
        value = await client.get_state("accounts", event.key)
        proven = await client.get_proof("accounts", event.key)
        absent = await client.get_proof("accounts", bytes(32))
        assert (account, account, True, False) == (value.value, proven.stored, proven.exists, absent.exists)
        assert (await client.get_header(1)).state_root == proven.header.state_root
        assert (1, 1) == (await client.get_height(), await client.get_nonce(compute_address(ALICE)))
        return ack

    ack = drive(node, use)
    assert ("executed", 0, 1) == (ack.status, ack.seq, ack.height)


def test_a_rejected_action_is_acknowledged(node):
    """The rollup's no is an outcome, not an error, and consumes the nonce."""

    async def use(client: Client):
        await client.submit(make_register(0), ALICE)
        again = await client.submit(make_register(0), ALICE)
        return again, await client.submit(make_register(1), ALICE)

    rejected, following = drive(node, use)
    assert ("rejected", "account exists", "executed") == (rejected.status, rejected.reason, following.status)


def test_many_at_once_keep_their_numbers(node):
    """Forty concurrent actions of a sender are executed once each, without a refusal."""

    async def use(client: Client):
        return await asyncio.gather(*[client.submit(make_register(number), ALICE) for number in range(40)])

    acks = drive(node, use)
    assert list(range(40)) == sorted(ack.seq for ack in acks)
    assert 1 == node.double.calls.count("getNonce")


def test_batches(node):
    """`submit_many` takes consecutive numbers, also between single actions; each has its own outcome."""
    node.double.auto_close = False

    async def use(client: Client):
        await client.submit(make_register(0), ALICE)
        outcomes = await client.submit_many([make_register(number) for number in (1, 0, 2)], ALICE)
        return outcomes, await client.submit(make_register(3), ALICE)

    outcomes, following = drive(node, use)
    assert ["executed", "rejected", "executed"] == [outcome.status for outcome in outcomes]
    assert 4 == following.seq


def test_two_clients_of_one_key(node):
    """Where another program uses the key too, a number that was taken is replaced by a fresh one."""

    async def use(client: Client):
        async with Client(node.url, app) as other:
            await client.submit(make_register(0), ALICE)
            await other.submit(make_register(1), ALICE)
            await other.submit(make_register(2), ALICE)
            return await client.submit(make_register(3), ALICE)

    assert ("executed", 3) == ((ack := drive(node, use)).status, ack.seq)


def test_signers(node):
    """Private keys, wallet libraries' accounts, passkeys, and whatever has an address and signs digests, even later."""

    class Hardware:
        address = f"0x{compute_address(BOB).hex()}"

        async def sign_digest(self, digest: bytes) -> bytes:
            await asyncio.sleep(0)
            return sign_digest(BOB, digest)

    wallet = Account.from_key(b"\x21" * 32)
    signers = [ALICE, Hardware(), wallet, Passkey(b"\x05" * 32), P256Key(b"\x05" * 32)]

    async def use(client: Client):
        return [await client.submit(make_register(0), signer) for signer in signers]

    assert ["executed"] * 5 == [ack.status for ack in drive(node, use)]
    assert bytes.fromhex(wallet.address[2:]) == get_address(wallet)


@pytest.mark.parametrize(
    "signer", [object(), type("Short", (), {"address": b"\x01"})(), type("Text", (), {"address": "Bob"})()]
)
def test_what_is_no_signer(used, signer):
    """A signer without an address of 20 bytes is refused before anything is asked."""
    refuse(used, UsageError, lambda client: client.submit(make_register(0), signer))


def test_a_signer_that_cannot_sign(node):
    """An address alone signs nothing; the number is free for the next action."""
    mute = type("Mute", (), {"address": compute_address(ALICE)})()

    async def use(client: Client):
        with pytest.raises(UsageError, match="sign_digest"):
            await client.submit(make_register(0), mute)
        return await client.submit(make_register(0), ALICE)

    assert 0 == drive(node, use).seq


def test_a_signer_of_another_key_is_refused(node):
    """The sender is stated, so a foreign signature is refused instead of becoming a stranger's action."""
    false = type(
        "False_", (), {"address": compute_address(ALICE), "sign_digest": lambda _, digest: sign_digest(BOB, digest)}
    )()
    error = refuse(node, ActionRefused, lambda client: client.submit(make_register(0), false))
    assert "sender_mismatch" == error.refusal
    assert 0 == executed(node)


class Increment(Action, frozen=True):
    """An action that the keystore lacks."""

    by: Uint64


def test_actions_are_compared_with_the_node_s(used):
    """An unknown action, one of another shape, and one out of bounds are not signed."""
    foreign = type(
        declare_action(
            "Register", {"Register": [{"name": "codeHash", "type": "bytes32"}, {"name": "nonce", "type": "uint64"}]}
        )(b"\1" * 32)
    )
    refuse(used, UsageError, lambda client: client.submit(Increment(1), ALICE), match="no action Increment")
    refuse(used, ForeignNode, lambda client: client.submit(foreign(b"\1" * 32), ALICE), match="action Register")
    refuse(used, ValueOutOfBounds, lambda client: client.submit(Register(b"", b"", b""), ALICE))
    assert [] == used.double.lines


# --- retries ---------------------------------------------------------------------------------------------------------


def test_lost_answers_do_not_execute_twice(node):
    """The same bytes are sent again, and the first acknowledgement comes back."""
    node.double.lose_answers = 3

    async def use(client: Client):
        await client.get_config()
        node.double.lose_answers = 0
        await client.get_nonce(compute_address(ALICE))
        first = await client.submit(make_register(0), ALICE)
        node.double.lose_answers = 2
        second = await client.submit(make_register(1), ALICE)
        return first, second

    first, second = drive(node, use)
    assert (0, 1, 2) == (first.seq, second.seq, executed(node))
    assert 1 == len(set(node.double.lines[1:]))
    assert 3 == len(node.double.lines[1:])


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(node, status):
    """Statuses of proxies and a busy node are waited out."""
    node.double.statuses = [status]
    node.double.refusals = [RefusedCall(-32004, "busy")] * 2
    assert 0 == drive(node, lambda client: client.submit(make_register(0), ALICE)).seq
    assert 1 == executed(node)


def test_no_answer_leaves_the_outcome_open(node):
    """When the time is up the error carries the signed bytes; sent again later they give the one acknowledgement."""

    async def use(client: Client):
        await client.submit(make_register(0), ALICE)
        node.double.lose_answers = 100
        with pytest.raises(OutcomeUnknown) as caught:
            await client.submit(make_register(1), ALICE)
        node.double.lose_answers = 0
        lost = caught.value.signed
        following = await client.submit(make_register(2), ALICE)
        return lost, following, await client.submit_signed(lost.line)

    lost, following, found = drive(node, use, timeout=2)
    assert (2, 1, lost.action_hash, 3) == (following.seq, found.seq, found.action_hash, executed(node))


def test_a_number_that_was_not_consumed_is_used_again(node):
    """An action that the node refuses leaves no gap behind."""

    async def use(client: Client):
        await client.submit(make_register(0), ALICE)
        node.double.refusals = [RefusedCall(-32000, "refused", {"code": "action_limit", "detail": "too much"})]
        outcomes = await asyncio.gather(
            *[client.submit(make_register(number), ALICE) for number in range(1, 4)], return_exceptions=True
        )
        return outcomes, await client.submit(make_register(9), ALICE)

    outcomes, following = drive(node, use)
    refused = [outcome for outcome in outcomes if isinstance(outcome, ActionRefused)]
    assert "action_limit" in {error.refusal for error in refused}
    assert "executed" == following.status
    assert executed(node) == 5 - len(refused)


def test_too_early_is_sent_again_in_order(node):
    """What a node gave up waiting for goes again, as the same bytes, once the lower numbers have been through."""
    node.double.patience = 0.05

    class Slow:
        address = compute_address(ALICE)
        pauses = iter([0.4, 0, 0])

        async def sign_digest(self, digest: bytes) -> bytes:
            await asyncio.sleep(next(self.pauses))
            return sign_digest(ALICE, digest)

    signer = Slow()

    async def use(client: Client):
        return await asyncio.gather(*[client.submit(make_register(number), signer) for number in range(3)])

    assert [0, 1, 2] == [ack.seq for ack in drive(node, use)]
    assert 3 == len(set(node.double.lines)) < len(node.double.lines)


def test_a_refusal_is_not_retried(used):
    """What a node refuses for good is sent once, and the error says why."""
    used.double.refusals = [RefusedCall(-32000, "refused", {"code": "high_s", "detail": "use the low s"})]
    error = refuse(used, ActionRefused, lambda client: client.submit(make_register(0), ALICE))
    assert (-32000, "high_s", "use the low s") == (error.code, error.refusal, error.detail)
    assert 1 == used.double.calls.count("submitAction")


def test_nonce_used_after_a_lost_answer_is_not_signed_again(node):
    """After a lost answer the first sending may have been executed: the action is never numbered anew."""

    async def use(client: Client):
        await client.submit(make_register(0), ALICE)
        node.double.lose_calls = 1
        node.double.refusals = [RefusedCall(-32000, "refused", {"code": "nonce_used", "detail": "used"})]
        await client.submit(make_register(1), ALICE)

    refuse(node, ActionRefused, use, match="nonce_used")
    assert 1 == executed(node)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (-32003, IntakeClosed),
        (-32004, NodeBusy),
        (-32603, OutcomeUnknown),
        (-32009, OutcomeUnknown),
        (-32602, RpcError),
    ],
)
def test_errors_of_the_node(used, code, error):
    """Each code has its class; a fault, and a source that gives no answer, leave the outcome open."""
    used.double.refusals = [RefusedCall(code, "no")] * 100
    refuse(used, error, lambda client: client.submit(make_register(0), ALICE), timeout=3)


@pytest.mark.parametrize(
    ("code", "error"), [(-32004, NodeBusy), (-32602, RpcError), (-32603, OutcomeUnknown), (-32009, OutcomeUnknown)]
)
def test_a_whole_batch_that_is_refused(used, code, error):
    """Actions of which none was taken are not called unknown, as a single one is not; so where each has the error."""

    def refuse_all(method, answer):
        if method == "submitActions":
            raise RefusedCall(code, "no")
        return answer

    def submit(client):
        return client.submit_many([make_register(0), make_register(1)], ALICE)

    used.double.refusals = [RefusedCall(code, "no")] * 100_000
    assert [error] * 2 == [type(outcome) for outcome in drive(used, submit, timeout=2)]
    used.double.refusals = []
    used.double.change = refuse_all
    assert [error] * 2 == [type(outcome) for outcome in drive(used, submit, timeout=2)]


@pytest.mark.parametrize(("stated", "least"), [(300, 0.3), (None, 0.0), ("soon", 0.0), (-1, 0.0)])
def test_who_asks_too_much_waits(used, monkeypatch, stated, least):
    """After too many calls the client waits as long as the node says, and what it asked for is done once."""
    used.double.refusals = [RefusedCall(-32006, "too many", {"retryAfterMs": stated})]
    pauses, sleep, calls = [], asyncio.sleep, used.double.calls
    noting = {
        **vars(asyncio),
        "sleep": lambda seconds: pauses.append((calls.count("submitAction"), seconds)) or sleep(0),
    }
    monkeypatch.setattr(transport, "asyncio", SimpleNamespace(**noting))
    before = len(used.double.lines)
    drive(used, lambda client: client.submit(make_register(0), ALICE), timeout=60.0)
    assert (2, 1) == (used.double.calls.count("submitAction"), len(used.double.lines) - before)
    pause = next(seconds for asked, seconds in pauses if asked == 1)  # a busy machine may lose another call
    assert least <= pause <= max(least, 0.1)


def test_error_classes_in_javascript():
    """The package of npm has the same classes for the same codes."""
    source = (ROOT / "microrollup" / "client" / "js" / "src" / "errors.ts").read_text()
    pairs = re.findall(r"^  \[(-\d+)\]: (\w+),$", source, re.MULTILINE)
    assert {int(code): name for code, name in pairs} == {code: each.__name__ for code, each in _CLASSES.items()}


def test_error_classes_by_code():
    """The documented codes, and what is no error object."""
    codes = {-32000: ActionRefused, -32001: NotFound, -32002: HeightNotRetained, -32003: IntakeClosed, -32004: NodeBusy}
    codes |= {-32006: RateExceeded}
    for code, cls in {**codes, -32601: RpcError}.items():
        assert type(make_rpc_error({"code": code, "message": "no"})) is cls
    for error in (None, {}, {"code": "1", "message": ""}, {"code": True, "message": ""}, {"code": 1}):
        with pytest.raises(BadAnswer):
            make_rpc_error(error)


def test_nobody_there():
    """A node that does not answer is `Unreachable`; an action that was never sent is not open but unsent."""

    async def use():
        async with Client("http://127.0.0.1:9", app, timeout=1.0) as client:
            await client.get_height()

    with pytest.raises(Unreachable) as caught:
        asyncio.run(use())
    assert 0 == caught.value.unanswered


def test_a_name_that_is_not_resolved(monkeypatch):
    """Looking it up is within the time of a call."""

    async def use(released):
        try:
            async with Client(f"http://{NAME}", app, timeout=0.3) as client:
                await client.get_height()
        finally:
            released.set()  # or the loop would wait for its thread

    with hang_lookups(monkeypatch) as resolver, pytest.raises(Unreachable):
        asyncio.run(use(resolver.released))


@pytest.mark.parametrize("url", ["127.0.0.1:8650", "ftp://x", "http://", ""])
def test_addresses(url):
    """An address that is none is refused at once."""
    with pytest.raises(UsageError):
        Client(url)


# --- lines that are signed already -----------------------------------------------------------------------------------


def test_signed_lines(node):
    """Lines out of a file go as they are; known ones give the first acknowledgement; hopeless ones are not sent."""

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        line = msgspec.json.encode(msgspec.json.decode(node.double.lines[0]))
        outcomes = await client.submit_lines([line, b'{"type":', line])
        return ack, outcomes

    ack, (first, bad, second) = drive(node, use, rollup=None)
    assert ack == first == second
    assert "not_json" == bad.code
    assert 1 == executed(node)


def test_a_hopeless_line_raises(used):
    """`submit_signed` says itself what every node would say."""
    refuse(used, MicrorollupError, lambda client: client.submit_signed(b"[]"))
    assert [] == used.double.lines


# --- lies ------------------------------------------------------------------------------------------------------------


def lie(node: RunningNode, method: str, change) -> None:
    """Let the node say something else in the answers of one method."""
    node.double.change = lambda name, answer: change(answer) if name == method else answer


ACK_LIES = {
    "status": (ReceiptMismatch, lambda ack: ack | {"status": "rejected"}),
    "reason": (ReceiptMismatch, lambda ack: ack | {"reason": "because"}),
    "events": (ReceiptMismatch, lambda ack: ack | {"events": []}),
    "height": (WrongOperator, lambda ack: ack | {"height": 77}),
    "seq": (WrongOperator, lambda ack: ack | {"seq": 77}),
    "rollup": (WrongOperator, lambda ack: ack | {"rollupId": "0x" + "00" * 32}),
    "action": (WrongOperator, lambda ack: ack | {"actionHash": "0x" + "00" * 32}),
    "signature": (WrongOperator, lambda ack: ack | {"signature": "0x" + "00" * 65}),
    "a member less": (BadAnswer, lambda ack: {name: ack[name] for name in ack if name != "seq"}),
    "nothing": (BadAnswer, lambda _: None),
}


@pytest.mark.parametrize("what", ACK_LIES)
def test_altered_acknowledgements_are_noticed(used, what):
    """Each word of an acknowledgement is checked."""
    error, change = ACK_LIES[what]
    lie(used, "submitAction", change)
    refuse(used, error, lambda client: client.submit(make_register(0), make_key(what)))


def test_another_action_s_acknowledgement_is_noticed(node):
    """A true acknowledgement of something else is no answer."""

    async def use(client: Client):
        kept = []
        lie(node, "submitAction", lambda ack: kept.append(ack) or ack)
        await client.submit(make_register(0), ALICE)
        lie(node, "submitAction", lambda _: kept[0])
        await client.submit(make_register(1), ALICE)

    refuse(node, BadAnswer, use, match="the acknowledgement of")


def test_another_operator_is_noticed(node):
    """Who is not the config's builder signs nothing that counts; a builder that was replaced does, unless pinned."""
    node.double.key = VERIFIER_KEY
    refuse(node, WrongOperator, lambda client: client.submit(make_register(0), ALICE))

    async def replaced(client: Client):
        await client.get_config()
        new = f"0x{compute_address(VERIFIER_KEY).hex()}"
        lie(node, "config", lambda config: config | {"builder": new})
        return await client.submit(make_register(1), ALICE)

    assert "executed" == drive(node, replaced).status
    lie(node, "config", lambda config: config)
    refuse(node, WrongOperator, replaced, builder=BUILDER)


def test_pins(node):
    """Rollup, builder, domain and app are compared with what the node serves before anything is signed."""
    config = node.run(node.double.config)
    right = {
        "rollup_id": compute_rollup_id(node.double.chain.genesis),
        "builder": BUILDER,
        "domain": DomainConfig("keystore", "1", 31337, ZERO_ADDRESS),
    }
    assert config["rollupId"] == f"0x{right['rollup_id'].hex()}"
    drive(node, lambda client: client.submit(make_register(0), ALICE), **right)
    wrong = {"rollup_id": b"\1" * 32, "builder": b"\1" * 20, "domain": DomainConfig("keystore", "1", 1, ZERO_ADDRESS)}
    for name, value in wrong.items():
        refuse(node, ForeignNode, lambda client: client.submit(make_register(1), ALICE), **(right | {name: value}))
    refuse(node, ForeignNode, lambda client: client.submit(make_register(1), ALICE), rollup=zoo)
    assert 1 == executed(node)


def test_configs_that_lack_something(node):
    """A config without what signing and checking need is refused when it is read, and says which member."""
    config = node.run(node.double.config)
    assert "keystore" == drive(node, Client.get_config).name
    for name in ("rollupId", "builder", "l1ChainId", "inbox", "domain", "actions", "fields", "name"):
        for other in ({key: value for key, value in config.items() if key != name}, config | {name: 1.5}):
            node.double.change = lambda _method, _answer, other=other: other
            refuse(node, BadAnswer, Client.get_config)
    for document in (None, [], "config"):
        node.double.change = lambda _method, _answer, document=document: document
        refuse(node, BadAnswer, Client.get_config)


PROOF_LIES = {
    "value": (ProofError, lambda proof: proof | {"value": "0x" + "00" * 64}),
    "stored": (ProofError, lambda proof: proof | {"stored": proof["stored"] | {"vk": "0x01"}}),
    "stored is gone": (BadAnswer, lambda proof: proof | {"stored": None}),
    "absence": (ProofError, lambda proof: proof | {"exists": False}),
    "leaf": (ProofError, lambda proof: proof | {"leaf": proof["leaf"] | {"valueHash": "0x" + "00" * 32}}),
    "unused leaf": (ProofError, lambda proof: proof | {"leaf": proof["leaf"] | {"active": 0}}),
    "siblings": (ProofError, lambda proof: proof | {"siblings": proof["siblings"][:-1]}),
    "sides": (ProofError, lambda proof: proof | {"isLeft": proof["isLeft"] + 1}),
    "another height": (BadAnswer, lambda proof: proof | {"height": 1}),
    "no height": (BadAnswer, lambda proof: proof | {"height": None}),
    "no leaf": (BadAnswer, lambda proof: {name: proof[name] for name in proof if name != "leaf"}),
    "nothing": (BadAnswer, lambda _: []),
}


@pytest.mark.parametrize("what", PROOF_LIES)
def test_altered_proofs_are_noticed(used, what):
    """Each part of a proof is checked against the header, for the very key that was asked for."""
    error, change = PROOF_LIES[what]

    async def use(client: Client):
        ack = await client.submit(make_register(0), make_key(f"proof {what}"))
        height = (await client.submit(make_register(1), make_key(f"proof {what}"))).height
        (event,) = read_events(ack.receipt, Registered)
        proven = await client.get_proof("accounts", event.key, height=height)
        root = proven.header.state_root
        assert (await client.get_proof("accounts", event.key, height=height, state_root=root)) == proven
        lie(used, "getProof", change)
        await client.get_proof("accounts", event.key, height=height)

    refuse(used, error, use)


def test_another_key_s_proof_is_noticed(node):
    """A true proof of another key, and the header of another root, prove nothing."""

    async def use(client: Client):
        acks = [await client.submit(make_register(number), ALICE) for number in range(2)]
        keys = [read_events(ack.receipt, Registered)[0].key for ack in acks]
        other = await client.call("getProof", field="accounts", key=f"0x{keys[1].hex()}")
        with pytest.raises(ProofError, match="another state root"):
            await client.get_proof("accounts", keys[0], state_root=b"\1" * 32)
        lie(node, "getProof", lambda _: other)
        with pytest.raises(ProofError, match="another key"):
            await client.get_proof("accounts", keys[0])
        with pytest.raises(ProofError):
            await client.get_proof("accounts", b"\x07" * 32)

    drive(node, use)


def test_headers_are_hashed_again(used):
    """A header with another's hash, or of another rollup, is noticed."""
    lie(used, "getHeader", lambda header: header | {"timestamp": 1})
    refuse(used, BadAnswer, lambda client: client.get_header(0), match="hash")
    lie(used, "getHeader", lambda header: {name: header[name] for name in header if name != "hash"})
    refuse(used, BadAnswer, lambda client: client.get_header(0))
    refuse(used, NotFound, lambda client: client.get_header(99))


def test_receipt_proofs(node):
    """The receipt of an action comes with all that proves it; another one's, or an altered one, is noticed."""

    async def use(client: Client):
        acks = [await client.submit(make_register(number), ALICE) for number in range(2)]
        proof = await client.get_receipt_proof(acks[0].action_hash)
        assert (acks[0], acks[0].height) == (proof.acknowledgement, proof.header.height)
        other = await client.call("getReceiptProof", hash=f"0x{acks[1].action_hash.hex()}")
        lie(node, "getReceiptProof", lambda _: other)
        with pytest.raises(ProofError, match="another action"):
            await client.get_receipt_proof(acks[0].action_hash)
        lie(node, "getReceiptProof", lambda answer: answer | {"count": 2})
        with pytest.raises(ProofError, match="receipts, not"):
            await client.get_receipt_proof(acks[0].action_hash)
        lie(node, "getReceiptProof", lambda answer: answer | {"note": 2})
        with pytest.raises(BadAnswer):
            await client.get_receipt_proof(acks[0].action_hash)

    drive(node, use)


RAW_ANSWERS = {
    "no JSON": b"{",
    "an array": b"[]",
    "another version": b'{"jsonrpc":"1.0","id":1,"result":1}',
    "another id": b'{"jsonrpc":"2.0","id":7,"result":1}',
    "neither result nor error": b'{"jsonrpc":"2.0","id":1}',
    "an error that is none": b'{"jsonrpc":"2.0","id":1,"error":5}',
    "a page": b"<html>",
    "nothing": b"",
    "bad UTF-8": b'{"\xff":1}',
    "deep": b'{"a":' + b"[" * 100_000,
    "twice": b'{"jsonrpc":"2.0","id":1,"result":1,"result":2}',
}


@pytest.mark.parametrize("what", RAW_ANSWERS)
def test_answers_that_are_none(what):
    """Whatever comes back, the client raises `BadAnswer`."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=RAW_ANSWERS[what]))

    async def use():
        async with httpx.AsyncClient(transport=transport) as http, Client("http://node", http=http) as client:
            await client.call("height")

    with pytest.raises(BadAnswer):
        asyncio.run(use())


# --- confirmations and subscriptions ---------------------------------------------------------------------------------


def announce(node: RunningNode, level: str, height: int = 1) -> None:
    def change():
        node.double.level = level
        node.double.tell(height, {"height": height, "level": level})

    node.run(change)


@pytest.mark.parametrize("no_websocket", [False, True])
def test_waiting_for_a_level(node, no_websocket):
    """A level is waited for by subscription, or by asking where there is no WebSocket."""
    node.double.no_websocket = no_websocket

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        assert "C0" == (await client.wait(ack, "C0")).level
        assert "C1" == (await client.wait(ack, "C1")).level
        waiting = asyncio.create_task(client.wait(ack, "C3A", timeout=60))
        for level in ("C2", "C3B"):
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await asyncio.to_thread(announce, node, level)
        assert ("C3B", 1) == ((reached := await waiting).level, reached.height)
        return await client.wait(ack.action_hash, "C3B"), await client.wait(1, "C2")

    assert ["C3B", "C3B"] == [confirmation.level for confirmation in drive(node, use)]


def test_waiting_ends(node):
    """Too long, an invalid block, a level that there is not, an answer that is none."""

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        with pytest.raises(ConfirmationTimeout) as caught:
            await client.wait(ack, "C3B", timeout=1)
        assert (1, "C3B", "C1") == (caught.value.height, caught.value.wanted, caught.value.reached)
        with pytest.raises(UsageError):
            await client.wait(ack, "C4")
        waiting = asyncio.create_task(client.wait(ack, "C3B"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(announce, node, "C2X")
        with pytest.raises(BlockInvalid):
            await waiting
        await asyncio.to_thread(announce, node, "C9")
        with pytest.raises(BadAnswer):
            await client.wait(ack, "C3B")

    drive(node, use)


def test_a_rejected_action_is_as_far_as_an_executed_one(node):
    """C1X counts as C1, and does not as C2."""
    node.double.level = "C1X"

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        with pytest.raises(ConfirmationTimeout):
            await client.wait(ack, "C2", timeout=0.1)
        return await client.wait(ack, "C1")

    assert "C1X" == drive(node, use).level


@pytest.mark.parametrize("drop_after", [0, 4, 5, 6])
def test_subscriptions_resume(node, drop_after):
    """However often the connection is lost, every notification comes once, in order, twins included."""
    results = [(1, "a"), (1, "b"), (1, "b"), (2, "a"), (3, "a"), (3, "a"), (4, "z")]
    for cursor, name in results:
        node.double.tell(cursor, {"name": name})
    node.double.drop_after = drop_after

    async def use(client: Client):
        found = []
        async for notification in client.subscribe("events", cursor=1, sender=compute_address(ALICE)):
            found.append((notification.cursor, notification.result["name"]))
            if len(found) == len(results):
                return found
        raise AssertionError

    assert results == drive(node, use)
    first = node.double.subscribed[0]
    assert {"sender": f"0x{compute_address(ALICE).hex()}"} == first["filter"]


def test_a_flood_before_the_answer_is_refused():
    """A node that notifies without end before it has answered the subscription is not listened to for ever."""

    class Flood:
        async def send(self, *_, **__):
            pass

        async def __aiter__(self):
            while True:
                yield '{"jsonrpc":"2.0","method":"rollup_subscription","params":{"cursor":1,"result":{}}}'

    async def use():
        async for _ in _listen(Flood(), "blocks", None, None):
            raise AssertionError

    with pytest.raises(BadAnswer, match="without end"):
        asyncio.run(asyncio.wait_for(use(), 60))


def test_what_was_seen_is_remembered_within_bounds(monkeypatch):
    """At a cursor that stays, as while nothing settles, only the newest notifications are known again."""
    monkeypatch.setattr("microrollup.client.subscription._MAX_SEEN", 100)
    position = _Position(1)
    told = [Notification(1, {"number": number}) for number in range(250)]
    assert all(position.is_new(each) for each in told)
    assert 100 == len(position._seen)
    assert {32} == {len(known) for known in position._seen}
    position.resume()
    assert [False] * 100 == [position.is_new(each) for each in told[150:]]
    position.resume()
    assert position.is_new(told[0])


def test_what_has_come_further_is_not_news():
    """A receipt that is told again at a higher level, as after a lost connection, is known; another one is not."""
    position = _Position(1)
    assert position.is_new(Notification(1, {"seq": 1, "confirmation": "C0"}))
    position.resume()
    assert not position.is_new(Notification(1, {"seq": 1, "confirmation": "C2"}))
    assert position.is_new(Notification(1, {"seq": 2, "confirmation": "C0"}))
    position.resume()
    assert position.is_new(Notification(1, {"height": 1, "level": "C2"}))
    assert position.is_new(Notification(1, {"height": 1, "level": "C3A"}))


def test_senders_are_remembered_within_bounds(monkeypatch):
    """Nonces are counted for so many senders; one that is in use is not forgotten."""
    monkeypatch.setattr("microrollup.client.submitting._MAX_SENDERS", 3)
    submitter = Submitter(None)

    async def use():
        first = submitter._get_nonces(b"0")

        async def fetch():
            return 0

        first._fetch = fetch
        async with first.take():
            for number in range(1, 20):
                submitter._get_nonces(b"%d" % number)
                assert first is submitter._get_nonces(b"0")
        assert len(submitter._nonces) <= 4
        for number in range(20, 40):
            submitter._get_nonces(b"%d" % number)
        assert 3 == len(submitter._nonces)
        assert first is not submitter._get_nonces(b"0")

    asyncio.run(use())


def test_subscriptions_end(node):
    """A node that is gone for too long ends the iteration with an error; a client that is closed ends it quietly."""

    async def gone():
        async with Client("http://127.0.0.1:9", timeout=0.2) as client:
            async for _ in client.subscribe("blocks"):
                pass

    with pytest.raises(Unreachable):
        asyncio.run(gone())

    async def closed():
        client = Client(node.url)
        task = asyncio.create_task(anext(client.subscribe("blocks")))
        await asyncio.to_thread(wait_for, lambda: node.double.subscribed)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await task

    asyncio.run(closed())


# --- other apps, other ways ------------------------------------------------------------------------------------------


def test_an_app_with_every_kind_of_field():
    """Integers of all sizes, texts, lists and scalars, with the app's types and without."""
    with serve(zoo) as node:

        async def use(client: Client):
            ack = await client.submit(Edit([Step(0, 1, 2**63), Step(2, 5, 6), Step(4, 0, 0)], False), ALICE)
            assert ("executed", "") == (ack.status, ack.reason)
            return await client.get_proof("tickets", 5), await client.get_proof("visitors")

        ticket, visitors = drive(node, use, rollup=zoo)
        assert (6, True) == (ticket.stored, visitors.exists)

        async def without(client: Client):
            proven = await client.get_proof("tickets", 5)
            scalar = await client.get_proof("visitors")
            value = await client.get_state("tickets", 5)
            with pytest.raises(UsageError, match="not a settled field"):
                await client.get_proof("notes", b"x")
            with pytest.raises(UsageError, match="cannot be a key"):
                await client.get_proof("tickets", 1.5)
            return proven, scalar, value

        proven, scalar, value = drive(node, without, rollup=None)
        assert (ticket.value, visitors.value, 6) == (proven.value, scalar.value, value.value)
        refuse(node, UsageError, lambda client: client.get_state("nothing", 1), rollup=zoo)
        refuse(node, UsageError, lambda client: client.get_state("visitors", 1), rollup=zoo)
        refuse(node, ValueOutOfBounds, lambda client: client.get_state("tickets", -1), rollup=zoo)


def test_a_rollup_without_its_code():
    """An action class out of the node's EIP-712 types signs what the app's own class signs."""
    with serve(zoo) as node:

        async def use(client: Client):
            config = await client.get_config()
            cls = declare_action("Edit", config.get_action("Edit").types)
            return await client.submit(cls([], False), ALICE)

        assert "executed" == drive(node, use, rollup=None).status


NONCE = {"name": "nonce", "type": "uint64"}
BAD_TYPES = {
    "no nonce": {"A": [{"name": "x", "type": "uint8"}]},
    "no members": {"A": []},
    "an unknown type": {"A": [{"name": "x", "type": "uint7"}, NONCE]},
    "a struct that is missing": {"A": [{"name": "x", "type": "B"}, NONCE]},
    "a struct within itself": {"A": [{"name": "x", "type": "B"}, NONCE], "B": [{"name": "y", "type": "B[]"}]},
    "a name that is none": {"A": [{"name": "x y", "type": "bool"}, NONCE]},
    "no list": {"A": 5},
    "no objects": {"A": [5, NONCE]},
    "a bottomless array": {"A": [{"name": "x", "type": "B" + "[]" * 9}, NONCE]},
}


@pytest.mark.parametrize("what", BAD_TYPES)
def test_types_that_no_action_has(what):
    """Types from a node are read with suspicion."""
    assert declare_action("A", {"A": [{"name": "from", "type": "int256[]"}, NONCE]})([1]).from_ == [1]
    with pytest.raises(BadAnswer):
        declare_action("A", BAD_TYPES[what])
    with pytest.raises(UsageError):
        declare_action("B", {"A": [NONCE]})


def test_lines_need_the_types_that_the_node_claims(used):
    """A node whose types do not have the hashes that it claims is noticed."""
    lie(
        used,
        "config",
        lambda config: config | {"actions": [action | {"typeHash": "0x" + "00" * 32} for action in config["actions"]]},
    )
    refuse(used, ForeignNode, lambda client: client.submit_signed(b"{}"))


def test_the_synchronous_client(node):
    """The same without an event loop: submit, wait, read, prove, iterate."""
    with SyncClient(node.url, app) as client:
        ack = client.submit(make_register(0), ALICE)
        (event,) = read_events(ack.receipt, Registered)
        assert "C1" == client.wait(ack, "C1").level == client.get_confirmation(ack).level
        assert client.get_proof("accounts", event.key).stored == client.get_state("accounts", event.key).value
        assert ack == client.get_receipt_proof(ack.action_hash).acknowledgement
        assert ["executed"] == [outcome.status for outcome in client.submit_many([make_register(1)], ALICE)]
        assert (2, 2) == (client.get_height(), client.get_nonce(compute_address(ALICE)))
        assert client.get_header(2).height == client.call("height")["latest"]
        assert "keystore" == client.get_config().name
        line = msgspec.json.encode(msgspec.json.decode(node.double.lines[0]))
        assert [ack, ack] == [client.submit_signed(line), *client.submit_lines([line])]
        cursors = []
        for notification in client.subscribe("confirmations", cursor=0):
            cursors.append(notification.cursor)
            if len(cursors) == 2:
                break
        assert [1, 2] == cursors
        node.double.refusals = [RefusedCall(-32000, "no")]
        with pytest.raises(ActionRefused):
            client.submit(make_register(2), ALICE)
    client.close()


def test_a_light_package():
    """An app imports `microrollup` without any network library; `Client` and `SyncClient` are there when asked for, and
    bring the libraries when they connect.
    """
    script = (
        "import sys, microrollup; assert not {'httpx', 'websockets', 'microrollup.client'} & set(sys.modules);"
        "from microrollup import Client, SyncClient; assert not {'httpx', 'websockets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert (Client, SyncClient) == (microrollup.Client, microrollup.SyncClient)
    with pytest.raises(AttributeError, match="Cliant"):
        _ = microrollup.Cliant


# --- nonces alone ----------------------------------------------------------------------------------------------------


def test_numbers_of_a_sender():
    """Consumed numbers count on, free ones come again first, an unknown fate asks anew when all is quiet."""

    async def run():
        asked = iter([5, 7, 9])

        async def fetch() -> int:
            return next(asked)

        nonces = SenderNonces(fetch)
        taken = []

        async def take(fate: str) -> None:
            async with nonces.take() as slot:
                taken.append(slot.first)
                slot.fate = fate

        async with nonces.take() as slow:
            slow.fate = "consumed"
            await take("consumed")
            await take("free")
            await take("consumed")
            await take("consumed")
            await take("unknown")
            blocked = asyncio.create_task(take("consumed"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not blocked.done()
        await blocked
        assert [6, 7, 7, 8, 9, 7] == taken
        async with nonces.take_all(3) as several:
            several.fate = "consumed"
        await take("free")
        async with nonces.take_all(2) as again:
            again.fate = "consumed"
        assert (5, 8, 9) == (slow.first, several.first, again.first)

    asyncio.run(run())


def test_errors_have_one_root():
    """All errors of the client are `ClientError`s, and so `MicrorollupError`s; a hex that is bad is the kernel's."""
    assert issubclass(ClientError, MicrorollupError)
    assert issubclass(RpcError, ClientError)
    assert not issubclass(BadHex, ClientError)
    assert Bytes32 is not None


@pytest.mark.parametrize("code", ["domain_changed", "sender_mismatch"])
def test_after_an_upgrade_the_config_is_asked_for_again(node, code):
    """What was signed under the domain of another version is refused; the next action is signed after a look at it."""
    asked = []

    def note(method, answer):
        asked.extend([method] if method == "config" else [])
        return answer

    node.double.change = note
    node.double.refusals = [RefusedCall(-32000, "refused", {"code": code, "detail": "another version"})]

    async def submit_twice(client):
        with pytest.raises(ActionRefused):
            await client.submit(make_register(0), ALICE)
        return len(asked), await client.submit(make_register(0), ALICE)

    before, acknowledgement = drive(node, submit_twice)
    assert ("executed", 1, 2) == (acknowledgement.status, before, len(asked))
