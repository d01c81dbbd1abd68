"""The HTTP interface of orders.

Owns what is accepted from outside and how it is answered: ``POST /orders``,
``GET /orders/{order_id}``, ``POST /orders/{order_id}/cancel`` and
``POST /orders/{order_id}/receipt``. What is wrong with a request is said in words.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.orders import OrderLine, OrderPlaced
from sagas.application import SagaView
from services.orders.desk import Answer, Desk, Standing

__all__ = ["CancelRequest", "OrderRequest", "api"]

_BODY_BYTES_MAX = 64 * 1024
_PATIENCE_S = 5

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class OrderRequest(BaseModel):
    """What a customer sends. With an ``order_id`` of its own, a request is safe to repeat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: _Id = Field(default_factory=lambda: uuid4().hex)
    customer_id: _Id
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100)]


class CancelRequest(BaseModel):
    """Why a customer does not want an order any more; nobody has to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(max_length=500)] = ""


def api(desk: Desk) -> Starlette:
    """The application; it holds nothing but the desk."""

    async def place(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _error(413, f"The order is larger than {_BODY_BYTES_MAX} bytes.")
        try:
            wanted = OrderRequest.model_validate_json(body)
        except ValidationError as error:
            return _error(422, *_complaints(error))
        placed = OrderPlaced(
            order_id=wanted.order_id, customer_id=wanted.customer_id, lines=wanted.lines
        )
        async with asyncio.timeout(_PATIENCE_S):
            answer = await desk.place(placed)
        if answer is Answer.CONFLICT:
            return _error(409, f"There is another order {placed.order_id}; choose another id.")
        return JSONResponse(
            {"order_id": placed.order_id, "amount_cents": placed.amount_cents},
            status_code=201 if answer is Answer.ACCEPTED else 200,
            headers={"Location": f"/orders/{placed.order_id}"},
        )

    async def look(request: Request) -> Response:
        order_id = request.path_params["order_id"]
        async with asyncio.timeout(_PATIENCE_S):
            standing = await desk.look(order_id)
        if standing is None:
            return _error(404, f"There is no order {order_id}.")
        return JSONResponse(_standing(standing))

    async def confirm(request: Request) -> Response:
        order_id = request.path_params["order_id"]
        async with asyncio.timeout(_PATIENCE_S):
            answer = await desk.confirm(order_id)
        if answer is Answer.UNKNOWN:
            return _error(404, f"There is no order {order_id}.")
        if answer is Answer.CONFLICT:
            return _error(409, f"The receipt of {order_id} can not be confirmed any more.")
        return JSONResponse({"order_id": order_id}, 202 if answer is Answer.ACCEPTED else 200)

    return Starlette(
        routes=[
            Route("/orders", place, methods=["POST"]),
            Route("/orders/{order_id}", look, methods=["GET"]),
            Route("/orders/{order_id}/cancel", partial(_cancel, desk), methods=["POST"]),
            Route("/orders/{order_id}/receipt", confirm, methods=["POST"]),
        ],
        exception_handlers={
            SQLAlchemyError: _unavailable,
            OSError: _unavailable,  # TimeoutError is one
        },
    )


async def _cancel(desk: Desk, request: Request) -> Response:
    order_id = request.path_params["order_id"]
    body = await _body(request)
    if body is None:
        return _error(413, f"The request is larger than {_BODY_BYTES_MAX} bytes.")
    try:
        wanted = CancelRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        return _error(422, *_complaints(error))
    async with asyncio.timeout(_PATIENCE_S):
        answer = await desk.cancel(order_id, wanted.reason)
    if answer is Answer.UNKNOWN:
        return _error(404, f"There is no order {order_id}.")
    if answer is Answer.CONFLICT:
        return _error(409, f"It is too late to cancel {order_id}: the parcel is on its way.")
    return JSONResponse({"order_id": order_id}, 202 if answer is Answer.ACCEPTED else 200)


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            return None
    return bytes(body)


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _error(status: int, *messages: str) -> JSONResponse:
    return JSONResponse({"errors": messages}, status_code=status)


async def _unavailable(_request: Request, _error_seen: Exception) -> Response:
    return _error(503, "Something that is needed does not answer. Send the same request again.")


def _standing(standing: Standing) -> dict[str, object]:
    order = standing.order
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "lines": [line.model_dump() for line in order.lines],
        "amount_cents": order.amount_cents,
        "status": order.status,
        "reason": order.reason or None,
        "saga": None if standing.saga is None else _saga(standing.saga),
    }


def _saga(view: SagaView) -> dict[str, object]:
    return {
        "status": view.status,
        "state": view.state,
        "reason": view.reason,
        "waits_for": [
            {"step": waiting.step, "service": waiting.service, "direction": waiting.direction}
            for waiting in view.waits_for
        ],
        "timeline": [
            {
                "event": entry.event,
                "step": entry.step,
                "service": entry.service,
                "time_ms": entry.time_ms,
                "since_cause_ms": entry.since_cause_ms,
            }
            for entry in view.timeline
        ],
    }
