"""A counterexample as a sequence diagram, and as a test that fails until its cause is mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sagas.checks.model.bounds import Bounds
from sagas.checks.model.moves import Moves
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.states import Move, State
from sagas.core.definition import Definition
from sagas.core.errors import ContractViolation

__all__ = ["mermaid", "pytest_module", "replay"]

_REST_MAX = 2000
"""After so many moves without a fault a saga of a dozen steps has long ended."""


def mermaid(definition: Definition, moves: Iterable[Move], violations: Sequence[str]) -> str:
    """A sequence diagram: services, the saga table, and what comes from outside."""
    lines = ["sequenceDiagram", "    participant outside"]
    lines += [f"    participant {service}" for service in definition.services]
    lines.append("    participant table as saga table")
    for move in moves:
        lines += [f"    {line}" for line in _drawn(definition, move)]
    ends = f"{definition.services[0]},table"
    lines += [f"    Note over {ends}: {_plain(violation)}" for violation in violations]
    return "\n".join(lines) + "\n"


def _drawn(definition: Definition, move: Move) -> Iterator[str]:
    service = move.service
    if service is None:
        yield f"Note over outside: {_plain(move.words)}"
        return
    yield f"Note over {service}: {_plain(move.words)}"
    for call in move.calls:
        verb, _, what = call.partition(" ")
        if verb == "stores":
            yield f"{service}->>table: {_plain(what)}"
        elif verb == "emits":
            type_ = what.removeprefix("outside/").partition("/")[0].partition("@")[0]
            for other in definition.services:
                if type_ in definition.wakes[other]:
                    yield f"{service}-){other}: {_plain(what)}"
        elif verb == "finds":
            yield f"table--x{service}: {_plain(call)}"
        else:
            yield f"Note over {service}: {_plain(call)}"


def _plain(text: str) -> str:
    """Without what ends a line, or a statement, in Mermaid."""
    return text.replace(";", ",").replace("#", "no. ").replace("\n", " ")


def pytest_module(saga: str, moves: Iterable[Move], violations: Sequence[str]) -> str:
    """A test of exactly this schedule. ``saga`` is where it is declared, as ``module:Class``."""
    module, _, name = saga.partition(":")
    schedule = "\n".join(f"    {str(move)!r}," for move in moves)
    found = "\n".join(f"    {violation}" for violation in violations)
    return f'''"""Found by `sagas check --model {saga}`:

{found}
"""

from {module} import {name}
from sagas.checks.model import replay

SCHEDULE = (
{schedule}
)


def test_what_the_model_checker_found() -> None:
    assert replay({name}.definition, SCHEDULE) == []
'''


def replay(
    definition: Definition, schedule: Iterable[str], *, guards: Guards = ALL_GUARDS
) -> list[str]:
    """What is broken when exactly this happens, and then nothing more goes wrong. Empty if nothing is.

    A line of ``schedule`` is a move in words. Raises ContractViolation if one can not happen there: then the
    saga, or the framework, is another one than when it was found.
    """
    bounds = Bounds(at_once=9)
    moves = Moves(definition, bounds, guards, reduced=False)
    state = moves.initial(bounds.counted)
    broken: list[str] = []
    for number, line in enumerate(schedule, 1):
        words, *calls = line.split("; ")
        found = _followed(moves, state, words, tuple(calls))
        while found is None and (silent := _silent(moves, state)) is not None:
            state = silent
            found = _followed(moves, state, words, tuple(calls))
        if found is None:
            raise ContractViolation(
                f"Line {number} of the schedule can not happen there any more: {line!r}. Expected the "
                "saga as it was when this was found; check it again."
            )
        state, violations = found
        broken += violations
    return list(dict.fromkeys(broken)) or _rested(moves, state._replace(faults=0, at_once=0))


def _silent(moves: Moves, state: State) -> State | None:
    """The state after something that does nothing: the model checker takes such things off untold."""
    for move, after in moves.of(state):
        if move.service is not None and not move.calls and after.faults == state.faults:
            return after
    return None


def _followed(
    moves: Moves, state: State, words: str, calls: tuple[str, ...]
) -> tuple[State, tuple[str, ...]] | None:
    """The state after a move in words. What was one move there may be several here."""
    for move, after in moves.of(state):
        if move.words != words or move.calls != calls[: len(move.calls)]:
            continue
        left = calls[len(move.calls) :]
        if not left:
            return after, move.violations
        begun = set(after.running) - set(state.running)
        for node, _ in begun:
            further = _followed(moves, after, moves.going_on(node), left)
            if further is not None:
                return further[0], (*move.violations, *further[1])
    return None


def _rested(moves: Moves, state: State) -> list[str]:
    """What is broken once everything has come to rest."""
    for _ in range(_REST_MAX):
        step = next(iter(moves.of(state)), None)
        if step is None:
            return moves.stretches.invariants.broken(moves.end(state))
        move, state = step
        if move.violations:
            return list(move.violations)
    return ["I1: from here no end can be reached any more"]
