"""The contract's rules are the Python rules: both judge the same settlements, at random, with the same words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
import rlp
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from contract_calls import Contract, Reverted
from l1_fixtures import Anvil, run_anvil
from microrollup.chain.block import Header, compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.contracts import load_artifact
from microrollup.crypto.bls_shares import add_signatures, expand_signature, load_bls_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    compute_attestation_digest,
    create_attestation,
    sign_attestation,
)
from microrollup.settlement.batch import compute_blob_data_hash, compute_data_hash
from microrollup.settlement.errors import SettlementError
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, compute_queue_hash
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS, InboxState, compute_genesis_head, verify_settlement
from microrollup.settlement.protocol import SettledHead
from microrollup.settlement.quorum import BatchProof, join_signatures, verify_signatures
from microrollup.settlement.verifiers import BLS, COUNT, VerifierRule, VerifierSet, encode_page, sort_keys
from microrollup.testing.settlement_harness import STF_ID, VERIFIER_KEYS, make_genesis, make_key

ARTIFACT = load_artifact("RollupInbox")
STRANGER_KEY = make_key("stranger")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HALF_ORDER = ORDER // 2
QUEUE = 70
NEW_CODE = keccak256(b"new code")
NEW_VERIFIERS = VerifierSet(tuple(sorted([compute_address(key) for key in (*VERIFIER_KEYS[1:], STRANGER_KEY)])), 3)


class World:
    """An inbox with a past: a settled batch, a queue longer than a block takes, announced changes."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.builder_changed = self.verifiers_changed = self.code_changed = 1 << 64
        self.owner, self.builder, self.successor, self.user = anvil.call("eth_accounts")[:4]
        anvil.mine(20)
        self.genesis = msgspec.structs.replace(
            make_genesis(5, int(anvil.call("eth_getBlockByNumber", hex(5), False)["timestamp"], 16)),
            builder=to_bytes(self.builder),
        )
        self.rollup_id = compute_rollup_id(self.genesis)
        self.contract = Contract.deploy(
            anvil, ARTIFACT, [*encode_genesis(self.genesis), self.owner, STF_ID], self.owner
        )
        self.inbox = to_bytes(self.contract.address)
        number, time = self.read_block()
        self.head = compute_genesis_head(self.genesis, number, time)
        self.queue = [EMPTY_QUEUE_HASH]
        self.inclusion: list[int] = []
        self.force(5)
        self.settle_first()
        self.force(QUEUE - 5)
        self.builder_changed = self.announce("changeBuilder", self.successor)
        self.verifiers_changed = self.announce(
            "changeVerifiers", (0, NEW_VERIFIERS.addresses, NEW_VERIFIERS.quorum, [])
        )
        self.code_changed = self.announce("announceCode", NEW_CODE)
        anvil.mine(3)
        self.number, self.time = self.read_block()

    def read_block(self) -> tuple[int, int]:
        """Number and time of the newest L1 block."""
        block = self.anvil.call("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), int(block["timestamp"], 16)

    def announce(self, name: str, *arguments: Any) -> int:
        receipt = self.contract.send(name, *arguments, sender=self.owner)
        return int(receipt["blockNumber"], 16) + CHANGE_DELAY_BLOCKS

    def force(self, count: int) -> None:
        for index in range(count):
            payload = b"payload %d" % index
            number = int(self.contract.send("force", payload, sender=self.user)["blockNumber"], 16)
            self.queue.append(compute_queue_hash(self.queue[-1], to_bytes(self.user), number, payload))
            self.inclusion.append(number)

    def settle_first(self) -> None:
        """A batch that takes three of five."""
        _, time = self.read_block()
        header = Header(
            self.rollup_id, 4, keccak256(b"3"), time, STF_ID, self.inclusion[3] - 1, 3,
            self.queue[3], 0, 3, keccak256(b"a"), keccak256(b"r"), keccak256(b"s"), bytes(32),
        )  # fmt: skip
        attestation = create_attestation(self.head.block_hash, 1, header, compute_data_hash(b"first"))
        attestations = [self.sign(key, attestation) for key in VERIFIER_KEYS[:2]]
        self.contract.send(
            "settleCalldata", header_words(header), claim_of(attestation), join(attestations), b"first",
            sender=self.builder,
        )  # fmt: skip
        number, time = self.read_block()
        state = self.get_state(number, time, header)
        self.head, _ = verify_settlement(state, b"first", header, attestations, to_bytes(self.builder))

    def sign(self, key: PrivateKey, attestation: BatchAttestation) -> SignedAttestation:
        return sign_attestation(key, attestation, self.genesis.l1_chain_id, self.inbox)

    def get_state(self, number: int, time: int, header: Header) -> InboxState:
        """The state that the Python rules are asked with, from what was done, not from what the contract says."""
        length = len(self.inclusion)
        taken = min(header.forced_count, length)
        return InboxState(
            rollup_id=self.rollup_id,
            chain_id=self.genesis.l1_chain_id,
            inbox=self.inbox,
            settled_stf_id=STF_ID,
            number=number,
            time=time,
            head=self.head,
            builder=to_bytes(self.successor if number >= self.builder_changed else self.builder),
            verifiers=(
                NEW_VERIFIERS
                if number >= self.verifiers_changed
                else VerifierSet(self.genesis.verifiers, self.genesis.quorum)
            ),
            queue_length=length,
            forced_hash=self.queue[taken],
            next_inclusion_block=self.inclusion[taken] if taken < length else None,
            stf_id=NEW_CODE if header.l1_origin >= self.code_changed else STF_ID,
        )


def to_bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def encode_genesis(genesis: Genesis) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The constructor's first two arguments."""
    return msgspec.structs.astuple(genesis)[1:-1], msgspec.structs.astuple(genesis.domain)


def header_words(header: Header) -> tuple[int | bytes, ...]:
    return msgspec.structs.astuple(header)


def claim_of(attestation: BatchAttestation) -> tuple[int, bytes, bytes]:
    return attestation.first_height, attestation.parent_hash, attestation.data_hash


def join(attestations: Sequence[SignedAttestation]) -> bytes:
    return b"\0" + b"".join(signed.signature for signed in attestations)


def to_snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found.group(1).lower(), name)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with run_anvil(timestamp=1_800_000_000) as anvil:
        yield World(anvil)


