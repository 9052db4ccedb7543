"""The envelope `dkim`: which mails open, what is read from them, and that dkimpy takes each mail that opens."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from email import message_from_bytes, policy
from types import SimpleNamespace
from unittest import mock

import dkim
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.keystore.plus.dkim import DkimMail, DkimOpened, SupportByMail
from apps.keystore.plus.mail_bytes import decode_mail, encode_mail
from apps.keystore.plus.mail_fields import canonicalize, choose_fields, get_name, get_value, read_from, read_tags
from apps.keystore.plus.mailing import FIELDS, MailForm, MailKey, make_envelope, seal_mail, sign_mail, write_subject
from conformance.files import load_cases
from mail_keys import ED25519_KEY, RSA_KEY, SHORT_KEY
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.context import Revert
from microrollup.errors import BadEnvelope, UsageError
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.primitives import MAX_ENVELOPE_BYTES
from plus_world import PLUS, SALT

PROPOSAL = keccak256(b"a proposal")
SUBJECT = write_subject(PROPOSAL)
ADDRESS, DOMAIN = "bob@mail.example", "mail.example"
OPENER = EnvelopeOpener(PLUS)
LATE = 1_800_000_000
EMPTY = {relaxed: base64.b64encode(hashlib.sha256(body).digest()) for relaxed, body in ((True, b""), (False, b"\r\n"))}
"""`bh=` of the empty body, by whether it is canonicalized relaxed."""


def read(raw: bytes) -> DkimOpened:
    """What an envelope holds; it opens in the plain form too, and is encoded as it was."""
    OPENER.open("dkim", raw, twice=True)
    opened = DkimMail().open(raw)
    assert isinstance(opened, DkimOpened)
    assert raw == DkimMail().encode(opened)
    return opened


def refuse(raw: bytes) -> str:
    """Why an envelope does not open."""
    with pytest.raises(BadEnvelope) as caught:
        OPENER.open("dkim", raw)
    return caught.value.detail.removeprefix("dkim: ").strip("'")


def wrap(mail: bytes, key: MailKey = RSA_KEY) -> bytes:
    return make_envelope(mail, key.public, SALT)


def write(*changed: tuple[str, str], more: Sequence[bytes] = ()) -> list[bytes]:
    """Header fields of Bob's mail, some of them changed; an empty text leaves a field out."""
    texts = {"From": ADDRESS, "To": "recovery@keystore.example", "Subject": SUBJECT, "Date": "today", **dict(changed)}
    return [f"{name}: {text}".encode("latin-1") for name, text in texts.items() if text] + list(more)


def seal(fields: Sequence[bytes], form: MailForm | None = None, key: MailKey = RSA_KEY, domain: str = DOMAIN) -> bytes:
    return wrap(seal_mail(key, domain, fields, form or MailForm()), key)


def answer(key: bytes) -> bytes:
    """The record in DNS."""
    kind = b"ed25519" if len(key) == 32 else b"rsa"
    return b"v=DKIM1; k=" + kind + b"; p=" + base64.b64encode(key)


def ask_dkimpy(mail: bytes, key: bytes, now: int = 1_700_000_000) -> bool:
    """The second opinion, at a second; when a mail counts, the state transition function decides."""
    try:
        with mock.patch.object(dkim, "time", SimpleNamespace(time=lambda: now)):
            return bool(dkim.DKIM(mail, minkey=2_048).verify(dnsfunc=lambda *_, **__: answer(key)))
    except (dkim.DKIMException, AssertionError, ValueError):
        return False


def rebuild(raw: bytes) -> tuple[bytes, bytes]:
    """The mail that an envelope stands for, with the empty body that its `bh=` is of; and the key."""
    key, fields, signature, _ = decode_mail(raw)
    sealed = re.sub(rb"([;\s]b=)", lambda found: found[1] + base64.b64encode(signature), fields[-1], count=1)
    body = b"" if EMPTY[True] in b"".join(fields[-1].split()) else b"\r\n"
    return b"".join([field + b"\r\n" for field in (sealed, *fields[:-1])]) + b"\r\n" + body, key


