"""Errors as JSON-RPC writes them: the codes of the specification, and this server's own.

-32700  parse error            -32000  action refused; `data.code` is stable, `data.detail` explains
-32600  invalid request        -32001  not found: action, receipt, block
-32601  method not found       -32002  height not retained
-32602  invalid params         -32003  intake stopped; `data.reason`
-32603  internal error         -32004  a limit is exceeded: too many, or busy; try again later
-32005  attestation refused
-32006  too many calls from one address; `data.retryAfterMs` in milliseconds
-32007  a query of the app has no answer; `data.code` is stable, `data.detail` explains
-32008  this needs one of the node's tokens; over HTTP the status is 401
-32009  what a follower passes on to its source gets no answer there; `data.reason`
-32010  a block of the height that was asked for is not here yet; `data.height`, `data.minHeight`
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from microrollup.chain.answers.actions import ErrorForm
from microrollup.errors import (
    DecodeError,
    DuplicateAction,
    IndexNotReady,
    IntakeStopped,
    LimitExceeded,
    NotRetained,
    RefusedError,
    UsageError,
    WorkerDied,
)
from microrollup.node.errors import NotRecorded, Overloaded
from microrollup.node.settling import AttestationRefused

__all__ = [
    "ACTION_REFUSED",
    "ATTESTATION_REFUSED",
    "ERRORS",
    "HEIGHT_NOT_REACHED",
    "INTAKE_STOPPED",
    "INTERNAL",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "LIMIT_EXCEEDED",
    "METHOD_NOT_FOUND",
    "NOT_FOUND",
    "NOT_RETAINED",
    "PARSE_ERROR",
    "QUERY_FAILED",
    "RATE_EXCEEDED",
    "SOURCE_UNAVAILABLE",
    "UNAUTHORIZED",
    "ErrorResponse",
    "describe_error",
    "describe_index_error",
    "make_index_data",
    "to_rpc_error",
]

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
ACTION_REFUSED: Final = -32000
NOT_FOUND: Final = -32001
NOT_RETAINED: Final = -32002
INTAKE_STOPPED: Final = -32003
LIMIT_EXCEEDED: Final = -32004
ATTESTATION_REFUSED: Final = -32005
RATE_EXCEEDED: Final = -32006
QUERY_FAILED: Final = -32007
UNAUTHORIZED: Final = -32008
SOURCE_UNAVAILABLE: Final = -32009
HEIGHT_NOT_REACHED: Final = -32010

ERRORS: Final = {
    PARSE_ERROR: "parse error",
    INVALID_REQUEST: "invalid request",
    METHOD_NOT_FOUND: "method not found",
    INVALID_PARAMS: "invalid params",
    INTERNAL: "internal error",
    ACTION_REFUSED: "action refused",
    NOT_FOUND: "not found",
    NOT_RETAINED: "height not retained",
    INTAKE_STOPPED: "intake stopped",
    LIMIT_EXCEEDED: "limit exceeded",
    ATTESTATION_REFUSED: "attestation refused",
    RATE_EXCEEDED: "rate exceeded",
    QUERY_FAILED: "query failed",
    UNAUTHORIZED: "unauthorized",
    SOURCE_UNAVAILABLE: "source unavailable",
    HEIGHT_NOT_REACHED: "height not reached",
}
"""Code -> the words that begin each message of it."""

_MAX_DETAIL: Final = 1_000


class ErrorResponse(Exception):
    """An error as it is answered; `id` is the JSON text of the call's id, where one can be told."""

    def __init__(self, code: int, detail: str = "", data: dict[str, Any] | None = None, id_: bytes = b"null") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.data = data
        self.id = id_


def to_rpc_error(error: BaseException) -> ErrorResponse:
    """The answer for an error of the node or the kernel; what is not foreseen is an internal error without details."""
    match error:
        case ErrorResponse():
            return error
        case RefusedError():
            data: dict[str, Any] = {"code": error.code, "detail": error.detail[:_MAX_DETAIL]}
            if isinstance(error, DuplicateAction) and error.seq >= 0:
                data["seq"] = error.seq
            return ErrorResponse(ACTION_REFUSED, error.detail, data)
        case IntakeStopped():
            return ErrorResponse(INTAKE_STOPPED, str(error), {"reason": str(error)[:_MAX_DETAIL]})
        case NotRecorded():
            return ErrorResponse(NOT_FOUND, str(error))
        case IndexNotReady():
            return ErrorResponse(QUERY_FAILED, str(error), describe_index_error(error))
        case NotRetained():
            return ErrorResponse(NOT_RETAINED, str(error))
        case Overloaded() | WorkerDied():
            return ErrorResponse(LIMIT_EXCEEDED, f"{error}; nothing was taken")
        case LimitExceeded():
            return ErrorResponse(LIMIT_EXCEEDED, str(error))
        case AttestationRefused():
            return ErrorResponse(ATTESTATION_REFUSED, str(error))
        case UsageError() | DecodeError():
            return ErrorResponse(INVALID_PARAMS, str(error))
        case _:
            return ErrorResponse(INTERNAL)


def describe_index_error(error: IndexNotReady) -> dict[str, Any]:
    """The data of an error: which index, and how far it is; null where it has no height yet."""
    return make_index_data(error.code, str(error), error.index, error.reached, error.tip)


def make_index_data(code: str, detail: str, index: str, reached: int, tip: int) -> dict[str, Any]:
    """The same, of its parts."""
    progress = {"index": index, "reached": None if reached < 0 else reached, "tip": tip}
    return {"code": code, "detail": detail[:_MAX_DETAIL], **progress}


def describe_error(error: ErrorResponse) -> ErrorForm:
    """The error object: code, one sentence, and data where there is any."""
    words = ERRORS[error.code]
    detail = " ".join(error.detail[:_MAX_DETAIL].split())
    return ErrorForm(error.code, f"{words}: {detail}" if detail else words, UNSET if error.data is None else error.data)
