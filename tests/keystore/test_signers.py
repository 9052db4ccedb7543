"""Who signs for a configuration, and what is left without one of them."""

from __future__ import annotations

import pytest

from apps.keystore.signers import list_signers
from apps.keystore.smart_account import Configuration, configure_ecdsa, configure_multisig, configure_p256
from apps.keystore.smart_account.configuration import load_code_hash
from microrollup.declaration.context import Revert
from microrollup.testing.passkey import P256Key

OWNERS = [bytes((number,)) * 20 for number in range(1, 6)]
MULTISIG = load_code_hash("MultisigValidator")


@pytest.mark.parametrize(("threshold", "count"), [(1, 2), (2, 3), (3, 3), (1, 5), (5, 5)])
def test_what_is_left_is_what_a_wallet_would_configure(threshold: int, count: int) -> None:
    """Each owner can go; the threshold falls only where nobody could be spared, and then that is said."""
    owners = OWNERS[:count]
    entries = list_signers(MULTISIG, configure_multisig(threshold, owners).config)
    assert owners == [each.signer for each in entries]
    needed = min(threshold, count - 1)
    for each in entries:
        rest = [owner for owner in owners if owner != each.signer]
        assert configure_multisig(needed, rest).config == each.rest
        assert ("fewer" in each.outcome) == (needed < threshold)


def test_the_only_key() -> None:
    """Nothing is left of it."""
    for configuration in (configure_ecdsa(OWNERS[0]), configure_p256(P256Key(b"\x21" * 32).point)):
        (only,) = list_signers(configuration.code_hash, configuration.config)
        assert (configuration.config, None) == (only.signer, only.rest)
        assert "only key" in only.outcome
    (only,) = list_signers(MULTISIG, configure_multisig(1, OWNERS[:1]).config)
    assert only.rest is None


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(b"\x99" * 32, OWNERS[0]),
        Configuration(load_code_hash("ECDSAValidator"), OWNERS[0] + b"\0"),
        Configuration(MULTISIG, b""),
        Configuration(MULTISIG, b"\x01"),
        Configuration(MULTISIG, b"\x00" + OWNERS[0]),
        Configuration(MULTISIG, b"\x02" + OWNERS[0]),
        Configuration(MULTISIG, b"\x01" + OWNERS[1] + OWNERS[0]),
        Configuration(MULTISIG, b"\x01" + OWNERS[0] + OWNERS[0]),
        Configuration(MULTISIG, b"\x01" + OWNERS[0][:19]),
        Configuration(MULTISIG, b"\x01" + b"".join(number.to_bytes(20, "big") for number in range(256))),
    ],
)
def test_what_no_validator_takes(configuration: Configuration) -> None:
    """Of another validator, or not in its form."""
    with pytest.raises(Revert, match="does not take"):
        list_signers(configuration.code_hash, configuration.config)
