"""The envelope `dkim`: a guardian's mail, as the mail provider signed it, by which the guardian supports a proposal.

    raw = canonical msgpack [public key, [header field, ...], signature, salt]

The header fields are those that the signature covers, as they are in the mail, in its order, without the last
CRLF; then the DKIM-Signature field itself, with nothing after `b=`. There is no body: the Subject says it all.
"""

from __future__ import annotations

from typing import Final

from microrollup import Action, Bytes32, Envelope, Opened, Revert, Uint64, require
from microrollup.crypto.checks import sha256, verify_ed25519, verify_rsa_sha256
from microrollup.crypto.keccak import keccak256

from .clock import MAX_TIME
from .mail_bytes import decode_mail, encode_mail
from .mail_fields import (
    MAX_FIELDS,
    canonicalize,
    choose_fields,
    get_name,
    get_value,
    is_domain,
    is_field_name,
    is_selector,
    read_from,
    read_tags,
    require_field,
)
from .rsa_keys import read_rsa_key

__all__ = ["DkimMail", "DkimOpened", "SupportByMail"]

_ONCE: Final = (b"from", b"to", b"subject")
_ANSWERS: Final = (b"auto-submitted", b"in-reply-to", b"references")
"""What mails have that were not written but sent back: an answering machine may keep the Subject of what it answers."""
_CANONICAL: Final = (b"simple", b"relaxed")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS: Final = b"0123456789"


class SupportByMail(Action, frozen=True):
    """A guardian votes for a proposal by a mail from its address."""

    proposal: Bytes32
    """From the Subject."""
    address: str
    """From the From field, in lower case."""
    salt: Bytes32
    """The guardian is `keccak256(salt || address)`."""
    domain: str
    """That signed: the address's."""
    selector: str
    """Of the signing key, in lower case."""
    key_hash: Bytes32
    """keccak256 of the public key."""
    signed: Uint64
    """Second of signing, `t=`; 0: not said."""
    expires: Uint64
    """Last second, `x=`; 2^64 - 1: never."""


class DkimOpened(Opened, frozen=True):
    """A mail that was signed by the key that came with it."""

    key: bytes
    """As in DNS, after base64: an RSA key as DER SubjectPublicKeyInfo, or the 32 bytes of an Ed25519 key."""
    fields: tuple[bytes, ...]
    signature: bytes


class DkimMail(Envelope):
    """A mail with a DKIM signature (RFC 6376; Ed25519: RFC 8463). Its hash is `keccak256(raw)`."""

    name = "dkim"
    actions = (SupportByMail,)

    def open(self, raw: bytes) -> Opened:
        """Whatever is not plain is refused, so that no two programs read the same mail in two ways."""
        key, fields, signature, salt = decode_mail(raw)
        require(2 <= len(fields) <= MAX_FIELDS, "a mail has 2 to 64 header fields here")
        for field in fields:
            require_field(field)
        signed, sealing = fields[:-1], fields[-1]
        require(get_name(sealing) == b"dkim-signature", "the last header field is the DKIM-Signature")
        require(sealing == sealing.rstrip(b" \t"), "the DKIM-Signature ends with white space")
        tags = read_tags(get_value(sealing))
        for name in (b"a", b"b", b"bh", b"d", b"h", b"s"):
            require(name in tags, "a tag is missing: a, b, bh, d, h and s are needed")
        require(b"l" not in tags, "the signature covers a part of the body only: l=")
        require(tags.get(b"q", b"dns/txt") == b"dns/txt", "q= is dns/txt")
        names = tuple([name.strip(b" ").lower() for name in tags[b"h"].split(b":")])
        require(len(names) <= MAX_FIELDS, "h= has at most 64 names")
        require(all(is_field_name(name) for name in names), "h= lists what is not a name")
        require(b"dkim-signature" not in names, "h= names the signature itself")
        require(names.count(b"from") >= 2, "h= does not name From twice, so another could be added")
        for name in _ONCE:
            require(name in names, "From, To and Subject are signed")
            require([get_name(field) for field in signed].count(name) == 1, "one From, one To, one Subject")
        require(all(get_name(field) not in _ANSWERS for field in signed), "the mail answers another one")
        domain, selector = tags[b"d"].lower(), tags[b"s"].lower()
        require(is_domain(domain), "d= is not a domain")
        require(is_selector(selector), "s= is not a selector")
        _require_hash_form(tags[b"bh"])
        _require_identity(tags, domain)
        relaxed, chosen = _is_relaxed(tags.get(b"c", b"simple")), choose_fields(signed, names)
        lines = [canonicalize(field, relaxed) for field in (*chosen, sealing)]
        data = b"\r\n".join(lines)
        _require_signed(tags[b"a"], key, data, signature)
        values = {get_name(field): get_value(field) for field in signed}
        address, home = read_from(values[b"from"])
        require(home == domain, "d= is not the domain of From")
        started, expires = _read_times(tags)
        action = SupportByMail(
            _read_subject(values[b"subject"]), address.decode(), salt, domain.decode(), selector.decode(),
            keccak256(key), started, expires,
        )  # fmt: skip
        return DkimOpened(action, keccak256(raw), key, fields, signature)

    def encode(self, opened: Opened) -> bytes:
        """Canonical msgpack."""
        action = opened.action
        if not isinstance(opened, DkimOpened) or not isinstance(action, SupportByMail):
            raise Revert("not a mail")
        return encode_mail(opened.key, opened.fields, opened.signature, action.salt)


