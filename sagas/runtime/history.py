"""What a message proves about its instance: that the row has lost something, or that there was one.

Owns the two questions and the one look at the topics. Decides nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagas.core.definition import START, Role
from sagas.core.durations import span_words
from sagas.core.position import Position
from sagas.core.refold import Found
from sagas.runtime.incoming import Incoming
from sagas.runtime.patience import Patience
from sagas.runtime.reception import StartRefused
from sagas.runtime.restorer import Restorer

__all__ = ["History", "lacks"]


def lacks(at: Position, incoming: Incoming) -> bool:
    """Whether a row without the message in hand has lost it: it was stored before it was emitted, and that
    was not before the table was rebuilt last.
    """
    return incoming.envelope.seq > 0 and incoming.envelope.generation >= at.generation


class History:
    """The history of the instance of one message, as far as the message knows it.

    ``published_ms`` is when the record was published, in ``partition``. Without a restorer nothing is
    looked for.
    """

    def __init__(
        self,
        incoming: Incoming,
        *,
        partition: int,
        published_ms: int,
        restorer: Restorer | None,
        patience: Patience,
    ) -> None:
        self._incoming = incoming
        self._partition = partition
        self._published_ms = published_ms
        self._restorer = restorer
        self._patience = patience
        self._looked = False

    def refuse_old_start(self, now_ms: int, keep_ended_ms: int | None) -> None:
        """Raise StartRefused for a start without a row that is older than rows are kept."""
        incoming = self._incoming
        if keep_ended_ms is None or (incoming.fact.step, incoming.fact.role) != (START, Role.DONE):
            return
        if self._published_ms < now_ms - keep_ended_ms:
            raise StartRefused(
                f"{incoming.fact.type} of {incoming.saga.name} {incoming.saga_id!r} was published longer ago "
                f"than sagas that have ended are kept ({span_words(keep_ended_ms)}): it may have run. Where "
                "it has not, publish it again under the same key."
            )

    async def stored(self) -> Mapping[str, Found]:
        """What the topics have of the instance, by event id."""
        restorer, incoming = self._restorer, self._incoming
        if restorer is None:
            return {}
        return await self._patience.insist(
            lambda: restorer.found(incoming.saga_id, self._partition)
        )

    async def restored(self) -> bool:
        """Look once for what the row lacks; whether it is to be loaded again."""
        restorer = self._restorer
        if restorer is None or self._looked:
            return False
        self._looked = True
        saga_id, partition = self._incoming.saga_id, self._partition
        return await self._patience.insist(lambda: restorer.restore(saga_id, partition))
