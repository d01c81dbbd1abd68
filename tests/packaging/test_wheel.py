"""The wheel: what it holds, and that it works alone in an environment without this tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.registry, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and its base dependencies, pinned by the lock."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    uv = str(BIN / "uv")
    run(uv, "venv", "--python", sys.executable, str(venv))
    lock = str(ROOT / "requirements.lock")
    run(uv, "pip", "install", "--python", str(venv / "bin/python"), "-c", lock, str(wheel))
    return venv / "bin"


def run(*command: str, cwd: Path | None = None) -> str:
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_only_the_framework_ships(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sagas"}


def test_it_is_not_called_as_somebody_elses_package(wheel: Path) -> None:
    assert wheel.name.startswith("sagas_choreography-")


def test_it_ships_its_types(wheel: Path) -> None:
    assert "sagas/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_it_ships_the_consoles_pages(wheel: Path) -> None:
    """Style, script and templates: nothing of the console comes from elsewhere."""
    names = set(zipfile.ZipFile(wheel).namelist())
    console = ROOT / "sagas/web/console"
    files = [*console.glob("static/*"), *console.glob("templates/*.html")]
    assert len(files) > 10
    assert {str(one.relative_to(ROOT)) for one in files} <= names


def test_it_imports_without_this_tree(installed: Path, tmp_path: Path) -> None:
    program = "import sagas; print(sagas.__file__)"
    where = run(str(installed / "python"), "-c", program, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


@pytest.mark.parametrize("package", ["events", "services", "tests", "benchmarks"])
def test_the_reference_system_stays_here(installed: Path, tmp_path: Path, package: str) -> None:
    program = f"import importlib.util; print(importlib.util.find_spec({package!r}))"
    assert run(str(installed / "python"), "-c", program, cwd=tmp_path).strip() == "None"


def test_the_command_line_runs(installed: Path, tmp_path: Path) -> None:
    assert "Usage" in run(str(installed / "sagas"), "--help", cwd=tmp_path)
