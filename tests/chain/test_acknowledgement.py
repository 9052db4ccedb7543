"""Signed acknowledgements bind one operator, on one chain and inbox, to one outcome."""

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from microrollup.chain.acknowledgement import (
    Acknowledgement,
    SignedAcknowledgement,
    acknowledgement_from_json,
    acknowledgement_to_json,
    compute_acknowledgement_digest,
    compute_receipt_hash,
    recover_operator,
    sign_acknowledgement,
    verify_acknowledgement,
)
from microrollup.chain.receipt import Receipt
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.errors import DecodeError, ReceiptMismatch, WrongOperator

KEY = load_private_key(b"\x11" * 32)
OPERATOR = compute_address(KEY)
OTHER = load_private_key(b"\x12" * 32)
CHAIN_ID = 31337
INBOX = b"\xab" * 20
ROLLUP_ID = b"\x01" * 32
RECEIPT = Receipt(7, b"\x02" * 32, 1, "account exists", (("Registered", b"\x91\xa1x"), ("Registered", b"")))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def sign(key=KEY, receipt: Receipt = RECEIPT, height: int = 3) -> SignedAcknowledgement:
    return sign_acknowledgement(key, ROLLUP_ID, height, receipt, chain_id=CHAIN_ID, inbox=INBOX)


def verify(signed: SignedAcknowledgement, operator: bytes = OPERATOR, **domain) -> SignedAcknowledgement:
    return verify_acknowledgement(signed, operator, **({"chain_id": CHAIN_ID, "inbox": INBOX} | domain))


def test_what_is_signed_verifies():
    """The operator's acknowledgement verifies, and says what became of the action."""
    signed = sign()
    assert signed is verify(signed)
    assert (7, 3, b"\x02" * 32, "rejected", "account exists") == (
        signed.seq,
        signed.height,
        signed.action_hash,
        signed.status,
        signed.reason,
    )


def test_signing_again_gives_the_same_bytes():
    """The acknowledgement of a known action can be made again from the log."""
    assert sign() == sign()


def test_a_wallet_library_computes_the_same_digest():
    """`eth_account` recovers the operator from the EIP-712 document, with no code of ours in between."""
    signed = sign()
    words = signed.acknowledgement
    types = {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Acknowledgement": [
            {"name": "rollupId", "type": "bytes32"},
            {"name": "actionHash", "type": "bytes32"},
            {"name": "seq", "type": "uint64"},
            {"name": "height", "type": "uint64"},
            {"name": "receiptHash", "type": "bytes32"},
        ],
    }
    document = {
        "domain": {"name": "microrollup", "version": "1", "chainId": CHAIN_ID, "verifyingContract": f"0x{INBOX.hex()}"},
        "types": types,
        "primaryType": "Acknowledgement",
        "message": {
            "rollupId": words.rollup_id,
            "actionHash": words.action_hash,
            "seq": words.seq,
            "height": words.height,
            "receiptHash": words.receipt_hash,
        },
    }
    recovered = Account.recover_message(encode_typed_data(full_message=document), signature=signed.signature)
    assert OPERATOR == bytes.fromhex(recovered[2:])


def test_the_receipt_hash_is_the_leaf_of_the_receipts_root():
    """A block of one receipt has the acknowledged hash as its receipts root."""
    assert keccak256(b"\0" + encode_canonical(RECEIPT)) == compute_receipt_hash(RECEIPT)
    assert compute_items_root([encode_canonical(RECEIPT)]) == sign().acknowledgement.receipt_hash


def test_digest_is_pinned():
    """A change of the format is an explicit act; the digest is the one that `eth_account` computes."""
    digest = compute_acknowledgement_digest(Acknowledgement(b"\1" * 32, b"\2" * 32, 3, 4, b"\5" * 32), 6, b"\7" * 20)
    assert "b987e1e900f01ae26c86d1dfd1ce72629076f339e769e8935975d83886ee2b8c" == digest.hex()


