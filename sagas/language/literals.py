"""Values in a generated module that are no calls: defaults, docstrings, tuples.

Owns how each is written, as ``ruff format`` leaves it.
"""

from __future__ import annotations

from sagas.language.fields import FieldType, NoDefault
from sagas.language.layout import Call, literal_of

__all__ = ["default_said", "docstring_lines", "tuple_of"]


def tuple_of(parts: tuple[str, ...]) -> Call:
    """A tuple's comma stays if it has one part."""
    return Call("(", parts) if len(parts) > 1 else Call("(", (f"{parts[0]},",))


def default_said(kind: FieldType) -> str:
    """A field's default as a literal; empty where it has none."""
    if isinstance(kind.default, NoDefault):
        return ""
    return literal_of(kind.default)


def docstring_lines(text: str) -> list[str]:
    """A docstring in the body of a class."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"') if '"""' in text or "\\" in text else text
    )
    if escaped.endswith('"') and escaped == text:
        escaped = f'{escaped[:-1]}\\"'
    first, *rest = escaped.split("\n")
    if not rest:
        return [f'    """{first}"""']
    return [f'    """{first}', *(f"    {line}" if line else "" for line in rest), '    """']
