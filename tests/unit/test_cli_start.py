"""``sagas start``, as far as it needs no server: what can be mistaken is answered in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_project import Project, write_project


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "ordering"], "Missing option '--payload'"),
        (["start", "orderin", "--payload", "{}"], "Did you mean 'ordering'?"),
        (["start", "shop.ordering:Orderin", "--payload", "{}"], "Did you mean 'Ordering'?"),
        (["start", "ordering", "--payload", "{"], "--payload is no JSON"),
        (["start", "ordering", "--payload", "[]"], "is no JSON object"),
        (["start", "ordering", "--payload", "@nowhere"], "can not be read"),
        (["start", "ordering", "--payload", "{}"], "order_id: Field required"),
        (
            ["start", "ordering", "--payload", '{"order_id": "o~2"}'],
            "does not end in ~ and a number",
        ),
    ],
)
def test_a_mistake_is_one_line(shop: Project, arguments: list[str], said: str) -> None:
    ended = shop.sagas(*arguments)
    assert ended.code == 2
    assert said in ended.only_line


def test_a_server_that_is_away_is_one_line(shop: Project) -> None:
    shop.write("order.json", '{"order_id": "o1"}')
    away = {"SAGAS_KAFKA": "127.0.0.1:1", "SAGAS_REDIS": "redis://127.0.0.1:1/0"}
    ended = shop.sagas("start", "ordering", "--payload", "@order.json", "--timeout", "2", **away)
    assert ended.code == 5
    assert "Redis at redis://127.0.0.1:1/0 is not available" in ended.only_line
