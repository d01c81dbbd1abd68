"""aiokafka's records as the framework's."""

from __future__ import annotations

from aiokafka import ConsumerRecord

from sagas.ports import Record

__all__ = ["record_of"]


def record_of(message: ConsumerRecord) -> Record:
    """The record, bytes untouched."""
    headers = message.headers
    for _, value in headers:
        if value is None:  # Kafka knows null header values, of other people's producers
            headers = tuple((name, value or b"") for name, value in headers)
            break
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        headers,
        message.timestamp,
    )
