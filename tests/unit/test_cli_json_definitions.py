"""``sagas check``, ``sagas graph`` and ``sagas diff`` of a saga that is defined in JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli_project import Project, write_project

PARCEL = """\
{
  "saga": "parcel",
  "key": "parcel_id",
  "start": {"by": "shop", "event": "ParcelPacked", "undone": "ParcelUnpacked"},
  "tasks": {
    "weigh": {
      "by": "depot",
      "depends_on": "start",
      "done": "ParcelWeighed",
      "undone": "nothing"
    },
    "collect": {"by": "carrier", "depends_on": "weigh", "done": "ParcelCollected", "pivot": true},
    "tell": {"by": "shop", "depends_on": "collect", "done": "CustomerTold", "timeout": "1m"}
  },
  "ends_with": "CustomerTold"
}
"""


def project_with(directory: Path, text: str) -> Project:
    project = write_project(directory)
    project.write("parcel.json", text)
    return project


def test_a_saga_in_json_is_checked_as_one_in_python(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    assert (
        project.sagas("generate", "parcel.json", "--no-handlers", "--write", "parcel.py").code == 0
    )
    in_json = json.loads(project.sagas("check", "parcel.json", "--json").out)
    in_python = json.loads(project.sagas("check", "parcel", "--json").out)
    assert in_json["sagas"] == in_python["sagas"]
    findings = [
        [(one["code"], one["about"], one["reason"]) for one in told["findings"]]
        for told in (in_json, in_python)
    ]
    assert findings[0] == findings[1] != []


def test_a_finding_names_the_line_in_the_file(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    found = json.loads(project.sagas("check", "parcel.json", "--json").out)["findings"]
    assert [one["place"] for one in found if one["about"] == "parcel"] == ["parcel.json:2"]


def test_what_is_wrong_in_the_file_is_told_at_its_place(tmp_path: Path) -> None:
    project = project_with(
        tmp_path, PARCEL.replace('"depends_on": "weigh"', '"depends_on": "wiegh"')
    )
    generated = project.sagas("generate", "parcel.json")
    assert generated.code == 1
    (line,) = [one for one in generated.err.splitlines() if "parcel.json:" in one]
    told = line[line.index("parcel.json:") :]
    assert told.startswith("parcel.json:12:")
    checked = project.sagas("check", "parcel.json")
    assert checked.code == 1
    assert told in checked.out
    drawn = project.sagas("graph", "parcel.json")
    assert drawn.code == 1
    assert told in drawn.err


def test_a_saga_in_json_is_drawn_as_one_in_python(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    assert (
        project.sagas("generate", "parcel.json", "--no-handlers", "--write", "parcel.py").code == 0
    )
    for view in ("choreography", "states", "events"):
        in_json = project.sagas("graph", "parcel.json", "--view", view)
        assert in_json.code == 0
        assert in_json.out == project.sagas("graph", "parcel", "--view", view).out != ""


def test_a_saga_in_json_is_proven(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    told = json.loads(project.sagas("check", "parcel.json", "--model", "--json").out)["model"]
    assert [one["saga"] for one in told] == ["parcel"]


def test_a_saga_in_json_is_checked_against_what_runs(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    project.write("new.json", PARCEL.replace('"depends_on": "collect"', '"depends_on": "weigh"'))
    ended = project.sagas("check", "new.json", "--against", "parcel.json")
    assert ended.code == 1
    assert "S16" in ended.out
    assert "parcel.tell  new.json:13" in ended.out


def test_several_files_are_checked_together(tmp_path: Path) -> None:
    project = project_with(tmp_path, PARCEL)
    project.write("other.json", PARCEL.replace('"parcel"', '"letter"'))
    told = json.loads(project.sagas("check", "parcel.json", "other.json", "--json").out)
    assert [one["name"] for one in told["sagas"]] == ["parcel", "letter"]
    assert project.sagas("check", "nothing.json").code == 2


def test_codes_are_offered_in_their_order(tmp_path: Path) -> None:
    ended = write_project(tmp_path).sagas("check", "--explain", "s9x")
    assert ended.code == 2
    assert "Did you mean 'S9'?" in ended.only_line
    assert "M1, M2, M3" in ended.only_line
    assert "S8, S9, S10, S11" in ended.only_line
    assert ended.only_line.endswith("S9, S10, S11, S12, S13, S14, S15, S16, S17.")
