"""Bytes on the wire: what clients send that no library would."""

import socket
import struct
from contextlib import contextmanager

HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextmanager
def connect_raw(caller, receive_bytes=None):
    """A socket to a caller's node; `receive_bytes` is what the system may hold of what is not read."""
    with socket.socket() as raw:
        if receive_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.settimeout(60)
        raw.connect(("127.0.0.1", caller.port))
        yield raw


def make_frame(payload, opcode=1, *, final=True, masked=True, length=None):
    """A WebSocket frame, right or wrong; the mask is zero. RFC 6455, 5.2."""
    size = len(payload) if length is None else length
    head = bytes([opcode | (0x80 if final else 0)])
    mark = 0x80 if masked else 0
    if size < 126:
        head += bytes([mark | size])
    elif size < 1 << 16:
        head += bytes([mark | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mark | 127]) + struct.pack(">Q", size)
    return head + (bytes(4) if masked else b"") + payload


def read_head(raw):
    """Reads the answer to the upgrade; what came behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += raw.recv(4_096)
    assert received.startswith(b"HTTP/1.1 101")
    return received.partition(b"\r\n\r\n")[2]
