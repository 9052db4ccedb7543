"""Why an account does not take an operation's signature: the entry point says AA24 for all of it.

The same bytes are read in the order in which the account reads them, with what its chain knows. The account is asked
nothing that it would not answer to everybody, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from msgspec import Struct
from msgspec.structs import replace

from microrollup.codec.json import hex0x, read_hex
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_root, is_low_leaf
from microrollup.errors import DecodeError, ProofError, UsageError
from microrollup.settlement.ethereum.answers import parse_quantity

from ..proofs import compute_account_tree_key, decode_exclusion, decode_inclusion
from ..root_calls import decode_latest, encode_latest
from .addresses import ENTRY_POINT, compute_implementation_address, compute_validator_address
from .configuration import Configuration
from .judging import Explanation, judge_signature
from .opening import MODE_CACHED, MODE_EXCLUSION, MODE_INCLUSION, MODE_REMEMBER, ShownKey
from .outbox import MODE_DELEGATE, MODE_INTENT, compute_delegate_tree_key, compute_intent_tree_key
from .user_operation import UserOperation, compute_user_operation_hash, has_eoa_marker

__all__ = ["CAUSES", "ChainView", "Explanation", "FindHeld", "explain"]

CAUSES: Final = {
    "taken": "the account takes the signature",
    "no_account": "the sender is not an account of the keystore, and its initCode makes none",
    "malformed": "the bytes are cut off, or too long",
    "unknown_mode": "the first byte names no mode",
    "not_remembered": "mode 2, but the account remembers another configuration or none",
    "not_first_configuration": "mode 1, but the account's key does not commit to this configuration, vk and salt",
    "malformed_proof": "the proof leads to no root",
    "not_pushed": "the chain knows the proof's root, the account has not copied it yet",
    "replaced": "the account has let go of the proof's root: newer ones came",
    "unknown_root": "the chain does not know the proof's root",
    "other_configuration": "the keystore holds another configuration or vk than the proof is made for",
    "other_operation": "the intent names another operation, account or chain, or was made before its owner changed",
    "other_delegate": "no delegate of this chain is so, or it was made before its owner changed",
    "no_validator": "nothing is deployed where codeHash puts the validator",
    "signature_form": "the validator's signature has not its form: length, high s, v, a cut assertion",
    "signed_as_text": "the hash was signed as a text (EIP-191)",
    "other_chain": "it was signed for another chain or entry point",
    "signer_order": "the multisig's signers do not ascend, or one comes twice",
    "wrong_key": "a key signed that the configuration does not name, or something else was signed",
    "other_challenge": "the passkey answered another challenge: the operation was changed after it was signed",
    "user_not_verified": "the passkey did not verify its user",
}
"""Every cause by its name, for wallets to translate, and `taken` for what is not refused."""

_KEY_START: Final = 0x2D
"""In an account's code: the clone, then the key."""
_VALUE_BYTES: Final = 64
_CREATE: Final = keccak256(b"createAccount(bytes32,bytes32)")[:4]
_KEY: Final = keccak256(b"key()")[:4]
_KEY_SEQUENCE: Final = keccak256(b"keySequence()")[:4]
_DELEGATION: Final = bytes.fromhex("ef0100")
_DELEGATION_BYTES: Final = 23
"""An EOA's code (EIP-7702) is this and its delegate's address."""
_GET_ROOTS: Final = keccak256(b"getRoots()")[:4]
_GET_REMEMBERED: Final = keccak256(b"getRemembered()")[:4]
_ROOTS: Final = keccak256(b"roots()")[:4]
_SHOWN_AT: Final = keccak256(b"shownAt(bytes32)")[:4]
_ROOTS_TYPES: Final = ["bytes32", "uint64", "(uint40,uint40)", "(bytes27,uint40)[4]"]
_REPLACED_BYTES: Final = 27
_VALIDATE: Final = keccak256(b"validate(bytes32,bytes,bytes)")[:4]
_KNOWN_CHAINS: Final = (1, 10, 137, 8453, 42161, 11155111)
"""Where wallets have most accounts."""


class ChainView(Protocol):
    """A chain's JSON-RPC."""

    def call(self, method: str, *params: Any) -> Any:
        """One method's result."""
        ...


