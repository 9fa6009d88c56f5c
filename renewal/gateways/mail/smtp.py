"""Sends mail over SMTP (RFC 5321), one connection for each thread."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.answers import Meaning
from renewal.gateways.mail.answers import SmtpStage, meaning_of
from renewal.gateways.mail.bounce import OF_THE_MAIL
from renewal.gateways.mail.message import MailSender, ascii_address, domain_of, message_id, write
from renewal.gateways.mail.port import Mail
from renewal.gateways.mail.verp import return_address, token_of
from renewal.gateways.sms.port import GatewayMisconfiguredError
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage
    from urllib.parse import SplitResult

    from renewal.clock import Clock
    from renewal.gateways.address import Surroundings


class Tls(StrEnum):
    VERIFY = "verify"  #: STARTTLS, and the certificate must be right
    IMPLICIT = "implicit"  #: TLS from the first byte (port 465), and the certificate must be right
    UNVERIFIED = "unverified"  #: STARTTLS with any certificate
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """The server that takes our mail, and how it is spoken to."""

    host: str
    port: int = 587
    tls: Tls = Tls.VERIFY
    ca_file: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    #: RFC 5321, 4.5.3.2.6: ten minutes for the answer to the end of the data; who gives up sooner
    #: sends twice.
    end_timeout: timedelta = timedelta(minutes=10)
    our_name: str | None = None

    @property
    def login(self) -> tuple[str, str] | None:
        if self.user is None or self.password is None:
            return None
        return self.user, self.password


class SmtpMail:
    """
    ``sender`` is the address that readers see; bounces return to one of our own making
    (``bounce+<id>-<mark>@bounce_domain``), which ``renewal.gateways.mail.bounce`` knows again.

    Safe to use from several threads; each has its connection and keeps it.
    """

    def __init__(
        self,
        server: SmtpServer,
        *,
        sender: str,
        sender_name: str = "",
        key: bytes,
        clock: Clock,
        bounce_domain: str | None = None,
    ) -> None:
        self._server = server
        self._sender = MailSender(address=sender, name=sender_name, key=key)
        self._key = key
        self._clock = clock
        self._bounce_domain = bounce_domain or domain_of(sender)
        if server.login is not None and server.tls in {Tls.OFF, Tls.UNVERIFIED}:
            raise GatewayMisconfiguredError("a password goes to a verified mail server only")
        self._timeout = server.timeout.total_seconds()
        self._end_timeout = server.end_timeout.total_seconds()
        self._our_name = server.our_name or domain_of(sender)
        self._own = threading.local()
        self._all: set[smtplib.SMTP] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leave politely; also on the connections of other threads, which must be idle."""
        with self._lock:
            for connection in self._all:
                _leave(connection)
            self._all.clear()

    def greet(self) -> None:
        """
        Connect, log in and leave, and send nothing.

        Raises:
            GatewayMisconfiguredError: its certificate or our log-in is not right.
            GatewayUnavailableError: it cannot be reached now.
        """
        self._open()
        self._hang_up()

    def send(self, mail: Mail) -> str:
        """Hand the mail over; see the port for the errors."""
        to = ascii_address(mail.to)
        content = _on_the_wire(write(mail, self._sender, at=mail.dated or self._clock.now()))
        try:
            connection = self._begin(mail)
            notify = ["NOTIFY=FAILURE"] if connection.has_extn("dsn") else []
            _check(SmtpStage.RECIPIENT, connection.rcpt(to, notify))
            self._hand_over(connection, content)
        except (GatewayRefusedError, GatewayUnavailableError):
            self._forget_mail()
            raise
        except GatewayUnsureError:
            self._hang_up()
            raise
        except (OSError, smtplib.SMTPException):
            self._hang_up()
            raise GatewayUnavailableError("the mail server broke off") from None
        return message_id(mail, self._sender)

    def find(self, mail: Mail, *, since: datetime) -> str | None:  # noqa: ARG002 - the port's
        """Return ``None``: SMTP has no such question. A copy sent again has the same Message-ID."""
        return None

    def _begin(self, mail: Mail) -> smtplib.SMTP:
        kept: smtplib.SMTP | None = getattr(self._own, "connection", None)
        if kept is not None:
            # A server may hang up on an idle connection, or after so many mails: nothing has been
            # handed over yet, so a new connection is no second try.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                reply = self._mail_from(kept, mail)
                if reply[0] != _CLOSING:
                    _check(SmtpStage.SENDER, reply)
                    return kept
            self._hang_up()
        connection = self._open()
        _check(SmtpStage.SENDER, self._mail_from(connection, mail))
        return connection

    def _mail_from(self, connection: smtplib.SMTP, mail: Mail) -> _Reply:
        back = return_address(mail.id, key=self._key, domain=self._bounce_domain)
        dsn = ["RET=HDRS", f"ENVID={envid_of(mail.id)}"] if connection.has_extn("dsn") else []
        return connection.mail(back, dsn)

    def _hand_over(self, connection: smtplib.SMTP, content: bytes) -> None:
        _check(SmtpStage.DATA, connection.docmd("DATA"))
        connection.send(content)
        # If that failed the server has no whole mail and may not keep it (RFC 5321, 4.1.1.4); from
        # the dot on it may have it, whatever becomes of its answer. (What still lies in our
        # system's buffer counts as sent: then a line that broke earlier is unsure, too.)
        try:
            _wait(connection, self._end_timeout)
            connection.send(b".\r\n")
            reply = connection.getreply()
            _wait(connection, self._timeout)
        except (OSError, smtplib.SMTPException):
            raise GatewayUnsureError("the mail server's answer was lost") from None
        _check(SmtpStage.CONTENT, reply)

    def _open(self) -> smtplib.SMTP:
        try:
            connection = self._connect()
        except GatewayMisconfiguredError:
            raise
        except ssl.SSLCertVerificationError as error:
            why = f"the mail server's certificate is not right: {error.verify_message}"
            raise GatewayMisconfiguredError(why) from error
        except (OSError, smtplib.SMTPException) as error:
            raise GatewayUnavailableError("the mail server cannot be reached") from error
        self._own.connection = connection
        with self._lock:
            self._all.add(connection)
        return connection

    def _connect(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.tls is Tls.IMPLICIT:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port, self._our_name, timeout=self._timeout, context=self._context()
            )
        else:
            connection = smtplib.SMTP(host, port, self._our_name, timeout=self._timeout)
        try:
            self._enter(connection)
        except (OSError, smtplib.SMTPException, GatewayUnavailableError):
            connection.close()
            raise
        return connection

    def _enter(self, connection: smtplib.SMTP) -> None:
        connection.ehlo_or_helo_if_needed()
        if self._server.tls in {Tls.VERIFY, Tls.UNVERIFIED}:
            if not connection.has_extn("starttls"):
                raise GatewayMisconfiguredError("the mail server offers no STARTTLS")
            connection.starttls(context=self._context())
            connection.ehlo_or_helo_if_needed()
        if self._server.login is not None:
            self._log_in(connection, *self._server.login)

    def _log_in(self, connection: smtplib.SMTP, user: str, password: str) -> None:
        try:
            connection.login(user, password)
        except smtplib.SMTPAuthenticationError as error:
            if error.smtp_code // 100 == _LATER:
                raise
            # The error's text carries the server's words, and these the user: `from None`.
            code = str(error.smtp_code)
            raise GatewayMisconfiguredError("the mail server lets us not in", code=code) from None
        except smtplib.SMTPNotSupportedError as error:
            raise GatewayMisconfiguredError("the mail server knows no log-in of ours") from error

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._server.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._server.tls is Tls.UNVERIFIED:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _forget_mail(self) -> None:
        connection: smtplib.SMTP | None = getattr(self._own, "connection", None)
        if connection is None:
            return
        try:
            connection.rset()
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _hang_up(self) -> None:
        connection: smtplib.SMTP | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None
            with self._lock:
                self._all.discard(connection)


