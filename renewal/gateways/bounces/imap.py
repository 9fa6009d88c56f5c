"""Reads bounces from a mailbox on an IMAP server (RFC 3501)."""

from __future__ import annotations

import contextlib
import imaplib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from renewal.errors import GatewayRefusedError, GatewayUnavailableError
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.bounces.port import StoredReport
from renewal.gateways.mail.bounce import LONGEST_REPORT
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from urllib.parse import SplitResult

    from renewal.gateways.address import Surroundings

TIMEOUT = 30.0  #: seconds, for each answer
IMAP_PORT, IMAPS_PORT = 143, 993
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TLS, STARTTLS, OFF = "implicit", "verify", "off"


class ImapMailbox:
    r"""
    Unread is what has no ``\Seen``; a mail is fetched by ``BODY.PEEK``, which sets none.

    One connection for each look, so that a mailbox looked at each minute holds none open. Not safe
    to use from several threads.
    """

    def __init__(
        self,
        connect: Callable[[], imaplib.IMAP4],
        *,
        user: str,
        password: str,
        folder: str = "INBOX",
    ) -> None:
        self._connect = connect
        self._login = user, password
        self._folder = folder
        self._open: imaplib.IMAP4 | None = None

    def unread(self, at_most: int) -> Sequence[StoredReport]:
        self.close()
        with _named():
            self._open = mailbox = self._connect()
            self._select(mailbox)
            _, found = mailbox.uid("SEARCH", "UNSEEN")
            keys = sorted(bytes(found[0] or b"").split(), key=int)[:at_most]
            return [_fetched(mailbox, key.decode()) for key in keys]

    def mark(self, key: str) -> None:
        if self._open is None:
            raise GatewayUnavailableError("the mailbox of bounces is closed")
        with _named():
            _done(self._open.uid("STORE", key, "+FLAGS.SILENT", "(\\Seen)"), "to mark a mail")

    def close(self) -> None:
        if self._open is not None:
            _leave(self._open)
            self._open = None

    def _select(self, mailbox: imaplib.IMAP4) -> None:
        try:
            mailbox.login(*self._login)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # its text may quote the password
            raise GatewayRefusedError("the mailbox of bounces refuses the log-in") from None
        quoted = self._folder.replace("\\", "\\\\").replace('"', '\\"')
        if mailbox.select(f'"{quoted}"')[0] != "OK":
            raise GatewayRefusedError("the mailbox of bounces has no such folder")


def _fetched(mailbox: imaplib.IMAP4, key: str) -> StoredReport:
    # RFC 3501, 6.4.5: partial, so that a mail of any length costs no more than a report.
    answer = _done(
        mailbox.uid("FETCH", key, f"(BODY.PEEK[]<0.{LONGEST_REPORT + 1}>)"), "to show a mail"
    )
    parts = [part[1] for part in answer if isinstance(part, tuple)]
    # Nothing: somebody has removed it meanwhile.
    return StoredReport(key=key, raw=bytes(parts[0]) if parts else b"")


def _leave(mailbox: imaplib.IMAP4) -> None:
    with contextlib.suppress(OSError, imaplib.IMAP4.error):
        mailbox.logout()
    with contextlib.suppress(OSError):  # a log-out that fails leaves the connection open
        mailbox.shutdown()


def _done(answer: tuple[str, list[object]], what: str) -> list[object]:
    word, data = answer
    if word != "OK":
        raise GatewayUnavailableError(f"the mailbox of bounces refuses {what}")
    return data


@contextlib.contextmanager
def _named() -> Iterator[None]:
    # The server's own words stay out: they quote addresses.
    try:
        yield
    except (OSError, imaplib.IMAP4.error):
        raise GatewayUnavailableError("the mailbox of bounces cannot be read") from None


def from_url(url: SplitResult, around: Surroundings) -> ImapMailbox:
    """
    ``imaps://<user>@<host>:<port>/<folder>``, or ``imap://`` with STARTTLS; ``?ca_file=...``.

    Raises:
        GatewayAddressError: no user or host, or a password that would travel in clear.
    """
    tls = TLS if url.scheme == "imaps" else parse_qs(url.query).get("tls", [STARTTLS])[0]
    if not url.username or not url.hostname:
        raise GatewayAddressError(
            SettingReason.LIKE.why(like=f"{url.scheme}://<user>@<host>/<folder>")
        )
    if tls not in {TLS, STARTTLS, OFF}:
        raise GatewayAddressError(
            SettingReason.PART_UNKNOWN.why(part="tls", known=f"{TLS}, {STARTTLS}, {OFF}")
        )
    if tls == OFF and url.hostname not in LOOPBACK:
        raise GatewayAddressError(SettingReason.CLEAR_PASSWORD)
    return ImapMailbox(
        _connecting(url, tls),
        user=unquote(url.username),
        password=around.secret("bounces"),
        folder=unquote(url.path.strip("/")) or "INBOX",
    )


def _connecting(url: SplitResult, tls: str) -> Callable[[], imaplib.IMAP4]:
    host, ca_file = url.hostname or "", parse_qs(url.query).get("ca_file", [None])[0]
    try:
        trust = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise GatewayAddressError(SettingReason.PART_UNREADABLE.why(part="ca_file")) from error

    def connect() -> imaplib.IMAP4:
        if tls == TLS:
            port = url.port or IMAPS_PORT
            return imaplib.IMAP4_SSL(host, port, ssl_context=trust, timeout=TIMEOUT)
        plain = imaplib.IMAP4(host, url.port or IMAP_PORT, timeout=TIMEOUT)
        if tls == STARTTLS:
            plain.starttls(trust)
        return plain

    return connect
