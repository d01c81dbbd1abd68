"""Writes what README and docs show of the declarations: pictures, and the transition table."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.cli.project import open_project
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.transitions import render
from sagas.exports.flow import event_flow
from sagas.graph.drawing import Format, View, drawn, graph_of, standing_of
from sagas.wire.topics import Topics

__all__ = ["PLACES", "current", "instance", "main"]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
ORDER = OrderFulfilment.definition
REFUSED = (
    "orders.OrderPlaced.v1",
    "inventory.StockReserved.v1",
    "payments.PaymentDeclined.v1",
)


def instance() -> Instance:
    """An order whose payment was declined, on its way back."""
    found = Instance(ORDER, "order-17")
    for number, type_ in enumerate(REFUSED):
        outcome = ORDER.outcome_of[type_]
        cause = str(number - 1) if number else None
        fact = Fact(str(number), type_, outcome.step, outcome.role, cause, published=True)
        found = evolve(found, fact)
    return found


def _svg(view: View) -> str:
    return drawn(graph_of(ORDER, view), Format.SVG)


def _events() -> str:
    services = open_project(ROOT).services()
    return drawn(event_flow(ORDER, services, Topics("sagas")), Format.SVG)


def _standing() -> str:
    view = View.CHOREOGRAPHY
    return drawn(standing_of(graph_of(ORDER, view), view, instance()), Format.SVG)


def _part(path: Path, name: str, text: str) -> str:
    """The file with its generated part made anew."""
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", path.read_text())


def _mermaid() -> str:
    return f"```mermaid\n{drawn(graph_of(ORDER, View.CHOREOGRAPHY), Format.MERMAID)}```"


README, CONCEPTS = ROOT / "README.md", ROOT / "docs" / "concepts.md"
PLACES: dict[Path, Callable[[], str]] = {
    README: lambda: _part(README, "picture", _mermaid()),
    CONCEPTS: lambda: _part(CONCEPTS, "transitions", render()),
    PICTURES / "order-fulfilment.svg": lambda: _svg(View.CHOREOGRAPHY),
    PICTURES / "order-fulfilment-states.svg": lambda: _svg(View.STATES),
    PICTURES / "order-fulfilment-events.svg": _events,
    PICTURES / "order-17.svg": _standing,
}


def current(path: Path) -> str:
    """What the file should hold."""
    return PLACES[path]()


def main() -> int:
    """Write what is out of date, or say which files are."""
    stale = [path for path in PLACES if not path.exists() or path.read_text() != current(path)]
    if "--write" in sys.argv[1:]:
        for path in stale:
            path.parent.mkdir(exist_ok=True)
            path.write_text(current(path))
        return 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: scripts/picture --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
