"""An instance of one definition as another one reads its row, and what of it that one can not make sense of.

Owns the translation that decoding does (``wire.stored``), on instances instead of bytes, so that a change can
be judged before it is made. What was written stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagas.core.changes import is_retired
from sagas.core.definition import Definition, Outcome, StepDefinition
from sagas.core.evolve import evolve
from sagas.core.instance import Instance

__all__ = ["carried", "now_called", "strangeness"]


def carried(state: Instance, new: Definition) -> Instance:
    """The instance under the new definition: former versions are taken for what is made of them, and what is
    retired is dropped. Only for one that has no ``strangeness``.
    """
    facts, slots = {}, {}
    for slot, fact in state.facts.items():
        if fact.travels_as in new.retired:
            continue
        current = new.current_of.get(fact.type)
        after = fact if current is None else fact._replace(type=current, written=fact.travels_as)
        facts[after.slot] = after
        slots[slot] = after.slot
    turned_by = None if state.turned_by is None else slots.get(state.turned_by)
    in_flight = frozenset(name for name in state.in_flight if name in new.by_name)
    return state._replace(definition=new, facts=facts, turned_by=turned_by, in_flight=in_flight)


def now_called(types: Iterable[str], new: Definition) -> frozenset[str]:
    """Names of events, former versions by what is made of them."""
    return frozenset(new.current_of.get(type_, type_) for type_ in types)


def strangeness(state: Instance, new: Definition) -> str | None:
    """What of the row the new definition does not know, or takes for something else, in words."""
    old = state.definition
    if old.key != new.key:
        return f"the key was {old.key}, and what is recorded has no {new.key}"
    for step in old.steps:
        after = new.by_name.get(step.name)
        if after is not None and after.service != step.service and _matters(state, step):
            return f"{step.name} was {step.service}'s, and {after.service} knows nothing of what was done"
    for slot in state.facts:
        if strange := _strange_event(state, slot, new):
            return strange
    in_flight = [old.by_name[name] for name in state.in_flight if name not in new.by_name]
    gone = sorted(step.name for step in in_flight if not is_retired(step, new))
    if gone:
        return f"the step {gone[0]} is gone, and was in flight"
    return _former_gone(state, new) or (_gone_on(state, new) if new.retired else None)


def _gone_on(state: Instance, new: Definition) -> str | None:
    """Without a step a saga may have been at its end when it went on: a rebuild would take it for that."""
    read = carried(state, new)
    folded = Instance(new, state.saga_id)
    for fact in read.facts.values():
        folded = evolve(folded, fact)
    last = next((slot for slot in read.facts if slot not in folded.facts), None)
    if last is None:
        return None
    return f"without what is retired it was {folded.status} before {_short(read.facts[last].type)}"


def _strange_event(state: Instance, slot: str, new: Definition) -> str | None:
    """What a recorded event is not to the new definition that it was to the old one."""
    fact, short = state.facts[slot], _short(state.facts[slot].type)
    if fact.travels_as in new.retired:
        if slot == state.turned_by:
            return f"{short} has turned the saga back, and is retired"
        return (
            f"{short} is retired, and {fact.step} is not gone" if fact.step in new.by_name else None
        )
    if fact.step not in new.by_name:
        return f"the step {fact.step} is gone, and {short} is recorded of it"
    meant = state.definition.outcome_of.get(fact.type)
    means = new.outcome_of.get(new.current_of.get(fact.type, fact.type))
    if meant is not None and means is None:
        return f"{short}, which is recorded, is known no more"
    if meant is not None and means is not None and meant != means:
        return f"{short}, which is recorded, was {_told(meant)} and now is {_told(means)}"
    return None


def _former_gone(state: Instance, new: Definition) -> str | None:
    """A former version in which a recorded event may be written, and of which the new one makes nothing."""
    for former, current in state.definition.upcasts:
        fact = state.facts.get(current)
        if fact is None or (fact.written and fact.written != former):
            continue
        if former not in new.outcome_of and former not in new.current_of:
            return (
                f"{_short(current)} may be recorded as {former}, of which nothing is made any more"
            )
    return None


def _matters(state: Instance, step: StepDefinition) -> bool:
    """Whether a service has begun the step, and has not ended all that it may have to do with it."""
    if not state.triggered(step):
        return False
    return not state.resolved(step) or (step.undone is not None and not state.past_pivot)


def _told(outcome: Outcome) -> str:
    return f"{outcome.role} of {outcome.step}"


def _short(type_: str) -> str:
    return type_.split(".")[1] if type_.count(".") == 2 else type_  # noqa: PLR2004 - publisher.Name.vN
