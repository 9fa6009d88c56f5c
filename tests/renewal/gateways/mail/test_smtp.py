"""What goes over the wire to a mail server, and what becomes of each way in which it fails."""

from __future__ import annotations

import smtplib
import socket
import threading
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renewal.clock import VirtualClock
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.mail.message import MailSender, ascii_address, write
from renewal.gateways.mail.port import Mail
from renewal.gateways.mail.smtp import SmtpMail, SmtpServer, Tls, envid_of
from renewal.gateways.mail.verp import return_address
from renewal.gateways.sms.port import GatewayMisconfiguredError
from tests.servers.fault_proxy import FaultProxy
from tests.servers.mail_peer import PASSWORD, USER, MailPeer, Received

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
KEY = b"key"
MAIL = Mail(
    id="m-1",
    to="chen@customer.example",
    subject="憑證將於12月1日到期",
    text="親愛的客戶您好\n.一行以點開頭\n..\n",
    html="<p>親愛的客戶您好</p>\n",
    locale="zh-TW",
)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[MailPeer]:
    with MailPeer(tmp_path) as running:
        yield running


@pytest.fixture
def carrier(peer: MailPeer) -> Iterator[SmtpMail]:
    gateway = smtp(peer)
    yield gateway
    gateway.close()


SERVER = {one.name for one in fields(SmtpServer)}


def smtp(peer: MailPeer, **other: Any) -> SmtpMail:  # noqa: ANN401 - whatever the gateway takes
    given: dict[str, Any] = {
        "host": peer.host,
        "port": peer.port,
        "sender": "renewals@bank.example",
        "sender_name": "華南銀行",
        "key": KEY,
        "clock": VirtualClock(NOON),
        "bounce_domain": "bounce.bank.example",
        "ca_file": str(peer.ca_file),
        "timeout": timedelta(seconds=5),
        "end_timeout": timedelta(seconds=5),
    }
    asked = given | other
    if "tls" in asked:
        asked["tls"] = Tls(asked["tls"])
    server = SmtpServer(**{name: asked.pop(name) for name in SERVER & asked.keys()})
    return SmtpMail(server, **asked)


def sent(carrier: SmtpMail, peer: MailPeer, mail: Mail = MAIL) -> Received:
    carrier.send(mail)
    return peer.received[-1]


def test_a_mail_arrives_whole(carrier: SmtpMail, peer: MailPeer) -> None:
    message = sent(carrier, peer).message

    assert message["From"] == "華南銀行 <renewals@bank.example>"
    assert message["To"] == MAIL.to
    assert message["Subject"] == MAIL.subject
    assert message["Date"].datetime == NOON
    assert message["Message-ID"] == "<m-1@bank.example>"
    assert message["Content-Language"] == "zh-TW"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == MAIL.text
    assert html.get_content().replace("\r\n", "\n") == MAIL.html


def test_a_mail_without_html_is_plain_text(carrier: SmtpMail, peer: MailPeer) -> None:
    message = sent(carrier, peer, replace(MAIL, html=None)).message

    assert message.get_content_type() == "text/plain"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text


def test_lines_that_begin_with_a_dot_end_nothing(carrier: SmtpMail, peer: MailPeer) -> None:
    text = ".\n..\n.hidden\nMAIL FROM:<x@y.example>\n"

    message = sent(carrier, peer, replace(MAIL, text=text, html=None)).message

    assert message.get_content().replace("\r\n", "\n") == text


def test_the_wire_carries_seven_bits_and_short_lines(carrier: SmtpMail, peer: MailPeer) -> None:
    content = sent(carrier, peer, replace(MAIL, text="字" * 3000 + "x" * 3000)).content

    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998  # RFC 5322, 2.1.1


def test_the_envelope_returns_to_us(carrier: SmtpMail, peer: MailPeer) -> None:
    received = sent(carrier, peer)

    assert received.mail_from == return_address("m-1", key=KEY, domain="bounce.bank.example")
    assert received.mail_options == ["RET=HDRS", "ENVID=m-1"]
    assert received.rcpt_to == [MAIL.to]
    assert received.rcpt_options == ["NOTIFY=FAILURE"]


