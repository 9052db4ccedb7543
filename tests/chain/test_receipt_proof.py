"""A receipt proof proves its receipt to whoever knows the builder or the block, and nothing else to nobody."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.chain.block import Header, compute_block_hash, compute_seal_digest, recover_sealer, seal_header
from microrollup.chain.block_json import header_to_json, make_seal_form, read_seal_form
from microrollup.chain.receipt_proof import (
    MAX_RECEIPT_BYTES,
    InboxDomain,
    check_receipt_proof,
    decode_receipt,
    receipt_proof_from_json,
    receipt_proof_to_json,
)
from microrollup.chain.record import Seal
from microrollup.codec.canonical import encode_canonical
from microrollup.codec.document import read_document, to_document
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import ItemProof, prove_item
from microrollup.errors import (
    DecodeError,
    ForeignRollup,
    ProofError,
    ReceiptMismatch,
    WrongBlock,
    WrongOperator,
    WrongSeal,
)
from receipt_proof_fixtures import (
    BUILDER,
    COUNT,
    DOMAIN,
    KEY,
    OTHER,
    RAW,
    RECEIPTS,
    ROLLUP_ID,
    acknowledge,
    make_header,
    make_proof,
    replace,
    reseal,
    seal,
)


@pytest.mark.parametrize("index", range(COUNT))
@pytest.mark.parametrize("acknowledged", [True, False])
def test_every_receipt_of_a_block_is_proven(index: int, acknowledged: bool):
    """With everything known from elsewhere, all is proven and nothing stays open."""
    proof = make_proof(index, acknowledged=acknowledged)
    domain = DOMAIN if acknowledged else None
    checked = check_receipt_proof(
        proof, rollup_id=ROLLUP_ID, builder=BUILDER, block_hash=compute_block_hash(make_header()), domain=domain
    )
    assert (RECEIPTS[index], BUILDER, acknowledged, ()) == (
        checked.receipt,
        checked.builder,
        checked.acknowledged,
        checked.unchecked,
    )
    assert f"number {index + 1} of {COUNT} in block 9" in checked.proven[1]


def test_what_is_not_known_is_listed():
    """Without knowledge from elsewhere the proof is only consistent, and says so."""
    checked = check_receipt_proof(make_proof())
    assert 4 == len(checked.unchecked)
    assert f"sealed by 0x{BUILDER.hex()}" in checked.proven[2]
    assert 3 == len(check_receipt_proof(make_proof(), rollup_id=ROLLUP_ID).unchecked)
    assert 1 == len(check_receipt_proof(make_proof(), block_hash=compute_block_hash(make_header())).unchecked)


def test_a_foreign_rollup_builder_or_block_is_refused():
    """What the reader knows from elsewhere must be what the proof shows."""
    with pytest.raises(ForeignRollup):
        check_receipt_proof(make_proof(), rollup_id=b"\x02" * 32)
    with pytest.raises(WrongSeal):
        check_receipt_proof(make_proof(), builder=compute_address(OTHER))
    with pytest.raises(WrongBlock, match="trusted"):
        check_receipt_proof(make_proof(), block_hash=b"\x02" * 32)


def test_the_stated_block_hash_is_the_header_s():
    """A header cannot be shown under another block's hash."""
    with pytest.raises(WrongBlock, match="stated"):
        check_receipt_proof(replace(make_proof(), block_hash=b"\x02" * 32))
    header = make_header(state_root=b"\x55" * 32)
    with pytest.raises(WrongBlock, match="stated"):
        check_receipt_proof(replace(make_proof(), header=header))


def test_a_seal_has_one_form_and_one_maker():
    """An altered, foreign or second form of a seal does not seal."""
    proof = make_proof(acknowledged=False)
    header, signature = proof.header, proof.seal.signature
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    block_hash = compute_block_hash(header)
    assert BUILDER == recover_sealer(block_hash, proof.seal)
    for other in (
        signature[:64] + bytes([signature[64] - 27]),
        signature[:32] + high + bytes([signature[64] ^ 27 ^ 28]),
        bytes(65),
        b"",
    ):
        assert recover_sealer(block_hash, Seal(0, other, "")) is None
        with pytest.raises(WrongSeal, match="nobody"):
            check_receipt_proof(replace(proof, seal=Seal(0, other, "")))
    for round_ in (1, 2**64 - 1):  # a seal is of one round
        assert BUILDER != recover_sealer(block_hash, replace(proof.seal, round=round_))
    foreign = replace(proof, seal=seal(header, OTHER))
    assert compute_address(OTHER) == check_receipt_proof(foreign).builder
    with pytest.raises(WrongSeal):
        check_receipt_proof(foreign, builder=BUILDER)


