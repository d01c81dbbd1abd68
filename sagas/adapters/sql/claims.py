"""Who performs a step: claims on steps of instances, made, read and recorded in batches.

A claim is a lock of PostgreSQL on the step's name (``pg_try_advisory_lock``), held by one connection
of this journal for all its actions under way. It excludes every other worker for as long as that
connection lives, like a row that an open transaction has inserted, but needs no transaction of its
own, so any number of claims, outcomes and releases travel in one statement: steps that meet in one
turn of the event loop share three round trips and one commit.

Owns that connection: taken from the engine's pool while any claim is held, given back after. What a
claim excludes while it is held, the primary key excludes for good: a claim that is lost with its
connection costs an action done twice and once rolled back, never an effect. It must never report an
outcome as recorded before its commit was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql.statements import BatchStatements
from sagas.adapters.sql.transactions import as_unavailable
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable

__all__ = ["Claims", "Recorded"]

_BATCH_MAX: Final = 500
_LINGER_S: Final = 0.01
_PAUSE_S: Final = 0.005
_PAUSE_MAX_S: Final = 0.25

_Step = tuple[str, str, str]


class Recorded(NamedTuple):
    """The row of a forward action."""

    kind: str
    type: str | None
    payload: bytes | None
    created_ms: int


class _Answer(NamedTuple):
    """What became of a wish for a claim. ``lock_timeout_s`` is the server's; 0 is for ever."""

    granted: bool
    row: Recorded | None = None
    lock_timeout_s: float = 0.0


class _Wish(NamedTuple):
    """A claim, or an outcome to be recorded, that waits for its turn in a batch."""

    step: _Step
    answer: asyncio.Future[Any]
    outcome: JournalOutcome | None = None


