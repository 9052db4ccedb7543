"""What can go wrong between a client and a node; one class per cause.

    ClientError
    ├── Unreachable             no answer, however often it was tried
    ├── BadAnswer               an answer that the contract does not allow
    ├── ForeignNode             the node serves another rollup, domain, builder or action type than expected
    ├── OutcomeUnknown          an action was sent and no answer came: `signed` may be sent again, as it is
    ├── BlockInvalid            C2X: a verifier found the block wrong
    ├── ConfirmationTimeout     the level was not reached in time; nothing is lost
    └── RpcError                the node answered with an error: `code`, `message`, `data`
        ├── ActionRefused       -32000: never logged, nothing consumed; `refusal` says why
        ├── NotFound            -32001
        ├── HeightNotRetained   -32002
        ├── IntakeClosed        -32003: the node takes no actions
        ├── QueryFailed         -32007: a query of the app has no answer; `reason` says why
        ├── Unauthorized        -32008: the node takes actions from those who send one of its tokens
        └── NodeBusy            -32004: a limit of the node; nothing was taken
            └── RateExceeded    -32006: too many calls from this address; `retry_after` seconds until there is room

A signature or proof that does not hold raises the kernel's own `AcknowledgementError` or `ProofError`.
"""

from __future__ import annotations

from typing import Any, Final

from microrollup.client.signed import SignedAction
from microrollup.errors import ClientError, show_value

__all__ = [
    "ActionRefused",
    "BadAnswer",
    "BlockInvalid",
    "ClientError",
    "ConfirmationTimeout",
    "ForeignNode",
    "HeightNotRetained",
    "IntakeClosed",
    "NodeBusy",
    "NotFound",
    "OutcomeUnknown",
    "QueryFailed",
    "RateExceeded",
    "RpcError",
    "Unauthorized",
    "Unreachable",
    "make_rpc_error",
]


class Unreachable(ClientError):
    """No answer came. `unanswered` counts the attempts that may have reached the node."""

    def __init__(self, url: str, reason: str, unanswered: int) -> None:
        super().__init__(f"{url} does not answer: {reason}")
        self.url = url
        self.reason = reason
        self.unanswered = unanswered


class BadAnswer(ClientError):
    """An answer that the contract does not allow; the text says what is wrong with it."""


class ForeignNode(ClientError):
    """The node serves something else than this client was made for."""

    def __init__(self, what: str, *, expected: object, found: object) -> None:
        super().__init__(f"the node has another {what}: expected {show_value(expected)}, found {show_value(found)}")
        self.what = what
        self.expected = expected
        self.found = found


class OutcomeUnknown(ClientError):
    """An action was sent, and whether it is logged is not known.

    `Client.submit_signed(error.signed.line)` sends the very same bytes: they are executed at most once, ever.
    """

    def __init__(self, signed: SignedAction, reason: str) -> None:
        which = "the envelope" if signed.action_hash is None else f"the action 0x{signed.action_hash.hex()}"
        super().__init__(f"whether the node took {which} is not known: {reason}")
        self.signed = signed
        self.reason = reason


class BlockInvalid(ClientError):
    """C2X: a verifier found the block at `height` wrong. Its actions keep their place; outcomes may change."""

    def __init__(self, height: int) -> None:
        super().__init__(f"a verifier found block {height} wrong (C2X); it will be built again from the same actions")
        self.height = height


class ConfirmationTimeout(ClientError):
    """The block at `height` did not reach the level `wanted` in time; `reached` is how far it came."""

    def __init__(self, height: int, wanted: str, reached: str) -> None:
        super().__init__(
            f"block {height} has not reached {wanted} in time; it is at {reached} and goes on: wait longer"
        )
        self.height = height
        self.wanted = wanted
        self.reached = reached


class RpcError(ClientError):
    """The node answered with an error of JSON-RPC 2.0. `unanswered` counts earlier attempts that may have reached it
    without an answer.
    """

    def __init__(self, code: int, message: str, data: Any = None, *, unanswered: int = 0) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.unanswered = unanswered


class ActionRefused(RpcError):
    """Never logged, nothing consumed. `refusal` is the stable code, such as "nonce_used"; `detail` is for people."""

    def __init__(self, code: int, message: str, data: Any = None, *, unanswered: int = 0) -> None:
        super().__init__(code, message, data, unanswered=unanswered)
        facts = data if isinstance(data, dict) else {}
        self.refusal = str(facts.get("code", "refused"))
        self.detail = str(facts.get("detail", message))
        self.args = (f"the node refused the action: {self.detail} ({self.refusal})",)


class NotFound(RpcError):
    """There is no such action, receipt or block."""


class HeightNotRetained(RpcError):
    """The node no longer keeps the state of that height."""


class IntakeClosed(RpcError):
    """The node takes no actions; `data` has its reason."""


class QueryFailed(RpcError):
    """A query of the app has no answer. `reason` is the stable code, such as "steps" or "rejected"; `detail` is for
    people.
    """

    def __init__(self, code: int, message: str, data: Any = None, *, unanswered: int = 0) -> None:
        super().__init__(code, message, data, unanswered=unanswered)
        facts = data if isinstance(data, dict) else {}
        self.reason = str(facts.get("code", "failed"))
        self.detail = str(facts.get("detail", message))
        self.args = (f"the query has no answer: {self.detail} ({self.reason})",)


class Unauthorized(RpcError):
    """The node takes actions from those who send one of its tokens; nothing was taken. A client has it as `token`."""

    def __init__(self, code: int, message: str, data: Any = None, *, unanswered: int = 0) -> None:
        super().__init__(code, message, data, unanswered=unanswered)
        said = "the node takes actions only with one of its tokens, and none came, or another"
        self.args = (f"{said}: a client sends `token`, `microrollup submit` that of --token-file ({code})",)


class NodeBusy(RpcError):
    """A limit of the node is reached; nothing was taken."""


class RateExceeded(NodeBusy):
    """Too many calls came from this address; nothing was taken. `retry_after` is in seconds, 0.0 if none are named."""

    def __init__(self, code: int, message: str, data: Any = None, *, unanswered: int = 0) -> None:
        super().__init__(code, message, data, unanswered=unanswered)
        stated = data.get("retryAfterMs") if isinstance(data, dict) else None
        self.retry_after: float = stated / 1_000 if type(stated) is int and stated > 0 else 0.0


ACTION_REFUSED: Final = -32000
_CLASSES: Final[dict[int, type[RpcError]]] = {
    ACTION_REFUSED: ActionRefused,
    -32001: NotFound,
    -32002: HeightNotRetained,
    -32003: IntakeClosed,
    -32004: NodeBusy,
    -32006: RateExceeded,
    -32007: QueryFailed,
    -32008: Unauthorized,
}


def make_rpc_error(error: Any, *, unanswered: int = 0) -> RpcError:
    """The error object of an answer as an exception. Raises `BadAnswer` if it is not one."""
    if not isinstance(error, dict) or type(error.get("code")) is not int or not isinstance(error.get("message"), str):
        raise BadAnswer("the error of an answer has no code or no message")
    code, message = error["code"], error["message"]
    return _CLASSES.get(code, RpcError)(code, message, error.get("data"), unanswered=unanswered)
