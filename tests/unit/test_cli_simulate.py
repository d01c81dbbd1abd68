"""``sagas simulate``: what it runs, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_project import Project, write_project

WORKLOAD = """\
from sagas.testing.simulation import Setting
from shop.inventory import service as inventory
from shop.orders import service as orders
from shop.payments import service as payments


def fine(seed):
    return Setting(services=[orders, inventory, payments])


def wrong(seed):
    return Setting(services=[orders, inventory, payments], check=lambda: ["a piece is missing"])


number = 7
"""


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    project = write_project(tmp_path)
    (tmp_path / "shop" / "simulation.py").write_text(WORKLOAD)
    return project


@pytest.mark.parametrize("what", [[], ["shop.ordering:Ordering"], ["shop.simulation:fine"]])
def test_services_of_the_project_a_saga_or_a_workload(shop: Project, what: list[str]) -> None:
    ended = shop.sagas("simulate", *what, "--seeds", "5")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("5 seeds")
    assert "none failed" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_a_failure_is_told_with_the_command_that_repeats_it(shop: Project) -> None:
    ended = shop.sagas("simulate", "shop.simulation:wrong", "--seed", "3")
    assert ended.code == 1
    assert "I12: a piece is missing" in ended.out
    assert "again: sagas simulate shop.simulation:wrong --seed 3 --faults none" in ended.out
    assert "sequenceDiagram" in ended.out


def test_a_document_for_scripts(shop: Project) -> None:
    ended = shop.sagas(
        "simulate", "shop.simulation:wrong", "--seeds", "2", "--faults", "crashes", "-o", "json"
    )
    found = json.loads(ended.out)
    assert (ended.code, found["seeds"], found["failed"]) == (1, 2, 2)
    assert found["failures"][0]["violations"] == ["I12: a piece is missing"]


def test_one_crash_at_every_call_and_one_of_them_again(shop: Project) -> None:
    every = shop.sagas("simulate", "--seeds", "1", "--crash-every-call", "-o", "json")
    assert json.loads(every.out)["runs"] > 50
    one = shop.sagas("simulate", "--seed", "0", "--crash-at", "9+", "-o", "json")
    assert json.loads(one.out)["seen"]["crashes"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults", "earthquakes"], "There is no fault earthquakes; there are duplicates"),
        (["--crash-at", "9"], "--seed, which says of which run"),
        (["--seed", "1", "--crash-at", "x"], "--crash-at x: expected the number of a call"),
        (["shop.simulation:number"], "is 7; expected a saga, or a function of a seed"),
        (["shop.ordering:OrderEvent"], "is OrderEvent, which is no saga"),
        (["shop.simulation:fin"], "Did you mean 'fine'?"),
    ],
)
def test_a_mistake_is_one_line(shop: Project, arguments: list[str], said: str) -> None:
    ended = shop.sagas("simulate", *arguments)
    assert ended.code == 2
    assert said in ended.only_line
