"""Whether the checks, the model checker and the random explorer agree, on sagas that chance has drawn.

Owns three questions for each seed, and counts the answers:

- Where ``sagas check`` has nothing against a saga: do the model checker and the explorer find nothing?
- If the declaration is broken at random: does ``sagas check`` say so?
- If a safeguard of the semantics or of a participant is taken away: does the model checker find what the
  explorer finds? What only the model checker finds, its schedule has to show, replayed without any reduction.

A safeguard that a saga does not need is no defect of it: the model checker proves that where it comes to an
end, and the explorer must not find anything either.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sagas.checks import Severity, Subject, check
from sagas.checks.model import Bounds, Guards, Result, explore, replay
from sagas.checks.subject import Declared
from sagas.core.definition import Definition
from sagas.core.errors import ContractViolation
from sagas.core.validation import problems
from tests.simulation.breaking import BREAKS
from tests.simulation.checkers import violations
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import Model, Unrest
from tests.simulation.parts import Faults
from tests.simulation.planted import GUARDS, PATCHES, planted

__all__ = ["Answer", "Tally", "sweep", "table"]

NOTHING: Final = "nothing"
DECLARED: Final = "in the declaration: "
RUNS: Final = 40
"""Random executions of a saga, each with other plans and another schedule."""


class Answer(StrEnum):
    """What the three say of one saga, as it is or with something taken away."""

    PROVEN = "proven, and nothing found by chance"
    UNDECIDED = "limit reached, and nothing found by chance"
    REPORTED = "reported"
    MISSED = "found by chance, and not reported within the limit"
    WRONG = "they contradict each other"


@dataclass(slots=True)
class Tally:
    """How often each answer was given, for each thing that was planted; ``wrong`` says where."""

    answers: dict[str, Counter[Answer]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    states: int = 0

    def note(self, planted_: str, seed: int, answer: Answer, why: str = "") -> None:
        """Count one answer."""
        self.answers.setdefault(planted_, Counter())[answer] += 1
        if answer is Answer.WRONG:
            self.wrong.append(f"seed {seed}, {planted_}: {why}")

    def add(self, other: Tally) -> None:
        """Count what another sweep has counted."""
        for planted_, counts in other.answers.items():
            self.answers.setdefault(planted_, Counter()).update(counts)
        self.wrong += other.wrong
        self.states += other.states


def sweep(seeds: Sequence[int], states_max: int) -> Tally:
    """Ask the questions for each seed; at most so many states for each exploration."""
    tally = Tally()
    for seed in seeds:
        definition = random_definition(seed, alternatives=seed % 2 > 0)
        _judge(tally, definition, seed, NOTHING, states_max)
        for name, broken in _broken(definition, seed):
            reported = bool(_errors(broken))
            answer = Answer.REPORTED if reported else Answer.WRONG
            tally.note(DECLARED + name, seed, answer, "sagas check has nothing against it")
        name = random.Random(f"planted {seed}").choice([*PATCHES, *GUARDS])
        _judge(tally, definition, seed, name, states_max)
    return tally


def _errors(definition: Definition) -> list[str]:
    """What refuses the definition at import, and the errors of the other checks."""
    refused = problems(definition)
    if refused:
        return refused
    found = check(Subject(sagas=(Declared(definition=definition),)))
    return [one.reason for one in found if one.severity is Severity.ERROR]


def _broken(definition: Definition, seed: int) -> Iterator[tuple[str, Definition]]:
    chance = random.Random(f"broken {seed}")
    for name, breaks in BREAKS.items():
        broken = breaks(definition, chance)
        if broken is not None:
            yield name, broken


def _judge(tally: Tally, definition: Definition, seed: int, name: str, states_max: int) -> None:
    """One saga, as it is or with a safeguard missing."""
    with planted(name) as guards:
        result = explore(definition, Bounds(states_max=states_max), guards=guards)
        tally.states += result.states
        by_chance = _by_chance(definition, seed, guards)
        told = _contradiction(definition, result, guards)
        if result.proven and by_chance:  # one fault was not enough, perhaps
            result = explore(
                definition, Bounds(states_max=3 * states_max, at_once=2), guards=guards
            )
            tally.states += result.states
    if told:
        tally.note(name, seed, Answer.WRONG, told)
    elif name == NOTHING and (by_chance or result.counterexample):
        found = result.counterexample
        why = "; ".join(by_chance) or "; ".join(found.violations if found else ())
        tally.note(name, seed, Answer.WRONG, f"nothing was planted, and still: {why}")
    elif result.counterexample is not None:
        tally.note(name, seed, Answer.REPORTED)
    elif result.proven:
        contradicts = f"proven, and found by chance: {'; '.join(by_chance)}"
        tally.note(name, seed, Answer.WRONG if by_chance else Answer.PROVEN, contradicts)
    else:
        tally.note(name, seed, Answer.MISSED if by_chance else Answer.UNDECIDED)


def _by_chance(definition: Definition, seed: int, guards: Guards) -> list[str]:
    """What the explorer finds in some runs; the first that finds anything."""
    for run in range(RUNS):
        chance = random.Random(f"run {seed} {run}")
        faults = Faults(
            crashes=chance.randint(0, 1),
            duplicates=chance.randint(0, 1),
            timers=chance.randint(0, 1),
        )
        model = Model(
            definition,
            random_plans(definition, chance.randrange(2**32)),
            seed=chance.randrange(2**32),
            faults=faults,
            remembers_refusals=guards.remembers_refusals,
            leaves_tombstones=guards.leaves_tombstones,
            checks_stamps=guards.checks_stamps,
            remembers_acknowledged=True,
        )
        try:
            found = violations(model.run())
        except Unrest as error:
            found = [str(error)]
        if found:
            return found
    return []


def _contradiction(definition: Definition, result: Result, guards: Guards) -> str:
    """Why what the model checker has found does not happen, step by step and without any reduction."""
    found = result.counterexample
    if found is None:
        return ""
    try:
        replayed = replay(definition, map(str, found.moves), guards=guards)
    except ContractViolation as error:
        return str(error)
    wanted = list(found.violations)
    return "" if replayed == wanted else f"its schedule gives {replayed}, not {wanted}"


def table(tally: Tally) -> list[str]:
    """The rates as a table in Markdown."""
    lines = [
        "| Planted | Sagas | Reported | Proven harmless | Limit reached | Missed within the limit | Wrong |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    order = [NOTHING, *(DECLARED + name for name in BREAKS), *PATCHES, *GUARDS]
    for name, counts in sorted(tally.answers.items(), key=lambda one: order.index(one[0])):
        kinds = (Answer.REPORTED, Answer.PROVEN, Answer.UNDECIDED, Answer.MISSED, Answer.WRONG)
        cells = [str(counts.total()), *(str(counts[kind]) for kind in kinds)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
