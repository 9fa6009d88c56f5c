"""Runs the small bank in processes of its own: forked from a warm one that has opened nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.killer import Killer

FIRST_MORNING = "first-morning"
MOST_LIVES = 200


@dataclass(frozen=True)
class Ended:
    """How a story ended: what the judge says of it, and what is there."""

    kills: int
    violations: list[str]
    outcome: dict[str, Any]
    passes: dict[str, int]


@dataclass
class Bank:
    """A warm process that plays the story in a copy of the first morning's folder."""

    folder: Path
    sources: Path
    _process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forks", str(self.folder)],
            cwd=self.sources,
            env={**os.environ, "PYTHONPATH": str(self.sources), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(
        self, point: str = "", at_pass: int = 0, *, lives_for: int = 0, guesser: bool = False
    ) -> Ended:
        """
        Play the story to its end, killed at that pass of that point; or, with ``lives_for``,
        again and again after so many points. ``guesser``: the last customer guesses codes.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps([point, at_pass, lives_for, guesser]), file=self._process.stdin, flush=True
        )
        answer = self._process.stdout.readline()
        assert answer, "the warm process is gone"
        told = json.loads(answer)
        assert "error" not in told, told["error"]
        return Ended(**told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with self._process:  # closes both pipes, and waits
            self._process.stdin.close()


# --- in the warm process ------------------------------------------------------------------------


def serve(folder: Path) -> None:
    from tests.crash.world import warm  # noqa: PLC0415 - only in the warm process

    warm()
    first = folder / FIRST_MORNING
    _must(_forked(lambda: _found(first), folder), folder)
    for number, line in enumerate(sys.stdin):
        home = folder / str(number)
        try:
            told = _story(first, home, *json.loads(line))
        except RuntimeError as error:
            told = {"error": str(error)}
        print(json.dumps(told), flush=True)  # noqa: T201 - that is the answer
        shutil.rmtree(home, ignore_errors=True)


def _found(home: Path) -> None:
    from tests.crash.world import found  # noqa: PLC0415 - only in the warm process

    found(home)


def _story(  # noqa: PLR0917 - as the line from the other process has them
    first: Path,
    home: Path,
    point: str,
    at_pass: int,
    lives_for: int,
    guesser: bool,  # noqa: FBT001
) -> dict[str, Any]:
    from tests.crash.killer import Killer  # noqa: PLC0415 - only in the warm process

    shutil.copytree(first, home)
    kills = 0
    while True:
        status = _forked(
            partial(_live, home, Killer(point, at_pass, lives_for=lives_for), guesser), home
        )
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            _must(status, home)
            break
        kills += 1
        if not lives_for:
            point = ""
        if kills > MOST_LIVES:
            raise RuntimeError(f"killed {kills} times, and no end of it")
    _must(_forked(lambda: _judge(home), home), home)
    verdict = json.loads((home / "verdict.json").read_text())
    return {"kills": kills, "passes": json.loads((home / "passes.json").read_text()), **verdict}


def _live(home: Path, killer: Killer, guesser: bool) -> None:  # noqa: FBT001 - as above
    from tests.crash.world import World  # noqa: PLC0415 - only in the warm process

    World(home, killer, guesser=guesser).live()
    (home / "passes.json").write_text(json.dumps(killer.passes))


def _judge(home: Path) -> None:
    from simulation.checker import judge  # noqa: PLC0415 - only in the warm process
    from tests.crash.world import POLICIES  # noqa: PLC0415 - only in the warm process

    violations = judge(home / "outside", policies=POLICIES.by_product, ended=True)
    told = {"violations": [str(one) for one in violations], "outcome": outcome(home)}
    (home / "verdict.json").write_text(json.dumps(told))


def _forked(act: Callable[[], None], folder: Path) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        act()
    except BaseException:  # noqa: BLE001 - the child's outermost loop: its parent tells
        folder.mkdir(exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _must(status: int, folder: Path) -> None:
    if status != 0:
        error = folder / "error.txt"
        told = error.read_text() if error.exists() else f"it ended with status {status}"
        raise RuntimeError(told)


# --- what is there at the end -------------------------------------------------------------------

QUESTIONS = {
    "renewals": "SELECT id, state, fee_state, old_state FROM renewals",
    "certificates": """
        SELECT coalesce(renewal, id), state, told, announced_at IS NULL, left_at IS NULL
        FROM certificates""",
    "payments": "SELECT id, state FROM payments",
    "messages": """SELECT kind, channel, state, count(*) FROM messages
        WHERE kind <> 'code' GROUP BY 1, 2, 3""",
    "told": "SELECT certificate, threshold, channel FROM told",
    "dead letters": "SELECT consumer, kind, why FROM dead_letters",
    "parked": "SELECT consumer, kind, why FROM parked",
}


def outcome(home: Path) -> dict[str, Any]:
    """What the world looks like at the end, without what differs from one telling to the next."""
    with closing(sqlite3.connect(home / "store.db")) as store:
        found: dict[str, Any] = {
            what: sorted(map(str, store.execute(query))) for what, query in QUESTIONS.items()
        }
    for name in ("bank", "ca", "sms", "mail", "cards"):
        path = home / "outside" / f"{name}.jsonl"
        told = Counter(filter(None, map(_tell(name), path.read_text().splitlines())))
        found[name] = sorted(map(str, told.items()))
    journal = map(json.loads, (home / "station.jsonl").read_text().splitlines())
    last = {line["renewal"]: line["step"] for line in journal}
    found["station"] = sorted(map(str, last.items()))
    return found


def _tell(name: str) -> Callable[[str], str]:
    def told(text: str) -> str:
        line = json.loads(text)
        match name:
            case "bank":
                return f"{line['op']} {line['id']} {line['amount']} {line['answer']}"
            case "ca":
                return f"{line['op']} {line['request_id']} {line['reason']}"
            case "sms":
                return "" if line["ref"].startswith("K") else f"{line['to']} {line['body']}"
            case "mail":
                return f"{line['to']} {line['subject']}"
            case _:
                lasting = line["op"] in {"generate", "put"} and line["result"] == "ok"
                return f"{line['op']} {line['card']} {line['slot']}" if lasting else ""

    return told


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
