"""What is seen while a run lasts: a live table on a terminal, a line a second anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.watch import STATES, Watch

__all__ = ["COLOURS", "shown"]

COLOURS = {
    "COMPENSATING": "yellow",
    "COMPLETED": "green",
    "COMPENSATED": "yellow",
    "FAILED": "red",
}


@asynccontextmanager
async def shown(watch: Watch, console: Console) -> AsyncIterator[None]:
    """Show how the run goes on until the block is left."""
    draw = _live if console.is_terminal else _lines
    drawing = asyncio.create_task(draw(watch, console))
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)


async def _live(watch: Watch, console: Console) -> None:
    with Live(console=console, auto_refresh=False, get_renderable=lambda: _picture(watch)) as live:
        try:
            while True:
                live.refresh()
                await asyncio.sleep(0.1)
        finally:
            live.refresh()


async def _lines(watch: Watch, console: Console) -> None:
    try:
        while True:
            await asyncio.sleep(1)
            console.print(_line(watch), soft_wrap=True)
    finally:
        console.print(_line(watch), soft_wrap=True)


def _line(watch: Watch) -> str:
    by_state = watch.by_state
    counts = ", ".join(f"{by_state[state]} {state}" for state in STATES if by_state[state])
    return f"{watch.elapsed_s:6.1f} s  {len(watch.ended)}/{watch.orders} ended  {counts}"


def _picture(watch: Watch) -> Group:
    by_state = watch.by_state
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("state", min_width=14)
    table.add_column("sagas", justify="right", min_width=6)
    table.add_column("", width=46)
    for state in STATES:
        count = by_state[state]
        style = COLOURS.get(state, "cyan")
        if count or state != "FAILED":
            bar = "█" * min(46, round(46 * count / watch.orders) or bool(count))
            table.add_row(Text(state, style), str(count or "·"), Text(bar, style))
    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        "",
        ProgressBar(total=watch.orders, completed=len(watch.ended), width=40),
        f"{len(watch.ended)}/{watch.orders} ended",
        f"{watch.rate:.0f}/s",
        f"{watch.elapsed_s:.1f} s",
    )
    return Group("", table, "", progress)
