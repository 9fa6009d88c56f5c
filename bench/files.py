"""A run's file of a million rows, none or one of use: how fast it is read, in how much memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path

from back_office.runs.plan import Planner, RunTerms
from back_office.runs.preview import preview
from bench import bank
from bench.figures import Figure, at_least, at_most
from bench.scan import peak
from xuqi.settings import Settings

ROWS_A_SECOND, MAX_GROWTH = 20_000, 150  #: MiB
METHOD = (
    "A run's file: a CSV of {rows:,} rows that name no certificate, in one case with one that does "
    "in its middle, is planned on SQLite, each wrong row with its reason, durable. In a process of "
    "its own, whose peak beyond that of the opened installation is the memory; rows are counted "
    "in the preview. The rate is by the clock on the wall; beside it by CPU time."
)


def figures(*, rows: int) -> list[Figure]:
    found: list[Figure] = []
    for name, good in (("all bad", 0), ("one good", 1)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, cpu, grown = pool.apply(_measured, (rows, good))
        found += [
            at_least(
                f"run: rows of a file, {rows:,}, {name}",
                rows / seconds,
                "rows/s",
                ROWS_A_SECOND,
                method=METHOD.format(rows=rows),
                shown=f"{rows / seconds:,.0f} rows/s; {rows / cpu:,.0f} a second of CPU",
            ),
            at_most(f"run: memory of that file, {name}", grown, "MiB", MAX_GROWTH),
        ]
    return found


def _measured(rows: int, good: int) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and by how many MiB the peak has grown."""
    with tempfile.TemporaryDirectory() as folder:
        app = bank.opened(Settings(home=Path(folder)))
        bank.take_in(app, 1, 2)  # the second certificate is a browser's
        path = Path(folder) / "list.csv"
        _write(path, rows, good)
        before, began, cpu = peak(), time.perf_counter(), time.process_time()
        planner = Planner(app.store, app.policies, ("001",))
        run = planner.from_file(path, RunTerms(name="bench"), who="lin")
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        with app.store.snapshot() as look:
            seen = preview(look, run.id, app.policies)
        assert (seen.rows, seen.to_begin, run.refused_rows) == (rows, good, rows - good), seen
        app.store.close()
        return seconds, cpu, (peak() - before) / 1024


def _write(path: Path, rows: int, good: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("certificate,branch\n")
        for number in range(rows):
            is_good = good and number == rows // 2
            file.write("2,001\n" if is_good else f"x{number},001\n")