def near(*values: int) -> st.SearchStrategy[int]:
    """Numbers at and beside some, and anything."""
    beside = st.builds(lambda value, delta: max(value + delta, 0), st.sampled_from(values), st.integers(-1, 1))
    return beside | st.integers(0, (1 << 64) - 1)


words = st.sampled_from([bytes(32), keccak256(b"other")])


class Trial(msgspec.Struct):
    """A settlement to judge."""

    number: int
    time: int
    submitter: bytes
    header: Header
    attestation: BatchAttestation
    attestations: tuple[SignedAttestation, ...]
    batch: bytes


@st.composite
def trials(draw: st.DrawFn, world: World) -> Trial:
    """A settlement that both take, and then up to two things about it changed."""
    head, number = world.head, world.number
    jump = draw(st.sampled_from([0, 0, 0, 7_000, 7_300, 14_500, CHANGE_DELAY_BLOCKS + 10]))
    number, time = number + jump, world.time + 12 * jump
    changes = draw(st.lists(st.sampled_from(CHANGES), max_size=2))
    if "block" in changes:
        bounds = (
            head.l1_number + 7_200, world.builder_changed, world.verifiers_changed, world.code_changed + 2,
            head.l1_origin + 14_400,
        )  # fmt: skip
        number = min(max(draw(near(*bounds)), number), 1 << 32)
    taken = draw(st.sampled_from([67, 67, 68, QUEUE, 66]))
    header = Header(
        world.rollup_id, head.height + draw(st.integers(1, 9)), keccak256(b"p"), time, STF_ID,
        max(number - 1 - draw(st.integers(0, 3)), 0), taken, world.queue[taken], 3, 1,
        keccak256(b"a"), keccak256(b"r"), keccak256(b"s"), bytes(32),
    )  # fmt: skip
    values = header_values(world, number, time)
    header = msgspec.structs.replace(header, **{word: draw(values[word]) for word in values if word in changes})
    if "wide" in changes:
        header = msgspec.structs.replace(header, **draw(st.dictionaries(st.sampled_from(NUMBERS), wide, min_size=1)))
    batch = draw(st.binary(max_size=100))
    attestation = create_attestation(head.block_hash, head.height + 1, header, compute_data_hash(batch))
    if "claim" in changes:
        attestation = msgspec.structs.replace(attestation, **draw(claim_changes(head)))
    keys = [*VERIFIER_KEYS[1:], STRANGER_KEY] if number >= world.verifiers_changed else list(VERIFIER_KEYS)
    if "signers" in changes:
        keys = draw(st.lists(st.sampled_from([*VERIFIER_KEYS, *VERIFIER_KEYS, STRANGER_KEY]), max_size=4))
    signed = [world.sign(key, attestation) for key in keys]
    if "signature" in changes and signed:
        place = draw(st.integers(0, len(signed) - 1))
        signed[place] = draw(bent(signed[place], draw(domains(world)), keys[place]))
    if "attested before" in changes:
        header = msgspec.structs.replace(header, actions_root=keccak256(b"late"))
        late = create_attestation(attestation.parent_hash, attestation.first_height, header, attestation.data_hash)
        signed = [SignedAttestation(late, one.signature) for one in signed]
        attestation = late
    if "data" in changes:
        batch += b"more"
    submitter = to_bytes(world.successor if number >= world.builder_changed else world.builder)
    if "submitter" in changes:
        submitter = to_bytes(draw(st.sampled_from([world.builder, world.successor, world.user])))
    if not signed:  # with no attestation the Python rules have no claim to compare
        attestation = create_attestation(head.block_hash, head.height + 1, header, compute_data_hash(batch))
    return Trial(number, time, submitter, header, attestation, tuple(signed), batch)


