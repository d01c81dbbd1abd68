"""A trip whose booking is tried again after pauses of ten seconds, a minute, and ten."""

from __future__ import annotations

from sagas import (
    NOTHING,
    Event,
    EventContext,
    Retry,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    hours,
    seconds,
)

__all__ = [
    "FAR",
    "Agency",
    "Booked",
    "Cancelled",
    "Declined",
    "Insured",
    "Paid",
    "Placed",
    "Trip",
    "Unbooked",
]


class Placed(Event, type="desk.Placed.v1"):
    id: str


class Cancelled(Event, type="desk.Cancelled.v1"):
    id: str


class Booked(Event, type="hotel.Booked.v1"):
    id: str


class Unbooked(Event, type="hotel.Unbooked.v1"):
    id: str


class Insured(Event, type="hotel.Insured.v1"):
    id: str


class Paid(Event, type="bank.Paid.v1"):
    id: str


class Declined(Event, type="bank.Declined.v1"):
    id: str


FAR = Retry(attempts=4, backoff=seconds(10), factor=6, jitter=0, backoff_max=hours(3))


class Trip(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(by="hotel", on=Placed, done=Booked, undone=Unbooked, retry=FAR)
    insure = Step(by="hotel", on=Placed, done=Insured, undone=NOTHING)
    pay = Step(by="bank", on=Booked, done=Paid, refused=Declined, pivot=True)


class Agency:
    """The services of a trip, and what their handlers were called for."""

    def __init__(self) -> None:
        self.desk, self.hotel, self.bank = Service("desk"), Service("hotel"), Service("bank")
        self.calls: list[tuple[str, int]] = []
        self.seen: list[str] = []
        self.desk.undoes(Trip.start)(self.cancel)
        self.hotel.performs(Trip.book)(self.book)
        self.hotel.undoes(Trip.book)(self.unbook)
        self.hotel.performs(Trip.insure)(self.insure)
        self.hotel.observes(Placed)(self.note)
        self.bank.performs(Trip.pay)(self.pay)

    @property
    def services(self) -> list[Service]:
        return [self.desk, self.hotel, self.bank]

    def _called(self, name: str, context: StepContext) -> None:
        self.calls.append((name, context.attempt))

    async def cancel(self, placed: Placed, context: StepContext) -> Cancelled:
        return Cancelled(id=placed.id)

    async def book(self, placed: Placed, context: StepContext) -> Booked:
        self._called("book", context)
        return Booked(id=placed.id)

    async def unbook(self, placed: Placed, booked: Booked | None, context: StepContext) -> Unbooked:
        self._called("unbook", context)
        return Unbooked(id=placed.id)

    async def insure(self, placed: Placed, context: StepContext) -> Insured:
        self._called("insure", context)
        return Insured(id=placed.id)

    async def note(self, placed: Placed, context: EventContext) -> None:
        self.seen.append(placed.id)

    async def pay(self, booked: Booked, context: StepContext) -> Paid | Declined:
        return Paid(id=booked.id)
