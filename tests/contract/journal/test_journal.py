"""What every journal must do: one effect per outcome, no effect after a tombstone."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from sagas.core.definition import Direction
from sagas.ports import JournalKey, JournalOutcome, Superseded, Tombstone
from tests.contract.journal.conftest import Participant

EVERY_BYTE = bytes(range(256))
FORWARD = JournalKey("OrderFulfilment", "o-1", "reserve_stock", Direction.FORWARD)
RESERVED = JournalOutcome("inventory.StockReserved.v1", EVERY_BYTE)
RELEASED = JournalOutcome("inventory.StockReleased.v1", b"{}")


class ActionError(Exception):
    """The action's own error."""


def undo_of(key: JournalKey, epoch: int = 0) -> JournalKey:
    return key._replace(direction=Direction.UNDO, epoch=epoch)


class Handlers:
    """Actions that leave an effect each, and remember what undos were given."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.performed: list[JournalOutcome | None] = []

    def reserve(
        self, name: str = "reserved", outcome: JournalOutcome = RESERVED
    ) -> Callable[[object], Awaitable[JournalOutcome]]:
        async def action(transaction: object) -> JournalOutcome:
            await self.participant.effect(transaction, name)
            await asyncio.sleep(0)
            return outcome

        return action

    def release(
        self, name: str = "released", outcome: JournalOutcome = RELEASED
    ) -> Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]]:
        async def action(transaction: object, performed: JournalOutcome | None) -> JournalOutcome:
            self.performed.append(performed)
            await self.participant.effect(transaction, name)
            await asyncio.sleep(0)
            return outcome

        return action


@pytest.fixture
def handlers(participant: Participant) -> Handlers:
    return Handlers(participant)


async def test_the_outcome_is_the_actions(participant: Participant, handlers: Handlers) -> None:
    assert await participant.journal.forward(FORWARD, handlers.reserve()) == RESERVED
    assert await participant.effects() == ["reserved"]


async def test_a_duplicate_gets_the_recorded_outcome_and_leaves_no_effect(
    participant: Participant, handlers: Handlers
) -> None:
    other = JournalOutcome("inventory.StockUnavailable.v1", b"no")
    await participant.journal.forward(FORWARD, handlers.reserve())
    again = await participant.journal.forward(FORWARD, handlers.reserve("again", other))
    assert again == RESERVED
    assert await participant.effects() == ["reserved"]


async def test_concurrent_duplicates_have_one_effect(
    participant: Participant, handlers: Handlers
) -> None:
    outcomes = await asyncio.gather(
        *(participant.journal.forward(FORWARD, handlers.reserve()) for _ in range(20))
    )
    assert outcomes == [RESERVED] * 20
    assert await participant.effects() == ["reserved"]


async def test_steps_instances_and_sagas_are_apart(
    participant: Participant, handlers: Handlers
) -> None:
    keys = [
        FORWARD,
        FORWARD._replace(saga="Return"),
        FORWARD._replace(saga_id="o-2"),
        FORWARD._replace(step="authorize_payment"),
    ]
    for key in keys:
        await participant.journal.forward(key, handlers.reserve(str(key)))
    assert sorted(await participant.effects()) == sorted(map(str, keys))


async def test_an_error_leaves_no_outcome(participant: Participant, handlers: Handlers) -> None:
    async def failing(transaction: object) -> JournalOutcome:
        raise ActionError

    with pytest.raises(ActionError):
        await participant.journal.forward(FORWARD, failing)
    assert await participant.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_an_undo_gets_what_was_performed(
    participant: Participant, handlers: Handlers
) -> None:
    await participant.journal.forward(FORWARD, handlers.reserve())
    assert await participant.journal.undo(undo_of(FORWARD), handlers.release()) == RELEASED
    assert handlers.performed == [RESERVED]
    assert sorted(await participant.effects()) == ["released", "reserved"]


async def test_an_undo_gets_a_refusal_as_it_is(
    participant: Participant, handlers: Handlers
) -> None:
    refusal = JournalOutcome("inventory.StockUnavailable.v1", b"")
    await participant.journal.forward(FORWARD, handlers.reserve(outcome=refusal))
    await participant.journal.undo(undo_of(FORWARD), handlers.release())
    assert handlers.performed == [refusal]


async def test_a_duplicate_undo_runs_once(participant: Participant, handlers: Handlers) -> None:
    await participant.journal.forward(FORWARD, handlers.reserve())
    outcomes = await asyncio.gather(
        *(participant.journal.undo(undo_of(FORWARD), handlers.release()) for _ in range(20))
    )
    assert outcomes == [RELEASED] * 20
    assert sorted(await participant.effects()) == ["released", "reserved"]


async def test_after_an_undo_the_recorded_outcome_stays(
    participant: Participant, handlers: Handlers
) -> None:
    await participant.journal.forward(FORWARD, handlers.reserve())
    await participant.journal.undo(undo_of(FORWARD), handlers.release())
    assert await participant.journal.forward(FORWARD, handlers.reserve("again")) == RESERVED
    assert "again" not in await participant.effects()


async def test_an_undo_of_nothing_leaves_a_tombstone(
    participant: Participant, handlers: Handlers
) -> None:
    assert await participant.journal.undo(undo_of(FORWARD), handlers.release()) == RELEASED
    assert handlers.performed == [None]
    with pytest.raises(Tombstone):
        await participant.journal.forward(FORWARD, handlers.reserve())
    assert await participant.effects() == ["released"]
    await participant.journal.undo(undo_of(FORWARD, 1), handlers.release())
    assert handlers.performed == [None, None]


async def test_an_undo_that_fails_leaves_no_tombstone(
    participant: Participant, handlers: Handlers
) -> None:
    async def failing(transaction: object, performed: JournalOutcome | None) -> JournalOutcome:
        raise ActionError

    with pytest.raises(ActionError):
        await participant.journal.undo(undo_of(FORWARD), failing)
    assert await participant.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_every_epoch_undoes_once(participant: Participant, handlers: Handlers) -> None:
    second = JournalOutcome("inventory.StockReleased.v1", b"second")
    await participant.journal.forward(FORWARD, handlers.reserve())
    for _ in range(2):
        outcome = await participant.journal.undo(undo_of(FORWARD, 1), handlers.release())
        assert outcome == RELEASED
    for _ in range(2):
        release = handlers.release("released again", second)
        assert await participant.journal.undo(undo_of(FORWARD, 2), release) == second
    assert await participant.journal.undo(undo_of(FORWARD, 1), handlers.release()) == RELEASED
    assert sorted(await participant.effects()) == ["released", "released again", "reserved"]


async def test_a_lower_epoch_is_refused(participant: Participant, handlers: Handlers) -> None:
    await participant.journal.forward(FORWARD, handlers.reserve())
    await participant.journal.undo(undo_of(FORWARD, 2), handlers.release())
    with pytest.raises(Superseded):
        await participant.journal.undo(undo_of(FORWARD, 1), handlers.release("late"))
    assert "late" not in await participant.effects()


async def test_of_two_epochs_at_once_the_lower_never_comes_second(
    participant: Participant, handlers: Handlers
) -> None:
    for round_ in range(20):
        key = FORWARD._replace(saga_id=f"o-{round_}")
        order: list[int] = []

        async def undo(
            epoch: int, key: JournalKey = key, order: list[int] = order
        ) -> JournalOutcome:
            async def action(
                transaction: object, performed: JournalOutcome | None
            ) -> JournalOutcome:
                await participant.effect(transaction, f"{key.saga_id} {epoch}")
                order.append(epoch)
                return RELEASED

            return await participant.journal.undo(undo_of(key, epoch), action)

        await participant.journal.forward(key, handlers.reserve())
        epochs = random.sample([1, 2], 2)
        results = await asyncio.gather(*map(undo, epochs), return_exceptions=True)
        refused = [result for result in results if isinstance(result, Superseded)]
        assert order in ([1, 2], [2])
        assert len(refused) == 2 - len(order)


async def test_a_forward_action_races_with_its_undo(participant: Participant) -> None:
    """Whoever wins: never both a tombstone and an effect, never an effect that the undo missed."""
    seen: set[str] = set()
    rounds = 100
    for round_ in range(rounds):
        key = FORWARD._replace(saga_id=f"o-{round_}")
        handlers = Handlers(participant)
        forward = f"{key.saga_id} forward"
        calls = [
            participant.journal.forward(key, handlers.reserve(forward)),
            participant.journal.undo(undo_of(key), handlers.release(f"{key.saga_id} undo")),
            participant.journal.forward(key, handlers.reserve(forward)),
        ]
        results = await asyncio.gather(*random.sample(calls, len(calls)), return_exceptions=True)
        for result in results:
            assert isinstance(result, JournalOutcome | Tombstone), result
        late = await asyncio.gather(
            participant.journal.forward(key, handlers.reserve(forward)), return_exceptions=True
        )
        effects = [name for name in await participant.effects() if name == forward]
        if isinstance(late[0], Tombstone):
            seen.add("undo won")
            assert (effects, handlers.performed) == ([], [None])
        else:
            seen.add("forward won")
            assert (effects, handlers.performed) == ([forward], [RESERVED])
    undone = [name for name in await participant.effects() if name.endswith("undo")]
    assert len(undone) == rounds
    assert seen == {"undo won", "forward won"}
