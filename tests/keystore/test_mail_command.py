"""`python -m apps.keystore.plus mail`: a saved mail becomes a line that a node takes, or a reason why not."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from apps.keystore.plus.command import main
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import MailForm, make_envelope, sign_mail, write_subject
from mail_keys import ED25519_KEY, RSA_KEY
from plus_world import SALT

PROPOSAL = b"\x05" * 32
P = base64.b64encode(RSA_KEY.public).decode()


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    file = tmp_path / "ann.eml"
    form = MailForm(expires=1_800_000_000)
    file.write_bytes(sign_mail(RSA_KEY, "Ann <Ann@mail.example>", write_subject(PROPOSAL), form))
    return file


@pytest.mark.parametrize("key", [P, f"v=DKIM1; k=rsa; p={P}", f'"v=DKIM1; k=rsa; p={P[:200]}" "{P[200:]}"'])
def test_a_mail_becomes_a_line(mail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    """The key as base64 or as the record that DNS gives; the line is for `microrollup submit`."""
    out = tmp_path / "lines"
    assert 0 == main(["mail", str(mail), "--public-key", key, "--salt", SALT.hex(), "--out", str(out), "--json"])
    said = json.loads(capsys.readouterr().out)
    raw = make_envelope(mail.read_bytes(), RSA_KEY.public, SALT)
    assert {"envelope": "dkim", "raw": f"0x{raw.hex()}"} == json.loads(out.read_bytes())
    guardian = compute_mail_id(SALT, "ann@mail.example")
    assert (f"0x{PROPOSAL.hex()}", "ann@mail.example", f"0x{guardian.hex()}", 1_800_000_000, f"0x{raw.hex()}") == tuple(
        said[name] for name in ("proposal", "address", "guardian", "expires", "raw")
    )


def test_what_a_person_reads(mail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whom it is from, and what it supports."""
    assert 0 == main(["mail", str(mail), "--public-key", P, "--salt", SALT.hex()])
    shown = capsys.readouterr().out
    assert "ann@mail.example" in shown
    assert PROPOSAL.hex() in shown


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("", None, "p= of the TXT record"),
        ("%%", None, "p= of the TXT record"),
        (base64.b64encode(ED25519_KEY.public).decode(), None, "not an RSA key in DER"),
        (P, b"From: ann@mail.example\r\n\r\n", "no DKIM-Signature"),
        (P, b"", "has 0 bytes"),
    ],
)
def test_why_not(mail: Path, capsys: pytest.CaptureFixture[str], key: str, text: bytes | None, reason: str) -> None:
    """One sentence, and an exit code that is not 0."""
    if text is not None:
        mail.write_bytes(text)
    assert 0 != main(["mail", str(mail), "--public-key", key, "--salt", SALT.hex()])
    assert reason in " ".join(capsys.readouterr().err.split())
    mail.unlink()
    assert 0 != main(["mail", str(mail), "--public-key", P, "--salt", SALT.hex()])
