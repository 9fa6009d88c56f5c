"""Prints each item of the checklist with the tests that show it, as their markers say."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO

import pytest

#: How many items each source has: three manuals (A, B, C) and the order itself (D).
LENGTHS = {"A": 15, "B": 18, "C": 12, "D": 9}
ITEMS = tuple(
    f"{source}{number:02}" for source, last in LENGTHS.items() for number in range(1, last + 1)
)


def shown_by(tests: Iterable[pytest.Item]) -> Mapping[str, set[str]]:
    """The names of the tests that show each item, without their parameters."""
    shown: dict[str, set[str]] = defaultdict(set)
    for test in tests:
        for item in items_of(test):
            shown[item].add(test.nodeid.partition("[")[0])
    return shown


def items_of(test: pytest.Item) -> Iterator[str]:
    """The items that a test's markers name."""
    for marker in test.iter_markers("shows"):
        yield from map(str, marker.args)


class Collected:
    """Keeps what pytest has found."""

    def __init__(self) -> None:
        self.tests: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = session.items


def collected() -> list[pytest.Item]:
    """
    Every test of the repository, not run.

    Raises:
        RuntimeError: a test file cannot be read; its text is what pytest said.
    """
    found, said = Collected(), StringIO()
    with redirect_stdout(said):
        status = pytest.main(["--collect-only", "-q"], plugins=[found])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return found.tests


def main() -> int:
    """Print the list; answer 1 if a test names an item that there is not."""
    shown = shown_by(collected())
    for item in ITEMS:
        sys.stdout.write("\n     ".join([item, *sorted(shown.get(item, {"none"}))]) + "\n")
    sys.stdout.write(f"\n{len(set(shown) & set(ITEMS))} of {len(ITEMS)} items have a test\n")
    return int(bool(set(shown) - set(ITEMS)))


if __name__ == "__main__":
    sys.exit(main())
