"""EIP-712: what wallets sign, compiled once per action type so that a digest costs a few keccaks.

The primary type of an action is its class, its members the fields in declared order, followed by `uint64 nonce`.
Source: https://eips.ethereum.org/EIPS/eip-712 (encodeType, encodeData, hashStruct, domainSeparator).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from microrollup.codec.abi import compile_word
from microrollup.codec.json import to_json_value
from microrollup.codec.schema import (
    BytesType,
    SchemaType,
    SequenceType,
    StringType,
    StructType,
    abi_type,
    iterate_types,
)
from microrollup.crypto.keccak import keccak256, keccak256_many
from microrollup.errors import DeclarationError

__all__ = [
    "DOMAIN_FIELDS",
    "GROUP_MEMBERS",
    "NONCE_MEMBER",
    "compile_digest",
    "compile_member_digest",
    "compile_preimage",
    "compile_struct_hash",
    "compute_digests",
    "compute_domain_separator",
    "compute_type_hash",
    "encode_type",
    "list_types",
    "typed_data",
]

DOMAIN_FIELDS: Final = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)
"""(type, name) of the domain's members, all of which microrollup always uses."""

NONCE_MEMBER: Final = (("uint64", "nonce"),)
"""What every action's primary type has after its own members."""

GROUP_MEMBERS: Final = (*NONCE_MEMBER, ("address", "sender"))
"""What it has where the members of a group sign: the group's sender too."""

_PREFIX: Final = b"\x19\x01"

_DOMAIN_TYPE_HASH: Final = keccak256(
    f"EIP712Domain({','.join([f'{kind} {name}' for kind, name in DOMAIN_FIELDS])})".encode()
)


def compute_domain_separator(name: str, version: str, chain_id: int, verifying_contract: bytes) -> bytes:
    """The 32-byte hash of the domain; `verifying_contract` is a 20-byte address, `chain_id` a uint256."""
    return keccak256(
        b"".join(
            (
                _DOMAIN_TYPE_HASH,
                keccak256(name.encode()),
                keccak256(version.encode()),
                chain_id.to_bytes(32, "big"),
                verifying_contract.rjust(32, b"\0"),
            )
        )
    )


def encode_type(t: StructType, extra: Sequence[tuple[str, str]] = NONCE_MEMBER) -> str:
    """EIP-712's encodeType: the primary type with `extra` (type, name) members, then the structs it refers to, sorted.

    Raises `DeclarationError` if two different structs share a name, or a type has no EIP-712 form.
    """
    referenced = _collect_structs(t)
    texts = [_render_struct(t, extra)]
    texts += [_render_struct(referenced[name], ()) for name in sorted(referenced) if name != t.name]
    return "".join(texts)


def compute_type_hash(t: StructType, extra: Sequence[tuple[str, str]] = NONCE_MEMBER) -> bytes:
    """keccak256 of `encode_type`."""
    return keccak256(encode_type(t, extra).encode())


def compile_struct_hash(t: StructType) -> Callable[[Any], bytes]:
    """EIP-712's hashStruct of (checked) instances of a struct, without any extra members: 32 bytes."""
    type_hash = compute_type_hash(t, ())
    encode = _compile_members(t)
    return lambda value: keccak256(b"".join([type_hash, *encode(value)]))


def compile_digest(t: StructType, domain_separator: bytes) -> Callable[[Any, int], bytes]:
    """A function (checked action, nonce) -> the 32-byte digest that the wallet signs.

    For an action of 32-byte fields alone, that is one join and two keccaks.
    """
    encode = compile_preimage(t)
    prefix = _PREFIX + domain_separator
    return lambda action, nonce: keccak256(prefix + keccak256(encode(action, nonce)))


def compile_preimage(t: StructType) -> Callable[[Any, int], bytes]:
    """A function (checked action, nonce) -> what `compute_digests` makes a digest of: type hash and members."""
    type_hash = compute_type_hash(t)
    encode = _compile_members(t)
    return lambda action, nonce: b"".join([type_hash, *encode(action), nonce.to_bytes(32, "big")])


def compute_digests(preimages: Sequence[bytes], domain_separator: bytes) -> list[bytes]:
    """The digests of `compile_digest`, of many actions at once."""
    prefix = _PREFIX + domain_separator
    return keccak256_many([prefix + struct_hash for struct_hash in keccak256_many(preimages)])


