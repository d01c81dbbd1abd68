"""One saga: where it stands as a picture, what happened, what it waits for, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from sagas.core.saga import Saga
from sagas.exports.flow import event_flow
from sagas.graph.drawing import Format, View, drawn, graph_of, standing_of
from sagas.graph.model import Graph
from sagas.operating.details import Detail, detail_of
from sagas.operating.errors import Misasked
from sagas.operating.lookup import Found, find_saga
from sagas.operating.mending import mends_of
from sagas.operating.timers import lines_of
from sagas.runtime.views import standing_words
from sagas.web.console.explaining import explained
from sagas.web.console.pages.asking import Choice, choices_for
from sagas.web.console.rendering import fragment, page
from sagas.web.console.state import Console, console_of
from sagas.wire.topics import Topics

__all__ = ["choreography", "choreography_picture", "instance", "live", "picture", "view_named"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which saga, and how it is looked at."""

    console: Console
    saga: str
    saga_id: str
    view: View

    async def found(self) -> Found:
        """The saga. Raises NotFound, Misasked, Away, TableUnavailable and ContractViolation."""
        sagas = self.console.chosen(self.saga)
        async with self.console.servers.table() as table:
            return await find_saga(table, sagas, self.saga_id, self.console.servers.namespace)

    async def part(self) -> str:
        """What of the page changes."""
        found = await self.found()
        detail = detail_of(found.saga, found.saga_id, found.row)
        told = await explained(self.console, found.saga, found.saga_id, found.row.stamp)
        return fragment(
            "instance_part.html",
            detail=detail,
            view=detail.view,
            picture_view=self.view.value,
            told=told,
            alt=_alt(detail),
            deadline_ms=None if found.instance.phase.is_terminal else found.instance.deadline_ms,
            timers=lines_of(found.instance),
            heartbeats=found.instance.heartbeats,
            attempts={name: retry.attempts for name, retry in found.saga.retries.items()},
            choices=choices_for(found),
            mends=mends_of(found.instance, found.saga, several=len(self.console.sagas) > 1),
            Choice=Choice,
        )


def _alt(detail: Detail) -> str:
    """Where it stands, in one sentence."""
    if detail.view.has_ended:
        return f"It has ended {detail.view.status}."
    return f"It is {standing_words(detail.view)}."


def _asked(request: Request) -> _Asked:
    asked = request.query_params
    return _Asked(
        console_of(request),
        asked.get("saga", ""),
        asked.get("id", ""),
        view_named(asked.get("view")),
    )


def view_named(name: str | None) -> View:
    """The view of that name; the choreography without one. Raises Misasked."""
    if name in set(View):
        return View(name)
    if name:
        raise Misasked(f"There is no view {name!r}; there are {', '.join(View)}.")
    return View.CHOREOGRAPHY


async def instance(request: Request) -> HTMLResponse:
    """The page of one saga."""
    asked = _asked(request)
    part = await asked.part()
    return page(
        request,
        "instance.html",
        part=part,
        saga=asked.saga,
        saga_id=asked.saga_id,
        picture_view=asked.view.value,
        views=[view.value for view in View],
    )


async def live(request: Request) -> StreamingResponse | PlainTextResponse:
    """What changes of it, as it does."""
    streams = request.app.state.streams
    if streams.are_full:
        return PlainTextResponse("Too many look already.\n", 503)
    response: StreamingResponse = streams.response(_asked(request).part)
    return response


async def picture(request: Request) -> Response:
    """Where it stands, as a picture."""
    asked = _asked(request)
    found = await asked.found()
    graph = _graph(asked.console, found.saga, asked.view)
    return _svg(standing_of(graph, asked.view, found.instance))


async def choreography(request: Request) -> HTMLResponse:
    """The page of pictures: each saga as it is declared."""
    console, asked = console_of(request), request.query_params
    names = [saga.name for saga in console.sagas]
    name = asked.get("saga", "") or (names[0] if names else "")
    view = view_named(asked.get("view"))
    saga = console.saga(name) if name else None
    return page(
        request,
        "choreography.html",
        saga=name,
        sagas=names,
        doc=_doc(saga),
        picture_view=view.value,
        views=[one.value for one in View],
        steps=[] if saga is None else saga.definition.steps,
    )


def _doc(saga: type[Saga] | None) -> str:
    """What its author says of it."""
    return "" if saga is None else " ".join((saga.__doc__ or "").split())


async def choreography_picture(request: Request) -> Response:
    """A saga as it is declared, as a picture."""
    asked = _asked(request)
    return _svg(_graph(asked.console, asked.console.saga(asked.saga), asked.view))


def _graph(console: Console, saga: type[Saga], view: View) -> Graph:
    if view is View.EVENTS:
        topics = Topics(console.servers.namespace)
        return event_flow(saga.definition, console.services, topics)
    return graph_of(saga.definition, view)


def _svg(graph: Graph) -> Response:
    return Response(
        drawn(graph, Format.SVG),
        media_type="image/svg+xml",
        # A picture has its style in itself, and nothing else.
        headers={
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        },
    )
