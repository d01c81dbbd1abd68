"""Running a handler to its end: attempts, the participant's journal, threads for plain functions.

Owns what an exception means. Never touches the saga table or a topic.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog

from sagas.context import StepContext
from sagas.core.decide import ActionResult, ResultKind
from sagas.core.definition import Direction
from sagas.core.enabled import Action
from sagas.core.errors import (
    ContractViolation,
    InvalidMessage,
    RetriableError,
    StepAbandoned,
)
from sagas.core.events import Event
from sagas.core.retry import Retry
from sagas.core.starts import key_of_instance
from sagas.core.upcasting import Upcasting
from sagas.ports import Clock, Ids, Journal, JournalKey, JournalOutcome, Superseded, Tombstone
from sagas.ports.telemetry import Watch
from sagas.runtime.incoming import VALUE_BYTES_MAX, decode_former, decode_payload
from sagas.runtime.isolation import Isolation
from sagas.runtime.patience import Patience, cancellations
from sagas.runtime.words import named, words_of
from sagas.service import Handler

__all__ = ["Call", "Execution", "Pauses", "Performed", "attempt_until_done", "invoke", "words_of"]

_log = structlog.get_logger()

_RAISED_NO_EXCEPTION = "exceptions must derive from BaseException"
"""What Python says of ``raise`` with an event."""


class Performed(NamedTuple):
    """How an action ended. ``payload`` is the returned event's JSON; ``error`` says why it failed."""

    result: ActionResult
    payload: bytes = b""
    error: str = ""
    attempts: int = 1


Postpone = Callable[[int, str, float], Awaitable[bool]]
Attempt = Callable[[int], Awaitable[Performed]]

_CROWDED = "too many wait for this handler already"


class Call(NamedTuple):
    """An action with everything its handler gets. ``outcome`` is the recorded one, for an undo.

    ``made`` attempts have failed before; ``postpone`` is asked after another one, with its number, error
    and the pause to come, in seconds, whether somebody else brings the next. ``has_expired`` is asked
    before each. What the journal holds from before ``journal_since_ms`` is of an earlier saga; it may hold an
    outcome in one of the ``formers``, by which an older worker has told it.
    """

    action: Action
    handler: Handler
    triggers: tuple[Event, ...]
    outcome: Event | None
    context: StepContext
    retry: Retry
    key_field: str
    outcome_types: Mapping[str, type[Event]]
    has_expired: Callable[[], bool]
    postpone: Postpone
    made: int = 0
    starts: bool = False
    journal_since_ms: int = 0
    formers: Mapping[str, Upcasting] = MappingProxyType({})
    watch: Watch | None = None


