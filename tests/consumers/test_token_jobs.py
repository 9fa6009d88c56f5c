"""Lays jobs on the log that the centre has not given, and looks at what a branch is given."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from renewal.rules.station_link import centre_key, check_job, public_of, signed_job
from renewal.rules.token_keys import key_of_token
from renewal.sealing import NotForUsError, branch_key, opened, write_key_of
from schema.codec import decode
from schema.events import TokenDeclined, TokenJobRequested, TokenJobRequestedV2
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN_SERIALS
from xuqi.remote_station import station_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scenario.scenario import Scenario


def jobs_on_log(world: Scenario) -> list[TokenJobRequested]:
    reader = world.app.log.reader("onlooker", [f"stations.{BRANCH}"])
    events = [decode(record.body) for record in reader.poll(100, timedelta(0))]
    reader.close()
    return [event for event in events if isinstance(event, TokenJobRequested)]


def given_job(world: Scenario) -> TokenJobRequested:
    world.requested(CARD)
    world.drain()
    [job] = jobs_on_log(world)
    return job


def test_a_job_is_signed_and_has_the_key_of_its_token_for_its_branch_alone(
    world: Scenario,
) -> None:
    job = given_job(world)

    keys = world.app.keys
    check_job(job, public_of(centre_key(keys.stations)))
    bound = write_key_of(job.renewal)
    own = opened(branch_key(keys.stations, BRANCH), job.write_key, bound)
    assert own == key_of_token(keys.tokens.value, TOKEN_SERIALS[CARD])
    assert own != keys.tokens.value
    with pytest.raises(NotForUsError):
        opened(branch_key(keys.stations, "another"), job.write_key, bound)
    with pytest.raises(NotForUsError):
        opened(branch_key(keys.stations, BRANCH), job.write_key, job.renewal)


def test_a_renewal_in_the_browser_is_no_job_for_a_station(world: Scenario) -> None:
    world.requested(BROWSER)
    world.drain()

    assert jobs_on_log(world) == []


FORGED: dict[str, Callable[[TokenJobRequested], TokenJobRequested]] = {
    "unsigned": lambda job: msgspec.structs.replace(job, centre_signature=""),
    "by another key": lambda job: signed_job(job, [Ed25519PrivateKey.generate()]),
    "garbage": lambda job: msgspec.structs.replace(job, centre_signature="x,*,=="),
    "changed": lambda job: msgspec.structs.replace(job, keep_sha256=()),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_false_job_is_a_dead_letter_and_an_alarm_and_is_not_begun(
    world: Scenario, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = given_job(world)
    station = world.station(CARD)
    station.take()
    false = msgspec.structs.replace(job, renewal="R00000099-01")

    world.app.log.append([FORGED[how](false)])
    station.take()
    world.drain()

    assert station.journal.job("R00000099-01") is None
    assert [consumer for consumer, _ in world.dead()] == ["records"]
    assert "a false job for a station" in caplog.text
    assert world.renewal(job.renewal).state == "requested"


def test_a_false_job_for_a_renewal_that_waits_does_not_stand_before_the_true_one(
    world: Scenario,
) -> None:
    renewal = world.requested(CARD)
    world.drain()
    [true] = jobs_on_log(world)
    station = world.station(CARD)
    station.incoming.close()
    station.incoming = world.app.log.reader("late", [f"stations.{BRANCH}"])

    false = msgspec.structs.replace(true, keep_sha256=(), centre_signature="eA==")
    station._note_job(false)
    world.at_the_branch(station)

    assert world.renewal(renewal.id).state == "done"
    assert [consumer for consumer, _ in world.dead()] == ["records"]


def test_a_job_of_the_version_before_is_given_again_signed(world: Scenario) -> None:
    job = given_job(world)
    station = world.station(CARD)
    fields = {name: getattr(job, name) for name in TokenJobRequestedV2.__struct_fields__}

    station._note_job(TokenJobRequestedV2(**fields))
    world.drain()

    assert world.dead() == []
    assert [one.renewal for one in jobs_on_log(world)] == [job.renewal, job.renewal]


def test_what_nobody_waits_for_is_given_by_nobody(world: Scenario) -> None:
    job = given_job(world)
    station = world.station(CARD)
    station.publish(TokenDeclined(renewal=job.renewal, token_serial=job.token_serial, why="left"),
                    at=world.clock.now())  # fmt: skip
    world.drain()
    fields = {name: getattr(job, name) for name in TokenJobRequestedV2.__struct_fields__}

    world.app.log.append([TokenJobRequestedV2(**fields)])
    station._note_job(TokenJobRequestedV2(**fields))
    world.drain()

    assert [consumer for consumer, _ in world.dead()] == ["records"]


def test_a_branchs_file_has_neither_the_common_key_nor_one_of_the_centre(world: Scenario) -> None:
    keys = world.app.keys
    text = station_file(keys, BRANCH, "https://pki.bank.example", readers="pcsc")

    told = tomllib.loads(text)
    secrets = {
        form
        for name in ("columns", "codes", "pepper", "stations", "tokens", "ca", "mail")
        for form in (keys.newest(name).value.hex(), keys.newest(name).value.decode("latin-1"))
    }
    assert "tokens_key" not in told
    assert not any(secret in text for secret in secrets)
    with_it = station_file(keys, BRANCH, "https://x.example", readers="pcsc", common_key=True)
    assert tomllib.loads(with_it)["tokens_key"] == keys.tokens.value.hex()


def test_a_station_without_the_common_key_renews_a_token_that_has_its_own(world: Scenario) -> None:
    from tests.token_station.test_token_keys import session_of  # noqa: PLC0415 - used here alone

    card = world.cards[CARD]
    session_of(world, card).take_over()
    card.power_off()
    renewal = world.requested(CARD)
    station = world.station(CARD)
    station.management_key = None

    world.at_the_branch(station)

    assert world.renewal(renewal.id).state == "done"


def test_a_token_of_the_common_key_waits_at_a_station_without_it(world: Scenario) -> None:
    renewal = world.requested(CARD)
    world.drain()
    station = world.station(CARD)
    station.management_key = None

    station.take()
    [seen] = station.work()
    world.drain()

    assert seen.detail == "token_without_write_key"
    assert world.renewal(renewal.id).state == "requested"