FindHeld: TypeAlias = Callable[[bytes], bytes | None]
"""The 64 bytes that the keystore holds at a 32-byte key; empty for nothing, None where that is not known."""


class _Account(Struct, frozen=True):
    """What is known of the sender."""

    key: bytes
    roots: bytes
    """The contract of roots; 20 bytes."""
    present: bytes
    replaced: tuple[bytes, ...]
    """First 27 bytes each."""
    remembered: bytes
    """The same of a configuration's hash."""


class _Answered(Exception):
    """An explanation has been found."""

    def __init__(self, cause: str, what: str, remedy: str) -> None:
        super().__init__(cause)
        self.explanation = Explanation(cause, what, remedy)


def explain(
    operation: UserOperation,
    chain: ChainView,
    *,
    entry_point: bytes = ENTRY_POINT,
    shown: ShownKey | None = None,
    chain_ids: Sequence[int] = (),
    find_held: FindHeld | None = None,
) -> Explanation:
    """Why the account of this signed operation does not take its signature on the chain, now.

    With `shown`, what the keystore holds at the account's key (`proof_from_json`), a proof of something else is told
    from one of a root that the chain has not heard of; `find_held` says it of any key. `chain_ids` are tried where a
    key seems to be wrong. A signature that is too old or too early is AA22, not AA24: see the account's `getRoots`.
    Raises what the chain's `call` does.
    """
    reader = _Reader(chain)
    try:
        operation = reader.name_delegate(operation)
        find_held = find_held if shown is None else _make_find_held(shown)
        configuration, signature = _open(operation, reader, entry_point, find_held)
    except _Answered as answered:
        return answered.explanation
    if configuration is None:
        return Explanation("taken", "the keystore names this operation", "nothing: it needs no signature")
    validator = compute_validator_address(configuration.code_hash)
    if not reader.read_code(validator):
        what = f"nothing is at {hex0x(validator)}, where codeHash {hex0x(configuration.code_hash)} has its validator"
        return Explanation("no_validator", what, "deploy its creation code through the deployment proxy")
    chain_id = reader.read_chain_id()
    known = (chain_id, *_KNOWN_CHAINS, *chain_ids)
    hashes = {number: compute_user_operation_hash(operation, entry_point, number) for number in known}

    def ask(digest: bytes) -> bool:
        data = _VALIDATE + abi_encode(["bytes32", "bytes", "bytes"], [digest, signature, configuration.config])
        return reader.ask(validator, data) == b"\1".rjust(32, b"\0")

    return judge_signature(configuration, signature, chain_id, hashes, ask)


