"""What is personal is hidden, wherever in an event it is; where nobody can tell, so is the rest."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, Field

from sagas import Event, Personal
from sagas.operating.payloads import HIDDEN, contracts_of, shown_payload
from tests.operated import Billing, Ordering


class Person(BaseModel):
    name: Personal[str]
    age: int = 0


class Parcel(BaseModel):
    weight: int


class Sent(Event, type="shop.Sent.v1"):
    order_id: str
    email: Personal[str | None] = None
    to: Person | None = None
    others: tuple[Person, ...] = ()
    by_role: dict[str, list[Person]] = Field(default_factory=dict)
    phones: list[Personal[str]] = Field(default_factory=list)
    either: Person | Parcel | None = None
    aliased: Annotated[Personal[str], Field(alias="theirName")] = ""
    note: str = ""


def shown(payload: object, contract: type[BaseModel] | None = Sent) -> object:
    return shown_payload(contract, json.dumps(payload).encode())


def test_fields_and_parts_of_any_depth() -> None:
    person = {"name": "ada", "age": 7}
    hidden = {"name": HIDDEN, "age": 7}
    assert shown(
        {
            "order_id": "o1",
            "email": "ada@example.com",
            "to": person,
            "others": [person, person],
            "by_role": {"payer": [person]},
            "phones": ["1", "2"],
            "theirName": "ada",
            "note": "fragile",
        }
    ) == {
        "order_id": "o1",
        "email": HIDDEN,
        "to": hidden,
        "others": [hidden, hidden],
        "by_role": {"payer": [hidden]},
        "phones": HIDDEN,
        "theirName": HIDDEN,
        "note": "fragile",
    }


def test_of_two_contracts_whatever_either_says() -> None:
    assert "ada" not in str(shown({"order_id": "o1", "either": {"name": "ada"}}))
    assert "ada" not in str(shown({"order_id": "o1", "either": {"weight": 3, "name": "ada"}}))


def test_what_the_contract_does_not_know() -> None:
    assert shown({"order_id": "o1", "nickname": "ada"}) == {"order_id": "o1", "nickname": HIDDEN}
    for odd in (["ada"], "ada", 7, None):
        assert shown(odd) == HIDDEN
    assert "ada" not in str(shown({"order_id": "o1", "to": "ada", "others": "ada"}))


def test_what_has_nothing_personal_is_shown_as_it_is() -> None:
    assert shown({"weight": 3, "more": "x"}, Parcel) == {"weight": 3, "more": "x"}


def test_what_nobody_can_read() -> None:
    assert "hidden" in str(shown_payload(Sent, b"\xff"))
    assert "hidden" in str(shown_payload(None, b'{"name": "ada"}'))
    assert "ada" not in str(shown_payload(None, b'{"name": "ada"}'))


def test_contracts_of_sagas_and_of_the_framework() -> None:
    known = contracts_of(Ordering, Billing)
    assert {"orders.OrderPlaced.v1", "sagas.SagaParked.v1", "sagas.CancelRequested.v1"} <= set(
        known
    )
