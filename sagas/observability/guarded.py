"""Watching that can not do harm: what a library of metrics or traces raises is told, and goes no further.

Owns that one promise. A handler whose span could not be ended would else be called again, an event that is
stored would not be published, and a timer's duty would take its service along.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

import structlog

from sagas.core.enabled import Action
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.observability.events import LogEvent
from sagas.ports import OutgoingRecord
from sagas.ports.telemetry import MessageInHand, Telemetry, Watch
from sagas.wire.envelope import Envelope, Trail

__all__ = ["Guarded"]

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_TOLD_MAX = 100


class Guarded:
    """Implements ``Telemetry`` by another one, whose errors it logs: each kind once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.guarded = telemetry
        self._told: set[tuple[str, type[Exception]]] = set()

    def heard(self, call: str, error: Exception) -> None:
        """A call has failed."""
        kind = (call, type(error))
        if kind in self._told or len(self._told) >= _TOLD_MAX:
            return
        self._told.add(kind)
        _log.warning(LogEvent.TELEMETRY_FAILED, call=call, error=repr(error), exc_info=error)

    def message(self, message: MessageInHand) -> Watch | None:
        """See ``Telemetry``."""
        try:
            watch = self.guarded.message(message)
        except Exception as error:  # noqa: BLE001 - it is anybody's code
            self.heard("message", error)
            return None
        return None if watch is None else _GuardedWatch(watch, self.heard)

    def observing(
        self, service: str, handler: str, envelope: Envelope
    ) -> AbstractContextManager[object]:
        """See ``Telemetry``."""
        return _Quiet(
            lambda: self.guarded.observing(service, handler, envelope),
            *(None, "observing", self.heard),
        )

    def publishing(self, record: OutgoingRecord) -> AbstractContextManager[OutgoingRecord]:
        """See ``Telemetry``; the record as it is where its trace can not be had."""
        return _Quiet(lambda: self.guarded.publishing(record), *(record, "publishing", self.heard))

    def dead_lettered(self, service: str, error: Exception) -> None:
        """See ``Telemetry``."""
        try:
            self.guarded.dead_lettered(service, error)
        except Exception as unheard:  # noqa: BLE001
            self.heard("dead_lettered", unheard)

    def timer_published(self, saga: str, late_ms: int) -> None:
        """See ``Telemetry``."""
        try:
            self.guarded.timer_published(saga, late_ms)
        except Exception as error:  # noqa: BLE001
            self.heard("timer_published", error)


class _GuardedWatch:
    __slots__ = ("_heard", "_watch")

    def __init__(self, watch: Watch, heard: Callable[[str, Exception], None]) -> None:
        self._watch = watch
        self._heard = heard

    def belongs(self, trail: Trail) -> None:
        try:
            self._watch.belongs(trail)
        except Exception as error:  # noqa: BLE001
            self._heard("belongs", error)

    def performing(self, action: Action, at: Position) -> None:
        try:
            self._watch.performing(action, at)
        except Exception as error:  # noqa: BLE001
            self._heard("performing", error)

    def attempt(self, action: Action, number: int) -> AbstractContextManager[object]:
        return _Quiet(lambda: self._watch.attempt(action, number), *(None, "attempt", self._heard))

    def postponed(self, action: Action, attempts: int) -> None:
        try:
            self._watch.postponed(action, attempts)
        except Exception as error:  # noqa: BLE001
            self._heard("postponed", error)

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        try:
            self._watch.stored(before, stored, recorded, folded=folded)
        except Exception as error:  # noqa: BLE001
            self._heard("stored", error)

    def conflict(self) -> None:
        try:
            self._watch.conflict()
        except Exception as error:  # noqa: BLE001
            self._heard("conflict", error)


class _Quiet(AbstractContextManager[_T]):
    """Another context manager, which neither raises nor hides anything; ``instead`` is given where it can not
    be entered.
    """

    def __init__(
        self,
        made: Callable[[], AbstractContextManager[_T]],
        instead: _T,
        call: str,
        heard: Callable[[str, Exception], None],
    ) -> None:
        self._made = made
        self._instead = instead
        self._call = call
        self._heard = heard
        self._inner: AbstractContextManager[_T] | None = None

    def __enter__(self) -> _T:
        try:
            inner = self._made()
            entered = inner.__enter__()
        except Exception as error:  # noqa: BLE001
            self._heard(self._call, error)
            return self._instead
        self._inner = inner
        return entered

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._inner is None:
            return
        try:
            self._inner.__exit__(kind, error, trace)
        except Exception as unheard:  # noqa: BLE001
            if unheard is not error:
                self._heard(self._call, unheard)
