"""A real Apache Kafka broker from its Maven artifacts, on free loopback ports."""

from __future__ import annotations

import base64
import gc
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.servers import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = "4.3.1"
LOG4J = "2.24.3"
READY_WITHIN = 60.0  # seconds

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>xuqi</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>
<version>{LOG4J}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
<version>{LOG4J}</version></dependency>
</dependencies></project>
"""
_LOG4J = """status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:kafka.logs.dir}/server.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


def jars() -> Path:
    """The folder of the broker's jars; fetched by Maven once, kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "xuqi-tests" / f"kafka-{VERSION}"
    if (folder / "whole").exists():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None or shutil.which("java") is None:
        raise CannotStartError("Kafka needs java and mvn: `make test` installs them")
    work = folder.with_suffix(f".{os.getpid()}")
    work.mkdir(parents=True)
    (work / "pom.xml").write_text(_POM)
    fetched = subprocess.run(
        [mvn, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work}"],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if fetched.returncode != 0:
        raise CannotStartError(f"Maven could not fetch Kafka: {fetched.stdout[-2000:]}")
    (work / "whole").touch()
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Listener:
    """
    One more way to a broker, beside the plain one; ``settings`` are the broker's, for it alone.
    """

    name: str
    protocol: str  #: SSL, SASL_SSL, SASL_PLAINTEXT
    settings: Mapping[str, object]
    port: int = field(default_factory=free_port)

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def properties(self) -> dict[str, object]:
        prefix = f"listener.name.{self.name.lower()}."
        return {prefix + name: value for name, value in self.settings.items()}


@dataclass
class Broker:
    """One node of a cluster; broker and controller in one process."""

    folder: Path
    node: int
    port: int
    controller_port: int
    voters: str
    cluster: str
    replicas: int
    listeners: Sequence[Listener] = ()
    scram: Sequence[str] = ()  #: users: SCRAM-SHA-256=[name=...,password=...]
    settings: Mapping[str, str] = field(default_factory=dict)  #: more of server.properties
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings and format the log's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        (self.folder / "server.properties").write_text(self._properties())
        users = [word for user in self.scram for word in ("--add-scram", user)]
        format_ = ("kafka.tools.StorageTool", "format", *users, "-t", self.cluster, "-c")
        done = self._java(*format_)
        if done.returncode != 0:
            raise CannotStartError(f"the log's folder could not be made: {done.stderr.decode()}")

    def _properties(self) -> str:
        inside = {"CONTROLLER": f"127.0.0.1:{self.controller_port}"}
        outside = {"PLAINTEXT": self.server} | {it.name: it.server for it in self.listeners}
        protocols = dict.fromkeys(("PLAINTEXT", "CONTROLLER"), "PLAINTEXT")
        protocols |= {it.name: it.protocol for it in self.listeners}
        settings = {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": self.voters,
            "listeners": _pairs(inside | outside, "://"),
            "advertised.listeners": _pairs(outside, "://"),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": _pairs(protocols, ":"),
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": self.replicas,
            "transaction.state.log.replication.factor": self.replicas,
            "transaction.state.log.min.isr": max(1, self.replicas - 1),
            "min.insync.replicas": max(1, self.replicas - 1),
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 10_485_760,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "replica.lag.time.max.ms": 3000,
        }
        for one in self.listeners:
            settings |= one.properties()
        settings |= self.settings
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _command(self, *words: str) -> list[str]:
        return [
            "java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile=file:{self.folder / 'log4j2.properties'}",
            f"-Dkafka.logs.dir={self.folder}",
            "-cp", f"{jars()}/*", *words, str(self.folder / "server.properties"),
        ]  # fmt: skip

    def _java(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self._command(*words), capture_output=True, timeout=120, check=False)

    def start(self) -> None:
        output = (self.folder / "output.txt").open("wb")
        self.process = subprocess.Popen(
            self._command("kafka.Kafka"), stdout=output, stderr=subprocess.STDOUT
        )
        output.close()

    def wait_until_ready(self) -> None:
        """
        Return once the broker answers.

        Raises:
            CannotStartError
        """
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)  # a port that is not open yet tells nothing to wait for
            else:
                return
        printed = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
        raise CannotStartError(f"the broker on {self.server} did not start: {printed}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)

    def stop(self) -> None:
        if self.process is not None:
            self.kill(signal.SIGCONT)
            self.kill(signal.SIGKILL)
            self.process.wait(timeout=30)
            self.process = None


def _pairs(values: Mapping[str, str], between: str) -> str:
    return ",".join(f"{name}{between}{value}" for name, value in values.items())


@dataclass
class Cluster:
    brokers: Sequence[Broker]

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(broker.server for broker in self.brokers)

    def start(self) -> None:
        for broker in self.brokers:
            broker.prepare()
        for broker in self.brokers:
            broker.start()
        for broker in self.brokers:
            broker.wait_until_ready()

    def stop(self) -> None:
        for broker in self.brokers:
            broker.stop()
        collect()


def collect() -> None:
    """A client of kafka-python that lost its broker leaves sockets behind that nobody closes."""
    with warnings.catch_warnings(action="ignore"):
        for _ in range(5):  # what holds them is freed in turns
            gc.collect()


def cluster(
    folder: Path,
    *,
    nodes: int = 1,
    listeners: Sequence[Listener] = (),
    scram: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Cluster:
    """
    Settings for a new cluster in that folder; ``start`` makes it run. ``listeners`` are those of
    the only node.
    """
    ports = [(free_port(), free_port()) for _ in range(nodes)]
    voters = ",".join(f"{n}@127.0.0.1:{c}" for n, (_, c) in enumerate(ports, start=1))
    # Not every id: one that begins with "-" would be taken for an option.
    name = base64.urlsafe_b64encode(b"x" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    return Cluster(
        [
            Broker(
                folder=folder / f"node{number}",
                node=number,
                port=port,
                controller_port=controller,
                voters=voters,
                cluster=name,
                replicas=nodes,
                listeners=listeners,
                scram=scram,
                settings=settings or {},
            )
            for number, (port, controller) in enumerate(ports, start=1)
        ]
    )
