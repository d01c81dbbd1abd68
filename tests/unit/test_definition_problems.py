"""What is wrong with a JSON definition is said at its place, all of it at once, and never by a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.language.places import Problem, Unreadable
from sagas.language.reading import read
from sagas.language.schema import schema
from sagas.language.writing import written

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "order_fulfilment.json").read_text()

TRIP = """\
{
  "saga": "trip",
  "key": "trip_id",
  "start": {"by": "travel", "event": "TripWanted", "undone": "nothing"},
  "tasks": {
    "book_hotel": {"by": "hotels", "depends_on": "start", "done": "HotelBooked", "undone": "HotelFreed"},
    "book_car": {"by": "cars", "depends_on": "book_hotel", "done": "CarBooked", "undone": "nothing"}
  }
}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(Unreadable) as raised:
        read(text, "trip.json")
    return str(raised.value).splitlines()


def changed(*places: str | int, to: Any) -> str:
    """The trip with something else at a place; ``...`` takes it away."""
    document = json.loads(TRIP)
    at = document
    for place in places[:-1]:
        at = at[place]
    if to is ...:
        del at[places[-1]]
    else:
        at[places[-1]] = to
    return json.dumps(document)


def test_the_trip_is_right() -> None:
    declaration = read(TRIP)
    assert written(declaration) == written(read(written(declaration)))
    assert [step.name for step in declaration.definition.steps] == [
        "start",
        "book_hotel",
        "book_car",
    ]
    assert declaration.definition.steps[2].triggers == ("hotels.HotelBooked.v1",)


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        TRIP.replace('"cars"', '"Cars"')
        .replace('"trip_id"', '"class"')
        .replace("HotelFreed", "freed")
    )
    assert problems(text) == [
        "trip.json:3:10 /key: 'class' means something else in every event; give it another name.",
        """trip.json:6:92 /tasks/book_hotel/undone: 'freed' is not the name of an event, such as \
StockReleased, or "nothing".""",
        """trip.json:7:24 /tasks/book_car/by: 'Cars' is not the name of a service, in lower-case words \
joined by hyphens: inventory.""",
    ]


