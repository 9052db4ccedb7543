"""A process that settles empty blocks one after the other until a height; `test_ethereum_kill.py` kills it.

Its arguments are the URL, the inbox, the DA and the height.
"""

from __future__ import annotations

import sys

from ethereum_harness import KEYS
from ethereum_site import settle_next
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement


def main(url: str, inbox: str, da: str, height: str) -> None:
    """Go on from wherever L1 is."""
    options = EthereumOptions(url, inbox=bytes.fromhex(inbox), da=da, poll_seconds=0, settle_seconds=120)  # type: ignore[arg-type]
    settlement = EthereumSettlement.open(options, KEYS)
    while settlement.get_settled().height < int(height):
        settle_next(settlement)
    settlement.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
