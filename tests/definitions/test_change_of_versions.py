"""Another version of any events, against the semantics: random sagas that change half-way, at any moment.

What the old workers have recorded, published, or left in their journals is taken for the current version, and
told as it was. With any other change on top, the rules and the walk say the same as without the versions.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sagas.change.carrying import carried, strangeness
from sagas.change.finishing import finishing
from sagas.change.walking import walk
from sagas.core.changes import as_read_by
from sagas.core.decide import ActionResult
from sagas.core.definition import Definition
from sagas.core.enabled import Action
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
from sagas.core.validation import problems
from sagas.wire.stored import decode_instance, encode_instance
from tests.definitions.test_change import SEEDS, Changing, changes, errors
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.parts import Faults, Message

SEEN: Counter[str] = Counter()


class Upcasting(Changing):
    """The new workers read what the old ones have left: rows, records on their way, journals."""

    def _change(self) -> None:
        row = None if self.stored is None else self.stored.instance
        self._told_before = {
            name: one.forward for name, one in self.participants.items() if one.forward is not None
        }
        self._queue = [
            (service, Message(self._read(message.fact), message.control, message.attempt))
            for service, message in self._queue
        ]
        super()._change()
        if row is not None:
            self.stored = Position.of(carried(row, self._new))
            SEEN.update(one.written for one in self.stored.instance.facts.values() if one.written)
        for participant in self.participants.values():
            if participant.forward is not None:
                forward = participant.forward
                participant.forward = self._new.current_of.get(forward, forward)

    def _read(self, fact: Fact) -> Fact:
        current = self._new.current_of.get(fact.type)
        return fact if current is None else fact._replace(type=current, written=fact.type)

    def perform(self, action: Action, instance: Instance) -> ActionResult:
        """An outcome that an older worker has left is told as it stands in the journal."""
        result = super().perform(action, instance)
        told = getattr(self, "_told_before", {}).get(action.step.name, "")
        if result.type is not None and self._new.current_of.get(told) == result.type:
            SEEN["journal"] += 1
            return result._replace(written=told)
        return result


def versioned(chance: random.Random, old: Definition) -> Definition:
    """The same saga, with the next version of some of its events."""
    types = sorted(old.outcome_of)
    chosen = chance.sample(types, chance.randint(1, len(types)))
    pairs = tuple(sorted((type_, f"{type_.rpartition('.v')[0]}.v2") for type_ in chosen))
    return replace(as_read_by(replace(old, upcasts=pairs), old), upcasts=pairs)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, after=st.integers(0, 25), alternatives=st.booleans())
def test_whatever_has_another_version_the_saga_ends(
    seed: int, after: int, alternatives: bool
) -> None:
    old = random_definition(seed, alternatives=alternatives)
    new = versioned(random.Random(seed), old)
    assert not problems(new)
    assert errors(old, new) == []
    for schedule in range(4):
        plans = random_plans(old, seed)
        faults = Faults(crashes=1, duplicates=1)
        model = Upcasting(old, new, plans, seed=seed + schedule, after=after, faults=faults)
        model.run()
        assert model.row is not None
        assert model.row.phase.is_terminal, (model.changed_at, model.trace)
        for step in new.steps:
            effects = model.participants[step.name].effects
            assert max(effects.values(), default=0) <= 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, alternatives=st.booleans())
def test_versions_change_nothing_of_what_is_said_of_another_change(
    seed: int, alternatives: bool
) -> None:
    chance = random.Random(seed)
    old = random_definition(seed, alternatives=alternatives)
    other = changes(chance, old)
    assume(not problems(other))
    pairs = tuple(
        sorted((t, f"{t.rpartition('.v')[0]}.v2") for t in other.outcome_of if t in old.outcome_of)
    )
    both = replace(as_read_by(replace(other, upcasts=pairs), other), upcasts=pairs)
    assert len(errors(old, both)) == len(errors(old, other))
    without, with_ = finishing(old, other, states_max=800), finishing(old, both, states_max=800)
    assert [(p.status, p.waits_for, p.hindrance) for p in with_.places] == [
        (p.status, p.waits_for, p.hindrance) for p in without.places
    ]


def test_old_versions_were_met_in_rows_and_in_journals() -> None:
    assert SEEN["journal"] > 0, SEEN
    assert len(SEEN) > 10


# --- steps that are gone ----------------------------------------------------------------------------


def retiring(chance: random.Random, old: Definition) -> Definition | None:
    """Without one of the steps that have nothing to undo and are followed by none; None if there is none."""
    used = {t for step in old.steps for t in (*step.triggers, *step.reads)}
    ends = [
        step
        for step in old.steps[1:]
        if step.undone is None and used.isdisjoint(t for t, _ in step.outcomes)
    ]
    if not ends:
        return None
    gone = chance.choice(ends)
    new = replace(
        old,
        steps=tuple(step for step in old.steps if step is not gone),
        retired=tuple(sorted(type_ for type_, _ in gone.outcomes)),
    )
    return None if problems(new) else new


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, alternatives=st.booleans())
def test_a_row_without_a_retired_step_is_what_a_rebuild_makes(
    seed: int, alternatives: bool
) -> None:
    """Wherever a saga stands: read from its row, and folded again from its records, it is the same, but for
    an end that only the fold sees.
    """
    old = random_definition(seed, alternatives=alternatives)
    new = retiring(random.Random(seed), old)
    assume(new is not None)
    assert new is not None
    for state in walk(old, states_max=400).states:
        if strangeness(state, new) is not None:
            continue
        read = decode_instance(new, "example", encode_instance(state))
        assert read == carried(state, new)._replace(saga_id="example")
        folded = Instance(new, "example")
        for fact in read.facts.values():
            folded = evolve(folded, fact)
        SEEN["folded"] += 1
        assert folded.facts == read.facts
        if folded.phase.is_terminal and not read.phase.is_terminal:
            SEEN["ended by the fold"] += 1
            continue
        assert (folded.phase, folded.turned_by) == (read.phase, read.turned_by)
        assert folded.in_flight == read.in_flight


def test_sagas_without_a_step_were_seen_that_only_the_fold_ends() -> None:
    assert SEEN["folded"] > 100
    assert SEEN["ended by the fold"] > 0
