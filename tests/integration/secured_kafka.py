"""A Kafka of its own that asks who is there: open to administrators, and by name and password to services."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_stack import kafka
from local_stack.packages import kafka_libs, need
from local_stack.processes import free_port
from pydantic import SecretStr

from sagas.adapters.kafka.settings import KafkaSecurity, KafkaSettings

__all__ = ["PASSWORD", "SecuredKafka", "secured_kafka"]

PASSWORD = "secret"  # of everybody

PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{secured}
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={login} required {users};
"""
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """Its two doors: ``open`` for administrators, ``secured`` for everybody else."""

    open: str
    secured: str
    folder: Path

    def settings_of(self, user: str) -> KafkaSettings:
        """How that user connects."""
        security = KafkaSecurity(
            protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            username=user,
            password=SecretStr(PASSWORD),
        )
        return KafkaSettings(security=security, publish_timeout_ms=10_000)

    def run(self, script: str) -> None:
        """Run a shell script of Kafka's own tools, as an administrator."""
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        java = need("java", "openjdk-17-jre-headless")
        for name, main in (("acls", "AclCommand"), ("topics", "TopicCommand")):
            tool = tools / f"kafka-{name}.sh"
            start = f"exec {java} -XX:TieredStopAtLevel=1 -cp '{kafka_libs()}/*'"
            tool.write_text(f'#!/bin/sh\n{start} org.apache.kafka.tools.{main} "$@"\n')
            tool.chmod(0o755)
        properties = self.folder / "admin.properties"
        properties.write_text("")
        environment = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "KAFKA": self.open,
            "KAFKA_ADMIN": str(properties),
        }
        ended = subprocess.run(
            [shutil.which("sh") or "/bin/sh"],
            input=script,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


@contextmanager
def secured_kafka(folder: Path, users: list[str]) -> Iterator[SecuredKafka]:
    """Start it, and stop it."""
    port, secured, controller = free_port(), free_port(), free_port()
    named = " ".join(f'user_{user}="{PASSWORD}"' for user in users)
    more = PROPERTIES.format(
        port=port, secured=secured, controller=controller, login=LOGIN, users=named
    )
    start = "import sys; from pathlib import Path; from local_stack import kafka; "
    start += "kafka.start(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])"
    try:
        # A process of its own starts it and forgets it, as scripts/stack does.
        subprocess.run(
            [sys.executable, "-c", start, str(folder), str(port), more],
            env=os.environ | {"PYTHONPATH": str(Path(kafka.__file__).parents[1])},
            check=True,
            timeout=200,
        )
        yield SecuredKafka(f"127.0.0.1:{port}", f"127.0.0.1:{secured}", folder)
    finally:
        kafka.process(folder).stop()
