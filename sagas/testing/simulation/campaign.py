"""A campaign: many seeds, or a crash at every call of each, over one process or several.

Owns which runs there are, and what is made of one that fails: fewer faults, a command, a picture.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from time import perf_counter

import structlog

from sagas.service import Service
from sagas.testing.simulation.diagram import sequence_diagram
from sagas.testing.simulation.faults import Faults
from sagas.testing.simulation.line import CrashAt
from sagas.testing.simulation.report import Failure, Report
from sagas.testing.simulation.run import Outcome, Run
from sagas.testing.simulation.setting import Answers, Resources, Setting, Starts, Workload

__all__ = ["Simulation", "simulate"]

_FAILURES_TOLD = 5
_CHUNK = 20
_USUAL = Faults()


class Simulation:
    """Runs one workload. ``again`` is the command that is told to replay a seed, without its options.

    With ``crash_every_call`` each seed is run without any other fault, and then once more for every
    call that a worker made to broker, table or journal, twice: that worker dies before the call, and
    after it.
    """

    def __init__(
        self,
        workload: Workload,
        *,
        faults: Faults = _USUAL,
        sagas_per_seed: int = 1,
        crash_every_call: bool = False,
        again: str | None = None,
    ) -> None:
        self._workload = workload
        self._faults = Faults.none() if crash_every_call else faults
        self._sagas_per_seed = sagas_per_seed
        self._crash_every_call = crash_every_call
        self._again = again

    def run(
        self, seed: int, *, faults: Faults | None = None, crash_at: CrashAt | None = None
    ) -> Outcome:
        """One run. The same arguments give the same outcome, wherever and whenever."""
        with _silent():
            return Run(
                self._workload(seed),
                seed=seed,
                faults=self._faults if faults is None else faults,
                sagas=self._sagas_per_seed,
                crash_at=crash_at,
            ).execute()

    def campaign(
        self,
        seeds: Iterable[int],
        *,
        jobs: int = 1,
        told: Callable[[Report], None] = lambda _: None,
    ) -> Report:
        """Run all seeds, in ``jobs`` processes. ``told`` gets the sum so far, now and then."""
        began, report = perf_counter(), Report()
        listed = list(seeds)
        size = 1 if self._crash_every_call else _CHUNK
        chunks = [listed[n : n + size] for n in range(0, len(listed), size)]
        for part in self._parts(chunks, jobs):
            report.add(part)
            report.elapsed_s = perf_counter() - began
            told(report)
        report.failures = sorted(report.failures, key=lambda one: one.seed)[:_FAILURES_TOLD]
        return report

    def _parts(self, chunks: Sequence[Sequence[int]], jobs: int) -> Iterator[Report]:
        if jobs <= 1 or len(chunks) <= 1:
            yield from map(self.part, chunks)
            return
        _SHARED[:] = [self]  # a forked process has it; a workload need not be picklable
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            for done in as_completed([pool.submit(_part, chunk) for chunk in chunks]):
                yield done.result()

    def part(self, seeds: Sequence[int]) -> Report:
        """The report of some seeds, in this process."""
        report = Report(seeds=len(seeds))
        for seed in seeds:
            outcome = self._add(report, seed, None)
            if self._crash_every_call:
                for number in range(1, outcome.calls + 1):
                    for after in (False, True):
                        self._add(report, seed, CrashAt(number, after=after))
        return report

    def single(self, seed: int, crash_at: CrashAt) -> Report:
        """The report of one run in which a worker dies at one call, and nothing else goes wrong."""
        began, report = perf_counter(), Report(seeds=1)
        self._faults = Faults.none()
        self._add(report, seed, crash_at)
        report.elapsed_s = perf_counter() - began
        return report

    def _add(self, report: Report, seed: int, crash_at: CrashAt | None) -> Outcome:
        outcome = self.run(seed, crash_at=crash_at)
        report.runs += 1
        report.calls += outcome.calls
        report.seen.update(outcome.seen)
        if outcome.violations:
            report.failed += 1
            if len(report.failures) < _FAILURES_TOLD:
                report.failures.append(self._failure(outcome, crash_at))
        return outcome

    # --- what is made of a failure ----------------------------------------------------------------

    def _failure(self, outcome: Outcome, crash_at: CrashAt | None) -> Failure:
        faults, smaller = self._smaller(outcome, crash_at)
        sagas = self._workload(outcome.seed).sagas
        return Failure(
            seed=outcome.seed,
            violations=smaller.violations,
            faults=faults.on,
            command=self._command(outcome.seed, faults, crash_at),
            diagram=sequence_diagram(smaller.moments, sagas),
        )

    def _smaller(self, outcome: Outcome, crash_at: CrashAt | None) -> tuple[Faults, Outcome]:
        """The failing run without the faults that it does not need: each is left out once, if it can be."""
        faults, smallest, broken = self._faults, outcome, _names(outcome)
        for name in faults.on:
            fewer = faults.without(name)
            again = self.run(outcome.seed, faults=fewer, crash_at=_same(crash_at))
            if broken & _names(again):
                faults, smallest = fewer, again
        return faults, smallest

    def _command(self, seed: int, faults: Faults, crash_at: CrashAt | None) -> str:
        if self._again is None:
            at = ""
            if crash_at is not None:
                at = f", crash_at=CrashAt({crash_at.number}, after={crash_at.after})"
            return f"Simulation(...).run({seed}, faults=Faults.of({list(faults.on)}){at})"
        options = [f"--seed {seed}"]
        if self._sagas_per_seed > 1:
            options.append(f"--sagas-per-seed {self._sagas_per_seed}")
        if crash_at is not None:
            options.append(f"--crash-at {crash_at.number}{'+' if crash_at.after else ''}")
        else:
            options.append(f"--faults {','.join(faults.on) or 'none'}")
        return " ".join((self._again, *options))


_SHARED: list[Simulation] = []


def _part(seeds: Sequence[int]) -> Report:
    return _SHARED[0].part(seeds)


def _same(crash_at: CrashAt | None) -> CrashAt | None:
    return None if crash_at is None else CrashAt(crash_at.number, after=crash_at.after)


def _names(outcome: Outcome) -> set[str]:
    """Which invariants a run broke."""
    return {words.partition(":")[0] for words in outcome.violations}


@contextmanager
def _silent() -> Iterator[None]:
    """Thousands of warnings about servers that are away are the point, and nobody reads them."""
    before = structlog.get_config() if structlog.is_configured() else None
    quiet = structlog.make_filtering_bound_logger("CRITICAL")
    structlog.configure(wrapper_class=quiet, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        if before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**before)


def simulate(
    services: Sequence[Service] | Workload,
    *,
    seeds: Iterable[int] = range(1000),
    starts: Starts | None = None,
    resources: Callable[[], Resources] = dict,
    answers: Answers | None = None,
    faults: Faults = _USUAL,
    sagas_per_seed: int = 1,
    crash_every_call: bool = False,
    jobs: int = 1,
) -> Report:
    """Run services under everything that can go wrong, once for each seed, and judge every run.

    ``services`` may be a function that makes the whole ``Setting`` of a seed. ``starts`` makes the
    start event of the saga with a number, ``resources`` what the handlers get in a run, ``answers``
    what comes from outside to steps that wait; what is not given is made from the schemas. Raises
    ContractViolation for services that can not be run.
    """
    if callable(services):
        workload = services
    else:
        given = tuple(services)

        def workload(_: int) -> Setting:
            return Setting(
                services=given, starts=starts, resources=resources(), answers=answers or {}
            )

    simulation = Simulation(
        workload,
        faults=faults,
        sagas_per_seed=sagas_per_seed,
        crash_every_call=crash_every_call,
    )
    return simulation.campaign(seeds, jobs=jobs)