class _Reader:
    """What is asked of the chain."""

    def __init__(self, chain: ChainView) -> None:
        self._chain = chain

    def read_chain_id(self) -> int:
        return parse_quantity("eth_chainId", self._chain.call("eth_chainId"))

    def read_code(self, address: bytes) -> bytes:
        return read_hex(self._chain.call("eth_getCode", hex0x(address), "latest"), "code")

    def ask(self, target: bytes, data: bytes) -> bytes:
        answer = self._chain.call("eth_call", {"to": hex0x(target), "data": hex0x(data)}, "latest")
        return read_hex(answer, "answer")

    def read_account(self, operation: UserOperation) -> _Account:
        code = self.read_code(operation.sender)
        if code:
            key = self._read_key(operation.sender, code)
            try:
                present, _height, _window, replaced = abi_decode(_ROOTS_TYPES, self.ask(operation.sender, _GET_ROOTS))
            except (DecodingError, OverflowError):
                raise _no_account("it does not answer as an account of the keystore does") from None
            remembered = self.ask(operation.sender, _GET_REMEMBERED)[:_REPLACED_BYTES]
            roots = self.ask(operation.sender, _ROOTS)[-20:]
            return _Account(key, roots, present, tuple([part for part, _ in replaced]), remembered)
        factory, call = operation.init_code[:20], operation.init_code[20:]
        if call[:4] != _CREATE or len(call) != 68:
            raise _no_account("nothing is deployed there, and initCode makes no account")
        key, signed = call[4:36], call[36:]
        roots = self.ask(compute_implementation_address(factory), _ROOTS)[-20:]
        latest = decode_latest(self.ask(roots, encode_latest())).root
        return _Account(key, roots, latest, (signed[:_REPLACED_BYTES],), bytes(_REPLACED_BYTES))

    def _read_key(self, sender: bytes, code: bytes) -> bytes:
        if code.startswith(_DELEGATION) and len(code) == _DELEGATION_BYTES:
            if _KEY_SEQUENCE not in self.read_code(code[len(_DELEGATION) :]):
                raise _no_account("the EOA delegates to code that is not the keystore's")
            key = self.ask(sender, _KEY)
            if not any(key):
                raise _no_account("the EOA has set no key: `setKey` has not been called")
            return key
        if len(code) != _KEY_START + 32:
            raise _no_account("its code is not that of an account of the keystore")
        return code[_KEY_START:]

    def name_delegate(self, operation: UserOperation) -> UserOperation:
        """The same, with the sender's delegate for EIP-7702's marker: of the same hash, and without the marker."""
        if not has_eoa_marker(operation.init_code):
            return operation
        code = self.read_code(operation.sender)
        if not code.startswith(_DELEGATION) or len(code) != _DELEGATION_BYTES:
            raise _no_account("initCode has EIP-7702's marker, and the sender does not delegate")
        return replace(operation, init_code=code[len(_DELEGATION) :] + operation.init_code[20:])

    def knows_root(self, roots: bytes, root: bytes) -> bool:
        """Whether the chain has ever had the root."""
        return any(self.ask(roots, _SHOWN_AT + root))

    def read_latest(self, roots: bytes) -> bytes:
        """The newest root of the chain."""
        return decode_latest(self.ask(roots, encode_latest())).root


def _no_account(what: str) -> _Answered:
    return _Answered("no_account", what, "check sender, factory and key")


def _open(
    operation: UserOperation, reader: _Reader, entry_point: bytes, find_held: FindHeld | None
) -> tuple[Configuration | None, bytes]:
    """The configuration that the signature opens, and the validator's signature; none for an intent."""
    raw = operation.signature
    account = reader.read_account(operation)
    mode = raw[0] if raw else MODE_CACHED
    if mode in (MODE_INTENT, MODE_DELEGATE):
        return _open_outbox(operation, reader, account, entry_point, find_held)
    kind = mode & ~MODE_REMEMBER
    if kind not in (MODE_INCLUSION, MODE_EXCLUSION, MODE_CACHED) or mode == MODE_CACHED | MODE_REMEMBER:
        raise _Answered("unknown_mode", f"there is no mode {mode}", "encode the signature anew")
    parts = _Parts(raw, 1)
    code_hash, config, signature = parts.take(32), parts.take_part(), parts.take_part()
    configuration = Configuration(code_hash, config)
    data_hash = keccak256(code_hash + keccak256(config))
    rest = parts.take_rest({MODE_CACHED: 0, MODE_INCLUSION: 32, MODE_EXCLUSION: 64}[kind])
    if kind == MODE_CACHED:
        if rest:
            raise _malformed("a remembered configuration has no opening")
        if account.remembered != data_hash[:_REPLACED_BYTES]:
            what = "the account remembers another configuration or none"
            raise _Answered("not_remembered", what, "show a proof, and remember it again")
        return configuration, signature
    tree_key = compute_account_tree_key(account.key)
    try:
        if kind == MODE_INCLUSION:
            root = compute_root(decode_inclusion(rest[32:], tree_key, keccak256(data_hash + rest[:32])))
        else:
            if keccak256(rest[:32] + data_hash + rest[32:64]) != account.key:
                raise _Answered(
                    "not_first_configuration",
                    "the account's key does not commit to this configuration, vk and salt",
                    "use those that the key was made of; a rotated account needs an inclusion proof",
                )
            proof = decode_exclusion(rest[64:])
            if not is_low_leaf(proof.leaf, tree_key):
                what = "the proof's leaf does not lie around the key"
                raise _Answered("malformed_proof", what, "if the key is registered by now, prove its inclusion")
            root = compute_root(proof)
    except (DecodeError, ProofError) as error:
        raise _Answered("malformed_proof", str(error), "encode the keystore's proof anew") from None
    _check_root(reader, account, root, find_held, data_hash)
    return configuration, signature


