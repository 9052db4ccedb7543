"""Axiom's transactions, hashes, key data and proofs: the published vectors, and bytes of another form."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apps.keystore.axiom import messages
from apps.keystore.axiom.command import main, prove_document
from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY, KeyData, decode_key_data, encode_key_data
from apps.keystore.axiom.making import ProofRefused, authenticate, prove, sign, sponsor
from apps.keystore.axiom.proofs import PUBLIC_BYTES, Witness, decode_witness, encode_witness, require_proof
from apps.keystore.axiom.rlp import encode_items, read_items
from apps.keystore.axiom.transactions import (
    DepositTransaction,
    UpdateTransaction,
    compute_transaction_hash,
    compute_withdrawal_hash,
    decode_account,
    decode_transaction,
    encode_account,
    encode_transaction,
    is_address_of,
)
from microrollup import Revert
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.errors import RefusedError
from paths import ROOT, VECTORS

FILE: Final[dict[str, Any]] = json.loads((VECTORS / "axiom-transactions.json").read_text())
SDK_KEYS: Final = [
    load_private_key(bytes.fromhex(text))
    for text in (
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    )
]
"""The first accounts of the well-known test mnemonic: Axiom's vectors are signed with them."""


def parse(text: str) -> bytes:
    """0x-hex."""
    return bytes.fromhex(text[2:])


WHOLE: Final = [case for case in FILE["transactions"] if len(case["txBytes"]) % 2 == 0]
"""The SDK writes the bridge's number without padding: as long as it is one digit, no bytes at all."""
PLAIN: Final = parse(WHOLE[1]["txBytes"])
SPONSORED: Final = parse(WHOLE[0]["txBytes"])


def test_constants() -> None:
    """Domain, types, and the vkey."""
    given_here = FILE["constants"]["eip712"]
    assert parse(given_here["domainSeparator"]) == messages.DOMAIN_SEPARATOR
    assert parse(given_here["UPDATE_TYPEHASH"]) == messages.UPDATE_TYPE_HASH
    assert parse(given_here["WITHDRAW_TYPEHASH"]) == messages.WITHDRAW_TYPE_HASH
    assert parse(given_here["SPONSOR_TYPEHASH"]) == messages.SPONSOR_TYPE_HASH
    assert (290, parse(FILE["constants"]["vkeyHash"])) == (len(M_OF_N_ECDSA_VKEY), keccak256(M_OF_N_ECDSA_VKEY))


@pytest.mark.parametrize("case", FILE["accounts"], ids=lambda case: case["label"])
def test_accounts(case: dict[str, Any]) -> None:
    """Key data, RLP, address."""
    raw = parse(case["rlpKeystoreAccount"])
    account = decode_account(raw)
    assert encode_account(account) == raw
    assert is_address_of(account)
    assert parse(case["keystoreAddress"]) == account.keystore_address
    key_data = decode_key_data(parse(case["keyData"]))
    assert encode_key_data(key_data) == parse(case["keyData"])
    assert keccak256(encode_key_data(key_data)) == account.data_hash == parse(case["dataHash"])
    if "m" in case:
        assert (int(case["m"]), [parse(each) for each in case["signers"]]) == (
            key_data.threshold, list(key_data.signers)
        )  # fmt: skip


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["label"])
def test_transactions(case: dict[str, Any]) -> None:
    """Bytes both ways, every hash, and signatures made anew."""
    raw = parse(case["txBytes"])
    transaction = decode_transaction(raw)
    assert not isinstance(transaction, DepositTransaction)
    assert encode_transaction(transaction) == raw
    assert compute_transaction_hash(raw) == parse(case["txHash"])
    user_hash = messages.compute_user_hash(transaction)
    assert parse(case["userMsgHash"]) == user_hash
    if "sponsorMsgHash" in case:
        assert isinstance(transaction, UpdateTransaction)
        assert transaction.sponsor is not None
        made = messages.compute_sponsor_hash(transaction.sponsor, user_hash, transaction.user)
        assert parse(case["sponsorMsgHash"]) == made
    if "withdrawalHash" in case:
        made = compute_withdrawal_hash(transaction.user.keystore_address, transaction.nonce)
        assert parse(case["withdrawalHash"]) == made
    if "authData" in case:
        assert sign(SDK_KEYS[: len(case["signatures"])], user_hash) == parse(case["authData"])


