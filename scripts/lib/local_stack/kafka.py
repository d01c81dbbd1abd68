"""Apache Kafka from its Maven artifacts: one KRaft node, broker and controller in one."""

import socket
import struct
import subprocess
from pathlib import Path

from local_stack.packages import kafka_libs, need
from local_stack.processes import ServerProcess, free_port

# Without the two transaction.state.log lines, transactional and some idempotent producers hang.
# A killed broker's successor waits until the old session has expired, so the session is short.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
log.retention.hours=192
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""
LOGGING = """\
Configuration:
  Appenders:
    Console:
      name: console
      PatternLayout: {pattern: "%d %p %m (%c)%n"}
  Loggers:
    Root: {level: INFO, AppenderRef: [{ref: console}]}
"""
API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def process(directory: Path) -> ServerProcess:
    """Name the Kafka of this directory, running or not."""
    return ServerProcess(directory)


def start(directory: Path, port: int, more: str = "") -> None:
    """Start Kafka, formatting its storage the first time, and wait until it answers a request.

    ``more`` properties replace those of the same name.
    """
    java = [need("java", "openjdk-17-jre-headless"), "-cp", f"{kafka_libs()}/*"]
    properties = directory / "server.properties"
    text = PROPERTIES.format(port=port, controller=free_port(), directory=directory)
    properties.write_text(text + more)
    logging = directory / "log4j2.yaml"
    logging.write_text(LOGGING)
    quiet = f"-Dlog4j2.configurationFile={logging}"
    if not (directory / "data/meta.properties").exists():
        # One node's cluster may have any id; a fixed one saves starting Java to draw it.
        cluster = ["-t", "c2FnYXMtc2FnYXMtc2FnYQ", "-c", str(properties)]
        tool = [*java[:1], quiet, *java[1:], "kafka.tools.StorageTool", "format", *cluster]
        subprocess.run(tool, check=True, stdout=subprocess.DEVNULL)
    server = process(directory)
    memory = ["-Xms256m", "-Xmx768m"]
    server.start([java[0], *memory, quiet, *java[1:], "kafka.Kafka", str(properties)])
    server.wait_until(lambda: _answers(port))


def environment(port: int) -> dict[str, str]:
    """Say where clients find it, and where its own console tools are."""
    return {"SAGAS_KAFKA": f"127.0.0.1:{port}", "SAGAS_KAFKA_LIBS": str(kafka_libs())}


def _answers(port: int) -> bool:
    """Send an ApiVersions request: the broker answers it only when it serves requests."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.sendall(API_VERSIONS_REQUEST)
            answer = client.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)  # noqa: PLR2004
