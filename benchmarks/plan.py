"""Which setups are measured: the ones that targets are about, or those of one variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.rounds import Effort
from benchmarks.setup import FRAMEWORK, PIPELINE, Setup

__all__ = ["VARIANTS", "Plan", "plan", "variant"]

Plan = list[tuple[Setup, Sequence[float]]]

VARIANTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "processes": [{"one_process": False}, {"one_process": True}],
    "journal": [{"journal": kind} for kind in ("off", "sqlite", "postgresql")],
    "partitions": [{"partitions": count} for count in (1, 4, 8, 16, 32)],
    "payloads": [{"payload_bytes": size} for size in (300, 3_000, 30_000)],
    "live": [{"live": count} for count in (1_000, 10_000, 100_000, 1_000_000)],
    "failures": [{"declined": share} for share in (0.0, 0.1, 0.5)],
    "logging": [{"log_level": level} for level in ("WARNING", "INFO")],
    "watching": [{"watched_by": who} for who in ("", "metrics", "tracing")],
}
"""What is varied, and its values."""

_FRAMEWORKS_ALONE = frozenset({"journal", "logging", "watching"})
"""The pipeline has none of these."""


def plan(effort: Effort) -> Plan:
    """Both systems with five processes at all rates; the framework also in one, and with journals."""
    journals = ("sqlite", "postgresql") if effort.name == "full" else ("postgresql",)
    return [
        (Setup(system=PIPELINE), effort.rates),
        (Setup(system=FRAMEWORK), effort.rates),
        (Setup(one_process=True), ()),
        *((Setup(journal=journal), ()) for journal in journals),
    ]


def variant(name: str) -> Plan:
    """Both systems with each value of a variant, at full speed."""
    setups = [replace(Setup(), **values) for values in VARIANTS[name]]
    if name in _FRAMEWORKS_ALONE:
        return [(Setup(system=PIPELINE), ()), *((setup, ()) for setup in setups)]
    return [
        (replace(setup, system=system), ()) for setup in setups for system in (PIPELINE, FRAMEWORK)
    ]
