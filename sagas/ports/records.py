"""What is published: shared by the broker and the outbox."""

from __future__ import annotations

from typing import NamedTuple

from sagas.wire.headers import Headers

__all__ = ["OutgoingRecord"]


class OutgoingRecord(NamedTuple):
    """A record to be published; the key decides its partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
