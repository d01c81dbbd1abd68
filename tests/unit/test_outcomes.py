"""What is accepted of a handler, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_serializer, field_validator

from sagas import NOTHING, ContractViolation, Event, OneOf, Saga, Service, Start, Step, StepContext
from sagas.core.definition import Direction
from sagas.runtime.assignments import Assignment, Assignments
from sagas.runtime.incoming import VALUE_BYTES_MAX
from sagas.runtime.outcomes import encoded


class Colour(StrEnum):
    RED = "red"


class Part(BaseModel):
    weight: float = 0.5
    names: dict[str, int] = {"é\u2028": 1}


class Asked(Event, type="desk.Asked.v1"):
    id: str


class Made(Event, type="mill.Made.v1"):
    id: str
    weight: float = 1.5
    price: Decimal = Decimal("1.10")
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    colour: Colour = Colour.RED
    parts: tuple[Part, ...] = (Part(),)
    note: str | None = None
    size: int = Field(default=3, le=10)


class Aliased(Event, type="mill.Aliased.v1"):
    id: str
    kind: str = Field(alias="type")


class Signed(Event, type="mill.Signed.v1"):
    """Writes and reads its JSON in its own way."""

    id: str
    signature: str = ""

    def model_dump_json(self, **more: Any) -> str:
        return json.dumps({**json.loads(super().model_dump_json(**more)), "signature": "signed"})


class Sealed(Event, type="mill.Sealed.v1"):
    id: str

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **more: Any) -> Sealed:
        raise ValueError("the seal is broken")


class Rounded(Event, type="mill.Rounded.v1"):
    id: str
    weight: float = 1.26

    @field_serializer("weight")
    def written(self, weight: float) -> float:
        return round(weight, 1)


class Doubled(Event, type="mill.Doubled.v1"):
    """What is read is not what was written: its validator is no projection."""

    id: str
    weight: int = 0

    @field_validator("weight")
    @classmethod
    def doubled(cls, weight: int) -> int:
        if weight > 5:
            raise ValueError("too heavy")
        return weight * 2


class Milling(Saga):
    key = "id"
    start = Start(Asked, by="desk", undone=NOTHING)
    mill = Step(
        by="mill",
        on=Asked,
        done=OneOf(Made, Aliased, Signed, Sealed, Rounded, Doubled),
        pivot=True,
    )


mill = Service("mill")


@mill.performs(Milling.mill)
async def made(
    asked: Asked, context: StepContext
) -> Made | Aliased | Signed | Sealed | Rounded | Doubled:
    raise AssertionError


@pytest.fixture
def assignment() -> Assignment:
    return Assignments(mill)[Milling, "mill", Direction.FORWARD]


@pytest.mark.parametrize(
    "event",
    [
        Made(id="1"),
        Made(id="1", note="\u2028\x7fé🙂", weight=1e300, parts=()),
        Signed(id="1"),
        Rounded(id="1"),
        Doubled(id="1", weight=2),
    ],
)
def test_what_is_kept_is_what_the_event_says_of_itself(
    assignment: Assignment, event: Event
) -> None:
    assert encoded(assignment, "1", event) == (event.event_type, event.model_dump_json().encode())


def wrong() -> Iterator[tuple[object, str]]:
    nobody = "returned an event that nobody can read"
    yield Made(id="1", weight=math.nan), f"{nobody}.* weight: "
    yield Made(id="1", parts=(Part(weight=math.inf),)), f"{nobody}.* parts.0.weight: "
    yield Made(id="1").model_copy(update={"size": 11}), f"{nobody}.* size: "
    yield Made.model_construct(id="1", size=12), f"{nobody}.* size: "
    yield Aliased(id="1", type="x"), f"{nobody}.* type: Field required"
    yield Sealed(id="1"), f"{nobody}.* the seal is broken"
    yield Doubled.model_construct(id="1", weight=6), f"{nobody}.* too heavy"
    yield (
        Made(id="2"),
        "returned mill.Made.v1 with id='2' in the saga '1'; hand the saga's own key on",
    )
    yield Signed(id="2"), "returned mill.Signed.v1 with id='2' in the saga '1'"
    yield Made(id="1", note="x" * VALUE_BYTES_MAX), "returned .* at most 900000 fit"
    yield (
        Asked(id="1"),
        "returned desk.Asked.v1; mill may return mill.Made.v1 or mill.Aliased.v1 or",
    )
    yield None, "returned None; mill may return mill.Made.v1"
    yield Made, "returned <class .*Made'>; mill may return mill.Made.v1"


@pytest.mark.parametrize(("returned", "said"), list(wrong()))
def test_what_can_not_be_accepted(assignment: Assignment, returned: object, said: str) -> None:
    with pytest.raises(ContractViolation, match=f"made {said}"):
        encoded(assignment, "1", returned)


def test_the_key_of_a_run_is_that_of_its_saga(assignment: Assignment) -> None:
    assert encoded(assignment, "1~2", Made(id="1"))[0] == Made.event_type
    with pytest.raises(ContractViolation, match="id='1~2' in the saga '1~2'"):
        encoded(assignment, "1~2", Made(id="1~2"))


def test_a_class_of_the_same_name_is_judged_by_the_saga_s_own(assignment: Assignment) -> None:
    class Elsewhere(Event, type="mill.Made.v1"):
        id: str
        size: int

    assert encoded(assignment, "1", Elsewhere(id="1", size=9))[0] == Made.event_type
    with pytest.raises(ContractViolation, match=r"that nobody can read.* size: "):
        encoded(assignment, "1", Elsewhere(id="1", size=11))


def test_an_assignment_that_nobody_has_is_a_missing_key() -> None:
    assert Assignments(mill)[Milling, "mill", Direction.FORWARD].alone == Asked.event_type
    with pytest.raises(KeyError):
        Assignments(Service("mill"))[Milling, "mill", Direction.FORWARD]
