"""Figures of several rounds: a median with its range, and what is derived from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from benchmarks.driver import Latencies, Throughput
from benchmarks.setup import FRAMEWORK, PIPELINE, Setup

__all__ = ["Figure", "Observed", "figure", "of_pipeline", "ratios", "summary"]

Json = dict[str, float | None]


class Figure(NamedTuple):
    """The middle of some rounds, the smallest and the largest."""

    median: float
    smallest: float
    largest: float

    def as_json(self) -> Json:
        """As an object; what is infinite, because it never ended, is null."""
        names = ("median", "min", "max")
        return {
            name: round(value, 4) if math.isfinite(value) else None
            for name, value in zip(names, self, strict=True)
        }


def figure(values: Iterable[float]) -> Figure:
    """The figure of one value per round."""
    found = sorted(values)
    return Figure(median(found), found[0], found[-1])


@dataclass(frozen=True, slots=True)
class Observed:
    """What one round saw of one setup."""

    throughput: Throughput
    latencies: Sequence[Latencies] = ()

    @property
    def sagas_per_s(self) -> float:
        """At full speed."""
        return self.throughput.sagas / self.throughput.seconds

    @property
    def cpu_ms(self) -> float:
        """Per saga, in all: workers, broker, Redis and, where it is used, PostgreSQL; driver."""
        return sum(self.throughput.cpu_ms.values())

    def p(self, share: float, rate: float) -> float:
        """A percentile at a rate, in milliseconds."""
        return next(one.percentile(share) for one in self.latencies if one.rate == rate)


Rounds = Mapping[Setup, Sequence[Observed]]


def ratios(over: Sequence[float], under: Sequence[float]) -> Figure:
    """Round by round, so that what slows a whole round down cancels out."""
    return figure(a / b for a, b in zip(over, under, strict=True))


def summary(rounds: Rounds) -> dict[str, Figure]:
    """The figures that targets are about, as far as their setups were measured."""
    pipeline, framework = rounds.get(Setup(system=PIPELINE)), rounds.get(Setup(system=FRAMEWORK))
    if pipeline is None or framework is None:
        return {}
    found = {
        "ratio_sagas_per_s": _speed(framework, pipeline),
        "cpu_ms_per_saga": figure(one.cpu_ms for one in framework),
        "pipeline_cpu_ms_per_saga": figure(one.cpu_ms for one in pipeline),
    }
    for name, setup in (
        ("one_process_ratio", Setup(one_process=True)),
        ("journal_sqlite_ratio", Setup(journal="sqlite")),
        ("journal_postgresql_ratio", Setup(journal="postgresql")),
    ):
        if setup in rounds:
            found[name] = _speed(rounds[setup], pipeline)
    for latencies in framework[0].latencies:
        rate = latencies.rate
        found[f"p50_ratio_{rate:g}"] = ratios(
            [one.p(0.5, rate) for one in framework], [one.p(0.5, rate) for one in pipeline]
        )
    return found


def of_pipeline(setup: Setup, rounds: Rounds) -> Figure | None:
    """The speed of a setup as a share of the pipeline's that does the same work; None for the pipeline.

    The pipeline has no journal and no logs, and is compared with five processes if it has not run in one.
    """
    same = replace(setup, system=PIPELINE, journal="off", log_level="WARNING", watched_by="")
    for pipeline in (same, replace(same, one_process=False)):
        if setup.system != PIPELINE and pipeline in rounds:
            return _speed(rounds[setup], rounds[pipeline])
    return None


def _speed(one: Sequence[Observed], other: Sequence[Observed]) -> Figure:
    return ratios([o.sagas_per_s for o in one], [o.sagas_per_s for o in other])
