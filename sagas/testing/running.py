"""One service at work in the environment: starting, crashing, and whether it is at rest.

Owns the service's worker for as long as the test runs it. Knows nothing of time but who is asleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from sagas.ports import Outbox
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.service import Lifespan, Service
from sagas.testing.accounting import WatchedBroker
from sagas.testing.interventions import Interventions

__all__ = ["RunningService"]

_CLOSING_TIMEOUT_S = 10.0
"""Real time for the closing of resources; then it is cancelled."""

_Asleep = AbstractSet[asyncio.Task[object] | None]


class RunningService:
    """A service on the environment's platform."""

    def __init__(
        self,
        service: Service,
        platform: Platform,
        broker: WatchedBroker,
        interventions: Interventions,
        *,
        resources: Lifespan | None,
    ) -> None:
        self.name = service.name
        self._platform = platform
        self._broker = broker
        self._interventions = interventions
        self._given = resources
        self.take(service)
        self._runner: ServiceRunner | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self.has_crashed = False
        self.outboxes: list[Outbox] = []

    def take(self, service: Service) -> None:
        """Be this service, or this version of it, from the next start."""
        self._service = self._interventions.service(service)
        self._service.check()
        self._resources = self._interventions.lifespan(
            self.name, self._given or service.resources, self._opened
        )

    def _opened(self, outboxes: list[Outbox]) -> None:
        self.outboxes = outboxes

    def launch(self) -> None:
        """Begin to work; ``busy`` says when it has begun."""
        self.has_crashed = False
        self._joined = asyncio.Event()
        self._runner = ServiceRunner(self._service, self._platform, resources=self._resources)
        self._task = asyncio.create_task(self._runner.run(self._joined.set), name=self.name)

    def crash(self) -> None:
        """Vanish: what is begun is cut off where it stands, and nothing is committed."""
        self._leave()
        for task in self.begun():
            task.cancel()
        self.has_crashed = True
        self.outboxes = []

    async def stop(self) -> Exception | None:
        """Stop at once and close the resources; the error that this, or the worker, raised."""
        if self._task is None:
            return None
        self._leave()
        await asyncio.wait((self._task,), timeout=_CLOSING_TIMEOUT_S)
        self._task.cancel()
        (result,) = await asyncio.gather(self._task, return_exceptions=True)
        return result if isinstance(result, Exception) else None

    def _leave(self) -> None:
        """Let the worker end by itself, so that the resources are closed as they always are.

        Its poll has no timeout in virtual time, and would not notice; that of a consumer that is
        gone returns.
        """
        if self._runner is not None:
            self._runner.stop()
        consumer = self._broker.consumers.get(self._platform.topics.group(self.name))
        if consumer is not None and not self.has_crashed:
            consumer.crash()

    def raise_failure(self) -> None:
        """Raise the error that ended the worker or kept it from starting."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def begun(self) -> dict[asyncio.Task[None], asyncio.Task[None] | None]:
        """The messages that are begun and not finished, each with the one that it waits for."""
        worker = None if self._runner is None else self._runner.worker
        return {} if worker is None else worker.begun

    def about(self, task: asyncio.Task[object] | None) -> str:
        """In words, what the task of a message does: a handler, or something around it."""
        return self._interventions.running.get(
            task, f"{self.name}, between two calls of a handler,"
        )

    def busy(self, asleep: _Asleep) -> Iterator[str]:
        """What keeps the service from rest, in words; nothing if only time can bring more."""
        if self._task is None or self._task.done():
            return
        if self.has_crashed:
            yield f"{self.name} is still going down"
            return
        if not self._joined.is_set():
            yield f"{self.name} is still starting"
            return
        consumer = self._broker.consumers[self._platform.topics.group(self.name)]
        begun = self.begun()
        for task in begun:
            if not _rests(task, begun, asleep):
                yield self.about(task)
        for partition, count in consumer.undelivered():
            yield f"{self.name} has {count} to read of {partition.topic}-{partition.partition}"
        if not begun:
            for partition, count in consumer.unacknowledged():
                place = f"{partition.topic}-{partition.partition}"
                yield f"{self.name} has {count} to commit of {place}"

    def unacknowledged(self) -> Iterator[str]:
        """In words, what a restart of the service would read again."""
        consumer = self._broker.consumers.get(self._platform.topics.group(self.name))
        if consumer is None:
            return
        state = "has crashed and " if self.has_crashed else ""
        for partition, count in consumer.unacknowledged():
            records = "record" if count == 1 else "records"
            yield (
                f"{self.name} {state}has {count} {records} of "
                f"{partition.topic}-{partition.partition} not acknowledged"
            )


def _rests(
    task: asyncio.Task[None],
    begun: dict[asyncio.Task[None], asyncio.Task[None] | None],
    asleep: _Asleep,
) -> bool:
    """Whether a message's task is asleep, or waits its turn behind one that is."""
    waits_for: asyncio.Task[None] | None = task
    while waits_for is not None and not waits_for.done():
        if waits_for in asleep:
            return True
        waits_for = begun.get(waits_for)
    return False
