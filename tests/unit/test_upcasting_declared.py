"""What an event declares of its former versions, and a saga of what it has retired."""

from __future__ import annotations

from typing import Any

import pytest

from sagas import (
    NOTHING,
    ContractViolation,
    DefinitionError,
    Event,
    OneOf,
    Saga,
    Start,
    Step,
    upcasts,
)
from sagas.change.finishing import finishing
from sagas.change.kept import decode_definition, encode_definition
from sagas.core.definition import Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.wire.stored import decode_instance, encode_instance
from tests.parcels import (
    Label,
    ParcelPacked,
    ParcelPackedV1,
    ParcelUnpacked,
    ParcelWeighed,
    ParcelWeighedV1,
    ParcelWeighedV2,
    parcel_saga,
)

FIRST = parcel_saga(ParcelPackedV1, ParcelWeighedV1)
SECOND = parcel_saga(ParcelPackedV1, ParcelWeighedV2)
LAST = parcel_saga(ParcelPacked, ParcelWeighed)


def test_a_definition_knows_its_former_versions_and_its_fingerprint_with_them() -> None:
    assert dict(LAST.definition.upcasts) == {
        "shop.ParcelPacked.v1": "shop.ParcelPacked.v2",
        "depot.ParcelWeighed.v2": "depot.ParcelWeighed.v3",
        "depot.ParcelWeighed.v1": "depot.ParcelWeighed.v3",
    }
    assert FIRST.definition.upcasts == ()

    class Plain(Event, type="depot.ParcelWeighed.v2"):
        parcel_id: str
        grams: int

    without = parcel_saga(ParcelPackedV1, Plain).definition
    assert without.fingerprint != SECOND.definition.fingerprint
    assert decode_definition(encode_definition(LAST.definition)) == LAST.definition
    assert b"upcasts" not in encode_definition(FIRST.definition)


def test_without_the_function_sagas_that_have_recorded_the_old_version_can_not_finish() -> None:
    class Plain(Event, type="depot.ParcelWeighed.v2"):
        parcel_id: str
        grams: int

    outlook = finishing(FIRST.definition, parcel_saga(ParcelPackedV1, Plain).definition)
    assert not outlook.can_finish
    assert finishing(FIRST.definition, SECOND.definition).can_finish
    assert finishing(SECOND.definition, LAST.definition).can_finish
    assert not finishing(LAST.definition, FIRST.definition).can_finish


def declare(body: dict[str, Any], type_: str | None = "depot.ParcelWeighed.v2") -> Any:
    namespace = {"__annotations__": {"parcel_id": str}, "__module__": __name__, **body}
    made: Any = type(Event)
    return made("Weighed", (Event,), namespace, type=type_)


def plain(old: Any) -> Any:
    return old


class Elsewhere(Event, type="shop.ParcelWeighed.v1"):
    parcel_id: str


class Nameless(Event):
    parcel_id: str


