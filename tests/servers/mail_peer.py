"""A mail server on loopback, with a certificate made for the test, that can fail on demand."""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER, PASSWORD = "renewals", "the peer's password"


@dataclass(frozen=True, kw_only=True)
class Received:
    mail_from: str
    mail_options: list[str]
    rcpt_to: list[str]
    rcpt_options: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class _WithDsn(SMTP):
    """
    aiosmtpd knows nothing of delivery reports (RFC 3461): their parameters are taken off first.
    """

    taken: tuple[str, ...] = ()
    mails = 0
    connection: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # STARTTLS calls this again with a transport over the first one.
        if self.connection is None and isinstance(transport, asyncio.WriteTransport):
            self.connection = transport
        super().connection_made(transport)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        await super().smtp_MAIL(self._take(arg, "RET=", "ENVID="))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        await super().smtp_RCPT(self._take(arg, "NOTIFY="))

    def _take(self, arg: str | None, *names: str) -> str:
        words = (arg or "").split(" ")
        self.taken = tuple(word for word in words if word.startswith(names))
        return " ".join(word for word in words if not word.startswith(names))

    def hang_up(self) -> None:
        if self.connection is not None and not self.connection.is_closing():
            self.connection.abort()


@dataclass
class MailPeer:
    """Replies are given per stage; a reply ``"drop"`` cuts the connection instead."""

    folder: Path
    tls: bool = True
    login: bool = False
    implicit: bool = False
    certified_for: str = "127.0.0.1"
    refuse: dict[str, str] = field(default_factory=dict)  #: recipient to the reply to RCPT
    to_mail: str = ""
    at_most: int = 1000  #: mails on one connection, then 421
    to_data: str = ""  #: to the end of the data
    keep: bool = True  #: whether a mail is kept in spite of what is answered to it
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    before_answer: Callable[[], None] = lambda: None  #: called when a mail is in

    def __enter__(self) -> Self:
        self.ca_file, context = certificate(self.folder, self.certified_for)
        self._context = context
        self._loop = asyncio.new_event_loop()
        make = self._loop.create_server(
            self._connected, "127.0.0.1", 0, ssl=context if self.implicit else None
        )
        self._server = self._loop.run_until_complete(make)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def drop_all(self) -> None:
        """Hang up on every connection, as a server does when they are idle."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(5)

    async def _drop(self) -> None:
        for session in self._sessions:
            session.hang_up()
        self._sessions.clear()
        await asyncio.sleep(0)

    async def _stop(self) -> None:
        self._server.close()
        await self._drop()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _connected(self) -> _WithDsn:
        self.connections += 1
        session = _WithDsn(
            self,
            hostname="localhost",
            ident="peer",
            loop=self._loop,
            tls_context=self._context if self.tls and not self.implicit else None,
            authenticator=self._authenticate,
            auth_required=self.login,
            auth_require_tls=not self.implicit,
        )
        self._sessions.append(session)
        return session

    def _authenticate(self, *args: object) -> AuthResult:
        data = args[-1]
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=good, handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _: Envelope, name: str, replies: list[str]
    ) -> list[str]:
        session.host_name = name
        return [*replies[:-1], "250-DSN", replies[-1]]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self,
        server: _WithDsn,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if self.to_mail == "drop":
            return _cut(server)
        server.mails += 1
        if server.mails > self.at_most:
            return "421 4.7.0 enough for one connection"
        if self.to_mail:
            return self.to_mail
        envelope.mail_from = address
        envelope.mail_options.extend([*options, *server.taken])
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: _WithDsn,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        reply = self.refuse.get(address, "")
        if reply == "drop":
            return _cut(server)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend([*options, *server.taken])
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: _WithDsn, _session: Session, envelope: Envelope
    ) -> str:
        if self.keep:
            self.received.append(_received(envelope))
        self.before_answer()
        if self.to_data == "drop":
            return _cut(server)
        return self.to_data or "250 2.0.0 OK"

    def __post_init__(self) -> None:
        self._sessions: list[_WithDsn] = []


def _received(envelope: Envelope) -> Received:
    content = envelope.content
    assert isinstance(content, bytes)
    return Received(
        mail_from=envelope.mail_from or "",
        mail_options=list(envelope.mail_options),
        rcpt_to=list(envelope.rcpt_tos),
        rcpt_options=list(envelope.rcpt_options),
        content=content,
    )


def _cut(server: _WithDsn) -> str:
    server.hang_up()
    return "250 nobody hears this"


SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def certificate(folder: Path, address: str) -> tuple[Path, ssl.SSLContext]:
    """Make a CA and a server certificate for an address; return the CA's file and the context."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA for one test")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    base = x509.CertificateBuilder(
        issuer_name=ca_name,
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(hours=1),
    )
    # Python 3.13 checks strictly (VERIFY_X509_STRICT): RFC 5280, 4.2.1.1 to 4.2.1.3.
    subject = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)
    ca = (
        base.subject_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(subject, critical=False)
        .add_extension(SIGNS_CERTIFICATES, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address(address))]
    leaf = (
        base.subject_name(name)
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server_file.write_bytes(pem + leaf.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server_file)
    return ca_file, context
