"""Nobody acts on the console who may not: roles, origins, tokens, hosts, sessions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from sagas.web.console.state import Console
from sagas.web.console.users import Role, Users, line_of, users_of
from tests.console import ORIGIN, MemoryServers, Visitor, console_on, visitor
from tests.operated import Shop, an_order

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def users() -> Users:
    return users_of("\n".join(line_of(role.word, role, PASSWORD) for role in Role), "here")


@pytest.fixture
async def console(users: Users) -> Console:
    servers = MemoryServers()
    await Shop(servers.store).keep(an_order("o1"))
    return console_on(servers, users=users)


@pytest.fixture
async def browser(console: Console) -> AsyncIterator[Visitor]:
    async with visitor(console) as one:
        yield one


async def sign_in(browser: Visitor, name: str, password: str = PASSWORD) -> int:
    form = await browser.see("/sign-in")
    answer = await browser.post(form, "/sign-in", name=name, password=password)
    return answer.status_code


async def test_every_answer_keeps_other_things_out(browser: Visitor) -> None:
    for path in ("/", "/sign-in", "/static/console.js", "/nothing", "/live"):
        headers = (await browser.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


async def test_somebody_unknown_sees_the_sign_in_page_only(browser: Visitor) -> None:
    answer = await browser.client.get("/saga?id=o1&saga=ordering")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fsaga%3Fid%3Do1%26saga%3Dordering"
    for path in ("/live", "/saga/live?id=o1"):
        assert (await browser.client.get(path)).status_code == 401
    assert (await browser.client.get("/saga/picture.svg?id=o1")).status_code == 303
    posted = await browser.client.post("/ask", data={"id": "o1"}, headers={"origin": ORIGIN})
    assert posted.status_code == 401
    form = await browser.see("/sign-in")
    assert "Overview" not in form


@pytest.mark.parametrize("host", ["localhost/static/x?", "localhost/sign-in#", "x/sign-in"])
async def test_a_host_that_holds_a_path_opens_no_page(browser: Visitor, host: str) -> None:
    """Starlette has put both together until 1.0."""
    answer = await browser.client.get("/saga?id=o1&saga=ordering", headers={"host": host})
    assert answer.status_code == 303
    assert "o1" not in answer.text


async def test_signing_in_and_out(browser: Visitor, console: Console) -> None:
    assert await sign_in(browser, "reader", "wrong horse") == 401
    assert await sign_in(browser, "nobody") == 401
    before = browser.client.cookies["sagas-console"]
    assert await sign_in(browser, "reader") == 303
    cookie = browser.client.cookies["sagas-console"]
    assert cookie != before, "another session than whoever came before"
    html = await browser.see("/")
    assert 'reader <span class="soft">(reader)</span>' in html
    out = await browser.post(html, "/sign-out")
    assert out.headers["location"] == "/sign-in"
    assert (await browser.client.get("/")).status_code == 303
    told = [(one.who, one.result) for one in reversed(console.journal.kept)]
    assert told == [
        ("reader", "wrong name or password"),
        ("nobody", "wrong name or password"),
        ("reader", "signed in"),
        ("reader", "signed out"),
    ]


async def test_the_session_is_for_http_alone_and_same_site(browser: Visitor) -> None:
    cookie = (await browser.client.get("/sign-in")).headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie


async def test_behind_tls_cookies_are_for_tls(users: Users) -> None:
    console = console_on(MemoryServers(), users=users, origin="https://sagas.example.com")
    async with visitor(console, "http://sagas.example.com") as one:
        cookie = (await one.client.get("/sign-in")).headers["set-cookie"]
        assert cookie.startswith("__Host-sagas-console=")
        assert "; Secure" in cookie
    async with visitor(console, "http://other.example.com") as one:
        assert (await one.client.get("/sign-in")).status_code == 403


@pytest.mark.parametrize(
    "after", ["//evil.example", "/\\evil.example", "https://evil", "javascript:1"]
)
async def test_nobody_is_led_away_after_signing_in(browser: Visitor, after: str) -> None:
    form = (await browser.client.get("/sign-in", params={"next": after})).text
    answer = await browser.post(form, "/sign-in", name="reader", password=PASSWORD)
    assert answer.headers["location"] == "/"
    answer = await browser.post(
        form.replace('name="next" value="/"', f'name="next" value="{after}"'), "/sign-in"
    )
    assert "evil" not in answer.headers.get("location", "")


async def test_who_guesses_has_to_wait(browser: Visitor) -> None:
    form = await browser.see("/sign-in")
    answers = [
        (await browser.post(form, "/sign-in", name="admin", password=f"{number}")).status_code
        for number in range(12)
    ]
    assert answers == [401] * 10 + [429] * 2


async def test_who_guesses_at_once_has_to_wait_too(browser: Visitor) -> None:
    form = await browser.see("/sign-in")
    guesses = (browser.post(form, "/sign-in", name="admin", password=f"{n}") for n in range(16))
    answers = [one.status_code for one in await asyncio.gather(*guesses)]
    assert answers.count(401) <= 10 + 1, "one more may be looked at beside the tenth"
    assert 429 in answers


ROLES = [
    ("/ask?saga=ordering&id=o1&what=cancel", Role.OPERATOR),
    ("/letters/resolve?what=replay&id=t/0/1", Role.OPERATOR),
    ("/letters/resolve?what=replay", Role.ADMIN),
]


@pytest.mark.parametrize(("path", "least"), ROLES)
async def test_roles_look(browser: Visitor, path: str, least: Role) -> None:
    for role in Role:
        assert await sign_in(browser, role.word) in {303, 200}
        status = (await browser.client.get(path)).status_code
        assert (status == 403) == (role < least), role
        browser.client.cookies.clear()


@pytest.mark.parametrize(("path", "least"), ROLES)
async def test_roles_post(browser: Visitor, path: str, least: Role) -> None:
    for role in Role:
        await sign_in(browser, role.word)
        html = await browser.see("/")
        place, _, query = path.partition("?")
        fields = dict(part.split("=") for part in query.split("&"))
        answer = await browser.post(html, place, **fields)
        assert (answer.status_code == 403) == (role < least), role
        if role < least:
            assert f"{role.word} is {role.word}, and only " in answer.text
        browser.client.cookies.clear()


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://localhost:8321", "http://localhost"]
)
async def test_a_form_of_another_origin_is_refused(console: Console, origin: str | None) -> None:
    console.users = None
    async with visitor(console) as browser:
        html = await browser.see("/ask?saga=ordering&id=o1&what=cancel")
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
        headers = {} if origin is None else {"origin": origin}
        answer = await browser.client.post("/ask", data=fields | {"why": "x"}, headers=headers)
        assert answer.status_code == 403
        assert "does not come from a page of this console" in answer.text
    assert console.journal.kept[0].what == "POST /ask"


async def test_a_form_without_the_sessions_token_is_refused(console: Console) -> None:
    console.users = None
    async with visitor(console) as one, visitor(console) as other:
        html = await one.see("/ask?saga=ordering&id=o1&what=cancel")
        await other.see("/")
        foreign = await other.post(html, "/ask", why="x")
        assert foreign.status_code == 409
        assert "This form is of another session" in foreign.text
        bare = html.replace('name="token"', 'name="nothing"')
        assert (await one.post(bare, "/ask", why="x")).status_code == 409
    assert "another session" in console.journal.kept[0].result


async def test_too_much_is_not_read(console: Console) -> None:
    console.users = None
    async with visitor(console) as one:
        html = await one.see("/ask?saga=ordering&id=o1&what=cancel")
        answer = await one.post(html, "/ask", why="x" * 70_000)
        assert answer.status_code == 409
        assert "More than 64 KB" in answer.text
        many = {f"f{number}": "" for number in range(60)}
        assert (await one.post(html, "/ask", **many)).status_code == 409


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "localhost.evil.example", "[", ""]
)
async def test_without_users_it_answers_under_names_of_this_machine_only(host: str) -> None:
    """So that a page elsewhere whose name is made to lead here learns nothing."""
    async with visitor(console_on(MemoryServers())) as one:
        answer = await one.client.get("/", headers={"host": host})
        assert answer.status_code == 403
        assert "names of this machine only" in answer.text
        for own in ("localhost:9", "127.0.0.1", "[::1]:8321"):
            assert (await one.client.get("/", headers={"host": own})).status_code == 200


async def test_other_methods_do_nothing(console: Console) -> None:
    console.users = None
    async with visitor(console) as one:
        for method, path in (("DELETE", "/"), ("PUT", "/ask"), ("POST", "/"), ("POST", "/saga")):
            answer = await one.client.request(method, path, headers={"origin": ORIGIN})
            assert answer.status_code == 405


async def test_a_user_who_is_taken_away_is_out(browser: Visitor, console: Console) -> None:
    await sign_in(browser, "admin")
    await browser.see("/")
    console.users = users_of(line_of("somebody", Role.READER, PASSWORD), "here")
    async with visitor(console) as other:
        other.client.cookies = browser.client.cookies
        assert (await other.client.get("/")).status_code == 303


def test_roles_are_ordered() -> None:
    assert all(one < other for one, other in pairwise(Role))
