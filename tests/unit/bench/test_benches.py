"""Each benchmark goes through at a tiny size; how fast it is, is nothing for a test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import pipeline
from bench.__main__ import main
from bench.figures import as_markdown, at_least, at_most, percentile

if TYPE_CHECKING:
    from pathlib import Path

TINY = [
    *("--renewals", "6", "--items", "20", "--rows", "100", "400", "--due", "10"),
    *("--codes", "4", "--rounds", "1"),
]


@pytest.mark.parametrize(
    ("which", "first"),
    [
        ("renewals", "bare pipeline, four steps"),
        ("scan", "scan query, 400 rows"),
        ("codes", "code, request → hand-over, p50"),
    ],
)
def test_each_benchmark_measures_something(
    which: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([which, *TINY, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["cores"] >= 1
    assert told["figures"][0]["what"] == first
    assert all(figure["value"] >= 0 for figure in told["figures"])


def test_the_table_for_the_readme_is_written(tmp_path: Path) -> None:
    main(["scan", *TINY, "--markdown", str(tmp_path / "table.md")])

    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0].count("|") == lines[2].count("|")


def test_a_goal_is_reached_at_its_edge() -> None:
    figures = [at_least("a", 40, "%", 40), at_least("b", 39.9, "%", 40), at_most("c", 1, "", 1)]

    assert [figure.reached for figure in figures] == [True, False, True]
    assert as_markdown(figures).count("missed") == 1


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([7.0], 0.99) == 7
    assert percentile([3, 1, 2], 0.5) == 2


def test_a_pipeline_that_loses_an_item_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "STEPS", pipeline.STEPS[:3])

    with pytest.raises(AssertionError, match="0 of 3 items went through"):
        pipeline.items_a_second(tmp_path, 3)
