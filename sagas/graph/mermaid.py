"""A picture as a Mermaid flow chart, as GitHub and others draw it from a fenced block.

Everything that comes from a declaration is escaped; ids are made, never taken.
"""

from __future__ import annotations

import re

from sagas.core.printable import printable
from sagas.graph.model import Edge, Graph, Node, Shape
from sagas.graph.palette import FILLS, LIGHT

__all__ = ["mermaid"]

_BRACKETS = {
    Shape.PIVOT: ("{{", "}}"),
    Shape.STATE: ("(", ")"),
    Shape.EVENT: ("([", "])"),
    Shape.REFUSAL: ("([", "])"),
    Shape.UNDO: ("(", ")"),
    Shape.END: ("([", "])"),
    Shape.START: ("(", ")"),
    Shape.WAIT: ("[/", "/]"),
}


def mermaid(graph: Graph) -> str:
    """The picture as the text of a Mermaid block: solid arrows forward, dotted ones back."""
    ids = _ids(graph)
    lines = ["flowchart LR"]
    for number, lane in enumerate(graph.lanes):
        title = f"{lane.title}<br/>{lane.note}" if lane.note else lane.title
        lines.append(f'  subgraph lane{number}["{_label(title)}"]')
        lines += [f"    {ids[n.id]}{_node(graph, n)}" for n in graph.nodes if n.lane == lane.id]
        lines.append("  end")
    lines += [_edge(edge, ids) for edge in dict.fromkeys(graph.edges)]
    for standing, colour in FILLS.items():
        nodes = [ids[n.id] for n in graph.nodes if n.place and n.place.standing is standing]
        if nodes:
            fill, ink = LIGHT[colour], LIGHT["on"]
            lines.append(f"  classDef {standing} fill:{fill},color:{ink},stroke:{fill}")
            lines.append(f"  class {','.join(nodes)} {standing}")
    return "\n".join(lines) + "\n"


def _ids(graph: Graph) -> dict[str, str]:
    """Names that Mermaid can not take for words of its own, and that are told apart."""
    found: dict[str, str] = {}
    for number, node in enumerate(graph.nodes):
        made = "n_" + re.sub(r"\W", "_", node.id, flags=re.ASCII)
        found[node.id] = f"{made}_{number}" if made in found.values() else made
    return found


def _node(graph: Graph, node: Node) -> str:
    leaving = {edge.row for edge in graph.edges if edge.source == node.id}
    told = [row.told for row in node.rows if row not in leaving]
    word = [f"({node.place.word})"] if node.place and node.place.word else []
    open_, close = _BRACKETS.get(node.shape, ("[", "]"))
    label = "<br/>".join(map(_label, [node.title, *word, *node.notes, *told]))
    return f'{open_}"{label}"{close}'


def _edge(edge: Edge, ids: dict[str, str]) -> str:
    row = edge.row
    arrow = "-.->" if row is not None and row.mark.leads_back else "-->"
    label = "" if row is None else f'|"{_label(row.text)}"|'
    return f"  {ids[edge.source]} {arrow}{label} {ids[edge.target]}"


def _label(text: str) -> str:
    """Text that ends no label, starts no tag and is no markdown."""
    breaks = "<br/>"
    parts = printable(text).split(breaks)
    return breaks.join(re.sub(r"[\"#<>&`\\*_|;{}\[\]]", _entity, part) for part in parts)


def _entity(found: re.Match[str]) -> str:
    return found[0] if found[0] == "_" else f"#{ord(found[0])};"