def compile_member_digest(t: StructType, domain_separator: bytes) -> Callable[[Any, int, bytes], bytes]:
    """A function (checked action, nonce, 20-byte sender of a group) -> the 32-byte digest that its members sign."""
    type_hash = compute_type_hash(t, GROUP_MEMBERS)
    encode = _compile_members(t)
    prefix = _PREFIX + domain_separator

    def compute_member_digest(action: Any, nonce: int, sender: bytes) -> bytes:
        words = [type_hash, *encode(action), nonce.to_bytes(32, "big"), sender.rjust(32, b"\0")]
        return keccak256(prefix + keccak256(b"".join(words)))

    return compute_member_digest


def typed_data(
    t: StructType,
    action: msgspec.Struct,
    nonce: int,
    *,
    name: str,
    version: str,
    chain_id: int,
    contract: bytes,
    group: bytes | None = None,
) -> dict[str, Any]:
    """The JSON document that `eth_signTypedData_v4` takes: domain, types, primaryType, message.

    `group` is the 20-byte sender of the group whose member signs.
    """
    types = {"EIP712Domain": [{"name": member, "type": kind} for kind, member in DOMAIN_FIELDS], **list_types(t)}
    extra: dict[str, Any] = {"nonce": nonce}
    if group is not None:
        types[t.name] = [*types[t.name], {"name": "sender", "type": "address"}]
        extra["sender"] = f"0x{group.hex()}"
    return {
        "domain": {
            "name": name,
            "version": version,
            "chainId": chain_id,
            "verifyingContract": f"0x{contract.hex()}",
        },
        "types": types,
        "primaryType": t.name,
        "message": {**to_json_value(t, action), **extra},
    }


def list_types(t: StructType, *, nonce: bool = True) -> dict[str, list[dict[str, str]]]:
    """The `types` object of wallets for an action: its members with the nonce, and the structs that it refers to.

    Without `nonce`, the same for an event.
    """
    referenced = _collect_structs(t)
    types = {t.name: [*_list_members(t), *([{"name": "nonce", "type": "uint64"}] if nonce else [])]}
    return types | {other: _list_members(referenced[other]) for other in sorted(referenced) if other != t.name}


def _list_members(t: StructType) -> list[dict[str, str]]:
    return [{"name": field.wire_name, "type": _member_type(field.type)} for field in t.fields]


def _render_struct(t: StructType, extra: Sequence[tuple[str, str]]) -> str:
    members = [(_member_type(field.type), field.wire_name) for field in t.fields]
    return f"{t.name}({','.join([f'{kind} {name}' for kind, name in [*members, *extra]])})"


def _member_type(t: SchemaType) -> str:
    """The type of a member as EIP-712 writes it: structs by name, arrays as `T[]`."""
    if isinstance(t, StructType):
        return t.name
    if isinstance(t, SequenceType):
        return f"{_member_type(t.item)}[]"
    return abi_type(t)


def _collect_structs(t: StructType) -> dict[str, StructType]:
    """Every struct in a type by its name, the type itself included."""
    found: dict[str, StructType] = {}
    for inner in iterate_types(t):
        if isinstance(inner, StructType):
            other = found.setdefault(inner.name, inner)
            if other != inner:
                raise DeclarationError(t.name, f"two different structs are called {inner.name}")
    return found


def _compile_members(t: StructType) -> Callable[[Any], Sequence[bytes]]:
    """EIP-712's encodeData as a list of 32-byte words."""
    astuple = msgspec.structs.astuple
    encoders = [_compile_member(field.type, f"{t.name}.{field.name}") for field in t.fields]
    if all(encode is None for encode in encoders):
        return astuple  # every member is its own word

    def encode_members(value: Any) -> list[bytes]:
        return [item if encode is None else encode(item) for encode, item in zip(encoders, astuple(value), strict=True)]

    return encode_members


def _compile_member(t: SchemaType, path: str) -> Callable[[Any], bytes] | None:
    """The encoder of a member as one 32-byte word; None where the value is that word."""
    if abi_type(t) == "bytes32":
        return None
    word = compile_word(t)
    if word is not None:
        return word
    match t:
        case BytesType():
            return keccak256
        case StringType():
            return lambda value: keccak256(value.encode())
        case StructType():
            return compile_struct_hash(t)
        case SequenceType():
            return _compile_array(_compile_member(t.item, f"{path}[]"))
        case _:
            raise DeclarationError(path, "a tuple has no EIP-712 form; use a Struct")


def _compile_array(encode: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    if encode is None:
        return lambda values: keccak256(b"".join(values))
    return lambda values: keccak256(b"".join([encode(value) for value in values]))