class Execution:
    """Runs the handlers of one service."""

    def __init__(
        self,
        *,
        resources: Mapping[type, object],
        journal: Journal | None,
        clock: Clock,
        ids: Ids,
        patience: Patience,
        heard: Callable[[Exception], None] = lambda _: None,
        isolation: Isolation | None = None,
    ) -> None:
        self._resources = resources
        self._isolation = isolation
        self._journal = journal
        self._pauses = Pauses(clock, ids, heard)
        self._patience = patience

    async def perform(self, call: Call) -> Performed:
        """Run the handler until it returns, refuses, is rejected, is postponed, or its attempts are used
        up. Where the saga waits for it no longer, it has failed, and nobody minds.

        With a journal the effect and its outcome commit together, and an action that ran before returns
        the outcome of that time. Without one the handler may run more than once with the same
        idempotency key. A journal that is away is waited for; that is no attempt.
        """

        async def attempt(number: int) -> Performed:
            if call.has_expired():
                return Performed(ActionResult(ResultKind.EXPIRED), attempts=number - 1)
            numbered = call
            if number > 1:
                numbered = call._replace(context=replace(call.context, attempt=number))
            try:
                once = self._once if call.watch is None else self._watched
                outcome = await once(numbered)
            except Tombstone:
                return Performed(ActionResult(ResultKind.REJECTED), attempts=number)
            except Superseded:
                return Performed(ActionResult(ResultKind.SUPERSEDED), attempts=number)
            except StepAbandoned as abandoned:
                _log.info("step.abandoned", handler=call.handler.name, attempt=number)
                failed = ActionResult(ResultKind.FAILED)
                return Performed(failed, error=f"StepAbandoned: {abandoned}", attempts=number)
            except _HandlerError as error:
                raise error.cause from None
            result = _result(call, outcome.type)
            return Performed(result, payload=outcome.payload, attempts=number)

        done = await attempt_until_done(
            *(self._isolated(call, attempt), self._pauses, call.handler.name, call.retry),
            made=call.made,
            postpone=call.postpone,
        )
        if isinstance(done, Performed):
            return done
        attempts, error = done
        text = named(error)
        return Performed(ActionResult(ResultKind.FAILED), error=text, attempts=attempts)

    def _isolated(self, call: Call, attempt: Attempt) -> Attempt:
        """The attempt once its step and its tenant have room; postponed where too many wait already."""
        isolation = self._isolation
        if isolation is None:
            return attempt
        action, tenant = call.action, call.context.tenant
        place = (call.context.saga, action.step.name, action.direction)

        async def in_turn(number: int) -> Performed:
            if isolation.is_crowded(place, tenant) and not call.has_expired():
                made = number - 1
                if await call.postpone(made, _CROWDED, isolation.elsewhere_s):
                    return Performed(ActionResult(ResultKind.POSTPONED), attempts=made)
            async with isolation.entered(place, tenant):
                return await attempt(number)

        return in_turn

    def _once(self, call: Call) -> Awaitable[JournalOutcome]:
        if self._journal is None:
            return self._run(call, self._resources, call.outcome)
        return self._patience.insist(lambda: self._journaled(call))

    async def _watched(self, call: Call) -> JournalOutcome:
        assert call.watch is not None  # noqa: S101 - the only caller has looked
        with call.watch.attempt(call.action, call.context.attempt):
            return await self._once(call)

    async def _journaled(self, call: Call) -> JournalOutcome:
        journal = self._journal
        assert journal is not None  # noqa: S101 - the only caller has looked
        context, action = call.context, call.action
        key = JournalKey(
            context.saga, context.saga_id, action.step.name, action.direction, action.epoch
        )

        async def forward(transaction: object) -> JournalOutcome:
            return await self._run(call, self._with(transaction), None)

        async def undo(transaction: object, recorded: JournalOutcome | None) -> JournalOutcome:
            return await self._run(call, self._with(transaction), _outcome(call, recorded))

        if action.direction is Direction.FORWARD:
            return await journal.forward(key, forward, since_ms=call.journal_since_ms)
        return await journal.undo(key, undo, since_ms=call.journal_since_ms)

    def _with(self, transaction: object) -> Mapping[type, object]:
        return {**self._resources, type(transaction): transaction}

    async def _run(
        self, call: Call, resources: Mapping[type, object], outcome: Event | None
    ) -> JournalOutcome:
        context = call.context
        if resources is not self._resources:
            context = replace(context, resources=resources)
        arguments: tuple[object, ...] = call.triggers
        if call.action.direction is Direction.UNDO and not call.starts:
            arguments = (*arguments, outcome)
        try:
            returned = await invoke(call.handler, *arguments, context)
        except RetriableError as error:
            raise _HandlerError(error) from error
        except TypeError as error:
            if str(error) != _RAISED_NO_EXCEPTION:
                raise
            raise ContractViolation(
                f"{call.handler.name} raises what is no exception. If it is an event: a refusal is "
                "returned, not raised."
            ) from error
        return _checked(call, returned)


class _HandlerError(Exception):
    """Carries a handler's RetriableError past those who wait for the journal: an attempt has failed."""

    def __init__(self, cause: RetriableError) -> None:
        super().__init__(cause)
        self.cause = cause


def _result(call: Call, type_: str) -> ActionResult:
    if type_ in call.formers:
        return ActionResult(
            ResultKind.RETURNED, call.formers[type_].current.event_type, written=type_
        )
    return ActionResult(ResultKind.RETURNED, type_)


def _outcome(call: Call, recorded: JournalOutcome | None) -> Event | None:
    """The done event that the journal holds. A refusal had no effect: nothing is to be undone.

    Raises ContractViolation for one of a former version that can not be upcast.
    """
    done = call.action.step.done
    if recorded is None:
        return None
    way = call.formers.get(recorded.type)
    if way is not None and way.current.event_type in done:
        return _upcast(way, recorded.payload)
    if recorded.type not in done:
        return None
    return call.outcome_types[recorded.type].model_validate_json(recorded.payload)


def _upcast(way: Upcasting, payload: bytes) -> Event:
    try:
        return decode_former(way, payload)
    except InvalidMessage as error:
        raise ContractViolation(f"What the handler has returned, now or before: {error}") from error