@pytest.mark.parametrize("case", FILE["deposits"] + FILE["bridge"], ids=lambda case: case["txHash"][:10])
def test_what_the_bridge_hashes(case: dict[str, Any]) -> None:
    """Deposits, and what begins on L1 with a number of 32 bytes."""
    raw = parse(case["txBytes"])
    assert encode_transaction(decode_transaction(raw)) == raw
    assert compute_transaction_hash(raw) == parse(case["txHash"])


ITEMS: Final = read_items(PLAIN[2:], 11)


def join(items: list[bytes]) -> bytes:
    """An update of these fields."""
    return b"\x02\x00" + encode_items(items)


def change(place: int, item: bytes) -> bytes:
    """An update with another field."""
    return join([*ITEMS[:place], item, *ITEMS[place + 1 :]])


def write(items: list[bytes]) -> bytes:
    """An update of items that are written already."""
    payload = b"".join(items)
    return b"\x02\x00\xf9" + len(payload).to_bytes(2, "big") + payload


WRITTEN: Final = [encode_items([item])[1:] if len(item) < 55 else encode_items([item])[3:] for item in ITEMS]
WRITTEN[2:4] = [b"\xb8" + bytes([len(ITEMS[2])]) + ITEMS[2], b"\xb9" + len(ITEMS[3]).to_bytes(2, "big") + ITEMS[3]]
WRITTEN[7] = WRITTEN[3]


def rewrite(place: int, item: bytes) -> bytes:
    """An update with another written item."""
    return write([*WRITTEN[:place], item, *WRITTEN[place + 1 :]])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x02", "a transaction has a type and fields"),
        (b"\x03" + PLAIN[1:], "a transaction of no known type"),
        (b"\x02\x02" + PLAIN[2:], "isL1Initiated is neither 0 nor 1"),
        (b"\x02\x01" + bytes(32), "l1InitiatedNonce has 32 bytes"),
        (b"\x00" + bytes(95), "a deposit has 97 bytes"),
        (b"\x00" + bytes(97), "a deposit has 97 bytes"),
        (b"\x02\x00" + WRITTEN[3], "rlp: not a list"),
        (b"\x02\x00\x80", "rlp: not a list"),
        (PLAIN + b"\x00", "rlp: bytes after the list"),
        (PLAIN[:-1], "rlp: content is cut off"),
        (b"\x02\x00\xf9\x03", "rlp: a length is cut off"),
        (b"\x02\x00\xfa\x00" + PLAIN[3:], "rlp: a length has leading zeros"),
        (b"\x02\x00\xff" + bytes(8), "rlp: a length has more than four bytes"),
        (b"\x02\x00\xf8\x01\x80", "rlp: a short content with a long length"),
        (join(ITEMS[:-1]), "rlp: too few items"),
        (join([*ITEMS, b""]), "rlp: too many items"),
        (rewrite(0, b"\x81\x00"), "rlp: a byte with a needless length"),
        (rewrite(0, b"\x81\x01"), "rlp: a byte with a needless length"),
        (rewrite(0, b"\xb8\x01\x81"), "rlp: a short content with a long length"),
        (rewrite(0, b"\xb8\x20" + b"\x01" * 32), "rlp: a short content with a long length"),
        (rewrite(0, b"\xb9\x00\x38" + b"\x01" * 56), "rlp: a length has leading zeros"),
        (rewrite(0, b"\xc0"), "rlp: a list where a string must be"),
        (rewrite(10, b"\x82\x01"), "rlp: content is cut off"),
        (change(0, b"\x00"), "rlp: an integer has leading zeros"),
        (change(0, b"\x00\x01"), "rlp: an integer has leading zeros"),
        (change(0, b"\x01" * 33), "rlp: an integer has more than 32 bytes"),
        (change(1, b""), "feePerGas has 32 bytes"),
        (change(1, b"\x64"), "feePerGas has 32 bytes"),
        (change(1, bytes(33)), "feePerGas has 32 bytes"),
        (change(4, bytes(31)), "a keystore address has 32 bytes"),
        (change(5, b""), "a salt has 32 bytes"),
        (change(6, bytes(33)), "a data hash has 32 bytes"),
        (change(9, b"\x01"), "rlp: not a list"),
        (change(9, encode_items([bytes(32)] * 3)), "rlp: too few items"),
        (change(9, encode_items([bytes(32)] * 4) + b"\x00"), "rlp: bytes after the list"),
        (change(10, b"\x01"), "a sponsor's proof without a sponsor"),
        (b"\x01\x00" + encode_items([b"", bytes(32), bytes(19), b"", *[bytes(32)] * 4, b""]), "to has 20 bytes"),
        (b"\x01\x00" + encode_items([b"", bytes(32), bytes(20), b"\x00", *[bytes(32)] * 4, b""]),
         "rlp: an integer has leading zeros"),
    ],
)  # fmt: skip
def test_bytes_of_another_form(raw: bytes, reason: str) -> None:
    """Each is refused for what is wrong with it."""
    assert write(WRITTEN) == PLAIN
    with pytest.raises(Revert) as error:
        decode_transaction(raw)
    assert reason == error.value.reason