LINE_BREAKS = ["\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\r\n\r\n", "\0\n"]


@pytest.mark.parametrize("line_break", LINE_BREAKS)
def test_a_subject_cannot_add_a_header(carrier: SmtpMail, peer: MailPeer, line_break: str) -> None:
    received = sent(carrier, peer, replace(MAIL, subject=f"Hello{line_break}Bcc: x@y.example"))

    assert received.message["Subject"] == "Hello Bcc: x@y.example"
    assert received.message["Bcc"] is None
    assert received.rcpt_to == [MAIL.to]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    subject=st.text(st.characters(exclude_categories=["Cs"])),
    locale=st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    mail_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_whatever_stands_in_a_mail_there_are_just_our_headers(
    subject: str, locale: str, mail_id: str
) -> None:
    mail = replace(MAIL, id=mail_id, subject=subject, locale=locale)
    sender = MailSender(address="renewals@bank.example", key=KEY)

    head = write(mail, sender, at=NOON).as_bytes().partition(b"\r\n\r\n")[0]

    fields = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert fields == [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Language",
    ]


def test_a_domain_outside_ascii_is_written_in_ascii() -> None:
    assert ascii_address("chen@銀行.example") == "chen@xn--vhq23t.example".replace(
        "xn--vhq23t", "銀行".encode("idna").decode()
    )


def test_a_local_part_outside_ascii_is_refused_by_its_status() -> None:
    with pytest.raises(GatewayRefusedError) as caught:
        ascii_address("陳@customer.example")

    assert caught.value.code == "5.6.7"


