"""Settings about who we are: what is missing is said, and no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from sagas.application import SagaSettings
from tests.cli_project import Project, write_project

USER = {"SAGAS_KAFKA_USERNAME": "shop.orders", "SAGAS_KAFKA_PASSWORD": "correct horse"}


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


def test_nothing_said_is_nobody() -> None:
    security = SagaSettings().kafka_security
    assert (security.protocol, security.username) == ("PLAINTEXT", None)


def test_a_user_with_a_password(tmp_path: Path) -> None:
    settings = SagaSettings(
        kafka_protocol="SASL_SSL",
        kafka_username="shop.orders",
        kafka_password=SecretStr("correct horse"),
        kafka_mechanism="PLAIN",
        kafka_ca_file=tmp_path / "ca.pem",
    )
    security = settings.kafka_security
    assert (security.protocol, security.username) == ("SASL_SSL", "shop.orders")
    assert (security.sasl_mechanism, security.ca_file) == ("PLAIN", tmp_path / "ca.pem")
    assert security.password is not None
    assert security.password.get_secret_value() == "correct horse"
    assert "correct horse" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"SAGAS_KAFKA_PROTOCOL": "SASL_SSL"},
            "SAGAS_KAFKA_PROTOCOL is 'SASL_SSL': it needs SAGAS_KAFKA_USERNAME and SAGAS_KAFKA_PASSWORD.",
        ),
        (
            USER | {"SAGAS_KAFKA_PROTOCOL": "SASL"},
            "SAGAS_KAFKA_PROTOCOL is 'SASL': Input should be",
        ),
        (USER | {"SAGAS_KAFKA_MECHANISM": "OAUTH"}, "SAGAS_KAFKA_MECHANISM is 'OAUTH'"),
        ({"SAGAS_KAFKA_KEY_FILE": "key.pem"}, "it needs SAGAS_KAFKA_CERTIFICATE_FILE"),
    ],
)
def test_what_does_not_fit_is_said(shop: Project, variables: dict[str, str], said: str) -> None:
    ended = shop.sagas("topics", "plan", **variables)
    assert ended.code == 2
    assert said in ended.only_line
    assert "correct horse" not in ended.only_line
