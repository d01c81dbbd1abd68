"""Pages made of templates: what is put into one is escaped, and nothing of it is None or undefined.

Owns the words that templates share.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.core.printable import printable
from sagas.operating.explaining import About
from sagas.operating.moments import duration, rfc3339
from sagas.operating.words import short_name
from sagas.web.console.guard import session_of, user_of
from sagas.web.console.state import console_of
from sagas.web.console.users import Role

__all__ = ["fragment", "page", "url"]


def _shown(value: object) -> object:
    """What is put out: text from anywhere neither hides nor turns what is beside it."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value, lines=True)
    return value


def url(path: str, **query: object) -> str:
    """An address on this console; what is empty is left out, lists are repeated."""
    said = urlencode(
        [
            (name, part)
            for name, value in query.items()
            for part in (value if isinstance(value, list | tuple) else [value])
            if part not in {None, ""}
        ]
    )
    return f"{path}?{said}" if said else path


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("sagas.web.console"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"url": url, "Role": Role, "About": About}
    templates.filters |= {
        "utc": rfc3339,
        "duration": duration,
        "short": short_name,
        "number": lambda number: f"{number:,}",
    }
    return templates


def fragment(template: str, **context: Any) -> str:
    """A part of a page."""
    return _templates().get_template(template).render(**context)


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page, for whoever asks."""
    console = console_of(request)
    text = fragment(
        template,
        user=user_of(request),
        token=console.signer.token_of(session_of(request)),
        path=request.url.path,
        signs_in=console.users is not None,
        namespace=console.servers.namespace,
        **context,
    )
    return HTMLResponse(text, status)
