"""Runs the benchmarks: ``python -m bench [steps|renewals|scan|codes|runs|relay|...] ...``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    aged,
    codes,
    console,
    faults,
    files,
    ocsp,
    pages,
    relay,
    renewals,
    runs,
    scan,
    steps,
    tokens,
)
from bench.figures import as_json, as_markdown
from xuqi.serving.process import raise_gc_thresholds

if TYPE_CHECKING:
    from bench.figures import Figure

ALL = (
    "steps", "renewals", "scan", "codes", "runs", "files", "relay", "pages", "console", "ocsp",
    "tokens",
)  # fmt: skip
LONG = ("aged", "faults")


def main(arguments: list[str]) -> int:
    asked = _asked(arguments)
    figures: list[Figure] = []
    for name in asked.which or ALL:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        figures += _measured(name, asked)
    table = as_markdown(figures)
    if asked.markdown:
        asked.markdown.write_text(table)
    print(json.dumps(as_json(figures), ensure_ascii=False, indent=2) if asked.json else table)
    return 0


def _measured(name: str, asked: argparse.Namespace) -> list[Figure]:
    if name == "steps":
        return steps.figures(items=asked.items, peer_items=asked.peer_items, rounds=asked.rounds)
    if name == "renewals":
        return renewals.figures(renewals=asked.chain, items=asked.items, rounds=asked.rounds)
    if name == "scan":
        return scan.figures(asked.rows, due=asked.due, rounds=asked.rounds)
    if name == "aged":
        items, rounds = max(asked.items // aged.PARTS, 1), asked.rounds * aged.PARTS
        return aged.figures(past=asked.past, items=items, rounds=rounds)
    if name == "faults":
        return faults.figures(seconds=asked.window, rounds=asked.rounds, into=asked.into)
    if name == "runs":
        return runs.figures(items=asked.run_items, codes=asked.codes)
    return _of_the_rest(name, asked)


def _of_the_rest(name: str, asked: argparse.Namespace) -> list[Figure]:
    if name == "tokens":
        return tokens.figures(rounds=asked.rounds, pace=asked.pace)
    if name == "pages":
        return pages.figures(pages=asked.pages, rounds=asked.rounds)
    if name == "files":
        return files.figures(rows=asked.file_rows)
    if name == "console":
        many, letters = asked.listed
        return console.figures(certificates=many, letters=letters, pages=asked.list_pages)
    if name == "ocsp":
        return ocsp.figures(answers=asked.answers, rounds=asked.rounds)
    if name == "relay":
        return relay.figures(events=asked.events, rounds=asked.rounds)
    return codes.figures(codes=asked.codes, renewals=asked.renewals)


def _asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "which", nargs="*", choices=[*ALL, *LONG, []], help="all but the last two, unless named"
    )
    parser.add_argument("--chain", type=int, default=10_000, help="through the whole chain")
    parser.add_argument("--renewals", type=int, default=10_000, help="of a bulk run beside codes")
    parser.add_argument("--items", type=int, default=20_000, help="through four steps in batches")
    parser.add_argument("--peer-items", type=int, default=1_000, help="the same, one by one")
    parser.add_argument("--rows", type=int, nargs=2, default=(500_000, 5_000_000))
    parser.add_argument("--due", type=int, default=scan.DUE, help="rows that are due")
    parser.add_argument(
        "--codes", type=int, default=300, help="idle; as many again in the bulk run"
    )
    parser.add_argument("--run-items", type=int, default=10_000, help="of a planned run")
    parser.add_argument("--file-rows", type=int, default=1_000_000, help="of a run's file")
    parser.add_argument(
        "--listed", type=int, nargs=2, default=(1_000_000, 100_000), help="certificates, letters"
    )
    parser.add_argument("--list-pages", type=int, default=20, help="of each list of the console")
    parser.add_argument("--events", type=int, default=100_000, help="through the relay")
    parser.add_argument("--pages", type=int, default=1_000, help="of the centre")
    parser.add_argument("--answers", type=int, default=10_000, help="of OCSP")
    parser.add_argument("--pace", type=float, default=1.0, help="of the tokens, for a test")
    parser.add_argument("--past", type=int, default=10_000_000, help="events, for aged")
    parser.add_argument("--window", type=float, default=10, help="seconds, around each fault")
    parser.add_argument("--into", type=Path, metavar="FILE", help="put the table of faults there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise_gc_thresholds()  # as whoever serves does
    sys.exit(main(sys.argv[1:]))
