"""What each service may do on Kafka, and no more: as data, and as commands for Kafka's own tools.

What a service reads is its subscription's, as its worker gets it; the names of topics are ``Topics``'.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sagas.core.saga import Saga
from sagas.runtime.subscription import Subscription
from sagas.service import Service
from sagas.wire.topics import RETRY_TIERS_MS, Topics

__all__ = [
    "Grant",
    "grants_of",
    "kafka_commands",
    "operator_grants",
    "retry_topics",
    "saga_topics",
    "user_of",
]


@dataclass(frozen=True, slots=True)
class Grant:
    """``user`` may do these ``operations`` to these topics, and in these groups."""

    user: str
    operations: tuple[str, ...]
    topics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def user_of(service: str, topics: Topics) -> str:
    """The name under which a service is known to the servers: its consumer group's."""
    return topics.group(service)


def retry_topics(service: Service, topics: Topics) -> list[str]:
    """Where the service's messages wait for another attempt; none for one that only observes."""
    tiers = RETRY_TIERS_MS if service.sagas else ()
    return [topics.retry(service.name, delay_ms) for delay_ms in tiers]


def saga_topics(saga: type[Saga], topics: Topics) -> set[str]:
    """Where the saga's events are, whoever decides them, and what timers and operators ask of it."""
    definition = saga.definition
    return {
        topics.control(definition.saga),
        *(topics.of(definition, type_) for type_ in definition.outcome_of),
    }


def grants_of(service: Service, topics: Topics, wanted: Iterable[str] = ()) -> list[Grant]:
    """What the service's workers, its clients and its outbox relay need.

    ``wanted`` are the project's topics: before it starts, `sagas run` sees to it that all of them are there
    and keep records for long enough.

    Every participant may write to all topics of its sagas, because what is decided for one that is down (its
    time is up, an operator has done its step) is published by another; and may read all of them, because
    whoever notices that the table is lost rebuilds it from them.
    """
    user = user_of(service.name, topics)
    waiting = retry_topics(service, topics)
    reads = Subscription(service, topics, retry_topics=frozenset(waiting)).topics
    shared = {topic for saga in service.sagas for topic in saga_topics(saga, topics)}
    writes = {*shared, topics.dead_letters(service.name), *waiting}
    sagas = sorted(saga.definition.saga for saga in service.sagas)
    groups = [topics.group(service.name), *map(topics.timers_group, sagas)]
    return [
        Grant(user, ("Describe", "DescribeConfigs"), topics=tuple(wanted)),
        Grant(user, ("Read",), topics=tuple(sorted(reads | shared)), groups=tuple(groups)),
        Grant(user, ("Write",), topics=tuple(sorted(writes))),
    ]


def operator_grants(
    sagas: Iterable[type[Saga]], services: Sequence[Service], topics: Topics
) -> list[Grant]:
    """What the command line needs to look, to ask sagas, to start some and to replay dead letters."""
    user = user_of("operator", topics)
    sagas = list(sagas)
    names = {name for saga in sagas for name in saga.definition.services} | {
        s.name for s in services
    }
    events = sorted(topics.events(name) for name in names)
    controls = sorted(topics.control(saga.definition.saga) for saga in sagas)
    letters = sorted(topics.dead_letters(name) for name in names)
    waiting = sorted(name for service in services for name in retry_topics(service, topics))
    every = (*events, *controls, *letters, *waiting)
    groups = tuple(sorted(map(topics.group, names)))
    return [
        Grant(user, ("DescribeConfigs", "Read", "Write"), topics=every),
        Grant(user, ("Describe",), groups=groups),
    ]


def kafka_commands(grants: Iterable[Grant]) -> str:
    """A shell script of ``kafka-acls`` commands; adding a rule that is there changes nothing.

    ``KAFKA`` is the address of a broker, ``KAFKA_ADMIN`` the file with an administrator's client
    properties, and ``KAFKA_ACLS`` the tool where it is not on the path as ``kafka-acls.sh``.
    """
    return "\n".join([*_HEAD, *(line for grant in grants for line in _command(grant))]) + "\n"


_HEAD = (
    "#!/bin/sh",
    "set -eu",
    ': "${KAFKA:?host:port of a broker}" "${KAFKA_ADMIN:?client properties of an administrator}"',
    "acls() {",
    '    ${KAFKA_ACLS:-kafka-acls.sh} --bootstrap-server "$KAFKA" --command-config "$KAFKA_ADMIN" \\',
    '        --add --force "$@"',
    "}",
    "",
)


def _command(grant: Grant) -> Iterator[str]:
    named = [("--topic", one) for one in grant.topics] + [("--group", one) for one in grant.groups]
    if not named:
        return
    words = [
        "acls",
        *("--allow-principal", shlex.quote(f"User:{grant.user}")),
        *(word for operation in grant.operations for word in ("--operation", operation)),
    ]
    yield " ".join(words) + "".join(f" \\\n    {flag} {shlex.quote(name)}" for flag, name in named)
