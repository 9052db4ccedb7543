"""Who may attest, now or once what is announced is in force."""

from __future__ import annotations

from microrollup.settlement.protocol import L1View
from microrollup.settlement.verifiers import VerifierSet

__all__ = ["list_attesters"]


def list_attesters(l1: L1View) -> frozenset[bytes]:
    """20-byte addresses and 96-byte BLS keys of the present set and of those that are announced."""
    sets = [l1.get_verifiers(l1.get_number())]
    sets += [each.value for each in l1.list_announced() if isinstance(each.value, VerifierSet)]
    return frozenset([member for verifiers in sets for member in verifiers.members])
