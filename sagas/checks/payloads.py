"""S12: what a producer writes, its consumers can read: here, and beside the version that is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sagas.checks.finding import Finding, Severity
from sagas.checks.schemas import misfits
from sagas.checks.subject import Declared, Deployed, Subject, place_of
from sagas.core.events import FRAMEWORK_PUBLISHER, Event

__all__ = ["contracts", "deployed_contracts"]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who takes an event to be of this class."""

    event: type[Event]
    about: str
    place: str


def contracts(subject: Subject) -> Iterator[Finding]:
    """S12, between two classes of one name: what the emitting saga knows, and what somebody else expects."""
    written = {
        type_: saga.events[type_]
        for saga in subject.sagas
        for step in saga.definition.steps
        for type_, _ in step.outcomes
        if type_ in saga.events
    }
    for reader in _readers(subject):
        writer = written.get(reader.event.event_type)
        if writer is None or writer is reader.event:
            continue
        wrong = list(misfits(writer.model_json_schema(), reader.event.model_json_schema()))
        if wrong:
            yield Finding(
                "S12",
                Severity.ERROR,
                reader.place,
                reader.about,
                f"it reads {reader.event.event_type} by a class of its own, which does not fit what is "
                f"written: {'; '.join(wrong)}.",
                f"Use the class that the saga has ({writer.__module__}.{writer.__qualname__}), or give the "
                "missing fields a default.",
            )


def _readers(subject: Subject) -> Iterator[_Reader]:
    for saga in subject.sagas:
        for type_, event in saga.events.items():
            yield _Reader(event, f"{saga.definition.saga} ({type_})", place_of(event))
    for service in subject.services:
        for observer in service.observers:
            for event in observer.events.values():
                yield _Reader(event, observer.handler.name, place_of(observer.handler.function))


def deployed_contracts(subject: Subject) -> Iterator[Finding]:
    """S12, in time: records of the deployed version are read by this one, and the other way round while both
    run.
    """
    for deployed in subject.deployed:
        for saga in subject.sagas:
            if saga.definition.saga == deployed.definition.saga:
                yield from _against(saga, deployed)


def _against(saga: Declared, deployed: Deployed) -> Iterator[Finding]:
    for type_, old in deployed.schemas.items():
        event = saga.events.get(type_)
        if type_ in saga.formers:
            former = saga.formers[type_].former
            wrong = misfits(old, former.model_json_schema())
            yield from _broken(saga, former, wrong, "what the deployed version has written")
        if event is None or type_.startswith(f"{FRAMEWORK_PUBLISHER}."):
            continue
        new = event.model_json_schema()
        yield from _broken(saga, event, misfits(old, new), "what the deployed version has written")
        yield from _broken(
            saga, event, misfits(new, old), "what this version writes, read by the deployed one"
        )


def _broken(
    saga: Declared, event: type[Event], wrong: Iterator[str], what: str
) -> Iterator[Finding]:
    listed = "; ".join(wrong)
    if listed:
        name, _, version = event.event_type.rpartition(".v")
        yield Finding(
            "S12",
            Severity.ERROR,
            place_of(event),
            f"{saga.definition.saga} ({event.__name__})",
            f"{what}, does not fit: {listed}.",
            "Give new fields a default, and leave old ones as they are; or publish another version, "
            f"{name}.v{int(version) + 1}, with a function that makes it of this one (`upcasts`).",
        )
