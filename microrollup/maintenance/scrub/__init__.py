"""Scrub: read every page and record of a store, and name what is damaged and what repairs it. Nothing is changed.

Damaged LMDB pages can end the process that reads them, so the scan runs in a process of its own; one that dies is
damage too, and another one continues after it.
"""

from microrollup.maintenance.scrub.launch import OnRowsChecked, scrub_store
from microrollup.maintenance.scrub.report import Damage, ScrubReport

__all__ = ["Damage", "OnRowsChecked", "ScrubReport", "scrub_store"]
