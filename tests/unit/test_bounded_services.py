"""A slow step, or one tenant with much to do, holds up nobody else: whole services in virtual time."""

from __future__ import annotations

from collections import Counter
from zlib import crc32

import pytest

from sagas import NOTHING, Adaptive, Event, Saga, SagaStatus, Service, Start, Step, StepContext
from sagas.core.concurrency import Concurrency
from sagas.ports import OutgoingRecord
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import decode_headers


class Thing(Event):
    id: str


class ParcelSent(Thing, type="front.ParcelSent.v1"):
    pass


class ParcelWeighed(Thing, type="depot.ParcelWeighed.v1"):
    pass


class LetterSent(Thing, type="front.LetterSent.v1"):
    pass


class LetterStamped(Thing, type="depot.LetterStamped.v1"):
    pass


class Parcel(Saga):
    key = "id"
    start = Start(ParcelSent, by="front", undone=NOTHING)
    weigh = Step(by="depot", on=ParcelSent, done=ParcelWeighed, pivot=True)


class Letter(Saga):
    key = "id"
    start = Start(LetterSent, by="front", undone=NOTHING)
    stamp = Step(by="depot", on=LetterSent, done=LetterStamped, pivot=True)


class Post:
    """Its depot weighs parcels slowly and stamps letters at once."""

    def __init__(self, *, weighing: Concurrency | None = None, tenant: int | None = None) -> None:
        self.depot = Service("depot", tenant_concurrency=tenant)
        self.calls: Counter[str] = Counter()
        self.attempts: Counter[int] = Counter()
        self.at_once, self.most = 0, 0
        self.depot.performs(Parcel.weigh, concurrency=weighing)(self.weigh)
        self.depot.performs(Letter.stamp)(self.stamp)

    async def weigh(self, sent: ParcelSent, context: StepContext) -> ParcelWeighed:
        self.calls[sent.id] += 1
        self.attempts[context.attempt] += 1
        return ParcelWeighed(id=sent.id)

    async def stamp(self, sent: LetterSent, context: StepContext) -> LetterStamped:
        return LetterStamped(id=sent.id)


MANY = [name for name in map("p-{}".format, range(2_400)) if crc32(name.encode()) % 4 == 0][:520]
LETTER = next(name for name in map("l-{}".format, range(99)) if crc32(name.encode()) % 4 == 0)
"""More than a partition may have begun, and one behind them, all in the same."""


async def all_sent(env: SagaTestEnvironment) -> SagaStatus | None:
    """Send all the parcels, then the letter; where that one is half a second later."""
    env.delay(Parcel.weigh, 1)
    for name in MANY:
        await env.start(ParcelSent(id=name))
    await env.start(LetterSent(id=LETTER))
    await env.advance(0.5)
    return env.status(LETTER)


async def test_without_bounds_a_slow_step_fills_the_partition_and_others_wait() -> None:
    post = Post()
    async with SagaTestEnvironment([post.depot]) as env:
        assert await all_sent(env) is not SagaStatus.COMPLETED
        await env.run()


@pytest.mark.parametrize("weighing", [20, Adaptive(10, 40)], ids=str)
async def test_a_bounded_step_holds_up_nobody_else(weighing: Concurrency) -> None:
    post = Post(weighing=weighing)
    async with SagaTestEnvironment([post.depot]) as env:
        assert await all_sent(env) is SagaStatus.COMPLETED
        waiting = env._broker.records("test.depot.retry.10s")
        assert len(waiting) > 300, "what has no room waits elsewhere"
        await env.run()
        assert all(env.status(name) is SagaStatus.COMPLETED for name in MANY)
    assert post.calls == Counter(MANY)
    assert post.attempts == {1: len(MANY)}, "to wait is no attempt"


async def test_one_that_waits_elsewhere_says_why() -> None:
    post = Post(weighing=1)
    async with SagaTestEnvironment([post.depot]) as env:
        env.delay(Parcel.weigh, 1)
        for name in MANY[:130]:
            await env.start(ParcelSent(id=name))
        await env.advance(0.5)
        waiting = env._broker.records("test.depot.retry.10s")
        envelope = decode_headers(waiting[0].headers, b"{}", time_ms=0)
        view = env.view(envelope.saga_id or waiting[0].key.decode() if waiting[0].key else "")
        assert view is not None
        (retrying,) = view.retrying
        assert (retrying.attempts, retrying.step) == (0, "weigh")
        assert "too many wait" in retrying.error
        await env.run()


async def test_a_tenant_with_much_to_do_holds_up_no_other() -> None:
    post = Post(tenant=2)
    async with SagaTestEnvironment([post.depot]) as env:
        env.delay(Parcel.weigh, 1)
        for name, tenant in (*((f"a-{n}", "a") for n in range(10)), ("b-0", "b"), ("c-0", "")):
            headers = [("ce_type", ParcelSent.event_type.encode())]
            if tenant:
                headers.append(("ce_tenant", tenant.encode()))
            payload = ParcelSent(id=name).model_dump_json().encode()
            await env._broker.publish(
                OutgoingRecord("test.front.events", name.encode(), payload, tuple(headers))
            )
        await env.advance(1)
        done = {name for name in post.calls if env.status(name) is SagaStatus.COMPLETED}
        assert {"b-0", "c-0"} <= done
        assert len(done) == 4, "two of a"
        await env.run()
        assert len(post.calls) == 12
