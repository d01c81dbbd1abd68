"""Each check finds what is broken, and leaves alone what is nearly the same and right."""

from __future__ import annotations

import pytest

from sagas.checks import TITLES, Finding, Severity
from sagas.checks.examples import EXAMPLES
from sagas.core.problems import Problem
from tests.definitions.broken import CASES, Case
from tests.definitions.broken_in_time import CASES_IN_TIME
from tests.definitions.broken_together import CASES_TOGETHER
from tests.definitions.written import codes, findings

EVERYTHING = CASES | CASES_TOGETHER | CASES_IN_TIME


@pytest.mark.parametrize("case", EVERYTHING.values(), ids=EVERYTHING)
def test_what_is_broken_is_reported(case: Case) -> None:
    found = findings(case.broken)
    assert case.code in codes(found)
    told = [
        one.text if not isinstance(one, Finding) else one.reason
        for one in found
        if one.code == case.code
    ]
    assert any(case.said in reason for reason in told), told


@pytest.mark.parametrize("case", EVERYTHING.values(), ids=EVERYTHING)
def test_what_is_nearly_the_same_is_not(case: Case) -> None:
    near = case.broken
    for old, new in case.near:
        assert old in near, old
        near = near.replace(old, new)
    found = findings(near)
    assert case.code not in codes(found)
    assert not any(isinstance(one, Problem) for one in found), found


def test_every_check_has_a_broken_example() -> None:
    assert {case.code for case in EVERYTHING.values()} == {
        one for one in TITLES if one.startswith("S")
    } - {"S11"}


def test_a_loose_end_is_a_warning_where_all_who_could_observe_it_are_here() -> None:
    services = "".join(
        f'{name} = Service("{name}")\n' for name in ("orders", "payments", "shipping", "stock")
    )
    alone, together = findings(EXAMPLES["S3"]), findings(EXAMPLES["S3"] + services)
    for found, severity in ((alone, Severity.HINT), (together, Severity.WARNING)):
        assert [one.severity for one in found if isinstance(one, Finding) and one.code == "S3"] == [
            severity
        ]
