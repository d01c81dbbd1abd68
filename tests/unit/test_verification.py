"""What is no difference between the saga table and the topics, although only the table has it."""

from __future__ import annotations

from sagas.runtime.histories import Histories
from sagas.runtime.rebuild import Means
from sagas.runtime.verification import Verification
from sagas.runtime.waking import Waker
from sagas.testing import SagaTestEnvironment
from tests.trips import Agency, Placed, Trip


async def test_what_waits_is_no_difference_between_table_and_topics() -> None:
    """Its timer is a hint, beside a note: the topics say nothing of it."""
    async with SagaTestEnvironment(Agency().services) as env:
        env.fail(Trip.book, times=1)
        await env.start(Placed(id="t-1"))
        await env.advance(1)
        at, broker = env.platform, env._broker._broker
        means = Means(
            saga=Trip,
            histories=Histories(Trip, [Trip], topics=at.topics, reader=broker),
            table=at.table,
            waker=Waker(topics=at.topics, broker=broker, clock=at.clock),
            clock=at.clock,
            ids=at.ids,
        )
        assert [one async for one in Verification(means).differences()] == []
        await env.run()
