"""What can be seen of a run from outside: records on topics, rows of the table, effects of participants.

Owns the reading of raw bytes. Shares no code with the runtime: where both read the same header, a
mistake in one is a difference and not a silence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sagas.core.definition import Definition
from sagas.core.instance import Fact
from sagas.testing.simulation.world import Effect, Servers, SimulatedTable
from sagas.wire.envelope import encode_headers
from sagas.wire.stored import decode_event, decode_instance

__all__ = ["Evidence", "Seen", "Witness"]


class Seen(NamedTuple):
    """An event as it stands on a topic or in a row: identity, type, cause, what its payload says, and the
    table's generation under which it was decided, 0 for what came from outside.
    """

    id: str
    type: str
    cause: str
    payload: bytes
    generation: int

    @property
    def says(self) -> dict[str, object]:
        """The payload; empty where it is no object."""
        try:
            found = json.loads(self.payload)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(slots=True)
class Evidence:
    """All that is known of one instance. ``statuses`` are those of its row, in the order of writing, and
    ``generation`` is that of its row.
    """

    definition: Definition
    saga_id: str
    generation: int
    statuses: list[str]
    log: list[Seen]
    recorded: list[Seen]
    effects: list[Effect]
    unfounded: list[str]
    outside: frozenset[str]
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> str | None:
        """Where it stands."""
        return self.statuses[-1] if self.statuses else None

    @property
    def types(self) -> set[str]:
        """The types of the events on the topics."""
        return {event.type for event in self.log}


class Witness:
    """Reads what the servers hold once everything is at rest."""

    def __init__(self, servers: Servers, services: Iterable[str]) -> None:
        self._servers = servers
        self._logs: dict[tuple[str, str], dict[str, Seen]] = {}
        self._versions: dict[tuple[str, bytes], set[tuple[object, ...]]] = {}
        self._services = tuple(services)
        for record in (*servers.records(".events"), *servers.records(".control")):
            headers = dict(record.headers)
            if record.topic.endswith(".control") and "ce_sagaseq" not in headers:
                continue  # it asks for something, and tells of nothing
            id_ = headers.get("ce_id", b"").decode(errors="replace")
            if not id_ or (record.topic, record.partition, record.offset) in servers.story.poison:
                continue
            seen = _seen(headers, record.value or b"")
            saga = headers.get("ce_saganame", b"").decode()
            saga_id = headers.get("ce_sagaid", b"").decode()
            self._logs.setdefault((saga, saga_id), {}).setdefault(id_, seen)
            self._note_version(id_, headers, record.value or b"")

    def _note_version(self, id_: str, headers: dict[str, bytes], value: bytes) -> None:
        """What a repetition may say differently: when an answer was given, and that a saga has ended.

        What was decided again after the table was lost says so by its generation, and the payload is
        the same.
        """
        if "ce_causationid" in headers:
            told = tuple(sorted(headers.items()))
            generation = headers.get("ce_sagagen", b"")
            self._versions.setdefault((id_, generation), set()).add((told, value))
            self._versions.setdefault((id_, b"any"), set()).add((value,))

    def of(self, definition: Definition, saga_id: str) -> Evidence:
        """What is known of one instance."""
        key, story, table = (definition.saga, saga_id), self._servers.story, self._servers.table
        recorded = []
        for fact in _facts(definition, saga_id, table).values():
            stored = table.events(*key).get(fact.kept_as)
            if stored is None:  # the row keeps it no more, so it has to be on the topics
                recorded.append(Seen(fact.id, fact.type, fact.cause or "", b"", 0))
                continue
            envelope = decode_event(stored, *key, fact)
            headers = dict(encode_headers(envelope))
            recorded.append(_current(_seen(headers, envelope.payload), definition))
            self._note_version(recorded[-1].id, headers, envelope.payload)
        waits = {
            type_
            for step in definition.steps
            if step.waits
            for type_ in (*step.done, *step.refused)
        }
        return Evidence(
            definition=definition,
            saga_id=saga_id,
            generation=table.generation_of(*key),
            statuses=table.statuses.get(key, []),
            log=[_current(one, definition) for one in self._logs.get(key, {}).values()],
            recorded=recorded,
            effects=[
                one._replace(outcome=definition.current_of.get(one.outcome, one.outcome))
                for one in story.effects.get(key, ())
            ],
            unfounded=story.unfounded.get(key, []),
            outside=frozenset(waits),
        )

    def disagreements(self) -> Iterator[str]:
        """I8 beyond one instance: an event has the same bytes everywhere; no record is given up."""
        for (id_, generation), versions in self._versions.items():
            if len(versions) > 1:
                under = f"under generation {generation.decode()}"
                yield f"I8: the event {id_} has {len(versions)} versions {under}"
        poison, story = self._servers.story.poison, self._servers.story
        for record in self._servers.records(".dlq"):
            headers = {name: value.decode(errors="replace") for name, value in record.headers}
            place = (
                headers["dlq-topic"],
                int(headers["dlq-partition"]),
                int(headers["dlq-offset"]),
            )
            story.seen["dead letter"] += 1
            if place not in poison:
                service, reason = headers["dlq-service"], headers["dlq-reason"]
                yield f"I8: {service} made a good record a dead letter: {reason}"


def _facts(definition: Definition, saga_id: str, table: SimulatedTable) -> Mapping[str, Fact]:
    if table.status(definition.saga, saga_id) is None:
        return {}
    state = table.state(definition.saga, saga_id)
    return decode_instance(definition, saga_id, state).facts


def _current(seen: Seen, definition: Definition) -> Seen:
    """A former version counts as what is made of it."""
    current = definition.current_of.get(seen.type)
    return seen if current is None else seen._replace(type=current)


def _seen(headers: dict[str, bytes], payload: bytes) -> Seen:
    def text(name: str) -> str:
        return headers.get(name, b"").decode(errors="replace")

    generation = int(text("ce_sagagen") or 0)
    return Seen(text("ce_id"), text("ce_type"), text("ce_causationid"), payload, generation)
