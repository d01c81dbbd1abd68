"""What the workers say: counted by event, with the lines that should never be there kept."""

from __future__ import annotations

import json
from collections import Counter

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

_KEPT_MAX = 50


class Logs:
    """The tally over all workers."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.handler_errors: Counter[str] = Counter()
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
        if self._is_suspicious(event, fields) and len(self.suspicious) < _KEPT_MAX:
            self.suspicious.append(f"{worker}: {line.rstrip()[:3000]}")
        return event

    @staticmethod
    def _is_suspicious(event: str, fields: dict[str, object]) -> bool:
        unretrieved = "never retrieved" in str(fields.get("message", ""))
        return event in _NEVER or (event == "library.message" and unretrieved)