NUMBERS = [name for name, annotation in Header.__annotations__.items() if annotation == "Uint64"]
wide = st.sampled_from([0, (1 << 64) - 1, 1 << 64, (1 << 256) - 1]) | st.integers(0, (1 << 256) - 1)

CHANGES = (
    "wide", "block", "rollup_id", "height", "timestamp", "l1_origin", "forced_count", "forced_hash", "state_root",
    "stf_id", "claim", "signers", "signature", "signature", "attested before", "data", "submitter",
)  # fmt: skip


def header_values(world: World, number: int, time: int) -> dict[str, st.SearchStrategy[Any]]:
    """Words of the header, near the bounds of their rules."""
    head, dues = world.head, world.inclusion[3:6]
    return {
        "rollup_id": words,
        "height": near(head.height),
        "timestamp": near(head.timestamp, time),
        "l1_origin": near(head.l1_origin, number, max(number - 14_400, 0), world.code_changed, *dues),
        "forced_count": near(2, 3, 67, QUEUE),
        "forced_hash": words | st.sampled_from(world.queue),
        "state_root": words,
        "stf_id": words | st.just(NEW_CODE),
    }


def claim_changes(head: SettledHead) -> st.SearchStrategy[dict[str, int | bytes]]:
    """One member of the claim."""
    return st.one_of(
        st.fixed_dictionaries({"first_height": near(head.height + 1)}),
        st.fixed_dictionaries({"parent_hash": words}),
        st.fixed_dictionaries({"data_hash": words}),
    )


def domains(world: World) -> st.SearchStrategy[tuple[int, bytes]]:
    """A chain and an inbox, not both ours."""
    return st.sampled_from([(1, world.inbox), (31337, ZERO_ADDRESS), (31337, to_bytes(world.user))])


@st.composite
def bent(draw: st.DrawFn, signed: SignedAttestation, domain: tuple[int, bytes], key: PrivateKey) -> SignedAttestation:
    """The signature in another form, damaged, or for another place."""
    r, s, v = signed.signature[:32], int.from_bytes(signed.signature[32:64], "big"), signed.signature[64]
    signature = draw(
        st.sampled_from(
            [
                r + (ORDER - s).to_bytes(32, "big") + bytes((55 - v,)),
                r + HALF_ORDER.to_bytes(32, "big") + bytes((v,)),
                r + (HALF_ORDER + 1).to_bytes(32, "big") + bytes((v,)),
                signed.signature[:64] + bytes((v - 27,)),
                signed.signature[:64] + bytes((55 - v,)),
                bytes(32) + signed.signature[32:],
                ORDER.to_bytes(32, "big") + signed.signature[32:],
                r + bytes(32) + bytes((v,)),
                bytes(65),
                sign_attestation(key, signed.attestation, *domain).signature,
            ]
        )
        | st.binary(min_size=65, max_size=65)
    )
    return SignedAttestation(signed.attestation, signature)


def name_error(error: SettlementError) -> Reverted:
    """An error of the Python rules, in the contract's words."""
    (entry,) = [e for e in ARTIFACT.abi if e["type"] == "error" and e["name"] == type(error).__name__]
    return Reverted(entry["name"], {i["name"]: getattr(error, to_snake(i["name"])) for i in entry["inputs"]})


