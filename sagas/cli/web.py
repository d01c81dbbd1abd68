"""``sagas web``: the console in a browser, until Ctrl-C or SIGTERM.

Owns what can be typed, the password that is asked for, and signals.
"""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import ProjectOption, login

if TYPE_CHECKING:
    from sagas.web.console.state import Console

__all__ = ["web"]

PORT = 8321


def web(
    *,
    host: Annotated[
        str,
        typer.Option("--host", help="Where it listens. Others than loopback need users."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
    ] = PORT,
    new_user: Annotated[
        str | None,
        typer.Option(
            "--new-user",
            metavar="NAME:ROLE",
            help="Ask for a password and print the line for SAGAS_WEB_USERS_FILE; ROLE is reader, "
            "operator or admin.",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
) -> None:
    """See sagas and operate them in a browser; needs the extra 'web'.

    Example: [bold]sagas web --port 8321[/bold]
    """
    try:
        import jinja2  # noqa: F401 - what the extra brings: asked for here, where it can be said
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401

        from sagas.web.console.settings import ConsoleSettings, check_host
    except ImportError as error:
        raise CommandError(
            ExitCode.USAGE,
            f"`sagas web` needs the extra 'web' ({error.name} is not installed): install this project as "
            "'sagas-choreography[web]', from its clone: pip install '/path/to/clone[web]'.",
        ) from error
    if new_user is not None:
        typer.echo(_line(new_user))
        return
    from sagas.application import SagaSettings
    from sagas.cli.project import open_project
    from sagas.observability.logs import configure_logs
    from sagas.web.console.servers import RealServers
    from sagas.web.console.sessions import Signer
    from sagas.web.console.state import Console
    from sagas.web.console.users import Role, User

    settings, its = SagaSettings(), ConsoleSettings()
    users = its.known_users()
    check_host(host, users)
    opened = open_project(project)
    console = Console(
        servers=RealServers(settings),
        sagas=opened.sagas(),
        services=opened.services(),
        signer=Signer(its.signing_secret()),
        users=users,
        local=User(login(), Role.ADMIN),
        origin=its.origin,
    )
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(_serve(console, host, port))


async def _serve(console: Console, host: str, port: int) -> None:
    from sagas.web.console.serving import serve

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)

    def tell(address: str) -> None:
        typer.echo(f"The console is at {address} until Ctrl-C.")

    await serve(console, host=host, port=port, stop=stop, listening=tell)


def _line(given: str) -> str:
    from sagas.web.console.users import Role, line_of

    name, _, role = given.partition(":")
    if role.upper() not in Role.__members__:
        raise CommandError(
            ExitCode.USAGE,
            f"--new-user {given}: expected NAME:ROLE, ROLE one of reader, operator and admin.",
        )
    return line_of(name, Role[role.upper()], _password())


def _password() -> str:
    """Asked for twice on a terminal; the first line of standard input elsewhere."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise CommandError(ExitCode.USAGE, "The two passwords differ.")
    if len(password) < _PASSWORD_MIN:
        raise CommandError(ExitCode.USAGE, f"A password has at least {_PASSWORD_MIN} characters.")
    return password


_PASSWORD_MIN = 10
