"""The rollup of the relayer: what its envelope opens, what its state holds, and what is refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_abi.abi import encode
from msgspec.structs import replace

from apps.keystore.ucmt import (
    JUDGES,
    RootUpdate,
    app,
    compute_update_message,
    configure_multisig,
    encode_multisig,
    encode_node,
    grow_tree,
    judge_update,
    sign_ecdsa,
    sign_multisig,
)
from apps.keystore.ucmt.published import OWN_KEYSTORE, STACKUP_KEYSTORE, VERIFIERS
from apps.keystore.ucmt.rollup import RootHashUpdated, Ucmt
from apps.keystore.ucmt.signatures import SIGNATURES_ONLY_TAG
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import BadEnvelope
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import Senders, envelope, execute, next_block
from ucmt_world import KINDS, Node, User, encode_raw, list_deployments, make_key

JUDGE_AT = {address: JUDGES[kind] for address, kind, _ in VERIFIERS}
OPENER = EnvelopeOpener(app)
(CARRIER,) = Senders(1)


def refuse(raw: bytes) -> str:
    """Why bytes do not open."""
    with pytest.raises(BadEnvelope) as caught:
        OPENER.open("ucmt", raw)
    return str(caught.value).partition(": ")[2].strip("'\"")


def try_open(raw: bytes) -> str:
    """Why bytes do not open; empty if they do."""
    try:
        OPENER.open("ucmt", raw)
    except BadEnvelope as error:
        return str(error)
    return ""


def step(update: RootUpdate) -> Any:
    return envelope("ucmt", encode_raw(update))


def outcomes(*updates: RootUpdate) -> list[tuple[str, str]]:
    run = execute(app, [step(update) for update in updates])
    return [(outcome.status, outcome.reason.partition(":")[0]) for outcome in run.outcomes]


def test_published_addresses_are_those_of_the_artifacts() -> None:
    """Those of the keystore and verifiers here are where the proxy deploys them."""
    own = [OWN_KEYSTORE, *[address for address, _, keystore in VERIFIERS if keystore == OWN_KEYSTORE]]
    assert own == list(list_deployments())


@pytest.mark.parametrize("keystore", [OWN_KEYSTORE, STACKUP_KEYSTORE], ids=["own", "stackup"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_updates(kind: str, keystore: bytes) -> None:
    """A rotation away from each kind and one to it; the hash is the message; the contract's judges agree."""
    user = User(kind, kind, keystore=keystore)
    updates = [user.rotate("ecdsa"), user.rotate(kind, key=2**192 - 1), user.rotate(keep=True)]
    run = execute(app, [step(update) for update in updates])
    assert ["executed"] * 3 == [outcome.status for outcome in run.outcomes]
    root = user.ref_hash
    for update in updates:
        assert compute_update_message(update) == OPENER.open("ucmt", encode_raw(update), twice=True).hash
        assert judge_update(update, JUDGE_AT, root=root, sequence=update.nonce & 2**64 - 1)
        root = update.next_hash
    place = (user.ref_hash, user.account)
    assert [(place, user.tree.root)] == list(run.state.roots.items())
    assert {0: 2, 2**192 - 1: 1} == {key: count for (_, key, _), count in run.state.nonces.items()}
    assert keystore == run.state.keystores[place]
    assert (RootHashUpdated(user.ref_hash, user.account, updates[0].next_hash, 0),) == run.outcomes[0].events


def test_what_the_state_refuses() -> None:
    """A nonce that is not the next, a proof under another root, another keystore than the account's."""
    user = User("state")
    first, second, third = user.rotate(), user.rotate(), user.rotate(key=1)
    late = ("rejected", "InvalidNonce")
    assert [late, ("executed", ""), late, ("executed", "")] == outcomes(second, first, first, second)
    assert ("rejected", "InvalidProof") == outcomes(first, third)[1]
    assert [("executed", "")] * 3 == outcomes(first, second, third)
    nodes = [Node("ecdsa", "both", keystore) for keystore in (OWN_KEYSTORE, STACKUP_KEYSTORE)]
    tree = grow_tree([keccak256(node.bytes) for node in nodes])
    updates = []
    for place, node in enumerate(nodes):
        update = RootUpdate(
            ref_hash=tree.root, next_hash=tree.root, nonce=place, account=bytes(20), proof=tree.prove(place),
            node=node.bytes, next_proof=tree.prove(place),
        )  # fmt: skip
        updates.append(replace(update, data=node.sign(compute_update_message(update))))
    assert [("executed", ""), ("rejected", "another keystore than the account's")] == (outcomes(*updates))