def judge_in_python(world: World, trial: Trial) -> Reverted | None:
    """The error of the Python rules, if any."""
    state = world.get_state(trial.number, trial.time, trial.header)
    try:
        verify_settlement(state, trial.batch, trial.header, trial.attestations, trial.submitter)
    except SettlementError as error:
        return name_error(error)
    return None


def judge_on_chain(world: World, trial: Trial) -> Reverted | None:
    """The contract's error for the same settlement, if any."""
    answer = world.contract.call(
        "settleCalldata", header_words(trial.header), claim_of(trial.attestation), join(trial.attestations),
        trial.batch, sender="0x" + trial.submitter.hex(), block={"number": hex(trial.number), "time": hex(trial.time)},
    )  # fmt: skip
    return answer if isinstance(answer, Reverted) else None


class BlsWorld(World):
    """The same; from `bls_from` on the verifiers have BLS keys, and from `rules_from` on proofs count besides."""

    def __init__(self, anvil: Anvil) -> None:
        super().__init__(anvil)
        self.keys = {key.public: key for key in [load_bls_key(bytes(31) + bytes((i,))) for i in range(1, 12)]}
        order = sort_keys(self.keys)
        for part in (order[:4], order[4:]):
            words = encode_page(part, [self.keys[key].prove_possession() for key in part])
            self.contract.send("registerKeys", *words, sender=self.user)
        # A page is created by the inbox: its address follows from how many contracts the inbox has made.
        made = int(anvil.call("eth_getTransactionCount", self.contract.address, "latest"), 16)
        pages = [compute_created(self.inbox, made - 2), compute_created(self.inbox, made - 1)]
        self.bls = VerifierSet(tuple(pages), 6, BLS, keys=tuple(order))
        self.bls_from = self.announce("changeVerifiers", (1, self.bls.addresses, 6, []))
        rule = VerifierRule(COUNT, ABSENT_VERIFIER, 3)
        self.with_rules = VerifierSet(tuple(pages), 8, BLS, (rule,), tuple(order))
        self.rules_from = self.announce("changeVerifiers", (1, self.bls.addresses, 8, [(COUNT, ABSENT_VERIFIER, 3)]))
        self.number, self.time = self.read_block()


ABSENT_VERIFIER = b"\x77" * 20


def compute_created(creator: bytes, nonce: int) -> bytes:
    """The address of what a contract creates (CREATE)."""
    return keccak256(rlp.encode([creator, nonce]))[12:]


@pytest.fixture(scope="module")
def bls_world() -> Iterator[BlsWorld]:
    with run_anvil(timestamp=1_800_000_000) as anvil:
        yield BlsWorld(anvil)


def judge_signatures(world: BlsWorld, number: int, make: Callable[[bytes], bytes]) -> tuple[Any, Any]:
    """What both say to a batch that is right but for its signatures, in L1 block `number`; `make` gets the digest."""
    time = world.time + 12 * (number - world.number)
    header = Header(
        world.rollup_id, world.head.height + 1, keccak256(b"p"), time, STF_ID, number - 1, QUEUE, world.queue[QUEUE],
        3, 1, keccak256(b"a"), keccak256(b"r"), keccak256(b"s"), bytes(32),
    )  # fmt: skip
    attestation = create_attestation(world.head.block_hash, world.head.height + 1, header, compute_data_hash(b"b"))
    digest = compute_attestation_digest(attestation, world.genesis.l1_chain_id, world.inbox)
    signatures = make(digest)
    expected = None
    try:
        verify_signatures(world.with_rules if number >= world.rules_from else world.bls, digest, signatures)
    except SettlementError as error:
        expected = name_error(error)
    answer = world.contract.call(
        "settleCalldata", header_words(header), claim_of(attestation), signatures, b"b", sender=world.successor,
        block={"number": hex(number), "time": hex(time)},
    )  # fmt: skip
    return expected, answer if isinstance(answer, Reverted) else None


