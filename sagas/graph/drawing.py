"""From a definition, or an instance of it, to a picture's text: which views and formats there are."""

from __future__ import annotations

from enum import StrEnum

from sagas.core.definition import Definition
from sagas.core.instance import Instance
from sagas.graph.choreography import choreography
from sagas.graph.dot import dot
from sagas.graph.events import events
from sagas.graph.mermaid import mermaid
from sagas.graph.model import Graph
from sagas.graph.palette import Theme
from sagas.graph.standing import event_places, state_places, step_places
from sagas.graph.states import states
from sagas.graph.svg import svg

__all__ = ["Format", "Theme", "View", "drawn", "graph_of", "standing_of"]


class View(StrEnum):
    """What of a saga is shown."""

    CHOREOGRAPHY = "choreography"
    STATES = "states"
    EVENTS = "events"


class Format(StrEnum):
    """In which form it is written."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


def graph_of(definition: Definition, view: View) -> Graph:
    """The picture as data, of what the definition alone knows."""
    match view:
        case View.CHOREOGRAPHY:
            return choreography(definition)
        case View.STATES:
            return states(definition)
        case View.EVENTS:
            return events(definition)


def standing_of(graph: Graph, view: View, instance: Instance) -> Graph:
    """The same picture, showing where one instance stands."""
    places = _PLACES[view](instance)
    reached = f", {instance.state}" if instance.state is not None else ""
    return graph.placed(
        places, f"{graph.subtitle} of {instance.saga_id}: {instance.status}{reached}"
    )


_PLACES = {View.CHOREOGRAPHY: step_places, View.STATES: state_places, View.EVENTS: event_places}


def drawn(graph: Graph, format_: Format, theme: Theme = Theme.AUTO) -> str:
    """The picture as text; the theme is an SVG's."""
    match format_:
        case Format.MERMAID:
            return mermaid(graph)
        case Format.DOT:
            return dot(graph)
        case Format.SVG:
            return svg(graph, theme)
