"""What handling a message executes, counted: a change that makes it dearer is seen, on any machine.

A budget is a count with a tenth to spare. Who makes a part cheaper lowers its budget; who has to make it
dearer raises it, and says why in the commit. `scripts/bench --micro` prints what is counted now.
"""

import gc
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from benchmarks.counts import Counts, counts
from benchmarks.parts import Part, parts, reference

BUDGETS = {
    "evolve": Counts(780, 24),
    "enabled": Counts(215, 7),
    "decide": Counts(135, 7),
    "encode headers": Counts(132, 5),
    "decode headers": Counts(162, 9),
    "receive": Counts(182, 7),
    "encode position": Counts(75, 2),
    "decode position": Counts(185, 12),
    "encode event": Counts(72, 2),
    "filter a record": Counts(35, 1),
    "handle a step": Counts(4_220, 126),
    "handle a step, with metrics": Counts(5_570, 158),
    "handle a step, with traces": Counts(9_250, 312),
}


@pytest.fixture(autouse=True)
def _no_logs() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.reset_defaults()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="budgets are in 3.11's instructions")
@pytest.mark.parametrize("name", BUDGETS)
async def test_a_part_executes_no_more_than_its_budget(name: str) -> None:
    counted = counts(parts()[name])
    budget = BUDGETS[name]
    assert counted.instructions <= budget.instructions
    assert counted.built_in_calls <= budget.built_in_calls
    # A budget far above what is counted would not notice anything.
    assert counted.instructions > budget.instructions // 2


@pytest.mark.parametrize("name", [name for name in BUDGETS if name.startswith("handle")])
async def test_handling_a_step_leaves_nothing_to_the_garbage_collector(name: str) -> None:
    """Whatever refers to itself waits for it: 23 objects a message did, when a call knew its world."""
    part = parts()[name]
    part.prepare(20)
    for _ in range(10):
        part.run()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            part.run()
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_every_part_has_a_budget() -> None:
    assert parts().keys() == BUDGETS.keys()


def test_counting_counts() -> None:
    def longer() -> None:
        reference()
        reference()

    once, twice = counts(Part(reference)), counts(Part(longer))
    assert once == counts(Part(reference))
    assert 2 * once.instructions < twice.instructions < 2 * once.instructions + 20
    assert twice.built_in_calls == 2 * once.built_in_calls
