"""The runs of a business key as the table has them.

Owns how they are found, and what makes two starts the same. Reads only; whoever asks decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from sagas.core.errors import InvalidMessage
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.saga import Saga
from sagas.core.starts import KnownRun, Reuse, saga_id_of
from sagas.ports import Row
from sagas.runtime.forgetting import content_of
from sagas.runtime.incoming import decode_payload, event_of
from sagas.wire.envelope import Envelope
from sagas.wire.stored import decode_event, decode_instance

__all__ = ["Run", "Runs", "refusal_words"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a key; ``start`` is its recorded start, None where that is not recorded, was not asked for,
    or is kept no more: then ``content`` is the digest of what it says.
    """

    instance: Instance
    start: Envelope | None
    content: str = ""

    @property
    def saga_id(self) -> str:
        """The saga id of the run."""
        return self.instance.saga_id

    @property
    def status(self) -> SagaStatus:
        """Where the run stands."""
        return self.instance.status


class Runs:
    """The runs of one saga's keys. ``load`` reads a row by saga id, with its events where starts are to be
    compared.
    """

    def __init__(self, saga: type[Saga], load: Callable[[str], Awaitable[Row | None]]) -> None:
        self._saga = saga
        self._load = load

    async def one(self, saga_id: str) -> Run | None:
        """The run of that id, or None."""
        row = await self._load(saga_id)
        if row is None:
            return None
        instance = decode_instance(self._saga.definition, saga_id, row.state)
        start = self._saga.definition.start.done[0]
        fact = instance.facts.get(start)
        stored = None if fact is None else row.events.get(fact.kept_as)
        if stored is None or fact is None:
            return Run(instance, None, row.content)
        return Run(instance, decode_event(stored, self._saga.name, saga_id, fact))

    async def of(self, key: str) -> Sequence[Run]:
        """All runs of a key, the first one first. Each costs a look at the table: one after the other,
        because only the last one says that there is another.
        """
        found: list[Run] = []
        for number in count(1):
            run = await self.one(saga_id_of(key, number))
            if run is None:
                break
            found.append(run)
        return found

    async def meant(self, key: str, request: Fact) -> str:
        """The saga id of the run that a request by key means: the one that it has turned back before, or the
        last one that had begun when it was made.

        A request that is delivered late, or once more, must not meet a run that nobody meant.
        """
        runs = await self.of(key)
        for run in reversed(runs):
            if any(fact.cause == request.id for fact in run.instance.facts.values()):
                return run.saga_id
        start = self._saga.definition.start.done[0]
        for run in reversed(runs[1:]):
            began = run.instance.facts.get(start)
            if began is not None and began.at_ms <= request.at_ms:
                return run.saga_id
        return key

    def known(self, runs: Sequence[Run], payload: bytes, *, type_: str = "") -> list[KnownRun]:
        """The runs as the rule wants them, compared with a start's payload."""
        return [KnownRun(run.status, self.same(run, payload, type_=type_)) for run in runs]

    def same(self, run: Run, payload: bytes, *, type_: str = "") -> bool:
        """Whether the run's start says the same: to the contract, not to the byte. ``type_`` is what the
        payload is called on the wire, where that is not what the saga's start is called now.
        """
        type_ = type_ or self._saga.definition.start.done[0]
        if run.start is None:
            return bool(run.content) and run.content in self._contents(payload, type_)
        if run.start.payload == payload and run.start.type == type_:
            return True
        try:
            recorded = event_of(self._saga, run.start.type, run.start.payload)
        except InvalidMessage:  # written under a contract of which this one can make nothing
            return False
        return recorded == event_of(self._saga, type_, payload)

    def _contents(self, payload: bytes, type_: str) -> Iterator[str]:
        """The digests that a start may have left: this version's, and that of whoever knew only its own."""
        yield content_of(event_of(self._saga, type_, payload))
        if type_ in self._saga.formers:
            yield content_of(decode_payload(self._saga.formers[type_].former, type_, payload))


def refusal_words(saga: type[Saga], run: Run) -> str:
    """Why another start of the run's key is refused, and what to do."""
    seen = f"{saga.definition.saga} {run.saga_id!r} was started with another content, and is {run.status}"
    ended = run.status.is_terminal
    match saga.reuse:
        case Reuse.AFTER_FAILURE if not ended:
            return f"{seen}. It may be started again only if it fails; wait for its end, or use a new key."
        case Reuse.AFTER_FAILURE if run.status is SagaStatus.COMPLETED:
            return f"{seen}. Only what has failed may be started again; use a new key."
        case Reuse.AFTER_END if not ended:
            return f"{seen}. It may be started again once it has ended; wait for that, or use a new key."
        case Reuse.NEVER:
            return (
                f"{seen}. This saga takes a key once; use a new key, or declare reuse=Reuse.AFTER_END on "
                f"{saga.__name__}."
            )
        case _:
            return f"{seen}: that start came first. Start again, and the next run begins."
