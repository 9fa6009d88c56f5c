"""
Makes `home-0.1.*.tar.gz`, an installation as version 0.1 (commit 7c4801f) left it with work in
flight, and `surface-0.1.json`, the commands, options and settings of that version.

It runs in a checkout of that version: every import below is of that version and never renamed.

    git worktree add /tmp/xuqi-0.1 7c4801f
    cd /tmp/xuqi-0.1
    PYTHONPATH=. python .../tests/upgrades/make_home_of_0_1.py .../tests/upgrades
"""

# mypy: ignore-errors
# ruff: noqa: T201, ANN001, ANN201, I001 - it runs on the code of another version

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from renewal.keys import Keys
from renewal.gateways.sms.mailbox import AnswerLost, Unavailable
from scheduler import jobs
from tests.flows import world as worlds
from tests.flows.world import (
    BROWSER,
    CARD,
    SESSION,
    TERMS,
    TOKEN,
    Weather,
    account_of,
    mobile_of,
    open_world,
)
from token_station.manners import C
from xuqi.command import xuqi
from xuqi.demo.client import BrowserKey
from xuqi.demo.servers.postgresql import cluster, database
from xuqi.settings import Settings

#: What each certificate is in the middle of when the old version stops.
ISSUED, PAYMENT_PENDING, TOKEN_JOB = BROWSER, TOKEN, CARD
CODE_OPEN, PROVEN, TEXT_PENDING, TEXT_UNSURE, DEAD_LETTER, ISSUE_UNSURE = 4, 5, 6, 7, 8, 9
FURTHER = (CODE_OPEN, PROVEN, TEXT_PENDING, TEXT_UNSURE, ISSUE_UNSURE)


def peopled() -> None:
    """Before the world is opened: who is in it."""
    for number in FURTHER:
        worlds.PRODUCTS[number] = worlds.PRODUCTS[BROWSER]
        worlds.OPERATORS[number] = worlds.OPERATORS[BROWSER]
    worlds.PRODUCTS[DEAD_LETTER] = worlds.PRODUCTS[CARD]
    worlds.OPERATORS[DEAD_LETTER] = worlds.OPERATORS[CARD]
    worlds.TOKEN_SERIALS[DEAD_LETTER] = "029dc2d8"
    worlds.MANNERS[DEAD_LETTER] = C


def joined(world, number: int) -> None:
    """One more customer with a certificate in the browser."""
    world.old_keys[number] = key = BrowserKey.new()
    der = worlds._seeded(world, number, key.spki)
    with world.app.store.work() as work:
        work.customers.put(worlds.customer(world, number))
        work.enrolments.put(worlds.enrolment(world, number))
        later = timedelta(
            minutes=5 if number == TEXT_UNSURE else 0
        )  # so that it is not settled yet
        certificate = worlds.certificate(world, number, der)
        work.certificates.put(
            msgspec.structs.replace(certificate, remind_at=certificate.remind_at + later)
        )


def confirmed(world, number: int, keys: dict[int, BrowserKey]) -> str:
    """A renewal of a browser's certificate, confirmed by its code; delivered no further."""
    keys[number] = BrowserKey.new()
    renewal = world.requested(number)
    sent, code = world.code(certificate=number)
    answer = world.centre.confirm(
        renewal.id,
        challenge=sent.challenge,
        code=code,
        session=SESSION,
        csr=keys[number].request(),
        terms=TERMS,
    )
    assert answer.said == "right", answer
    return renewal.id


def sms_weather(sms):
    if sms.to == mobile_of(TEXT_PENDING):
        return Unavailable()
    return AnswerLost() if sms.to == mobile_of(TEXT_UNSURE) else None


def settled(world) -> None:
    """On PostgreSQL what was told to wait a moment gets its turn."""
    for _ in range(4):
        world.drain()
        world.wait(seconds=20)