@pytest.mark.parametrize(
    ("mail_id", "envid"),
    [("m-1", "m-1"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("a\r\nb", "a+0D+0Ab")],
)
def test_an_envelope_id_is_xtext(mail_id: str, envid: str) -> None:
    assert envid_of(mail_id) == envid


@pytest.mark.parametrize("mail_id", ["x" * 101, "訊息"])
def test_an_odd_envelope_id_is_a_hash(mail_id: str) -> None:
    assert len(envid_of(mail_id)) == 32


def test_one_connection_carries_many_mails(carrier: SmtpMail, peer: MailPeer) -> None:
    for n in range(5):
        carrier.send(replace(MAIL, id=f"m-{n}"))

    assert len(peer.received) == 5
    assert peer.connections == 1


def test_each_thread_has_its_connection(carrier: SmtpMail, peer: MailPeer) -> None:
    threads = [threading.Thread(target=carrier.send, args=(MAIL,)) for _ in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(peer.received) == 3
    assert peer.connections == 3


def test_a_connection_that_was_closed_while_idle_is_opened_again(
    carrier: SmtpMail, peer: MailPeer
) -> None:
    carrier.send(MAIL)
    peer.drop_all()

    carrier.send(replace(MAIL, id="m-2"))

    assert [one.message["Message-ID"][:4] for one in peer.received] == ["<m-1", "<m-2"]
    assert peer.connections == 2


def test_a_server_that_takes_so_many_mails_on_a_connection_gets_the_rest_on_another(
    carrier: SmtpMail, peer: MailPeer
) -> None:
    peer.at_most = 2

    for n in range(5):
        carrier.send(replace(MAIL, id=f"m-{n}"))

    assert len(peer.received) == 5
    assert peer.connections == 3


def test_the_end_of_the_content_is_waited_for_longer_than_the_rest(
    peer: MailPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []
    replies = smtplib.SMTP.getreply

    def getreply(connection: smtplib.SMTP) -> tuple[int, bytes]:
        waited.append(connection.sock.gettimeout() if connection.sock else None)
        return replies(connection)

    monkeypatch.setattr(smtplib.SMTP, "getreply", getreply)
    patient = smtp(peer, timeout=timedelta(seconds=60), end_timeout=timedelta(seconds=600))

    with closing(patient):
        patient.send(MAIL)
        first = waited.copy()
        waited.clear()
        patient.send(replace(MAIL, id="m-2"))

    assert (set(first[:-1]), first[-1]) == ({60}, 600)
    assert waited[0] == 60


def test_a_refused_mail_does_not_spoil_the_next(carrier: SmtpMail, peer: MailPeer) -> None:
    peer.refuse["gone@customer.example"] = "550 5.1.1 no such user"
    with pytest.raises(GatewayRefusedError):
        carrier.send(replace(MAIL, to="gone@customer.example"))

    carrier.send(MAIL)

    assert [one.rcpt_to for one in peer.received] == [[MAIL.to]]
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        ("550 5.1.1 no such user", GatewayRefusedError, "5.1.1"),
        ("550 no such user", GatewayRefusedError, "550"),
        ("554 5.7.1 not from you", GatewayRefusedError, "5.7.1"),
        ("552 5.2.2 mailbox full", GatewayRefusedError, "5.2.2"),
        ("530 5.7.0 log in first", GatewayMisconfiguredError, "530"),
        ("450 4.2.1 grey", GatewayUnavailableError, None),
        ("421 4.3.2 closing", GatewayUnavailableError, None),
        ("drop", GatewayUnavailableError, None),
    ],
)
def test_what_a_server_says_to_the_recipient(
    carrier: SmtpMail, peer: MailPeer, reply: str, error: type[Exception], code: str | None
) -> None:
    peer.refuse[MAIL.to] = reply

    with pytest.raises(error) as caught:
        carrier.send(MAIL)

    assert type(caught.value) is error
    assert getattr(caught.value, "code", None) == code
    assert peer.received == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("553 5.7.1 not your address", GatewayMisconfiguredError),
        ("552 5.3.4 too large", GatewayRefusedError),
        ("451 4.3.0 later", GatewayUnavailableError),
        ("drop", GatewayUnavailableError),
    ],
)
def test_what_a_server_says_to_the_sender(
    carrier: SmtpMail, peer: MailPeer, reply: str, error: type[Exception]
) -> None:
    peer.to_mail = reply

    with pytest.raises(error) as caught:
        carrier.send(MAIL)

    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("554 5.7.1 spam", GatewayRefusedError),
        ("550 5.1.1 who", GatewayRefusedError),
        ("hello there", GatewayUnsureError),
        ("354 go on", GatewayUnsureError),
        ("451 4.7.1 later", GatewayUnavailableError),
        ("421 4.3.2 closing", GatewayUnavailableError),
        ("drop", GatewayUnsureError),
    ],
)
def test_what_a_server_says_to_the_content(
    carrier: SmtpMail, peer: MailPeer, reply: str, error: type[Exception]
) -> None:
    peer.to_data = reply

    with pytest.raises(error) as caught:
        carrier.send(MAIL)

    assert type(caught.value) is error


@pytest.mark.parametrize("after", [10, 40, 90])
def test_a_line_that_breaks_before_the_content_has_handed_over_nothing(
    tmp_path: Path, after: int
) -> None:
    with (
        MailPeer(tmp_path, tls=False) as peer,
        FaultProxy(f"{peer.host}:{peer.port}") as proxy,
        closing(smtp(peer, port=proxy.port, tls=Tls.OFF)) as carrier,
    ):
        proxy.cut_request_after = after

        with pytest.raises(GatewayUnavailableError):
            carrier.send(MAIL)

        assert peer.received == []


def test_a_line_that_goes_dead_after_the_content_is_unsure(peer: MailPeer) -> None:
    with (
        FaultProxy(f"{peer.host}:{peer.port}") as proxy,
        closing(smtp(peer, port=proxy.port, end_timeout=timedelta(seconds=0.2))) as carrier,
    ):
        peer.before_answer = lambda: setattr(proxy, "black_hole", True)

        with pytest.raises(GatewayUnsureError):
            carrier.send(MAIL)

    assert len(peer.received) == 1


