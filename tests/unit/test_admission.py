"""Whether a worker may start beside sagas of another definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas import ContractViolation
from sagas.adapters.memory.definitions import MemoryDefinitionBook
from sagas.admitting import NotAdmitted, admit, count_definitions, live_count
from sagas.change.admission import misfits
from sagas.change.kept import decode_definition, encode_definition
from sagas.core.definition import Definition
from sagas.testing import SagaTestEnvironment
from tests.simulation.definitions import random_definition
from tests.simulation.test_rolling_deployment import CHANGES, line
from tests.simulation.workloads.generated import saga_of, services_of

OLD = line()
WORSE = CHANGES["an undo is called otherwise"]
BETTER = CHANGES["another refusal"]


def kept(*definitions: Definition) -> dict[str, bytes]:
    return {one.fingerprint: encode_definition(one) for one in definitions}


@given(st.integers(0, 10**6))
def test_what_is_kept_of_a_definition_is_the_definition(seed: int) -> None:
    definition = replace(random_definition(seed, alternatives=True), cancelled_by="shop.Stop.v1")
    assert decode_definition(encode_definition(definition)) == definition


@pytest.mark.parametrize(
    "odd",
    [b"", b"[]", b"{}", b"\xff", b'{"steps": []}', b'{"steps": [{"colour": 1}], "saga": "a"}'],
)
def test_what_nobody_of_ours_has_kept_is_told_so(odd: bytes) -> None:
    with pytest.raises(ContractViolation, match="can not be read"):
        decode_definition(odd)


def test_only_what_can_not_be_finished_is_in_the_way() -> None:
    assert misfits(BETTER, kept(OLD, BETTER)) == []
    (misfit,) = misfits(WORSE, kept(OLD, WORSE))
    assert misfit.fingerprint == OLD.fingerprint
    assert misfit.reason == (
        "where a saga is COMPENSATING and waits for shop to undo start: Undone, which is recorded, is known "
        "no more"
    )
    assert misfits(WORSE, kept(OLD), accepted={OLD.fingerprint}) == []
    (odd,) = misfits(OLD, {"f" * 16: b"?"})
    assert "can not be read" in odd.reason


async def test_a_worker_is_refused_while_sagas_run_that_it_can_not_finish() -> None:
    old, worse, better = (saga_of(one) for one in (OLD, WORSE, BETTER))
    book = MemoryDefinitionBook()
    async with SagaTestEnvironment(list(services_of(old, {}).values())) as env:
        table = env.platform.table
        await admit([old], table, book)
        env.crash("b")
        await env.start(old.events["shop.Begun.v1"].model_validate({"id": "k"}))
        await env.run()
        assert await live_count(table, "saga") == 1
        assert await count_definitions(table, "saga", limit=10) == {old.definition.fingerprint: 1}
        with pytest.raises(NotAdmitted) as refused:
            await admit([worse], table, book)
        for words in ("up to 1 sagas run", "keep both", "drain", "migrate", "--accept-definition"):
            assert words in str(refused.value)
        assert list(await book.kept("saga")) == [old.definition.fingerprint]
        await admit([better], table, book)
        assert set(await book.kept("saga")) == {
            old.definition.fingerprint,
            better.definition.fingerprint,
        }
        await admit([worse], table, book, accepted=set(await book.kept("saga")))
        await env.restart("b")
        await env.run()
        assert await live_count(table, "saga") == 0
        await admit([worse], table, book)
        assert set(await book.kept("saga")) == {worse.definition.fingerprint}, "nothing else runs"