def test_fees_of_what_begins_on_l1() -> None:
    """32 bytes, as the SDK writes them, or none."""
    first = decode_transaction(PLAIN)
    assert isinstance(first, UpdateTransaction)
    for fee in (bytes(32), b""):
        transaction = replace(first, l1_nonce=7, fee_per_gas=fee)
        assert decode_transaction(encode_transaction(transaction)) == transaction


@given(st.data())
def test_one_content_has_one_form(data: st.DataObject) -> None:
    """Whatever is read is written as it came."""
    raw = data.draw(st.sampled_from([PLAIN, SPONSORED]))
    start = data.draw(st.integers(0, min(len(raw), 140)))
    stop = start + data.draw(st.integers(0, 3))
    changed = raw[:start] + data.draw(st.binary(max_size=3)) + raw[stop:]
    try:
        transaction = decode_transaction(changed)
    except Revert:
        return
    assert encode_transaction(transaction) == changed


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_lists(items: list[bytes]) -> None:
    """Both ways."""
    assert read_items(encode_items(items), len(items)) == items


SIGNERS: Final = tuple(decode_key_data(parse(FILE["accounts"][2]["keyData"])).signers)
KEYS: Final = KeyData(bytes(32), 2, SIGNERS)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x01" + encode_key_data(KEYS)[1:], "key data: not of m-of-n ECDSA"),
        (encode_key_data(KEYS)[:128], "key data: not of m-of-n ECDSA"),
        (encode_key_data(KEYS) + b"\x00", "key data: of another length"),
        (encode_key_data(KEYS)[:-32], "key data: of another length"),
        (encode_key_data(replace(KEYS, threshold=4)), "key data: more signatures than signers"),
        (encode_key_data(replace(KEYS, signers=SIGNERS[:1] * 2)), "key data: a signer twice"),
        (encode_key_data(replace(KEYS, signers=tuple([bytes([each]) * 20 for each in range(51)]))),
         "key data: more than 50 signers"),
        (encode_key_data(KEYS)[:-32] + b"\x01" + encode_key_data(KEYS)[-31:],
         "key data: a signer has more than 20 bytes"),
        (encode_key_data(KEYS)[:96] + b"\x80" + encode_key_data(KEYS)[97:],
         "key data: signers are not where they must be"),
    ],
)  # fmt: skip
def test_key_data_of_another_form(raw: bytes, reason: str) -> None:
    """As for transactions."""
    with pytest.raises(Revert) as error:
        decode_key_data(raw)
    assert reason == error.value.reason


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_witnesses(key_data: bytes, auth_data: bytes) -> None:
    """`abi.encode` of two byte strings, as another library has it."""
    raw = encode_witness(Witness(key_data, auth_data))
    assert encode(["bytes", "bytes"], [key_data, auth_data]) == raw
    assert Witness(key_data, auth_data) == decode_witness(raw)


