"""ERC-4337 operations of version 0.8: packed as the entry point takes them, hashed as wallets sign them (EIP-712).

Source: https://eips.ethereum.org/EIPS/eip-4337, ERC-7769 for the JSON-RPC form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from microrollup.codec.json import read_hex
from microrollup.crypto.eip712 import compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MissingMember, UsageError, WrongJsonType, WrongLength

__all__ = [
    "EOA_MARKER",
    "UserOperation",
    "compute_user_operation_hash",
    "decode_user_operation_json",
    "encode_handle_ops",
    "encode_user_operation_json",
    "encode_validate_user_op",
    "has_eoa_marker",
    "pack_words",
]

EOA_MARKER: Final = bytes.fromhex("7702").ljust(20, b"\0")
"""In place of a factory: the sender is an EOA that delegates (EIP-7702). What follows is a call to the sender."""

_TYPE_HASH: Final = keccak256(
    b"PackedUserOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
    b"uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData)"
)
_ABI: Final = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"
_HANDLE_OPS: Final = keccak256(f"handleOps({_ABI}[],address)".encode())[:4]
_VALIDATE_USER_OP: Final = keccak256(f"validateUserOp({_ABI},bytes32,uint256)".encode())[:4]
_ADDRESS_BYTES: Final = 20
_QUANTITY: Final = re.compile("0x[0-9a-fA-F]{1,64}")


class UserOperation(Struct, frozen=True):
    """What an account is asked to do, and what it pays for it."""

    sender: bytes
    """20 bytes: the account, deployed or not."""
    nonce: int
    """192 bits of a key that the wallet chooses, 64 bits that count."""
    call_data: bytes
    init_code: bytes = b""
    """`factory(20) || call data`, if the operation makes the account; `EOA_MARKER || call data` where it is an EOA's.

    An EOA whose delegation and key are set needs none.
    """
    verification_gas_limit: int = 0
    call_gas_limit: int = 0
    pre_verification_gas: int = 0
    max_priority_fee_per_gas: int = 0
    """Wei, as the next."""
    max_fee_per_gas: int = 0
    paymaster_and_data: bytes = b""
    """`paymaster(20) || verification gas(16) || postOp gas(16) || data`, or nothing."""
    signature: bytes = b""


def pack_words(operation: UserOperation) -> tuple[bytes, bytes]:
    """`accountGasLimits` and `gasFees`, two numbers of 16 bytes each. Raises `UsageError` if one does not fit."""
    halves = (
        operation.verification_gas_limit,
        operation.call_gas_limit,
        operation.max_priority_fee_per_gas,
        operation.max_fee_per_gas,
    )
    packed = b"".join([_encode_number(half, 16) for half in halves])
    return packed[:32], packed[32:]


def _encode_number(value: int, size: int) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise UsageError(f"{value} does not fit {size} bytes")
    return value.to_bytes(size, "big")


def compute_user_operation_hash(
    operation: UserOperation, entry_point: bytes, chain_id: int, delegate: bytes = b""
) -> bytes:
    """The EIP-712 digest that is signed; it binds account, chain and entry point, not the signature.

    `delegate`, 20 bytes, is what the sender delegates to when the operation is done: it is hashed in
    place of `EOA_MARKER`, and left out where there is no marker. Raises `UsageError` if it lacks, or a number does not
    fit.
    """
    init_code = operation.init_code
    if has_eoa_marker(init_code):
        if len(delegate) != _ADDRESS_BYTES:
            raise UsageError("an operation with EIP-7702's marker is hashed with the 20 bytes of the sender's delegate")
        init_code = delegate + init_code[_ADDRESS_BYTES:]
    gas_limits, gas_fees = pack_words(operation)
    words = (
        _TYPE_HASH,
        operation.sender.rjust(32, b"\0"),
        _encode_number(operation.nonce, 32),
        keccak256(init_code),
        keccak256(operation.call_data),
        gas_limits,
        _encode_number(operation.pre_verification_gas, 32),
        gas_fees,
        keccak256(operation.paymaster_and_data),
    )
    domain = compute_domain_separator("ERC4337", "1", chain_id, entry_point)
    return keccak256(b"\x19\x01" + domain + keccak256(b"".join(words)))


def has_eoa_marker(init_code: bytes) -> bool:
    """Whether an `initCode` begins with EIP-7702's marker, as the entry point reads it: zeros follow its end."""
    return len(init_code) >= 2 and init_code[:_ADDRESS_BYTES].ljust(_ADDRESS_BYTES, b"\0") == EOA_MARKER


