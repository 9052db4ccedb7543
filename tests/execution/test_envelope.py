"""Opening: the same bytes open everywhere, or nowhere, whatever the app's code does with them."""

from __future__ import annotations

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import escaping_envelopes
import remembering
import tickets
from microrollup.chain.envelope_record import encode_envelope_record
from microrollup.chain.receipt import EXECUTED
from microrollup.chain.record import Forced
from microrollup.errors import (
    ActionLimit,
    BadEnvelope,
    DecodeError,
    ImpureStf,
    LimitExceeded,
    RefusedError,
    TooLarge,
    UnknownEnvelope,
)
from microrollup.execution.authentication import MAX_LINE_BYTES, Authenticator, may_be_envelope
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import make_forced_entry
from microrollup.execution.envelope import Enveloped, EnvelopeOpener, describe_enveloped
from microrollup.execution.payload import encode_envelope_payload
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from ticket_keys import Purse
from tickets import Redeem

NAME = "p256-ticket"
DOMAIN = tickets.app.make_domain()
AUTHENTICATOR = Authenticator.of(tickets.app, DOMAIN)


def make_line(raw: bytes, name: str = NAME) -> bytes:
    return b'{"envelope":"%s","raw":"0x%s"}' % (name.encode(), raw.hex().encode())


def strip(outcome: object) -> object:
    """Without what differs from run to run."""
    if isinstance(outcome, Enveloped):
        return outcome.record, outcome.name, outcome.hash, outcome.action
    assert isinstance(outcome, (RefusedError, DecodeError))
    return type(outcome), str(outcome)


def test_what_opens() -> None:
    """Record, hash and action come out; the action travels whole."""
    purse = Purse()
    raw = purse.sign(5)
    opened = AUTHENTICATOR.authenticate_line(make_line(raw))
    assert isinstance(opened, Enveloped)
    assert strip(opened) == strip(AUTHENTICATOR.authenticate_record(opened.record))
    action = tickets.app.envelopes[NAME].decode_action(opened.action)
    assert Redeem(purse.id, 0, bytes(19) + b"\1", 5, 0) == action
    assert tickets.digest_ticket(action) == opened.hash
    assert "Redeem" == describe_enveloped(tickets.app, opened)[0]
    assert 0 < opened.seconds < 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"envelope":"p256-ticket"}', "missing_member"),
        (b'{"envelope":"p256-ticket","raw":"0x","sender":"0x"}', "unknown_member"),
        (b'{"envelope":7,"raw":"0x"}', "wrong_type"),
        (b'{"envelope":"p256-ticket","raw":7}', "wrong_type"),
        (b'{"envelope":"p256-ticket","raw":"0xf"}', "bad_hex"),
        (b'{"envelope":"p256-ticket","raw":"0x","raw":"0x"}', "duplicate_member"),
        (make_line(bytes(19)), "bad_envelope"),
        (make_line(bytes(16_001)), "bad_envelope"),
        (make_line(bytes(16_100)), "too_large"),
        (make_line(bytes(100), "signed"), "unknown_envelope"),
        (make_line(bytes(100)), "bad_envelope"),
    ],
)
def test_lines_that_are_refused(line: bytes, code: str) -> None:
    """By the rules of signed actions' lines, and by the envelope's."""
    with pytest.raises(RefusedError) as caught:
        AUTHENTICATOR.authenticate_line(line)
    assert code == caught.value.code


def test_only_envelopes_are_that_long() -> None:
    """A signed action's line keeps its limit; an app without envelopes knows nothing of them."""
    assert len(make_line(bytes(16_000))) <= MAX_LINE_BYTES
    with pytest.raises(TooLarge):
        AUTHENTICATOR.authenticate_line(b'{"type":"%s"}' % (b"x" * 17_000))
    plain = Authenticator(tickets.app.action_types, DOMAIN)
    with pytest.raises(RefusedError):
        plain.authenticate_line(make_line(Purse().sign()))
    with pytest.raises(UnknownEnvelope):
        plain.open_envelope(NAME, Purse().sign())


@pytest.mark.parametrize(
    "line", [make_line(b"x"), b'{ "raw": "0x", "envelope": "a"}', b'{"\\u0065nvelope":"a","raw":""}']
)
def test_they_are_seen_at_a_glance(line: bytes) -> None:
    """However the member is spelt."""
    assert may_be_envelope(line)
    assert not may_be_envelope(b'{"type":"Fill","message":{},"signature":"0x"}')
    assert not may_be_envelope(b'{"type":"Note","message":{"text":"\\u00e9"},"signature":"0x"}')


def test_a_pool_gives_the_same() -> None:
    """Processes and threads open alike; places in a chunk are kept, and what failures took is told."""
    purse = Purse()
    lines = [make_line(purse.sign(1)), b"{}", make_line(bytes(100)), make_line(purse.sign(2)), make_line(b"", "x")]
    here = [strip(outcome) for outcome in next(iter_pool(0, lines))]
    with AuthenticationPool("tickets:app", DOMAIN, 1) as pool:
        (there,) = pool.authenticate_lines([lines])
        assert here == [strip(outcome) for outcome in there]
        assert isinstance(there[2], BadEnvelope)
        records = [outcome.record for outcome in there if isinstance(outcome, Enveloped)]
        (again,) = pool.authenticate_records([[*records, b"\x93\xa8envelope", records[0] + b"\0"]])
    assert [here[0], here[3]] == [strip(outcome) for outcome in again[:2]]
    assert [DecodeError] * 2 == [type(outcome) for outcome in again[2:]]