@pytest.mark.parametrize("key", [RSA_KEY, ED25519_KEY], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("canonical", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
def test_a_mail_opens(key: MailKey, canonical: str) -> None:
    """Everything in the action comes from what was signed, but for the salt."""
    form = MailForm("S1", canonical=canonical, signed=1_700_000_000, expires=LATE)
    mail = sign_mail(key, '"Bob, of <@Mail>" <Bob@Mail.Example>', SUBJECT, form)
    raw = wrap(mail, key)
    opened, digest = read(raw), keccak256(key.public)
    expected = SupportByMail(PROPOSAL, ADDRESS, SALT, DOMAIN, "s1", digest, 1_700_000_000, LATE)
    assert (expected, keccak256(raw), digest) == (opened.action, opened.hash, key.hash)
    assert ask_dkimpy(mail, key.public)
    assert (
        rebuild(raw) == (mail if canonical.endswith("relaxed") else mail + b"\r\n", key.public) or "simple" in canonical
    )
    assert ask_dkimpy(*rebuild(raw))


def test_the_bytes_are_canonical_msgpack() -> None:
    """As another library writes them; longer forms of lengths, and bytes behind, do not open."""
    fields = write(more=[b"X-%d: y" % number for number in range(16)])
    form = MailForm(names=(*FIELDS, *[f"x-{number}" for number in range(16)]))
    for raw in (wrap(sign_mail(RSA_KEY, ADDRESS, SUBJECT)), seal(fields, form), seal(fields, form, ED25519_KEY)):
        key, given_fields, signature, salt = decode_mail(raw)
        assert raw == msgspec.msgpack.encode([key, list(given_fields), signature, salt])
        assert raw == encode_mail(key, given_fields, signature, salt)
        assert read(raw)
    assert "written again" in refuse(raw[:1] + b"\xc5\x00" + raw[2:])
    malformed = "no msgpack of a key, header fields, a signature and a salt of 32 bytes"
    for wrong in (
        raw + b"\0",
        raw[:-1],
        b"\x95" + raw[1:],
        raw[:-33] + b"\x1f" + raw[-31:],
        raw[:1] + b"\xd9" + raw[2:],
    ):
        assert malformed == refuse(wrong)


def test_a_key_is_what_openssl_writes() -> None:
    """DER SubjectPublicKeyInfo, and no other form of the same key."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert RSA_KEY.public == RSA_KEY.private.public_key().public_bytes(*form)
    raw, key = wrap(sign_mail(RSA_KEY, ADDRESS, SUBJECT)), RSA_KEY.public
    _, fields, signature, salt = decode_mail(raw)
    other = RSA_KEY.private.public_key().public_bytes(form[0], serialization.PublicFormat.PKCS1)
    for wrong in (other, key + b"\0", key[:-1], b"", key[:4] + b"\x31" + key[5:], b"\x30\x83\x00" + key[2:], key[:24]):
        assert "the key is not an RSA key in DER" == refuse(encode_mail(wrong, fields, signature, salt))


REFUSED: dict[str, tuple[bytes, str]] = {
    "a part of the body": (
        seal(write(), MailForm(more="l=2; ")), "the signature covers a part of the body only: l="
    ),
    "From unsigned": (
        seal(write(), MailForm(names=("to", "subject"))), "h= does not name From twice, so another could be added"
    ),
    "From listed once": (
        seal(write(), MailForm(names=("from", "to", "subject"))),
        "h= does not name From twice, so another could be added",
    ),
    "two From fields": (
        seal(write(more=[b"From: eve@mail.example"])), "one From, one To, one Subject"
    ),
    "two From fields, one behind": (
        seal(write(more=[b"From: eve@mail.example"]), MailForm(names=(*FIELDS, "from"))),
        "one From, one To, one Subject",
    ),
    "Subject unsigned": (
        seal(write(), MailForm(names=("from", "from", "to"))), "From, To and Subject are signed"
    ),
    "two Subjects": (
        seal(write(more=[b"Subject: hello"]), MailForm(names=(*FIELDS, "subject"))), "one From, one To, one Subject"
    ),
    "To unsigned": (
        seal(write(), MailForm(names=("from", "from", "subject"))), "From, To and Subject are signed"
    ),
    "no To": (seal(write(("To", ""))), "one From, one To, one Subject"),
    "an answer by a machine": (
        seal(write(more=[b"Auto-Submitted: auto-replied"]), MailForm(names=(*FIELDS, "auto-submitted"))),
        "the mail answers another one",
    ),
    "an answer": (
        seal(write(more=[b"In-Reply-To: <1@x.example>"]), MailForm(names=(*FIELDS, "In-Reply-To"))),
        "the mail answers another one",
    ),
    "another domain signs": (seal(write(), domain="evil.example"), "d= is not the domain of From"),
    "a domain below signs": (seal(write(), domain="x.mail.example"), "d= is not the domain of From"),
    "the domain above signs": (
        seal(write(("From", "bob@x.mail.example"))), "d= is not the domain of From"
    ),
    "a short key": (
        seal(write(), key=SHORT_KEY), "not signed by the key, or of less than 2048 bits"
    ),
    "expired when it was signed": (seal(write(), MailForm(signed=5, expires=5)), "x= is not after t="),
    "x= with a sign": (seal(write(), MailForm(more="x=-5; ")), "t= and x= have 1 to 12 digits"),
    "t= too long": (seal(write(), MailForm(more="t=1234567890123; ")), "t= and x= have 1 to 12 digits"),
    "an identity of others": (
        seal(write(), MailForm(more="i=bob@evilmail.example; ")), "i= is not in the domain of d="
    ),
    "a tag twice": (seal(write(), MailForm(more="s=s1; ")), "a tag comes twice"),
    "white space in a tag": (seal(write(), MailForm(more="y=a b; ")), "white space in a tag"),
    "no tag": (seal(write(), MailForm(more="; ")), "a tag is name=value"),
    "a tag of another form": (seal(write(), MailForm(more="y-z=1; ")), "no name of a tag"),
    "keys from elsewhere": (seal(write(), MailForm(more="q=https; ")), "q= is dns/txt"),
    "another canonicalization": (
        seal(write(), MailForm(canonical="nowsp/simple")), "c= is simple or relaxed"
    ),
    "the signature signs itself": (
        seal(write(), MailForm(names=(*FIELDS, "dkim-signature"))), "h= names the signature itself"
    ),
    "no name": (seal(write(), MailForm(names=(*FIELDS, "x b="))), "h= lists what is not a name"),
    "a single label": (seal(write(("From", "bob@mail")), domain="mail"), "d= is not a domain"),
    "a selector with a space in code": (seal(write(), MailForm("s+1")), "s= is not a selector"),
    "text that is not ASCII": (
        seal(write(("From", "Böb <bob@mail.example>"))), "a header field is printable ASCII"
    ),
    "a line without text": (
        seal(write(("Date", "today\r\n \r\n x"))), "a line of a header field is empty"
    ),
    "a field with a space in its name": (
        encode_mail(b"", (b"From : x", b"DKIM-Signature: v=1"), b"", SALT),
        "a header field is name:value, the name of letters, digits, hyphens",
    ),
    "no signature": (
        encode_mail(b"", (b"From: x", b"To: x"), b"", SALT), "the last header field is the DKIM-Signature"
    ),
    "no fields": (encode_mail(b"", (), b"", SALT), "a mail has 2 to 64 header fields here"),
    "another version": (
        encode_mail(b"", (b"From: x", b"DKIM-Signature: v=2; a=x"), b"", SALT), "a signature begins with v=1"
    ),
    "no version first": (
        encode_mail(b"", (b"From: x", b"DKIM-Signature: a=x; v=1"), b"", SALT), "a signature begins with v=1"
    ),
    "nothing in the signature": (
        encode_mail(b"", (b"From: x", b"DKIM-Signature: v=1"), b"", SALT),
        "a tag is missing: a, b, bh, d, h and s are needed",
    ),
    "a signature in its field": (
        encode_mail(b"", (b"From: x", b"DKIM-Signature: v=1; b=AAAA"), b"", SALT),
        "b= is empty here: the signature has its own place",
    ),
    "white space at the end": (
        encode_mail(b"", (b"From: x", b"DKIM-Signature: v=1; b= "), b"", SALT),
        "the DKIM-Signature ends with white space",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", list(REFUSED))
def test_attack_a_mail_that_does_not_open(attack: str) -> None:
    """What is signed, but says less or other than it seems."""
    raw, reason = REFUSED[attack]
    assert reason == refuse(raw)


@pytest.mark.parametrize(
    "sender",
    [
        "bob@mail.example, eve@mail.example", "bob@mail.example eve@mail.example", "eve: bob@mail.example;",
        "bob(eve@mail.example)@mail.example", '"bob"@mail.example', "bob@[10.0.0.1]", "bob@mail", "@mail.example",
        "bob", "bob@mail.example>", "<bob@mail.example", "<bob@mail.example> x", "a@b.example <bob@mail.example>",
        '"Bob \\" <eve@mail.example>" <bob@mail.example>', '"Bob <bob@mail.example>', "<<bob@mail.example>>",
        "<bob@mail.example><eve@mail.example>", "bob..x@mail.example", ".bob@mail.example", "b@-x.example",
        "<@eve.example:bob@mail.example>", "x" * 65 + "@mail.example", "Bob; <bob@mail.example>",
    ],
)  # fmt: skip
def test_attack_an_address_that_can_be_read_in_two_ways(sender: str) -> None:
    """From holds one address in a form that leaves no choice."""
    with pytest.raises(Revert, match="From"):
        read_from(sender.encode())
    assert "From" in refuse(seal(write(("From", sender))))


@pytest.mark.parametrize(
    "sender",
    [
        ADDRESS, f"<{ADDRESS}>", f"Bob <{ADDRESS}>", f'"Bob, B. <x@y.z>" <{ADDRESS}>',
        f"=?utf-8?q?B=C3=B6b?= <{ADDRESS}>", f"Bob Q. Public <{ADDRESS}>", f'Bob "the" B <{ADDRESS}>',
        "b.o_b+x=y@sub.mail.example", "BOB@MAIL.EXAMPLE",
    ],
)  # fmt: skip
def test_an_address_is_what_the_standard_library_reads(sender: str) -> None:
    """A parser of others finds one address too, the same."""
    (found,) = message_from_bytes(f"From: {sender}\r\n\r\n".encode(), policy=policy.default)["from"].addresses
    address, domain = read_from(sender.encode())
    assert found.addr_spec.lower().encode() == address
    assert found.domain.lower().encode() == domain


@pytest.mark.parametrize(
    "subject",
    [
        f"Re: {SUBJECT}", f"{SUBJECT} ", f"{SUBJECT}0", SUBJECT[:-1], f"recover {PROPOSAL.hex().upper()}",
        f"Recover {PROPOSAL.hex()}", f"recover  {PROPOSAL.hex()}", f"recover 0x{PROPOSAL.hex()}", "hello",
        f"recover: {PROPOSAL.hex()}", f"cancel {PROPOSAL.hex()}", f"=?utf-8?q?recover_{PROPOSAL.hex()}?=",
        f"recover\r\n {PROPOSAL.hex()}",
    ],
)  # fmt: skip
def test_the_subject_is_exact(subject: str) -> None:
    """Only white space, as mail programs fold it, is not looked at."""
    raw = seal(write(("Subject", subject)))
    if re.sub(r"\s+", " ", subject).strip() == SUBJECT:
        assert PROPOSAL == read(raw).action.proposal  # type: ignore[attr-defined]
        return
    assert "the Subject is `recover` and the 64 hex digits of a proposal" == refuse(raw)


def test_attack_a_mail_that_is_changed() -> None:
    """Any signed field; the signature; the key; the hash of the body."""
    key, fields, signature, salt = decode_mail(wrap(sign_mail(RSA_KEY, ADDRESS, SUBJECT)))
    unsigned = "not signed by the key, or of less than 2048 bits"
    for place, (old, new) in enumerate(((b"bob", b"eve"), (b"recovery@", b"x@"), (PROPOSAL[:1].hex().encode(), b"00"))):
        changed = (*fields[:place], fields[place].replace(old, new, 1), *fields[place + 1 :])
        assert unsigned == refuse(encode_mail(key, changed, signature, salt))
    sealing = fields[-1].replace(b"bh=4", b"bh=5")
    assert unsigned == refuse(encode_mail(key, (*fields[:-1], sealing), signature, salt))
    assert unsigned == refuse(encode_mail(key, fields, bytes(256), salt))
    assert unsigned == refuse(encode_mail(SHORT_KEY.public, fields, signature, salt))
    assert "a header field is not signed" == refuse(encode_mail(key, (b"X: y", *fields), signature, salt))
    assert "bh= is not a SHA-256 hash" == refuse(
        encode_mail(key, (*fields[:-1], fields[-1].replace(b"bh=", b"bh=A")), signature, salt)
    )
    sha1 = (*fields[:-1], fields[-1].replace(b"rsa-sha256", b"rsa-sha1"))
    assert "a= is rsa-sha256 or ed25519-sha256" == refuse(encode_mail(key, sha1, signature, salt))
    swapped = (*fields[:-1], fields[-1].replace(b"rsa-sha256", b"ed25519-sha256"))
    assert "not signed by the key" == refuse(encode_mail(key, swapped, signature, salt))


def test_the_salt_is_not_signed() -> None:
    """Another salt is another guardian, whom the proposal does not know."""
    raw = wrap(sign_mail(RSA_KEY, ADDRESS, SUBJECT))
    assert bytes(32) == read(raw[:-32] + bytes(32)).action.salt  # type: ignore[attr-defined]


def test_the_largest_mail_opens() -> None:
    """In fewer steps than an envelope has: 64 fields, a long one, and 64 names."""
    more = [b"X-%d: %s" % (number, b"y " * 60) for number in range(59)]
    names = (*FIELDS, *[f"x-{number}" for number in range(59)])
    room = MAX_ENVELOPE_BYTES - len(seal(write(more=more), MailForm(names=names)))
    more[0] += b"z" * (room - 1)
    raw = seal(write(more=more), MailForm(names=names))
    assert MAX_ENVELOPE_BYTES - 8 <= len(raw) <= MAX_ENVELOPE_BYTES
    assert read(raw)


def test_making_envelopes() -> None:
    """Bare line feeds become CRLF; of two signatures it takes the domain's; a mail without one is no mail of these."""
    mail = sign_mail(RSA_KEY, ADDRESS, SUBJECT)
    assert wrap(mail) == wrap(mail.replace(b"\r\n", b"\n")) == wrap(b"Received: by x\r\n\ty\r\n" + mail)
    other = seal_mail(ED25519_KEY, "relay.example", write(), MailForm()).split(b"\r\n")[0]
    assert wrap(mail) == wrap(other + b"\r\n" + mail)
    for wrong in (b"", b"From: x\r\n\r\n", mail.replace(b"; b=", b"; c=", 1), mail.replace(b"; b=", b"; b=*", 1)):
        with pytest.raises(UsageError, match=r"DKIM-Signature|base64"):
            wrap(wrong)


def test_what_dkimpy_signs_opens() -> None:
    """A signer of others, with folded header fields, for both kinds of key."""
    mail = b"\r\n".join(write(("From", "Bob\r\n <bob@mail.example>"))) + b"\r\n\r\nhello\r\n"
    pem = RSA_KEY.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    for key, secret in ((RSA_KEY, pem), (ED25519_KEY, base64.b64encode(b"\x17" * 32))):
        for canonical in (b"relaxed", b"simple"):
            sealed = dkim.sign(
                mail, b"s1", DOMAIN.encode(), secret, canonicalize=(canonical, b"relaxed"),
                signature_algorithm=key.algorithm, include_headers=[b"from", b"to", b"subject", b"from"],
            )  # fmt: skip
            opened = read(wrap(sealed + mail, key))
            assert (PROPOSAL, ADDRESS) == (opened.action.proposal, opened.action.address)  # type: ignore[attr-defined]


def test_a_mail_as_large_providers_sign_it() -> None:
    """With names in `h=` that the mail lacks, tags that nobody knows, and folded lines; two of three forms will do."""
    fold = "\r\n        "
    fields = [
        b"X-Google-DKIM-Signature: v=1; a=rsa-sha256; d=1e100.net; b=AAAA", b"X-Received: by 2002:a05:6000",
        b"MIME-Version: 1.0", b"From: Ann Lee <ann@mail.example>", b"Date: Thu, 01 Jan 2026 00:00:00 +0000",
        b"Message-ID: <CA+x@mail.mail.example>",
        f"Subject: recover\r\n {PROPOSAL.hex()}".encode(), b"To: recovery@keystore.example",
        b'Content-Type: multipart/alternative; boundary="000"',
    ]  # fmt: skip
    names = [
        "to", "subject", "message-id", "date", f"from{fold} ", "mime-version", "from", "to", "cc", "subject", "date",
        "message-id", "reply-to",
    ]  # fmt: skip
    form = MailForm("20230601", names, signed=1_710_986_684, expires=1_711_591_484, more=f"darn=x.example;{fold}")
    mail = seal_mail(RSA_KEY, DOMAIN, fields, form).replace(b"c=relaxed/relaxed; ", b"c=relaxed/relaxed;\r\n        ")
    opened = read(wrap(mail))
    assert (PROPOSAL, "ann@mail.example") == (opened.action.proposal, opened.action.address)  # type: ignore[attr-defined]
    assert 7 == len(opened.fields)
    assert ask_dkimpy(mail, RSA_KEY.public, 1_710_986_684)
    once = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "x-icloud-hme")
    assert "could be added" in refuse(seal(fields, MailForm(names=once)))


SPACES = st.sampled_from([" ", "", "  ", "\t", " \t ", "\r\n ", "\r\n\t", " \r\n "])
PIECES = st.sampled_from(
    [
        b" ", b"\t", b"\r\n ", b";", b"=", b"b=", b"; b=x", b" b=", b"l=3;", b"h=", b":", b"x=1;", b"from:", b"s=",
        b"From: x@y.z", b"\r\nFrom: eve@mail.example", b"<", b"@", b",", b"\0", b"\r", b"\n", b"A", b"\xff", b'"',
        b"i=@mail.example;", b"\x1e", b"\x1eX: y\x1e", b"_", b"*", b"/",
    ]
)  # fmt: skip


@st.composite
def write_mails(draw: st.DrawFn) -> tuple[MailKey, list[bytes], MailForm]:
    """Mails as providers might write them: case, folding, order, fields that are signed and others that are not."""
    names = list(draw(st.permutations(FIELDS)))
    texts = [("From", draw(st.sampled_from([ADDRESS, f"Bob <{ADDRESS}>"]))), ("To", "x@y.z"), ("Subject", SUBJECT)]
    texts += draw(
        st.lists(st.sampled_from([("Date", "x"), ("Received", "a b"), ("X-Y", "c d"), ("Cc", "")]), max_size=4)
    )
    names += draw(st.lists(st.sampled_from(["received", "x-y", "Cc", "Reply-To"]), max_size=3))
    fields = []
    for name, text in draw(st.permutations(texts)):
        cased = draw(st.sampled_from([name, name.lower(), name.upper()]))
        fields.append((f"{cased}:{draw(SPACES)}" + text.replace(" ", draw(SPACES) or " ") + "y" * (not text)).encode())
    form = MailForm(
        draw(st.sampled_from(["s1", "S1.k"])),
        names,
        draw(st.sampled_from(["relaxed/relaxed", "relaxed", "simple/relaxed", "simple", "relaxed/simple"])),
        draw(st.sampled_from([None, 1, 1_700_000_000])),
        draw(st.sampled_from([None, LATE])),
        draw(st.sampled_from(["", "i=@mail.example; ", "q=dns/txt;\r\n\t", "darn=x; ", "i=bob@x.mail.example; "])),
    )
    return draw(st.sampled_from([RSA_KEY, ED25519_KEY])), fields, form


@settings(max_examples=120, deadline=None)
@given(write_mails())
def test_a_plain_mail_opens_and_dkimpy_takes_it(written: tuple[MailKey, list[bytes], MailForm]) -> None:
    """The whole mail, and the one that can be rebuilt from its envelope."""
    key, fields, form = written
    mail = seal_mail(key, "Mail.example", fields, form)
    raw = wrap(mail, key)
    opened = read(raw)
    assert (PROPOSAL, ADDRESS) == (opened.action.proposal, opened.action.address)  # type: ignore[attr-defined]
    assert ask_dkimpy(mail, key.public)
    assert ask_dkimpy(*rebuild(raw))


@settings(max_examples=400, deadline=None)
@given(write_mails(), st.lists(st.tuples(st.integers(0, 999), st.integers(0, 3), PIECES), min_size=1, max_size=3))
def test_attack_what_dkimpy_refuses_does_not_open(
    written: tuple[MailKey, list[bytes], MailForm], changes: list[tuple[int, int, bytes]]
) -> None:
    """Fields and tags with pieces cut out and put in, and then signed by whoever has the key."""
    key, fields, form = written
    _, kept, _, _ = decode_mail(wrap(seal_mail(key, DOMAIN, fields, form), key))
    text = b"\x1e".join(kept)
    for place, size, piece in changes:
        start = place * len(text) // 1_000
        text = text[:start] + piece + text[start + size :]
    forged = tuple(text.split(b"\x1e"))
    listed = re.findall(rb"[;\s]h=([^;]*)", forged[-1])
    names = tuple([name.strip().lower() for name in b"".join(listed[:1]).split(b":")])
    relaxed = b"c=relaxed" in forged[-1]
    try:
        chosen = choose_fields(forged[:-1], names)
    except Revert:
        chosen = forged[:-1]
    signature = key.sign(b"\r\n".join([canonicalize(field, relaxed) for field in (*chosen, forged[-1])]))
    raw = encode_mail(key.public, forged, signature, SALT)
    try:
        read(raw)
    except BadEnvelope:
        return
    tags = read_tags(get_value(forged[-1]))
    if EMPTY[tags.get(b"c", b"").endswith(b"/relaxed")] == tags[b"bh"].replace(b" ", b""):  # else no body is known
        assert ask_dkimpy(*rebuild(raw), read(raw).action.signed), raw  # type: ignore[attr-defined]
    (found,) = message_from_bytes(rebuild(raw)[0], policy=policy.default)["from"].addresses
    assert found.addr_spec.lower() == read(raw).action.address  # type: ignore[attr-defined]
    assert 1 == [get_name(field) for field in forged].count(b"from")


def test_dkimpy_takes_the_vectors() -> None:
    """The mails of the conformance vectors that open; of the others one is not signed by its key."""
    opinions = []
    for case in load_cases("keystore-plus-mails"):
        taken = ask_dkimpy(case["mail"].encode(), bytes.fromhex(case["key"][2:]))
        assert taken or not case["opens"]
        opinions.append(taken)
    assert 1 == opinions.count(False)
