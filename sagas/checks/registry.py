"""All checks, in the order of their codes, and one function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sagas.checks import (
    compensation,
    isolation,
    locks,
    outcomes,
    payloads,
    personal,
    times,
    topics,
    versions,
)
from sagas.checks.finding import Finding, Severity
from sagas.checks.subject import Subject

__all__ = ["CHECKS", "TITLES", "check"]

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "S0": "A declaration says what it has to say",
        "S1": "Compensatable, pivot, retriable: in this order, one pivot on a path",
        "S2": "What may have to be undone has an undo, which needs nothing that comes later",
        "S3": "Each event has a consumer, or is meant to be an end",
        "S4": "Each outcome of each step leads somewhere",
        "S5": "Every step can be reached, and an end from every step",
        "S6": "Loops have a bound",
        "S7": "One participant decides, and says so by distinct events",
        "S8": "Joins are explicit, and have an end",
        "S9": "A timeout says what becomes of the late reply",
        "S10": "An action that comes after its undo is refused",
        "S11": "The partition key is the saga's, along the whole path",
        "S12": "What is written can be read, here and beside the deployed version",
        "S13": "What other sagas do in between has a countermeasure",
        "S14": "Semantic locks are given back, and taken in one order",
        "S15": "Topics outlive the saga, and have names that Kafka takes",
        "S16": "A new definition finishes what the old one has begun",
        "S17": "What is personal stays in payloads",
        "M1": "Every execution ends",
        "M2": "What took effect and what was undone add up",
        "M3": "What came later is undone earlier, and nothing past the pivot",
        "M4": "What is recorded is published, and nobody acts on less",
        "M5": "Of a reply and its timeout one wins",
        "M6": "Everything within the bounds was looked at",
    }
)
"""What each code stands for. S0, S1 and S5 to S7 are found at import; S11 can not be broken. M1 to M6 are the
model checker's: ``sagas.checks.model.findings``.
"""

CHECKS: Final[tuple[Callable[[Subject], Iterable[Finding]], ...]] = (
    outcomes.consumers,
    outcomes.producers,
    outcomes.starts,
    outcomes.bounds,
    outcomes.silent_handlers,
    compensation.reading,
    times.joins,
    times.late_replies,
    compensation.tombstones,
    payloads.contracts,
    payloads.deployed_contracts,
    isolation.anomalies,
    locks.locks,
    locks.lock_order,
    times.retention,
    topics.topic_names,
    versions.finishable,
    personal.personal_keys,
    personal.personal_words,
)

_ORDER = tuple(Severity)


def check(subject: Subject) -> list[Finding]:
    """Everything that is found, each finding once, what is worst first."""
    found = dict.fromkeys(finding for one in CHECKS for finding in one(subject))
    return sorted(found, key=lambda one: (_ORDER.index(one.severity), int(one.code[1:])))
