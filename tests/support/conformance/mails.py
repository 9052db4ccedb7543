"""Vectors of Keystore+'s mails: envelopes with both kinds of key and canonicalization, and some that do not open."""

from __future__ import annotations

from typing import Any

from apps.keystore.plus import app
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import MailForm, MailKey, make_envelope, seal_mail, sign_mail, write_subject
from conformance.encoding import fill, show
from mail_keys import ED25519_KEY, RSA_KEY
from microrollup.errors import BadEnvelope
from microrollup.execution.envelope import EnvelopeOpener

Case = dict[str, Any]

_ADDRESS = "ann@mail.example"
_FOLDED = (
    b'FROM:"Ann <the first>"\r\n\t <Ann@Mail.Example>', b"To:\tx@y.example ", b"Received: by a", b"Received: by b",
    b"Subject:  recover\r\n " + fill("proposal").hex().encode(),
)  # fmt: skip


def make_mails() -> list[Case]:
    """Plain mails; folded ones; and mails that say less than they seem to."""
    subject = write_subject(fill("proposal"))
    mails = []
    for key in (RSA_KEY, ED25519_KEY):
        form = MailForm("k1._x", canonical="simple/simple", signed=1_700_000_000, expires=1_800_000_000)
        folded = MailForm(names=("received", "from", "To", "subject", "from", "received", "cc"))
        mails += [
            (key, sign_mail(key, _ADDRESS, subject)),
            (key, sign_mail(key, f"Ann <{_ADDRESS}>", subject, form)),
            (key, seal_mail(key, "mail.example", _FOLDED, folded)),
        ]
    mails += [
        (RSA_KEY, sign_mail(RSA_KEY, _ADDRESS, subject, MailForm(more="l=0; "))),
        (RSA_KEY, sign_mail(RSA_KEY, _ADDRESS, subject, MailForm(names=("from", "to", "subject")))),
        (RSA_KEY, sign_mail(RSA_KEY, _ADDRESS, f"Re: {subject}")),
        (ED25519_KEY, sign_mail(RSA_KEY, _ADDRESS, subject)),
        (RSA_KEY, seal_mail(RSA_KEY, "example", [b"From: a@b.example", *_FOLDED[1:]], MailForm())),
    ]
    return [_open(key, mail) for key, mail in mails]


def _open(key: MailKey, mail: bytes) -> Case:
    salt = fill("salt")
    raw = make_envelope(mail, key.public, salt)
    case = {"mail": mail.decode(), "key": show(key.public), "raw": show(raw)}
    try:
        enveloped = EnvelopeOpener(app).open("dkim", raw)
    except BadEnvelope:
        return {**case, "opens": False}
    action: Any = app.envelopes["dkim"].decode_action(enveloped.action)
    guardian = compute_mail_id(salt, action.address)
    return {**case, "opens": True, "hash": show(enveloped.hash), "action": show(action), "guardian": show(guardian)}
