"""Whatever comes from outside is understood, passed over, or refused in words; never anything else."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings

from sagas.ports import Record
from tests.fuzz import generators
from tests.fuzz.judging import judge_letters, judge_record, judge_row, judge_trace

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