def test_a_line_that_goes_dead_before_the_greeting_has_handed_over_nothing(
    peer: MailPeer,
) -> None:
    with FaultProxy(f"{peer.host}:{peer.port}") as proxy:
        proxy.black_hole = True
        carrier = smtp(peer, port=proxy.port, timeout=timedelta(seconds=0.2))

        with pytest.raises(GatewayUnavailableError):
            carrier.send(MAIL)

        carrier.close()


def test_a_line_that_is_reset_at_once_has_handed_over_nothing(peer: MailPeer) -> None:
    with FaultProxy(f"{peer.host}:{peer.port}") as proxy:
        proxy.reset_at_once = True

        with pytest.raises(GatewayUnavailableError):
            smtp(peer, port=proxy.port).send(MAIL)


def test_nobody_at_the_address_means_not_handed_over(peer: MailPeer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(GatewayUnavailableError):
        smtp(peer, port=port).send(MAIL)


def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    with MailPeer(tmp_path, tls=False) as peer:
        with pytest.raises(GatewayMisconfiguredError, match="STARTTLS"):
            smtp(peer).send(MAIL)

        assert peer.received == []


def test_tls_can_be_switched_off_by_name(tmp_path: Path) -> None:
    with MailPeer(tmp_path, tls=False) as peer:
        carrier = smtp(peer, tls="off")

        carrier.send(MAIL)

        carrier.close()
        assert len(peer.received) == 1


def test_a_certificate_of_an_unknown_ca_is_not_trusted(peer: MailPeer) -> None:
    with pytest.raises(GatewayMisconfiguredError, match="certificate"):
        smtp(peer, ca_file=None).send(MAIL)

    assert peer.received == []


def test_a_certificate_for_another_address_is_not_trusted(tmp_path: Path) -> None:
    with MailPeer(tmp_path, certified_for="127.0.0.9") as peer:
        with pytest.raises(GatewayMisconfiguredError, match="certificate"):
            smtp(peer).send(MAIL)

        assert peer.received == []


def test_verification_can_be_switched_off_by_name(peer: MailPeer) -> None:
    carrier = smtp(peer, ca_file=None, tls=Tls.UNVERIFIED)

    carrier.send(MAIL)

    carrier.close()
    assert len(peer.received) == 1


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    with MailPeer(tmp_path, implicit=True) as peer:
        carrier = smtp(peer, tls="implicit")

        carrier.send(MAIL)

        carrier.close()
        assert len(peer.received) == 1


def test_an_unknown_word_for_tls_is_refused(peer: MailPeer) -> None:
    with pytest.raises(ValueError, match="perhaps"):
        smtp(peer, tls="perhaps")


def test_a_password_is_shown_to_a_verified_server_only(tmp_path: Path) -> None:
    with MailPeer(tmp_path, login=True) as peer:
        carrier = smtp(peer, user=USER, password=PASSWORD)

        carrier.send(MAIL)

        carrier.close()
        for tls in (Tls.OFF, Tls.UNVERIFIED):
            with pytest.raises(GatewayMisconfiguredError):
                smtp(peer, user=USER, password=PASSWORD, tls=tls)


def test_a_wrong_password_stops_the_lane_and_is_not_shown(tmp_path: Path) -> None:
    with MailPeer(tmp_path, login=True) as peer:
        with pytest.raises(GatewayMisconfiguredError) as caught:
            smtp(peer, user=USER, password="not the word").send(MAIL)  # noqa: S106 - of a test

        assert caught.value.code == "535"
        assert "not the word" not in str(caught.value)
        assert peer.received == []


def test_a_server_that_wants_a_password_stops_the_lane(tmp_path: Path) -> None:
    with MailPeer(tmp_path, login=True) as peer, closing(smtp(peer)) as carrier:
        with pytest.raises(GatewayMisconfiguredError) as caught:
            carrier.send(MAIL)

        assert caught.value.code == "530"
