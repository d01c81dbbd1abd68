"""What a campaign found, for people and for machines.

Owns the counting and the words. It fits 80 columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sagas.testing.simulation.faults import NAMES

__all__ = ["INTERESTING", "Failure", "Report"]

INTERESTING = (
    "compensation",
    "null compensation",
    "tombstone",
    "refused",
    "timer race",
    "conflict",
    "repeated",
    "dead letter",
    "parked",
    "resumed",
    "rebuild",
)
"""What a campaign has to have seen to be worth anything; where a saga can have it at all."""

_STATUSES = ("COMPLETED", "COMPENSATED", "FAILED", "PARKED")
_WIDTH = 78


@dataclass(slots=True)
class Failure:
    """A run that broke an invariant, made as small as was cheap. ``faults`` are those still needed."""

    seed: int
    violations: list[str]
    faults: tuple[str, ...]
    command: str
    diagram: str

    def __str__(self) -> str:
        said = "\n".join(f"  {words}" for words in self.violations)
        needed = ", ".join(self.faults) or "none: the order of things is enough"
        return (
            f"seed {self.seed}\n{said}\n  faults needed: {needed}\n  again: {self.command}\n\n"
            f"{self.diagram}"
        )


@dataclass(slots=True)
class Report:
    """The sum of a campaign. ``runs`` counts seeds, or single crashes where every call is tried."""

    seeds: int = 0
    runs: int = 0
    calls: int = 0
    elapsed_s: float = 0.0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether every invariant held in every run."""
        return not self.failed

    def add(self, other: Report) -> None:
        """Add what another part of the campaign found; time is not added: parts run side by side."""
        self.seeds += other.seeds
        self.runs += other.runs
        self.calls += other.calls
        self.failed += other.failed
        self.failures += other.failures
        self.seen.update(other.seen)

    def raise_for_failures(self) -> None:
        """Raise AssertionError that tells the first failure, if there is one."""
        if self.failed:
            raise AssertionError(f"{self.failed} of {self.runs} runs failed.\n{self.failures[0]}")

    def missing(self, *names: str) -> list[str]:
        """What of these, or of the interesting things, was never seen: then the campaign proves less."""
        return [name for name in names or INTERESTING if not self.seen[name]]

    def to_json(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "seeds": self.seeds,
            "runs": self.runs,
            "calls": self.calls,
            "elapsed_s": round(self.elapsed_s, 3),
            "failed": self.failed,
            "failures": [
                {
                    "seed": one.seed,
                    "violations": one.violations,
                    "faults": list(one.faults),
                    "command": one.command,
                    "diagram": one.diagram,
                }
                for one in self.failures
            ],
            "seen": dict(sorted(self.seen.items())),
        }

    def __str__(self) -> str:
        rate = f", {self.runs / self.elapsed_s:.0f} a second" if self.elapsed_s else ""
        runs = "" if self.runs == self.seeds else f", {self.runs} runs"
        lines = [f"{self.seeds} seeds{runs}{rate}: {self.failed or 'none'} failed"]
        groups = (("ended", _STATUSES), ("seen", INTERESTING), ("faults", NAMES))
        for title, names in groups:
            found = [f"{name} {self.seen[name]}" for name in names if self.seen[name]]
            lines += _wrapped(title, found or ["nothing"])
        if missing := self.missing():
            lines += _wrapped("never", missing)
        lines += [f"\n{failure}" for failure in self.failures]
        return "\n".join(lines)


def _wrapped(title: str, words: list[str]) -> list[str]:
    lines = [f"  {title:8}"]
    for word in words:
        if len(lines[-1]) + len(word) + 2 > _WIDTH:
            lines.append(" " * 10)
        lines[-1] += word if lines[-1].endswith("  ") or not lines[-1].strip() else f", {word}"
    return [lines[0].replace(f"{title:8}, ", f"{title:8}", 1), *lines[1:]]
