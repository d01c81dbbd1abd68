"""An event loop in virtual time whose order is drawn from a seed, and the processes that run on it.

Owns what runs when. One thread, no sockets and no wall clock: the same seed gives the same order,
whatever the hash seed and wherever objects lie in memory. It must never wait for anything outside.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from operator import attrgetter
from typing import Any, TypeVar

__all__ = ["Livelock", "Process", "SeededLoop", "run"]

T = TypeVar("T")

_TURNS_MAX = 100_000
"""Turns of the loop at one moment of virtual time, after which nobody believes in an end."""

_TASKS_KEPT = 64


class Livelock(AssertionError):
    """Tasks wake each other without end, and no time passes."""


class Process:
    """What dies, and is held up, as one: a worker with all its tasks.

    A process that is ``held`` stands still in the middle of whatever it does, as under SIGSTOP; one
    that is ``dead`` is cut off at its next await, and its calls to the world reach nobody.
    """

    def __init__(self) -> None:
        self.dead = False
        self.held = False
        self.waiting: list[asyncio.Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._limit = _TASKS_KEPT

    def take_on(self, task: asyncio.Task[Any]) -> None:
        """A task that the process has started."""
        self._tasks.append(task)
        if len(self._tasks) > self._limit:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._limit = 2 * len(self._tasks) + _TASKS_KEPT

    def kill(self) -> None:
        """Cut off every task where it stands, in the order in which they were started."""
        self.dead = True
        for task in self._tasks:
            task.cancel()

    def context(self) -> Context:
        """A context in which everything that is started belongs to this process."""
        context = Context()
        context.run(_PROCESS.set, self)
        return context


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class SeededLoop(asyncio.BaseEventLoop):
    """Runs all that is ready at a moment in a drawn order, then skips to the next moment.

    ``threads`` run in place: what is handed to an executor is done before the next task is.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._now_s = 0.0
        self._shuffle = chance.shuffle
        self._over: Callable[[], bool] = _never
        self._until_s = 0.0
        self._is_over = False
        self._turns = 0
        self.set_exception_handler(_say_nothing)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def run_until(self, over: Callable[[], bool], until_s: float) -> bool:
        """Run until it is over, which is asked whenever nothing more happens at a moment.

        False if that time comes first, or if nobody can go on whatever time passes. Raises Livelock.
        """
        self._over, self._until_s, self._is_over = over, until_s, False
        self._turns = 0
        self.run_forever()
        return self._is_over

    def release(self, process: Process) -> None:
        """Let a process that was held go on."""
        process.held = False
        self._ready.extend(process.waiting)
        process.waiting.clear()

    def create_task(self, coro: Any, *, name: object = None, context: Any = None) -> Any:
        """Start a task, on behalf of the process that starts it."""
        task = super().create_task(coro, name=name, context=context)
        process = _PROCESS.get() if context is None else context.get(_PROCESS)
        if process is not None:
            process.take_on(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Any,  # noqa: ARG002 - there is none
        func: Any,
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Run it here and now: a thread would bring chance of its own."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def call_soon_threadsafe(self, *args: Any, **more: Any) -> Any:  # type: ignore[override]
        """Within the loop's own thread only."""
        return self.call_soon(*args, **more)

    # --- inside -----------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._move_on():
            self.stop()
            return
        batch = list(ready)
        ready.clear()
        if len(batch) > 1:
            self._shuffle(batch)
        for handle in batch:
            if handle._cancelled:  # noqa: SLF001 - the loop's own
                continue
            process = _context_of(handle).get(_PROCESS)
            if process is not None and process.held:
                process.waiting.append(handle)
                continue
            handle._run()  # noqa: SLF001
        self._turns += 1
        if self._turns > _TURNS_MAX:
            busy = "; ".join(sorted({_words(handle) for handle in batch})[:3])
            raise Livelock(f"{_TURNS_MAX} turns at {self._now_s:.3f} s, and no end of it: {busy}")

    def _move_on(self) -> bool:
        """Skip to the next moment at which something is to happen; False if it is over."""
        if self._over():
            self._is_over = True
            return False
        if self._ready:
            return True
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:  # noqa: SLF001
            _unschedule(heapq.heappop(scheduled))
        if not scheduled or scheduled[0].when() > self._until_s:
            if scheduled:
                self._now_s = max(self._now_s, self._until_s)
            return False
        self._now_s = max(self._now_s, scheduled[0].when())
        self._turns = 0
        while scheduled and scheduled[0].when() <= self._now_s:
            self._ready.append(_unschedule(heapq.heappop(scheduled)))
        return True

    def _write_to_self(self) -> None:
        """Nobody else is there to be woken."""

    def _process_events(self, event_list: object) -> None:
        """There are none."""


def run(main: Coroutine[Any, Any, T], *, seed: int = 0) -> T:
    """Run a coroutine in a loop of its own. Raises AssertionError if nobody can go on."""
    loop = SeededLoop(random.Random(seed))
    try:
        task: asyncio.Task[T] = loop.create_task(main)
        if not loop.run_until(task.done, float("inf")):
            raise AssertionError("everybody waits, and nobody for a time")
        return task.result()
    finally:
        left = asyncio.all_tasks(loop)
        for one in left:
            one.cancel()
        loop.run_until(lambda: all(one.done() for one in left), loop.time() + 1_000)
        loop.close()


def _words(handle: asyncio.Handle) -> str:
    """What a handle would run: the task, if it is one's."""
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return f"{owner if isinstance(owner, asyncio.Task) else handle!r}"[:300]


_context_of: Callable[[asyncio.Handle], Context] = attrgetter("_context")


def _unschedule(handle: asyncio.TimerHandle) -> asyncio.TimerHandle:
    """A handle that is taken out of the heap says so, as the loop's own code expects of it."""
    handle._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001
    return handle


def _never() -> bool:
    return False


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a cut off task leaves behind is no news."""
