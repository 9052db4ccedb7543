"""Bearer tokens (RFC 6750) for methods that take actions: who has none may read only.

They are for a node that takes actions from an operator's own services. They say nothing of who has signed an action,
and nothing that is logged or hashed depends on them: a forced action needs none.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from microrollup.errors import UsageError

__all__ = ["WriteTokens", "find_bearer", "make_challenge", "read_token", "read_write_tokens"]

MAX_TOKENS: Final = 16
"""Tokens that hold at one time: one for each service, and a new one beside the old while it is changed."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,256}=*")
_BEARER: Final = re.compile(rf"bearer +{_TOKEN.pattern}", re.IGNORECASE)
_MAX_BYTES: Final = 16_384
_SCHEME: Final = "bearer"


class WriteTokens:
    """The tokens of one server, as hashes."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_hash(token) for token in tokens]

    def admit(self, headers: Sequence[str]) -> bool:
        """Whether the `Authorization` headers of a request are one, and it bears one of the tokens.

        All are compared, each in constant time.
        """
        if len(headers) != 1:
            return False
        scheme, _, token = headers[0].partition(" ")
        digest = _hash(token.strip(" "))
        known = sum([hmac.compare_digest(digest, each) for each in self._digests])
        return scheme.lower() == _SCHEME and known > 0


def find_bearer(headers: Sequence[str]) -> str | None:
    """The `Authorization` header of a request, if there is one and it bears what may be a token: all that is passed on
    of them.
    """
    return headers[0] if len(headers) == 1 and _BEARER.fullmatch(headers[0]) else None


def make_challenge(headers: Sequence[str]) -> str:
    """`WWW-Authenticate` of a refusal: that a token is needed, or that the one that came is not valid."""
    return 'Bearer realm="microrollup"' + (', error="invalid_token"' if headers else "")


def read_write_tokens(path: Path) -> WriteTokens:
    """The tokens in a file, one per line; lines that are empty or begin with `#` are not.

    Raises `UsageError` for a file without a token, with more than `MAX_TOKENS`, or with what a header cannot carry.
    """
    return WriteTokens(_read_lines(path))


def read_token(path: Path) -> str:
    """The first token in such a file, for a client. Raises as `read_write_tokens`."""
    return _read_lines(path)[0]


def _read_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    lines = [line.strip() for line in raw.decode("latin-1").splitlines()]
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not 1 <= len(tokens) <= MAX_TOKENS or len(raw) > _MAX_BYTES:
        raise UsageError(f"{path} holds 1 to {MAX_TOKENS} tokens, one per line; `openssl rand -hex 32` makes one")
    for number, token in enumerate(tokens, 1):
        if not _TOKEN.fullmatch(token):
            raise UsageError(f"token {number} in {path} is not 16 to 256 letters, digits or -._~+/ (RFC 6750)")
    return tokens


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
