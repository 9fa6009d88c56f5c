"""What every carrier of mail promises, on each that we have."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from renewal.clock import SystemClock
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.mail.mailbox import (
    LocalMail,
    MailAnswerLost,
    MailRefused,
    MailUnavailable,
    Outcome,
)
from renewal.gateways.mail.port import Mail, MailGateway
from renewal.gateways.mail.smtp import SmtpMail, SmtpServer
from tests.servers.mail_peer import MailPeer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIL = Mail(
    id="m-1",
    to="chen@customer.example",
    subject="憑證將於12月1日到期",
    text="親愛的客戶您好\n",
    html="<p>親愛的客戶您好</p>",
    locale="zh-TW",
)


class Carrier(Protocol):
    """A gateway, and the hand that plays the world behind it."""

    @property
    def gateway(self) -> MailGateway: ...

    def held(self) -> int: ...

    def refuse(self, mail: Mail, code: str, /) -> None: ...

    def be_closed(self) -> None: ...

    def lose_the_answer(self) -> None: ...

    def close(self) -> None: ...


class SmtpOnLoopback:
    def __init__(self, peer: MailPeer) -> None:
        self.peer = peer
        self.gateway = SmtpMail(
            SmtpServer(
                host=peer.host,
                port=peer.port,
                ca_file=str(peer.ca_file),
                timeout=timedelta(seconds=5),
                end_timeout=timedelta(seconds=5),
            ),
            sender="renewals@bank.example",
            key=b"key",
            clock=SystemClock(),
        )

    def held(self) -> int:
        return len(self.peer.received)

    def refuse(self, mail: Mail, code: str) -> None:
        self.peer.refuse[mail.to] = f"550 {code} no such user {mail.to}"

    def be_closed(self) -> None:
        self.peer.to_mail = "451 4.3.2 try later"

    def lose_the_answer(self) -> None:
        self.peer.to_data = "drop"

    def close(self) -> None:
        self.gateway.close()


class MailboxInAFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.next: Outcome | None = None
        self.gateway = LocalMail(path, SystemClock(), outcome=lambda _: self.next)

    def held(self) -> int:
        return len([json.loads(line) for line in self.path.read_text().splitlines()])

    def refuse(self, _: Mail, code: str) -> None:
        self.next = MailRefused(code=code)

    def be_closed(self) -> None:
        self.next = MailUnavailable()

    def lose_the_answer(self) -> None:
        self.next = MailAnswerLost()

    def close(self) -> None:
        self.gateway.close()


@pytest.fixture(params=["smtp", "mailbox"])
def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Carrier]:
    if request.param == "mailbox":
        local = MailboxInAFile(tmp_path / "mail.jsonl")
        yield local
        local.close()
        return
    with MailPeer(tmp_path) as peer:
        smtp = SmtpOnLoopback(peer)
        yield smtp
        smtp.close()


@pytest.fixture
def cannot_find(carrier: Carrier, request: pytest.FixtureRequest) -> None:
    if isinstance(carrier, SmtpOnLoopback):
        why = "SMTP has no question for what became of a mail; its Message-ID is the same again"
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=why))


def a_while_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.shows("D02")
def test_a_mail_is_handed_over_once(carrier: Carrier) -> None:
    message_id = carrier.gateway.send(MAIL)

    assert message_id.startswith("<m-1@")
    assert carrier.held() == 1


def test_the_same_mail_has_the_same_message_id_again(carrier: Carrier) -> None:
    first, second = carrier.gateway.send(MAIL), carrier.gateway.send(MAIL)
    other = carrier.gateway.send(replace(MAIL, id="m-2"))

    assert first == second
    assert other != first


@pytest.mark.usefixtures("cannot_find")
def test_a_mail_that_was_sent_is_found(carrier: Carrier) -> None:
    message_id = carrier.gateway.send(MAIL)

    found = carrier.gateway.find(MAIL, since=a_while_ago())

    assert found == message_id


@pytest.mark.usefixtures("cannot_find")
def test_a_lost_answer_is_unsure_and_the_mail_is_found(carrier: Carrier) -> None:
    carrier.lose_the_answer()

    with pytest.raises(GatewayUnsureError):
        carrier.gateway.send(MAIL)

    assert carrier.gateway.find(MAIL, since=a_while_ago()) is not None


def test_after_a_lost_answer_the_mail_is_there(carrier: Carrier) -> None:
    carrier.lose_the_answer()

    with pytest.raises(GatewayUnsureError):
        carrier.gateway.send(MAIL)

    assert carrier.held() == 1


def test_a_mail_that_was_never_sent_is_not_found(carrier: Carrier) -> None:
    carrier.gateway.send(MAIL)

    assert carrier.gateway.find(replace(MAIL, id="m-9"), since=a_while_ago()) is None


def test_a_mail_from_before_is_not_found(carrier: Carrier) -> None:
    carrier.gateway.send(MAIL)
    later = datetime.now(UTC) + timedelta(minutes=5)

    assert carrier.gateway.find(MAIL, since=later) is None


def test_a_refusal_carries_the_status_and_nothing_is_sent(carrier: Carrier) -> None:
    carrier.refuse(MAIL, "5.1.1")

    with pytest.raises(GatewayRefusedError) as caught:
        carrier.gateway.send(MAIL)

    assert caught.value.code == "5.1.1"
    assert MAIL.to not in str(caught.value)
    assert carrier.held() == 0


def test_a_closed_server_has_nothing(carrier: Carrier) -> None:
    carrier.be_closed()

    with pytest.raises(GatewayUnavailableError) as caught:
        carrier.gateway.send(MAIL)

    assert caught.value.retry_after > timedelta(0)
    assert carrier.held() == 0


@pytest.mark.parametrize(
    "to",
    [
        "",
        "no-at-sign",
        "a@b@c",
        "a b@c.example",
        "a@b.example\r\nBcc: x@y.example",
        "a@b.example\nRCPT TO:<x@y.example>",
        "<a@b.example>",
        "a@b.example,c@d.example",
        "a..b@c.example",
        "a@-b.example",
        "a@b..example",
        f"{'a' * 250}@b.example",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(carrier: Carrier, to: str) -> None:
    with pytest.raises(GatewayRefusedError) as caught:
        carrier.gateway.send(replace(MAIL, to=to))

    assert caught.value.code == "5.1.3"
    assert carrier.held() == 0
