"""When a block upgrades: the rule over what an inbox announces, the same for builders and verifiers.

An announced code is in force from an L1 block on, its effect. The first block whose origin has reached the effect holds
the upgrade and nothing else, if the code differs from its parent's; what becomes of it, the announcement is spent then.
"""

from __future__ import annotations

from typing import Final

from microrollup.settlement.protocol import L1View

__all__ = ["find_announced", "has_taken_before", "is_upgrade_due"]

_FAR: Final = 1 << 62
"""An L1 block for which nothing is announced yet."""


def find_announced(l1: L1View) -> tuple[bytes, int]:
    """The newest code that is announced, in 32 bytes, and the L1 block from which it is in force, past or to come."""
    return l1.get_stf_id(_FAR), l1.get_code_since(_FAR)


def is_upgrade_due(in_force: bytes, parent_origin: int, announced: bytes, since: int) -> bool:
    """Whether a block upgrades, whose origin has the code `announced` in force `since` an L1 block.

    `in_force` is the parent's code (32-byte stfIds both), `parent_origin` its L1 origin: if that had reached the
    effect, the announcement is spent.
    """
    return announced != in_force and since > parent_origin


def has_taken_before(l1: L1View, forced_count: int, since: int) -> bool:
    """Whether all forced actions that L1 included before the effect are among the `forced_count` ones that were taken.

    The old code takes them: users who do not like the new one can leave under the old.
    """
    return forced_count >= l1.get_forced_count(since - 1)
