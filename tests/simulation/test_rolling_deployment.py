"""F16 and I14: a definition that changes while sagas run, and what `sagas diff` says of it beforehand.

The real runtime in the test environment. A service is down, so that the saga waits for it; the others are
started again in their new version, and that one at last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sagas import ContractViolation, Event, SagaStatus
from sagas.change.finishing import finishing
from sagas.core.definition import Definition, Join, StepDefinition
from sagas.core.validation import problems
from sagas.testing import SagaTestEnvironment
from tests.simulation.parts import Plan
from tests.simulation.workloads.generated import saga_of, services_of

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
