"""A process that answers `BYTES` constant bytes by the node's own server. It prints its port, and ends by SIGTERM."""

from __future__ import annotations

import sys
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind

__all__: list[str] = []

_HEADERS: Final = b"application/json"


class Echo:
    """Reads a request's body and answers `answer`, whatever it asks."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._headers = [(b"content-type", _HEADERS), (b"content-length", b"%d" % len(answer))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        message: dict[str, Any] = {"more_body": True}
        while message.get("more_body"):
            message = dict(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._answer})


def _serve(size: int) -> None:
    frame = b'{"jsonrpc":"2.0","id":0,"result":""}'
    answer = frame[:-2] + bytes(max(0, size - len(frame))).replace(b"\0", b"x") + frame[-2:]
    server = Server(Echo(answer), bind("127.0.0.1", 0), RpcLimits())
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
