"""`python -m apps.keystore.plus mail`: a guardian's mail as the line that a node takes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
import msgspec

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import RefusedError, UsageError
from microrollup.execution.envelope import EnvelopeOpener

from .clock import MAX_TIME
from .dkim import DkimMail
from .mail_votes import compute_mail_id
from .mailing import make_envelope

__all__ = ["mail_command", "read_public_key"]

_MAX_MAIL_BYTES = 64 << 20
_NAME = DkimMail.name


def read_public_key(text: str) -> bytes:
    """The base64 after `p=` of a DKIM record, white space and quotes left out, or the whole record."""
    found = [part.strip()[2:] for part in text.split(";") if part.strip().startswith("p=")]
    plain = "".join((found[0] if found else text).replace('"', " ").split())
    try:
        key = base64.b64decode(plain, validate=True)
    except ValueError:
        key = b""
    if not key:
        raise click.BadParameter("give the base64 after p= of the TXT record SELECTOR._domainkey.DOMAIN")
    return key


@click.command("mail", cls=Command)
@click.argument("file", type=PATH)
@click.option("--public-key", type=read_public_key, required=True, metavar="BASE64", help="Of the provider, from DNS.")
@click.option("--salt", type=hex_bytes(32), required=True, metavar="HEX", help="With which the guardian's id is made.")
@click.option("--out", type=PATH, metavar="LINES", help="Write the line for `microrollup submit` here.")
@click.option("--app", default=__package__, show_default=True, metavar="APP", help="The Keystore+ that it is for.")
@json_option
def mail_command(file: Path, public_key: bytes, salt: bytes, out: Path | None, app: str, output: Output) -> None:
    """Make the envelope of a guardian's mail, and say what it holds.

    FILE is the whole mail, as a mail program saves it (.eml). Checks the signature and the form, and nothing that the
    rollup's state decides. With a Subject of `recover` and 64 zeros it tells beforehand whether mails of an address
    can be a guardian's.
    """
    try:
        size = file.stat().st_size
        mail = file.read_bytes() if size <= _MAX_MAIL_BYTES else b""
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    if not mail:
        raise UsageError(f"{file} has {size} bytes; a mail has 1 to {_MAX_MAIL_BYTES:,}")
    rollup = load_rollup(app)
    raw = make_envelope(mail, public_key, salt)
    try:
        enveloped = EnvelopeOpener(rollup).open(_NAME, raw)
    except RefusedError as error:
        raise UsageError(f"no vote ({error.detail}): compare `microrollup docs guides/keystore/mail`") from None
    action: Any = rollup.envelopes[_NAME].decode_action(enveloped.action)
    document = {
        "proposal": hex0x(action.proposal),
        "address": action.address,
        "guardian": hex0x(compute_mail_id(salt, action.address)),
        "domain": action.domain,
        "selector": action.selector,
        "keyHash": hex0x(action.key_hash),
        "signed": action.signed,
        "expires": None if action.expires == MAX_TIME else action.expires,
        "raw": hex0x(raw),
    }
    if out is not None:
        out.write_bytes(msgspec.json.encode({"envelope": _NAME, "raw": hex0x(raw)}) + b"\n")
    facts = {
        "supports": document["proposal"],
        "address": f"{action.address}, guardian {document['guardian']}",
        "key": f"{action.selector}._domainkey.{action.domain}, hash {document['keyHash']}",
        "expires": "never" if document["expires"] is None else f"second {document['expires']}",
    }
    output.show(document, make_facts(facts))
