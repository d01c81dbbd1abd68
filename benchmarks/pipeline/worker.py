"""One process of the pipeline: ``python -m benchmarks.pipeline.worker SERVICE...``.

At-least-once and idempotent: a step is recorded by compare-and-set before its event is sent, a step that
is recorded already sends the recorded event, and offsets are committed after all that. What an outage
breaks ends the process; whoever started it starts it again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from pydantic_core import from_json, to_json

from benchmarks.pipeline.reactions import REACTIONS, Reaction, answer
from benchmarks.pipeline.redis_batches import Command, RedisBatches

__all__ = ["LUA", "PipelineWorker"]

LUA = (Path(__file__).parent / "step.lua").read_bytes()
_RECORDS_MAX = 500
_BATCHES_MAX = 4
"""Batches under way: while one waits for Redis or Kafka, the next ones are read and recorded."""
_COMMIT_S = 0.1

Message = tuple[ConsumerRecord, Reaction]


class PipelineWorker:
    """One service: reads in batches, records each batch's steps in one round trip, sends, commits."""

    def __init__(
        self,
        service: str,
        *,
        namespace: str,
        redis: RedisBatches,
        kafka: str,
        producer: AIOKafkaProducer,
    ) -> None:
        self._topic = f"{namespace}.{service}.events"
        self._prefix = f"{namespace}:".encode()
        self._reactions = {
            type_.encode(): reaction for type_, reaction in REACTIONS[service].items()
        }
        self._redis = redis
        self._consumer = AIOKafkaConsumer(
            *sorted({f"{namespace}.{r.source}.events" for r in self._reactions.values()}),
            bootstrap_servers=kafka,
            group_id=f"{namespace}.{service}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._producer = producer
        self._script = b""
        self._slots = asyncio.Semaphore(_BATCHES_MAX)
        self._finished: dict[TopicPartition, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, then finish and commit what is begun."""
        (self._script,) = await self._redis.run([("SCRIPT", "LOAD", LUA)])
        await self._consumer.start()
        try:
            async with asyncio.TaskGroup() as group:
                committer = group.create_task(self._commit_forever())
                last: asyncio.Task[None] | None = None
                while not stop.is_set():
                    batches = await self._consumer.getmany(timeout_ms=200, max_records=_RECORDS_MAX)
                    if batches:
                        await self._slots.acquire()
                        last = group.create_task(self._handle(batches, last))
                if last is not None:
                    await last
                committer.cancel()
            await self._commit()
        finally:
            await self._consumer.stop()

    async def _handle(
        self,
        batches: Mapping[TopicPartition, Sequence[ConsumerRecord]],
        before: asyncio.Task[None] | None,
    ) -> None:
        """Handle a batch; its offsets count as finished once those before it do."""
        messages = [
            (record, reaction)
            for records in batches.values()
            for record in records
            if (reaction := self._reactions.get(record.headers[0][1])) is not None
        ]
        if messages:
            await self._send(messages, await self._record(messages))
        if before is not None:
            await before
        for partition, records in batches.items():
            self._finished[partition] = records[-1].offset + 1
        self._slots.release()

    async def _record(self, messages: Sequence[Message]) -> list[bytes | None]:
        """The events of these steps as they are recorded, now or before; None where it is too late."""
        read = await self._read(messages)
        decided: list[bytes] = []
        commands: list[Command] = []
        for record, reaction in messages:
            payload = from_json(record.value)
            type_, answered = answer(reaction, payload, read.get(record.key))
            event = type_.encode() + b"\n" + to_json(answered)
            decided.append(event)
            kept = (reaction.keeps_trigger, record.value) if reaction.keeps_trigger else ()
            status = b"DECLINED" if type_ == reaction.refused else reaction.step
            row = self._prefix + record.key
            commands.append(
                (
                    *("EVALSHA", self._script, 1, row),
                    *(reaction.step, event, status, reaction.too_late),
                    *kept,
                )
            )
        replies = await self._redis.run(commands)
        return [
            event if reply == 1 else reply for event, reply in zip(decided, replies, strict=True)
        ]

    async def _read(self, messages: Sequence[Message]) -> dict[bytes, Any]:
        """What steps read beside their trigger, by order."""
        wanted = [(record.key, reaction.reads) for record, reaction in messages if reaction.reads]
        if not wanted:
            return {}
        replies = await self._redis.run(
            [("HGET", self._prefix + key, field) for key, field in wanted]
        )
        return {key: from_json(reply) for (key, _), reply in zip(wanted, replies, strict=True)}

    async def _send(self, messages: Sequence[Message], events: Sequence[bytes | None]) -> None:
        deliveries = []
        for (record, _), event in zip(messages, events, strict=True):
            if event is not None:
                type_, _, value = event.partition(b"\n")
                deliveries.append(
                    await self._producer.send(
                        self._topic, value, record.key, headers=[("type", type_)]
                    )
                )
        await asyncio.gather(*deliveries)

    async def _commit_forever(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        finished, self._finished = self._finished, {}
        if finished:
            # After a rebalance others have the partition; handling again changes nothing.
            with suppress(CommitFailedError, IllegalStateError):
                await self._consumer.commit(finished)


async def main(services: Sequence[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    namespace, kafka = os.environ["SAGAS_NAMESPACE"], os.environ["SAGAS_KAFKA"]
    redis = RedisBatches(os.environ["SAGAS_REDIS"], connections=_BATCHES_MAX)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_batch_size=256 * 1024
    )
    await producer.start()
    try:
        async with asyncio.TaskGroup() as group:
            for service in services:
                worker = PipelineWorker(
                    service, namespace=namespace, redis=redis, kafka=kafka, producer=producer
                )
                group.create_task(worker.run(stop))
    finally:
        await producer.stop()
        await redis.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
