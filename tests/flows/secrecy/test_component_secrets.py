"""Gives each component its own secrets and no other, and replaces keys while things go on."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from centre.actions import CodeSent
from renewal.db.encryption import SealBrokenError, cipher_of
from renewal.db.engine import Store
from renewal.errors import XuqiError
from renewal.keys import KEY_NAMES, Keys
from renewal.rules.statements import number_of
from renewal.rules.station_link import EnrolmentRequest
from renewal.sealing import NotForUsError, branch_key, opened, sealed_for_branch
from renewal.secret import Secret
from renewal.store import audit, sealed
from schema.reasons import SettingReason
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, CARD
from tests.xuqi import sample
from xuqi.component_secrets import RIGHTS, check_secrets
from xuqi.key_files import KeyFiles, read_keys
from xuqi.serving.components import COMPONENTS
from xuqi.serving.stations import enrolled_by_code
from xuqi.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.keys import Ring
    from tests.scenario.scenario import Scenario
    from xuqi.bootstrap import App


def files_of(home: Path) -> KeyFiles:
    return KeyFiles(home / "secrets", {})


def only(names: set[str], home: Path) -> Keys:
    files = files_of(home)

    def read(name: str) -> Ring:
        if name not in names:
            raise SettingsError(name, SettingReason.UNKNOWN_SECRET.why(known=""))
        return files.ring(name)

    return Keys(read, lambda name: files.kept(name) if name in names else {})


def alone(world: Scenario, component: str) -> App:
    """The installation as that component has it: its own secrets."""
    keys = only(set(RIGHTS[component]), world.home)
    store = Store(world.app.settings.store, clock=world.clock, cipher=cipher_of(keys))
    return replace(world.app, keys=keys, store=store)


@pytest.fixture
def parted(world: Scenario, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scenario]:
    """Each consumer has a store and keys of its own."""
    groups = [one.group for one in world.app.consumers()]
    houses = {group: alone(world, group) for group in groups}
    runners = [
        app.runner(consumer) for group, app in houses.items() for consumer in app.consumers([group])
    ]

    def drain() -> None:
        while sum(runner.run_once() for runner in runners):
            pass

    monkeypatch.setattr(world, "drain", drain)
    yield world
    for runner in runners:
        runner.reader.close()
    for app in houses.values():
        app.store.close()


def test_each_component_does_its_part_with_its_own_secrets_alone(parted: Scenario) -> None:
    renewal, _ = parted.issued()
    at_branch = parted.requested(CARD)

    parted.at_the_branch(parted.station(CARD))

    assert parted.renewal(renewal.id).state == "issued"
    assert parted.renewal(at_branch.id).state == "done"
    assert parted.dead() == []


def test_what_stations_tell_is_chained_into_the_trail_by_records(parted: Scenario) -> None:
    code = parted.app.back_office.code_for_station("001", who="lin", why="a new station")
    key = base64.b64encode(bytes(32)).decode()
    asked = EnrolmentRequest(branch="001", public_key=key, code=code)
    with_web = alone(parted, "web").store

    enrolled_by_code(with_web, asked, number_of(asked.public))
    parted.drain()
    with_web.close()

    with parted.store.snapshot() as look:
        assert [row["did"] for row in audit.entries(look)][-1] == "enrol station"
    assert parted.dead() == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_that_lacks_a_secret_stops_by_name_and_one_with_more_is_warned(
    component: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_keys(Settings(home=tmp_path))
    files = files_of(tmp_path)
    settings = Settings(
        home=tmp_path, secrets=files.folder, mail_url="smtp://mail?from=a@bank.example"
    )

    spare = check_secrets([component], settings, files)
    for name in spare:
        files.path(name, 1).unlink()

    assert set(spare) == set(KEY_NAMES) - RIGHTS[component].keys()
    assert all(f"{name}.key is given to {component}" in caplog.text for name in spare)
    assert check_secrets([component], settings, files) == []
    for name in RIGHTS[component]:
        files.path(name, 1).unlink()
        with pytest.raises(SettingsError, match=f"{component} has no secret .*{name}.key"):
            check_secrets([component], settings, files)
        files.make(name)


def rotated(world: Scenario, name: str) -> None:
    files = files_of(world.home)
    files.make(name, max(files.numbers(name)) + 1)


def fresh(world: Scenario) -> Store:
    keys = read_keys(world.app.settings, {})
    return Store(world.app.settings.store, clock=world.clock, cipher=cipher_of(keys))


def test_while_the_column_key_is_replaced_old_and_new_values_are_read(world: Scenario) -> None:
    rotated(world, "columns")
    with fresh(world).transaction() as work:
        first = sealed.SEALED_COLUMNS[0]
        _, count = sealed.reseal(work, first, None)

    with fresh(world).snapshot() as look:
        numbers = sealed.by_key_number(look)
        wrong = list(sealed.misplaced(look))

    assert numbers[2, True] == count > 0
    assert sum(numbers.values()) > count
    assert wrong == []


def test_a_value_of_an_older_version_opens_until_its_key_is_replaced_and_never_then(
    world: Scenario,
) -> None:
    cipher = world.app.store.cipher
    old = cipher.seal("0912345678", "customers.mobile")
    assert cipher.open_text(old, "customers.mobile", 1) == "0912345678"

    rotated(world, "columns")
    later = cipher_of(read_keys(world.app.settings, {}))
    unbound = later.seal("0912345678", "customers.mobile")

    with pytest.raises(SealBrokenError, match="bound to no row"):
        later.open(unbound, "customers.mobile", 1)


def test_a_value_of_another_row_does_not_open(world: Scenario) -> None:
    cipher = world.app.store.cipher
    theirs = cipher.seal("0912345678", "customers.mobile", 2)

    with pytest.raises(SealBrokenError, match="in this row"):
        cipher.open(theirs, "customers.mobile", 1)


def test_a_code_that_is_under_way_is_right_under_the_pepper_of_before(world: Scenario) -> None:
    sent, digits = world.code()
    rotated(world, "pepper")
    later = replace(world.app, keys=read_keys(world.app.settings, {}))

    answer = later.centre.enter_code(
        sent.challenge, digits, session=SESSION, action="renew", certificate=BROWSER
    )

    assert answer.result == "right"


def test_a_code_that_was_asked_for_under_the_key_of_before_is_sent(world: Scenario) -> None:
    asked = world.centre.send_code(BROWSER, action="renew", session=SESSION)
    assert isinstance(asked, CodeSent)
    rotated(world, "codes")
    world.app = replace(world.app, keys=read_keys(world.app.settings, {}))

    world.drain()

    assert len(world.texted()) == 1


def test_a_code_of_the_new_keys_is_sent_and_right_where_the_old_ones_were_read_last(
    world: Scenario,
) -> None:
    for name in ("codes", "pepper"):
        world.app.keys.ring(name)
        rotated(world, name)
    newer = replace(world.app, keys=read_keys(world.app.settings, {}))

    sent = newer.centre.send_code(BROWSER, action="renew", session=SESSION)
    world.drain()

    assert isinstance(sent, CodeSent)
    [digits] = world.texted()
    answer = world.app.centre.enter_code(
        sent.challenge, digits, session=SESSION, action="renew", certificate=BROWSER
    )
    assert answer.result == "right"


def test_the_audit_trail_goes_on_under_a_new_key_and_never_back(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        audit.write(work, who="T", did="first", object_="o", why="w")
    rotated(world, "audit")
    later = fresh(world)
    with later.transaction() as work:
        audit.write(work, who="T", did="second", object_="o", why="w")

    with later.snapshot() as look:
        assert audit.broken_links(look) == []
    files_of(world.home).path("audit", 2).unlink()
    with (
        pytest.raises(XuqiError, match=r"audit\.key number 2 is missing"),
        fresh(world).transaction() as work,
    ):
        audit.write(work, who="T", did="third", object_="o", why="w")


def test_by_command_the_column_key_is_replaced_and_the_old_one_put_away(tmp_path: Path) -> None:
    with sample.opened(tmp_path / "bank") as bank:
        bank.browser()
        before = bank.run("audit", "verify")
        would = bank.run("--lang", "en", "keys", "rotate", "columns", "--dry-run")
        too_early = bank.run("keys", "retire", "columns", "1")
        done = bank.run("keys", "rotate", "columns")
        new = bank.home / "secrets" / "columns.2.key"
        os.utime(new, (0, 0))
        retired = bank.run("keys", "retire", "columns", "1")
        after = [bank.run(*words) for words in (["check"], ["audit", "verify"])]
        found = bank.listed("certificates", "list")

        assert "number 2, and" in would.output
        assert (before.exit_code, too_early.exit_code, done.exit_code) == (0, 1, 0)
        assert retired.exit_code == 0, retired.output
        assert not (bank.home / "secrets" / "columns.key").exists()
        assert [one.exit_code for one in after] == [0, 0], [one.output for one in after]
        assert len(found) == 1
        assert [
            row["numbers"] for row in bank.listed("keys", "list") if row["name"] == "columns"
        ] == [[2]]


def test_while_the_stations_key_is_replaced_old_and_new_files_open_what_is_sealed() -> None:
    old, new = Secret(b"1" * 32), Secret(b"2" * 32)

    sealed_twice = sealed_for_branch((old, new), "001", b"der", "R1")

    for key in (old, new):
        assert opened(branch_key(key, "001"), sealed_twice, "R1") == b"der"
    with pytest.raises(NotForUsError):
        opened(branch_key(Secret(b"3" * 32), "001"), sealed_twice, "R1")
    with pytest.raises(NotForUsError):
        opened(branch_key(old, "002"), sealed_twice, "R1")