def lived(world) -> dict[int, BrowserKey]:
    """Everything that happened while version 0.1 ran."""
    keys: dict[int, BrowserKey] = {}
    weather = world.weather
    weather.sms = sms_weather
    jobs.scan(world.app.store, world.app.policies)
    jobs.remind(world.app.store, world.app.policies)
    world.drain()

    weather.bank = lambda _booking: "unavailable"
    world.centre.pay(PAYMENT_PENDING)
    world.drain()

    weather.forged = lambda _request, _der: b"no certificate"
    weather.bank = lambda booking: "unavailable" if booking.account == account_of(TOKEN) else None
    world.requested(DEAD_LETTER)
    settled(world)
    station = world.station(DEAD_LETTER)
    world.at_the_branch(station, rounds=2)
    settled(world)
    weather.forged = lambda _request, der: der
    assert [consumer for consumer, _ in world.dead()] == ["issuance"], world.dead()

    weather.ca = lambda op, _request: "unavailable" if op == "revoke" else None
    proven = confirmed(world, PROVEN, keys)
    settled(world)
    der = world.centre.collect(proven)
    assert der is not None
    challenge = world.renewal(proven).challenge
    world.centre.prove(proven, keys[PROVEN].sign(challenge))
    settled(world)

    confirmed(world, ISSUED, keys)
    settled(world)
    weather.ca = lambda op, _request: "lost" if op == "issue" else "unavailable"
    world.requested(TOKEN_JOB)
    settled(world)
    confirmed(world, ISSUE_UNSURE, keys)
    jobs.remind(world.app.store, world.app.policies)
    world.drain()

    world.requested(CODE_OPEN)
    world.code(certificate=CODE_OPEN)
    keys[CODE_OPEN] = BrowserKey.new()
    return keys


def written_down(world, home: Path, keys: dict[int, BrowserKey]) -> None:
    """What the customers have at home, and the moment at which the old version stopped."""
    folder = home / "customers"
    folder.mkdir()
    named = {f"{number}-old": key for number, key in world.old_keys.items()}
    for name, key in {**named, **keys}.items():
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.pem").write_bytes(pem)
    states = dict(world.rows("SELECT id, state FROM renewals ORDER BY id"))
    (home / "stopped.json").write_text(
        json.dumps({"at": world.clock.now().isoformat(), "renewals": states}, indent=1)
    )
    print(json.dumps(states))
    for table in ("messages", "payments", "dead_letters", "parked", "inbox", "challenges"):
        print(table, world.rows(f"SELECT count(*) FROM {table}"))  # noqa: S608
    print(world.rows("SELECT state, count(*) FROM messages GROUP BY state"))
    print(world.rows("SELECT state FROM payments"))


def made(home: Path, store_url: str = "") -> None:
    world = open_world(home, weather=Weather(), store_url=store_url)
    for number in FURTHER:
        joined(world, number)
    if store_url:  # the numbers that were given by hand are used up
        with world.app.store.engine.begin() as connection:
            used = "SELECT setval(pg_get_serial_sequence('certificates', 'id'), 9)"
            connection.exec_driver_sql(used)
    keys = lived(world)
    written_down(world, home, keys)
    world.close()


def packed(home: Path, archive: Path) -> None:
    for database_file in home.rglob("*.db"):
        with sqlite3.connect(database_file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")
        connection.close()
    policies = home / "policies"
    policies.mkdir()
    for policy in Path("schema/policies").glob("*.toml"):
        shutil.copy(policy, policies)
    with tarfile.open(archive, "w:gz", compresslevel=9) as tar:
        tar.add(home, arcname="home")


def dumped(url: str, target: Path) -> None:
    """Plain INSERTs, without what only psql or another version of the server understands."""
    folder = sa.make_url(url).query["host"]
    name = sa.make_url(url).database
    command = ["pg_dump", "-U", "xuqi", "-h", folder, "--inserts", "-O", "-x", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = (line for line in text.splitlines() if not line.startswith(("\\", "SET ", "--")))
    target.write_text("\n".join(line for line in lines if line) + "\n")


def options_of(command: click.Command, context: click.Context) -> dict[str, list[str]]:
    """Each command by its words, with its options and arguments."""
    if not isinstance(command, click.Group):
        names = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
        return {context.command_path: sorted(names)}
    found = {}
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        found |= options_of(below, click.Context(below, info_name=name, parent=context))
    return found


def surface() -> dict[str, object]:
    """What somebody may have written in a script or a unit file."""
    settings = [f"XUQI_{field.name.upper()}" for field in fields(Settings)]
    secrets = [f"XUQI_SECRET_{field.name.upper()}" for field in fields(Keys)]
    commands = options_of(xuqi, click.Context(xuqi, info_name="xuqi"))
    return {"settings": settings, "secrets": secrets, "commands": commands}


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    (target / "surface-0.1.json").write_text(json.dumps(surface(), indent=1) + "\n")
    peopled()
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder) / "home")
        packed(Path(folder) / "home", target / "home-0.1.sqlite.tar.gz")
    with tempfile.TemporaryDirectory() as folder, cluster() as server:
        home = Path(folder) / "home"
        with database(server, "xuqi") as url:
            made(home, url)
            dumped(url, home / "store.sql")
        packed(home, target / "home-0.1.postgresql.tar.gz")


if __name__ == "__main__":
    main()
