"""Mutants of the design: each is caught, so that the kill tests and the judge cannot go blind."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.conftest import SOURCES, wrong_with
from tests.crash.forks import Bank

if TYPE_CHECKING:
    from tests.crash.conftest import Banks

PATCHES = sorted(Path(__file__).with_name("mutants").glob("*.patch"))
PACKAGES = (
    "schema", "templates", "renewal", "scheduler", "producers", "consumers", "token_station",
    "web", "centre", "back_office", "xuqi", "simulation", "tests/crash", "tests/scenario",
)  # fmt: skip


def head_of(patch: Path, name: str) -> str | None:
    """A line before the patch itself: where to kill, and what must be seen then."""
    found = re.search(rf"^{name}: (.+)$", patch.read_text().partition("\n--- ")[0], re.MULTILINE)
    return found[1] if found else None


def mutated(patch: Path, folder: Path) -> Path:
    """
    A copy of the sources with the patch; one that no longer fits must be written anew.

    What is compiled is copied too, except of what the patch touches.
    """
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("mutants", "test_*")
        shutil.copytree(SOURCES / package, folder / package, ignore=ignored)
    for name in re.findall(r"^\+\+\+ b/(\S+)$", patch.read_text(), re.MULTILINE):
        Path(cache_from_source(str(folder / name))).unlink(missing_ok=True)
    told = subprocess.run(
        ["git", "apply", "-C1", "--recount", "-p1", str(patch)],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, f"{patch.name} does not fit the sources any more:\n{told.stderr}"
    return folder


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.stem for patch in PATCHES])
def test_a_mutant_is_caught(banks: Banks, tmp_path: Path, patch: Path) -> None:
    kill, sees = head_of(patch, "Kill"), head_of(patch, "Sees")
    assert sees, f"{patch.name} does not say what must be seen"
    (tmp_path / "stories").mkdir()
    point, _, at_pass = (kill or "").rpartition(", ")

    with Bank(tmp_path / "stories", mutated(patch, tmp_path / "sources")) as bank:
        ended = bank.play(point, int(at_pass or 0), guesser=head_of(patch, "Guesser") == "yes")

    assert ended.kills == (1 if kill else 0)
    assert re.search(sees, wrong_with(ended, banks.unhurt, str(kill)))


def test_without_a_mutant_a_guesser_gets_nothing_and_nothing_is_seen(banks: Banks) -> None:
    ended = banks.play(lambda bank: bank.play(guesser=True))

    assert ended.violations == []
    assert ended.outcome["dead letters"] == []


def test_a_patch_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    patch = tmp_path / "old.patch"
    patch.write_text("--- a/consumers/otp.py\n+++ b/consumers/otp.py\n@@ -1 +1 @@\n-not\n+there\n")

    with pytest.raises(AssertionError, match=r"old\.patch does not fit the sources any more"):
        mutated(patch, tmp_path / "sources")
