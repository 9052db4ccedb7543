"""A Keystore+ whose transactions of Axiom's format cost something from the start: `axiom_paid:app`."""

from __future__ import annotations

from apps.keystore.plus.config import Config, PriceCap
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.state import AxiomFee, FeeTable, Plus, Price
from microrollup import ZERO_ADDRESS, MicroRollup
from plus_world import BRIDGE, COLLECTOR_KEY, VAULT

MINIMUM, PER_BYTE = 7, 3
"""Wei per gas, wei per byte."""

_CONFIG = Config(vault=VAULT, bridge=BRIDGE, collector=COLLECTOR_KEY, price_caps=(PriceCap(ZERO_ADDRESS, 1_000),))
_PLUS = make_app(_CONFIG)

app = MicroRollup(
    name=_PLUS.name,
    version=_PLUS.version,
    genesis=Plus(config=_CONFIG, fees=FeeTable(axiom=AxiomFee(Price(MINIMUM), Price(PER_BYTE)))),
    stfs=list(_PLUS.stf_by_action.values()),
    envelopes=[each.cls for each in _PLUS.envelopes.values()],
    reads=_PLUS.reads,
    methods=_PLUS.methods,
    method_sets=_PLUS.method_sets,
)