TASK = {"by": "cars", "depends_on": "book_hotel", "done": "VanBooked", "undone": "nothing"}


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        ("[]", "", "expected an object"),
        (changed("key", to=...), "", "key is missing"),
        (changed("tasks", to={}), "/tasks", "at least 1"),
        (changed("taks", to={}), "/taks", "did you mean tasks?"),
        (changed("tasks", "book_car", "timout", to="3s"), "/tasks/book_car/timout", "timeout?"),
        (changed("start", "of", to="3s"), "/start/of", "there are by, event, undone"),
        (changed("deadline", to="2 hours"), "/deadline", "no span of time"),
        (changed("deadline", to="99999999d"), "/deadline", "more than a hundred years"),
        (changed("deadline", to=3), "/deadline", "this is 3"),
        (changed("tasks", "book_car", "pivot", to="yes"), "/tasks/book_car/pivot", "boolean"),
        (changed("tasks", "book_car", "done", to=[]), "/tasks/book_car/done", "an empty list"),
        (changed("tasks", "book_car", "done", to=["A", "A"]), "/tasks/book_car/done", "named once"),
        (changed("tasks", "book_car", "done", to=5), "/tasks/book_car/done", "a text, or a list"),
        (
            changed("tasks", "book_car", "done", to=[f"A{n}" for n in range(7)]),
            "/tasks/book_car/done",
            "at most 6",
        ),
        (changed("tasks", "Book", to=TASK), "/tasks/Book", "not the name of a task"),
        (changed("tasks", "deadline", to=TASK), "/tasks/deadline", "means something else"),
        (
            changed("tasks", "book_car", "retry", to={"attempts": 0}),
            "/tasks/book_car/retry/attempts",
            "1",
        ),
        (
            changed("tasks", "book_car", "retry", to={"atempts": 3}),
            "/tasks/book_car/retry/atempts",
            "attempts?",
        ),
        (
            changed("tasks", "book_car", "retry", to={"on": "Nope"}),
            "/tasks/book_car/retry/on",
            "exception",
        ),
        (
            changed("tasks", "book_car", "depends_on", to="book_hotl"),
            "/tasks/book_car/depends_on",
            "did you mean book_hotel?",
        ),
        (
            changed("tasks", "book_car", "depends_on", to="HotelFreed"),
            "/tasks/book_car/depends_on",
            "turns the saga back",
        ),
        (
            changed("tasks", "book_car", "depends_on", to=...),
            "/tasks/book_car",
            "depends on nothing",
        ),
        (
            changed("tasks", "book_car", "depends_on_any_of", to="start"),
            "/tasks/book_car/depends_on_any_of",
            "keep one of the two",
        ),
        (
            changed("tasks", "book_car", "depends_on", to="book_car"),
            "/tasks/book_car/depends_on",
            "a circle: book_car after book_car",
        ),
        (
            changed("tasks", "book_hotel", "depends_on", to="book_car"),
            "/tasks/book_hotel/depends_on",
            "a circle: book_hotel after book_car after book_hotel",
        ),
        (
            changed("tasks", "book_hotel", "done", to=["HotelBooked", "Flat"]),
            "/tasks/book_car/depends_on",
            "can end in 2 ways; say which of HotelBooked, Flat",
        ),
        (
            changed("tasks", "book_car", "done", to="hotels.CarBooked"),
            "/tasks/book_car/done",
            "another service",
        ),
        (
            changed("tasks", "van", to=TASK | {"done": "CarBooked"}),
            "/tasks/van/done",
            "an outcome of book_car already",
        ),
        (
            changed("tasks", "van", to=TASK | {"undone": "Gone", "waits": True}),
            "/tasks/van/undone",
            "a task that waits does nothing",
        ),
        (
            changed("tasks", "book_car", "undone", to=...),
            "/tasks/book_car",
            "may have to be undone",
        ),
        (
            changed("tasks", "book_car", "if_undo_fails", to="continue"),
            "/tasks/book_car/if_undo_fails",
            "never undone",
        ),
        (changed("start", "undone", to=...), "/start", "nothing is said of its undo"),
        (
            changed("tasks", "book_car", "pivot", to=True).replace(
                '"HotelFreed"', '"HotelFreed", "pivot": true'
            ),
            "/tasks/book_hotel",
            "the pivot is the point of no return",
        ),
        (
            changed("cancelled_by", to="TripCancelled"),
            "/cancelled_by",
            "such as orders.TripCancelled",
        ),
        (changed("events", to={"CarBookd": {}}), "/events/CarBookd", "did you mean CarBooked?"),
        (
            changed("events", to={"CarBooked": {"trip_id": "string"}}),
            "/events/CarBooked/trip_id",
            "which every event has",
        ),
        (
            changed("events", to={"CarBooked": {"copy": "string"}}),
            "/events/CarBooked/copy",
            "means something else",
        ),
        (
            changed("events", to={"CarBooked": {"x": "text"}}),
            "/events/CarBooked/x",
            "there are string, integer",
        ),
        (
            changed("events", to={"CarBooked": {"x": "Van"}}),
            "/events/CarBooked/x",
            "there is no record Van",
        ),
        (
            changed("events", to={"CarBooked": {"x": []}}),
            "/events/CarBooked/x",
            "no list of one type",
        ),
        (
            changed("events", to={"CarBooked": {"x": ["string?"]}}),
            "/events/CarBooked/x",
            "is there, and has no default",
        ),
        (
            changed("events", to={"CarBooked": {"x": {"type": "date", "minimum": 1}}}),
            "/events/CarBooked/x",
            "it takes no limits",
        ),
        (
            changed("events", to={"CarBooked": {"x": {"type": "string", "pattern": "("}}}),
            "/events/CarBooked/x",
            "no regular expression",
        ),
        (
            changed("events", to={"CarBooked": {"x": {"type": "integer", "default": "1"}}}),
            "/events/CarBooked/x",
            "does not fit integer",
        ),
        (
            changed("events", to={"CarBooked": {}, "cars.CarBooked": {}}),
            "/events/cars.CarBooked",
            "the same event",
        ),
        (changed("records", to={"Van": {}}), "/records/Van", "no event holds Van"),
    ],
)
def test_every_problem_has_its_place_and_its_words(text: str, pointer: str, words: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(text)
    told = [problem for problem in raised.value.found if words in problem.text]
    assert [problem.pointer for problem in told] == [pointer], str(raised.value)


def test_a_name_that_stands_twice_is_told_with_the_first_one() -> None:
    text = TRIP.replace('"book_car"', '"book_hotel"', 1)
    assert problems(text)[0] == (
        "trip.json:7:5 /tasks/book_hotel: 'book_hotel' stands twice; a name is used once, and the first "
        "one is at 6:5."
    )


def test_what_comes_after_a_circle_can_not_be_reached_and_each_circle_is_told() -> None:
    document = json.loads(TRIP)
    for name, on in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "d"), ("f", "e")):
        document["tasks"][name] = {
            "by": "s",
            "depends_on": on,
            "done": name.upper(),
            "undone": "nothing",
        }
    told = "\n".join(problems(json.dumps(document)))
    assert told.count("a circle") == 2
    assert "/tasks/e: it can not be reached: it comes after d, which can never begin" in told
    assert "/tasks/f: it can not be reached: it comes after e, which can never begin" in told


