"""A picture in DOT, the language of Graphviz: for those who lay out by their own rules.

Everything that comes from a declaration is a quoted string.
"""

from __future__ import annotations

from sagas.core.printable import printable
from sagas.graph.model import Edge, Graph, Node, Shape
from sagas.graph.palette import FILLS, LIGHT

__all__ = ["dot"]

_SHAPES = {
    Shape.PIVOT: "hexagon",
    Shape.EVENT: "ellipse",
    Shape.REFUSAL: "ellipse",
    Shape.END: "doubleoctagon",
    Shape.WAIT: "parallelogram",
}


def dot(graph: Graph) -> str:
    """The picture as a DOT digraph: a cluster for each lane."""
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        "  rankdir=LR",
        f"  label={_quoted(graph.title, graph.subtitle)}",
        '  node [fontname="sans-serif", shape=box, style=rounded]',
        '  edge [fontname="sans-serif", fontsize=10]',
    ]
    for number, lane in enumerate(graph.lanes):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={_quoted(*filter(None, [lane.title, lane.note]))}")
        lines += [f"    {_node(graph, node)}" for node in graph.nodes if node.lane == lane.id]
        lines.append("  }")
    lines += [f"  {_edge(edge)}" for edge in dict.fromkeys(graph.edges)]
    return "\n".join([*lines, "}\n"])


def _node(graph: Graph, node: Node) -> str:
    leaving = {edge.row for edge in graph.edges if edge.source == node.id}
    told = [row.told for row in node.rows if row not in leaving]
    word = [f"({node.place.word})"] if node.place and node.place.word else []
    looks = [f"label={_quoted(node.title, *word, *node.notes, *told)}"]
    if node.shape in _SHAPES:
        looks.append(f'shape={_SHAPES[node.shape]}, style=""')
    if node.place is not None and node.place.standing in FILLS:
        fill, ink = LIGHT[FILLS[node.place.standing]], LIGHT["on"]
        looks.append(f'style=filled, fillcolor="{fill}", fontcolor="{ink}"')
    return f"{_quoted(node.id)} [{', '.join(looks)}]"


def _edge(edge: Edge) -> str:
    looks = []
    if edge.row is not None:
        looks.append(f"label={_quoted(edge.row.text)}")
        looks += ["style=dashed", "constraint=false"] if edge.row.mark.leads_back else []
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [{', '.join(looks)}]"


def _quoted(*lines: str) -> str:
    r"""A DOT string; ``\n`` between its lines."""
    escaped = [printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(escaped) + '"'
