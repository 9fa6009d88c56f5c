"""Hands mail to the next server over SMTP (RFC 5321), one connection for each thread."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import threading
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.mail.message import Sender, ascii_address, domain_of, message_id, write
from renewal.gateways.mail.verp import return_address, token_of
from renewal.gateways.sms.port import GatewayMisconfiguredError

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from renewal.clock import Clock
    from renewal.gateways.mail.port import Mail


class Tls(StrEnum):
    VERIFY = "verify"  #: STARTTLS, and the certificate must be right
    IMPLICIT = "implicit"  #: TLS from the first byte (port 465), and the certificate must be right
    UNVERIFIED = "unverified"  #: STARTTLS with any certificate
    OFF = "off"


class SmtpMail:
    """
    ``sender`` is the address that readers see; bounces return to one of our own making
    (``bounce+<id>-<mark>@bounce_domain``), which ``renewal.gateways.mail.bounce`` knows again.

    Safe to use from several threads; each has its connection and keeps it.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int = 587,
        sender: str,
        sender_name: str = "",
        key: bytes,
        clock: Clock,
        bounce_domain: str | None = None,
        unsubscribe_base: str | None = None,
        tls: Tls | str = Tls.VERIFY,
        ca_file: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        end_timeout: timedelta = timedelta(minutes=10),
        our_name: str | None = None,
    ) -> None:
        self._address = (host, port)
        self._sender = Sender(
            address=sender, name=sender_name, unsubscribe_base=unsubscribe_base, key=key
        )
        self._key = key
        self._clock = clock
        self._bounce_domain = bounce_domain or domain_of(sender)
        self._tls = Tls(tls)
        self._ca_file = ca_file
        self._login = (user, password) if user is not None and password is not None else None
        if self._login is not None and self._tls in {Tls.OFF, Tls.UNVERIFIED}:
            raise GatewayMisconfiguredError("a password goes to a verified mail server only")
        self._timeout = timeout.total_seconds()
        # RFC 5321, 4.5.3.2.6: ten minutes for the answer to the end of the data; who gives up
        # sooner sends twice.
        self._end_timeout = end_timeout.total_seconds()
        self._our_name = our_name or domain_of(sender)
        self._own = threading.local()
        self._all: set[smtplib.SMTP] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """
        Leave politely; also on the connections of other threads, which must be idle.
        """
        with self._lock:
            for connection in self._all:
                _leave(connection)
            self._all.clear()

    def send(self, mail: Mail) -> str:
        """
        Hand the mail over; see the port for the errors.
        """
        to = ascii_address(mail.to)
        content = _on_the_wire(write(mail, self._sender, at=self._clock.now()))
        try:
            connection = self._begin(mail)
            notify = ["NOTIFY=FAILURE"] if connection.has_extn("dsn") else []
            _check(_Stage.RECIPIENT, connection.rcpt(to, notify))
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
        """
        Return ``None``: SMTP has no such question. A copy sent again has the same Message-ID.
        """
        return None

    def _begin(self, mail: Mail) -> smtplib.SMTP:
        kept: smtplib.SMTP | None = getattr(self._own, "connection", None)
        if kept is not None:
            # A server may hang up on an idle connection, or after so many mails: nothing has been
            # handed over yet, so a new connection is no second try.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                reply = self._mail_from(kept, mail)
                if reply[0] != _CLOSING:
                    _check(_Stage.SENDER, reply)
                    return kept
            self._hang_up()
        connection = self._open()
        _check(_Stage.SENDER, self._mail_from(connection, mail))
        return connection

    def _mail_from(self, connection: smtplib.SMTP, mail: Mail) -> _Reply:
        back = return_address(mail.id, key=self._key, domain=self._bounce_domain)
        dsn = ["RET=HDRS", f"ENVID={envid_of(mail.id)}"] if connection.has_extn("dsn") else []
        return connection.mail(back, dsn)

    def _hand_over(self, connection: smtplib.SMTP, content: bytes) -> None:
        reply = connection.docmd("DATA")
        if reply[0] != _GO_ON:
            _check(_Stage.CONTENT, reply)
            raise GatewayUnavailableError(f"the mail server answered {reply[0]} to DATA")
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
        _check(_Stage.CONTENT, reply)

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
        host, port = self._address
        if self._tls is Tls.IMPLICIT:
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
        if self._tls in {Tls.VERIFY, Tls.UNVERIFIED}:
            if not connection.has_extn("starttls"):
                raise GatewayMisconfiguredError("the mail server offers no STARTTLS")
            connection.starttls(context=self._context())
            connection.ehlo_or_helo_if_needed()
        if self._login is not None:
            self._log_in(connection, *self._login)

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
        context = ssl.create_default_context(cafile=self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._tls is Tls.UNVERIFIED:
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
_GO_ON = 354
_CLOSING = 421
_NOT_LET_IN = 530
_TOO_LARGE = 552
_LATER = 4
_NEVER = 5
_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")


class _Stage(StrEnum):
    SENDER = "the sender"
    RECIPIENT = "the recipient"
    CONTENT = "the content"


def _check(stage: _Stage, reply: _Reply) -> None:
    # The server's own words stay out: they quote addresses.
    code, text = reply
    match code // 100:
        case 4:
            raise GatewayUnavailableError(f"the mail server answered {code} to {stage}")
        case 5 if _is_ours(stage, code):
            raise GatewayMisconfiguredError(f"the mail server refused {stage}", code=str(code))
        case 5:
            enhanced = _ENHANCED.match(text)
            status = enhanced[0].decode() if enhanced else str(code)
            raise GatewayRefusedError(f"the mail server refused {stage}: {status}", code=status)
        case 2:
            return
        case _:
            raise GatewayUnavailableError(f"the mail server answered {code} to {stage}")


def _is_ours(stage: _Stage, code: int) -> bool:
    return code == _NOT_LET_IN or (stage is _Stage.SENDER and code != _TOO_LARGE)


def envid_of(message_id: str) -> str:
    """
    Return the envelope id (RFC 3461, 4.4: xtext, at most 100 characters).
    """
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