def test_tasks_may_stand_in_any_order_and_mean_the_same() -> None:
    document = json.loads(GUIDE)
    there = read(GUIDE)
    document["tasks"] = dict(reversed(document["tasks"].items()))
    found = read(json.dumps(document))
    assert found.definition.fingerprint == there.definition.fingerprint
    names = [step.name for step in found.definition.steps]
    assert (
        names.index("reserve_stock")
        < names.index("authorize_payment")
        < names.index("create_shipment")
    )


def test_an_event_that_a_timer_makes_needs_defaults() -> None:
    text = GUIDE.replace(
        '"PaymentDeclined": {', '"ReceiptAssumed": {"who": "string"},\n "PaymentDeclined": {'
    )
    (told,) = problems(text)
    assert "/events/ReceiptAssumed/who: a timer may make ReceiptAssumed" in told


def test_events_of_one_name_are_told_apart_by_their_services() -> None:
    document = json.loads(TRIP)
    document["tasks"]["book_car"]["done"] = "HotelBooked"
    document["tasks"]["pay"] = {
        "by": "banks",
        "depends_on": ["hotels.HotelBooked", "cars.HotelBooked"],
        "done": "Paid.v2",
        "undone": "nothing",
    }
    document["tasks"]["tell"] = {
        "by": "banks",
        "depends_on": "Paid",
        "done": "Told",
        "undone": "nothing",
    }
    declaration = read(json.dumps(document))
    pay, tell = declaration.definition.steps[3:]
    assert pay.triggers == ("hotels.HotelBooked.v1", "cars.HotelBooked.v1")
    assert tell.triggers == ("banks.Paid.v2",)
    assert read(written(declaration)) == declaration
    document["tasks"]["pay"]["depends_on"] = "HotelBooked"
    assert (
        "hotels.HotelBooked.v1 or cars.HotelBooked.v1; write the whole name"
        in problems(json.dumps(document))[0]
    )


_floats = st.floats(allow_nan=False, allow_infinity=False)
_documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | _floats
    | st.text(max_size=8)
    | st.sampled_from(["start", "string", "nothing", "book_hotel", "HotelBooked", "2h"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*json.loads(TRIP), "by", "done", "depends_on", "event", "type", "undone", "x", ""]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(_documents, st.sampled_from(["tasks", "start", "events", "records", "key", "cancelled_by"]))
def test_whatever_stands_there_is_a_definition_or_has_its_problems(
    value: object, place: str
) -> None:
    for text in (
        json.dumps(value),
        changed(place, to=value),
        changed("tasks", "book_car", to=value),
    ):
        places = [(problem.line, problem.column) for problem in found_in(text)]
        assert all(line >= 1 and column >= 1 for line, column in places)


def found_in(text: str) -> list[Problem]:
    try:
        read(text)
    except Unreadable as unreadable:
        return list(unreadable.found)
    return []


def test_the_schema_that_is_kept_is_current() -> None:
    """`sagas generate --schema > docs/reference/definition.schema.json` makes it so."""
    kept = json.loads((ROOT / "docs" / "reference" / "definition.schema.json").read_text())
    assert kept == schema()
