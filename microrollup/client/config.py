"""What a client knows of its rollup from elsewhere, compared with what a node says."""

from __future__ import annotations

import msgspec

from microrollup.chain.answers.node import NodeConfig
from microrollup.chain.record import DomainConfig
from microrollup.client.errors import ForeignNode
from microrollup.declaration.rollup import MicroRollup

__all__ = ["Pins", "check_config"]


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
