"""F16 and I14: a definition that changes while sagas run, and what `sagas diff` says of it beforehand.

The real runtime in the test environment. A service is down, so that the saga waits for it; the others are
started again in their new version, and that one at last.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sagas import ContractViolation, Event, SagaStatus
from sagas.change.finishing import finishing
from sagas.core.definition import Definition, Join, StepDefinition
from sagas.core.validation import problems
from sagas.testing import SagaTestEnvironment
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.parts import Plan
from tests.simulation.workloads.generated import saga_of, services_of
from tests.unit.generated import named_after_services

LINE = tuple("abcd")


def line(*, last_on: str = "c.Done.v1") -> Definition:
    """Start, then a, b, c and d, each by a service of its own, in a row; c is the pivot."""
    steps = [
        StepDefinition(
            name="start", service="shop", done=("shop.Begun.v1",), undone="shop.Ended.v1"
        )
    ]
    before = "shop.Begun.v1"
    for name in LINE:
        undone = f"{name}.Undone.v1" if name in "ab" else None
        refused = (f"{name}.Refused.v1",) if name in "abc" else ()
        steps.append(
            StepDefinition(
                name=name,
                service=name,
                triggers=(last_on if name == "d" else before,),
                done=(f"{name}.Done.v1",),
                refused=refused,
                undone=undone,
                pivot=name == "c",
            )
        )
        before = f"{name}.Done.v1"
    return Definition("saga", "id", tuple(steps))


def with_step(name: str, **changes: Any) -> Definition:
    steps = [replace(s, **changes) if s.name == name else s for s in line().steps]
    return Definition("saga", "id", tuple(steps))


def with_more(**given: Any) -> Definition:
    more = StepDefinition(name="more", done=("a.More.v1",), **given)
    return Definition("saga", "id", (*line().steps, more))


CHANGES = {
    "nothing": line(),
    "another refusal": with_step("b", refused=("b.Refused.v1", "b.Odd.v1")),
    "a timeout": with_step("b", timeout_ms=60_000),
    "an undo is called otherwise": with_step("a", undone="a.Freed.v1"),
    "an undo is gone": with_step("a", undone=None),
    "an outcome is called otherwise": with_step("b", done=("b.Ready.v1",)),
    "d follows b": line(last_on="b.Done.v1"),
    "d waits for both": with_step("d", triggers=("b.Done.v1", "c.Done.v1"), join=Join.ALL),
    "a does more at the end": with_more(service="a", triggers=("d.Done.v1",)),
    "a does more after b": with_more(service="a", triggers=("b.Done.v1",)),
    "d does more after c": with_more(service="d", triggers=("c.Done.v1",)),
}
CHANGES["an outcome is called otherwise"] = replace(
    CHANGES["an outcome is called otherwise"],
    steps=tuple(
        replace(step, triggers=("b.Ready.v1",)) if step.name == "c" else step
        for step in CHANGES["an outcome is called otherwise"].steps
    ),
)


async def status_after(
    new: Definition, down: str, plans: dict[str, Plan], first: Sequence[str]
) -> SagaStatus | None:
    """Where a saga of the line ends that waited for the service ``down`` when all were changed, those in
    ``first`` before the others; None where it can not be read.
    """
    old_saga, new_saga = saga_of(line()), saga_of(new)
    found: SagaStatus | None = None
    try:
        async with SagaTestEnvironment(list(services_of(old_saga, plans).values())) as env:
            env.crash(down)
            begun: Event = old_saga.events["shop.Begun.v1"].model_validate({"id": "k"})
            saga_id = await env.start(begun)
            await env.run()
            assert env.status(saga_id) in {SagaStatus.RUNNING, SagaStatus.COMPENSATING}
            changed = services_of(new_saga, plans)
            for name in dict.fromkeys((*first, *changed)):
                await env.restart(changed[name])
            await env.run()
            found = env.status(saga_id, saga=new_saga)
    except ContractViolation as error:
        assert "does not know" in str(error)  # noqa: PT017 - it is one of the ways to end
    except AssertionError as error:
        assert "leaves things unfinished" in str(error)  # noqa: PT017 - the status tells of it
    return found


def can_finish(new: Definition, status: SagaStatus, waits_for: str) -> bool:
    """Whether a saga of the line that stands there can finish, as it is computed."""
    assert problems(new) == []
    outlook = finishing(line(), new)
    assert outlook.complete
    (place,) = (p for p in outlook.places if (p.status, p.waits_for) == (status, (waits_for,)))
    return place.hindrance is None


@pytest.mark.parametrize("down", LINE)
@pytest.mark.parametrize("change", CHANGES)
async def test_a_running_saga_ends_well_where_it_is_said_to(change: str, down: str) -> None:
    """Where only the way back is hindered, the way forward may end all the same; and so may a service that
    has handled nothing before, because it reads its topics from their beginning.
    """
    new = CHANGES[change]
    others = [name for name in ("shop", *LINE) if name != down]
    found = await status_after(new, down, {}, others)
    if can_finish(new, SagaStatus.RUNNING, f"{down} to perform {down}"):
        assert found is SagaStatus.COMPLETED
    elif not change.startswith("an undo") and change != "d follows b":
        assert found is not SagaStatus.COMPLETED


@pytest.mark.parametrize("change", CHANGES)
async def test_a_saga_on_its_way_back_ends_well_where_it_is_said_to(change: str) -> None:
    new = CHANGES[change]
    found = await status_after(new, "shop", {"c": Plan("refused")}, LINE)
    expected = can_finish(new, SagaStatus.COMPENSATING, "shop to undo start")
    assert (found is SagaStatus.COMPENSATED) == expected


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("down", LINE)
async def test_versions_may_be_mixed_where_every_saga_can_finish(
    down: str, backwards: bool
) -> None:
    """I14: one service after the other, while the saga goes on."""
    compatible = [new for new in CHANGES.values() if finishing(line(), new).can_finish]
    assert len(compatible) >= 4
    for new in compatible:
        order = ("shop", *LINE)[:: -1 if backwards else 1]
        assert await status_after(new, down, {}, order) is SagaStatus.COMPLETED


def changed_by_chance(old: Definition, chance: random.Random) -> Definition:
    """A valid definition that differs from the old one in a thing or two."""
    while True:
        steps = list(old.steps)
        for _ in range(chance.randint(1, 2)):
            number = chance.randrange(1, len(steps))
            step = steps[number]
            types = [t for one in steps[:number] for t in one.done]
            ways: list[dict[str, Any]] = [
                {"refused": (*step.refused, f"{step.service}.Odd{number}.v1")},
                {"refused": ()},
                {"done": (f"{step.service}.New{number}.v1", *step.done)},
                {"undone": None},
                {"undone": f"{step.service}.Freed{number}.v1"},
                {"triggers": (chance.choice(types),), "join": Join.ALL},
                {"pivot": not step.pivot},
            ]
            steps[number] = replace(step, **chance.choice(ways))
        if chance.random() < 0.3:
            on = chance.choice([t for one in steps for t in one.done])
            service = chance.choice(steps).service
            done = (f"{service}.More.v1",)
            steps.append(StepDefinition(name="more", service=service, triggers=(on,), done=done))
        new = replace(old, steps=tuple(steps))
        if not problems(new) and new.fingerprint != old.fingerprint:
            return new


VERDICTS: Counter[bool] = Counter()


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_was_changed_who_is_said_to_finish_ends(seed: int) -> None:
    chance = random.Random(f"deployment {seed}")
    old = named_after_services(random_definition(seed))
    new = changed_by_chance(old, chance)
    plans = random_plans(old, seed)
    outlook = finishing(old, new, states_max=3_000)
    VERDICTS[outlook.can_finish] += 1
    if not outlook.can_finish:
        return
    old_saga, new_saga = saga_of(old), saga_of(new)
    async with SagaTestEnvironment(list(services_of(old_saga, plans).values())) as env:
        down = chance.choice(old.services)
        env.crash(down)
        begun: Event = old_saga.events[old.start.done[0]].model_validate({"id": "k"})
        saga_id = await env.start(begun)
        await env.run()
        changed = services_of(new_saga, plans)
        for name in [*(one for one in changed if one != down), down]:
            await env.restart(changed[name])
        await env.run()
        status = env.status(saga_id, saga=new_saga)
        assert status is not None
        if status is SagaStatus.PARKED:
            env.expect_unfinished(saga_id)
        else:
            assert status.is_terminal, env.why(saga_id)


def test_of_the_changes_made_by_chance_some_are_fine_and_some_are_not() -> None:
    assert set(VERDICTS) == {True, False}, VERDICTS
