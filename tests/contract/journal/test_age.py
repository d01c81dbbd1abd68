"""What every journal must do about rows of long ago: an earlier saga of the same id had them."""

import asyncio

import pytest

from sagas.core.definition import Direction
from sagas.ports import JournalKey, JournalOutcome, Tombstone
from tests.contract.journal.conftest import Participant
from tests.contract.journal.test_journal import FORWARD, RELEASED, RESERVED, Handlers, undo_of

DAY_MS = 86_400_000
OTHER = JournalOutcome("inventory.StockUnavailable.v1", b"no")


@pytest.fixture
def handlers(participant: Participant) -> Handlers:
    return Handlers(participant)


async def test_an_earlier_sagas_outcome_counts_as_absent(
    participant: Participant, handlers: Handlers
) -> None:
    journal = participant.journal
    await journal.forward(FORWARD, handlers.reserve())
    await participant.age(days=9)
    since_ms = participant.now_ms() - 4 * DAY_MS
    again = handlers.reserve("again", OTHER)
    outcomes = await asyncio.gather(
        *(journal.forward(FORWARD, again, since_ms=since_ms) for _ in range(5))
    )
    assert outcomes == [OTHER] * 5
    assert sorted(await participant.effects()) == ["again", "reserved"]


async def test_its_own_outcome_never_does(participant: Participant, handlers: Handlers) -> None:
    await participant.journal.forward(FORWARD, handlers.reserve())
    await participant.age(days=3)
    since_ms = participant.now_ms() - 4 * DAY_MS
    again = handlers.reserve("again", OTHER)
    assert await participant.journal.forward(FORWARD, again, since_ms=since_ms) == RESERVED
    assert await participant.effects() == ["reserved"]


async def test_an_earlier_sagas_tombstone_and_undos_are_gone_with_it(
    participant: Participant, handlers: Handlers
) -> None:
    journal = participant.journal
    await journal.undo(undo_of(FORWARD, 3), handlers.release())
    with pytest.raises(Tombstone):
        await journal.forward(FORWARD, handlers.reserve())
    await participant.age(days=9)
    since_ms = participant.now_ms() - 4 * DAY_MS
    assert await journal.forward(FORWARD, handlers.reserve(), since_ms=since_ms) == RESERVED
    released = await journal.undo(undo_of(FORWARD), handlers.release(), since_ms=since_ms)
    assert released == RELEASED
    assert handlers.performed == [None, RESERVED]


async def test_an_undo_of_nothing_since_then_is_one_of_nothing(
    participant: Participant, handlers: Handlers
) -> None:
    journal = participant.journal
    await journal.forward(FORWARD, handlers.reserve())
    await journal.undo(undo_of(FORWARD), handlers.release())
    await participant.age(days=9)
    since_ms = participant.now_ms() - 4 * DAY_MS
    await journal.undo(undo_of(FORWARD), handlers.release("again"), since_ms=since_ms)
    assert handlers.performed == [RESERVED, None]
    with pytest.raises(Tombstone):
        await journal.forward(FORWARD, handlers.reserve(), since_ms=since_ms)


async def test_what_is_old_is_listed_and_forgotten_by_instance(
    participant: Participant, handlers: Handlers
) -> None:
    journal = participant.journal
    old = [FORWARD._replace(saga_id=f"old-{number}") for number in range(3)]
    for key in old:
        await journal.forward(key, handlers.reserve())
    await journal.undo(undo_of(old[0]), handlers.release())
    await participant.age(days=9)
    young = FORWARD._replace(step="another")
    await journal.forward(young, handlers.reserve())
    before_ms = participant.now_ms() - 8 * DAY_MS
    listed = await journal.aged(before_ms=before_ms, skip=0, limit=10)
    assert sorted(listed) == sorted([instance(old[0]), *map(instance, old)])
    page = await journal.aged(before_ms=before_ms, skip=1, limit=2)
    assert page == listed[1:3]
    assert await journal.forget([], before_ms=before_ms) == 0
    gone = {instance(old[0]), instance(young)}
    assert await journal.forget(gone, before_ms=before_ms) == 2, "the young one stays"
    assert await journal.forget(gone, before_ms=before_ms) == 0
    assert await journal.forward(old[0], handlers.reserve(outcome=OTHER)) == OTHER
    for key in (old[2], young):
        assert await journal.forward(key, handlers.reserve(outcome=OTHER)) == RESERVED


def instance(key: JournalKey) -> tuple[str, str]:
    assert key.direction is Direction.FORWARD
    return key.saga, key.saga_id