def test_a_receipt_stands_at_its_own_place():
    """The path of another index, and another receipt's path, prove nothing."""
    proof = make_proof(2, acknowledged=False)
    with pytest.raises(ProofError, match="is not at 3"):
        check_receipt_proof(replace(proof, path=prove_item(RAW, 3)))
    with pytest.raises(ProofError, match="is not at 2"):
        check_receipt_proof(replace(proof, receipt=RAW[3]))
    with pytest.raises(ProofError, match="another root"):
        check_receipt_proof(replace(proof, path=ItemProof(2, prove_item(RAW, 3).siblings)))


def test_the_count_is_the_header_s():
    """A lie about the count is refused, whether the proof tells it alone or with a header that fits."""
    proof = make_proof(4, acknowledged=False)
    for count in (COUNT - 1, COUNT + 1, 0):
        with pytest.raises(ProofError, match="receipts, not"):
            check_receipt_proof(replace(proof, count=count))
    with pytest.raises(ProofError):
        check_receipt_proof(replace(reseal(proof, action_count=COUNT + 3), count=COUNT + 3))
    with pytest.raises(ProofError, match="no item 4 among 4"):
        check_receipt_proof(replace(reseal(proof, action_count=4), count=4))


def test_altered_paths_are_refused():
    """A sibling too many, too few, altered, or of another length."""
    proof = make_proof(0, acknowledged=False)
    siblings = proof.path.siblings
    for other in (
        siblings[:-1],
        (*siblings, b"\0" * 32),
        (b"\0" * 32, *siblings[1:]),
        (siblings[0][:31], *siblings[1:]),
    ):
        with pytest.raises(ProofError):
            check_receipt_proof(replace(proof, path=ItemProof(0, other)))


def test_an_altered_receipt_is_refused():
    """Another outcome does not lead to the root."""
    altered = encode_canonical(replace(RECEIPTS[1], status=0, reason=""))
    with pytest.raises(ProofError, match="another root"):
        check_receipt_proof(replace(make_proof(1, acknowledged=False), receipt=altered))


def test_receipts_are_decoded_strictly():
    """Only the canonical bytes of a receipt with a known status are one."""
    assert RECEIPTS[0] == decode_receipt(RAW[0])
    for raw in (b"", RAW[0] + b"\0", encode_canonical(replace(RECEIPTS[0], status=5)), bytes(MAX_RECEIPT_BYTES + 1)):
        with pytest.raises(DecodeError):
            check_receipt_proof(replace(make_proof(acknowledged=False), receipt=raw))


def test_the_acknowledgement_is_the_sealer_s():
    """Somebody else's acknowledgement is refused, and so is the builder's for another chain or inbox."""
    proof = make_proof(2)
    with pytest.raises(WrongOperator):
        check_receipt_proof(replace(proof, acknowledgement=acknowledge(2, OTHER)))
    for domain in (InboxDomain(1, DOMAIN.verifying_contract), InboxDomain(31337, bytes(20))):
        with pytest.raises(WrongOperator):
            check_receipt_proof(replace(proof, domain=domain))
        with pytest.raises(WrongOperator):
            check_receipt_proof(proof, domain=domain)
    with pytest.raises(DecodeError, match="domain"):
        check_receipt_proof(replace(proof, domain=None))
    assert check_receipt_proof(replace(proof, domain=None), domain=DOMAIN).acknowledged


