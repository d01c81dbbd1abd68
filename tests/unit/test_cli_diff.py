"""``sagas diff``."""

from __future__ import annotations

import json
from pathlib import Path

from sagas.cli.errors import ExitCode
from tests.cli_project import MODULES, Project, write_project


def changed(tmp_path: Path, old: str, new: str) -> Project:
    """A project whose saga was exported, and says something else now."""
    project = write_project(tmp_path)
    assert project.sagas("export", "definition", "shop.ordering", "--write", "old.json").code == 0
    project.write("shop/ordering.py", MODULES["ordering"].replace(old, new))
    return project


def test_the_same_saga_in_json_and_in_python_does_not_differ(tmp_path: Path) -> None:
    ended = changed(tmp_path, "nothing", "nothing").sagas("diff", "old.json", "shop.ordering")
    assert ended.code == 0
    assert "No step changes." in ended.out
    assert ended.out.endswith("every saga can finish.\n")


def test_a_change_that_no_instance_minds_ends_with_0(tmp_path: Path) -> None:
    project = changed(
        tmp_path, 'key = "order_id"', 'key = "order_id"\n    step_timeout = seconds(9)'
    )
    text = (tmp_path / "shop" / "ordering.py").read_text()
    project.write("shop/ordering.py", text.replace("import Event", "import seconds, Event"))
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == 0, ended
    assert "- reserve_stock: its timeout is new: 9 s" in ended.out


def test_a_change_that_instances_can_not_finish_under_ends_with_1(tmp_path: Path) -> None:
    project = changed(tmp_path, "inventory.StockReleased.v1", "inventory.StockReleased.v2")
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == ExitCode.FINDINGS
    assert "undone was inventory.StockReleased.v1, is inventory.StockReleased.v2" in ended.out
    assert (
        "unknown: with orders.OrderPlaced, StepFailed, inventory.StockReleased recorded"
        in ended.out
    )
    assert "Keep both versions" in ended.out
    found = json.loads(project.sagas("diff", "old.json", "shop.ordering", "--json").out)
    assert (found["same"], found["can_finish"], found["complete"]) == (False, False, True)
    (place,) = (one for one in found["places"] if one["hindrance"])
    assert place["waits_for"] == ["orders to undo start"]
    assert found["differences"][0]["step"] == "reserve_stock"


def test_events_that_can_not_be_read_any_more_are_told(tmp_path: Path) -> None:
    project = changed(
        tmp_path, "    amount: int = 1\n", "    amount: str\n    gift: bool\n    note: str = ''\n"
    )
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == ExitCode.FINDINGS
    assert '- orders.OrderPlaced.v1: amount was "integer", is "string"' in ended.out
    assert "- orders.OrderPlaced.v1: gift is new and has to be there" in ended.out
    assert "note" not in ended.out
    found = json.loads(project.sagas("diff", "old.json", "shop.ordering", "--json").out)
    assert (len(found["payloads"]), found["can_finish"]) == (2, True)
    back = project.sagas("diff", "shop.ordering", "old.json", "--json")
    assert json.loads(back.out)["payloads"] == [
        'orders.OrderPlaced.v1: amount was "string", is "integer"'
    ]


def test_payloads_that_json_can_not_say_are_not_compared(tmp_path: Path) -> None:
    project = changed(tmp_path, "    amount: int = 1\n", "    amount: int | str = 1\n")
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == 0
    assert "Payloads are not compared" in ended.out


def test_what_was_not_looked_at_is_not_proven(tmp_path: Path) -> None:
    project = changed(tmp_path, "nothing", "nothing")
    ended = project.sagas("diff", "old.json", "shop.ordering", "--states", "2")
    assert ended.code == ExitCode.FINDINGS
    assert "which is not all: nothing is proven" in ended.out


def test_two_sagas_are_not_compared(tmp_path: Path) -> None:
    project = changed(tmp_path, "class Ordering", "class Buying")
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == ExitCode.USAGE
    assert "is the saga ordering, and shop.ordering is buying" in ended.only_line


