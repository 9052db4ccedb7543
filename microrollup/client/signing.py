"""From an action of the app's own class to the bytes that are sent: compiled per class, checked with the node's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from microrollup.chain.answers.node import NodeConfig
from microrollup.client.declaring import declare_action
from microrollup.client.errors import ForeignNode
from microrollup.client.signed import SignedAction
from microrollup.client.signer import Signer, get_address, sign_with
from microrollup.codec.json import to_json_value
from microrollup.codec.schema import IntegerType
from microrollup.crypto.eip712 import compile_digest, compile_member_digest, compute_domain_separator, typed_data
from microrollup.crypto.signatures.statement import Statement
from microrollup.declaration.action import Action, ActionType, ActionTypes, compile_action_type
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.execution.authentication import Authenticator, compute_action_hash
from microrollup.execution.envelope import EnvelopeOpener

__all__ = ["ActionSigner", "make_authenticator"]

_NONCE: Final = IntegerType(64, signed=False)


class _Compiled(msgspec.Struct, frozen=True):
    type: ActionType
    compute_digest: Callable[[Any, int], bytes]
    compute_member_digest: Callable[[Any, int, bytes], bytes]


class ActionSigner:
    """Signs actions for one node's rollup, in its domain."""

    def __init__(self, config: NodeConfig) -> None:
        domain = config.domain
        self._config = config
        self._separator = compute_domain_separator(
            domain.name, domain.version, domain.chain_id, domain.verifying_contract
        )
        self._compiled: dict[type[Action], _Compiled] = {}

    def check(self, action: Action) -> None:
        """Raises `ValueOutOfBounds` for a member, `UsageError` or `ForeignNode` for an action that the node lacks."""
        self._compile(type(action)).type.check(action)

    async def sign(self, action: Action, nonce: int, signer: Signer) -> SignedAction:
        """Sign a checked action. Raises what the signer raises."""
        compiled, sender = self._compile(type(action)), get_address(signer)
        digest = compiled.compute_digest(action, nonce)
        statement = Statement(
            digest, nonce, self._separator, lambda group: compiled.compute_member_digest(action, nonce, group)
        )
        signature = await sign_with(signer, statement, lambda: self._describe(compiled.type, action, nonce))
        line = msgspec.json.encode(
            {
                "type": compiled.type.name,
                "message": {**to_json_value(compiled.type.type, action), "nonce": to_json_value(_NONCE, nonce)},
                "signature": f"0x{signature.hex()}",
                "sender": f"0x{sender.hex()}",
            }
        )
        return SignedAction(line, sender, nonce, compute_action_hash(digest, sender))

    def _describe(self, action_type: ActionType, action: Action, nonce: int) -> dict[str, Any]:
        domain = self._config.domain
        return typed_data(
            action_type.type,
            action,
            nonce,
            name=domain.name,
            version=domain.version,
            chain_id=domain.chain_id,
            contract=domain.verifying_contract,
        )

    def _compile(self, cls: type[Action]) -> _Compiled:
        compiled = self._compiled.get(cls)
        if compiled is None:
            action_type = compile_action_type(cls)
            _compare(action_type, self._config)
            compiled = _Compiled(
                action_type,
                compile_digest(action_type.type, self._separator),
                compile_member_digest(action_type.type, self._separator),
            )
            self._compiled[cls] = compiled
        return compiled


def _compare(action_type: ActionType, config: NodeConfig) -> None:
    served = config.get_action(action_type.name)
    if served is None:
        raise UsageError(f"{config.name} has no action {action_type.name}")
    if served.type_hash != action_type.type_hash:
        raise ForeignNode(f"action {served.name}", expected=action_type.type_hash, found=served.type_hash)


def make_authenticator(config: NodeConfig, app: MicroRollup | None = None) -> Authenticator:
    """What tells the identity of lines that somebody else signed, from the types that the node serves; and of envelopes
    where the `app` is known.

    Raises `BadAnswer` or `ForeignNode` if they are not what the node says that they are.
    """
    declared = [declare_action(action.name, action.types) for action in config.actions]
    types = ActionTypes(declared, may_be_empty=bool(config.envelopes))
    for action_type in types:
        _compare(action_type, config)
    opener = EnvelopeOpener(app) if app is not None and app.envelopes else None
    return Authenticator(types, config.domain, opener=opener)
