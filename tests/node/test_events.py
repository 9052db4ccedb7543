"""What passes between the verifier's process and its starter: JSON lines that come back as they were."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from microrollup.chain.block import Header
from microrollup.codec.schema import to_camel_case
from microrollup.errors import Divergence
from microrollup.verifier.events import (
    DivergenceEvent,
    ErrorEvent,
    Report,
    VerifierEvent,
    VerifierProgress,
    VerifierRequest,
)

EVENTS = [
    VerifierProgress(5, 70),
    Report(9, 3, 100, "0x01", "0x02", "0x03", "0x04", [msgspec.Raw(b'{"a":1}')], ["builder"]),
    DivergenceEvent(3, None, "stateRoot", "0x01", "0x02"),
    DivergenceEvent(3, 17, "nonce", "1", "2"),
    ErrorEvent("WrongRollup", 'a "quoted"\nline'),
]
DECODER: msgspec.json.Decoder[VerifierEvent] = msgspec.json.Decoder(VerifierEvent)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_one_line(event: VerifierEvent) -> None:
    """An event is one line of JSON and comes back as it was."""
    line = msgspec.json.encode(event)
    assert b"\n" not in line
    assert msgspec.json.encode(DECODER.decode(line)) == line
    assert type(event) is type(DECODER.decode(line))


@pytest.mark.parametrize(
    "field", [*Header.__struct_fields__, "seal", "record", "signature", "nonce", "forced", "batch"]
)
def test_divergence(field: str) -> None:
    """A divergence keeps its height, seq, field, expected and found value; bytes become hex."""
    for expected, found, shown in (
        (b"\x01\x02", b"", ("0x0102", "0x")),
        (5, 2**64, ("5", "18446744073709551616")),
        ("at least 3", None, ("at least 3", "None")),
    ):
        for seq in (None, 8):
            event = DivergenceEvent.of(Divergence(field, height=4, seq=seq, expected=expected, found=found))
            assert (4, seq, to_camel_case(field), *shown) == (
                event.height, event.seq, event.field, event.expected, event.found
            )  # fmt: skip
            assert event == DECODER.decode(msgspec.json.encode(event))


def test_hostile_lines() -> None:
    """Mutated lines are events or msgspec's own errors; the request takes no unknown member."""
    rng = Random(1)
    lines = [msgspec.json.encode(event) for event in EVENTS]
    for _ in range(2_000):
        raw = bytearray(rng.choice(lines))
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            DECODER.decode(bytes(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    request = msgspec.json.encode(VerifierRequest(app="a", source="s", directory="d", python_path=[]))
    assert VerifierRequest("a", "s", "d", []) == msgspec.json.decode(request, type=VerifierRequest)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(request[:-1] + b',"more":1}', type=VerifierRequest)
