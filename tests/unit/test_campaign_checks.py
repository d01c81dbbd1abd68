"""The campaign's checks: a world that is right passes, and each thing that may be wrong is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from campaign.checks import endings, events, journals, letters, table
from campaign.checks.journals import Entry
from campaign.poison import Poison, poison
from campaign.records import Place, Seen
from campaign.tail import Tail

from tests.architecture import shape

ROOT = Path(__file__).resolve().parents[2]
PLACED = "orders.OrderPlaced.v1"
RESERVED = "inventory.StockReserved.v1"
CONFIRMED = "orders.ReceiptConfirmed.v1"


def event(
    offset: int, id_: str, type_: str, *, value: bytes = b"{}", saga_id: str = "o-1", **more: str
) -> Seen:
    headers = {"ce_id": id_, "ce_type": type_, "ce_sagaid": saga_id, **more}
    publisher = type_.split(".", maxsplit=1)[0]
    topic = "campaign.order-fulfilment.control"
    if publisher != "sagas":
        topic = f"campaign.{publisher}.events"
    return Seen(
        Place(topic, 0, offset),
        saga_id.encode(),
        value,
        tuple((name, text.encode()) for name, text in headers.items()),
        time_ms=0,
    )


def letter(about: Seen, said: dict[str, str]) -> Seen:
    place = about.place
    headers = {
        "dlq-topic": place.topic,
        "dlq-partition": str(place.partition),
        "dlq-offset": str(place.offset),
        **said,
    }
    added = tuple((name, text.encode()) for name, text in headers.items())
    dead = Place("campaign.inventory.dlq", 0, 0)
    return replace(about, place=dead, headers=(*about.headers, *added))


GOOD = (
    event(0, "e1", PLACED),
    event(0, "e2", RESERVED, ce_causationid="e1"),
    event(1, "e3", CONFIRMED, ce_sagastatus="COMPLETED"),
)


def of_events(*found: Seen, accepted: tuple[str, ...] = ("o-1",), lost: bool = False) -> list[str]:
    return list(events.findings(found, known=found, accepted=accepted, table_lost=lost))


def test_topics_that_are_right_pass_duplicates_included() -> None:
    copy = replace(GOOD[1], place=Place(GOOD[1].place.topic, 0, 9))
    assert of_events(*GOOD, copy) == []
    assert events.duplicates([*GOOD, copy]) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (event(9, "e2", RESERVED, value=b'{"x":1}', ce_causationid="e1"), "another content"),
        (event(9, "e2", RESERVED, ce_causationid="e1", ce_sagaseq="3"), "other headers"),
        (event(9, "e4", RESERVED, ce_causationid="nowhere"), "on no topic"),
        (event(9, "e4", PLACED, saga_id="o-2"), "no customer knows"),
        (replace(event(9, "e4", RESERVED), key=b"o-7"), "has the key"),
    ],
)
def test_topics_that_contradict_themselves_are_seen(wrong: Seen, words: str) -> None:
    found = of_events(*GOOD, wrong)
    assert len(found) == 1
    assert words in found[0]


def test_an_event_is_always_on_the_same_topic_whoever_tells_it() -> None:
    parked = event(9, "e8", "sagas.SagaParked.v1", ce_causationid="e1")
    again = replace(parked, place=parked.place._replace(offset=10))
    assert of_events(*GOOD, parked, again) == []
    assert of_events(*GOOD, parked, replace(again, value=b"[]")) != []
    for one in (parked, GOOD[1]):
        elsewhere = replace(one, place=Place("campaign.payments.events", 0, 9))
        assert of_events(*GOOD, parked, elsewhere) != []


def test_on_a_control_topic_an_event_is_told_from_what_only_asks_by_its_version() -> None:
    decided = event(0, "e5", "sagas.StepTimedOut.v1", ce_sagaseq="4")
    asked = event(1, "e6", "sagas.TimerFired.v1")
    dead = letter(GOOD[0], {"dlq-reason": "no"})
    assert events.events_of([*GOOD, asked, decided, dead]) == [*GOOD, decided]


def test_an_accepted_order_that_is_on_no_topic_is_seen() -> None:
    assert of_events(*GOOD, accepted=("o-1", "o-2")) == [
        "The order o-2 was accepted, but is on no topic."
    ]


def test_what_is_decided_again_after_a_loss_may_say_when_but_not_what() -> None:
    again = event(9, "e2", RESERVED, ce_causationid="e3", ce_sagagen="2")
    assert of_events(*GOOD, again, lost=True) == []
    assert of_events(*GOOD, again) != []
    assert of_events(*GOOD, replace(again, value=b"[]"), lost=True) != []


def statuses(*told: tuple[int, int, str]) -> dict[str, Sequence[endings.Told]]:
    return endings.told_of(
        event(at, f"s{at}", RESERVED, ce_sagagen=str(gen), ce_sagaseq=str(seq), ce_sagastatus=said)
        for at, (gen, seq, said) in enumerate(told)
    )


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize(
    "told",
    [
        [(1, 4, "COMPLETED"), (1, 5, "COMPENSATED")],
        [(1, 4, "COMPLETED"), (1, 4, "COMPENSATED")],
        [(1, 4, "COMPLETED"), (1, 5, "RUNNING")],
        [(1, 4, "COMPLETED"), (1, 5, "RUNNING"), (2, 6, "COMPENSATED")],
    ],
)
def test_an_end_that_is_left_with_no_later_generation_is_seen(
    told: list[tuple[int, int, str]], *, lost: bool
) -> None:
    assert list(endings.findings(statuses(*told), table_lost=lost)) != []


def test_an_end_that_a_loss_took_back_is_listed_and_another_holds() -> None:
    told = statuses((2, 7, "COMPENSATED"), (1, 4, "COMPLETED"), (2, 6, "RUNNING"))
    assert list(endings.findings(told, table_lost=True)) == []
    assert list(endings.findings(told, table_lost=False)) != []
    assert endings.left(told) == [
        (
            "o-1 was told to have ended COMPLETED (generation 1, number 4), then to be RUNNING "
            "(generation 2, number 6); what holds is COMPENSATED (generation 2, number 7)."
        )
    ]
    assert endings.endings(told) == {"o-1": "COMPENSATED"}


def test_a_saga_that_ends_once_leaves_nothing() -> None:
    told = statuses((1, 4, "RUNNING"), (1, 9, "COMPLETED"), (2, 10, "COMPLETED"))
    assert list(endings.findings(told, table_lost=False)) == []
    assert endings.left(told) == []


def test_what_sagas_verify_finds_is_a_finding() -> None:
    difference = {"saga_id": "o-1", "kind": "state differs", "table": "RUNNING", "topics": "x"}
    found = list(table.differences({"instances": 1, "differences": [difference]}))
    assert len(found) == 1
    assert "o-1: state differs" in found[0]
    assert list(table.differences({"instances": 1, "differences": []})) == []


def test_an_answer_from_outside_may_be_told_again_with_its_status() -> None:
    assert of_events(*GOOD, event(9, "e3", CONFIRMED, ce_sagaseq="7")) == []


def one_poison(name: str) -> Poison:
    return next(one for one in poison("run", "o-1") if one.name == name)


def test_letters_that_are_right_pass() -> None:
    bad, real = event(5, "e5", PLACED), GOOD[1]
    records = [
        *(*GOOD, bad),
        letter(bad, {"dlq-reason": "no"}),
        letter(bad, {"dlq-resolved": "discarded"}),
        letter(real, {"dlq-reason": "no"}),
        letter(real, {"dlq-resolved": "replayed"}),
    ]
    assert list(letters.findings(records, {bad.place: one_poison("broken JSON")})) == []


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([event(5, "e5", PLACED)], "no dead letter of anybody"),
        ([letter(GOOD[1], {"dlq-reason": "no"})], "is not {'replayed'}"),
        (
            [
                replace(letter(GOOD[1], {"dlq-reason": "no"}), value=b"other"),
                letter(GOOD[1], {"dlq-resolved": "replayed"}),
            ],
            "not the record as it was",
        ),
        ([letter(event(77, "e7", PLACED), {"dlq-reason": "no"})], "no such record"),
    ],
)
def test_letters_that_are_wrong_are_seen(records: list[Seen], words: str) -> None:
    known = {event(5, "e5", PLACED).place: one_poison("broken JSON")}
    expected = known if records[0].place in known else {}
    assert words in " ".join(letters.findings([*GOOD, *records], expected))


def test_what_is_nobodys_business_must_be_no_letter() -> None:
    passed = event(5, "e5", PLACED)
    records = [*GOOD, passed, letter(passed, {"dlq-reason": "no"})]
    found = letters.findings(records, {passed.place: one_poison("another saga")})
    assert "nobody's business" in " ".join(found)


def entry(type_: str | None = RESERVED, **changed: Any) -> Entry:
    made = Entry("o-1", "reserve_stock", "forward", 0, "outcome", type_, b"{}")
    return made._replace(**changed)


def test_journals_that_agree_with_the_topics_pass() -> None:
    assert list(journals.findings([entry()], GOOD)) == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "no such effect is committed"),
        ([entry(payload=b"[]")], "otherwise than it is committed"),
        ([entry(), entry("inventory.StockUnavailable.v1", saga_id="o-2")], "never told"),
        ([entry(), entry(None, saga_id="o-3", kind="claim")], "unfinished claim"),
    ],
)
def test_journals_that_differ_are_seen(entries: list[Entry], words: str) -> None:
    assert words in " ".join(journals.findings(entries, GOOD))


def listed(**changed: Any) -> dict[str, Any]:
    return {"id": "o-1", "status": "COMPLETED", "reason": None, "waits_for": []} | changed


@pytest.mark.parametrize(
    ("rows", "timers", "noted", "words"),
    [
        ([listed()], [], "COMPLETED", ""),
        ([], [], "COMPLETED", "the table does not know it"),
        ([listed(), listed(id="o-2")], [], "COMPLETED", "nobody has ordered"),
        ([listed(status="RUNNING")], [], "COMPLETED", "has not ended"),
        ([listed(status="PARKED")], [], "COMPLETED", "without a reason"),
        ([listed(status="COMPENSATED")], [], "COMPLETED", "on the topics it has ended"),
        ([listed()], [], "COMPENSATED", "the observer has noted"),
        ([listed()], [{"id": "o-1"}], "COMPLETED", "A timer is left"),
    ],
)
def test_the_table_is_held_against_topics_and_books(
    rows: list[dict[str, Any]], timers: list[dict[str, Any]], noted: str, words: str
) -> None:
    told = {"o-1": "COMPLETED"}
    found = list(table.findings(rows, timers, accepted={"o-1"}, told=told, noted={"o-1": noted}))
    assert words in " ".join(found)
    assert bool(found) is bool(words)


def test_nothing_of_the_campaign_imports_the_framework() -> None:
    """But one: it runs the command line in a process of its own."""
    modules = sorted((ROOT / "scripts/lib/campaign").rglob("*.py"))
    importing = {
        path.name
        for path in modules
        for name in shape.imported_modules(path.read_text())
        if name.partition(".")[0] in {"sagas", "events"}
    }
    assert len(modules) > 20
    assert importing == {"many.py"}


def test_who_has_ended_is_parked_no_more_though_its_parking_is_told_again() -> None:
    parked = event(0, "p1", "sagas.SagaParked.v1", ce_sagastatus="PARKED")
    ended = event(1, "e3", CONFIRMED, ce_sagastatus="COMPLETED")
    tail = Tail("")
    tail.note(parked)
    assert tail.parked == {"o-1"}
    tail.note(ended)
    tail.note(parked)
    assert not tail.parked
