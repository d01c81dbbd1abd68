"""``sagas top``: what goes on, live.

Owns the screen: while it is shown, the terminal's other screen is used, and given back however it ends.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import JsonOption, ProjectOption, SagaOption, TimeoutOption

if TYPE_CHECKING:
    from sagas.core.saga import Saga
    from sagas.operating.overview import Overview, Watch
    from sagas.settings import SagaSettings

__all__ = ["top"]

_STUCK_MAX = 20


def top(
    *,
    saga: SagaOption = None,
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.2, metavar="SECONDS", help="Between looks.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look twice, one interval apart, print and end.")
    ] = False,
    json_: JsonOption = False,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Watch what goes on: sagas by type and status, rates, what is stuck, workers and lag. Ctrl-C ends it.

    Example: [bold]sagas top --interval 1[/bold]
    """
    from sagas.cli.output import console
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    if json_ and not once:
        raise CommandError(ExitCode.USAGE, "--json prints one document: say --once, too.")
    if once or not console().is_terminal:
        seen = asyncio.run(_look_twice(settings, sagas, interval, timeout))
        _print(seen, settings.namespace, as_json=json_)
    else:
        asyncio.run(_live(settings, sagas, interval, timeout))


@asynccontextmanager
async def _watching(
    settings: SagaSettings, sagas: tuple[type[Saga], ...], timeout_s: float
) -> AsyncIterator[Watch]:
    from sagas.cli.servers import open_table
    from sagas.operating.explaining import StuckRules
    from sagas.operating.opening import open_lookout
    from sagas.operating.overview import Watch

    async with (
        open_table(settings, timeout_s, within_s=math.inf) as table,
        open_lookout(
            settings, table, sagas, client_id="sagas-top", patience_s=timeout_s / 2
        ) as lookout,
    ):
        rules = StuckRules(factor=settings.stuck_factor)
        yield Watch(lookout, sagas, stuck_max=_STUCK_MAX, rules=rules)


async def _look_twice(
    settings: SagaSettings, sagas: tuple[type[Saga], ...], interval_s: float, timeout_s: float
) -> Overview:
    """The second look knows what has begun since the first."""
    async with _watching(settings, sagas, timeout_s) as watch:
        await watch.look()
        await asyncio.sleep(interval_s)
        return await watch.look()


def _print(seen: Overview, namespace: str, *, as_json: bool) -> None:
    from sagas.cli.output import console, print_json
    from sagas.cli.overview import document_of, screen

    if as_json:
        print_json(document_of(seen))
    else:
        console().print(screen(seen, namespace, width=console().width))


async def _live(
    settings: SagaSettings, sagas: tuple[type[Saga], ...], interval_s: float, timeout_s: float
) -> None:
    """Look and draw until somebody says stop. A server that goes away is told on the screen, and waited
    for.
    """
    from rich.live import Live

    from sagas.cli.output import console
    from sagas.cli.overview import screen
    from sagas.ports import TableUnavailable

    out, stop = console(), asyncio.Event()
    with _told_to_stop(stop.set):
        async with _watching(settings, sagas, timeout_s) as watch:
            seen: Overview | None = await _unless(stop, watch.look())
            with Live(console=out, screen=True, auto_refresh=False, transient=True) as live:
                problem = ""
                while seen is not None and not stop.is_set():
                    size = out.size
                    drawn = screen(
                        seen,
                        settings.namespace,
                        width=size.width,
                        height=size.height,
                        problem=problem,
                    )
                    live.update(drawn, refresh=True)
                    await _unless(stop, asyncio.sleep(interval_s))
                    try:
                        seen, problem = await _unless(stop, watch.look()), ""
                    except TableUnavailable as error:
                        problem = str(error)


T = TypeVar("T")


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """What the work gives; None once it is to stop, which ends the work."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    return None if stop.is_set() and working.cancelled() else working.result()


@contextmanager
def _told_to_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the screen in order."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)
