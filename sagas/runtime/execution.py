"""Running a handler to its end: attempts, the participant's journal, threads for plain functions.

Owns what an exception means. Never touches the saga table or a topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from sagas.context import context_told_by
from sagas.core.decide import ActionResult, ResultKind
from sagas.core.errors import ContractViolation, RetriableError, StepAbandoned
from sagas.core.events import Event
from sagas.core.retry import Retry
from sagas.ports import Clock, Ids, Journal, JournalKey, JournalOutcome, Superseded, Tombstone
from sagas.runtime.isolation import Isolation
from sagas.runtime.outcomes import Told, done_event, encoded
from sagas.runtime.patience import Patience, cancellations
from sagas.runtime.words import named, words_of
from sagas.service import Handler

if TYPE_CHECKING:
    from sagas.runtime.calls import Call

__all__ = ["Execution", "Pauses", "Performed", "attempt_until_done", "invoke", "words_of"]

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
        cancelled = 0 if call.task is None else call.task.cancelling()
        try:  # straight: nearly every action ends at its first attempt
            if self._isolation is None:
                return await self._attempt(call)
            return await self._in_turn(call, self._isolation)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
            failure = _failure(error, cancelled)
        try:
            return await self._again(call, failure, cancelled)
        finally:
            # It holds this frame by its traceback, and with it all that the handler was given.
            del failure

    async def _again(self, call: Call, failure: Exception, cancelled: int) -> Performed:
        """What follows a first attempt that has failed."""
        isolation = self._isolation

        async def attempt(number: int) -> Performed:
            numbered = call._replace(made=number - 1)
            if isolation is None:
                return await self._attempt(numbered)
            return await self._in_turn(numbered, isolation)

        assignment = call.assignment
        done = await _until_done(
            *(attempt, self._pauses, assignment.handler.name, assignment.retry),
            number=call.made + 1,
            failure=failure,
            cancelled=cancelled,
            postpone=call.postpone,
        )
        if isinstance(done, Performed):
            return done
        attempts, error = done
        text = named(error)
        return Performed(ActionResult(ResultKind.FAILED), error=text, attempts=attempts)

    async def _in_turn(self, call: Call, isolation: Isolation) -> Performed:
        """An attempt once its step and its tenant have room; postponed where too many wait already."""
        assignment, tenant = call.assignment, call.trail.tenant
        place = (assignment.saga, assignment.step.name, assignment.direction)
        crowded = isolation.is_crowded(place, tenant) and not call.has_expired()
        if crowded and await call.postpone(call.made, _CROWDED, isolation.elsewhere_s):
            return Performed(ActionResult(ResultKind.POSTPONED), attempts=call.made)
        async with isolation.entered(place, tenant):
            return await self._attempt(call)

    async def _attempt(self, call: Call) -> Performed:
        assignment, handler = call.assignment, call.assignment.handler
        if call.until_ms is not None and call.has_expired():
            return Performed(ActionResult(ResultKind.EXPIRED), attempts=call.made)
        try:
            if self._journal is None and call.watch is None and handler.is_async:
                # Straight: a coroutine and two calls less than by the way that all can go.
                returned = await handler.function(
                    *_arguments(call, self._resources, call.given.outcome)
                )
                type_, payload = encoded(assignment, call.at.saga_id, returned)
            elif call.watch is None:
                type_, payload = await self._once(call)
            else:
                with call.watch.attempt(call.action, call.made + 1):
                    type_, payload = await self._once(call)
        except Tombstone:
            return Performed(ActionResult(ResultKind.REJECTED), attempts=call.made + 1)
        except Superseded:
            return Performed(ActionResult(ResultKind.SUPERSEDED), attempts=call.made + 1)
        except StepAbandoned as abandoned:
            _log.info("step.abandoned", handler=handler.name, attempt=call.made + 1)
            failed, error = ActionResult(ResultKind.FAILED), f"StepAbandoned: {abandoned}"
            return Performed(failed, error=error, attempts=call.made + 1)
        except TypeError as error:
            _check_raised(error, handler)
            raise
        except _HandlerError as carried:
            raise carried.taken() from None
        result = assignment.results.get(type_) or assignment.result_of(type_)
        return Performed(result, payload, "", call.made + 1)

    def _once(self, call: Call) -> Awaitable[Told]:
        journal = self._journal
        if journal is None:
            return self._run(call, self._resources, call.given.outcome)
        return self._patience.insist(lambda: self._journaled(call, journal))

    async def _journaled(self, call: Call, journal: Journal) -> JournalOutcome:
        assignment, action, since_ms = call.assignment, call.action, call.journal_since_ms()
        key = JournalKey(
            assignment.saga, call.at.saga_id, action.step.name, action.direction, action.epoch
        )

        async def forward(transaction: object) -> JournalOutcome:
            return JournalOutcome(*await self._run(call, self._with(transaction), None))

        async def undo(transaction: object, recorded: JournalOutcome | None) -> JournalOutcome:
            outcome = done_event(assignment, recorded)
            return JournalOutcome(*await self._run(call, self._with(transaction), outcome))

        if assignment.undoes:
            return await journal.undo(key, undo, since_ms=since_ms)
        return await journal.forward(key, forward, since_ms=since_ms)

    def _with(self, transaction: object) -> Mapping[type, object]:
        return {**self._resources, type(transaction): transaction}

    async def _run(
        self, call: Call, resources: Mapping[type, object], outcome: Event | None
    ) -> Told:
        assignment, handler = call.assignment, call.assignment.handler
        arguments = _arguments(call, resources, outcome)
        try:
            if handler.is_async:
                returned = await handler.function(*arguments)
            else:
                returned = await asyncio.to_thread(handler.function, *arguments)
        except RetriableError as error:
            raise _HandlerError(error) from error
        except TypeError as error:
            _check_raised(error, handler)
            raise
        return encoded(assignment, call.at.saga_id, returned)


def _arguments(
    call: Call, resources: Mapping[type, object], outcome: Event | None
) -> tuple[object, ...]:
    context = context_told_by(call.told, resources)
    if call.assignment.takes_outcome:
        return (*call.given.triggers, outcome, context)
    return (*call.given.triggers, context)


def _check_raised(error: TypeError, handler: Handler) -> None:
    """Raise ContractViolation for what comes of ``raise`` with an event."""
    if str(error) == _RAISED_NO_EXCEPTION:
        raise ContractViolation(
            f"{handler.name} raises what is no exception. If it is an event: a refusal is returned, not "
            "raised."
        ) from error


class _HandlerError(Exception):
    """Carries a handler's RetriableError past those who wait for the journal: an attempt has failed."""

    def __init__(self, cause: RetriableError) -> None:
        super().__init__()
        self._carried: RetriableError | None = cause

    def taken(self) -> RetriableError:
        """The handler's error. Nothing here refers to it any more, as it will to this."""
        carried, self._carried = self._carried, None
        self.__cause__ = self.__context__ = None
        assert carried is not None  # noqa: S101 - it is taken once
        return carried


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
    attempt: Attempt, pauses: Pauses, name: str, retry: Retry
) -> Performed | tuple[int, Exception]:
    """The first attempt that ends well, or the number of attempts and the last error.

    A broken contract is a bug, and stays one: it is not tried again. A cancellation from within the
    handler is an error like any other; one of the worker's own passes through, also where the handler,
    or a driver below it, answers it by an error.
    """
    cancelled = cancellations()
    try:
        return await attempt(1)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
        failure = _failure(error, cancelled)
    try:
        return await _until_done(
            attempt, pauses, name, retry, number=1, failure=failure, cancelled=cancelled
        )
    finally:
        del failure  # see ``Execution.perform``


async def _until_done(
    attempt: Attempt,
    pauses: Pauses,
    name: str,
    retry: Retry,
    *,
    number: int,
    failure: Exception,
    cancelled: int,
    postpone: Postpone = _stays,
) -> Performed | tuple[int, Exception]:
    """The same after an attempt of that number has failed; it may also end as postponed."""
    try:
        while True:
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
            number += 1
            try:
                return await attempt(number)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
                failure = _failure(error, cancelled)
    finally:
        del failure  # see ``Execution.perform``


def _failure(error: Exception | asyncio.CancelledError, cancelled: int) -> Exception:
    """What an attempt has failed with. Raises the worker's own cancellation: one more than before."""
    if isinstance(error, asyncio.CancelledError):
        if cancellations() > cancelled:
            raise error
        return RuntimeError(f"the handler was cancelled from within: {error!r}")
    if cancellations() > cancelled:
        raise asyncio.CancelledError from error
    return error