USER_CASE: Final = WHOLE[5]
USER: Final = decode_transaction(parse(USER_CASE["txBytes"]))
USER_DATA: Final = parse(FILE["accounts"][2]["keyData"])
SPONSOR_DATA: Final = parse(FILE["accounts"][4]["keyData"])
AUTH: Final = parse(USER_CASE["authData"])


def test_a_proven_transaction() -> None:
    """Two of three have signed; the sponsor is Axiom's own, which needs no signature."""
    assert isinstance(USER, UpdateTransaction)
    assert USER.sponsor is not None
    proven = sponsor(authenticate(USER, Witness(USER_DATA, AUTH)), Witness(SPONSOR_DATA, b""))
    assert decode_transaction(encode_transaction(proven)) == proven
    user_hash = messages.compute_user_hash(proven)
    assert (USER_DATA, 2) == (
        require_proof(proven.user, user_hash, proven.user_proof)[0],
        require_proof(proven.user, user_hash, proven.user_proof)[1].threshold,
    )
    sponsor_hash = messages.compute_sponsor_hash(USER.sponsor, user_hash, proven.user)
    assert SPONSOR_DATA == require_proof(USER.sponsor, sponsor_hash, proven.sponsor_proof)[0]
    mock = parse(WHOLE[6]["txBytes"])
    assert proven.user_proof[:PUBLIC_BYTES] in mock
    assert proven.sponsor_proof[:PUBLIC_BYTES] in mock


def _set(place: int, value: int) -> Callable[[bytes], bytes]:
    return lambda proof: proof[:place] + bytes([value]) + proof[place + 1 :]


@pytest.mark.parametrize(
    ("change_proof", "reason"),
    [
        (lambda proof: b"", "proof without a witness"),
        (lambda proof: proof[:PUBLIC_BYTES], "proof without a witness"),
        (_set(0, 1), "proof of other data or another message"),
        (_set(383, 1), "proof of other data or another message"),
        *[(_set(384 + 32 * word, 1), "proof of other data or another message") for word in range(4)],
        *[(_set(384 + 32 * word + 31, 0), "proof of other data or another message") for word in range(4)],
        (_set(PUBLIC_BYTES + 31, 65), "witness: key data is not where it must be"),
        (_set(PUBLIC_BYTES + 63, 1), "witness: signatures are not where they must be"),
        (lambda proof: proof[: PUBLIC_BYTES + 64], "witness: cut off"),
        (lambda proof: proof[:-1], "witness: cut off"),
        (lambda proof: proof + bytes(32), "witness: bytes after the signatures"),
        (lambda proof: proof[:-1] + b"\x01", "witness: padding that is not zero"),
        (lambda proof: proof[:512] + encode_witness(Witness(SPONSOR_DATA, AUTH)),
         "witness: not the account's key data"),
        (lambda proof: proof[:512] + encode_witness(Witness(USER_DATA, AUTH[:65])),
         "not as many signatures as the threshold"),
        (lambda proof: proof[:512] + encode_witness(Witness(USER_DATA, AUTH + AUTH[:65])),
         "not as many signatures as the threshold"),
        (lambda proof: proof[:512] + encode_witness(Witness(USER_DATA, AUTH[:-1])),
         "signatures have 65 bytes each"),
        (lambda proof: proof[:512] + encode_witness(Witness(USER_DATA, AUTH[:65] * 2)), "two signatures of one signer"),
        (lambda proof: proof[:512] + encode_witness(Witness(USER_DATA, AUTH[:65] + bytes(65))),
         "a signature of no signer"),
    ],
)  # fmt: skip
def test_proofs_that_prove_nothing(change_proof: Callable[[bytes], bytes], reason: str) -> None:
    """Axiom's bare 512 bytes too; one signature repeated m times is one, where their consumer took it for m."""
    assert isinstance(USER, UpdateTransaction)
    proven = authenticate(USER, Witness(USER_DATA, AUTH))
    with pytest.raises(Revert) as error:
        require_proof(USER.user, messages.compute_user_hash(USER), change_proof(proven.user_proof))
    assert reason == error.value.reason


