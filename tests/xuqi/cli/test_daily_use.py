"""Shows each command's usual answer, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from back_office.imports.sample import customer_rows, write_customers
from producers.relay import LANES
from renewal.db.identity_map import ConflictError
from renewal.eventlog.queries import advance, position_of
from renewal.store import audit
from schema.events import ReminderDue
from tests.xuqi import sample
from tests.xuqi.sample import BROWSER, Bank

if TYPE_CHECKING:
    from pathlib import Path


def refused(result: Any, *words: str) -> None:  # noqa: ANN401 - click's Result
    """One line that says why, exit code 1, no traceback."""
    assert result.exit_code == 1, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr


# --- scan ---------------------------------------------------------------------------------------


def test_a_dry_run_says_who_and_why_and_changes_nothing(bank: Bank) -> None:
    first = bank.listed("scan", "--dry-run")
    second = bank.listed("scan", "--dry-run")

    assert [(row["what"], row["certificate"], row["days_left"]) for row in first] == [
        ("announce", BROWSER, 18),
        ("remind", BROWSER, 18),
    ]
    assert second == first
    assert bank.listed("events", "tail") == []


def test_a_scan_announces_once(bank: Bank) -> None:
    first, second = bank.json("scan"), bank.json("scan")

    assert first == {"announced": 1, "left": 0, "to_remind": 1, "full": False}
    assert second == {"announced": 0, "left": 0, "to_remind": 0, "full": False}


def test_a_dry_run_looks_from_any_moment(bank: Bank) -> None:
    before = bank.run("scan", "--dry-run", "--at", "2026-02-18T23:59:58+08:00")
    entered = bank.run("scan", "--dry-run", "--at", "2026-02-18T23:59:59+08:00")

    assert "(none)" in before.stdout
    assert "the window opens 30 days before" in entered.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--at", "2026-03-01T00:00+08:00"], "--dry-run"),
        (["--dry-run", "--at", "2026-03-01T00:00"], "no time zone"),
        (["--dry-run", "--at", "yesterday"], "--at"),
    ],
)
def test_a_scan_at_another_time_than_now_is_a_usage_error(
    bank: Bank, args: list[str], word: str
) -> None:
    result = bank.run("scan", *args)

    assert result.exit_code == 2
    assert word in result.stderr


# --- renewals and codes -------------------------------------------------------------------------


def test_a_renewal_is_started_by_staff_and_the_audit_trail_says_who_and_why(bank: Bank) -> None:
    result = bank.run("renewals", "start", "1", "--who", "T01", "--why", "asked at the counter")

    assert result.exit_code == 0, result.output
    with bank.app.store.snapshot() as look:
        trail = list(audit.entries(look))
    assert [(row["who"], row["did"], row["why"]) for row in trail] == [
        ("T01", "start renewal", "asked at the counter")
    ]
    assert [row["state"] for row in bank.listed("renewals", "list")] == ["requested"]
    assert "a renewal was requested" in bank.run("renewals", "show", "R00000001-01").stdout


def test_a_renewal_that_may_not_be_is_refused_with_its_reason(bank: Bank) -> None:
    bank.run("renewals", "start", "1", "--who", "T01", "--why", "first")

    result = bank.run("renewals", "start", "1", "--who", "T01", "--why", "second")

    refused(result, "a renewal is under way")


def test_staff_must_say_who_and_why(bank: Bank) -> None:
    result = bank.run("renewals", "start", "1", "--who", "T01")

    assert result.exit_code == 2
    assert "--why" in result.stderr


@pytest.mark.shows("B10")
def test_a_code_is_sent_to_a_masked_number_and_confirms_the_renewal(
    bank: Bank, tmp_path: Path
) -> None:
    bank.run("renewals", "start", "1", "--who", "T01", "--why", "asked")

    sent = bank.json("code", "send", "1")
    bank.drain()
    code = bank.last_code()
    other = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    wrong = bank.run("code", "enter", sent["challenge"], "1", typed=f"{other}\n")
    right = bank.run(
        *("code", "enter", sent["challenge"], "1", "--renewal", "R00000001-01"),
        *bank.files_handed_in("R00000001-01", tmp_path),
        typed=f"{bank.last_code()}\n",
    )

    assert sent["to"] == ["0912****71"]
    assert (wrong.exit_code, wrong.stdout) == (1, "wrong, 2 tries left\n")
    assert (right.exit_code, right.stdout) == (0, "right\n")
    assert [row["state"] for row in bank.listed("renewals", "list")] == ["confirmed"]


def test_a_code_is_never_an_argument(bank: Bank) -> None:
    result = bank.run("code", "enter", "K1", "1", "1234")

    assert result.exit_code == 2


# --- certificates -------------------------------------------------------------------------------


@pytest.mark.shows("C05")
def test_a_certificate_is_shown_with_the_roc_day_of_the_query_and_masked_names(bank: Bank) -> None:
    result = bank.run("certificates", "show", "1")

    assert "queried on (ROC): 115/03/02" in result.stdout
    assert "valid to: 2026-03-20 23:59:59" in result.stdout
    assert "A12345****" in result.stdout
    assert "A123456781" not in result.output
    assert "0912345671" not in result.output


def test_a_certificate_is_found_by_its_serial_as_browsers_show_it(bank: Bank) -> None:
    [row] = bank.listed("certificates", "list")
    serial = row["serial"].zfill(len(row["serial"]) + len(row["serial"]) % 2).upper()

    with_colons = ":".join(serial[at : at + 2] for at in range(0, len(serial), 2))

    assert bank.json("certificates", "show", with_colons)["id"] == BROWSER


def test_a_certificate_that_is_not_there_is_refused_with_what_to_do(bank: Bank) -> None:
    refused(bank.run("certificates", "show", "99"), "99", "certificates list")


@pytest.mark.shows("A15")
def test_staff_suspend_resume_and_revoke(bank: Bank) -> None:
    def states() -> list[str]:
        bank.drain()
        return [row["state"] for row in bank.listed("certificates", "list")]

    seen = []
    for change in ("suspend", "resume", "revoke"):
        result = bank.run("certificates", change, "1", "--who", "T01", "--why", "asked by letter")
        assert result.exit_code == 0, result.output
        seen += states()

    assert seen == ["suspended", "active", "revoked"]
    with bank.app.store.snapshot() as look:
        assert [row["did"] for row in audit.entries(look)] == [
            "suspend",
            "resume",
            "revoke: cessationOfOperation",
        ]
        assert audit.broken_links(look) == []


def test_a_revoked_certificate_is_not_resumed(bank: Bank) -> None:
    bank.run("certificates", "revoke", "1", "--who", "T01", "--why", "lost")
    bank.drain()

    refused(bank.run("certificates", "resume", "1", "--who", "T01", "--why", "found"), "revoked")


# --- the CA -------------------------------------------------------------------------------------


def test_the_crl_is_written_and_openssl_reads_it(bank: Bank, tmp_path: Path) -> None:
    bank.run("certificates", "revoke", "1", "--who", "T01", "--why", "lost")
    bank.drain()
    serial = bank.json("certificates", "show", "1")["serial"]

    told = bank.json("ca", "crl", "--pem", str(tmp_path / "list.crl"))

    text = subprocess.run(
        ["openssl", "crl", "-in", str(tmp_path / "list.crl"), "-noout", "-text"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told["entries"] == 1
    assert serial.upper() in text


def test_ocsp_tells_good_from_revoked_from_unknown(bank: Bank) -> None:
    serial = bank.json("certificates", "show", "1")["serial"]

    good = bank.run("ca", "ocsp", serial, "--json")
    bank.run("certificates", "revoke", "1", "--who", "T01", "--why", "lost")
    bank.drain()
    bank.clock.advance_to(bank.clock.now() + timedelta(days=1))
    revoked = bank.run("ca", "ocsp", serial, "--json")
    unknown = bank.run("ca", "ocsp", "1234", "--json")

    told = [(it.exit_code, json.loads(it.stdout)["status"]) for it in (good, revoked, unknown)]
    assert told == [(0, "GOOD"), (1, "REVOKED"), (1, "UNKNOWN")]


def test_a_serial_that_is_no_hex_is_a_usage_error(bank: Bank) -> None:
    assert bank.run("ca", "ocsp", "xyz").exit_code == 2


# --- messages, why, events ----------------------------------------------------------------------


def test_messages_are_listed_masked_and_shown_with_their_local_text(bank: Bank) -> None:
    bank.run("scan")
    bank.drain()

    [row] = bank.listed("messages", "list")
    shown = bank.run("messages", "show", row["id"])
    assert not [name for name in row if name.endswith("_hash")]

    assert (row["kind"], row["channel"], row["to"]) == ("reminder", "sms", "0912****71")
    assert "+886" not in bank.run("messages", "list").output
    text = json.loads((bank.home / "outside" / "sms.jsonl").read_text())["body"]
    assert text in shown.stdout
    refused(bank.run("messages", "show", "M1"), "M1")


def test_whom_no_message_reaches_is_on_the_call_list(bank: Bank) -> None:
    with bank.app.store.transaction() as work:
        customer = work.customers.get(BROWSER)
        work.customers.change(customer, mobile_bad="21614", mail_bad="5.1.1")
    bank.run("scan")
    bank.drain()

    [call] = bank.listed("messages", "list", "--calls")

    assert (call["branch"], call["certificate"], call["why"]) == ("001", BROWSER, "bad_contact")


def test_why_tells_the_story_in_both_languages(bank: Bank) -> None:
    bank.run("scan")
    bank.drain()
    bank.run("renewals", "start", "1", "--who", "T01", "--why", "asked")

    zh, en = (bank.run("why", "1", lang=lang).stdout for lang in ("zh-TW", "en"))

    assert en.index("announced") < en.index("handed to the carrier") < en.index("was requested")
    assert zh.index("已宣告") < zh.index("已交給") < zh.index("申請展期")
    assert "30 days before the end, by SMS" in en


def test_why_says_why_nothing_was_decided(bank: Bank) -> None:
    assert "nothing was decided yet" in bank.run("why", "1").stdout


def test_why_tells_the_reason_of_a_refusal(bank: Bank) -> None:
    bank.clock.advance_to(bank.end + timedelta(days=31))
    bank.run("renewals", "start", "1", "--who", "T01", "--why", "late")

    assert "the renewal was refused: the renewal window is over" in bank.run("why", "1").stdout


def test_events_are_shown_in_their_order(bank: Bank) -> None:
    bank.run("scan")

    kinds = [row["kind"] for row in bank.listed("events", "tail", "-n", "5")]

    assert kinds == ["renewal-due.v1", "reminder-due.v1"]


# --- dead letters, status, the house ------------------------------------------------------------


def a_dead_letter(bank: Bank) -> int:
    with bank.app.store.transaction() as work:
        work.emit(ReminderDue(certificate=99, customer=99, planned=sample.MONDAY))
    bank.drain()
    [row] = bank.listed("dead-letters", "list")
    return int(row["id"])


def test_a_dead_letter_is_mended_by_one_and_sent_again_by_another(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = a_dead_letter(bank)
    body = json.loads(bank.json("dead-letters", "show", str(number))["body"])
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps({**body, "certificate": BROWSER, "customer": BROWSER}))

    as_staff = ("--who", "T01", "--why", "wrong number")
    edited = bank.run("dead-letters", "edit", str(number), str(mended), *as_staff)
    seen = ("--sha256", bank.json("dead-letters", "show", str(number))["edit_sha256"])
    own = bank.run("dead-letters", "send", str(number), *seen, *as_staff)
    monkeypatch.setattr("xuqi.cli.commands.dead_letters.operator", lambda: "another")
    unseen = bank.run("dead-letters", "send", str(number), *as_staff)
    older = bank.run("dead-letters", "send", str(number), "--sha256", "0" * 64, *as_staff)
    sent = bank.run("dead-letters", "send", str(number), *seen, *as_staff)
    bank.drain()

    ended = [it.exit_code for it in (edited, own, unseen, older, sent)]
    assert ended == [0, 1, 1, 1, 0], sent.output
    assert f"xuqi dead-letters show {number}" in unseen.stderr
    assert bank.listed("dead-letters", "list") == []
    assert [row["kind"] for row in bank.listed("messages", "list")] == ["reminder"]


def test_all_that_match_are_sent_again_when_their_number_is_right(bank: Bank) -> None:
    number = a_dead_letter(bank)
    command = ("dead-letters", "replay-all", "--consumer", "reminders", "--who", "T01")

    wrong = bank.run(*command, "--why", "again", "--all-of", "2")
    right = bank.run(*command, "--why", "again", "--all-of", "1")
    bank.drain()

    assert (wrong.exit_code, right.exit_code) == (1, 0), right.output
    assert right.stdout == "1 sent again, 0 skipped\n"
    [row] = bank.listed("dead-letters", "list")
    assert row["id"] > number  # it is still bad


def test_a_dead_letter_that_is_still_bad_dies_again(bank: Bank) -> None:
    number = a_dead_letter(bank)

    replayed = bank.run("dead-letters", "replay", str(number), "--who", "T01", "--why", "again")
    bank.drain()

    assert replayed.exit_code == 0, replayed.output
    [row] = bank.listed("dead-letters", "list")
    assert row["id"] > number


def test_a_dead_letter_that_is_not_there_is_refused(bank: Bank) -> None:
    refused(bank.run("dead-letters", "replay", "7", "--who", "T", "--why", "w"), "dead letter 7")
    refused(bank.run("dead-letters", "show", "7"), "dead letter 7")


def test_what_nobody_has_read_is_told_again_from_its_first_event_on(bank: Bank) -> None:
    staff = ("--who", "T01", "--why", "the broker's disk")
    bank.drain()
    bank.run("scan")
    embedded = bank.run("events", "relay-again", *staff)
    bank.environment["XUQI_LOG_URL"] = "kafka://127.0.0.1:1"  # none is asked
    newest = bank.listed("events", "tail")[-1]["position"]
    with bank.app.store.transaction() as work:
        for lane in LANES:
            advance(work, lane, newest)

    dry = bank.json("events", "relay-again", "--dry-run", *staff)
    places = relays_of(bank)
    done = bank.json("events", "relay-again", *staff)
    after = relays_of(bank)
    first = next(row for row in bank.listed("events", "tail") if row["position"] == dry["first"])
    bank.drain()
    nothing = bank.json("events", "relay-again", *staff)

    assert (embedded.exit_code, "only a log on Kafka" in embedded.stderr) == (2, True)
    assert dry == {"first": first["position"], "identity": first["identity"], "set_back": False}
    assert done == {**dry, "set_back": True}
    assert places == [newest] * 2
    assert after == [dry["first"] - 1] * 2
    assert nothing == {"first": None, "identity": None, "set_back": False}


def relays_of(bank: Bank) -> list[int]:
    with bank.app.store.snapshot() as look:
        return [position_of(look, lane) for lane in LANES]


def test_status_counts_states_lag_and_dead_letters(bank: Bank) -> None:
    a_dead_letter(bank)
    bank.run("scan")

    told = bank.json("status")

    assert told["certificates"] == {"active": 1}
    assert told["consumers"]["reminders"]["dead"] == 1
    assert told["consumers"]["reminders"]["behind"] == 1
    assert told["serve"]["running"] is False
    assert told["leader"] is None


def test_the_settings_are_shown_without_secrets(bank: Bank) -> None:
    bank.environment["XUQI_STORE_URL"] = "postgresql+psycopg://xuqi:hunter2@db/xuqi"
    bank.environment["XUQI_SECRET_CODES"] = "hunter3"  # noqa: S105 - of a test

    result = bank.run("config", "show", "--json")

    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    assert "hunter3" not in result.output
    assert json.loads(result.stdout)["secrets"]["codes"] == "XUQI_SECRET_CODES"


def test_an_unknown_setting_stops_every_command(bank: Bank) -> None:
    bank.environment["XUQI_PROT"] = "8480"

    result = bank.run("status")

    assert result.exit_code == 2
    assert "XUQI_PROT" in result.stderr
    assert "XUQI_PORT" in result.stderr


def test_a_database_that_is_away_is_unavailable_and_not_refused(bank: Bank) -> None:
    (bank.home / "blocked").write_text("a file where a folder must be")
    bank.environment["XUQI_STORE_URL"] = f"sqlite:///{bank.home}/blocked"

    result = bank.run("status")

    assert (result.exit_code, len(result.stderr.strip().splitlines())) == (3, 1), result.output


def test_bringing_the_database_up_to_date_twice_is_harmless(bank: Bank) -> None:
    assert [bank.run("db", "upgrade").exit_code for _ in range(2)] == [0, 0]


def test_an_error_is_told_in_the_language_that_is_spoken(bank: Bank) -> None:
    zh = bank.run("ca", "ocsp", "zz", lang="zh-TW")
    bank.environment["XUQI_PROT"] = "1"

    assert zh.exit_code == 2
    assert bank.run("status", lang="zh-TW").stderr.startswith("xuqi: 設定不能用：")


# --- import -------------------------------------------------------------------------------------


def test_certificates_come_in_from_a_folder_after_a_dry_run(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "one.der").write_bytes(_other_certificate(bank))
    (folder / "note.pem").write_text("this is no certificate")

    anchor = tmp_path / "root.crt"
    anchor.write_bytes(bank.app.gateways.ca.root_certificate)  # type: ignore[attr-defined]
    asked = ("--product", "securities-browser", "--issuer", str(anchor))

    tried = bank.run("import", "certificates", str(folder), *asked, "--dry-run")
    known = len(bank.listed("certificates", "list"))
    done = bank.run("import", "certificates", str(folder), *asked)

    assert "dry run" in tried.stdout
    assert "1 new" in tried.stdout
    assert known == 1
    assert "1 new" in done.stdout
    assert done.exit_code == 1  # one file was refused
    assert "note.pem" in done.stderr
    assert len(bank.listed("certificates", "list")) == 2


def test_a_file_that_is_not_there_is_a_usage_error(bank: Bank) -> None:
    assert bank.run("import", "customers", "nowhere.csv").exit_code == 2


def _other_certificate(bank: Bank) -> bytes:
    ca: Any = bank.app.gateways.ca
    der: bytes = ca.issuing_certificate
    assert x509.load_der_x509_certificate(der).serial_number
    return der


def test_a_conflict_is_told_and_not_shown_as_a_crash(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_was_first(*_: object, **__: object) -> None:
        raise ConflictError("renewals: a row was changed by another transaction")

    monkeypatch.setattr("back_office.actions.request", somebody_was_first)

    refused(
        bank.run("renewals", "start", "1", "--who", "T", "--why", "w"),
        "changed by another transaction",
    )


def test_customers_come_in_from_a_file_with_a_finding_for_each_row_that_is_not_taken(
    bank: Bank, tmp_path: Path
) -> None:
    file, findings = tmp_path / "customers.csv", tmp_path / "findings.csv"
    write_customers(file, customer_rows(5))
    with file.open("a", encoding="utf-8") as more:
        more.write("half a row\n")

    tried = bank.run("import", "customers", str(file), "--dry-run", "--findings", str(findings))
    done = bank.run("import", "customers", str(file))
    again = bank.run("import", "customers", str(file))

    assert "dry run: 6 rows: 5 new" in tried.stdout
    assert "line 7" in findings.read_text(encoding="utf-8-sig")
    assert "done: 6 rows: 5 new" in done.stdout
    assert "0 new, 0 changed, 5 unchanged, 1 refused" in again.stdout
    assert [result.exit_code for result in (tried, done, again)] == [1, 1, 1]


def test_check_finds_nothing_wrong_with_what_the_house_has_done(bank: Bank) -> None:
    bank.run("scan")
    bank.drain()

    result = bank.run("check")

    assert result.exit_code == 0, result.output
