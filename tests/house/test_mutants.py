"""Shows at once, before the slow tests of crashes, that each mutant's patch fits the sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PATCHES = sorted((HOUSE / "tests/crash/mutants").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_the_patch_of_a_mutant_fits_the_sources(patch: Path) -> None:
    told = subprocess.run(
        ["git", "apply", "--check", "-C1", "--recount", "-p1", str(patch)],
        cwd=HOUSE,
        check=False,
        capture_output=True,
        text=True,
    )

    assert told.returncode == 0, told.stderr
