"""A copy is put back as it was, and what has happened since is found outside."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from schema.reasons import ReconcileReason
from simulation.servers import postgresql as database_server
from tests.scenario.sample import CARD, open_sample
from xuqi.backup import BackupError, back_up, restore
from xuqi.reconcile import reconcile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.scenario import Scenario


def test_a_copy_made_while_it_is_used_is_restored_whole(world: Scenario, tmp_path: Path) -> None:
    copy, home = tmp_path / "copy", tmp_path / "restored"
    store = world.home / "store.db"
    with world.app.store.transaction():  # somebody writes meanwhile
        made = back_up(world.home, copy, first=store, at=world.clock.now())

    put_back = restore(copy, home)

    assert put_back == made
    with closing(sqlite3.connect(home / "store.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM certificates").fetchone() == (3,)


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_copy_that_is_not_whole_is_not_restored(
    world: Scenario, tmp_path: Path, harm: str
) -> None:
    copy, home = tmp_path / "copy", tmp_path / "restored"
    back_up(world.home, copy, first=None, at=world.clock.now())
    victim = copy / "home" / "store.db"
    if harm == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")

    with pytest.raises(BackupError, match=r"store\.db"):
        restore(copy, home)

    assert not home.exists()


def test_nothing_is_overwritten(world: Scenario, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    back_up(world.home, copy, first=None, at=world.clock.now())

    with pytest.raises(BackupError, match="not empty"):
        restore(copy, world.home)
    with pytest.raises(BackupError, match="new folder"):
        back_up(world.home, copy, first=None, at=world.clock.now())


def test_what_happened_after_an_older_copy_is_found_by_code(
    world: Scenario, tmp_path: Path
) -> None:
    before = list(reconcile(world.app))
    copy = tmp_path / "copy"
    back_up(world.home, copy, first=world.home / "store.db", at=world.clock.now())
    payment = world.paid()
    world.issued()
    now = world.clock.now()
    world.close()
    for name in ("store.db-wal", "store.db-shm"):
        (world.home / name).unlink(missing_ok=True)
    shutil.copy2(copy / "home" / "store.db", world.home / "store.db")

    older = open_sample(world.home, found_at=now)
    found = {(one.code, one.key.partition("/")[0]) for one in reconcile(older.app)}
    older.close()

    assert before == []
    codes = {code for code, _ in found}
    assert (ReconcileReason.BANK_KNOWS_MORE, payment.id) in found
    assert codes == {ReconcileReason.BANK_KNOWS_MORE, ReconcileReason.CA_NO_ROW}


def test_a_fee_that_the_bank_never_took_is_found(world: Scenario) -> None:
    renewal = world.requested(CARD)
    with world.app.store.transaction() as work:
        row = work.renewals.get(renewal.id)
        work.renewals.change(row, fee_state="held")

    found = list(reconcile(world.app))

    assert [(one.code, one.key) for one in found] == [
        (ReconcileReason.BANK_DID_LESS, f"{renewal.id}/hold")
    ]


@pytest.mark.slow
def test_a_dump_of_postgresql_is_restored_as_the_page_says(tmp_path: Path) -> None:
    with (
        database_server.cluster() as server,
        database_server.database(server, "kept") as kept,
        database_server.database(server, "again") as again,
    ):
        made = open_sample(tmp_path / "home", store_url=kept)
        made.close()
        dump = tmp_path / "xuqi.dump"
        _run("pg_dump", "-Fc", "-f", str(dump), "-d", _plain(kept))
        _run("pg_restore", "--no-owner", "-d", _plain(again), str(dump))

        before, after = _certificates(kept), _certificates(again)

    assert before == after
    assert len(before) == 3


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _certificates(url: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            query = sa.text("SELECT id, state, serial FROM certificates ORDER BY id")
            return [tuple(row) for row in connection.execute(query)]
    finally:
        engine.dispose()


def _run(name: str, *arguments: str) -> None:
    found = shutil.which(name) or str(next(database_server.DEBIAN.glob(f"*/bin/{name}")))
    subprocess.run([found, *arguments], check=True)
