"""The contract suite of settlement backends: what an inbox takes, and each thing that it must not take, by error name.

Subclass `SettlementContract` in a test module and give it a fixture `harness` (a `SettlementHarness`):

    class TestMyBackend(SettlementContract):
        @pytest.fixture
        def harness(self, tmp_path): ...

Every accept stands next to its reject. Nothing here supposes that two transactions share an L1 block.
"""

from __future__ import annotations

from microrollup.testing.settlement_cases.attestations import AttestationCases
from microrollup.testing.settlement_cases.based import BasedCases
from microrollup.testing.settlement_cases.creation import CreationCases
from microrollup.testing.settlement_cases.owner import OwnerCases
from microrollup.testing.settlement_cases.queue import QueueCases
from microrollup.testing.settlement_cases.settling import SettlingCases
from microrollup.testing.settlement_cases.time import TimeCases

__all__ = ["SettlementContract"]


class SettlementContract(CreationCases, SettlingCases, TimeCases, AttestationCases, QueueCases, OwnerCases, BasedCases):
    """Tests that every settlement backend passes."""
