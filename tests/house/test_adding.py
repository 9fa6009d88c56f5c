"""Shows that CONTRIBUTING.md names every place that an addition touches."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.sources import PACKAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
HEADING = r"^### (?P<what>.+) \((?P<count>\d+) places?\)\n"
SECTION = re.compile(HEADING + r"(?P<body>(?:(?!^##).*\n?)*)", re.MULTILINE)
SECTIONS = {match["what"]: match for match in SECTION.finditer(GUIDE)}
GREETING = '''"""Greets."""

from typing import Any, ClassVar

from renewal.outcome import Done
from schema.events import Event, RenewalDone, Topic


class Greeting:
    group: ClassVar[str] = "greeting"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (RenewalDone,)

    @classmethod
    def of(cls, _: object) -> "Greeting":
        return cls()

    def preload(self, events: Any, work: Any) -> None: ...

    def prepare(self, event: Any, work: Any, *, outcome_unknown: bool) -> Done:
        return Done()
'''


def places(body: str) -> list[str]:
    return re.findall(r"^\d+\. (.*)$", body, re.MULTILINE)


@pytest.mark.parametrize("what", SECTIONS)
def test_a_section_counts_its_places_and_names_only_what_there_is(what: str) -> None:
    section = SECTIONS[what]
    listed = places(section["body"])

    assert len(listed) == int(section["count"])
    for place in listed:
        paths = re.findall(r"`([a-z_-]+[./][^`( ]*)`", place.partition(":")[0])
        assert paths, place
        for path in paths:
            assert list(ROOT.glob(re.sub(r"<[^>]+>", "*", path.rstrip("/")))), path


def test_the_guide_speaks_of_everything_that_is_often_added() -> None:
    often = ["product policy", "message", "event", "consumer", "gateway", "page", "table", "test"]

    assert [what.split(" ", 1)[1] for what in SECTIONS] == often


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of the product, to add something to."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "static")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def said(scratch: Path, code: str) -> str:
    """What the product in that folder prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def add_line(file: Path, after: str, line: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(after) == 1
    file.write_text(text.replace(after, f"{after}\n{line}"), encoding="utf-8")


def test_a_policy_is_one_file(scratch: Path) -> None:
    folder = scratch / "schema" / "policies"
    sample = (folder / "securities-browser.toml").read_text(encoding="utf-8")
    (folder / "gold-card.toml").write_text(
        sample.replace('"securities-browser"', '"gold-card"'), encoding="utf-8"
    )

    known = said(scratch, "from schema.policy import load_policies; print(*load_policies())")

    assert "gold-card" in known.split()


def test_a_consumer_is_its_module_and_its_line(scratch: Path) -> None:
    (scratch / "consumers" / "greeting.py").write_text(GREETING, encoding="utf-8")
    add_line(
        scratch / "consumers" / "registry.py",
        '    "notices": "consumers.notices:Notices",',
        '    "greeting": "consumers.greeting:Greeting",',
    )

    made = said(
        scratch,
        "from consumers.registry import make_consumers\n"
        "from xuqi.serving.components import selected_components\n"
        "print(make_consumers(object(), selected_components('greeting'))[0].group)",
    )

    assert made == "greeting"


def test_a_gateway_is_its_module_and_its_line(scratch: Path) -> None:
    adapter = scratch / "renewal" / "gateways" / "bank" / "pigeon.py"
    adapter.write_text("def from_url(url, around):\n    return url.netloc\n", encoding="utf-8")
    add_line(
        scratch / "renewal" / "gateways" / "registry.py",
        '        "embedded": "renewal.gateways.bank.embedded.adapter",',
        '        "pigeon": "renewal.gateways.bank.pigeon",',
    )

    opened = said(
        scratch,
        "from renewal.gateways.registry import open_gateway\n"
        "print(open_gateway('bank', 'pigeon://coop', None))",
    )

    assert opened == "coop"


def test_a_repository_is_a_table_and_its_row(scratch: Path) -> None:
    found = said(
        scratch,
        "import sqlalchemy as sa\n"
        "from datetime import UTC, datetime\n"
        "from typing import ClassVar\n"
        "from schema.tables import metadata\n"
        "pets = sa.Table('pets', metadata, sa.Column('id', sa.Integer, primary_key=True),\n"
        "    sa.Column('version', sa.Integer))\n"
        "from renewal.db.rows import Row\n"
        "from renewal.db.unit_of_work import UnitOfWork\n"
        "class Pet(Row, frozen=True):\n"
        "    table: ClassVar[sa.Table] = pets\n"
        "    id: int\n"
        "    version: int = 1\n"
        "engine = sa.create_engine('sqlite://')\n"
        "with engine.begin() as connection:\n"
        "    pets.create(connection)\n"
        "    at = datetime.now(UTC)\n"
        "    work = UnitOfWork(connection, None, at, 'me', writes=True)\n"
        "    work.rows_of(Pet).put(Pet(id=7))\n"
        "    work.flush()\n"
        "    print(connection.scalar(sa.select(pets.c.id)))\n",
    )

    assert found == "7"
