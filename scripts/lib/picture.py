"""Writes what README and docs show of the declarations: a flow chart and the transition table."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.core.definition import START, Definition, Join, StepDefinition
from sagas.core.transitions import render

__all__ = ["PLACES", "current", "flow_chart", "main"]

ROOT = Path(__file__).parents[2]


def flow_chart(definition: Definition) -> str:
    """The choreography in Mermaid: a lane per service, solid arrows forward, dotted ones back."""
    lines = ["```mermaid", "flowchart LR"]
    for service in definition.services:
        lines.append(f"  subgraph {service}")
        lines += [f"    {_node(definition, step)}" for step in definition.steps_of[service]]
        lines.append("  end")
    for step in definition.steps:
        for trigger in step.triggers:
            source = definition.outcome_of[trigger].step
            joined = " (all)" if step.join is Join.ALL and len(step.triggers) > 1 else ""
            lines.append(f"  {source} -->|{_short(trigger)}{joined}| {step.name}")
    for step in definition.steps:
        lines += [f"  {step.name} -.->|{_short(t)}| back([compensate])" for t in step.refused]
    return "\n".join([*lines, "```"])


def _node(definition: Definition, step: StepDefinition) -> str:
    undone = f"<br/>undone: {_short(step.undone)}" if step.undone else ""
    label = "start" if step.name == START else step.name
    kind = definition.kinds[step.name]
    open_, close = ("{{", "}}") if step.pivot else ("[", "]")
    return f'{step.name}{open_}"{label} ({kind}){undone}"{close}'


def _short(type_: str | None) -> str:
    return (type_ or "").split(".")[1]


PLACES: dict[Path, tuple[str, Callable[[], str]]] = {
    ROOT / "README.md": ("picture", lambda: flow_chart(OrderFulfilment.definition)),
    ROOT / "docs" / "concepts.md": ("transitions", render),
}


def current(path: Path) -> str:
    """The file with its generated part made anew."""
    name, make = PLACES[path]
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    return pattern.sub(lambda m: f"{m[1]}{make()}\n{m[2]}", path.read_text())


def main() -> int:
    """Write the generated parts, or say which are out of date."""
    stale = [path for path in PLACES if path.read_text() != current(path)]
    if "--write" in sys.argv[1:]:
        for path in stale:
            path.write_text(current(path))
        return 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: scripts/picture --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
