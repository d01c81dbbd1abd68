"""The rules of shape, as functions from source text to complaints, so that they can be tested."""

import ast
import sys

__all__ = [
    "banned_calls",
    "foreign_imports",
    "imported_modules",
    "long_functions",
    "missing_all",
]

MAX_FUNCTION_LINES = 70
BANNED_MODULES = {"asyncio", "random", "secrets", "threading", "time"}
BANNED_CALLS = {"now", "today", "utcnow", "uuid1", "uuid4", "urandom"}


def imported_modules(source: str) -> set[str]:
    """Every absolute module that the source imports, wherever it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def banned_calls(source: str) -> list[str]:
    """What makes pure code impure: clocks, randomness, event loops, and ids drawn at random."""
    modules = {name.partition(".")[0] for name in imported_modules(source)}
    complaints = [f"imports {name}" for name in sorted(modules & BANNED_MODULES)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in BANNED_CALLS:
            complaints.append(f"line {node.lineno}: .{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if alias.name in BANNED_CALLS]
            complaints += [f"line {node.lineno}: imports {name}" for name in names]
    return complaints


def foreign_imports(source: str, allowed: set[str]) -> list[str]:
    """Imports that are neither the standard library's nor in (or below) what is allowed."""
    return sorted(
        name
        for name in imported_modules(source)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not any(name == root or name.startswith(f"{root}.") for root in allowed)
    )


def long_functions(source: str) -> list[str]:
    """Functions of more lines than a reader keeps in mind, signature and docstring included."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                complaints.append(f"{node.name} has {lines} lines")
    return complaints


def missing_all(source: str) -> bool:
    """Whether a module has content but does not say what of it is public."""
    body = [node for node in ast.parse(source).body if not _is_docstring(node)]
    names = {
        target.id
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return bool(body) and "__all__" not in names


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
