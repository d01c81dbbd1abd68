"""The names of everything that is logged: a closed set that searches and alerts can rely on.

Owns the names and nothing else. ``docs/reference/logs.md`` says what each means; a test keeps code,
set and document together.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LogEvent"]


class LogEvent(StrEnum):
    """The value of ``event`` in a log line."""

    # sagas
    SAGA_EVENT = "saga.event"
    HANDLER_FAILED = "handler.failed"
    START_PASSED_OVER = "start.passed_over"
    START_SHARED = "start.shared"
    START_BEGINS_AGAIN = "start.begins_again"
    CANCELLATION_TOO_LATE = "cancellation.too_late"
    RETRY_SCHEDULED = "retry.scheduled"
    STEP_ABANDONED = "step.abandoned"
    NOTE_LOST = "note.lost"
    EVENTS_KEPT = "events.kept"
    RECORD_UNKNOWN_TYPE = "record.unknown_type"
    MESSAGE_DEAD_LETTERED = "message.dead_lettered"
    TABLE_CONFLICT = "table.conflict"

    # servers
    SERVER_UNAVAILABLE = "server.unavailable"
    SERVER_AVAILABLE = "server.available"
    TABLE_NO_PERSISTENCE = "table.no_persistence"
    TABLE_SERVER_CHANGED = "table.server_changed"
    TABLE_LOST = "table.lost"
    REBUILD_STARTED = "rebuild.started"
    REBUILD_FINISHED = "rebuild.finished"
    REBUILD_FAILED = "rebuild.failed"
    REBUILD_ROW_UNREADABLE = "rebuild.row_unreadable"
    SAGA_REBUILT = "saga.rebuilt"
    SAGA_MIGRATED = "saga.migrated"
    PRODUCER_REPLACED = "producer.replaced"
    POLL_FAILED = "poll.failed"
    CLIENT_CLOSED_BADLY = "client.closed_badly"
    RECORDS_UNREADABLE = "records.unreadable"
    PARTITION_UNREADABLE = "partition.unreadable"
    REBALANCE_FAILED = "rebalance.failed"
    REBALANCE_LISTENER_FAILED = "rebalance.listener_failed"
    REBALANCE_LISTENER_TIMED_OUT = "rebalance.listener_timed_out"

    # the life of a process
    TOPICS_CREATED = "topics.created"
    WORKER_STARTING = "worker.starting"
    WORKER_RUNNING = "worker.running"
    WORKER_STOPPING = "worker.stopping"
    WORKER_STOPPED = "worker.stopped"
    WORKER_NOT_ANNOUNCED = "worker.not_announced"
    COMMIT_FAILED = "commit.failed"
    DRAIN_STARTED = "drain.started"
    SAGA_NOT_PARKED = "saga.not_parked"
    TIMERS_PUBLISHED = "timers.published"
    TIMER_NOT_PUBLISHED = "timer.not_published"
    SAGAS_FORGOTTEN = "sagas.forgotten"
    JOURNAL_PRUNED = "journal.pruned"
    JOURNAL_NOT_PRUNED = "journal.not_pruned"
    DRAIN_FINISHED = "drain.finished"
    DRAIN_TIMEOUT = "drain.timeout"
    RUN_FAILED = "run.failed"
    LIVEZ_LISTENING = "livez.listening"
    MONITOR_FOLLOWING = "monitor.following"
    MONITOR_STATE_EMPTY = "monitor.state_empty"
    GAUGES_FAILED = "gauges.failed"
    TRACING_ON = "tracing.on"
    TRACING_UNAVAILABLE = "tracing.unavailable"
    TELEMETRY_FAILED = "telemetry.failed"

    # the web console
    CONSOLE_LISTENING = "console.listening"
    CONSOLE_SIGNED_IN = "console.signed_in"
    CONSOLE_SIGNED_OUT = "console.signed_out"
    CONSOLE_SIGN_IN_FAILED = "console.sign_in_failed"
    CONSOLE_ACTION = "console.action"
    CONSOLE_REFUSED = "console.refused"
    CONSOLE_FAILED = "console.failed"

    # of other libraries, whose text is in ``message``
    LIBRARY_MESSAGE = "library.message"
