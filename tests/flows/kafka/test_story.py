"""The whole story of a small house, from the outbox through the broker to the consumers."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.flows.kafka.rig import ON_KAFKA, SOON, lag, until
from tests.flows.secrecy.test_canary import forms, personal
from tests.scenario.book import lines
from tests.scenario.sample import BROWSER, CARD, TOKEN, open_sample
from xuqi.check import counts
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.event_log import open_relays

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.delivery import ConsumerRunner
    from renewal.eventlog.kafka import Connection
    from tests.scenario.scenario import Scenario

pytestmark = ON_KAFKA


class OnKafka:
    """Delivers a world's events by its relays and the broker."""

    def __init__(self, world: Scenario) -> None:
        self.app = app = world.app
        self.relays = open_relays(app.settings, app.store, app.log)
        self.deliveries: list[ConsumerRunner] = [app.runner(one) for one in app.consumers()]

    def drain(self) -> None:
        until(self._is_quiet, self._turn)

    def close(self) -> None:
        for delivery in self.deliveries:
            delivery.reader.close()
        for relay in self.relays:
            relay.log.close()  # type: ignore[attr-defined]  # an outlet
        self.app.log.close()  # type: ignore[attr-defined]

    def _turn(self) -> None:
        for relay in self.relays:
            while relay.run_once():
                pass
        for delivery in self.deliveries:
            if lag(delivery.reader) != 0:  # type: ignore[arg-type]
                delivery.run_once(SOON)

    def _is_quiet(self) -> bool:
        return not any(relay.run_once() for relay in self.relays) and all(
            lag(delivery.reader) == 0  # type: ignore[arg-type]
            for delivery in self.deliveries
        )


def tell(world: Scenario) -> dict[str, object]:
    """Renew a browser's certificate, a token's and a card's; tell what became of all."""
    renewal, key = world.issued()
    world.centre.collect(renewal.id)
    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()
    world.paid()
    world.requested(TOKEN)
    world.requested(CARD)
    station = world.station(TOKEN, CARD)
    world.at_the_branch(station, rounds=5)
    station.incoming.close()
    return {
        "renewals": sorted(world.rows("SELECT id, state, fee_state, old_state FROM renewals")),
        "certificates": sorted(world.rows("SELECT id, state FROM certificates")),
        # What a station tells goes to the log directly. The identity of a job for a token ends in
        # the hash of a seal, which is never the same again.
        "told": sorted(
            ":".join(identity.split(":")[:2])
            for (identity,) in world.rows("SELECT identity FROM events WHERE topic <> 'tokens'")
        ),
        "inbox": sorted(
            (consumer, ":".join(identity.split(":")[:2]), state)
            for consumer, identity, state in world.rows(
                "SELECT consumer, identity, state FROM inbox"
            )
        ),
        "dead letters": world.dead(),
        "bank": sorted(world.booked()),
        "ca": Counter((line["op"], line["request_id"]) for line in world.outside("ca")),
        "sms": Counter(line["to"] for line in world.outside("sms")),
        "mail": Counter(line["subject"] for line in world.outside("mail")),
    }


@pytest.fixture
def on_kafka(
    request: pytest.FixtureRequest, kafka: Connection, tmp_path: Path
) -> Iterator[Scenario]:
    """On SQLite, unless the test names another database."""
    url = f"kafka://{kafka.servers[0]}?prefix={kafka.prefix}"
    other = getattr(request, "param", "")
    store_url = request.getfixturevalue(other) if other else ""
    world = open_sample(tmp_path / "kafka", log_url=url, store_url=store_url)
    kafka_ = OnKafka(world)
    world.drain = kafka_.drain  # type: ignore[method-assign]
    yield world
    kafka_.close()
    world.close()


@pytest.mark.parametrize(
    "on_kafka",
    [
        pytest.param("", id="sqlite"),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
    indirect=True,
)
def test_the_story_ends_on_kafka_as_it_does_on_the_embedded_log(
    on_kafka: Scenario, tmp_path: Path
) -> None:
    embedded = open_sample(tmp_path / "embedded")

    told = tell(on_kafka)
    expected = tell(embedded)

    assert told == expected
    assert [state for _, state, _, _ in told["renewals"]] == ["done"] * 3  # type: ignore[attr-defined]
    assert set(counts(on_kafka.app).values()) == {0}
    assert on_kafka.certificate(BROWSER).state == "revoked"
    embedded.close()


def test_one_trace_goes_from_the_bank_through_the_broker_to_the_branch_and_back(
    on_kafka: Scenario, book: io.StringIO
) -> None:
    on_kafka.paid()
    renewal = on_kafka.requested(TOKEN)
    station = on_kafka.station(TOKEN)
    on_kafka.at_the_branch(station, rounds=5)
    station.incoming.close()
    context = CliContext(home=on_kafka.home, environment={"LANG": "en"})

    shown = CliRunner().invoke(xuqi, ["why", str(TOKEN)], obj=context)
    told = json.loads(CliRunner().invoke(xuqi, ["why", str(TOKEN), "--json"], obj=context).stdout)

    (trace,) = told["traces"].values()
    mine = [it for it in lines(book) if it.get("trace_id") == trace]
    assert told["traces"].keys() == {renewal.id}
    assert f"trace {trace}" in shown.stdout
    assert {it["consumer"] for it in mine if "consumer" in it} >= {"billing", "issuance", "records"}
    assert [it["step"] for it in mine if it["message"] == "token job"][-1] == "done"
    written = book.getvalue().encode()
    assert {
        what for what, it in personal().items() for form in forms(it) if form in written
    } == set()
