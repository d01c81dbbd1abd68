"""Parcels whose events change their version: first every worker knows both, and the depot tells the old one
still; then it tells the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sagas import Event, Service
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting
from tests.parcels import (
    ParcelPacked,
    ParcelPackedV1,
    ParcelWeighed,
    ParcelWeighedV1,
    ParcelWeighedV2,
    parcel_saga,
    parcel_services,
)

__all__ = ["knowing_workload", "telling_workload", "unready_workload"]

_FIRST = parcel_saga(ParcelPackedV1, ParcelWeighedV1)
_LAST = parcel_saga(ParcelPacked, ParcelWeighed)
_POUNDS = ParcelWeighedV1(parcel_id="", pounds=2)
_UNITS = ParcelWeighed(parcel_id="", weight=907, unit="g")
_PACE_S = 0.4
"""So long takes a step, so that sagas stand everywhere while services are replaced."""


def knowing_workload(seed: int) -> Setting:
    """From workers that know v1 to those that know all versions; v1 is told all the time."""
    told: list[tuple[str, object]] = []
    before = parcel_services(_FIRST, weighs=_POUNDS, full=seed % 3 == 0, pace_s=_PACE_S)
    after = parcel_services(
        _LAST,
        weighs=ParcelWeighed.as_before(_POUNDS),
        full=seed % 3 == 0,
        told=told,
        pace_s=_PACE_S,
    )
    return _setting(before, after, told, starts=_packed_before)


def telling_workload(seed: int) -> Setting:
    """Everybody knows all versions; a depot that tells v1, or v2, gives way to one that tells v3."""
    told: list[tuple[str, object]] = []
    former: Event = _POUNDS if seed % 2 else ParcelWeighedV2(parcel_id="", grams=907)
    before = parcel_services(
        _LAST, weighs=ParcelWeighed.as_before(former), full=seed % 3 == 0, told=told, pace_s=_PACE_S
    )
    after = parcel_services(_LAST, weighs=_UNITS, full=seed % 3 == 0, told=told, pace_s=_PACE_S)
    return _setting(before, after, told, starts=_packed)


def unready_workload(seed: int) -> Setting:
    """A mistake: the new version is told while workers run that know only the old one."""
    before = parcel_services(_FIRST, weighs=_POUNDS, pace_s=_PACE_S)
    after = parcel_services(_LAST, weighs=_UNITS, pace_s=_PACE_S)
    return _setting(before, after, [], starts=_packed_before)


def _setting(
    before: dict[str, Service],
    after: dict[str, Service],
    told: list[tuple[str, object]],
    *,
    starts: Any,
) -> Setting:
    journals = {name: (MemoryJournal(),) for name in before if name in {"depot", "shop", "carrier"}}
    return Setting(
        services=list(before.values()),
        next_services=list(after.values()),
        starts=starts,
        resources=journals,
        check=lambda: _strange(told),
    )


def _packed_before(number: int) -> Event:
    return ParcelPacked.as_before(ParcelPackedV1(parcel_id=f"p-{number}"))


def _packed(number: int) -> Event:
    return ParcelPacked(parcel_id=f"p-{number}", fragile=False)


def _strange(told: Sequence[tuple[str, object]]) -> list[str]:
    """Whatever was told: who knows all versions is given the current one, and what was weighed is in it."""
    expected = {ParcelPacked: {"fragile": False}, ParcelWeighed: {"weight": 907, "unit": "g"}}
    return [
        f"{by} was given {given!r}"
        for by, given in told
        if given is not None
        and not (
            isinstance(given, ParcelPacked | ParcelWeighed)
            and given.model_dump(exclude={"parcel_id"}) == expected[type(given)]
        )
    ]
