"""The inbox contract as its artifact describes it: calls to bytes, answers and reverts back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import eth_abi.abi
from eth_abi.exceptions import DecodingError
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector, get_abi_input_types

from microrollup.chain.record import Genesis
from microrollup.contracts import load_artifact
from microrollup.settlement import errors, quorum_errors
from microrollup.settlement.ethereum.errors import L1BadAnswer

__all__ = ["compute_topic", "decode_result", "encode_call", "encode_creation", "read_bytes_argument", "read_revert"]

_NAME: Final = "RollupInbox"
_NO_INPUT: Final = b""
_WORD_BYTES: Final = 32


@cache
def _index(kind: str) -> dict[str, Any]:
    """The entries of the ABI of one kind ("function", "event", "error"), by name. No name occurs twice."""
    return {entry["name"]: entry for entry in load_artifact(_NAME).abi if entry["type"] == kind}


@cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    return {
        bytes(function_abi_to_4byte_selector(entry)): (name, _get_types(entry))
        for name, entry in _index("error").items()
    }


@cache
def compute_topic(event: str) -> bytes:
    """The first topic of an event."""
    return bytes(event_abi_to_log_topic(_index("event")[event]))


@cache
def _function(name: str) -> tuple[bytes, list[str]]:
    entry = _index("function")[name]
    return bytes(function_abi_to_4byte_selector(entry)), _get_types(entry)


def encode_call(function: str, *arguments: Any) -> bytes:
    """The input of a transaction that calls a function; structs are tuples."""
    selector, types = _function(function)
    return selector + eth_abi.abi.encode(types, arguments)


def read_bytes_argument(function: str, raw: bytes, word: int) -> bytes:
    """The `bytes` whose offset is in the given word after a call's selector, as the contract itself reads it.

    Solidity takes more forms than `abi.encode` gives: padding that is missing or not zero, tails that overlap each
    other or the heads, bytes that nobody asks for. A decoder that is stricter than the contract would let the sender
    of a transaction hide from all readers what the contract took. Raises `L1BadAnswer` for what the contract refuses.
    """
    selector, _ = _function(function)
    arguments = raw[len(selector) :]
    if raw[: len(selector)] != selector:
        raise L1BadAnswer("transaction", f"does not call {function}")
    start = _read_word(arguments, _WORD_BYTES * word) + _WORD_BYTES
    end = start + _read_word(arguments, start - _WORD_BYTES)
    if end > len(arguments):
        raise L1BadAnswer("transaction", "not as its ABI: an argument ends after the input")
    return arguments[start:end]


def _read_word(raw: bytes, start: int) -> int:
    if start + _WORD_BYTES > len(raw):
        raise L1BadAnswer("transaction", "not as its ABI: a word is after the input")
    return int.from_bytes(raw[start : start + _WORD_BYTES], "big")


def decode_result(what: str, types: Sequence[str], raw: bytes) -> Sequence[Any]:
    """What a view returned. Raises `L1BadAnswer`."""
    return _decode(what, types, raw)


def _decode(what: str, types: Sequence[str], raw: bytes) -> Sequence[Any]:
    try:
        return eth_abi.abi.decode(types, raw)
    except (DecodingError, ValueError, OverflowError, RecursionError) as error:
        raise L1BadAnswer(what, f"not as its ABI: {error}") from None


def encode_creation(genesis: Genesis, owner: bytes, stf_id: bytes) -> bytes:
    """The init code of a rollup's inbox, owned by a 20-byte address, for the code of a 32-byte `stf_id`."""
    words = (
        genesis.name,
        genesis.l1_chain_id,
        genesis.genesis_time,
        genesis.state_root,
        genesis.metadata_root,
        genesis.builder,
        genesis.verifiers,
        genesis.quorum,
        genesis.l1_start,
        genesis.salt,
    )
    domain = genesis.domain
    artifact = load_artifact(_NAME)
    (entry,) = [entry for entry in artifact.abi if entry["type"] == "constructor"]
    arguments = (words, (domain.name, domain.version, domain.chain_id, domain.verifying_contract), owner, stf_id)
    return bytes.fromhex(artifact.bytecode[2:]) + eth_abi.abi.encode(_get_types(entry), arguments)


def read_revert(data: bytes) -> errors.SettlementError | None:
    """The error that the inbox reverted with; `None` for anything else (out of gas, a panic, another contract)."""
    found = _errors().get(data[:4])
    if found is None:
        return None
    name, types = found
    arguments = [_to_argument(t, value) for t, value in zip(types, _decode("revert", types, data[4:]), strict=True)]
    module = errors if hasattr(errors, name) else quorum_errors
    error: errors.SettlementError = getattr(module, name)(*arguments)
    return error


def _to_argument(abi: str, value: Any) -> Any:
    return bytes.fromhex(value[2:]) if abi == "address" else value


def _get_types(entry: Any) -> list[str]:
    return list(get_abi_input_types(entry))
