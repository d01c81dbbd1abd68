"""The pages of the checks: what they show as reported is, what they show as mended is not."""

from __future__ import annotations

import pytest

from sagas.checks import TITLES
from sagas.checks.examples import EXAMPLES
from sagas.core.problems import Problem
from tests.definitions.written import PAGES, blocks, codes, findings


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
