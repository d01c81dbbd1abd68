"""``sagas generate`` and ``sagas export definition``."""

from __future__ import annotations

import json
from pathlib import Path

from sagas.cli.errors import ExitCode
from tests.cli_project import write_project
from tests.unit.test_definition_problems import TRIP


def test_a_definition_becomes_a_module_and_the_module_a_definition(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write("trip.json", TRIP)
    made = project.sagas("generate", "trip.json", "--write", "shop/trip.py")
    assert (made.code, made.out, made.only_line) == (0, "", "shop/trip.py: written.")
    exported = project.sagas("export", "definition", "shop.trip", "--write", "again.json")
    assert exported.code == 0
    again = project.sagas("generate", "again.json", "--write", "-")
    assert again.out == (tmp_path / "shop" / "trip.py").read_text()
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(TRIP)
    checked = project.sagas("check", "shop.trip:Trip")
    assert checked.code == 0, checked


def test_the_module_stands_beside_the_definition(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write("my-trip.json", TRIP)
    assert project.sagas("generate", "my-trip.json", "--no-handlers").code == 0
    text = (tmp_path / "my_trip.py").read_text()
    assert "class Trip(Saga):" in text
    assert "Service(" not in text


def test_what_somebody_has_filled_in_is_left_alone(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write("trip.json", TRIP)
    project.write("trip.py", "mine = 1\n")
    refused = project.sagas("generate", "trip.json")
    assert refused.code == ExitCode.REFUSED
    assert "perhaps what somebody has filled in" in refused.only_line
    assert (tmp_path / "trip.py").read_text() == "mine = 1\n"
    assert project.sagas("generate", "trip.json", "--force").code == 0
    assert project.sagas("generate", "trip.json").code == 0, "the same once more is no harm"


def test_the_lines_are_as_long_as_the_formatter_has_them(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write("trip.json", TRIP)
    wide = project.sagas("generate", "trip.json", "--write", "-", "--line-length", "200").out
    narrow = project.sagas("generate", "trip.json", "--write", "-", "--line-length", "60").out
    assert wide != narrow
    assert (
        "async def book_hotel(trip_wanted: TripWanted, context: StepContext) -> HotelBooked:"
        in wide
    )


def test_every_problem_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write(
        "trip.json", TRIP.replace('start", "done', 'strat", "done').replace("cars", "Cars")
    )
    ended = project.sagas("generate", "trip.json")
    assert ended.code == ExitCode.FINDINGS
    first, second = ended.err.splitlines()
    assert first.startswith("error: trip.json:6:50 /tasks/book_hotel/depends_on: there is no task")
    assert second.startswith("trip.json:7:24 /tasks/book_car/by: 'Cars'")
    assert "Traceback" not in ended.err
    assert not (tmp_path / "trip.py").exists()


def test_files_that_can_not_be_read_are_said_so(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    assert "can not be read" in project.sagas("generate", "none.json").only_line
    (tmp_path / "latin.json").write_bytes(b'{"saga": "\xe4"}')
    assert "no UTF-8" in project.sagas("generate", "latin.json").only_line
    (tmp_path / "long.json").write_text(" " * 1_000_001)
    assert "more than a megabyte" in project.sagas("generate", "long.json").only_line
    project.write("trip.json", TRIP)
    ended = project.sagas("generate", "trip.json", "--write", "nowhere/trip.py")
    assert "can not be written" in ended.only_line
    assert "Name the definition" in project.sagas("generate").only_line


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    (tmp_path / "trip.json").write_text(TRIP, encoding="utf-8-sig")
    assert project.sagas("generate", "trip.json").code == 0


def test_the_schema_is_printed(tmp_path: Path) -> None:
    found = json.loads(write_project(tmp_path).sagas("generate", "--schema").out)
    assert found["properties"]["tasks"]["type"] == "object"


def test_a_module_with_several_sagas_or_none_is_told_so(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ended = project.sagas("export", "definition", "shop.orders")
    assert ended.code == ExitCode.USAGE
    assert ended.only_line == (
        "error: The module shop.orders declares no saga; name one that does."
    )
    assert project.sagas("export", "definition", "shop.nowhere").code == ExitCode.USAGE


def test_what_json_can_not_say_is_listed(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.write(
        "shop/odd.py",
        "from sagas import Event, NOTHING, Retry, Saga, Start, Step, seconds\n"
        "from pydantic import Field, field_validator\n"
        "class A(Event, type='a.A.v1'):\n    id: str\n    x: int | str\n    y: object\n"
        "class B(Event, type='b.B.v1'):\n    id: str\n    z: list[int] = Field(default_factory=list)\n"
        "    w: str = Field(alias='W')\n    v: int | None\n"
        "    @field_validator('z')\n    def check(cls, value):\n        return value\n"
        "class Odd(Saga):\n    key = 'id'\n    start = Start(A, by='a', undone=NOTHING)\n"
        "    b = Step(by='b', on=A, done=B, undone=NOTHING, retry=Retry(backoff=seconds(0.00001)))\n",
    )
    ended = project.sagas("export", "definition", "shop.odd")
    assert ended.code == ExitCode.FINDINGS
    for words in (
        "A.x: a union of several types",
        "A.y: JSON has no word for object",
        "B: it has validators",
        "B.z: its default is made by a function",
        "B.w: it has another name on the wire",
        "B.v: what may be None is None where it is absent",
        "Odd.b: the backoff of its retry",
    ):
        assert words in ended.err
    assert "Traceback" not in ended.err
