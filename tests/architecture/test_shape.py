"""The shape of the code: what is pure, how long things get, what is public."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import shape

ROOT = Path(__file__).resolve().parents[2]
PURE = {
    "sagas/core": {"sagas.core", "pydantic", "pydantic_core", "typing_extensions"},
    "sagas/graph": {"sagas.core", "sagas.graph"},
    "sagas/wire": {"sagas.core", "sagas.wire", "pydantic", "pydantic_core", "typing_extensions"},
    "sagas/operating/explaining": {
        *("sagas.core", "sagas.wire", "sagas.ports"),
        *("sagas.operating.explaining", "sagas.operating.mending"),
        *("sagas.operating.moments", "sagas.operating.payloads", "sagas.operating.words"),
    },
    "sagas/checks": {
        *("sagas.core", "sagas.wire", "sagas.checks", "sagas.service", "sagas.signatures"),
        "pydantic",
    },
    "sagas/monitoring": {
        *("sagas.core", "sagas.wire", "sagas.ports", "sagas.monitoring"),
        *("sagas.runtime.incoming", "sagas.runtime.views", "pydantic"),
    },
}
MAX_MODULE_LINES = 400
MAX_SCRIPT_LINES = 100


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """Path and source of every module in these folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def complaints(*pairs: tuple[str, list[str]]) -> list[str]:
    return [f"{path}: {complaint}" for path, found in pairs for complaint in found]


@pytest.mark.parametrize("folder", PURE)
def test_pure_code_has_no_clock_no_chance_and_no_loop(folder: str) -> None:
    found = [(path, shape.banned_calls(source)) for path, source in modules(folder)]
    assert complaints(*found) == []


@pytest.mark.parametrize("folder", PURE)
def test_pure_code_imports_what_is_allowed_only(folder: str) -> None:
    allowed = PURE[folder]
    found = [(path, shape.foreign_imports(source, allowed)) for path, source in modules(folder)]
    assert complaints(*found) == []


def test_modules_are_short() -> None:
    sizes = {
        path: source.count("\n") for path, source in modules("sagas", "events", "services", "tests")
    }
    assert {path: lines for path, lines in sizes.items() if lines > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    everything = modules("sagas", "events", "services", "tests", "scripts", "benchmarks")
    assert complaints(*((path, shape.long_functions(source)) for path, source in everything)) == []


def test_scripts_are_short() -> None:
    files = [path for path in (ROOT / "scripts").rglob("*") if path.is_file()]
    scripts = [path for path in files if path.suffix in {"", ".py", ".sh"}]
    assert scripts
    sizes = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in scripts}
    assert {path: lines for path, lines in sizes.items() if lines > MAX_SCRIPT_LINES} == {}


def test_public_modules_say_what_is_public() -> None:
    public = [
        path
        for path, source in modules("sagas")
        if not any(part.startswith("_") for part in Path(path).with_suffix("").parts[:-1])
        and (Path(path).name == "__init__.py" or not Path(path).name.startswith("_"))
        and shape.missing_all(source)
    ]
    assert public == []


# The rules themselves: each must be able to complain.


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import random",
        "import asyncio.events",
        "from datetime import datetime\nx = datetime.now()",
        "import uuid\nx = uuid.uuid4()",
        "from uuid import uuid4",
        "def f():\n    import time",
    ],
)
def test_impure_code_is_seen(source: str) -> None:
    assert shape.banned_calls(source)


def test_pure_code_is_left_alone() -> None:
    source = "from datetime import datetime\nimport uuid\nx = uuid.uuid5(y, 'z')"
    assert shape.banned_calls(source) == []


def test_foreign_imports_are_seen() -> None:
    source = "import json\nimport redis.asyncio\nfrom sagas.core.x import y\nimport sagas.corered"
    assert shape.foreign_imports(source, {"sagas.core"}) == ["redis.asyncio", "sagas.corered"]


def test_long_functions_are_seen() -> None:
    body = "    x = 1\n"
    assert shape.long_functions(f"def f():\n{body * 69}") == []
    assert shape.long_functions(f"def f():\n{body * 70}") == ["f has 71 lines"]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('"""Only a docstring."""', False),
        ("", False),
        ("x = 1", True),
        ("from a import b", True),
        ('__all__ = ["x"]\nx = 1', False),
        ('__all__: list[str] = ["x"]\nx = 1', False),
    ],
)
def test_modules_without_public_names_are_seen(source: str, missing: bool) -> None:
    assert shape.missing_all(source) is missing
