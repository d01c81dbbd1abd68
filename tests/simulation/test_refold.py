"""An instance that is folded again from the topics is the one that was lost (I13)."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas import NEVER, NOTHING, Event, Saga, Start, Step, Wait
from sagas.core import refold as module
from sagas.core.definition import START, Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
from sagas.core.refold import Found, refold
from sagas.core.timers import timers_of
from sagas.wire.ids import mark_of
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import SAGA_ID, Model
from tests.simulation.parts import Faults, Message

SEEDS = st.integers(min_value=0, max_value=2**32)


class Stamped(Model):
    """A model that also remembers what the headers say: stamps, and who knew of whom."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.stamps: dict[str, tuple[int, tuple[str, ...]]] = {}

    def publish(self, fact: Fact) -> None:
        """What is handled is folded, unless it starts the saga."""
        before = len(self._queue)
        super().publish(fact)
        folded = not (fact.step == START and fact.role is Role.DONE)
        self._queue[before:] = [
            (service, Message(message.fact._replace(folded=folded)))
            for service, message in self._queue[before:]
        ]

    def store(self, at: Position, recorded: Fact | None) -> Position | None:
        stored = super().store(at, recorded)
        if stored is not None and recorded is not None:
            knew = tuple(mark_of(stored.ids[index]) for index in stored.place.folded)
            self.stamps[recorded.id] = (stored.version, knew)
        return stored

    def found(self) -> list[Found]:
        """The log as a rebuild reads it: by topic, so in any order of the services."""
        found = []
        for fact in self.log:
            seq, knew = self.stamps.get(fact.id, (0, ()))
            published = fact._replace(published=True)
            found.append(Found(published, int(seq > 0), seq, mark_of(fact.id), knew))
        return found


def ran(saga: int, plans: int, seed: int) -> Stamped:
    definition = random_definition(saga, alternatives=True)
    faults = Faults(crashes=3, duplicates=2, timers=3, cancels=1)
    return Stamped(definition, random_plans(definition, plans), seed=seed, faults=faults)


def differences(before: Instance, after: Instance) -> list[str]:
    """Everything but published marks, the stamp, and the order of answers after which nothing was decided:
    they are on topics of different services, and nobody knew of them. So one to a wait on a branch that was
    not chosen may be recorded, or come after the end.
    """
    found = []
    before, after = _without_idle(before), _without_idle(after)
    if _in_order(before) != _in_order(after) or before.facts.keys() != after.facts.keys():
        found.append(f"facts {list(before.facts)} became {list(after.facts)}")
    for slot, fact in before.facts.items():
        again = after.facts.get(slot)
        if again is None or again._replace(published=fact.published) != fact:
            found.append(f"{fact} became {again}")
    found += [
        f"{name} {getattr(before, name)} became {getattr(after, name)}"
        for name in ("phase", "turned_by", "in_flight", "parked", "deadline_ms")
        if getattr(before, name) != getattr(after, name)
    ]
    published = {slot: fact._replace(published=True) for slot, fact in before.facts.items()}
    if timers_of(before._replace(facts=published)) != timers_of(after):
        found.append(f"timers {timers_of(before)} became {timers_of(after)}")
    return found


def _without_idle(instance: Instance) -> Instance:
    """The instance without answers, at its end, to waits that never were triggered."""
    if not instance.phase.is_terminal:
        return instance
    by_name = instance.definition.by_name
    kept = {
        slot: fact
        for slot, fact in instance.facts.items()
        if not (
            fact.folded and by_name[fact.step].waits and not instance.triggered(by_name[fact.step])
        )
    }
    return instance._replace(facts=kept)


def _in_order(instance: Instance) -> list[str]:
    facts = list(instance.facts.values())
    while facts and facts[-1].folded:
        facts.pop()
    return [fact.slot for fact in facts]


def differing(model: Stamped, chance: random.Random) -> list[str]:
    found = model.found()
    answers = [one for one in found if not one.seq]  # each topic keeps its own order
    decided = [one for one in found if one.seq]
    chance.shuffle(decided)
    again = refold(model.definition, SAGA_ID, [*decided, *answers, *decided[:3], *answers])
    assert model.row is not None
    assert again is not None
    return differences(model.row, again.instance)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(saga=SEEDS, plans=SEEDS, seed=SEEDS)
def test_what_was_lost_is_folded_again(saga: int, plans: int, seed: int) -> None:
    model = ran(saga, plans, seed)
    model.run()
    assert differing(model, random.Random(seed)) == []


def test_an_answer_that_nobody_waited_for_may_come_before_or_after_the_end() -> None:
    model = ran(4479, 4479, 127)
    model.run()
    assert differing(model, random.Random(127)) == []


def test_the_campaign_sees_what_it_is_there_to_see() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        model = ran(seed, seed, seed)
        model.run()
        seen.update(model.seen)
        assert model.row is not None
        seen["folded"] += any(fact.folded for fact in model.row.facts.values())
        seen[str(model.row.status)] += 1
    assert {"answer", "folded", "timer of a step", "resumed", "COMPENSATED"} <= seen.keys()


def first_red(seeds: int = 600) -> int | None:
    for seed in range(seeds):
        model = ran(seed, seed, seed)
        model.run()
        if differing(model, random.Random(seed)):
            return seed
    return None


def test_without_the_marks_of_answers_the_campaign_turns_red(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer would always come last: after the end that it has led to, or a timeout that it beat."""
    found = Stamped.found
    monkeypatch.setattr(
        Stamped, "found", lambda self: [one._replace(folded=()) for one in found(self)]
    )
    assert first_red() is not None


def test_without_the_order_of_stamps_the_campaign_turns_red(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "sorted", lambda items, **_: list(items), raising=False)
    assert first_red() is not None


class Thing(Event):
    id: str


class Asked(Thing, type="desk.Asked.v1"):
    pass


class Agreed(Thing, type="boss.Agreed.v1"):
    pass


class Denied(Thing, type="boss.Denied.v1"):
    pass


class Checked(Thing, type="desk.Checked.v1"):
    pass


class Consent(Saga):
    """What is answered before it is asked for is recorded, and nobody has decided in its knowledge."""

    key = "id"
    start = Start(Asked, by="desk", undone=NOTHING)
    check = Step(by="desk", on=Asked, done=Checked, undone=NOTHING)
    consent = Wait(by="boss", on=Checked, done=Agreed, refused=Denied, timeout=NEVER)


@pytest.mark.parametrize("sent_ms", [(1_000, 990), (1_000, 1_000), (1_000, 1_010)])
def test_answers_on_one_topic_stay_in_its_order_whatever_the_clocks_of_their_senders_say(
    sent_ms: tuple[int, int],
) -> None:
    begun = Fact("s", Asked.event_type, START, Role.DONE, published=True)
    denied = Fact("d", Denied.event_type, "consent", Role.REFUSED, published=True, folded=True)
    agreed = Fact("a", Agreed.event_type, "consent", Role.DONE, published=True, folded=True)
    read = [Found(begun, 0, 0, "s", published_ms=900)]
    read += [
        Found(fact, 0, 0, fact.id, published_ms=at_ms)
        for fact, at_ms in zip((denied, agreed), sent_ms, strict=True)
    ]
    row = Instance(Consent.definition, "1")
    for fact in (begun, denied, agreed):
        row = evolve(row, fact)
    again = refold(Consent.definition, "1", read)
    assert again is not None
    assert again.instance.facts.keys() == row.facts.keys() == {Asked.event_type, Denied.event_type}
