"""The verifiers that the rollup knows, and the keystore contract that each of them answers to.

Stackup's, as deployed on Ethereum (1), OP Mainnet (10), BNB (56), Polygon (137), Base (8453), Arbitrum (42161) and
Avalanche (43114); and this repository's, deployed by the deterministic deployment proxy with the salt zero. Both have
the same address on every chain.
"""

from __future__ import annotations

from typing import Final

__all__ = ["OWN_KEYSTORE", "STACKUP_KEYSTORE", "VERIFIERS", "find_verifier"]

STACKUP_KEYSTORE: Final = bytes.fromhex("69c9f626b5bd934c0f9806346682ed407fb978d3")
OWN_KEYSTORE: Final = bytes.fromhex("80fcb5ca3c1602842f86aac74068cd4e6128f038")

VERIFIERS: Final[tuple[tuple[bytes, str, bytes], ...]] = (
    (bytes.fromhex("52949503ff5c34caea4fc98f0723ebd0c300f232"), "ecdsa", STACKUP_KEYSTORE),
    (bytes.fromhex("0a3bc9523755f2b4e95458e1d8aba8441cb61927"), "multisig", STACKUP_KEYSTORE),
    (bytes.fromhex("e19620169a26aebc4fe229a073639da6b009bf1a"), "webauthn", STACKUP_KEYSTORE),
    (bytes.fromhex("939c10dcda11a73eccc563340abe3d257859dc6d"), "cosign", STACKUP_KEYSTORE),
    (bytes.fromhex("dfcf4a6c414eccd2f2441ad787dff9499be16b3e"), "ecdsa", OWN_KEYSTORE),
    (bytes.fromhex("173f48d1eb9818fa75e322f6739ebfb606a96704"), "multisig", OWN_KEYSTORE),
    (bytes.fromhex("a047e846fc2a9495e398e7e305af2dbc429f7681"), "webauthn", OWN_KEYSTORE),
    (bytes.fromhex("89ad5948fad0dc8158f30c18536a7fe4d7e9c555"), "cosign", OWN_KEYSTORE),
)
"""(address of a verifier, its kind, address of its keystore)."""


def find_verifier(address: bytes) -> tuple[str, bytes] | None:
    """(kind, address of the keystore) of a verifier's 20-byte address; None for any other address."""
    for verifier, kind, keystore in VERIFIERS:
        if verifier == address:
            return kind, keystore
    return None
