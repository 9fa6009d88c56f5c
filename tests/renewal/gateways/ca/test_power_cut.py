"""A CA that is killed at any step has issued once, and the outside ledger says so once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from renewal.clock import VirtualClock
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, XuqiError
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.ca.embedded import outside
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.ca.port import Issued, Status
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import (
    LEDGER,
    PASSPHRASE,
    START,
    csr,
    open_ca,
    parsed,
    request,
    serial_of,
    told,
)

HOUSE = Path(__file__).parents[4]
NOTHING_ON_RECORD = ("before reserving", "while reserving")
RESERVED = (
    "after reserving",
    "after signing",
    "while keeping",
    "before the line",
    "after the line",
    "after telling",
)


def kill_at(step: str, folder: Path, op: str = "issue", serial: str = "0") -> None:
    arguments = [str(folder), op, step, csr().hex(), serial]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.renewal.gateways.ca.dying", *arguments],
        cwd=HOUSE,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.shows("D04")
@pytest.mark.parametrize("step", [*NOTHING_ON_RECORD, *RESERVED])
def test_a_ca_killed_while_issuing_has_issued_once(step: str, tmp_path: Path) -> None:
    kill_at(step, tmp_path)

    ca = open_ca(tmp_path)
    found = ca.recover("renewal-0")
    certificate = ca.issue(request()).certificate

    assert found == (None if step in NOTHING_ON_RECORD else Issued(certificate=certificate))
    assert [one.certificate for one in ca.certificates()] == [certificate]
    assert [line["serial"] for line in told(tmp_path)] == [f"{serial_of(certificate):x}"]
    parsed(certificate).verify_directly_issued_by(parsed(ca.issuing_certificate))
    ca.close()


def test_a_reservation_holds_its_key_until_it_is_finished(tmp_path: Path) -> None:
    kill_at("after reserving", tmp_path)
    ca = open_ca(tmp_path)

    with pytest.raises(GatewayRefusedError, match="used before"):
        ca.issue(request(1, csr=csr(0)))

    assert list(ca.certificates()) == []
    assert ca.issue(request()).certificate
    ca.close()


@pytest.mark.parametrize("step", ["before the line", "after the line", "after telling"])
def test_a_ca_killed_while_revoking_has_revoked_once(step: str, tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    serial = serial_of(ca.issue(request()).certificate)
    ca.close()
    kill_at(step, tmp_path, "revoke", f"{serial:x}")

    ca = open_ca(tmp_path)
    ca.revoke(serial, RevocationReason.SUPERSEDED, request_id="revocation-0")

    assert ca.status(serial) == Status.REVOKED
    assert [line["op"] for line in told(tmp_path)] == ["issue", "revoke"]
    ca.close()


def test_two_processes_tell_each_deed_once(tmp_path: Path) -> None:
    kill_at("after the line", tmp_path)
    first, second = open_ca(tmp_path), open_ca(tmp_path)

    for number in range(1, 6):
        (first, second)[number % 2].issue(request(number))

    serials = [line["serial"] for line in told(tmp_path)]
    assert len(serials) == len(set(serials)) == 6
    first.close()
    second.close()


def test_two_cas_on_one_folder_that_race_issue_and_tell_once(tmp_path: Path) -> None:
    both = open_ca(tmp_path), open_ca(tmp_path)
    asked = [request(number) for number in range(10)]
    answers: list[list[object]] = []
    threads = [
        threading.Thread(target=lambda ca=ca: answers.append([ca.issue(one) for one in asked]))
        for ca in both * 2
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert sorted(str(line["request_id"]) for line in told(tmp_path)) == [
        f"renewal-{number}" for number in range(10)
    ]
    for ca in both:
        ca.close()


def test_many_threads_that_ask_for_the_same_get_the_same(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ca.issue(request()).certificate))
        for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert len(told(tmp_path)) == 1
    ca.close()


def test_a_deed_line_says_who_what_and_when(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    serial = serial_of(ca.issue(request()).certificate)
    ca.suspend(serial, request_id="s-1")
    ca.resume(serial, request_id="s-2")
    ca.revoke(serial, RevocationReason.KEY_COMPROMISE, request_id="r-1")
    ca.revoke(serial, RevocationReason.SUPERSEDED, request_id="r-2")
    ca.close()

    lines = told(tmp_path)

    assert lines[0] == {
        "at": lines[0]["at"],
        "op": "issue",
        "serial": f"{serial:x}",
        "subject": "CN=J220230000-00-000000,OU=Signing,OU=Certificate Centre,O=Finance,C=TW",
        "spki_sha256": lines[0]["spki_sha256"],
        "not_before": "2026-11-23T01:00:00+00:00",
        "not_after": "2027-11-23T15:59:59+00:00",
        "request_id": "renewal-0",
        "reason": None,
    }
    assert str(lines[0]["at"]).startswith("2026-11-23T01:00:00.")
    assert len(str(lines[0]["spki_sha256"])) == 64
    assert [(line["op"], line["request_id"], line["reason"]) for line in lines[1:]] == [
        ("suspend", "s-1", "certificateHold"),
        ("resume", "s-2", None),
        ("revoke", "r-1", "keyCompromise"),
    ]


def test_a_ca_that_had_no_ledger_tells_everything_once_it_has_one(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    ca = EmbeddedCa(tmp_path / "ca", clock, PASSPHRASE)
    for number in range(3):
        ca.issue(request(number))
    ca.close()

    ledger = ActivityLog(tmp_path / LEDGER, clock)
    EmbeddedCa(tmp_path / "ca", clock, PASSPHRASE, ledger=ledger).close()

    assert [line["request_id"] for line in told(tmp_path)] == [
        "renewal-0",
        "renewal-1",
        "renewal-2",
    ]


@pytest.mark.parametrize("cut", range(6))
def test_a_batch_cut_within_its_lines_is_told_to_its_end(cut: int, tmp_path: Path) -> None:
    clock = VirtualClock(START)
    silent = EmbeddedCa(tmp_path / "ca", clock, PASSPHRASE)
    silent.issue_many([request(number) for number in range(5)])
    lines = [deed.line + "\n" for deed in silent._database.untold()]
    silent.close()
    (tmp_path / LEDGER).write_text("".join(lines[:cut]))

    open_ca(tmp_path, clock).close()

    assert (tmp_path / LEDGER).read_text() == "".join(lines)


def test_a_deed_that_cannot_be_told_now_stands_and_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = open_ca(tmp_path)
    with monkeypatch.context() as busy:
        busy.setattr(outside, "tell", _is_busy)
        certificate = ca.issue(request()).certificate
    assert told(tmp_path) == []

    assert ca.issue(request()).certificate == certificate

    assert [line["request_id"] for line in told(tmp_path)] == ["renewal-0"]
    ca.close()


def test_what_a_full_disk_kept_from_the_ledger_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, write = open_ca(tmp_path), os.write
    with monkeypatch.context() as full:
        full.setattr(
            "renewal.gateways.activity_log.os.write", lambda file, line: write(file, line[:20])
        )
        certificate = ca.issue(request()).certificate
    assert told(tmp_path) == []

    assert ca.issue(request()).certificate == certificate

    assert [line["request_id"] for line in told(tmp_path)] == ["renewal-0"]
    ca.close()


def _is_busy(*_: object) -> None:
    raise GatewayUnavailableError("the book is busy")


def test_a_ledger_with_a_broken_last_line_is_told_with_its_name(tmp_path: Path) -> None:
    ca = EmbeddedCa(tmp_path / "ca", VirtualClock(START), PASSPHRASE)
    ca.issue(request())
    ca.close()
    (tmp_path / LEDGER).write_text('{"at": "2026')

    with pytest.raises(XuqiError, match=r"ca\.jsonl: one of its last lines is not JSON"):
        open_ca(tmp_path)


def test_a_folder_killed_while_it_is_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "ca.db").touch()

    ca = open_ca(tmp_path)

    assert ca.issue(request()).certificate
    ca.close()
