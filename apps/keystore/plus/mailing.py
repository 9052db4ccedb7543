"""Mails outside of the rollup: one that a guardian has sent becomes an envelope; tests sign their own.

A client reads the guardian's mail, `raw = make_envelope(mail, public_key, salt)`, and hands it in:
`client.submit_envelope("dkim", raw)`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

from .mail_bytes import encode_mail
from .mail_fields import canonicalize, choose_fields, get_name, get_value
from .rsa_keys import encode_rsa_key

__all__ = [
    "FIELDS",
    "MailForm",
    "MailKey",
    "make_envelope",
    "seal_mail",
    "sign_mail",
    "write_subject",
]

FIELDS: Final = ("from", "from", "to", "subject", "date")
"""What `sign_mail` names in `h=`."""


class MailKey:
    """A key that signs mails for a domain: RSA, or Ed25519."""

    def __init__(self, private: rsa.RSAPrivateKey | Ed25519PrivateKey) -> None:
        self.private = private

    @property
    def public(self) -> bytes:
        """As in DNS (`p=`), after base64."""
        if isinstance(self.private, Ed25519PrivateKey):
            form = serialization.PublicFormat.Raw
            return self.private.public_key().public_bytes(serialization.Encoding.Raw, form)
        numbers = self.private.public_key().public_numbers()
        return encode_rsa_key(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big"), numbers.e)

    @property
    def hash(self) -> bytes:
        """keccak256 of `public`: what `AddDkimKey` announces."""
        return keccak256(self.public)

    @property
    def algorithm(self) -> bytes:
        """The value of `a=`."""
        return b"ed25519-sha256" if isinstance(self.private, Ed25519PrivateKey) else b"rsa-sha256"

    def sign(self, data: bytes) -> bytes:
        """By the algorithm of `a=`."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(hashlib.sha256(data).digest())
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


class MailForm(Struct, frozen=True):
    """What a signature says of itself."""

    selector: str = "s1"
    names: Sequence[str] = FIELDS
    """`h=`; white space around a name stays there, as where a line is folded."""
    canonical: str = "relaxed/relaxed"
    """`c=`."""
    signed: int | None = None
    """`t=`, seconds."""
    expires: int | None = None
    """`x=`, seconds."""
    more: str = ""
    """Further tags, such as `l=10; `."""


def write_subject(proposal: bytes) -> str:
    """The Subject by which a guardian supports a proposal of 32 bytes."""
    return f"recover {proposal.hex()}"


def sign_mail(key: MailKey, address: str, subject: str, form: MailForm | None = None) -> bytes:
    """A whole mail from an address, signed for its domain as its provider would."""
    fields = (
        f"From: {address}".encode(),
        b"To: recovery@keystore.example",
        f"Subject: {subject}".encode(),
        b"Date: Thu, 01 Jan 2026 00:00:00 +0000",
    )
    return seal_mail(key, address.rpartition("@")[2].rstrip(">"), fields, form or MailForm())


def seal_mail(key: MailKey, domain: str, fields: Sequence[bytes], form: MailForm) -> bytes:
    """A whole mail of these header fields, with an empty body, that a domain has signed: `d=` is `domain`."""
    body = b"" if form.canonical.endswith("/relaxed") else b"\r\n"
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    times = "".join([f"{tag}={value}; " for tag, value in (("t", form.signed), ("x", form.expires)) if value])
    sealing = (
        f"DKIM-Signature: v=1; a={key.algorithm.decode()}; c={form.canonical}; d={domain}; s={form.selector}; "
        f"{times}{form.more}h={':'.join(form.names)}; bh={digest}; b="
    ).encode()
    names = [name.strip().lower().encode() for name in form.names]
    chosen = choose_fields(_keep_signed(fields, names), tuple(names))
    relaxed = form.canonical.startswith("relaxed")
    signed = b"\r\n".join([canonicalize(field, relaxed) for field in (*chosen, sealing)])
    sealed = sealing + base64.b64encode(key.sign(signed))
    return b"".join([field + b"\r\n" for field in (sealed, *fields)]) + b"\r\n"


def make_envelope(mail: bytes, key: bytes, salt: bytes) -> bytes:
    """The envelope of a whole mail; `key` is the public key in DNS (`p=`, after base64).

    `salt` is what the guardian's id was made with. Of several signatures it takes the first of the domain in From.
    Whether the rollup takes the envelope, `open` says. Raises `UsageError` for a mail without a signature.
    """
    head, _, _ = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields: list[bytes] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b"\r\n" + line
        else:
            fields.append(line)
    sealed = [field for field in fields if get_name(field) == b"dkim-signature"]
    if not sealed:
        raise UsageError("the mail has no DKIM-Signature")
    senders = [get_value(field).lower() for field in fields if get_name(field) == b"from"]
    own = [field for field in sealed if any(_get_tag(field, b"d").lower() in sender for sender in senders)]
    sealing, signature = _take_signature((own or sealed)[0])
    names = [name.strip().lower() for name in _get_tag(sealing, b"h").split(b":")]
    return encode_mail(key, (*_keep_signed(fields, names), sealing), signature, salt)


def _keep_signed(fields: Sequence[bytes], names: Sequence[bytes]) -> tuple[bytes, ...]:
    """The fields that names take, from the bottom, in the order of the mail."""
    taken: list[int] = []
    for name in names:
        places = [place for place, field in enumerate(fields) if get_name(field) == name and place not in taken]
        taken += places[-1:]
    return tuple([fields[place] for place in sorted(taken)])


def _get_tag(field: bytes, wanted: bytes) -> bytes:
    tags = [part.partition(b"=") for part in get_value(field).split(b";")]
    return b"".join([text.strip() for name, _, text in tags if name.strip() == wanted])


def _take_signature(sealed: bytes) -> tuple[bytes, bytes]:
    """The field with nothing after `b=`, and what stood there."""
    parts = sealed.split(b";")
    for place, part in enumerate(parts):
        head, equals, text = part.partition(b"=")
        if head.strip().endswith(b"b") and head.split()[-1:] == [b"b"] and equals:
            parts[place] = head + b"="
            try:
                return b";".join(parts).rstrip(), base64.b64decode(b"".join(text.split()), validate=True)
            except ValueError as error:
                raise UsageError("b= is not base64") from error
    raise UsageError("the DKIM-Signature has no b=")
