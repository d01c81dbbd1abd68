"""S15: topics have names that Kafka takes."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.subject import Subject
from sagas.wire.topics import RETRY_TIERS_MS

__all__ = ["topic_names"]

_LENGTH_MAX = 249
"""Kafka's own bound for the name of a topic."""


def topic_names(subject: Subject) -> Iterator[Finding]:
    """S15, of names: what the namespace, a service and the rest make together."""
    topics = subject.topics
    for saga in subject.sagas:
        services = saga.definition.services
        names = [
            topics.control(saga.definition.saga),
            *(topics.events(service) for service in services),
            *(topics.dead_letters(service) for service in services),
            *(topics.retry(service, tier) for service in services for tier in RETRY_TIERS_MS),
        ]
        longest = max(names, key=len)
        if len(longest) > _LENGTH_MAX:
            yield saga.finding(
                "S15",
                Severity.ERROR,
                None,
                f"the topic {longest[:40]}… would have a name of {len(longest)} characters; Kafka takes "
                f"{_LENGTH_MAX}.",
                "Give the saga, the service or the namespace a shorter name.",
            )