def _checked(call: Call, returned: object) -> JournalOutcome:
    """The returned event, encoded. Raises ContractViolation for anything that was not declared."""
    step = call.action.step
    if call.action.direction is Direction.UNDO:
        allowed: tuple[str, ...] = (step.undone or "",)
    elif step.otherwise is None:
        allowed = step.done + step.refused
    else:
        allowed = (*step.done, *step.refused, step.otherwise)
    way = None
    if not isinstance(returned, Event):
        raise _undeclared(call, returned, allowed)
    if returned.event_type not in allowed:
        way = call.formers.get(returned.event_type)
        if way is None or way.current.event_type not in allowed:
            raise _undeclared(call, returned, allowed)
    key = str(getattr(returned, call.key_field))
    saga_id = call.context.saga_id
    if (key != saga_id or "~" in key) and key != key_of_instance(saga_id):
        raise ContractViolation(
            f"{call.handler.name} returned {returned.event_type} with {call.key_field}={key!r} in "
            f"the saga {saga_id!r}; hand the saga's own key on."
        )
    payload = returned.model_dump_json().encode()
    if len(payload) > VALUE_BYTES_MAX:
        raise ContractViolation(
            f"{call.handler.name} returned {returned.event_type} with {len(payload)} bytes; at most "
            f"{VALUE_BYTES_MAX} fit. Keep large content elsewhere and send a reference to it."
        )
    if way is not None:
        _upcast(way, payload)
        return JournalOutcome(returned.event_type, payload)
    try:
        decode_payload(call.outcome_types[returned.event_type], returned.event_type, payload)
    except InvalidMessage as error:
        raise ContractViolation(
            f"{call.handler.name} returned an event that nobody can read. {error}. Its JSON has to fit "
            "the same model: a float that is not a number, or an alias, does not."
        ) from error
    return JournalOutcome(returned.event_type, payload)


def _undeclared(call: Call, returned: object, allowed: tuple[str, ...]) -> ContractViolation:
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        return ContractViolation(
            f"{call.handler.name} returned {returned!r:.200}, which is not run yet: an `await` is missing."
        )
    seen = returned.event_type if isinstance(returned, Event) else repr(returned)[:200]
    return ContractViolation(
        f"{call.handler.name} returned {seen}; {call.action.step.name} may return {' or '.join(allowed)}."
    )


async def invoke(handler: Handler, *arguments: object) -> object:
    """Call a handler; a plain function runs in a thread, so that it holds nobody up."""
    if handler.is_async:
        result: Any = await handler.function(*arguments)
        return result
    return await asyncio.to_thread(handler.function, *arguments)


class Pauses:
    """Waits between attempts, each for a time of its own. ``heard`` gets what each has failed with."""

    def __init__(
        self, clock: Clock, ids: Ids, heard: Callable[[Exception], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._heard = heard

    def after(self, attempt: int, error: Exception, retry: Retry) -> float | None:
        """The pause after a failed attempt, in seconds; None if there is to be no other."""
        self._heard(error)
        chance = int(self._ids.new()[-8:], 16) / 0xFFFFFFFF
        return retry.delay_s(attempt, chance) if retry.is_retriable(error) else None

    async def wait(self, seconds: float) -> None:
        """Let that time pass; the message stays in flight and holds back nobody but its own saga."""
        await self._clock.sleep(seconds)


async def _stays(_number: int, _error: str, _pause_s: float) -> bool:
    return False


async def attempt_until_done(
    attempt: Attempt,
    pauses: Pauses,
    name: str,
    retry: Retry,
    *,
    made: int = 0,
    postpone: Postpone = _stays,
) -> Performed | tuple[int, Exception]:
    """The first attempt that ends well or is postponed, or the number of attempts and the last error.

    A broken contract is a bug, and stays one: it is not tried again. A cancellation from within the
    handler is an error like any other; one of the worker's own passes through, also where the handler,
    or a driver below it, answers it by an error.
    """
    number, cancelled = made, cancellations()
    while True:
        number += 1
        try:
            return await attempt(number)
        except asyncio.CancelledError as error:
            if cancellations() > cancelled:
                raise
            failure: Exception = RuntimeError(f"the handler was cancelled from within: {error!r}")
        except Exception as error:
            if cancellations() > cancelled:
                raise asyncio.CancelledError from error
            failure = error
        pause_s = pauses.after(number, failure, retry)
        _log.warning(
            "handler.failed",
            handler=name,
            attempt=number,
            final=pause_s is None,
            next_attempt_in_s=pause_s,
            error=named(failure),
            exc_info=failure if pause_s is None else None,
        )
        if pause_s is None:
            return number, failure
        if await postpone(number, named(failure), pause_s):
            return Performed(ActionResult(ResultKind.POSTPONED), attempts=number)
        await pauses.wait(pause_s)