def marked(former: Any) -> Any:
    def function(old: Any) -> Any:
        return old

    return upcasts(former)(function)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"make": marked(ParcelWeighedV1)}, "write @staticmethod above @upcasts"),
        ({"make": staticmethod(marked(ParcelWeighedV2))}, "give it the next version"),
        ({"make": staticmethod(marked(Elsewhere))}, "another service publishes"),
        ({"make": staticmethod(marked(Nameless))}, "no event with a name on the wire"),
        ({"make": staticmethod(marked("v1"))}, "no event with a name on the wire"),
        (
            {
                "make": staticmethod(marked(ParcelWeighedV1)),
                "other": staticmethod(marked(ParcelWeighedV1)),
            },
            "there is another function for ParcelWeighedV1",
        ),
    ],
)
def test_what_can_not_be_meant_is_told_at_the_class(body: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        declare(body)


def test_an_abstract_event_upcasts_nothing() -> None:
    with pytest.raises(DefinitionError, match="has no name on the wire"):
        declare({"make": staticmethod(marked(ParcelWeighedV1))}, type_=None)


def test_both_orders_of_the_decorators_are_understood() -> None:
    event = declare({"make": upcasts(ParcelWeighedV1)(staticmethod(plain))})
    assert [one.former for one in event.event_upcasters] == [ParcelWeighedV1]


def test_a_former_version_is_nothing_else_in_the_saga() -> None:
    with pytest.raises(DefinitionError, match="name ParcelWeighedV2 alone"):

        class Both(Saga):
            key = "parcel_id"
            start = Start(ParcelPackedV1, by="shop", undone=NOTHING)
            weigh = Step(
                by="depot",
                on=ParcelPackedV1,
                done=OneOf(ParcelWeighedV1, ParcelWeighedV2),
                undone=NOTHING,
            )


def test_of_a_former_version_only_one_event_can_be_made() -> None:
    class Other(Event, type="depot.ParcelMeasured.v1"):
        parcel_id: str

        @staticmethod
        @upcasts(ParcelWeighedV1)
        def measured(old: ParcelWeighedV1) -> Other:
            return Other(parcel_id=old.parcel_id)

    with pytest.raises(DefinitionError, match="only one can be made of it"):

        class Two(Saga):
            key = "parcel_id"
            start = Start(ParcelPackedV1, by="shop", undone=NOTHING)
            weigh = Step(
                by="depot",
                on=ParcelPackedV1,
                done=OneOf(Other, ParcelWeighedV2),
                undone=NOTHING,
            )


# --- retired events -------------------------------------------------------------------------------------


class Sorting(Saga):
    name = "parcel"
    key = "parcel_id"
    start = Start(ParcelPackedV1, by="shop", undone=ParcelUnpacked)
    weigh = Step(by="depot", on=ParcelPackedV1, done=ParcelWeighedV1, undone=NOTHING)
    label = Step(by="printer", on=ParcelWeighedV1, done=Label, undone=NOTHING)


def retiring(retired: Any) -> Any:
    body = {
        "name": "parcel",
        "key": "parcel_id",
        "retired": retired,
        "start": Start(ParcelPackedV1, by="shop", undone=ParcelUnpacked),
        "label": Step(by="printer", on=ParcelPackedV1, done=Label, undone=NOTHING),
    }
    return type("Unsorted", (Saga,), body)


@pytest.mark.parametrize(
    ("retired", "says"),
    [
        ("depot.ParcelWeighed.v1", "write a tuple of names"),
        (("ParcelWeighed",), "expected a name on the wire"),
        (("sagas.StepFailed.v1",), "the framework's own"),
        (("printer.LabelPrinted.v1",), "which the saga still has"),
    ],
)
def test_what_can_not_be_retired_is_told(retired: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        retiring(retired)


def test_a_row_without_its_retired_events_is_what_a_rebuild_would_give() -> None:
    definition = retiring(("depot.ParcelWeighed.v1",)).definition
    old = Sorting.definition
    facts = [
        Fact("i1", "shop.ParcelPacked.v1", "start", Role.DONE, None, published=True, at_ms=10),
        Fact("i2", "depot.ParcelWeighed.v1", "weigh", Role.DONE, "i1", at_ms=20),
        Fact("i3", "sagas.SagaCancelled.v1", "start", Role.CANCELLED, "i2", at_ms=30),
    ]
    instance = Instance(old, "p-1")
    for fact in facts:
        instance = evolve(instance, fact)
    found = decode_instance(definition, "p-1", encode_instance(instance))
    assert list(found.facts.values()) == [facts[0], facts[2]]
    assert found.turned_by == "sagas.SagaCancelled.v1"
    again = decode_instance(definition, "p-1", encode_instance(found))
    assert again == found
    with pytest.raises(ContractViolation, match="does not know"):
        decode_instance(retiring(()).definition, "p-1", encode_instance(instance))


def test_definitions_that_retire_differ_and_are_kept() -> None:
    with_it = retiring(("depot.ParcelWeighed.v1",)).definition
    assert with_it.fingerprint != retiring(()).definition.fingerprint
    assert decode_definition(encode_definition(with_it)) == with_it