def test_a_file_that_is_wrong_is_told_with_its_places(tmp_path: Path) -> None:
    project = changed(tmp_path, "nothing", "nothing")
    project.write("bad.json", "{}")
    ended = project.sagas("diff", "bad.json", "old.json")
    assert ended.code == ExitCode.FINDINGS
    assert "bad.json:1:1: saga is missing" in ended.err


V2 = """\
class StockReserved(OrderEvent, type="inventory.StockReserved.v2"):
    shelf: str

    @staticmethod
    @upcasts(StockReservedV1)
    def on_any_shelf(old: StockReservedV1) -> "StockReserved":
        return StockReserved(order_id=old.order_id, shelf="?")
"""
V1 = 'class StockReserved(OrderEvent, type="inventory.StockReserved.v1"):\n    pass\n'


def versioned(tmp_path: Path, v2: str) -> Project:
    project = changed(tmp_path, V1, V1.replace("StockReserved(", "StockReservedV1(") + "\n\n" + v2)
    text = (tmp_path / "shop" / "ordering.py").read_text()
    project.write("shop/ordering.py", text.replace("import Event", "import upcasts, Event"))
    return project


def test_a_payload_that_changes_with_a_function_is_compatible(tmp_path: Path) -> None:
    project = versioned(tmp_path, V2)
    ended = project.sagas("diff", "old.json", "shop.ordering", "--strict")
    assert ended.code == 0, ended
    assert "- upcasts is new: inventory.StockReserved.v1 → inventory.StockReserved.v2" in ended.out
    assert project.sagas("check", "shop.ordering", "--against", "old.json").code == 0
    assert project.sagas("export", "definition", "shop.ordering", "--write", "new.json").code == 0
    again = project.sagas("diff", "new.json", "shop.ordering")
    assert "No step changes." in again.out
    back = project.sagas("diff", "new.json", "old.json", "--json")
    assert json.loads(back.out)["can_finish"] is False


def test_a_former_version_that_reads_something_else_is_told(tmp_path: Path) -> None:
    project = versioned(tmp_path, V2)
    text = (tmp_path / "shop" / "ordering.py").read_text()
    text = text.replace('StockReserved.v1"):\n    pass', 'StockReserved.v1"):\n    shelf: int')
    project.write("shop/ordering.py", text)
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == ExitCode.FINDINGS
    assert "inventory.StockReserved.v1: shelf is new and has to be there" in ended.out
    checked = project.sagas("check", "shop.ordering", "--against", "old.json")
    assert checked.code == ExitCode.FINDINGS
    assert "shelf is needed, and not given" in " ".join(checked.out.split())


def test_a_payload_that_changes_without_a_function_is_told_as_before(tmp_path: Path) -> None:
    without = V2.partition("\n    @staticmethod")[0]
    project = versioned(tmp_path, without)
    ended = project.sagas("diff", "old.json", "shop.ordering")
    assert ended.code == ExitCode.FINDINGS
    assert "StockReserved, which is recorded, is known no more" in ended.out
    checked = project.sagas("check", "shop.ordering", "--against", "old.json")
    assert checked.code == ExitCode.FINDINGS
    assert "it knows StockReserved no more" in " ".join(checked.out.split())


def test_what_only_the_rules_refuse_is_told_beside_the_walk(tmp_path: Path) -> None:
    """The undo of a step that had none: whoever waits on its way back may sleep, and no row tells of it."""
    before = MODULES["ordering"].replace("undone=StockReleased", "undone=NOTHING")
    project = write_project(tmp_path)
    project.write("shop/ordering.py", before.replace("import Event", "import NOTHING, Event"))
    assert project.sagas("export", "definition", "shop.ordering", "--write", "old.json").code == 0
    project.write("shop/ordering.py", MODULES["ordering"])
    found = json.loads(project.sagas("diff", "old.json", "shop.ordering", "--json").out)
    assert any("it had nothing to undo, and now has" in one for one in found["together"])
    ended = project.sagas("diff", "old.json", "shop.ordering", "--strict")
    assert ended.code == ExitCode.FINDINGS
    assert "Not safe while workers of both versions run" in ended.out
