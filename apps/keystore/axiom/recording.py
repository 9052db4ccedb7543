"""Recording what the inbox settles at the bridge, so that withdrawals can be finalized there by everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

from msgspec.structs import replace

from microrollup.crypto.ecdsa import PrivateKey
from microrollup.settlement.ethereum.contracts import ask_contract, send_call
from microrollup.settlement.ethereum.errors import L1Error
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.place import EthereumPlace, make_options, open_l1
from microrollup.settlement.protocol import L1View

from .bridge_calls import encode_output_root_question, encode_record_batch

__all__ = ["record_batches"]


def record_batches(
    place: EthereumPlace,
    bridge: bytes,
    key: PrivateKey,
    done: threading.Event,
    seconds: float,
    tell: Callable[[int | None, L1Error | None], None],
) -> None:
    """Record each batch that the inbox holds when it is looked at, every so many seconds until `done` is set.

    `bridge` is its 20-byte address; `key` pays. `tell` is given the height that was recorded, or why L1 could not be
    asked or took nothing, which the next look tries again. A batch that was followed by another one within that time is
    left out: the bridge takes the newest only. Raises what opening the inbox raises.
    """
    near = replace(place, depth=1)  # the bridge compares with what the inbox holds now
    with closing(open_l1(near)) as l1:
        while not done.is_set():
            try:
                height = _record(l1, make_options(near), bridge, key)
            except L1Error as error:
                tell(None, error)
            else:
                if height is not None:
                    tell(height, None)
            done.wait(seconds)


def _record(l1: L1View, options: EthereumOptions, bridge: bytes, key: PrivateKey) -> int | None:
    """The height whose batch is recorded now; None if there was nothing to do."""
    height = l1.get_settled().height
    settled = l1.get_settled_at(height)
    if settled is None or any(ask_contract(options, bridge, encode_output_root_question(height))):
        return None
    send_call(options, key, bridge, encode_record_batch(settled.header))
    return height
