"""Who may use the console: users, sessions, and where it listens."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from sagas.core.errors import SettingsError
from sagas.web.console.sessions import SESSION_S, Signer
from sagas.web.console.settings import ConsoleSettings, check_host
from sagas.web.console.users import Role, User, line_of, users_of


def test_a_password_proves_who_it_is() -> None:
    lines = [line_of("ann", Role.OPERATOR, "s3cret"), "# a comment", ""]
    users = users_of("\n".join(lines), "here")
    assert users.proven("ann", "s3cret") == User("ann", Role.OPERATOR)
    assert users.proven("ann", "S3cret") is None
    assert users.proven("bob", "s3cret") is None
    assert users.named("bob") is None


def test_two_hashes_of_a_password_differ() -> None:
    assert line_of("ann", Role.READER, "same") != line_of("ann", Role.READER, "same")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann:operator:secret", "line 1: expected NAME:reader|operator|admin:scrypt"),
        ("ann:root:scrypt$32768$8$1$QQ==$QQ==", "line 1: expected"),
        ("ann:admin:scrypt$2$8$1$QQ==$QQ==", "line 1: expected"),
        ("ann:admin:scrypt$32769$8$1$QQ==$QQ==", "line 1: expected"),
        ("ann:admin:scrypt$67108864$8$1$QQ==$QQ==", "line 1: expected"),
        ("ann:admin:scrypt$32768$8$1$Q$QQ==", "line 1: expected"),
        ("# nobody", "names nobody"),
    ],
)
def test_a_line_that_is_none(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        users_of(text, "users.txt")
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_a_name_twice() -> None:
    line = line_of("ann", Role.READER, "x")
    with pytest.raises(SettingsError, match="line 2: 'ann' is there twice"):
        users_of(f"{line}\n{line}", "users.txt")


def test_a_session_is_what_we_have_signed_and_only_until_it_is_over() -> None:
    signer = Signer(b"secret")
    session = signer.begun("änn", 1_000.5)
    cookie = signer.cookie_of(session)
    assert signer.session_of(cookie, 1_001) == session
    assert signer.session_of(cookie, 1_000 + SESSION_S) is None
    assert Signer(b"other").session_of(cookie, 1_001) is None
    for number, letter in enumerate(cookie):
        forged = cookie[:number] + ("0" if letter != "0" else "1") + cookie[number + 1 :]
        assert signer.session_of(forged, 1_001) is None
    assert signer.session_of("", 1_001) is None


def test_a_token_is_of_one_session() -> None:
    signer = Signer(b"secret")
    one, other = signer.begun("ann", 1), signer.begun("ann", 1)
    assert signer.proves(signer.token_of(one), one)
    assert not signer.proves(signer.token_of(one), other)
    assert not signer.proves("", one)
    assert not signer.proves("ä", one)
    assert signer.token_of(one) not in signer.cookie_of(one)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "sagas.example.com"])
def test_it_listens_to_others_only_where_somebody_has_to_sign_in(host: str) -> None:
    with pytest.raises(SettingsError, match="Say who may"):
        check_host(host, None)
    check_host(host, users_of(line_of("ann", Role.READER, "x"), "here"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_it_listens_to_this_machine_without_users(host: str) -> None:
    check_host(host, None)


def test_settings_are_values_or_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ConsoleSettings().known_users() is None
    assert ConsoleSettings().signing_secret() != ConsoleSettings().signing_secret()
    file = tmp_path / "users"
    file.write_text(line_of("ann", Role.ADMIN, "x"))
    monkeypatch.setenv("SAGAS_WEB_USERS_FILE", str(file))
    users = ConsoleSettings().known_users()
    assert users is not None
    assert users.named("ann") == User("ann", Role.ADMIN)
    monkeypatch.setenv("SAGAS_WEB_USERS", "ann")
    with pytest.raises(SettingsError, match="leave one of them out"):
        ConsoleSettings().known_users()
    monkeypatch.delenv("SAGAS_WEB_USERS")
    monkeypatch.setenv("SAGAS_WEB_USERS_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="can not be read"):
        ConsoleSettings().known_users()
    monkeypatch.setenv("SAGAS_WEB_SECRET", "short")
    with pytest.raises(SettingsError, match="less than 16"):
        ConsoleSettings().signing_secret()


@pytest.mark.parametrize("origin", ["sagas.example.com", "ftp://x", "https://x/path", "https://"])
def test_an_origin_that_is_none(origin: str) -> None:
    with pytest.raises(ValidationError, match="expected an origin"):
        ConsoleSettings(origin=origin)
    assert (
        ConsoleSettings(origin="https://Sagas.example.com/").origin == "https://sagas.example.com"
    )