def iter_pool(workers: int, lines: list[bytes]):  # type: ignore[no-untyped-def]
    with AuthenticationPool("tickets:app", DOMAIN, workers) as pool:
        yield from pool.authenticate_lines([lines])


@pytest.mark.parametrize("mode", range(len(escaping_envelopes.MODES)), ids=escaping_envelopes.MODES)
def test_code_that_goes_wrong(mode: int) -> None:
    """Whatever `open` and `encode` raise, give or swallow, the bytes do not open, and say so in a sentence."""
    opener = EnvelopeOpener(escaping_envelopes.app)
    with pytest.raises(BadEnvelope) as caught:
        opener.open("escaping", bytes((mode,)) + bytes(31))
    assert caught.value.seconds < 5
    fine = len(escaping_envelopes.MODES)
    assert bytes(32) == opener.open("escaping", bytes((fine,)) + bytes(31)).hash


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["action", "hash", "whether it opens"])
def test_opened_twice(mode: int) -> None:
    """Code that keeps something between calls is noticed by whatever differs; not where it is opened once."""
    opener, raw = EnvelopeOpener(remembering.app), bytes((mode,)) + bytes(31)
    remembering.CALLS.clear()
    opener.open("remembering", raw)
    remembering.CALLS.clear()
    with pytest.raises(ImpureStf, match="envelope remembering gives another outcome when it is opened again"):
        opener.open("remembering", raw, twice=True)


def test_opening_twice_changes_nothing() -> None:
    """What is pure comes out as if it had been opened once; what does not open has no outcome, whatever its reason."""
    opener, raw = EnvelopeOpener(tickets.app), Purse().sign(5)
    assert strip(opener.open(NAME, raw)) == strip(opener.open(NAME, raw, twice=True))
    opener = EnvelopeOpener(remembering.app)
    assert bytes(31) + b"\1" == opener.open("remembering", b"\3" + bytes(31), twice=True).hash
    with pytest.raises(BadEnvelope):
        opener.open("remembering", b"\4" + bytes(31), twice=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_verifiers_pool_opens_twice(workers: int) -> None:
    """Its records, in processes and here, and what the queue carries; a pool of the node opens once."""
    domain = remembering.app.make_domain()
    raw = b"\1" + bytes(31)
    record = encode_envelope_record("remembering", raw)
    with AuthenticationPool("remembering:app", domain, workers) as pool:
        ((opened,),) = pool.authenticate_records([[record]])
        assert isinstance(opened, Enveloped)
    with (
        AuthenticationPool("remembering:app", domain, workers, twice=True) as pool,
        pytest.raises(ImpureStf, match="remembering gives another outcome"),
    ):
        list(pool.authenticate_records([[record]]))
    forced = Forced(0, bytes(20), 1, encode_envelope_payload("remembering", raw), False)
    authenticator = Authenticator.of(remembering.app, domain)
    assert EXECUTED == make_forced_entry(remembering.app, bytes(32), forced, authenticator).status
    with pytest.raises(ImpureStf, match="remembering gives another outcome"):
        make_forced_entry(remembering.app, bytes(32), forced, authenticator, twice=True)


def test_too_little_stack_says_nothing_of_the_bytes() -> None:
    """Where this process has no room the error is the process's: a line is refused, a record is not judged."""
    authenticator = Authenticator.of(escaping_envelopes.app, DOMAIN)
    raw = b"\1" + bytes(31)
    limit = sys.getrecursionlimit()
    for authenticate, given, expected in (
        (authenticator.authenticate_line, make_line(raw, "escaping"), ActionLimit),
        (authenticator.authenticate_record, encode_envelope_record("escaping", raw), LimitExceeded),
    ):
        with pytest.raises(BadEnvelope, match="limit of depth"):
            authenticate(given)
        sys.setrecursionlimit(len(inspect.stack(0)) + 60)
        try:
            with pytest.raises(expected, match="more memory or stack than there is"):
                authenticate(given)
        finally:
            sys.setrecursionlimit(limit)


def test_threads_open_at_one_time() -> None:
    """One meter counts for one of them at a time."""
    opener = EnvelopeOpener(tickets.app)
    good, bad = Purse().sign(), Purse("other").sign(mood=9)

    def try_one(raw: bytes) -> bool:
        try:
            return bool(opener.open(NAME, raw))
        except BadEnvelope:
            return False

    with ThreadPoolExecutor(4) as executor:
        outcomes = list(executor.map(try_one, [good, bad, good, good] * 3))
    assert [True, False, True, True] * 3 == outcomes


def test_payloads() -> None:
    """Names and sizes that no payload has are refused where it is made."""
    name = "a" * 32
    assert MAX_FORCED_PAYLOAD_BYTES == len(encode_envelope_payload(name, bytes(8_158)))
    with pytest.raises(TooLarge, match="a payload has room for 8158"):
        encode_envelope_payload(name, bytes(8_159))
    for wrong in ("", "a" * 33, "é"):
        with pytest.raises(DecodeError):
            encode_envelope_payload(wrong, b"")


def test_the_members_of_a_class_hide_no_builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with an envelope has a method called `open`; calling the builtin is refused there all the same."""
    source = Path(tickets.__file__).read_text().replace("spins = 0\n", 'spins = len(open("/etc/passwd").read())\n')
    (tmp_path / "reading_tickets.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import reading_tickets  # type: ignore[import-not-found]

    assert ["uses open"] == [finding.what for finding in reading_tickets.app.findings]
