"""A parcel in three generations: pounds, then grams, then a weight with its unit; the start changed once.

The saga is the same but for the versions of its events, so one factory makes each generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sagas import (
    NOTHING,
    AllOf,
    Event,
    EventContext,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    upcasts,
)

__all__ = [
    "CarrierFull",
    "CustomerTold",
    "Label",
    "ParcelCollected",
    "ParcelPacked",
    "ParcelPackedV1",
    "ParcelUnpacked",
    "ParcelWeighed",
    "ParcelWeighedV1",
    "ParcelWeighedV2",
    "ScaleCleared",
    "parcel_saga",
    "parcel_services",
]


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class ParcelPackedV1(Event, type="shop.ParcelPacked.v1"):
    parcel_id: str


class ParcelPacked(Event, type="shop.ParcelPacked.v2"):
    parcel_id: str
    fragile: bool

    @staticmethod
    @upcasts(ParcelPackedV1)
    def from_before_fragile(old: ParcelPackedV1) -> ParcelPacked:
        return ParcelPacked(parcel_id=old.parcel_id, fragile=False)


class ParcelUnpacked(Event, type="shop.ParcelUnpacked.v1"):
    parcel_id: str


class ParcelWeighedV1(Event, type="depot.ParcelWeighed.v1"):
    parcel_id: str
    pounds: float


class ParcelWeighedV2(Event, type="depot.ParcelWeighed.v2"):
    parcel_id: str
    grams: int

    @staticmethod
    @upcasts(ParcelWeighedV1)
    def in_grams(old: ParcelWeighedV1) -> ParcelWeighedV2:
        return ParcelWeighedV2(parcel_id=old.parcel_id, grams=round(old.pounds * 453.6))


class ParcelWeighed(Event, type="depot.ParcelWeighed.v3"):
    parcel_id: str
    weight: int
    unit: str

    @staticmethod
    @upcasts(ParcelWeighedV2)
    def with_unit(old: ParcelWeighedV2) -> ParcelWeighed:
        return ParcelWeighed(parcel_id=old.parcel_id, weight=old.grams, unit="g")


class ScaleCleared(Event, type="depot.ScaleCleared.v1"):
    parcel_id: str


class Label(Event, type="printer.LabelPrinted.v1"):
    parcel_id: str
    text: str


class ParcelCollected(Event, type="carrier.ParcelCollected.v1"):
    parcel_id: str


class CarrierFull(Event, type="carrier.CarrierFull.v1"):
    parcel_id: str


class CustomerTold(Event, type="shop.CustomerTold.v1"):
    parcel_id: str


def parcel_saga(packed: Any, weighed: Any) -> Any:
    """The saga of one generation."""

    class Parcel(Saga):
        name = "parcel"
        key = "parcel_id"
        start = Start(packed, by="shop", undone=ParcelUnpacked)
        weigh = Step(by="depot", on=packed, done=weighed, undone=ScaleCleared)
        label = Step(by="printer", on=AllOf(packed, weighed), done=Label, undone=NOTHING)
        collect = Step(
            by="carrier", on=Label, done=ParcelCollected, refused=CarrierFull, pivot=True
        )
        tell = Step(by="shop", on=ParcelCollected, done=CustomerTold, reads=weighed)

    return Parcel


def parcel_services(
    saga: Any,
    *,
    weighs: Event,
    told: list[tuple[str, object]] | None = None,
    full: bool = False,
    pace_s: float = 0.0,
) -> dict[str, Service]:
    """Its services, by name. ``told`` collects what handlers were given, by what they were asked; a step
    takes ``pace_s``.
    """
    shop, depot, printer = Service("shop"), Service("depot"), Service("printer")
    carrier, watcher = Service("carrier"), Service("watcher")
    seen = [] if told is None else told
    (weighed,) = saga.weigh.done

    undoes_start: _Decorator = shop.undoes(saga.start)
    undoes_weigh: _Decorator = depot.undoes(saga.weigh)

    @undoes_start
    async def unpack(start: Any, context: StepContext) -> Any:
        seen.append(("unpack", start))
        return ParcelUnpacked(parcel_id=start.parcel_id)

    @depot.performs(saga.weigh)
    async def weigh(start: Any, context: StepContext) -> Any:
        seen.append(("weigh", start))
        await asyncio.sleep(pace_s)
        return weighs.model_copy(update={"parcel_id": start.parcel_id})

    @undoes_weigh
    async def clear(start: Any, outcome: Any, context: StepContext) -> Any:
        seen.append(("clear", outcome))
        return ScaleCleared(parcel_id=start.parcel_id)

    @printer.performs(saga.label)
    async def label(start: Any, outcome: Any, context: StepContext) -> Any:
        seen.append(("label", outcome))
        await asyncio.sleep(pace_s)
        return Label(parcel_id=start.parcel_id, text=repr(outcome))

    @carrier.performs(saga.collect)
    async def collect(printed: Any, context: StepContext) -> Any:
        await asyncio.sleep(pace_s)
        kind: Any = CarrierFull if full else ParcelCollected
        return kind(parcel_id=printed.parcel_id)

    @shop.performs(saga.tell)
    async def tell(collected: Any, context: StepContext) -> Any:
        seen.append(("tell", context.read(weighed)))
        return CustomerTold(parcel_id=collected.parcel_id)

    @watcher.observes(weighed)
    async def watch(outcome: Any, context: EventContext) -> None:
        seen.append(("watch", outcome))

    return {one.name: one for one in (shop, depot, printer, carrier, watcher)}
