"""A participant's journal lives as long as the saga that it belongs to is known."""

from __future__ import annotations

import pytest

from sagas import StepContext
from sagas.adapters.memory.journal import MemoryJournal
from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.ports import JournalKey, JournalOutcome, Row, TableUnavailable
from sagas.runtime import calls
from sagas.runtime.pruning import ROWS_MAX, JournalPruning
from sagas.runtime.retention import journal_since_ms
from tests.simulation.purchase import Paid, Placed, World, depot, till
from tests.simulation.test_recovery import DAY_MS, world_of
from tests.simulation.virtual import run

HOUR_MS = 3_600_000


async def sold_twice(*, apart_ms: int) -> tuple[list[str], MemoryJournal]:
    """Sell under one key, forget that, sell again; who was charged, and the till's journal."""
    world, table, _ = world_of(keep_ended_ms=DAY_MS)
    journal, charged = MemoryJournal(world.clock), list[str]()

    async def pay(order: Placed, _: StepContext) -> Paid:
        charged.append(order.id)
        return Paid(id=order.id)

    for _ in range(2):
        async with world.running(till(pay), depot(), resources=[journal]):
            await world.client.start(Placed(id="p"))
            assert await world.ends("p") is SagaStatus.COMPLETED
        table._forget("purchase", "p")
        await world.clock.sleep(apart_ms / 1000)
    return charged, journal


def test_a_key_that_is_used_again_after_it_was_forgotten_acts_again() -> None:
    """Whether or not anybody has pruned the journal in between."""
    charged, _ = run(sold_twice(apart_ms=DAY_MS + 1))
    assert charged == ["p", "p"]


def test_without_that_line_the_journal_answers_for_the_saga_of_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "journal_since_ms", lambda *_, **__: 0)
    monkeypatch.setattr(JournalPruning, "prune", lambda _: _nothing())
    charged, _ = run(sold_twice(apart_ms=DAY_MS + 1))
    assert charged == ["p"]


async def _nothing() -> int:
    return 0


def test_a_workers_journal_is_pruned_of_what_the_table_has_forgotten() -> None:
    async def main() -> None:
        world, table, _ = world_of(keep_ended_ms=DAY_MS)
        journal = MemoryJournal(world.clock)
        async with world.running(till(), depot(), resources=[journal]):
            await world.client.start(Placed(id="p"))
            assert await world.ends("p") is SagaStatus.COMPLETED
        async with world.running(till(), resources=[journal]):
            await world.client.start(Placed(id="open"))
            await world.until(lambda: len(journal._outcomes) == 3)
        await world.clock.sleep(DAY_MS / 1000 + 1)
        table._forget("purchase", "p")
        async with world.running(till(), resources=[journal]):
            await world.until(lambda: len(journal._outcomes) == 1)
        kept = [key.saga_id for key in journal._outcomes]
        assert kept == ["open"], "one that goes on keeps its rows"

    run(main())


class Known:
    """A table that knows these instances, and may be away or damaged."""

    def __init__(self, *known: str, error: Exception | None = None) -> None:
        self.known = known
        self.error = error

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return Row(stamp=None, state=b"") if saga_id in self.known else None  # type: ignore[arg-type]


async def pruned(table: Known, *, instances: int) -> set[str]:
    """Prune a journal whose rows are all old; the instances that keep theirs."""
    world = World()
    journal = MemoryJournal(world.clock)
    key = JournalKey("purchase", "", "pay", Direction.FORWARD)

    async def pay(_: object) -> JournalOutcome:
        return JournalOutcome("till.Paid.v1", b"{}")

    for number in range(instances):
        await journal.forward(key._replace(saga_id=f"p-{number}"), pay)
    await world.clock.sleep(DAY_MS / 1000 + 1)
    pruning = JournalPruning(
        journal,
        table=table,  # type: ignore[arg-type]
        clock=world.clock,
        keep_ended_ms=DAY_MS,
    )
    await pruning.prune()
    return {key.saga_id for key in journal._outcomes}


def test_many_that_go_on_do_not_hide_those_behind_them() -> None:
    known = {f"p-{number}" for number in range(ROWS_MAX + 10)}
    assert run(pruned(Known(*known), instances=2 * ROWS_MAX + 20)) == known


def test_nothing_is_pruned_while_the_table_does_not_answer() -> None:
    table = Known("p-0", error=TableUnavailable("away"))
    assert run(pruned(table, instances=2)) == {"p-0"}, "it is asked again, and then believed"


def test_a_damaged_row_is_a_row() -> None:
    assert run(pruned(Known(error=ContractViolation("damaged")), instances=1)) == {"p-0"}


@pytest.mark.parametrize(
    ("moments_ms", "keep_ended_ms", "since_ms"),
    [
        ((), DAY_MS, 0),  # of nothing nothing is known
        ((10 * DAY_MS,), None, 0),  # for ever: there is no earlier saga
        ((10 * DAY_MS,), 2 * DAY_MS, 9 * DAY_MS),
        ((10 * DAY_MS, 9 * DAY_MS), 2 * DAY_MS, 8 * DAY_MS),  # a start that is dated too late
        ((HOUR_MS,), 2 * DAY_MS, 0),  # one that is dated in 1970
    ],
)
def test_the_line_between_two_sagas_of_one_id(
    moments_ms: tuple[int, ...], keep_ended_ms: int | None, since_ms: int
) -> None:
    assert journal_since_ms(moments_ms, keep_ended_ms=keep_ended_ms) == since_ms
