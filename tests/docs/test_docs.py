"""The code in the documents runs: every fenced ``python`` block in order, a namespace per file.

A block whose first line is a comment with a file's name, ``# travel/trip.py``, runs in that module,
which later blocks import. A block may await at its top level. Functions called ``test_…`` are run at
the end, as pytest would do. Code that is not meant to run says ``py`` instead.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if path.exists()
]

_FILE = re.compile(r"# (?P<path>[\w/]+)\.py\n")
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Each block with the number of its first line."""
    for found in _BLOCK.finditer(text):
        yield text.count("\n", 0, found.start("code")) + 1, found["code"]


def module_of(source: str, document: ModuleType) -> ModuleType:
    """The module that a block belongs to: that of the file that its first line names, or the document's."""
    named = _FILE.match(source)
    if named is None:
        return document
    name = named["path"].replace("/", ".")
    *packages, _ = name.split(".")
    for depth in range(len(packages)):
        package = ".".join(packages[: depth + 1])
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = []
    return sys.modules.setdefault(name, ModuleType(name))


def run(
    source: str, namespace: dict[str, Any], runner: asyncio.Runner, *, path: str, line: int
) -> None:
    """Run a block; errors show the document's own lines."""
    tree = ast.increment_lineno(ast.parse(source, path), line - 1)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(tree, path, "exec", flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(eval(code, namespace))
    else:
        exec(code, namespace)


def run_document(module: ModuleType, text: str, path: str) -> None:
    modules = {module.__name__: module}
    with asyncio.Runner() as runner:
        for line, source in blocks(text):
            place = module_of(source, module)
            modules[place.__name__] = place
            run(source, place.__dict__, runner, path=path, line=line)
        for function in [f for m in modules.values() for f in vars(m).values()]:
            if inspect.isfunction(function) and function.__name__.startswith("test_"):
                result = function()
                if inspect.iscoroutine(result):
                    runner.run(result)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = ModuleType("document")
    before = set(sys.modules)
    monkeypatch.setitem(sys.modules, "document", module)  # where annotations look for names
    yield module
    for name in [n for n, m in sys.modules.items() if n not in before and is_written_here(m)]:
        del sys.modules[name]


def is_written_here(module: ModuleType) -> bool:
    """Whether a block made it: it comes from no file."""
    return module.__spec__ is None and module.__name__ != "document"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_in_a_document_runs(
    path: Path, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_document(module, path.read_text(), str(path.relative_to(ROOT)))


# The test itself: it must be able to fail.


def test_blocks_share_a_namespace_and_may_await(module: ModuleType) -> None:
    text = (
        "```python\nx = 1\n```\nwords\n"
        "```python\nimport asyncio\nawait asyncio.sleep(0)\ny = x + 1\n```"
    )
    run_document(module, text, "a.md")
    assert module.__dict__["y"] == 2


def test_other_blocks_are_left_alone(module: ModuleType) -> None:
    run_document(
        module, "```py\n1 / 0\n```\n```\n1 / 0\n```\n```python-console\n1 / 0\n```", "a.md"
    )


def test_an_error_shows_the_line_of_the_document(module: ModuleType) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        run_document(module, "# Title\n\n```python\nx = 0\n1 / x\n```", "a.md")
    assert (str(raised.traceback[-1].path), raised.traceback[-1].lineno + 1) == ("a.md", 5)


def test_blocks_with_a_file_are_modules(module: ModuleType) -> None:
    text = (
        "```python\n# trips/events.py\nx = 1\n```\n"
        "```python\n# trips/use.py\nfrom trips.events import x\n```\n"
        "```python\n# trips/forgets.py\nx\n```"
    )
    with pytest.raises(NameError):
        run_document(module, text, "a.md")


def test_tests_in_documents_are_run(module: ModuleType) -> None:
    text = "```python\nasync def test_it() -> None:\n    assert False\n```"
    with pytest.raises(AssertionError):
        run_document(module, text, "a.md")
