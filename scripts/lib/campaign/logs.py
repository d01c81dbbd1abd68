"""What the workers say: counted by event, with the lines that should never be there kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

__all__ = ["Logs"]

_NEVER = {
    "run.failed",
    "rebalance.listener_failed",
    "rebalance.failed",
    "saga.not_parked",
    "records.unreadable",
    "partition.unreadable",
}
"""Each of them means a defect, whatever faults there were."""

_GENERATION = "the table's last generation"
_OF_REBUILDS = {
    "table.lost": "times that a worker noticed lost buckets",
    "rebuild.failed": "rebuilds that failed or were overtaken, and were begun again",
    "saga.rebuilt": "single sagas put back",
}

_KEPT_MAX = 50


class Logs:
    """The tally over all workers."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.handler_errors: Counter[str] = Counter()
        self.rebuilds: Counter[str] = Counter()
        """What the table's losses came to, in words."""
        self.suspicious: list[str] = []
        self.unstructured: list[str] = []

    def note(self, worker: str, line: str) -> str:
        """Count a line; the name of its event, empty if it is no line of ours."""
        try:
            fields = json.loads(line)
            event = str(fields["event"])
        except (ValueError, KeyError, TypeError):
            if line.strip() and len(self.unstructured) < _KEPT_MAX:
                self.unstructured.append(f"{worker}: {line.rstrip()[:500]}")
            return ""
        name = f"{event} ({fields['logger']})" if "logger" in fields else event
        self.events[name] += 1
        if event == "handler.failed":
            self.handler_errors[str(fields.get("error"))[:120]] += 1
        self._note_rebuild(event, fields)
        if self._is_suspicious(event, fields) and len(self.suspicious) < _KEPT_MAX:
            self.suspicious.append(f"{worker}: {line.rstrip()[:3000]}")
        return event

    def _note_rebuild(self, event: str, fields: dict[str, Any]) -> None:
        if event == "rebuild.finished":
            self.rebuilds["rebuilds of lost buckets"] += 1
            self.rebuilds["sagas put back by these"] += int(fields["instances"])
            highest = max(self.rebuilds[_GENERATION], int(fields["generation"]))
            self.rebuilds[_GENERATION] = highest
        elif event in _OF_REBUILDS:
            self.rebuilds[_OF_REBUILDS[event]] += 1

    @staticmethod
    def _is_suspicious(event: str, fields: dict[str, Any]) -> bool:
        unretrieved = "never retrieved" in str(fields.get("message", ""))
        return event in _NEVER or (event == "library.message" and unretrieved)