_Reply = tuple[int, bytes]
_CLOSING = 421
_LATER = 4
_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")


def _check(stage: SmtpStage, reply: _Reply) -> None:
    # The server's own words stay out: they quote addresses.
    code, text = reply
    match meaning_of(stage, code):
        case Meaning.DONE:
            return
        case Meaning.OURS:
            raise GatewayMisconfiguredError(f"the mail server refused {stage}", code=str(code))
        case Meaning.REFUSED:
            status = _status(stage, code, text)
            raise GatewayRefusedError(f"the mail server refused {stage}: {status}", code=status)
        case Meaning.NOTHING:
            raise GatewayUnavailableError(f"the mail server answered {code} to {stage}")
        case _:
            raise GatewayUnsureError(f"the mail server's answer to {stage} is none")


def _status(stage: SmtpStage, code: int, text: bytes) -> str:
    """The status (RFC 3463) or the reply code; marked, where it says nothing of the recipient."""
    enhanced = _ENHANCED.match(text)
    status = enhanced[0].decode() if enhanced else str(code)
    return status if stage is SmtpStage.RECIPIENT else f"{status}{OF_THE_MAIL}"


def envid_of(message_id: str) -> str:
    """Return the envelope id (RFC 3461, 4.4: xtext, at most 100 characters)."""
    text = "".join(c if _XTEXT.fullmatch(c) else f"+{ord(c):02X}" for c in message_id)
    return text if message_id.isascii() and len(text) <= _LONGEST_ENVID else token_of(message_id)


