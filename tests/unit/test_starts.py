"""The rule for a key that is used again, and the ids that its runs have: every case by hand."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import Direction
from sagas.core.errors import InvalidMessage
from sagas.core.instance import SagaStatus
from sagas.core.starts import (
    KnownRun,
    Place,
    Reuse,
    Verdict,
    checked_key,
    checked_saga_id,
    key_of_instance,
    place_of,
    run_of,
    saga_id_of,
)
from sagas.wire.ids import digest_of, event_id

CASES = list(itertools.product(Reuse, SagaStatus))
ENDED = {SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED}
FAILED = {SagaStatus.COMPENSATED, SagaStatus.FAILED}


def other(status: SagaStatus) -> KnownRun:
    return KnownRun(status, same=False)


@pytest.mark.parametrize(("reuse", "status"), CASES)
def test_another_start_by_policy_and_status(reuse: Reuse, status: SagaStatus) -> None:
    begins = {
        Reuse.NEVER: set[SagaStatus](),
        Reuse.AFTER_END: ENDED,
        Reuse.AFTER_FAILURE: FAILED,
        Reuse.SAME_WHILE_RUNNING: ENDED,
    }[reuse]
    otherwise = Verdict.SHARE if reuse is Reuse.SAME_WHILE_RUNNING else Verdict.REFUSE
    expected = Place(Verdict.BEGIN, 3) if status in begins else Place(otherwise, 2)
    assert place_of(reuse, [other(SagaStatus.COMPENSATED), other(status)]) == expected


@pytest.mark.parametrize(("reuse", "status"), CASES)
def test_the_same_start_is_that_run_whatever_has_become_of_it(
    reuse: Reuse, status: SagaStatus
) -> None:
    runs = [other(SagaStatus.FAILED), KnownRun(status, same=True), other(SagaStatus.RUNNING)]
    assert place_of(reuse, runs) == Place(Verdict.SAME, 2)


@pytest.mark.parametrize("reuse", Reuse)
def test_the_first_start_begins(reuse: Reuse) -> None:
    assert place_of(reuse, []) == Place(Verdict.BEGIN, 1)


@given(
    key=st.text(alphabet=st.characters(categories=["L", "N", "P"]), min_size=1, max_size=40),
    run=st.integers(1, 10_000),
)
def test_the_id_of_a_run_gives_back_key_and_number(key: str, run: int) -> None:
    try:
        checked_key(key, "the key")
    except InvalidMessage:
        assert key_of_instance(key) != key
        return
    saga_id = saga_id_of(key, run)
    assert (key_of_instance(saga_id), run_of(saga_id)) == (key, run)
    assert checked_saga_id(saga_id, "the id") == saga_id


@pytest.mark.parametrize("key", ["order-17~2", "order-17~0", "~~7", "a~99999999999999"])
def test_a_key_that_looks_like_a_later_run_is_refused_in_words(key: str) -> None:
    with pytest.raises(InvalidMessage, match=r"does not end in ~ and a number.*other form"):
        checked_key(key, "The key")


@pytest.mark.parametrize("saga_id", ["o~0", "o~1", "o~02", "o~2~3", "o~99999999999"])
def test_a_saga_id_that_no_run_has_is_refused(saga_id: str) -> None:
    with pytest.raises(InvalidMessage):
        checked_saga_id(saga_id, "The id")


@pytest.mark.parametrize("key", ["o~", "~7", "o~b", "o~2b", "o-2"])
def test_a_tilde_alone_is_no_run(key: str) -> None:
    assert checked_key(key, "The key") == key == key_of_instance(key)
    assert run_of(key) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_the_digest_is_of_what_is_said_not_of_how(content: Any) -> None:
    wide = json.dumps(content, indent=3, ensure_ascii=False).encode(errors="surrogatepass")
    assert digest_of(json.dumps(content).encode()) == digest_of(wide) or b"\xed" in wide


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"1" * 5000, b"[" * 100_000])
def test_what_is_no_json_has_a_digest_too(payload: bytes) -> None:
    assert digest_of(payload) == digest_of(payload) != digest_of(payload + b"x")


def test_two_starts_of_one_key_are_two_events() -> None:
    ids = {
        event_id(
            *("sale", "1", "shop.Placed.v1"),
            step="start",
            direction=Direction.FORWARD,
            content=content,
        )
        for content in (None, digest_of(b'{"a": 1}'), digest_of(b'{"a": 2}'))
    }
    assert len(ids) == 3
