"""What is seen while it runs: a live table on a terminal, a line every five seconds anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from campaign.run import Campaign

__all__ = ["shown"]

_LINE_S = 5


@asynccontextmanager
async def shown(campaign: Campaign, console: Console) -> AsyncIterator[None]:
    """Show how the campaign goes on until the block is left."""
    drawing = asyncio.create_task((_live if console.is_terminal else _lines)(campaign, console))
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)


async def _live(campaign: Campaign, console: Console) -> None:
    with Live(console=console, auto_refresh=False, get_renderable=lambda: _table(campaign)) as live:
        while True:
            live.refresh()
            await asyncio.sleep(0.2)


async def _lines(campaign: Campaign, console: Console) -> None:
    while True:
        console.print(", ".join(f"{name} {value}" for name, value in _rows(campaign) if value))
        await asyncio.sleep(_LINE_S)


def _table(campaign: Campaign) -> Table:
    table = Table(title="Campaign", title_justify="left", show_header=False, min_width=80)
    for name, value in _rows(campaign):
        table.add_row(name, value)
    return table


def _rows(campaign: Campaign) -> Iterator[tuple[str, str]]:
    yield campaign.phase, f"{campaign.elapsed_s:.0f} of {campaign.seconds:.0f} s"
    world = campaign.world
    if world is None:
        return
    accepted, ended = len(world.customers.accepted), len(world.tail.ended)
    yield "accepted", str(accepted)
    yield "ended", str(ended)
    yield "parked", str(len(world.tail.parked) or "")
    yield "dead letters", str(world.tail.letters or "")
    yield "faults", f"{len(campaign.faults)} of {len(campaign.planned)}"
    yield "now", "; ".join(kind.value for kind in campaign.under_way)
    yield "found", str(len(campaign.findings) or "")
