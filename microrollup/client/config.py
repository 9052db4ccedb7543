"""What a node says of itself (`rollup_config`), read into types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.client.errors import BadAnswer, ForeignNode
from microrollup.codec.json import compile_json_reader
from microrollup.codec.schema import describe_type
from microrollup.errors import RefusedError
from microrollup.primitives import Address, Bytes32, Uint64
from microrollup.record import DomainConfig
from microrollup.rollup import MicroRollup

__all__ = [
    "ActionConfig",
    "FieldConfig",
    "NodeConfig",
    "Pins",
    "check_config",
    "read_address",
    "read_config",
    "read_hash",
    "read_uint64",
]


class ActionConfig(msgspec.Struct, frozen=True):
    """An action type as the node serves it."""

    name: str
    type_hash: Bytes32
    types: dict[str, Any]
    """EIP-712's types, as wallets take them: the action's and those of the structs in it."""


class FieldConfig(msgspec.Struct, frozen=True):
    """A field of the state."""

    name: str
    is_map: bool
    settled: bool


class NodeConfig(msgspec.Struct, frozen=True):
    """What a client needs to know before it signs or believes anything."""

    name: str
    version: str
    rollup_id: Bytes32
    l1_chain_id: Uint64
    inbox: Address
    """On that L1: acknowledgements and attestations are signed for it. Zero with the local settlement."""
    builder: Address
    """Seals blocks and signs acknowledgements."""
    domain: DomainConfig
    """Under which actions are signed; its contract is the inbox, or zero."""
    actions: dict[str, ActionConfig]
    fields: tuple[FieldConfig, ...]
    """In declared order."""
    document: dict[str, Any]
    """The whole answer."""

    def get_silo(self, name: str) -> int | None:
        """The index of a field among the settled ones; None if it is not settled, or unknown."""
        settled = [field.name for field in self.fields if field.settled]
        return settled.index(name) if name in settled else None


class Pins(msgspec.Struct, frozen=True):
    """What a client knows of its rollup from elsewhere; None where it takes the node's word."""

    rollup_id: bytes | None = None
    builder: bytes | None = None
    domain: DomainConfig | None = None


def check_config(config: NodeConfig, pins: Pins, app: MicroRollup | None) -> NodeConfig:
    """Check that the node serves what is expected; returns the config. Raises `ForeignNode`."""
    domain = config.domain
    _compare("rollup", pins.rollup_id, config.rollup_id)
    _compare("builder", pins.builder, config.builder)
    _compare("signing domain", pins.domain, domain)
    if app is not None:
        _compare("signing domain", (app.name, app.version), (domain.name, domain.version))
    return config


def _compare(what: str, expected: object, found: object) -> None:
    if expected is not None and expected != found:
        raise ForeignNode(what, expected=expected, found=found)


def _compile(annotation: object, what: str) -> Any:
    return compile_json_reader(describe_type(annotation, where="event", path=what), what)


read_hash: Final = _compile(Bytes32, "hash")
read_address: Final = _compile(Address, "address")
read_uint64: Final = _compile(Uint64, "integer")
_read_text: Final = _compile(str, "text")


def read_config(document: Any) -> NodeConfig:
    """The config of a parsed answer; members that this version does not know are kept aside. Raises `BadAnswer`."""
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, RefusedError) as error:
        raise BadAnswer(f"a config that lacks something: {type(error).__name__} {error}") from None


def _read(document: Any) -> NodeConfig:
    domain = document["domain"]
    actions = [
        ActionConfig(_read_text(action["name"]), read_hash(action["typeHash"]), dict(action["types"]))
        for action in document["actions"]
    ]
    fields = [
        FieldConfig(_read_text(field["name"]), field["kind"] == "map", field["settled"] is True)
        for field in document["fields"]
    ]
    return NodeConfig(
        name=_read_text(document["name"]),
        version=_read_text(document["version"]),
        rollup_id=read_hash(document["rollupId"]),
        l1_chain_id=read_uint64(document["l1ChainId"]),
        inbox=read_address(document["inbox"]),
        builder=read_address(document["builder"]),
        domain=DomainConfig(
            _read_text(domain["name"]),
            _read_text(domain["version"]),
            read_uint64(domain["chainId"]),
            read_address(domain["verifyingContract"]),
        ),
        actions={action.name: action for action in actions},
        fields=tuple(fields),
        document=document,
    )