class Claims:
    """The claims of one journal. Calls of one turn of the event loop travel together."""

    def __init__(self, engine: AsyncEngine, statements: BatchStatements) -> None:
        self._engine = engine
        self._statements = statements
        self._turns: WeakValueDictionary[_Step, asyncio.Lock] = WeakValueDictionary()
        self._wanted: list[_Wish] = []
        self._outcomes: list[_Wish] = []
        self._released: list[_Step] = []
        self._held: set[_Step] = set()
        self._wake = asyncio.Event()
        self._server: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def step(self, key: JournalKey) -> AsyncIterator[Recorded | None]:
        """Hold the step; gives the row of its forward action as it is then, if there is one.

        Waits for whoever holds it, here or in another process, for as long as the server's
        ``lock_timeout`` says. Raises JournalUnavailable.
        """
        step = key[:3]
        async with self._turns.setdefault(step, asyncio.Lock()):
            try:
                yield await self._claim(step)
            finally:
                self._release(step)

    async def record(self, key: JournalKey, outcome: JournalOutcome) -> bool:
        """Commit the outcome of the step's forward action; False if there is a row already.

        Raises JournalUnavailable: then whether it was committed is not known.
        """
        inserted: bool = await self._ask(self._outcomes, key[:3], outcome)
        return inserted

    async def _claim(self, step: _Step) -> Recorded | None:
        pause_s, waited_s = _PAUSE_S, 0.0
        while True:
            answer: _Answer = await self._ask(self._wanted, step)
            if answer.granted:
                return answer.row
            if 0 < answer.lock_timeout_s <= waited_s:
                raise JournalUnavailable(
                    f"{'/'.join(step)}: another worker is at this step, and has been for longer than "
                    f"the lock timeout of {answer.lock_timeout_s:g} s. Run it again; if this stays, "
                    "see what holds that worker up."
                )
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)

    def _release(self, step: _Step) -> None:
        if step in self._held:  # else it was never granted, or lost with its connection
            self._held.discard(step)
            self._released.append(step)
            self._wake.set()

    async def _ask(
        self, wishes: list[_Wish], step: _Step, outcome: JournalOutcome | None = None
    ) -> Any:
        """The answer. A connection that was lost is replaced once: an outcome in hand need not be found
        by another run of its action, and one that came through before is a row that is there.
        """
        try:
            return await self._ask_once(wishes, step, outcome)
        except _ConnectionLostError:
            pass
        try:
            return await self._ask_once(wishes, step, outcome)
        except _ConnectionLostError as lost:
            raise lost.error from lost

    async def _ask_once(
        self, wishes: list[_Wish], step: _Step, outcome: JournalOutcome | None
    ) -> Any:
        answer = asyncio.get_running_loop().create_future()
        wishes.append(_Wish(step, answer, outcome))
        self._wake.set()
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve(), name="sagas-journal")
        return await answer

    @property
    def _is_asked(self) -> bool:
        return bool(self._wanted or self._outcomes or self._released)

    async def _serve(self) -> None:
        """Serve until nothing is asked and nothing is held; whatever ends it, nobody waits on."""
        try:
            while self._is_asked:
                try:
                    await self._serve_on_connection()
                except _ConnectionLostError as lost:
                    self._fail(lost)
                except Exception as error:  # noqa: BLE001 - those who asked get it
                    self._fail(as_unavailable(self._engine, error, begun=False))
        except BaseException:
            self._fail(None)
            raise

    async def _serve_on_connection(self) -> None:
        async with self._engine.connect() as connection:
            pool = self._engine.pool
            try:
                driver = (await connection.get_raw_connection()).driver_connection
                while self._is_asked or self._held:
                    if await self._has_company():
                        await asyncio.sleep(0)  # whoever asks in this turn comes along
                        await self._turn(driver)
                if self._engine.pool is not pool:
                    await (
                        connection.invalidate()
                    )  # the engine was disposed of: nobody would close it
            except BaseException as error:
                await connection.invalidate()  # and with it all that it has locked
                if not isinstance(error, Exception):
                    raise
                seen = as_unavailable(self._engine, error, begun=True)
                if isinstance(seen, JournalUnavailable):
                    raise _ConnectionLostError(seen) from error
                raise

    async def _has_company(self) -> bool:
        """Wait until there is something to do; whether there is.

        Nobody waits for a release. It goes with the next claim or, if none comes, by itself a little
        later: at a low rate that saves a statement and a checkout of the connection for each step.
        """
        if self._wanted or self._outcomes:
            return True
        self._wake.clear()
        try:
            async with asyncio.timeout(_LINGER_S if self._released else None):
                await self._wake.wait()
        except TimeoutError:
            return True
        return bool(self._wanted or self._outcomes)

    def _fail(self, error: Exception | None) -> None:
        """Answer everybody with the error, or with a cancellation. No claim is left."""
        self._held.clear()
        self._released.clear()
        for wishes in (self._wanted, self._outcomes):
            for wish in wishes:
                if error is None:
                    wish.answer.cancel()
                elif not wish.answer.done():
                    wish.answer.set_exception(error)
            wishes.clear()

    async def _turn(self, driver: Any) -> None:
        """One round of statements. A wish leaves its list once it is answered."""
        if outcomes := self._outcomes[:_BATCH_MAX]:
            await self._record(driver, outcomes)
            del self._outcomes[: len(outcomes)]
        released, wanted = self._released[:_BATCH_MAX], self._wanted[:_BATCH_MAX]
        if released or wanted:
            await self._lock(driver, released, wanted)
            del self._released[: len(released)], self._wanted[: len(wanted)]

    async def _record(self, driver: Any, wishes: Sequence[_Wish]) -> None:
        # In one order everywhere, so that two of these never wait for each other's rows.
        ordered = sorted(wishes, key=lambda wish: wish.step)
        rows = await driver.fetch(
            self._statements.record,
            *_columns(ordered),
            [wish.outcome.type for wish in ordered if wish.outcome],
            [wish.outcome.payload for wish in ordered if wish.outcome],
        )
        inserted = {tuple(row) for row in rows}
        for wish in wishes:
            _answer(wish, wish.step in inserted)

    async def _lock(self, driver: Any, released: Sequence[_Step], wanted: Sequence[_Wish]) -> None:
        """Release and claim in one statement; look, in the next one, at what is claimed.

        A statement sees what was committed when it began: one that claims and looks could miss
        the outcome of whoever held the claim until then.
        """
        names = ["\x1f".join(step) for step in released]
        names += ["\x1f".join(wish.step) for wish in wanted]
        takes = [False] * len(released) + [True] * len(wanted)
        rows = await driver.fetch(self._statements.lock, names, takes)
        done = [is_done for (is_done,) in rows[len(released) :]]
        granted = [wish for wish, is_granted in zip(wanted, done, strict=True) if is_granted]
        self._held.update(wish.step for wish in granted)
        found: dict[int, Recorded] = {}
        if granted:
            looked = await driver.fetch(self._statements.look, *_columns(granted))
            found = {row[0]: Recorded(*row[1:]) for row in looked}
        for number, wish in enumerate(granted, start=1):
            if wish.answer.done():  # whoever wanted it is gone
                self._release(wish.step)
            _answer(wish, _Answer(granted=True, row=found.get(number)))
        if len(granted) < len(wanted):
            timeout_s = await driver.fetchval(self._statements.lock_timeout_ms) / 1000
            for wish in wanted:
                _answer(wish, _Answer(granted=False, lock_timeout_s=timeout_s))


class _ConnectionLostError(Exception):
    """The connection failed in the middle; ``error`` is what to say if it goes on."""

    def __init__(self, error: JournalUnavailable) -> None:
        super().__init__(str(error))
        self.error = error


def _columns(wishes: Sequence[_Wish]) -> tuple[list[str], list[str], list[str]]:
    return (
        [wish.step[0] for wish in wishes],
        [wish.step[1] for wish in wishes],
        [wish.step[2] for wish in wishes],
    )


def _answer(wish: _Wish, answer: object) -> None:
    if not wish.answer.done():
        wish.answer.set_result(answer)
