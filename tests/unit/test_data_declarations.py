"""What a step says of data, a saga of its ends, an event of persons; and what is refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from sagas import (
    NOTHING,
    DefinitionError,
    Event,
    Guard,
    Locks,
    Personal,
    Reads,
    Saga,
    Start,
    Step,
    Unlocks,
    Wait,
    Writes,
)
from sagas.core.personal import personal_fields
from sagas.core.saga import declared_steps


class Asked(Event, type="shop.Asked.v1"):
    key: str


class Answered(Event, type="shop.Answered.v1"):
    key: str


class Elsewhere(Event, type="shop.Elsewhere.v1"):
    key: str


def declare(data: Any = (), **more: Any) -> type[Saga]:
    body = {
        "key": "key",
        "start": Start(Asked, by="shop", undone=NOTHING),
        "answer": Step(by="shop", on=Asked, done=Answered, undone=NOTHING, data=data),
        **more,
    }
    return type("Asking", (Saga,), body)


def test_data_is_no_part_of_the_definition() -> None:
    said = declare((Writes("stock", guard=Guard.COMMUTATIVE), Locks("order")), ends_with=Answered)
    assert said.definition.fingerprint == declare().definition.fingerprint
    writes, locks = declared_steps(said)["answer"].data
    assert (writes.names, locks.names) == (("stock",), ("order",))


def test_start_and_wait_have_data_too() -> None:
    start = Start(Asked, by="shop", undone=NOTHING, data=Locks("order"))
    wait = Wait(by="shop", on=Asked, done=Answered, data=(Reads("stock"), Unlocks("order")))
    saga = declare(start=start, answer=wait)
    assert [len(step.data) for step in declared_steps(saga).values()] == [1, 2]


def test_a_step_knows_where_it_stands() -> None:
    here = Step(by="shop", on=Asked, done=Answered, undone=NOTHING)
    assert here.place.endswith("test_data_declarations.py:66")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": "stock"}, "data= is 'stock'; expected Reads"),
        ({"data": (Reads("stock"), None)}, "data= is None"),
        ({"ends_with": Elsewhere}, "ends_with names Elsewhere, which no step of the saga emits"),
        ({"for_outsiders": (Answered, "x")}, "for_outsiders is 'x'; expected an event type"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match="can not run") as raised:
        declare(**given)
    assert said in str(raised.value)
    (problem,) = raised.value.problems
    assert (problem.code, str(problem)) == ("S0", f"{problem.text} [S0]")


@pytest.mark.parametrize("word", [Reads, Writes, Locks, Unlocks])
def test_data_has_names(word: Any) -> None:
    for names in ((), ("",), (1,)):
        with pytest.raises(DefinitionError, match="names no data"):
            word(*names)


def test_a_guard_is_one_of_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match=r"expected one of Guard\.COMMUTATIVE"):
        Writes("stock", guard="hope")  # type: ignore[arg-type]


class Address(BaseModel):
    street: Personal[str]
    country: str


class Registered(Event, type="shop.Registered.v1"):
    key: str
    email: Personal[str]
    phone: Personal[str] | None = None
    home: Address
    others: tuple[Address, ...] = ()


def test_personal_fields_are_found_however_deep() -> None:
    assert list(personal_fields(Registered)) == ["email", "phone", "home.street", "others.street"]
    assert list(personal_fields(Asked)) == []


def test_what_is_personal_is_not_shown_and_is_in_the_payload() -> None:
    home = Address(street="Side Street 1", country="FR")
    event = Registered(key="k", email="ada@example.org", phone="123", home=home)
    assert (repr(event), str(event)) == ("Registered(key='k')", "key='k'")
    assert event.model_dump()["email"] == "ada@example.org"


def test_a_model_may_hold_itself() -> None:
    class Node(Event, type="shop.Node.v1"):
        key: str
        name: Personal[str]
        above: Node | None = None

    Node.model_rebuild(_types_namespace={"Node": Node})
    assert list(personal_fields(Node)) == ["name"]
