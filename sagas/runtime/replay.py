"""Compensation replay: have compensations that failed, or were wrong, run again over many sagas.

Owns which sagas are chosen, what is asked of each, and what came of it. It decides nothing: participants
do, when they handle what is asked. Everything it asks is safe to ask twice, so a replay that was
interrupted is run once more as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sagas.core.controls import Again
from sagas.core.definition import StepDefinition
from sagas.core.events import Event
from sagas.core.framework_events import AgainRequested, RetryRequested
from sagas.core.instance import Instance, SagaStatus
from sagas.core.refold import Found, refold
from sagas.core.saga import Saga
from sagas.ports import Clock, SagaTable
from sagas.restoring import TableLost, TableRebuilding
from sagas.runtime.histories import Histories
from sagas.runtime.operator import Operator, outlook_of
from sagas.runtime.views import SagaView, view_of
from sagas.wire.stored import decode_instance

__all__ = [
    "Choice",
    "Outcome",
    "Planned",
    "Replay",
    "Report",
    "chosen",
    "chosen_from_topics",
    "plan_of",
    "report_of",
]

_STATUSES = (SagaStatus.PARKED, SagaStatus.COMPENSATING, SagaStatus.FAILED)
_ALL_MAX = 10_000_000
_POLL_S = 0.1
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which instances of a saga are meant; all of these apply.

    ``statuses`` empty means those in which a compensation may be left. ``steps`` are steps of which one
    has to be left. ``since_ms`` and ``until_ms`` bound the last change, in milliseconds since the epoch.
    ``ids`` None means all.
    """

    statuses: Collection[SagaStatus] = ()
    steps: frozenset[str] = frozenset()
    since_ms: int = 0
    until_ms: int | None = None
    ids: frozenset[str] | None = None

    def fits_time(self, changed_at_ms: int) -> bool:
        """Whether the last change lies in the range."""
        return self.since_ms <= changed_at_ms and (
            self.until_ms is None or changed_at_ms <= self.until_ms
        )

    def fits(self, instance: Instance, *, again: Again | None) -> bool:
        """Whether the instance is meant, as far as it can tell by itself."""
        statuses = self.statuses or (
            _STATUSES if again is None else (*_STATUSES, SagaStatus.COMPENSATED)
        )
        left = {step.name for step in instance.definition.steps if instance.outstanding(step)}
        return (
            instance.status in statuses
            and (self.ids is None or instance.saga_id in self.ids)
            and (not self.steps or bool(self.steps & left))
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be asked of one saga; nothing, and why not, if ``requests`` is empty."""

    instance: Instance
    requests: tuple[Event, ...]
    why: str


class Outcome(StrEnum):
    """What came of one saga."""

    UNDONE = "undone"
    """Nothing is left of what was asked for."""
    FAILED = "failed again"
    ASKED = "asked"
    """It is under way: nobody has said yet how it ended."""
    NOTHING = "nothing to do"
    PLANNED = "planned"
    """A dry run: nothing was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A line of the report. ``left`` are the steps that are still in the ledger."""

    saga: str
    saga_id: str
    before: SagaStatus
    after: SagaStatus
    asked: tuple[str, ...]
    outcome: Outcome
    left: tuple[str, ...]
    why: str


def plan_of(instance: Instance, *, again: Again | None, by: str, why: str) -> Planned:
    """What to ask of a saga so that its compensations are run; pure.

    With ``again`` that step's is run once more under that epoch. Else what is left is: what was given up,
    under the next epoch; what blocks the saga, or waits, by trying it again.
    """
    if again is not None:
        return _plan_again(instance, again, by, why)
    left = [step for step in instance.definition.steps if instance.outstanding(step)]
    requests: list[Event] = [
        AgainRequested(step=step.name, epoch=instance.again_epoch(step) + 1, by=by, why=why)
        for step in left
        if _has_failed(instance, step)
    ]
    if len(requests) < len(left):
        requests.append(RetryRequested(by=by, why=why))
    return Planned(instance, tuple(requests), "" if requests else "nothing is left to undo")


def _has_failed(instance: Instance, step: StepDefinition) -> bool:
    """Whether the step's compensation ended, badly, and is not under way once more."""
    ended = instance.given_up(step) or instance.again_epoch(step) > 0
    return ended and not instance.owed_epoch(step)


def _plan_again(instance: Instance, again: Again, by: str, why: str) -> Planned:
    step = instance.definition.by_name[again.step]
    if outlook_of(instance, again, 0).emissions:
        request = AgainRequested(step=again.step, epoch=again.epoch, by=by, why=why)
        return Planned(instance, (request,), "")
    epoch = instance.again_epoch(step)
    if epoch == again.epoch and instance.owed_epoch(step):
        return Planned(instance, (RetryRequested(by=by, why=why),), "")
    if epoch >= again.epoch:
        return Planned(instance, (), f"it has run under epoch {epoch} already")
    return Planned(instance, (), f"the compensation of {again.step} has never run to an end")


async def chosen_from_topics(
    histories: Histories, saga: type[Saga], choice: Choice, *, again: Again | None
) -> AsyncIterator[Instance]:
    """The instances that are meant, folded from the topics: for a table that has lost them.

    Holds one portion of the topics at a time. Participants find out what their table lacks, and put it
    back, when they handle what is asked. Raises BrokerUnavailable.
    """
    homeless: dict[str, list[Found]] = {}
    for partitions in await histories.portions():
        portion = await histories.read(
            partitions, wanted=lambda one: choice.ids is None or one in choice.ids
        )
        for saga_id, events in portion.events.items():
            found = [*homeless.pop(saga_id, ()), *events]
            refolded = refold(saga.definition, saga_id, found)
            if refolded is None:
                homeless[saga_id] = found
                continue
            instance = refolded.instance
            changed_ms = max(fact.at_ms for fact in instance.facts.values())
            if choice.fits_time(changed_ms) and choice.fits(instance, again=again):
                yield instance


async def chosen(
    table: SagaTable, saga: type[Saga], choice: Choice, *, again: Again | None
) -> AsyncIterator[Instance]:
    """The instances in the table that are meant, those that changed first on top.

    Raises TableUnavailable, and ContractViolation for one that another version of the saga wrote.
    """
    statuses = choice.statuses or (*_STATUSES, SagaStatus.COMPENSATED)
    listed = await table.list_sagas(saga.name, statuses=list(statuses), limit=_ALL_MAX)
    for line in reversed(listed):
        if choice.fits_time(line.changed_at_ms) and (
            choice.ids is None or line.saga_id in choice.ids
        ):
            row = await table.load(saga.name, line.saga_id)
            if row is not None:
                instance = decode_instance(saga.definition, line.saga_id, row.state)
                if choice.fits(instance, again=again):
                    yield instance


class Replay:
    """Asks, at a pace, and waits for what comes of it."""

    def __init__(
        self,
        saga: type[Saga],
        *,
        table: SagaTable,
        operator: Operator,
        clock: Clock,
        pause_s: float = 0.0,
        wait_s: float = 30.0,
    ) -> None:
        self._saga = saga
        self._table = table
        self._operator = operator
        self._clock = clock
        self._pause_s = pause_s
        self._wait_s = wait_s

    async def run(self, plans: Sequence[Planned]) -> AsyncIterator[Report]:
        """Ask each saga what is planned and report on it as soon as it is known, in any order.

        Raises TableUnavailable and BrokerUnavailable; what was asked by then goes on.
        """
        waiting: set[asyncio.Task[Report]] = set()
        try:
            for number, plan in enumerate(plans):
                if number and plan.requests:
                    await self._clock.sleep(self._pause_s)
                waiting.add(asyncio.create_task(self._one(plan)))
                done, waiting = await asyncio.wait(
                    waiting,
                    timeout=None if len(waiting) >= _AT_ONCE else 0,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    yield task.result()
            for finished in asyncio.as_completed(waiting):
                yield await finished
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _one(self, plan: Planned) -> Report:
        before = plan.instance
        if not plan.requests:
            return report_of(plan, before, Outcome.NOTHING)
        for request in plan.requests:
            await self._operator.ask(self._saga.name, before.saga_id, request)
        until_ms = self._clock.now_ms() + self._wait_s * 1000
        while True:
            view, after = await self._look(before)
            outcome = _outcome(plan, after)
            if outcome is not Outcome.ASKED or self._clock.now_ms() >= until_ms:
                return report_of(plan, after, outcome, view)
            await self._clock.sleep(_POLL_S)

    async def _look(self, before: Instance) -> tuple[SagaView | None, Instance]:
        """As it is now; as it was before while the table has not got it back."""
        definition, saga_id = self._saga.definition, before.saga_id
        try:
            row = await self._table.load(self._saga.name, saga_id, events=True)
        except (TableLost, TableRebuilding):
            row = None
        if row is None:
            return None, before
        return view_of(definition, saga_id, row), decode_instance(definition, saga_id, row.state)


def report_of(
    plan: Planned, after: Instance, outcome: Outcome, view: SagaView | None = None
) -> Report:
    """The line of the report for one saga."""
    errors = [one.error for one in view.outstanding if one.error] if view is not None else []
    failed = "; ".join(errors) if outcome is Outcome.FAILED else ""
    return Report(
        saga=after.definition.saga,
        saga_id=after.saga_id,
        before=plan.instance.status,
        after=after.status,
        asked=tuple(_asked(plan.requests)),
        outcome=outcome,
        left=tuple(step.name for step in after.definition.steps if after.outstanding(step)),
        why=failed or plan.why,
    )


def _asked(requests: Iterable[Event]) -> Iterable[str]:
    for request in requests:
        if isinstance(request, AgainRequested):
            yield f"{request.step} once more, epoch {request.epoch}"
        else:
            yield "try again"


def _outcome(plan: Planned, after: Instance) -> Outcome:
    """Whether what was asked for has come to an end, well or not."""
    steps = after.definition.by_name
    epochs = {r.step: r.epoch for r in plan.requests if isinstance(r, AgainRequested)}
    for name, epoch in epochs.items():
        if after.again_epoch(steps[name]) < epoch or after.owed_epoch(steps[name]):
            return Outcome.ASKED
    if any(after.outstanding(steps[name]) for name in epochs):
        return Outcome.FAILED
    nothing_else = len(epochs) == len(plan.requests)
    if nothing_else or not any(map(after.outstanding, after.definition.steps)):
        return Outcome.UNDONE
    parked_anew = set(after.parked) - set(plan.instance.parked)
    return Outcome.FAILED if parked_anew else Outcome.ASKED