def _open_outbox(
    operation: UserOperation, reader: _Reader, account: _Account, entry_point: bytes, find_held: FindHeld | None
) -> tuple[Configuration | None, bytes]:
    parts = _Parts(operation.signature, 1)
    chain_id = reader.read_chain_id()
    is_intent = operation.signature[0] == MODE_INTENT
    configuration, signature, head = None, b"", b""
    if is_intent:
        place = compute_intent_tree_key(account.key, int.from_bytes(parts.take(2), "big"))
        after, until = parts.take_number(), parts.take_number()
        digest = compute_user_operation_hash(operation, entry_point, chain_id)
        values = [chain_id, operation.sender, digest, after, until]
        head = abi_encode(["uint256", "address", "bytes32", "uint64", "uint64"], values)
    else:
        configuration = Configuration(parts.take(32), parts.take_part())
        signature, is_every = parts.take_part(), parts.take(1) == b"\1"
        place = compute_delegate_tree_key(account.key, 0 if is_every else chain_id)
        until = parts.take_number()
        head = abi_encode(
            ["bytes32", "bytes32", "uint64"], [configuration.code_hash, keccak256(configuration.config), until]
        )
    owner_hash = keccak256(parts.take(_VALUE_BYTES))
    account_proof, entry_proof = parts.take_part(), parts.take_part()
    try:
        root = compute_root(decode_inclusion(account_proof, compute_account_tree_key(account.key), owner_hash))
        found = compute_root(decode_inclusion(entry_proof, place, keccak256(head + owner_hash)))
    except (DecodeError, ProofError) as error:
        raise _Answered("malformed_proof", str(error), "encode the keystore's proofs anew") from None
    _check_root(reader, account, root, find_held, None)
    if found != root:
        cause = "other_operation" if is_intent else "other_delegate"
        raise _Answered(cause, CAUSES[cause], "ask the keystore what it holds in this place now")
    return configuration, signature


def _check_root(
    reader: _Reader, account: _Account, root: bytes, find_held: FindHeld | None, data_hash: bytes | None
) -> None:
    """Whether the account believes the root; else why not."""
    if root == account.present or root[:_REPLACED_BYTES] in account.replaced:
        return
    name = hex0x(root)
    if root == reader.read_latest(account.roots):
        what = f"the chain's newest root is {name}; the account has not copied it"
        raise _Answered("not_pushed", what, "push the root")
    if reader.knows_root(account.roots, root):
        raise _Answered("replaced", f"root {name} was replaced too long ago", "exchange the proof for a newer one")
    held = None if find_held is None or data_hash is None else find_held(account.key)
    if held is not None and held[:32] != data_hash:
        state = f"data of hash {hex0x(held[:32])}" if held else "nothing"
        raise _Answered(
            "other_configuration",
            f"the keystore holds {state} at the key, not the configuration that is opened",
            "sign with the configuration that the keystore holds",
        )
    raise _Answered(
        "unknown_root",
        f"the chain does not know root {name}",
        "bring the keystore's newest root; if the chain has it, the keystore holds something else at the key",
    )


def _make_find_held(shown: ShownKey) -> FindHeld:
    """Of one key alone. What it gives raises `UsageError` for another one."""

    def find_held(key: bytes) -> bytes:
        if shown.key != key:
            raise UsageError(f"what is shown is of key {hex0x(shown.key)}, not of {hex0x(key)}")
        held: bytes = getattr(shown, "value", b"")
        return held if shown.exists else b""

    return find_held


def _malformed(what: str) -> _Answered:
    return _Answered("malformed", what, "encode the signature anew")


class _Parts:
    """A signature's bytes, from left to right."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw, self._at = raw, at

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._raw):
            raise _malformed(f"{len(self._raw)} bytes end before byte {end}")
        part, self._at = self._raw[self._at : end], end
        return part

    def take_number(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def take_part(self) -> bytes:
        return self.take(int.from_bytes(self.take(2), "big"))

    def take_rest(self, least: int) -> bytes:
        return self.take(max(least, len(self._raw) - self._at))
