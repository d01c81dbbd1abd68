"""What is posted: read within bounds, and only with the token of the session.

Owns the one way in which a page reads a form. No file is ever taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request

from sagas.operating.errors import Refused
from sagas.web.console.guard import session_of, user_of
from sagas.web.console.sessions import Signer
from sagas.web.console.state import console_of

__all__ = ["TOKEN", "form_of"]

TOKEN = "token"  # noqa: S105 - the field's name
_BYTES_MAX = 64 * 1024
_FIELDS_MAX = 50


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a form, the first of each name. Raises Refused for one that is not of our own pages,
    which is recorded.
    """
    console = console_of(request)
    try:
        return await _read(request, console.signer)
    except Refused as error:
        user = user_of(request)
        who = "nobody" if user is None else user.name
        console.journal.refused(who, f"POST {request.url.path}", str(error))
        raise


async def _read(request: Request, signer: Signer) -> Mapping[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BYTES_MAX:
            raise Refused(f"More than {_BYTES_MAX // 1024} KB were posted; no form has so much.")
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict"
        )
    except ValueError as error:
        raise Refused(f"What was posted is no form: {error}.") from error
    found = {name: values[0] for name, values in fields.items()}
    if not signer.proves(found.get(TOKEN, ""), session_of(request)):
        raise Refused(
            "This form is of another session: it was open for long, or somebody has signed in or out "
            "since. Open the page again."
        )
    return found
