"""A command looks for garbage less often, and not among what was there when it began."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sagas.cli.collecting import collect_less


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_there_is_left_alone_and_the_young_are_more() -> None:
    older = gc.get_threshold()[1:]
    frozen = gc.get_freeze_count()
    collect_less(20_000)
    assert gc.get_threshold() == (20_000, *older)
    assert gc.get_freeze_count() > frozen + 1_000
