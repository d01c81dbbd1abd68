"""How often a command of ours looks for garbage that refers to itself.

Owns the settings of the collector, which are the process's: a command may change them, a library must not.
"""

from __future__ import annotations

import gc

__all__ = ["collect_less"]


def collect_less(young: int) -> None:
    """Look for cycles after so many new objects, and never again among what is there by now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, *gc.get_threshold()[1:])
