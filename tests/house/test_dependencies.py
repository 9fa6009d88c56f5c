"""Shows that what we depend on is pinned, checked and out of our own names' way."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest

from tests.house.sources import PACKAGES, ROOT

OUR_NAMES = {*PACKAGES, "tests", "bench"}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(r"(?P<name>[a-z0-9.-]+)(\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)( ;.*)?")


def pins(lock: Path) -> Iterator[re.Match[str] | None]:
    """Each entry's first line, parted; None for an entry that is not an exact version."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            yield PINNED.fullmatch(line.removesuffix(" \\"))


def wanted(requirements: Path) -> Iterator[str]:
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            yield from wanted(requirements.with_name(line.removeprefix("-r ")))
        elif line and not line.startswith("#"):
            yield re.split(r"[\[~=<>! ]", line)[0]


def brought_by(distribution: metadata.Distribution) -> Iterator[str]:
    """The modules and packages that a distribution puts at the top."""
    for file in distribution.files or []:
        if file.suffix == ".py":
            yield PurePosixPath(file).parts[0].removesuffix(".py")


def test_no_dependency_brings_a_module_of_one_of_our_names() -> None:
    # The index has a `schema`; and a `tests` in site-packages would hide our folder of tests.
    others = [found for found in metadata.distributions() if found.name != "xuqi"]

    brought = {(found.name, name) for found in others for name in brought_by(found)}

    assert "pytest" in {name for _, name in brought}
    assert {(found, name) for found, name in brought if name in OUR_NAMES} == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_names_exact_versions_with_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    entries = re.split(r"\n(?=\S)", text.strip())

    assert "://" not in text
    assert all(pins(lock))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_has_every_requirement_it_was_made_from(lock: Path) -> None:
    names = set(wanted(lock.with_suffix(".in")))

    pinned = {pin["name"] for pin in pins(lock) if pin}

    assert names
    assert names <= pinned


def test_no_two_lock_files_pin_one_package_differently() -> None:
    versions: dict[str, set[str]] = {}

    for pin in (pin for lock in LOCKS for pin in pins(lock) if pin):
        versions.setdefault(pin["name"], set()).add(pin["version"])

    assert {name: several for name, several in versions.items() if len(several) > 1} == {}