def _is_relaxed(value: bytes) -> bool:
    """Whether header fields are canonicalized so; the second word is for the body, which is not here."""
    header, slash, body = value.partition(b"/")
    require(header in _CANONICAL and (not slash or body in _CANONICAL), "c= is simple or relaxed")
    return header == b"relaxed"


def _require_hash_form(value: bytes) -> None:
    """The hash of the body has its form; what it is the hash of is not here."""
    text = value.replace(b" ", b"")
    require(len(text) == 44 and text[43:] == b"=", "bh= is not a SHA-256 hash")
    require(all(letter in _BASE64 for letter in text[:43]), "bh= is not a SHA-256 hash")


def _require_identity(tags: dict[bytes, bytes], domain: bytes) -> None:
    """`i=`, if it is there, lies in the domain or below."""
    if b"i" not in tags:
        return
    _, sign, home = tags[b"i"].lower().rpartition(b"@")
    require(sign == b"@" and (home == domain or home.endswith(b"." + domain)), "i= is not in the domain of d=")


def _require_signed(algorithm: bytes, key: bytes, data: bytes, signature: bytes) -> None:
    if algorithm == b"ed25519-sha256":
        require(verify_ed25519(key, sha256(data), signature), "not signed by the key")
        return
    require(algorithm == b"rsa-sha256", "a= is rsa-sha256 or ed25519-sha256")
    modulus, exponent = read_rsa_key(key)
    require(verify_rsa_sha256(modulus, exponent, data, signature), "not signed by the key, or of less than 2048 bits")


def _read_times(tags: dict[bytes, bytes]) -> tuple[int, int]:
    """`t=` and `x=`; 0 and 2^64 - 1 where they are missing."""
    started = _read_second(tags[b"t"]) if b"t" in tags else 0
    expires = _read_second(tags[b"x"]) if b"x" in tags else MAX_TIME
    require(started < expires, "x= is not after t=")
    return started, expires


def _read_second(text: bytes) -> int:
    require(1 <= len(text) <= 12 and all(letter in _DIGITS for letter in text), "t= and x= have 1 to 12 digits")
    return int(text.decode())


def _read_subject(subject: bytes) -> bytes:
    """The proposal: exactly `recover ` and 64 hex digits in lower case."""
    word, _, digits = subject.partition(b" ")
    hexadecimal = len(digits) == 64 and all(letter in b"0123456789abcdef" for letter in digits)
    require(word == b"recover" and hexadecimal, "the Subject is `recover` and the 64 hex digits of a proposal")
    return bytes.fromhex(digits.decode())