def test_the_last_sequence_is_never_used() -> None:
    """The contract would revert at it; and nonce keys of 192 bits do not run into each other."""
    user = User("last")
    user.sequences[3] = 2**64 - 1
    genesis = Ucmt()
    line = (user.ref_hash, 3, user.account)
    state = replace(genesis, nonces=genesis.nonces.set(line, 2**64 - 1))
    run = execute(app, [step(user.rotate(key=3))], state=state)
    assert "InvalidNonce: the last one is never used" == run.outcomes[0].reason


def test_messages_that_are_refused() -> None:
    """What no keystore contract would take, or only the contract of one chain."""
    user = User("refused")
    good = user.rotate()
    assert "useChainId: of one chain alone" == refuse(encode_raw(replace(good, use_chain_id=True)))
    assert refuse(encode_raw(replace(good, proof=None, node=keccak256(good.node)))).startswith("UnregisteredProof")
    assert refuse(encode_raw(replace(good, next_proof=()))).startswith("InvalidNextProof")
    assert refuse(encode_raw(replace(good, node=b"short"))).startswith("InvalidNode")
    assert "not signed by the node" == refuse(encode_raw(replace(good, account=bytes(20))))
    assert "not signed by the node" == refuse(encode_raw(replace(good, next_data=good.data)))
    assert "nextData without a nextNode" == refuse(
        encode_raw(replace(User("kept").rotate(keep=True), next_data=b"padding"))
    )
    stranger = User("verifier")
    stranger.node.bytes = b"\x66" * 20 + stranger.node.bytes[20:]
    stranger.tree = stranger._grow(stranger.node)
    assert "unknown verifier" == refuse(encode_raw(stranger.rotate()))
    mixed = User("mixed")
    mixed.keystore = STACKUP_KEYSTORE
    assert "verifiers of different keystores" == refuse(encode_raw(mixed.rotate()))


def test_padded_signatures_are_refused() -> None:
    """Forms that the contracts take, and with which a stranger could make a signed update longer or another one."""
    user = User("padded")
    good = user.rotate()
    operation = encode(
        ["(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"],
        [("0x" + "00" * 20, 0, b"", bytes(1_000), bytes(32), 0, bytes(32), b"", good.data)],
    )
    high = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(good.data[32:64], "big")
    flipped = good.data[:32] + high.to_bytes(32, "big") + bytes((55 - good.data[64],))
    for data in (operation, flipped, good.data[:64] + bytes((good.data[64] - 27,))):
        padded = replace(good, data=data)
        assert data[-1] < 2 or judge_update(padded, JUDGE_AT)
        assert refuse(encode_raw(padded))
    refuse(encode_raw(good) + bytes(32))
    refuse(encode_raw(good)[:-32])


def make_multisig(threshold: int, count: int) -> tuple[list[Any], RootUpdate]:
    """Keys of the owners in their order, and an update that their node has to sign."""
    keys = sorted([make_key(f"owner {number}") for number in range(count)], key=compute_address)
    (verifier,) = [address for address, kind, keystore in VERIFIERS if (kind, keystore) == ("multisig", OWN_KEYSTORE)]
    node = encode_node(verifier, configure_multisig(threshold, [compute_address(key) for key in keys]))
    root = keccak256(node)
    return keys, RootUpdate(
        ref_hash=root, next_hash=root, nonce=0, account=bytes(20), proof=(), node=node, next_proof=()
    )


