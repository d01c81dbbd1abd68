"""How long instances that have ended are kept: never less than the topics keep what started them.

Owns the comparison at the start of a worker, and how long a participant's journal is believed. Forgetting
instances is the sweep of whoever is on duty for timers; forgetting their journal rows, of ``pruning``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sagas.core.durations import span_words
from sagas.core.errors import SettingsError
from sagas.restoring import TopicReader

__all__ = ["check_retention", "journal_since_ms"]


async def check_retention(
    topics: Collection[str], reader: TopicReader, *, keep_ended_ms: int | None
) -> None:
    """See to it that rows outlive the topics' records: a start that is read again after its row was
    forgotten would run as new. Raises SettingsError with both numbers, and BrokerUnavailable.
    """
    if keep_ended_ms is None:
        return
    for topic, kept_ms in (await reader.retention_ms(topics)).items():
        if 0 <= kept_ms <= keep_ended_ms:
            continue
        kept = "for ever" if kept_ms < 0 else f"for {span_words(kept_ms)}"
        enough = "forever" if kept_ms < 0 else f"{span_words(kept_ms)} or more"
        raise SettingsError(
            f"SAGAS_KEEP_ENDED is {span_words(keep_ended_ms)}, but the topic {topic} keeps its records "
            f"{kept} (retention.ms={kept_ms}): a start that is read again after its saga was forgotten "
            f"would run as new. Set SAGAS_KEEP_ENDED to {enough}, or shorten the topic's retention."
        )


def journal_since_ms(times_ms: Sequence[int], *, keep_ended_ms: int | None) -> int:
    """Journal rows from before this moment are an earlier saga's of the same id; 0 if none can be.

    ``times_ms`` are those of the instance's recorded events. The earlier saga had ended, and was kept for
    ``keep_ended_ms``, before this one could start: its rows are older than this one's start by so much at
    least. This one's own rows are younger than its start. So the line is drawn half way, and neither the
    participant's clock, nor the database's, nor that of whoever started the saga has to be right by less
    than half of ``keep_ended_ms``.
    """
    if keep_ended_ms is None or not times_ms:
        return 0
    return max(0, min(times_ms) - keep_ended_ms // 2)
