"""What the broker says that its consumers have not dealt with."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from renewal.eventlog.kafka import Backlog, Connection
from renewal.eventlog.port import LogUnavailableError
from simulation.servers.kafka import free_port
from tests.flows.kafka.rig import ON_KAFKA, SOON, Rig, took, until
from tests.renewal.delivery.scripted import asked
from tests.xuqi import sample
from xuqi.cli.commands.status import command
from xuqi.cli.context import CliContext

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = ON_KAFKA
TOPICS = {"certificates"}


def behind(backlog: Backlog, group: str) -> int | None:
    """None as long as the broker has nobody who keeps the groups' books."""
    try:
        return backlog.of({group: TOPICS})[group]
    except LogUnavailableError:
        return None


def test_it_counts_what_is_polled_until_it_is_committed(rig: Rig) -> None:
    rig.tell(*(asked(key) for key in range(10)))
    rig.relayed()
    reader = rig.reader("late", sorted(TOPICS))

    with closing(Backlog(rig.connection)) as backlog:
        until(lambda: behind(backlog, "late") == 10)
        records: list[Any] = []
        until(lambda: len(records) == 10, lambda: records.extend(reader.poll(500, SOON)))
        polled = behind(backlog, "late")
        until(lambda: behind(backlog, "late") == 0, lambda: took(reader))

        assert polled == 10
        assert behind(backlog, "never") == 10


def test_it_counts_nothing_that_was_deleted_after_its_time(rig: Rig) -> None:
    from kafka import KafkaAdminClient, TopicPartition  # noqa: PLC0415 - slow to import

    rig.tell(*(asked(key) for key in range(10)))
    rig.relayed()

    with closing(Backlog(rig.connection)) as backlog:
        until(lambda: behind(backlog, "nobody") == 10)
        admin = KafkaAdminClient(**rig.connection.settings)
        topic = f"{rig.connection.prefix}certificates"
        admin.delete_records({TopicPartition(topic, number): -1 for number in range(12)})
        admin.close()

        assert behind(backlog, "nobody") == 0


@pytest.mark.usefixtures("kafka")  # at its end, what a lost broker leaves behind is collected
def test_a_broker_that_is_away_is_an_error() -> None:
    away = Connection(servers=(f"127.0.0.1:{free_port()}",))
    with closing(Backlog(away)) as backlog, pytest.raises(LogUnavailableError, match="Kafka"):
        backlog.of({"any": TOPICS})


@pytest.mark.usefixtures("kafka")
def test_status_says_so_and_tells_the_rest(tmp_path: Path) -> None:
    from click.testing import CliRunner  # noqa: PLC0415 - as the other commands are run

    with sample.opened(tmp_path):
        pass
    away = f"127.0.0.1:{free_port()}"
    environment = {"XUQI_LOG_URL": f"kafka://{away}"}
    context = CliContext(home=tmp_path, environment=environment)

    said = CliRunner().invoke(command, ["--json"], obj=context)

    assert said.exit_code == 0
    assert f"沒有回應：{away} (XUQI_LOG_URL)" in said.stderr
    assert '"behind": null' in said.stdout
