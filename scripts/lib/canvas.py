"""Writes services/*/CANVAS.md from what the services declare, or checks that they are current."""

import importlib
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sagas import Service  # noqa: E402
from sagas.core.definition import Definition, StepDefinition  # noqa: E402
from sagas.runtime.subscription import Subscription  # noqa: E402
from sagas.wire.topics import Topics  # noqa: E402

TOPICS = Topics("sagas")


def canvas(service: Service, purpose: str) -> str:
    sections = {
        "Performs": table("Step|Kind|On|Reads|Emits|Or refuses with|Or else", performed(service)),
        "Undoes": table("Step|Emits", undone(service)),
        "Is woken by": [f"- {names([type_])}" for type_ in woken(service)],
        "Observes": observed(service),
        "Topics": [
            f"- consumes {names(sorted(Subscription(service, TOPICS).topics))}",
            f"- emits to {names([TOPICS.events(service.name)])}",
            f"- puts what it can not handle into {names([TOPICS.dead_letters(service.name)])}",
        ],
    }
    lines = [f"# {service.name}", "", purpose, "", "Written by `scripts/canvas`: do not edit."]
    for title, content in sections.items():
        lines += ["", f"## {title}", *(content or ["Nothing."])]
    return "\n".join(lines) + "\n"


def performed(service: Service) -> Iterator[tuple[str, ...]]:
    for saga, step in steps(service):
        kind = "start" if step is saga.start else saga.kinds[step.name].value
        events = (names(types) for types in (step.reads, step.done, step.refused))
        otherwise = names(filter(None, [step.otherwise]))
        yield (f"{saga.saga}.{step.name}", kind, on(step), *events, otherwise)


def undone(service: Service) -> Iterator[tuple[str, ...]]:
    for saga, step in steps(service):
        yield from ((f"{saga.saga}.{step.name}", names([u])) for u in [step.undone] if u)


def woken(service: Service) -> list[str]:
    types = {type_ for saga in service.sagas for type_ in saga.definition.wakes[service.name]}
    return sorted(types | {s.cancelled_by.event_type for s in service.sagas if s.cancelled_by})


def steps(service: Service) -> Iterator[tuple[Definition, StepDefinition]]:
    for saga in service.sagas:
        for step in saga.definition.steps_of.get(service.name, ()):
            yield saga.definition, step


def observed(service: Service) -> list[str]:
    return [
        f"- {names(sorted(one.event_types)) or 'the ends of ' + names(sorted(one.ended))}"
        for one in service.observers
    ]


def on(step: StepDefinition) -> str:
    return f" {'and' if step.join == 'all' else 'or'} ".join(f"`{t}`" for t in step.triggers)


def names(types: Iterable[str]) -> str:
    return ", ".join(f"`{type_}`" for type_ in types)


def table(headings: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = [f"| {' | '.join(row)} |" for row in rows]
    return found and [f"|{headings}|", "|---" * (headings.count("|") + 1) + "|", *found]


def main() -> None:
    outdated: list[str] = []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for reference in project["tool"]["sagas"]["services"]:
        module, _, attribute = reference.partition(":")
        service = getattr(importlib.import_module(module), attribute)
        package = importlib.import_module(module.rpartition(".")[0])
        path = Path(*package.__path__) / "CANVAS.md"
        wanted = canvas(service, (package.__doc__ or "").strip())
        if not path.exists() or path.read_text() != wanted:
            outdated.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(wanted)
    print("\n".join(outdated) if outdated else "all canvases are current")
    sys.exit(1 if outdated and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