def encode_handle_ops(operations: Sequence[UserOperation], beneficiary: bytes) -> bytes:
    """The entry point's call data by which anybody, a bundler or the user, has operations done and is paid for it."""
    packed = [_pack(operation) for operation in operations]
    return _HANDLE_OPS + abi_encode([f"{_ABI}[]", "address"], [packed, beneficiary])


def encode_validate_user_op(operation: UserOperation, digest: bytes, missing_funds: int = 0) -> bytes:
    """The entry point's call to an account, with the operation's hash; sent to measure validation."""
    return _VALIDATE_USER_OP + abi_encode([_ABI, "bytes32", "uint256"], [_pack(operation), digest, missing_funds])


def _pack(operation: UserOperation) -> tuple[object, ...]:
    """As the ABI encoder takes it."""
    gas_limits, gas_fees = pack_words(operation)
    return (
        operation.sender,
        operation.nonce,
        operation.init_code,
        operation.call_data,
        gas_limits,
        operation.pre_verification_gas,
        gas_fees,
        operation.paymaster_and_data,
        operation.signature,
    )


def encode_user_operation_json(operation: UserOperation) -> dict[str, Any]:
    """The members that bundlers take in `eth_sendUserOperation` and `eth_estimateUserOperationGas`."""
    members: dict[str, Any] = {
        "sender": "0x" + operation.sender.hex(),
        "nonce": hex(operation.nonce),
        "callData": "0x" + operation.call_data.hex(),
        "callGasLimit": hex(operation.call_gas_limit),
        "verificationGasLimit": hex(operation.verification_gas_limit),
        "preVerificationGas": hex(operation.pre_verification_gas),
        "maxFeePerGas": hex(operation.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(operation.max_priority_fee_per_gas),
        "signature": "0x" + operation.signature.hex(),
    }
    if operation.init_code:
        factory = EOA_MARKER[:2] if has_eoa_marker(operation.init_code) else operation.init_code[:_ADDRESS_BYTES]
        members["factory"] = "0x" + factory.hex()
        members["factoryData"] = "0x" + operation.init_code[_ADDRESS_BYTES:].hex()
    if operation.paymaster_and_data:
        raw = operation.paymaster_and_data
        members["paymaster"] = "0x" + raw[:20].hex()
        members["paymasterVerificationGasLimit"] = hex(int.from_bytes(raw[20:36], "big"))
        members["paymasterPostOpGasLimit"] = hex(int.from_bytes(raw[36:52], "big"))
        members["paymasterData"] = "0x" + raw[52:].hex()
    return members


_NUMBERS: Final = (
    "nonce",
    "callGasLimit",
    "verificationGasLimit",
    "preVerificationGas",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
)
_MAX_BYTES: Final = 1 << 17


def decode_user_operation_json(document: Any) -> UserOperation:
    """The operation that bundlers take in this form; other members are left out. Raises `RefusedError`'s kinds."""
    if not isinstance(document, dict):
        raise WrongJsonType("an operation is an object")
    numbers = [_read_number(document, name) for name in _NUMBERS]
    factory, paymaster = _read_bytes(document, "factory"), _read_bytes(document, "paymaster")
    if has_eoa_marker(factory):
        factory = EOA_MARKER
    if paymaster:
        for name in ("paymasterVerificationGasLimit", "paymasterPostOpGasLimit"):
            paymaster += _encode_number(_read_number(document, name), 16)
        paymaster += _read_bytes(document, "paymasterData")
    return UserOperation(
        _read_bytes(document, "sender", required=True),
        numbers[0],
        _read_bytes(document, "callData", required=True),
        factory + _read_bytes(document, "factoryData") if factory else b"",
        verification_gas_limit=numbers[2],
        call_gas_limit=numbers[1],
        pre_verification_gas=numbers[3],
        max_priority_fee_per_gas=numbers[5],
        max_fee_per_gas=numbers[4],
        paymaster_and_data=paymaster,
        signature=_read_bytes(document, "signature"),
    )


def _read_bytes(document: dict[str, Any], name: str, *, required: bool = False) -> bytes:
    value = document.get(name)
    if value is None:
        if required:
            raise MissingMember(f"the operation lacks {name}")
        return b""
    raw = read_hex(value, name)
    if len(raw) > _MAX_BYTES:
        raise WrongLength(f"{name} has at most {_MAX_BYTES} bytes")
    return raw


def _read_number(document: dict[str, Any], name: str) -> int:
    """A quantity: 0x-hex, or a JSON number. 0 if it is not there: limits are, before an estimate."""
    value = document.get(name, 0)
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 256:
        return value
    raise WrongJsonType(f"{name} is a number in 0x-hex")
