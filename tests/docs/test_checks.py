"""The pages of the checks: what they show as reported is, what they show as mended is not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sagas.checks import TITLES
from sagas.checks.examples import EXAMPLES
from sagas.core.problems import Problem
from tests.cli_project import Ended, write_project
from tests.definitions.written import EVENTS, PAGES, blocks, codes, findings


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_of_a_page(code: str) -> None:
    reported, mended = blocks(f"{code}.md")
    assert reported == EXAMPLES[code]
    assert code in codes(findings(reported))
    found = findings(mended)
    assert code not in codes(found)
    assert not any(isinstance(one, Problem) for one in found), found


def test_every_check_has_its_page_and_the_index_has_all() -> None:
    index = (PAGES / "README.md").read_text()
    for code, title in TITLES.items():
        assert (PAGES / f"{code}.md").read_text().startswith(f"# {code}: {title}\n")
        assert f"| [{code}]({code}.md) | {title[0].lower()}{title[1:]} |" in index


def edition(source: str, *, deployed: bool) -> str:
    """The module of the page's saga: as it runs, or as it is to run. The events are those of the index."""
    kept = (
        source.partition("class Ordering")[0] if deployed else source.partition("class Ordering")[2]
    )
    saga = kept.replace("class Deployed", "class Ordering") if deployed else f"class Ordering{kept}"
    return f"{EVENTS}\n{saga}"


def commands(page: str) -> list[list[str]]:
    """The words of each line in the page's block of commands, without ``sagas``."""
    found = re.findall(r"^```sh\n(.*?)^```$", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in found for line in block.splitlines()]


def ended(directory: Path, page: str, old: str, new: str) -> Ended:
    """How the last command of the page ends: the first is run on the old version, the last on the new one."""
    first, last = commands(page)
    directory.mkdir()
    project = write_project(directory, modules={"__init__": "", "ordering": old})
    assert project.sagas(*first).code == 0
    project.write("shop/ordering.py", new)
    return project.sagas(*last)


def test_a_definition_is_compared_with_what_runs(tmp_path: Path) -> None:
    for source, code in zip(blocks("S16.md"), (1, 0), strict=True):
        old, new = (edition(source, deployed=one) for one in (True, False))
        found = ended(tmp_path / str(code), "S16.md", old, new)
        assert (found.code, "S16" in found.out) == (code, bool(code)), found


def test_payloads_are_compared_with_what_runs(tmp_path: Path) -> None:
    old = edition(blocks("S16.md")[1], deployed=True)
    head = 'class Placed(OfOrder, type="orders.Placed.v1"): '
    assert f"{head}..." in old
    for field, code in (("customer_id: str", 1), ('customer_id: str = ""', 0)):
        new = old.replace(f"{head}...", f"{head}{field}")
        found = ended(tmp_path / str(code), "S12.md", old, new)
        assert (found.code, "S12" in found.out) == (code, bool(code)), found
