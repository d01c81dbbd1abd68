"""Whatever comes from outside is understood, passed over, or refused in words; never anything else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from sagas.core.definition import SAGA_PARKED, STEP_FAILED, Direction, Role
from sagas.core.errors import ContractViolation
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.ports import Record, Row, Stamp
from sagas.runtime.views import view_of
from sagas.wire.envelope import Envelope
from sagas.wire.stored import encode_event, encode_instance
from tests.fuzz import generators
from tests.fuzz.judging import DEFINITION, judge_letters, judge_record, judge_row, judge_trace

unhurried = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@unhurried
@given(generators.records)
def test_a_record_is_understood_passed_over_or_refused_in_words(record: Record) -> None:
    judge_record(record)


@unhurried
@given(generators.rows())
def test_a_damaged_row_is_refused_in_words(row: tuple[bytes, dict[str, bytes]]) -> None:
    judge_row(*row)


@unhurried
@given(generators.letters)
def test_a_dead_letter_topic_is_folded_and_shown_whatever_is_in_it(
    records: Sequence[Record],
) -> None:
    judge_letters(records)


@unhurried
@given(generators.texts)
def test_a_trace_context_has_its_form_whatever_came_in(text: str) -> None:
    judge_trace(text)


def test_a_damaged_event_that_says_why_an_undo_failed_is_refused_in_words() -> None:
    instance = Instance(DEFINITION, "o1")
    for fact in (
        Fact("1", "orders.OrderPlaced.v1", "start", Role.DONE),
        Fact("2", STEP_FAILED, "reserve_stock", Role.FAILED),
        Fact("3", SAGA_PARKED, "reserve_stock", Role.PARKED, None, Direction.UNDO),
    ):
        instance = evolve(instance, fact)
    parked = Envelope(*(fact.id, fact.type, "inventory", 0, DEFINITION.saga, "o1"), payload=b"{}")
    row = Row(Stamp(1, 3), encode_instance(instance), {fact.slot: encode_event(parked)})
    with pytest.raises(ContractViolation, match=r"'o1': sagas\.SagaParked\.v1 does not fit"):
        view_of(DEFINITION, "o1", row)
