"""A customer changes their mind: what the order desk says, and what becomes of the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReleased, StockReserved
from events.orders import OrderLine, OrderPlaced
from events.payments import PaymentVoided
from sagas.core.instance import SagaStatus
from sagas.testing import SagaTestEnvironment
from services import open_database
from services.orders import main as orders
from services.orders import store
from services.orders.desk import Answer
from services.orders.settings import OrdersSettings

ORDER = OrderPlaced(
    order_id="o-1",
    customer_id="ada",
    lines=(OrderLine(sku="tea", quantity=2, unit_price_cents=690),),
)


async def test_until_the_parcel_leaves_an_order_can_be_cancelled(tmp_path: Path) -> None:
    place: dict[str, Any] = {"data_dir": tmp_path, "database": None}
    settings = OrdersSettings(**place)
    reserved = StockReserved(order_id="o-1", customer_id="ada", amount_cents=1380)
    async with (
        open_database(settings, store.tables) as engine,
        SagaTestEnvironment(
            [orders.service], resources={"orders": lambda: orders.open_resources(settings)}
        ) as env,
    ):
        env.replace(OrderFulfilment.reserve_stock, returns=reserved)
        released = StockReleased(order_id="o-1")
        env.replace(OrderFulfilment.reserve_stock, returns=released, undo=True)
        desk = orders.desk_of(engine, env.platform)
        assert await desk.cancel("o-1", "") is Answer.UNKNOWN
        await desk.place(ORDER)
        await env.advance(5)
        assert env.status("o-1") is SagaStatus.RUNNING
        assert await desk.cancel("o-1", "too dear") is Answer.ACCEPTED
        await env.advance(5)
        assert await desk.cancel("o-1", "too dear") is Answer.KNOWN
        voided = PaymentVoided(order_id="o-1")
        env.replace(OrderFulfilment.authorize_payment, returns=voided, undo=True)
        await env.wait_for_end("o-1")
        standing = await desk.look("o-1")
    assert standing is not None
    assert standing.order.status is store.OrderStatus.CANCELLED
    assert standing.order.reason == "cancelled by the customer"