def test_the_acknowledgement_is_of_this_receipt():
    """An operator who acknowledged something else than the block holds is named by an error of its own."""
    proof = make_proof(2)
    for other, why in (
        (acknowledge(2, receipt=replace(RECEIPTS[2], status=0)), "another receipt than the block"),
        (acknowledge(3), "another receipt than the block"),
        (acknowledge(2, height=8), "height 8"),
        (acknowledge(2, rollup_id=b"\x07" * 32), "another rollup"),
    ):
        with pytest.raises(ReceiptMismatch, match=why):
            check_receipt_proof(replace(proof, acknowledgement=other))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_json_there_and_back(acknowledged: bool):
    """The file reads as what was written, and still proves."""
    proof = make_proof(3, acknowledged=acknowledged)
    document = msgspec.json.decode(msgspec.json.encode(receipt_proof_to_json(proof)))
    assert proof == receipt_proof_from_json(document)
    assert check_receipt_proof(receipt_proof_from_json(document)).receipt == RECEIPTS[3]


DOCUMENT = receipt_proof_to_json(make_proof())
MALFORMED = {
    "not an object": lambda _: "0x",
    "a member more": lambda d: d | {"note": ""},
    "an ack without its domain": lambda d: {k: v for k, v in d.items() if k != "domain"},
    "a domain without an ack": lambda d: {k: v for k, v in d.items() if k != "ack"},
    "a domain with more": lambda d: d | {"domain": d["domain"] | {"name": ""}},
    "a domain that is none": lambda d: d | {"domain": None},
    "a header with less": lambda d: d | {"header": {k: v for k, v in d["header"].items() if k != "height"}},
    "a header with more": lambda d: d | {"header": d["header"] | {"hash": d["blockHash"]}},
    "a seal with more": lambda d: d | {"seal": d["seal"] | {"by": ""}},
    "a seal without a round": lambda d: d | {"seal": {k: v for k, v in d["seal"].items() if k != "round"}},
    "a seal of a round below 0": lambda d: d | {"seal": d["seal"] | {"round": -1}},
    "a short seal": lambda d: d | {"seal": d["seal"] | {"signature": "0x00"}},
    "a seal of many words": lambda d: d | {"seal": d["seal"] | {"info": "x" * 257}},
    "a negative index": lambda d: d | {"index": -1},
    "a short sibling": lambda d: d | {"siblings": ["0x00"]},
    "too many siblings": lambda d: d | {"siblings": ["0x" + "00" * 32] * 65},
    "no list of siblings": lambda d: d | {"siblings": {}},
    "a receipt without 0x": lambda d: d | {"receipt": d["receipt"][2:]},
    **{
        f"without {name}": (lambda d, name=name: {k: v for k, v in d.items() if k != name})
        for name in DOCUMENT
        if name not in ("ack", "domain")
    },
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_json_is_refused(what: str):
    """Nothing may be missing, and nothing may be added."""
    assert make_proof() == receipt_proof_from_json(DOCUMENT)
    with pytest.raises(DecodeError):
        receipt_proof_from_json(MALFORMED[what](DOCUMENT))


@given(
    st.sampled_from(sorted(DOCUMENT)),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=4),
)
def test_hostile_json_raises_decode_errors_only(name: str, value):
    """Whatever stands in a member, the reader raises nothing but `DecodeError`."""
    try:
        receipt_proof_from_json(DOCUMENT | {name: value})
    except DecodeError:
        return


def test_headers_and_seals_as_json():
    """Both read as they were written."""
    header = make_header(timestamp=2**64 - 1)
    assert str(2**64 - 1) == header_to_json(header)["timestamp"]
    assert header == read_document(Header, header_to_json(header))
    assert seal(header) == read_seal_form(make_seal_form(seal(header)))
    again = seal_header(KEY, header, 7)
    assert again == read_seal_form(make_seal_form(again))
    assert 7 == to_document(make_seal_form(again))["round"]


def test_a_seal_is_of_hash_and_round():
    """What is signed is `keccak256(abi.encode(blockHash, round))`: one header has one seal a round."""
    header = make_header()
    block_hash = compute_block_hash(header)
    assert keccak256(block_hash + bytes(31) + b"\x05") == compute_seal_digest(block_hash, 5)
    seals = [seal_header(KEY, header, round_) for round_ in range(3)]
    assert [0, 1, 2] == [made.round for made in seals]
    assert 3 == len({made.signature for made in seals})
    assert {BUILDER} == {recover_sealer(block_hash, made) for made in seals}
