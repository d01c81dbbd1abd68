"""An event loop in virtual time whose order is drawn from a seed, and the processes that run on it.

Owns what runs when. One thread, no sockets and no wall clock: the same seed gives the same order,
whatever the hash seed and wherever objects lie in memory. It must never wait for anything outside.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

__all__ = ["Livelock", "Process", "SeededLoop", "run"]

T = TypeVar("T")

_TURNS_MAX = 100_000
"""Turns of the loop at one moment of virtual time, after which nobody believes in an end."""

_TASKS_KEPT = 64


class Livelock(AssertionError):
    """Tasks wake each other without end, and no time passes."""


class _Call(float):
    """What runs once its moment has come, in seconds of the loop's time; a handle, as asyncio calls it.

    It is a number, and has no ``__init__``: a run makes some 1,700 of them and compares 3,400.
    """

    __slots__ = ("args", "callback", "context")

    callback: Callable[..., object] | None
    args: tuple[Any, ...]
    context: Context

    def cancel(self) -> None:
        """Do nothing when the moment comes."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will do nothing."""
        return self.callback is None

    def when(self) -> float:
        """Its moment."""
        return float(self)


class _Tasks:
    """Tasks in the order in which they were started; those that are done are dropped now and then."""

    __slots__ = ("_limit", "started")

    def __init__(self) -> None:
        self.started: list[asyncio.Task[Any]] = []
        self._limit = _TASKS_KEPT

    def add(self, task: asyncio.Task[Any]) -> None:
        """One more."""
        self.started.append(task)
        if len(self.started) > self._limit:
            self.started = self.left
            self._limit = 2 * len(self.started) + _TASKS_KEPT

    @property
    def left(self) -> list[asyncio.Task[Any]]:
        """Those that are not done."""
        return [one for one in self.started if not one.done()]


class Process:
    """What dies, and is held up, as one: a worker with all its tasks.

    A process that is ``held`` stands still in the middle of whatever it does, as under SIGSTOP; one
    that is ``dead`` is cut off at its next await, and its calls to the world reach nobody.
    """

    def __init__(self) -> None:
        self.dead = False
        self.held = False
        self.waiting: list[_Call] = []
        self._tasks = _Tasks()

    def take_on(self, task: asyncio.Task[Any]) -> None:
        """A task that the process has started."""
        self._tasks.add(task)

    def kill(self) -> None:
        """Cut off every task where it stands, in the order in which they were started."""
        self.dead = True
        for task in self._tasks.started:
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

    _ready: list[_Call]
    _scheduled: list[_Call]
    _closed: bool
    _stopping: bool
    _check_closed: Callable[[], None]

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._ready = []
        self._now_s = 0.0
        self._draw = chance.getrandbits
        self._over: Callable[[], bool] = _never
        self._until_s = 0.0
        self._is_over = False
        self._held: set[Process] = set()
        self._turns = 0
        self._tasks = _Tasks()
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

    def hold(self, process: Process) -> None:
        """Let a process stand still where it is."""
        process.held = True
        self._held.add(process)

    def release(self, process: Process) -> None:
        """Let a process that was held go on."""
        process.held = False
        self._held.discard(process)
        self._ready.extend(process.waiting)
        process.waiting.clear()

    @property
    def left(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, in the order in which they were started."""
        return self._tasks.left

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        """Call it at this moment."""
        if self._closed:
            self._check_closed()
        call = _Call(self._now_s)
        call.callback, call.args = callback, args
        call.context = copy_context() if context is None else context
        self._ready.append(call)
        return call

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        """Call it at a moment of the loop's time."""
        if self._closed:
            self._check_closed()
        call = _Call(when)
        call.callback, call.args = callback, args
        call.context = copy_context() if context is None else context
        heapq.heappush(self._scheduled, call)
        return call

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        """Call it after so many seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def create_task(self, coro: Any, *, name: object = None, context: Any = None) -> Any:
        """Start a task, on behalf of the process that starts it."""
        task = super().create_task(coro, name=name, context=context)
        self._tasks.add(task)
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
        """Turn until the loop is to stop."""
        while not self._stopping:
            if self._ready or self._move_on():
                batch, self._ready = self._ready, []
                self._run_all(batch)
                self._turns += 1
                if self._turns > _TURNS_MAX:
                    self._give_up(batch)
            else:
                self._stopping = True

    def _run_all(self, batch: list[_Call]) -> None:
        if len(batch) > 1:
            _shuffle(batch, self._draw)
        for call in batch:
            callback = call.callback
            if callback is None or (self._held and self._is_held(call)):
                continue
            try:
                call.context.run(callback, *call.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does
                told = {"message": f"Exception in {_words(call)}", "exception": error}
                self.call_exception_handler(told)

    def _is_held(self, call: _Call) -> bool:
        """Whether its process stands still; then the call waits with it."""
        process = call.context.get(_PROCESS)
        if process is None or not process.held:
            return False
        process.waiting.append(call)
        return True

    def _give_up(self, batch: list[_Call]) -> None:
        busy = "; ".join(sorted({_words(call) for call in batch})[:3])
        raise Livelock(f"{_TURNS_MAX} turns at {self._now_s:.3f} s, and no end of it: {busy}")

    def _move_on(self) -> bool:
        """Skip to the next moment at which something is to happen; False if it is over."""
        if self._over():
            self._is_over = True
            return False
        if self._ready:
            return True
        scheduled, pop = self._scheduled, heapq.heappop
        while scheduled and scheduled[0].callback is None:
            pop(scheduled)
        if not scheduled or scheduled[0] > self._until_s:
            if scheduled:
                self._now_s = max(self._now_s, self._until_s)
            return False
        now_s = self._now_s = max(self._now_s, float(scheduled[0]))
        self._turns = 0
        while scheduled and scheduled[0] <= now_s:
            self._ready.append(pop(scheduled))
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
        left = loop.left
        for one in left:
            one.cancel()
        loop.run_until(lambda: all(one.done() for one in left), loop.time() + 1_000)
        loop.close()


def _shuffle(batch: list[_Call], draw: Callable[[int], int]) -> None:
    """``random.shuffle``, draw for draw, in one call instead of four for each place."""
    for last in range(len(batch) - 1, 0, -1):
        bits = (last + 1).bit_length()
        chosen = draw(bits)
        while chosen > last:
            chosen = draw(bits)
        batch[last], batch[chosen] = batch[chosen], batch[last]


def _words(call: _Call) -> str:
    """What a call would run: the task, if it is one's."""
    owner = getattr(call.callback, "__self__", None)
    return f"{owner if isinstance(owner, asyncio.Task) else call.callback!r}"[:300]


def _never() -> bool:
    return False


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a cut off task leaves behind is no news."""
