"""Shows the real process: ready, what the world may fetch, a clean end, a power cut."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.xuqi import sample
from xuqi.cli.main import exit_code
from xuqi.process_lock import AddressError
from xuqi.serving import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.xuqi.sample import Bank

DEADLINE = 120.0  #: seconds, of a loaded machine


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """A bank of today: a real process has a real clock."""
    with sample.opened(tmp_path / "bank", at=datetime.now(UTC)) as opened:
        opened.browser()
        yield opened


def revocation_asked(bank: Bank) -> None:
    result = bank.run("certificates", "revoke", "1", "--who", "T01", "--why", "lost")
    assert result.exit_code == 0, result.output


def started(home: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        sample.command_line("serve", *options),
        env=sample.surroundings(home, **{"XUQI_PORT": "0", **settings}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says that it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "ready" in line, process.communicate()[1]
    return line.split(", ")[1]


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[str]:
    process = started(home, **settings)
    try:
        yield address_of(process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out.strip()) == (0, "xuqi: stopped"), err
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own address
        return bytes(answer.read())


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def openssl(*args: str) -> str:
    run = subprocess.run(["openssl", *args], check=True, capture_output=True, text=True)
    return run.stdout + run.stderr


def pem(path: Path, kind: str, der: bytes) -> str:
    raw = path.with_suffix(".der")
    raw.write_bytes(der)
    openssl(kind, "-inform", "DER", "-in", str(raw), "-out", str(path))
    return str(path)


def state_of(bank: Bank, certificate: int) -> str:
    with bank.app.store.snapshot() as look:
        return look.certificates.get(certificate).state


def test_it_serves_crl_and_ocsp_which_openssl_verifies_while_its_consumers_work(
    bank: Bank, tmp_path: Path
) -> None:
    with bank.app.store.snapshot() as look:
        row = look.certificates.get(sample.BROWSER)
        mine = look.cipher.open(row.der_sealed, "certificates.der", row.id)
    leaf = pem(tmp_path / "leaf.pem", "x509", mine)

    with serving(bank.home) as url:
        live = fetched(f"{url}/livez")
        root = pem(tmp_path / "root.pem", "x509", fetched(f"{url}/ca/root.crt"))
        issuing = pem(tmp_path / "issuing.pem", "x509", fetched(f"{url}/ca/issuing.crt"))
        before = pem(tmp_path / "before.pem", "crl", fetched(f"{url}/ca/issuing.crl"))
        revocation_asked(bank)
        eventually(lambda: state_of(bank, sample.BROWSER) == "revoked")
        status = bank.json("status")
        ocsp = openssl(
            *("ocsp", "-issuer", issuing, "-cert", leaf, "-url", f"{url}/ocsp"),
            *("-CAfile", root, "-no_nonce"),
        )
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetched(f"{url}/nothing")

    assert live == b"200 OK\n"
    assert "verify OK" in openssl("crl", "-in", before, "-CAfile", issuing, "-noout")
    assert "leaf.pem: revoked" in ocsp
    assert "Response verify OK" in ocsp
    assert status["serve"]["running"] is True
    assert status["leader"]["leads"] is True
    assert {loop["name"] for loop in status["serve"]["loops"]} >= set(status["consumers"])


def test_it_goes_on_while_its_tables_go_a_step_back_and_up_again(bank: Bank) -> None:
    with serving(bank.home):
        steps = [bank.run("db", "downgrade", "0001"), bank.run("db", "upgrade")]
        nowhere = bank.run("db", "downgrade", "9999")
        revocation_asked(bank)
        eventually(lambda: state_of(bank, sample.BROWSER) == "revoked")

    assert [step.exit_code for step in steps] == [0, 0]
    assert (nowhere.exit_code, "no way back to 9999" in nowhere.stderr) == (1, True)


def test_what_was_asked_before_a_power_cut_is_done_after_it(bank: Bank) -> None:
    first = started(bank.home)
    address_of(first)
    first.kill()  # -9
    first.communicate()
    revocation_asked(bank)
    after_the_cut = bank.json("status")["serve"]["running"]

    with serving(bank.home):
        eventually(lambda: state_of(bank, sample.BROWSER) == "revoked")

    assert after_the_cut is False


def test_a_second_one_is_told_why_it_cannot_serve(bank: Bank) -> None:
    with serving(bank.home) as url:
        second = started(bank.home)
        out, err = second.communicate(timeout=DEADLINE)
        app, port = http.mounted(), int(url.rpartition(":")[2])
        with (
            pytest.raises(AddressError, match="XUQI_PORT") as elsewhere,
            http.listening(app, "127.0.0.1", port),
        ):
            pass

    assert (second.returncode, out) == (3, "")
    assert "running on" in err
    assert len(err.strip().splitlines()) == 1
    assert exit_code(elsewhere.value) == 3


def test_events_are_followed_while_another_process_makes_them(bank: Bank) -> None:
    follower = subprocess.Popen(
        sample.command_line("events", "tail", "--follow", "--json"),
        env=sample.surroundings(bank.home),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        bank.run("scan")
        assert follower.stdout is not None
        kinds = [json.loads(follower.stdout.readline())["kind"] for _ in range(2)]
    finally:
        follower.kill()
        follower.communicate()

    assert kinds == ["renewal-due.v1", "reminder-due.v1"]


def test_a_served_station_takes_its_jobs_and_lets_a_person_have_the_readers_to_write(
    bank: Bank,
) -> None:
    bank.card(sample.CARD)
    asked = ("--branch", "001", "--who", "T01", "--why", "asked")
    assert bank.run("renewals", "start", "3", *asked).exit_code == 0
    journal = bank.home / "station" / "001.jsonl"

    with serving(bank.home) as _:
        eventually(lambda: journal.exists() and b"token seen" in journal.read_bytes())
        before = journal.read_bytes()
        listed: Any = bank.listed("token", "list")
        written = bank.run("station", "--once", "--wait", "20", typed=f"{sample.PIN}\n")
        eventually(lambda: [row["state"] for row in bank.listed("renewals", "list")] == ["done"])
        content = bank.listed("token", "show")

    assert [row["serial"] for row in listed] == ["029dc2d3"]
    assert b"PIN verified" not in before
    assert "written and proven" in written.stdout
    assert len(content) == 2
