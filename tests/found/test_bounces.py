"""A report on a mail that a relay had taken is read, believed by its address, and acted upon."""

from __future__ import annotations

import mailbox
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003 - of a dataclass
from typing import TYPE_CHECKING, Protocol
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from renewal.store import alarms
from scheduler.bounces import TakenIn
from tests.found.house import connect, disconnect, remind
from tests.found.scripted_imap import PASSWORD, ScriptedImap
from tests.found.scripted_smtp import ScriptedSmtp
from tests.scenario.sample import TOKEN, open_sample
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.serving.process import timetable_of
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.timetable import Timetable
    from tests.scenario.scenario import Scenario

REPORT = """\
Return-Path: {sender}
Delivered-To: {to}
From: MAILER-DAEMON@relay.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

no
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; x@example.com
Action: {action}
Status: {status}

--b--
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "bank")
    yield opened
    disconnect(opened)
    opened.close()


def reminded(world: Scenario, post: ScriptedSmtp) -> str:
    """The return address of the reminder that the relay has taken."""
    connect(world, mail=post.url)
    remind(world)
    (address,) = post.returns()
    return address


def report(to: str, *, sender: str = "<>", action: str = "failed", status: str = "5.1.1") -> bytes:
    text = REPORT.format(to=to, sender=sender, action=action, status=status)
    return text.replace("\n", "\r\n").encode()


def run(world: Scenario, *words: str, given: bytes = b"", bounces: str = "") -> str:
    context = CliContext(clock=world.clock, environment={"XUQI_BOUNCES_URL": bounces})
    arguments = ["--home", str(world.home), "--lang", "en", "mail", *words]
    called = CliRunner().invoke(xuqi, arguments, obj=context, input=given)
    assert called.exit_code == 0, called.output
    return called.output


def channels(world: Scenario) -> list[tuple[str, str]]:
    query = "SELECT channel, state FROM messages WHERE customer = :c AND kind = 'reminder'"
    return [(row[0], row[1]) for row in world.rows(f"{query} ORDER BY claimed_at, id", c=TOKEN)]


def test_m04_a_bounced_mail_is_followed_by_a_text(world: Scenario) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)

        said = run(world, "bounce", given=report(to))
        again = run(world, "bounce", given=report(to))
        world.drain()

    assert "on record" in said
    assert "passed over" in again
    assert channels(world) == [("mail", "undelivered"), ("sms", "handed over")]


@pytest.mark.parametrize(
    "raw",
    [
        lambda to: report(to, sender="<x@evil.example>"),
        lambda to: report(to.replace("bounce+", "bounce+x")),
        lambda to: report(to, action="delayed", status="4.4.1"),
        lambda to: report(to, action="delivered", status="2.0.0"),
        lambda _: b"Subject: out of office\r\n\r\nI am away",
        lambda _: b"\xff\xfe",
    ],
)
def test_m04_what_ends_no_mail_of_ours_changes_nothing(world: Scenario, raw: object) -> None:
    assert callable(raw)
    with ScriptedSmtp() as post:
        to = reminded(world, post)

        said = run(world, "bounce", given=raw(to))
        world.drain()

    assert "passed over" in said
    assert channels(world) == [("mail", "handed over")]


def test_m04_the_envelope_of_the_pipe_counts_before_the_headers(world: Scenario) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)

        run(world, "bounce", "--from", "", "--to", to.lower(), given=report("x", sender="<a@b.tw>"))

    assert channels(world) == [("mail", "undelivered")]


def test_m04_a_mailbox_is_read_once(world: Scenario, tmp_path: Path) -> None:
    (tmp_path / "box" / "new").mkdir(parents=True)
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        (tmp_path / "box" / "new" / "1").write_bytes(report(to))
        (tmp_path / "box" / "new" / "2").write_bytes(b"hello")

        first = run(world, "fetch", str(tmp_path / "box"))
        second = run(world, "fetch", str(tmp_path / "box"))

    assert first.strip() == "1 on record, 1 passed over"
    assert second.strip() == "0 on record, 0 passed over"
    assert channels(world) == [("mail", "undelivered")]


def test_m04_after_a_lost_answer_the_copy_is_the_same_mail(world: Scenario) -> None:
    answers = iter(["cut"])
    with ScriptedSmtp(END=lambda _: next(answers, "250 2.0.0 queued")) as post:
        reminded(world, post)
        world.wait(hours=2)
        world.drain()

        heads = [
            sorted(line for line in mail.split(b"\r\n") if line[:5].lower() in {b"date:", b"messa"})
            for mail in post.mails
        ]

    assert len(heads) == 2
    assert heads[0] == heads[1]


# --- by the scheduler ---------------------------------------------------------------------------


class Box(Protocol):
    """A mailbox that is put to, and that is read by its address."""

    @property
    def url(self) -> str: ...

    def put(self, *mails: bytes) -> None: ...

    def unread(self) -> int: ...


@dataclass
class MaildirBox:
    folder: Path

    @property
    def url(self) -> str:
        return f"maildir:{self.folder}"

    def put(self, *mails: bytes) -> None:
        box = mailbox.Maildir(self.folder)
        for mail in mails:
            box.add(mail)

    def unread(self) -> int:
        return len(list((self.folder / "new").iterdir()))


@dataclass
class ImapBox:
    server: ScriptedImap

    @property
    def url(self) -> str:
        return self.server.url

    def put(self, *mails: bytes) -> None:
        begin = len(self.server.mails) + 7
        self.server.mails.update(enumerate(mails, begin))

    def unread(self) -> int:
        return len(set(self.server.mails) - self.server.seen)


@pytest.fixture(params=["maildir", "imap"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    if request.param == "maildir":
        box = MaildirBox(tmp_path / "box")
        box.put()
        yield box
    else:
        with ScriptedImap() as server:
            yield ImapBox(server)


def timetable(world: Scenario, url: str, monkeypatch: pytest.MonkeyPatch) -> Timetable:
    """As `xuqi serve` makes it with this setting."""
    monkeypatch.setenv("XUQI_SECRET_BOUNCES", PASSWORD)
    settings = replace(world.app.settings, bounces_url=url)
    return timetable_of(replace(world.app, settings=settings))


def test_m04_the_scheduler_reads_the_mailbox_each_minute(
    world: Scenario, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        box.put(b"Subject: hello\r\n\r\nI am away\r\n", report(to), report(to))
        jobs = timetable(world, box.url, monkeypatch)

        first, again = jobs.run("bounces"), jobs.run("bounces")
        world.drain()

    assert (first, again) == (TakenIn(recorded=1, passed=2), TakenIn())
    assert box.unread() == 0
    assert channels(world) == [("mail", "undelivered"), ("sms", "handed over")]


def test_m04_what_a_crash_has_left_unmarked_changes_nothing_again(
    world: Scenario, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        box.put(report(to))
        jobs = timetable(world, box.url, monkeypatch)
        assert jobs.bounces is not None
        power_cut = patch.object(type(jobs.bounces.mailbox), "mark", side_effect=SystemExit)
        with power_cut, pytest.raises(SystemExit):
            jobs.run("bounces")

        again = jobs.run("bounces")
        world.drain()

    assert again == TakenIn(passed=1)
    assert channels(world) == [("mail", "undelivered"), ("sms", "handed over")]


def test_m04_a_report_to_an_address_of_somebody_elses_making_is_passed_over(
    world: Scenario, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        name, domain = to.split("@")
        forged = f"{name[:-1]}{'a' if name[-1] != 'a' else 'b'}@{domain}"
        box.put(report(forged), report(to, sender="<x@evil.example>"), b"x" * 2_000_000)

        done = timetable(world, box.url, monkeypatch).run("bounces")

    assert done == TakenIn(passed=3)
    assert box.unread() == 0
    assert channels(world) == [("mail", "handed over")]


def test_m04_a_report_that_names_the_address_in_its_to_alone_is_known(
    world: Scenario, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        box.put(report(to).replace(b"Delivered-To", b"To"))

        done = timetable(world, box.url, monkeypatch).run("bounces")

    assert done == TakenIn(recorded=1)


def alarms_of(world: Scenario) -> list[tuple[str, str]]:
    with world.app.store.snapshot() as look:
        return [(alarm.kind, alarm.code) for alarm in alarms.open_alarms(look)]


def test_m04_a_mailbox_that_cannot_be_read_is_told_after_an_hour(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedImap(cut_at="SEARCH") as server:
        jobs = timetable(world, server.url, monkeypatch)
        jobs.run("bounces")
        early = alarms_of(world)
        world.wait(minutes=61)
        jobs.run("bounces")
        late = alarms_of(world)
        server.cut_at = ""
        jobs.run("bounces")

    assert early == []
    assert late == [("bounces unread", "unavailable")]
    assert alarms_of(world) == []


def test_m04_a_wrong_password_is_told_at_once(
    world: Scenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedImap() as server:
        jobs = timetable(world, server.url, monkeypatch)
        assert jobs.bounces is not None
        monkeypatch.setattr(jobs.bounces.mailbox, "_login", ("somebody", "guessed"))

        jobs.run("bounces")

    assert alarms_of(world) == [("bounces unread", "refused")]
    assert "guessed" not in caplog.text


def test_m04_staff_may_read_the_mailbox_by_hand(world: Scenario, box: Box) -> None:
    with ScriptedSmtp() as post:
        to = reminded(world, post)
        box.put(report(to))
        (world.home / "secrets" / "bounces.key").write_text(PASSWORD)

        said = run(world, "fetch", bounces=box.url)

    assert said.strip() == "1 on record, 0 passed over"


@pytest.mark.parametrize(
    "url",
    [
        "maildir:/not/there",
        "maildir:here",
        "imaps://mail.bank.example/INBOX",
        "imap://x@mail.bank.example/?tls=off",
        "imap://x@mail.bank.example/?tls=perhaps",
        "imaps://x@mail.bank.example/?ca_file=/not/there",
        "pop3://x@mail.bank.example/",
    ],
)
def test_m04_a_mailbox_that_cannot_be_opened_stops_the_start_by_name(
    world: Scenario, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(SettingsError, match="XUQI_BOUNCES_URL"):
        timetable(world, url, monkeypatch)
