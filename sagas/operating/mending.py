"""What can be asked of a saga: why a request is refused, and the commands that could mend a parked one.

Owns the words. Whether something is refused, the function says that the participants ask, too.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from sagas.core.controls import Cancel, Compensate, Control, Resume, RetryNow, Skip
from sagas.core.definition import START, Direction, Role
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.saga import Saga
from sagas.core.starts import key_of_instance
from sagas.operating.words import short_name, waiting_text
from sagas.runtime.operator import outlook_of
from sagas.runtime.views import waits_for

__all__ = [
    "Mend",
    "blank_payload",
    "interventions",
    "mends_of",
    "refusal_of",
    "skip_words",
    "skippable",
]


@dataclass(frozen=True, slots=True)
class Mend:
    """A command to be typed as it is, but for its reason, and what it is for."""

    command: str
    does: str


def refusal_of(instance: Instance, control: Control) -> str:
    """Why nothing would come of a request."""
    match control:
        case Cancel() | Compensate():
            return _not_cancelled(instance)
        case RetryNow():
            return f"nothing is open in it; {_standing(instance)}"
        case Skip():
            return _not_skipped(instance, control.type)
        case _:
            return f"it is not parked; {_standing(instance)}"


def _not_cancelled(instance: Instance) -> str:
    if instance.phase is SagaStatus.COMPENSATING:
        return "it has turned back already"
    if instance.phase.is_terminal:
        return f"too late: it is {instance.phase}"
    pivots = [step.name for step in instance.definition.pivots if instance.triggered(step)]
    return f"too late: the pivot {' and '.join(pivots)} is triggered"


def _not_skipped(instance: Instance, type_: str) -> str:
    if instance.status is not SagaStatus.PARKED:
        return f"it is not parked; {_standing(instance)}"
    outcome = instance.definition.outcome_of[type_]
    named = outcome.step if outcome.role is Role.DONE else f"the undo of {outcome.step}"
    parked = " and ".join(dict.fromkeys(_parked_words(fact) for fact in _parkings(instance)))
    return f"it is not parked for {named}, but for {parked}"


def _standing(instance: Instance) -> str:
    waits = ", ".join(map(waiting_text, waits_for(instance)))
    return f"it is {instance.status}" + (f" and waits for {waits}" if waits else "")


def _parkings(instance: Instance) -> list[Fact]:
    return [instance.facts[slot] for slot in instance.parked]


def _parked_words(fact: Fact) -> str:
    if fact.direction is Direction.UNDO:
        return f"the undo of {fact.step}"
    return "a dead letter" if fact.step == START else fact.step


def interventions(instance: Instance, *, several: bool) -> list[Mend]:
    """The commands for a saga that has neither ended nor is parked; ``several`` as below."""
    if instance.phase.is_terminal:
        return []
    command = _command("retry", instance, several=several)
    mends = [Mend(command, "wakes every participant, and has what is open tried now")]
    if _leads_somewhere(instance, Cancel()):
        command = _command("cancel", instance, several=several)
        mends.append(Mend(command, "turns it back"))
    return mends


def mends_of(instance: Instance, saga: type[Saga] | None, *, several: bool) -> list[Mend]:
    """The commands that could mend a parked saga, or one that has ended and left something to undo.

    ``several`` says that the saga has to be named, because the project has others. Without the saga nobody
    knows what its events carry besides the key.
    """
    if instance.phase in {SagaStatus.COMPENSATED, SagaStatus.FAILED}:
        return _replays(instance, several=several)
    if instance.status is not SagaStatus.PARKED:
        return []
    mends = [Mend(_command("resume", instance, several=several), "tries again what failed")]
    for type_ in skippable(instance):
        rest = [short_name(type_), *_payload_option(saga, instance.saga_id, type_)]
        command = _command("skip", instance, *rest, several=several)
        mends.append(Mend(command, f"says that {skip_words(instance, type_)}, by hand"))
    if _leads_somewhere(instance, Cancel()):
        command = _command("compensate", instance, several=several)
        mends.append(Mend(command, "gives it up and turns it back"))
    return mends


def _replays(instance: Instance, *, several: bool) -> list[Mend]:
    """For a saga that has ended, and left something to undo."""
    if not any(map(instance.outstanding, instance.definition.steps)):
        return []
    chosen = ["--saga", instance.definition.saga] if several else []
    words = ["sagas", "replay-compensations", "--id", shlex.quote(instance.saga_id), *chosen]
    command = " ".join([*words, "--execute", "--why", '"..."'])
    return [Mend(command, "runs again the compensations that are left")]


def _leads_somewhere(instance: Instance, control: Cancel | Resume | Skip) -> bool:
    return bool(outlook_of(instance, control, 0).emissions)


def skip_words(instance: Instance, type_: str) -> str:
    """What somebody says who gives this event by hand: ``notify is done``."""
    outcome = instance.definition.outcome_of[type_]
    return f"{outcome.step} is {'done' if outcome.role is Role.DONE else 'undone'}"


def skippable(instance: Instance) -> list[str]:
    """The events that can be given by hand for what a saga is parked for."""
    found: list[str] = []
    for fact in _parkings(instance):
        step = instance.definition.by_name[fact.step]
        types = step.done if fact.direction is Direction.FORWARD else (step.undone,)
        found += [type_ for type_ in types if type_ is not None and type_ not in instance.facts]
    return [one for one in dict.fromkeys(found) if _leads_somewhere(instance, Skip(one))]


def _payload_option(saga: type[Saga] | None, saga_id: str, type_: str) -> list[str]:
    """Nothing where the key alone will do; else what has to be filled in."""
    payload = {} if saga is None else blank_payload(saga, saga_id, type_)
    if len(payload) <= 1:
        return []
    return ["--payload", shlex.quote(json.dumps(payload, ensure_ascii=False))]


def blank_payload(saga: type[Saga], saga_id: str, type_: str) -> dict[str, str]:
    """What an event given by hand has to carry: the business key, and what is to be filled in."""
    key, fields = saga.definition.key, saga.events[type_].model_fields
    asked = [
        field.alias or name for name, field in fields.items() if field.is_required() and name != key
    ]
    return {key: key_of_instance(saga_id)} | dict.fromkeys(asked, "...")


def _command(verb: str, instance: Instance, *rest: str, several: bool) -> str:
    chosen = ["--saga", instance.definition.saga] if several else []
    words = ["sagas", verb, shlex.quote(instance.saga_id), *rest, *chosen, "--why", '"..."']
    return " ".join(words)
