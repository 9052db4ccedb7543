"""Receipt proofs of a made-up block: header, seal, receipts and acknowledgements."""

from __future__ import annotations

import msgspec

from microrollup.chain.acknowledgement import sign_acknowledgement
from microrollup.chain.block import Header, compute_block_hash, seal_header
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import InboxDomain, ReceiptProof, make_receipt_proof
from microrollup.chain.record import Seal
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.merkle.items import compute_items_root

KEY = load_private_key(b"\x11" * 32)
BUILDER = compute_address(KEY)
OTHER = load_private_key(b"\x12" * 32)
ROLLUP_ID = b"\x01" * 32
DOMAIN = InboxDomain(31337, b"\xab" * 20)
FIRST_SEQ = 40
COUNT = 5
RECEIPTS = [
    Receipt(FIRST_SEQ + index, bytes([index]) * 32, index % 3, "no" if index % 3 == 1 else "", (("E", b"\x90"),))
    for index in range(COUNT)
]
RAW = [encode_canonical(receipt) for receipt in RECEIPTS]
replace = msgspec.structs.replace


def make_header(**changes) -> Header:
    words = {name: bytes([number]) * 32 for number, name in enumerate(Header.__struct_fields__)}
    words |= {"rollup_id": ROLLUP_ID, "height": 9, "timestamp": 1, "l1_origin": 2, "forced_count": 0}
    words |= {"first_seq": FIRST_SEQ, "action_count": COUNT, "receipts_root": compute_items_root(RAW)}
    return Header(**(words | changes))


def seal(header: Header, key=KEY) -> Seal:
    return replace(seal_header(key, header, 0), info="a test")


def acknowledge(index: int, key=KEY, rollup_id: bytes = ROLLUP_ID, height: int = 9, receipt: Receipt | None = None):
    return sign_acknowledgement(
        key, rollup_id, height, receipt or RECEIPTS[index], chain_id=DOMAIN.chain_id, inbox=DOMAIN.verifying_contract
    )


def make_proof(index: int = 2, *, acknowledged: bool = True) -> ReceiptProof:
    header = make_header()
    if not acknowledged:
        return make_receipt_proof(header, seal(header), RAW, index)
    return make_receipt_proof(header, seal(header), RAW, index, acknowledge(index), DOMAIN)


def reseal(proof: ReceiptProof, **changes) -> ReceiptProof:
    """The proof under another header, which the builder did seal."""
    header = replace(proof.header, **changes)
    return replace(proof, header=header, block_hash=compute_block_hash(header), seal=seal(header))