FORGERIES = {
    "rollup": lambda words: msgspec.structs.replace(words, rollup_id=b"\x09" * 32),
    "height": lambda words: msgspec.structs.replace(words, height=4),
    "action": lambda words: msgspec.structs.replace(words, action_hash=b"\x09" * 32),
    "seq": lambda words: msgspec.structs.replace(words, seq=8),
    "receipt": lambda words: msgspec.structs.replace(words, receipt_hash=b"\x09" * 32),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_altered_words_are_nobody_s(what: str):
    """Each signed word, altered, makes the signature a stranger's."""
    signed = sign()
    forged = msgspec.structs.replace(signed, acknowledgement=FORGERIES[what](signed.acknowledgement))
    with pytest.raises(WrongOperator) as caught:
        verify(forged)
    assert OPERATOR == caught.value.expected != caught.value.found


@pytest.mark.parametrize("domain", [{"chain_id": 1}, {"inbox": bytes(20)}])
def test_another_chain_or_inbox_is_refused(domain):
    """An acknowledgement holds for one inbox on one chain."""
    with pytest.raises(WrongOperator):
        verify(sign(), **domain)


def test_another_operator_is_refused():
    """Somebody else's signature is not the operator's, in both directions."""
    with pytest.raises(WrongOperator):
        verify(sign(OTHER))
    with pytest.raises(WrongOperator):
        verify(sign(), compute_address(OTHER))
    assert verify(sign(OTHER), compute_address(OTHER))


def test_another_receipt_is_refused():
    """The receipt shown must be the one that was signed, and of the action that was signed."""
    for change in ({"reason": "account is fine"}, {"status": 0}, {"events": ()}):
        altered = msgspec.structs.replace(sign(), receipt=msgspec.structs.replace(RECEIPT, **change))
        with pytest.raises(ReceiptMismatch, match="another receipt"):
            verify(altered)
    for change in ({"seq": 8}, {"action_hash": b"\x03" * 32}):
        altered = msgspec.structs.replace(sign(), receipt=msgspec.structs.replace(RECEIPT, **change))
        with pytest.raises(ReceiptMismatch, match="another action"):
            verify(altered)


def test_one_signature_has_one_form():
    """High s, v of 0 or 1, and another length are not the operator's signature."""
    signed = sign()
    signature = signed.signature
    high = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    for other in (
        signature[:32] + high + bytes([signature[64] ^ 27 ^ 28]),
        signature[:64] + bytes([signature[64] - 27]),
        signature[:64],
        bytes(65),
    ):
        forged = msgspec.structs.replace(signed, signature=other)
        assert recover_operator(forged, chain_id=CHAIN_ID, inbox=INBOX) is None
        with pytest.raises(WrongOperator, match="nobody"):
            verify(forged)


receipts = st.builds(
    Receipt,
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), st.binary(max_size=9)), max_size=4
    ).map(tuple),
)


@given(receipt=receipts, height=st.integers(0, 2**64 - 1))
def test_json_there_and_back(receipt: Receipt, height: int):
    """What is written as JSON is read again as the same acknowledgement, through a text too."""
    signed = sign(receipt=receipt, height=height)
    document = msgspec.json.decode(msgspec.json.encode(acknowledgement_to_json(signed)))
    assert signed == verify(acknowledgement_from_json(document))


DOCUMENT = acknowledgement_to_json(sign())
MALFORMED = {
    "not an object": lambda _: [],
    "a member more": lambda d: d | {"note": ""},
    "another confirmation": lambda d: d | {"confirmation": "C2"},
    "a status that forced actions have": lambda d: d | {"status": "voided forced"},
    "no status": lambda d: d | {"status": "fine"},
    "a short signature": lambda d: d | {"signature": "0x00"},
    "a short hash": lambda d: d | {"actionHash": "0x00"},
    "a fraction": lambda d: d | {"seq": 1.5},
    "events of another form": lambda d: d | {"events": [{"name": "x"}]},
    **{f"without {name}": (lambda d, name=name: {k: v for k, v in d.items() if k != name}) for name in DOCUMENT},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_json_is_refused(what: str):
    """Nothing may be missing, and nothing may be added."""
    assert sign() == acknowledgement_from_json(DOCUMENT)
    with pytest.raises(DecodeError):
        acknowledgement_from_json(MALFORMED[what](DOCUMENT))


def test_members_of_events_are_for_people():
    """The members beside an event's bytes may be there or not, and say nothing to who checks."""
    signed = sign(receipt=msgspec.structs.replace(RECEIPT, events=(("Paid", b"\x91\x05"),)))
    document = acknowledgement_to_json(signed, lambda name, data: {"amount": data[1]})
    assert [{"name": "Paid", "data": "0x9105", "fields": {"amount": 5}}] == document["events"]
    assert [{"name": "Paid", "data": "0x9105"}] == acknowledgement_to_json(signed, lambda *_: None)["events"]
    assert signed == acknowledgement_from_json(document)
    with pytest.raises(DecodeError):
        acknowledgement_from_json(document | {"events": [{"name": "Paid", "data": "0x9105", "fields": 5}]})


def test_repr_is_one_short_line():
    """Printed, an acknowledgement says what became of which action, and not its bytes."""
    signed = sign(
        receipt=msgspec.structs.replace(RECEIPT, status=1, reason="account exists", events=(("Paid", bytes(1_000)),))
    )
    assert 140 > len(repr(signed))
    for part in (signed.action_hash.hex()[:16], "rejected: account exists", f"seq {signed.seq}", "Paid"):
        assert part in repr(signed)
