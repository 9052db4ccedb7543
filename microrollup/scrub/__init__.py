"""Scrub: read every page and record of a store, and name what is damaged and what repairs it. Nothing is changed.

Damaged LMDB pages can end the process that reads them, so the scan runs in a process of its own; one that dies is
damage too, and another goes on behind it.
"""

from microrollup.scrub.launch import OnProgress, scrub_store
from microrollup.scrub.report import Damage, ScrubReport

__all__ = ["Damage", "OnProgress", "ScrubReport", "scrub_store"]
