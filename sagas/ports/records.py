"""What is published: shared by the broker and the outbox."""

from __future__ import annotations

from dataclasses import dataclass

from sagas.wire.headers import Headers

__all__ = ["OutgoingRecord"]


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to be published; the key decides its partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
