"""Writes services/*/CANVAS.md from what the services declare, or checks that they are current."""

import importlib
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sagas.exports.canvas import canvas  # noqa: E402
from sagas.wire.topics import Topics  # noqa: E402


def main() -> None:
    outdated: list[str] = []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for reference in project["tool"]["sagas"]["services"]:
        module, _, attribute = reference.partition(":")
        service = getattr(importlib.import_module(module), attribute)
        package = importlib.import_module(module.rpartition(".")[0])
        path = Path(*package.__path__) / "CANVAS.md"
        purpose = (package.__doc__ or "").strip()
        wanted = canvas(service, Topics("sagas"), purpose=purpose, made_by="scripts/canvas")
        if not path.exists() or path.read_text() != wanted:
            outdated.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(wanted)
    print("\n".join(outdated) if outdated else "all canvases are current")
    sys.exit(1 if outdated and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
