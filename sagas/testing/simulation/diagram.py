"""The story of a run as a Mermaid sequence diagram.

Owns the words of the picture. Shows who published what to whom, what took effect, and what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sagas.core.saga import Saga
from sagas.testing.simulation.world import Moment

__all__ = ["sequence_diagram"]

_MOMENTS_MAX = 60
_LEFT_OUT = frozenset({"conflict", "lost"})


def sequence_diagram(
    moments: Sequence[Moment], sagas: Iterable[type[Saga]], *, moments_max: int = _MOMENTS_MAX
) -> str:
    """The last moments of a run; what fills pages without a turn of the story is left out first."""
    told = list(moments)
    if len(told) > moments_max:
        told = [moment for moment in told if moment.kind not in _LEFT_OUT]
    omitted, told = len(told) - moments_max, told[-moments_max:]
    lines = ["sequenceDiagram"]
    if omitted > 0 and told:
        lines.append(f"    Note over {_name(told[0].who)}: ({omitted} moments before this)")
    consumers = _consumers(sagas)
    for moment in told:
        lines += _lines(moment, consumers)
    return "\n".join(lines)


def _consumers(sagas: Iterable[type[Saga]]) -> dict[str, dict[str, None]]:
    """By event type: the services with a step that it triggers, in the order of declaration."""
    found: dict[str, dict[str, None]] = {}
    for saga in sagas:
        for step in saga.definition.steps:
            for trigger in step.triggers:
                found.setdefault(trigger, {})[step.service] = None
    return found


def _lines(moment: Moment, consumers: dict[str, dict[str, None]]) -> Iterator[str]:
    who, at = _name(moment.who), f"{moment.at_s:.3f}"
    if moment.kind != "event":
        yield f"    Note over {who}: {at} {_kind(moment)}{moment.words}"
        return
    type_ = moment.words.split(".")[1] if moment.words.count(".") > 1 else moment.words
    receivers = consumers.get(moment.words)
    if not receivers:
        yield f"    Note over {who}: {at} publishes {type_}"
        return
    for receiver in receivers:
        yield f"    {who}-){_name(receiver)}: {at} {type_}"


def _kind(moment: Moment) -> str:
    return "" if moment.kind in {"effect", "healed"} else f"{moment.kind}: "


def _name(who: str) -> str:
    """What Mermaid takes for a participant."""
    return who.replace("-", "_") or "everybody"