_XTEXT = re.compile(r"[!-*,-<>-~]")
_LONGEST_ENVID = 100


def _on_the_wire(message: EmailMessage) -> bytes:
    content = message.as_bytes()
    return re.sub(rb"(?m)^\.", b"..", content)  # RFC 5321, 4.5.2


def _wait(connection: smtplib.SMTP, seconds: float) -> None:
    if connection.sock is not None:
        connection.sock.settimeout(seconds)


def _leave(connection: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError, smtplib.SMTPException):
        connection.quit()
    connection.close()


#: What the query of the address may say.
QUERY = frozenset({"from", "tls", "ca_file"})
_PORTS = {Tls.IMPLICIT: 465}  # RFC 8314, 3.3
_SUBMISSION = 587  # RFC 6409
_NAMED = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<address>[^<>]+)>")


def from_url(url: SplitResult, around: Surroundings) -> SmtpMail:
    """
    ``smtp://<user>@<host>:<port>?from=<address>&tls=verify&ca_file=...``; ``%40`` is an ``@``.

    Raises:
        GatewayAddressError: a part of it could not send a mail.
    """
    query = _query(url)
    sender = _sender(query.get("from", ""), around)
    tls, ca_file = _tls(query, with_user=bool(url.username)), query.get("ca_file")
    _check_ca_file(ca_file)
    _check_writes(sender, around)
    server = SmtpServer(
        host=url.hostname or "localhost",
        port=url.port or _PORTS.get(tls, _SUBMISSION),
        tls=tls,
        ca_file=ca_file,
        user=unquote(url.username) if url.username else None,
        password=around.secret("smtp") if url.username else None,
    )
    return SmtpMail(
        server,
        sender=sender.address,
        sender_name=sender.name,
        key=around.keys.mail.value,
        clock=around.clock,
    )


def _query(url: SplitResult) -> dict[str, str]:
    if url.password is not None:
        raise GatewayAddressError(SettingReason.PASSWORD_IN_URL)
    # A plus is a sign of an address here (RFC 5233), not a blank as in a web form.
    given = parse_qs(url.query.replace("+", "%2B"), keep_blank_values=True)
    for name, values in given.items():
        if name not in QUERY:
            raise GatewayAddressError(
                SettingReason.PART_UNKNOWN.why(part=name, known=", ".join(sorted(QUERY)))
            )
        if len(values) > 1:
            raise GatewayAddressError(SettingReason.PART_TWICE.why(part=name))
    return {name: value for name, [value] in given.items()}


def _sender(given: str, around: Surroundings) -> MailSender:
    named = _NAMED.fullmatch(given.strip())
    name, address = (named["name"], named["address"]) if named else ("", given)
    if "@" not in address:
        raise GatewayAddressError(SettingReason.NO_SENDER)
    try:
        address = ascii_address(address)
    except GatewayRefusedError:
        raise GatewayAddressError(SettingReason.SENDER_UNFIT) from None
    return MailSender(address=address, name=name.strip('" ') or around.bank_name)


def _tls(query: dict[str, str], *, with_user: bool) -> Tls:
    given = query.get("tls", Tls.VERIFY)
    if given not in set(Tls):
        raise GatewayAddressError(SettingReason.PART_UNKNOWN.why(part="tls", known=", ".join(Tls)))
    if with_user and given in {Tls.OFF, Tls.UNVERIFIED}:
        raise GatewayAddressError(SettingReason.CLEAR_PASSWORD)
    return Tls(given)


def _check_ca_file(path: str | None) -> None:
    if path is None:
        return
    if not Path(path).is_file():
        raise GatewayAddressError(SettingReason.PART_NO_FILE.why(part="ca_file"))
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise GatewayAddressError(SettingReason.PART_UNREADABLE.why(part="ca_file")) from None


def _check_writes(sender: MailSender, around: Surroundings) -> None:
    """A sender that no mail can be written for would be found out by each mail alone."""
    sample = Mail(
        id="M0", to=sender.address, subject="樣本", text="樣本\n", html="<p>樣本</p>",
        locale="zh-TW",
    )  # fmt: skip
    try:
        write(sample, sender, at=around.clock.now()).as_bytes()
    except (ValueError, IndexError, LookupError):
        raise GatewayAddressError(SettingReason.SENDER_WRITES_NOTHING) from None
