"""Finds the files of the repository that the house is judged by."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "schema",
    "templates",
    "renewal",
    "scheduler",
    "producers",
    "consumers",
    "token_station",
    "web",
    "centre",
    "back_office",
    "xuqi",
    "simulation",
)


def tracked() -> list[Path]:
    """Every file that git knows of and that is there, in order."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    names = sorted(name for name in listed.stdout.decode().split("\0") if name)
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def modules() -> list[Path]:
    """The product's own Python files."""
    python = [path for path in tracked() if path.suffix == ".py"]
    return [path for path in python if path.relative_to(ROOT).parts[0] in PACKAGES]


def place(path: Path) -> str:
    """Where a file stands, from the top of the repository."""
    return path.relative_to(ROOT).as_posix()
