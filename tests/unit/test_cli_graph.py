"""``sagas graph``: which saga, which picture, where it goes, and what is said when it can not be drawn."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sagas.cli.marks import END
from tests.cli_project import MODULES, Project, write_project

SECOND = """\
from shop.ordering import OrderPlaced
from sagas import NOTHING, Event, Saga, Start, Step

class Packed(Event, type="packing.Packed.v1"):
    order_id: str

class Packing(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    pack = Step(by="packing", on=OrderPlaced, done=Packed, undone=NOTHING)

class Repacking(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    pack = Step(by="packing", on=OrderPlaced, done=Packed, undone=NOTHING)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path, modules=dict(MODULES) | {"packing": SECOND})


def test_the_projects_only_saga_is_drawn(shop: Project) -> None:
    ended = shop.sagas("graph")
    assert ended.code == 0
    assert ended.out.startswith("flowchart LR\n")
    assert '-->|"StockReserved"| n_capture_payment' in ended.out


@pytest.mark.parametrize("source", ["shop.ordering:Ordering", "shop.ordering"])
def test_it_can_be_named(shop: Project, source: str) -> None:
    assert shop.sagas("graph", source).out == shop.sagas("graph").out


def test_without_a_project_what_is_named_is_drawn(tmp_path: Path) -> None:
    project = write_project(tmp_path, pyproject="")
    (tmp_path / "pyproject.toml").unlink()
    assert project.sagas("graph", "shop.ordering", "--view", "states").code == 0
    assert project.sagas("graph").code == 2


def test_svg_is_drawn_here(shop: Project, tmp_path: Path) -> None:
    picture = tmp_path / "ordering.svg"
    ended = shop.sagas("graph", "-f", "svg", "--theme", "dark", "--write", str(picture))
    assert (ended.code, ended.out) == (0, "")
    root = ET.fromstring(picture.read_text())
    assert "ordering: choreography by order_id" in "".join(root.itertext())


def test_events_know_topics_and_observers(shop: Project) -> None:
    observer = (
        "\nfrom shop.ordering import PaymentDeclined\nfrom sagas import EventContext\n\n"
        "@service.observes(PaymentDeclined)\n"
        "async def tell(declined: PaymentDeclined, context: EventContext) -> None: ...\n"
    )
    shop.write("shop/orders.py", MODULES["orders"] + observer)
    ended = shop.sagas("graph", "--view", "events", SAGAS_NAMESPACE="west")
    assert "west.inventory.events" in ended.out
    assert "orders observes" in ended.out


def test_a_module_with_several_sagas(shop: Project) -> None:
    ended = shop.sagas("graph", "shop.packing")
    assert ended.code == 2
    assert "say which, --saga packing, --saga repacking" in ended.only_line
    chosen = shop.sagas("graph", "shop.packing", "--saga", "repacking", "-f", "dot")
    assert chosen.out.startswith('digraph "repacking"')
    unknown = shop.sagas("graph", "shop.packing", "--saga", "repackin")
    assert unknown.code == 2
    assert "Did you mean 'repacking'?" in unknown.only_line


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("shop.orders", "The module shop.orders declares no saga"),
        ("ordering.json", "ordering.json can not be read: No such file"),
        ("shop.nothing", "there is no module 'shop.nothing'"),
        ("shop/ordering.py", "names no module"),
        ("shop.ordering:Order", "has no 'Order'"),
    ],
)
def test_what_can_not_be_drawn(shop: Project, source: str, said: str) -> None:
    ended = shop.sagas("graph", source)
    assert ended.code == 2
    assert said in ended.only_line


def test_a_table_that_is_away(shop: Project) -> None:
    ended = shop.sagas("graph", "--saga-id", "o-1", SAGAS_REDIS="redis://127.0.0.1:1")
    assert ended.code == 5
    assert "Redis at redis://127.0.0.1:1 is not available" in ended.only_line


# --- Markdown -------------------------------------------------------------------------------------

MARKED = f"# Shop\n\n<!-- sagas graph ordering states -->\nold\n{END}\n\nwords\n"


def test_marked_parts_are_drawn_anew(shop: Project, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    stale = shop.sagas("graph", "--write", "README.md", "--check")
    assert stale.code == 3
    assert readme.read_text() == MARKED
    assert shop.sagas("graph", "--write", "README.md").code == 0
    text = readme.read_text()
    assert text.startswith(
        "# Shop\n\n<!-- sagas graph ordering states -->\n```mermaid\nflowchart LR\n"
    )
    assert text.endswith(f"```\n{END}\n\nwords\n")
    assert shop.sagas("graph", "--write", "README.md", "--check").code == 0
    assert shop.sagas("graph", "--write", "README.md").code == 0
    assert readme.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("--write", "README.md"), "# Shop\n", "has no part to draw"),
        (("--write", "README.md"), MARKED.replace("states", "stats"), "no view 'stats'"),
        (("--write", "README.md"), MARKED.replace("ordering", "order"), "There is no saga 'order'"),
        (("--write", "OTHER.md"), "", "can not be read"),
        (("--check",), "", "--check says whether a file is current"),
        (
            ("shop.ordering", "--write", "README.md"),
            MARKED,
            "The marks in README.md say what is drawn",
        ),
        (("--write", "no/such/place.svg"), "", "can not be written: No such file or directory."),
    ],
)
def test_marks_that_can_not_be_drawn(
    shop: Project, tmp_path: Path, arguments: tuple[str, ...], text: str, said: str
) -> None:
    (tmp_path / "README.md").write_text(text)
    ended = shop.sagas("graph", *arguments)
    assert ended.code == 2
    assert said in ended.only_line
