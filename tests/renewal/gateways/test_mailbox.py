"""The local mailbox is a file that outlives its process and that several processes may share."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.clock import SystemClock, VirtualClock
from renewal.errors import GatewayUnavailableError
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.mail.null import NullMail
from renewal.gateways.mail.port import Mail, MailGateway
from renewal.gateways.mailbox_file import MailboxFileError
from renewal.gateways.sms.mailbox import LocalSms, SmsUnavailable
from renewal.gateways.sms.null import NullSms
from renewal.gateways.sms.port import DeliveryReport, Lane, Sms, SmsGateway

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
SMS = Sms(id="m-1", to="+886912345678", body="驗證碼 4711\r\n\u2028完", lane=Lane.CODES)
MAIL = Mail(
    id="m-1",
    to="chen@customer.example",
    subject="到期通知",
    text="親愛的客戶\n",
    html="<p>親愛的客戶</p>",
    locale="zh-TW",
)


def local(path: Path) -> LocalSms:
    return LocalSms(path, VirtualClock(NOON))


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def test_a_text_message_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "var" / "sms.jsonl"
    with closing(local(path)) as carrier:
        carrier_id = carrier.send(SMS)

    assert lines(path) == [
        {
            "at": "2026-11-23T04:00:00.000001+00:00",
            "to": SMS.to,
            "body": SMS.body,
            "id": carrier_id,
            "ref": "m-1",
        }
    ]


def test_a_mail_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mail.jsonl"
    with closing(LocalMail(path, VirtualClock(NOON))) as carrier:
        message_id = carrier.send(MAIL)

    assert lines(path) == [
        {
            "at": "2026-11-23T04:00:00.000001+00:00",
            "to": MAIL.to,
            "subject": MAIL.subject,
            "body": MAIL.text,
            "id": message_id,
            "ref": "m-1",
        }
    ]


def test_only_the_owner_may_read_a_mailbox(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)):
        assert path.stat().st_mode & 0o077 == 0


def test_a_message_is_found_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as before:
        carrier_id = before.send(SMS)

    with closing(local(path)) as after:
        assert after.find(SMS, since=NOON) == carrier_id
        assert after.report(carrier_id) == (DeliveryReport.DELIVERED, "")


def test_the_moment_itself_is_within_since_and_the_next_is_not(tmp_path: Path) -> None:
    with closing(local(tmp_path / "sms.jsonl")) as carrier:
        carrier_id = carrier.send(SMS)
        moment = NOON + timedelta(microseconds=1)

        assert carrier.find(SMS, since=moment) == carrier_id
        assert carrier.find(SMS, since=moment + timedelta(microseconds=1)) is None


def test_a_message_sent_twice_stands_twice_and_the_first_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as carrier:
        first, second = carrier.send(SMS), carrier.send(SMS)

        assert first != second
        assert carrier.find(SMS, since=NOON) == first
        assert len(lines(path)) == 2


def test_what_another_gateway_wrote_to_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as one, closing(local(path)) as other:
        assert one.find(SMS, since=NOON) is None
        first = other.send(SMS)
        assert one.find(SMS, since=NOON) == first
        second = other.send(replace(SMS, id="m-2"))

        assert one.find(replace(SMS, id="m-2"), since=NOON) == second


def _send_many(path: Path, who: int) -> None:
    with closing(LocalSms(path, SystemClock())) as carrier:
        for n in range(100):
            sms = replace(SMS, id=f"{who}-{n}", body="字" * 2000)
            carrier.send(sms)
            assert carrier.find(sms, since=NOON - timedelta(days=10_000))


def test_two_processes_write_and_read_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_send_many, args=(path, who)) for who in range(2)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0]
    refs = [line["ref"] for line in lines(path)]
    assert sorted(refs) == sorted(f"{who}-{n}" for who in range(2) for n in range(100))


def test_a_writer_waits_while_another_process_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as carrier, path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=carrier.send, args=(SMS,))
        writer.start()
        writer.join(0.1)
        waiting, written = writer.is_alive(), lines(path)
        fcntl.flock(other, fcntl.LOCK_UN)
        writer.join(60)

        assert waiting
        assert written == []
        assert len(lines(path)) == 1


def test_threads_share_a_mailbox(tmp_path: Path) -> None:
    with closing(local(tmp_path / "sms.jsonl")) as carrier:
        found: list[bool] = []

        def send(n: int) -> None:
            sms = replace(SMS, id=f"m-{n}")
            found.append(carrier.send(sms) == carrier.find(sms, since=NOON))

        threads = [threading.Thread(target=send, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert found == [True] * 20


def test_an_emptied_mailbox_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as carrier:
        old = carrier.send(SMS)
        carrier.find(SMS, since=NOON)
        path.write_text("")

        new = carrier.send(replace(SMS, body="x"))

        assert carrier.find(SMS, since=NOON) == new
        assert old != new


@pytest.mark.parametrize(
    "line",
    ["not json", "{}", '{"at": "yesterday", "id": "1", "ref": "2"}', "[]"],
)
def test_a_line_that_is_not_ours_is_named_by_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sms.jsonl"
    with closing(local(path)) as carrier:
        carrier.send(SMS)
        size = path.stat().st_size
        with path.open("a") as file:
            file.write(f"{line}\n")

        with pytest.raises(MailboxFileError, match=rf"sms\.jsonl, byte {size}:"):
            carrier.find(SMS, since=NOON)


def test_a_carrier_told_to_be_closed_says_when_to_come_back(tmp_path: Path) -> None:
    wait = timedelta(minutes=7)
    path = tmp_path / "sms.jsonl"
    closed = LocalSms(path, VirtualClock(NOON), outcome=lambda _: SmsUnavailable(retry_after=wait))
    with closing(closed), pytest.raises(GatewayUnavailableError) as caught:
        closed.send(SMS)

    assert caught.value.retry_after == wait


def test_null_gateways_keep_counts_only() -> None:
    sms, mail = NullSms(), NullMail()
    as_ports: tuple[SmsGateway, MailGateway] = (sms, mail)

    ids = {as_ports[0].send(SMS) for _ in range(3)} | {as_ports[1].send(MAIL) for _ in range(2)}

    assert (sms.sent, mail.sent) == (3, 2)
    assert len(ids) == 5
    assert as_ports[0].find(SMS, since=NOON) is None
    assert as_ports[1].find(MAIL, since=NOON) is None
    assert as_ports[0].report("null-1") == (DeliveryReport.DELIVERED, "")