@st.composite
def aggregates(draw: st.DrawFn, world: BlsWorld, digest: bytes) -> bytes:
    """What some of the keys sign, and then perhaps something wrong about it."""
    members = list(world.bls.keys)
    signers = draw(st.lists(st.sampled_from(members), min_size=1, max_size=11, unique=True))
    what = draw(st.sampled_from(["", "", "", "bit", "byte", "length", "kind", "text", "infinity", "form"]))
    text = keccak256(b"other") if what == "text" else digest
    shares = [world.keys[key].sign(text) for key in signers]
    absent = bytearray(2)
    for place, key in enumerate(members):
        if key not in signers:
            absent[place // 8] |= 1 << (place % 8)
    raw = bytearray(b"\1" + expand_signature(add_signatures(shares)) + absent)
    if what == "bit":
        place = draw(st.integers(0, 15))
        raw[129 + place // 8] ^= 1 << (place % 8)
    if what == "byte":
        raw[draw(st.integers(0, 128))] ^= draw(st.integers(1, 255))
    if what == "infinity":
        raw[1:129] = bytes(128)
    if what == "form":  # x plus the prime is another form of the same number
        x = int.from_bytes(raw[1:65], "big") + FIELD_PRIME
        raw[1:65] = x.to_bytes(64, "big")
    if what == "length":
        return bytes(raw)[: draw(st.integers(0, 130))] + draw(st.binary(max_size=3))
    if what == "kind":
        raw[0] = draw(st.integers(0, 255))
    return bytes(raw)


FIELD_PRIME = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB


def test_aggregates_are_judged_alike(bls_world: BlsWorld) -> None:
    """Any signatures of a set of BLS keys are taken or refused, with the same words, by the contract and in Python."""
    seen: set[str] = set()

    @settings(max_examples=120, deadline=None)
    @given(st.data())
    def judge(data: st.DataObject) -> None:
        expected, found = judge_signatures(
            bls_world, bls_world.bls_from, lambda digest: data.draw(aggregates(bls_world, digest))
        )
        seen.add("" if expected is None else expected.name)
        assert expected == found

    judge()
    assert {"", "TooFewAttestations", "WrongAggregate", "WrongAggregateLength", "WrongKind", "BadBitmap"} <= seen


def test_proofs_are_judged_alike_but_for_the_proof(bls_world: BlsWorld) -> None:
    """The bytes around proofs are judged alike; the proof itself is believed in Python, and refused by the contract."""
    seen: set[str] = set()
    places = {key: place for place, key in enumerate(bls_world.bls.keys)}

    def make(data: st.DataObject, digest: bytes) -> bytes:
        count = data.draw(st.integers(4, 11))
        signers = sorted(places, key=places.__getitem__)[:count]
        signed = [SignedAttestation(NOTHING, bls_world.keys[key].sign(digest), key) for key in signers]
        given = data.draw(st.lists(st.integers(0, 2), max_size=2))
        raw = join_signatures(bls_world.with_rules, digest, signed, [BatchProof(rule, b"proof") for rule in given])
        if data.draw(st.booleans()):
            raw += data.draw(st.binary(max_size=33))
        return raw

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def judge(data: st.DataObject) -> None:
        expected, found = judge_signatures(bls_world, bls_world.rules_from, lambda digest: make(data, digest))
        seen.add("" if found is None else found.name)
        if found is not None and found.name == "RuleUnmet":
            return  # no code is there
        assert expected == found

    judge()
    assert {"", "TooFewAttestations", "RuleUnmet", "UnknownRule", "WrongEncoding"} <= seen


NOTHING = BatchAttestation(bytes(32), 1, 1, bytes(32), bytes(32), bytes(32), bytes(32))


def test_past_is_the_same(world: World) -> None:
    """What was settled and queued for real stands in the contract as the Python rules computed it."""
    assert msgspec.structs.astuple(world.head) == world.contract.call("settled")[0][:7]
    assert world.queue == [world.contract.call("queueHash", index)[0] for index in range(QUEUE + 1)]
    assert [(number, 0) for number in world.inclusion] == [world.contract.call("entry", i) for i in range(QUEUE)]
    later = {"number": hex(world.verifiers_changed)}
    assert world.genesis.quorum == world.contract.call("verifiers", block={"number": hex(world.number)})[0][2]
    ((kind, addresses, quorum, rules),) = world.contract.call("verifiers", block=later)
    assert NEW_VERIFIERS == VerifierSet(tuple([to_bytes(address) for address in addresses]), quorum, kind, rules)
    assert (world.successor,) == world.contract.call("builder", block=later)


def test_storage_that_others_prove(world: World) -> None:
    """`eth_getProof` of slots 0, 1 and 2 gives root, numbers and hash of the head, at the documented places."""
    slots = [f"0x{slot:064x}" for slot in range(3)]
    proof = world.anvil.call("eth_getProof", world.contract.address, slots, "latest")
    root, packed, block_hash = [int(slot["value"], 16) for slot in proof["storageProof"]]
    head, l1_time = world.head, world.contract.call("settled")[0][7]
    assert (head.state_root, head.block_hash) == (root.to_bytes(32, "big"), block_hash.to_bytes(32, "big"))
    numbers = []
    for bits in (64, 32, 40, 40, 40, 40):  # from the lowest
        numbers.append(packed % (1 << bits))
        packed >>= bits
    assert [head.height, head.forced_count, head.timestamp, head.l1_origin, head.l1_number, l1_time] == numbers
    assert 0 == packed


def test_contract_judges_as_python_does(world: World) -> None:
    """For any settlement the contract's error, name and arguments, is that of the Python rules; or both take it."""
    seen = set()

    @settings(max_examples=1_000, deadline=None, derandomize=True, database=None)
    @given(trials(world))
    def judge(trial: Trial) -> None:
        expected = judge_in_python(world, trial)
        seen.add("" if expected is None else expected.name)
        assert expected == judge_on_chain(world, trial)

    judge()
    rules = {
        "", "NotBuilder", "HeaderOutOfRange", "WrongRollupId", "WrongStfId", "HeightGap", "StaleTimestamp",
        "FutureTimestamp", "BadOrigin", "UnknownEntry", "ForcedSkipped", "WrongForcedHash", "WrongParent", "WrongData",
        "MalleableSignature", "ForeignAttester", "DuplicateAttester", "TooFewAttestations",
    }  # fmt: skip
    assert set() == rules - seen


@st.composite
def geneses(draw: st.DrawFn, world: World) -> Genesis:
    """A genesis that can be, and then up to two things about it changed."""
    changes = draw(
        st.lists(st.sampled_from(["verifiers", "quorum", "builder", "genesis_time", "l1_start"]), max_size=2)
    )
    verifiers = draw(st.lists(st.sampled_from([*world.genesis.verifiers, ZERO_ADDRESS]), max_size=4))
    values: dict[str, st.SearchStrategy[Any]] = {
        "verifiers": st.sampled_from([tuple(verifiers), tuple(sorted(set(verifiers)))]),
        "quorum": near(0, 2, 3),
        "builder": st.just(ZERO_ADDRESS),
        "genesis_time": near(world.time),
        "l1_start": near(world.number),
    }
    return msgspec.structs.replace(world.genesis, **{name: draw(values[name]) for name in changes})


def test_constructor_judges_as_python_does(world: World) -> None:
    """The same for a genesis."""
    seen = set()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(geneses(world))
    def judge(genesis: Genesis) -> None:
        expected: Reverted | None = None
        try:
            compute_genesis_head(genesis, world.number, world.time)
        except SettlementError as error:
            expected = name_error(error)
        seen.add("" if expected is None else expected.name)
        arguments = [*encode_genesis(genesis), world.owner, STF_ID]
        block = {"number": hex(world.number), "time": hex(world.time)}
        answer = world.contract.call_creation(ARTIFACT, arguments, block)
        assert expected == (answer if isinstance(answer, Reverted) else None)

    judge()
    assert {"", "BadQuorum", "FutureTimestamp", "BadOrigin"} == seen


def test_hash_over_blobs(world: World) -> None:
    """The contract hashes a transaction's versioned hashes as Python does; with one less it says so."""
    number, time = world.number, world.time
    blobs = [b"\x01" + keccak256(b"%d" % index)[1:] for index in range(6)]
    header = Header(
        world.rollup_id, 9, keccak256(b"p"), time, STF_ID, number - 1, QUEUE, world.queue[QUEUE], 3, 1,
        keccak256(b"a"), keccak256(b"r"), keccak256(b"s"), bytes(32),
    )  # fmt: skip
    attestation = create_attestation(world.head.block_hash, 5, header, compute_blob_data_hash(blobs))
    signatures = join([world.sign(key, attestation) for key in VERIFIER_KEYS[:2]])

    def settle(hashes: list[bytes]) -> object:
        return world.contract.call(
            "settleBlobs", header_words(header), claim_of(attestation), signatures, sender=world.builder,
            block={"number": hex(number), "time": hex(time)}, maxFeePerBlobGas=hex(10**9),
            blobVersionedHashes=["0x" + one.hex() for one in hashes],
        )  # fmt: skip

    assert () == settle(blobs)
    expected = {"expected": compute_blob_data_hash(blobs[:5]), "found": attestation.data_hash}
    assert Reverted("WrongData", expected) == settle(blobs[:5])
