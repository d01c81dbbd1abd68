"""What a JSON definition says for the checks alone: data, locks, and what is personal."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from sagas import Event, Guard, Locks, Personal, Reads, Saga, Start, Step, Unlocks, Wait, Writes
from sagas.core.personal import personal_fields
from sagas.core.saga import declared_steps
from sagas.language.exporting import declaration_of
from sagas.language.payloads import unreadable
from sagas.language.python import module_of
from sagas.language.reading import read
from sagas.language.writing import json_of, written
from tests.unit.generated import imported, saga_in
from tests.unit.test_definition_problems import changed, found_in


class Address(BaseModel, frozen=True):
    street: Personal[str]
    country: str


class Asked(Event, type="shop.Asked.v1"):
    key: str
    email: Personal[str]
    phone: Personal[str | None] = None
    birthday: Personal[str] | None = None
    name: Personal[Annotated[str, Field(max_length=80)]] = "somebody"
    nicknames: tuple[Personal[str], ...] = ()
    address: Address


class Back(Event, type="shop.Back.v1"):
    key: str


class Taken(Event, type="stock.Taken.v1"):
    key: str


class Given(Event, type="stock.Given.v1"):
    key: str


class Answered(Event, type="shop.Answered.v1"):
    key: str


class Asking(Saga):
    key = "key"
    ends_with = Answered
    start = Start(Asked, by="shop", undone=Back, data=Locks("order"))
    take = Step(
        by="stock",
        on=Asked,
        done=Taken,
        undone=Given,
        data=(Writes("pieces", guard=Guard.COMMUTATIVE), Reads("shelf", "price", own=True)),
    )
    answer = Wait(by="shop", on=Taken, done=Answered, data=Unlocks("order"))


def test_what_is_said_of_data_and_of_persons_goes_round() -> None:
    declaration = declaration_of(Asking)
    document: Any = json_of(declaration)
    assert document["start"]["data"] == {"locks": "order"}
    assert document["tasks"]["take"]["data"] == [
        {"writes": "pieces", "guard": "commutative"},
        {"reads": ["shelf", "price"], "own": True},
    ]
    assert document["tasks"]["answer"]["data"] == {"unlocks": "order"}
    assert document["ends_with"] == "Answered"
    assert document["events"]["Asked"] == {
        "email": {"type": "string", "personal": True},
        "phone": {"type": "string", "personal": True, "optional": True},
        "birthday": {"type": "string", "personal": True, "optional": True},
        "name": {"type": "string", "maxLength": 80, "personal": True, "default": "somebody"},
        "nicknames": {"type": [{"type": "string", "personal": True}], "default": []},
        "address": "Address",
    }
    assert document["records"]["Address"]["street"] == {"type": "string", "personal": True}
    assert read(written(declaration)) == declaration


def test_the_generated_module_says_it_too() -> None:
    with imported(module_of(declaration_of(Asking))) as module:
        made = saga_in(module)
        assert declaration_of(made) == declaration_of(Asking)
        for name, step in declared_steps(Asking).items():
            again = declared_steps(made)[name].data
            assert list(map(repr, again)) == list(map(repr, step.data))
            assert [vars(one) for one in again] == [vars(one) for one in step.data]
        (asked,) = (one for type_, one in made.events.items() if type_ == "shop.Asked.v1")
        assert list(personal_fields(asked)) == list(personal_fields(Asked))
        shown = repr(
            asked.model_validate(
                {"key": "k", "email": "a@b.c", "address": {"street": "s", "country": "c"}}
            )
        )
        assert "a@b.c" not in shown


def test_a_mark_changes_no_payload_and_no_fingerprint() -> None:
    declaration = declaration_of(Asking)
    plain = read(
        written(declaration)
        .replace(', "personal": true', "")
        .replace('"data": {"locks": "order"}', '"state": "A"')
    )
    assert unreadable(declaration, plain) == unreadable(plain, declaration) == []
    assert all(not kind.personal for kind in plain.events["shop.Asked.v1"].values())


@pytest.mark.parametrize(
    ("data", "pointer", "words"),
    [
        ({}, "", "expected one of reads, writes, locks, unlocks, and found none"),
        ([{"reads": "cars", "locks": "car"}], "/0", "and found reads and locks"),
        ({"locks": "car", "own": True}, "", "locks needs no guard and no own"),
        ({"reads": []}, "/reads", "an empty list"),
        ({"reads": [""]}, "/reads/0", "at least 1 character"),
        ({"writes": "cars", "gaurd": "reread"}, "/gaurd", "did you mean guard?"),
        ([{"writes": "cars", "guard": "luck"}], "/0/guard", "'commutative'"),
        ("cars", "", "expected an object in {}, or a list of them"),
        ([], "", "an empty list"),
    ],
)
def test_what_is_wrong_with_data_is_told_at_its_place(data: Any, pointer: str, words: str) -> None:
    found = found_in(changed("tasks", "book_car", "data", to=data))
    assert [one.pointer for one in found] == [f"/tasks/book_car/data{pointer}"], found
    assert words in found[0].text


def test_what_is_wrong_with_a_personal_field() -> None:
    (found,) = found_in(
        changed("events", to={"CarBooked": {"x": {"type": "string", "personal": "yes"}}})
    )
    assert found.text.startswith("personal is 'yes'; write true")