def test_what_cannot_be_proven() -> None:
    """The maker refuses what the rollup would."""
    assert isinstance(USER, UpdateTransaction)
    user, user_hash = USER.user, messages.compute_user_hash(USER)
    for vkey, key_data, auth_data in (
        (b"\x12\x34", USER_DATA, AUTH),
        (user.vkey, SPONSOR_DATA, AUTH),
        (user.vkey, USER_DATA, AUTH[:65]),
        (user.vkey, USER_DATA, AUTH[65:] * 2),
    ):
        with pytest.raises(ProofRefused):
            prove(key_data, auth_data, user.data_hash, user_hash, vkey)
    with pytest.raises(ProofRefused):
        sponsor(replace(USER, sponsor=None), Witness(SPONSOR_DATA, b""))
    short = decode_account(parse(FILE["accounts"][3]["rlpKeystoreAccount"]))
    with pytest.raises(Revert):
        require_proof(short, user_hash, bytes(600))


def run_command(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m apps.keystore.axiom` with this standard input."""
    return subprocess.run(
        [sys.executable, "-m", "apps.keystore.axiom", *arguments],
        input=text, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip


def test_the_command() -> None:
    """It prints the proof that the rollup takes, or one sentence; and its help."""
    assert isinstance(USER, UpdateTransaction)
    user_hash = messages.compute_user_hash(USER)
    document = {
        "keyData": hex0x(USER_DATA), "authData": hex0x(AUTH), "dataHash": hex0x(USER.user.data_hash),
        "msgHash": hex0x(user_hash), "vkey": hex0x(USER.user.vkey),
    }  # fmt: skip
    done = run_command(json.dumps(document), "prove")
    assert (0, "") == (done.returncode, done.stderr)
    assert require_proof(USER.user, user_hash, parse(done.stdout.removesuffix("\n")))
    failed = run_command(json.dumps({**document, "authData": hex0x(AUTH[:65])}), "prove")
    assert (True, "") == (failed.returncode != 0, failed.stdout)
    assert "not as many signatures as the threshold" in failed.stderr
    assert 1 == failed.stderr.count("\n")


@pytest.mark.parametrize(
    "change_document",
    [{"keyData": 5}, {"keyData": "00"}, {"dataHash": "0x00"}, {"msgHash": "0x" + "00" * 33}, {"more": "0x"}, None],
)
def test_json_that_is_refused(change_document: dict[str, Any] | None) -> None:
    """One member otherwise, one more, one less, or no object."""
    document: Any = dict.fromkeys(("keyData", "authData", "vkey"), "0x") | dict.fromkeys(
        ("dataHash", "msgHash"), "0x" + "00" * 32
    )
    with pytest.raises(ProofRefused):
        prove_document(document)
    with pytest.raises(RefusedError):
        prove_document([document] if change_document is None else {**document, **change_document})
    with pytest.raises(RefusedError):
        prove_document({name: value for name, value in document.items() if name != "vkey"})


def test_the_command_in_this_process(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Help, JSON, and too much of it."""
    assert 0 == main([])
    assert "prove" in capsys.readouterr().out
    assert 0 == main(["prove", "--help"])
    assert "keyData" in capsys.readouterr().out
    for text in ("{}", "[", "x" * (1 << 20 | 1)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert 0 != main(["prove", "--json"])
        assert "" == capsys.readouterr().out
