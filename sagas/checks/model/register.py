"""Small numbers for what states are made of: rows, messages, deliveries, stores.

A state is then a tuple of integers. Numbers are given in the order of discovery, which is the same each
time. Ids of events are their slots: what makes an id in production makes a slot.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from sagas.core.controls import Control
from sagas.core.definition import START, Definition, Role
from sagas.core.instance import Fact
from sagas.core.position import Position

__all__ = ["SAGA_ID", "Delivery", "Message", "Register", "Table"]

SAGA_ID = "s"

T = TypeVar("T", bound=Hashable)


class Table(Generic[T]):
    """Values, and the number of each."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: T, key: Hashable = None) -> int:
        """The number of a value; ``key`` stands for it where it is dear to hash."""
        found = value if key is None else key
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self.values)
            self.values.append(value)
        return number


class Message(NamedTuple):
    """A record on a topic: an event, or a control message."""

    fact: Fact
    control: Control | None = None


class Delivery(NamedTuple):
    """A message on its way to a service. The copy of a duplicate goes to another worker of it."""

    service: str
    message: int
    copy: bool
    topic: str


class Register:
    """Everything of one exploration that has a number.

    ``in_order``: messages of one topic come to a service as they were emitted. ``controls`` are the control
    messages among the messages, as bits.
    """

    def __init__(self, definition: Definition, *, in_order: bool = False) -> None:
        self.definition = definition
        self.in_order = in_order
        self.controls = 0
        self.rows: Table[Position] = Table()
        self.messages: Table[Message] = Table()
        self.deliveries: Table[Delivery] = Table()
        self._sent: dict[int, tuple[int, ...]] = {}
        self._copies: dict[int, int] = {}

    def row(self, at: Position) -> int:
        """The number of a position, whatever its stamp."""
        model = at.place.model
        facts = tuple(model.facts.values())
        place = (model.phase, model.turned_by, model.in_flight, model.parked, facts)
        return self.rows.number(at.stamped(1, 1), (place, at.ids, at.outside))

    def event(self, fact: Fact) -> int:
        """The number of an event as a message; the same for whatever is emitted again."""
        comes_first = fact.role is Role.DONE and fact.step == START
        told = fact._replace(published=True, folded=not comes_first, at_ms=0)
        return self.messages.number(Message(told), fact.id)

    def control(self, id_: str, control: Control) -> int:
        """The number of a control message."""
        fact = Fact(id_, "control", START, Role.CONTROL, published=True)
        number = self.messages.number(Message(fact, control), id_)
        self.controls |= 1 << number
        return number

    def letter(self, service: str, id_: str, control: Control) -> tuple[int, int]:
        """A control message for one service only: its number, and its only delivery."""
        message = self.control(id_, control)
        delivery = self.delivery(service, message)
        self._sent[message] = (delivery,)
        return message, delivery

    def put(self, sent: tuple[int, ...], more: Iterable[int]) -> tuple[int, ...]:
        """Deliveries under way with more of them. What is emitted again while it is still under way is the
        same message. Any order is the same, or that of each service's topics is kept.
        """
        if not self.in_order:
            return tuple(sorted({*sent, *more}))
        deliveries = self.deliveries.values
        return tuple(
            sorted(
                dict.fromkeys((*sent, *more)),
                key=lambda d: (deliveries[d].service, deliveries[d].topic, deliveries[d].copy),
            )
        )

    def sent(self, message: int) -> tuple[int, ...]:
        """The deliveries that become of a message: to every service that it concerns."""
        found = self._sent.get(message)
        if found is None:
            found = self._sent[message] = tuple(
                self.delivery(service, message)
                for service in self.definition.services
                if self.concerns(service, self.messages.values[message])
            )
        return found

    def sent_of(self, log: int) -> Iterator[int]:
        """The deliveries of a set of messages, given as bits."""
        for number in range(log.bit_length()):
            if log >> number & 1:
                yield from self.sent(number)

    def events(self, log: int) -> list[Fact]:
        """The events in a set of messages, given as bits."""
        log &= ~self.controls
        return [one.fact for n, one in enumerate(self.messages.values) if log >> n & 1]

    def concerns(self, service: str, message: Message) -> bool:
        """Whether a service is to have a message."""
        return message.control is not None or message.fact.type in self.definition.wakes[service]

    def delivery(self, service: str, message: int, *, copy: bool = False) -> int:
        """The number of one delivery."""
        outcome = self.definition.outcome_of.get(self.messages.values[message].fact.type)
        topic = "" if outcome is None else self.definition.by_name[outcome.step].service
        return self.deliveries.number(Delivery(service, message, copy, topic))

    def copy_of(self, delivery: int) -> int:
        """The delivery of the same message to another worker of the service."""
        found = self._copies.get(delivery)
        if found is None:
            one = self.deliveries.values[delivery]
            found = self._copies[delivery] = self.delivery(one.service, one.message, copy=True)
        return found

    def name(self, message: int) -> str:
        """What a message is called: the id of its event, or of its control message."""
        return self.messages.values[message].fact.id