def test_signatures_of_several_owners() -> None:
    """The threshold counts owners; duplicates, strangers, other orders and one too few are refused."""
    keys, update = make_multisig(3, 5)
    message, owners = compute_update_message(update), [compute_address(key) for key in keys]
    signed = {index: sign_ecdsa(key, message) for index, key in enumerate(keys)}

    def give(*pairs: tuple[int, bytes]) -> bytes:
        encoded = encode(["(uint8,bytes)[]"], [pairs])
        return encode_raw(replace(update, data=SIGNATURES_ONLY_TAG + encoded))

    assert OPENER.open("ucmt", encode_raw(replace(update, data=sign_multisig(keys[1:4], owners, message))))
    assert OPENER.open("ucmt", give(*signed.items()))
    assert "not signed by the node" == refuse(give(*list(signed.items())[:2]))
    in_order = "signatures: not in their owners' order"
    assert in_order == refuse(give((0, signed[0]), (0, signed[0]), (1, signed[1])))
    assert in_order == refuse(give((2, signed[2]), (1, signed[1]), (0, signed[0])))
    assert in_order == refuse(give((0, signed[0]), (1, signed[1]), (5, signed[2])))
    assert "not signed by the node" == refuse(give(*list(signed.items())[:3], (4, signed[3])))
    for threshold in (0, 6):
        node = update.node[:20] + threshold.to_bytes(32, "big") + update.node[52:]
        root = keccak256(node)
        changed = replace(update, node=node, ref_hash=root, next_hash=root)
        data = SIGNATURES_ONLY_TAG + encode_multisig({})
        assert refuse(encode_raw(replace(changed, data=data))) == "threshold or number of owners"


def test_the_largest_update_opens_within_its_steps() -> None:
    """Fifty-six signatures, 255 owners, or proofs of hundreds of hashes, that fill an envelope."""
    keys, update = make_multisig(56, 56)
    data = sign_multisig(keys, [compute_address(key) for key in keys], compute_update_message(update))
    raw = encode_raw(replace(update, data=data))
    assert 15_000 < len(raw) <= 16_000
    OPENER.open("ucmt", raw)
    keys, update = make_multisig(1, 255)
    data = sign_multisig(keys[254:], [compute_address(key) for key in keys], compute_update_message(update))
    OPENER.open("ucmt", encode_raw(replace(update, data=data)))
    user = User("deep")
    good = user.rotate()
    long = replace(good, proof=(bytes(32),) * 450)
    assert 15_000 < len(encode_raw(long)) <= 16_000
    OPENER.open("ucmt", encode_raw(long))  # under some other root: the state refuses it
    assert [("rejected", "InvalidProof")] == outcomes(long)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(kind: str) -> None:
    """Of bytes with one bit flipped, whatever opens is an update that the contracts' judges take too."""
    draw = random.Random(f"damage {kind}")
    good = encode_raw(User(f"damage {kind}", kind).rotate(kind))
    opened = 0
    for _ in range(150):
        damaged = bytearray(good)
        damaged[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        opened += not try_open(bytes(damaged))  # the proof alone is judged by the state
    assert opened < 40
    for size in range(0, len(good), 97):
        refuse(good[:size].ljust(20, b"\0"))


def test_hostile_words() -> None:
    """Offsets and lengths of 2^256 - 1, arrays that point at themselves."""
    good = encode_raw(User("words").rotate())
    for at in range(4, len(good) - 31, 32):
        for word in (b"\xff" * 32, bytes(32), (2**64).to_bytes(32, "big"), (32).to_bytes(32, "big")):
            changed = good[:at] + word + good[at + 32 :]
            assert "limit" not in try_open(changed)


def make_steps() -> list[Any]:
    """All kinds, carried and handed in, late and damaged."""
    users = [User(f"steps {kind}", kind) for kind in KINDS]
    updates = [
        [user.rotate(kind), user.rotate(key=1), user.rotate(keep=True)] for user, kind in zip(users, KINDS, strict=True)
    ]
    steps: list[Any] = []
    for first, second, third in updates:
        steps += [step(second), step(first), next_block(), step(second), step(first), next_block()]
        steps += [envelope("ucmt", encode_raw(third), l1_sender=CARRIER)]
        steps += [envelope("ucmt", encode_raw(third)[:-1], l1_sender=CARRIER), next_block()]
    return steps


def test_steps() -> None:
    """What the determinism test compares does what it is for."""
    statuses = [outcome.status for outcome in execute(app, make_steps()).outcomes]
    assert 12 == statuses.count("executed")


@pytest.mark.slow
def test_every_process_agrees() -> None:
    """Outcomes, events and changed entries are equal to the byte."""
    assert_deterministic(app, make_steps())
