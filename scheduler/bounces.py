"""Takes in what mail servers report back of mails that a relay had taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from producers.messages import bounced
from renewal.clock import elapsed
from renewal.db.retry import retry_on_conflict
from renewal.errors import GatewayError, GatewayRefusedError
from renewal.gateways.mail.bounce import read_stored
from renewal.store import alarms
from renewal.store.alarms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from renewal.clock import Clock
    from renewal.db.engine import Store
    from renewal.gateways.bounces.port import BounceMailbox, StoredReport
    from renewal.gateways.mail.bounce import Bounce

AT_MOST = 10_000
#: Reports are at most so long as this in memory at once.
PAGE = 50
#: A mail server may be away for so long before people are told; a wrong password is told at once.
AWAY = timedelta(hours=1)
MAILBOX = "bounces"


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    recorded: int = 0
    passed: int = 0  #: what ends no mail of ours


def take_in(
    store: Store, mailbox: BounceMailbox, keys: Collection[bytes], *, at_most: int = AT_MOST
) -> TakenIn:
    """
    Act on each unread report and mark it afterwards.

    One that a crash has left unmarked is read again and changes nothing: the first end of a
    message wins.
    """
    recorded = seen = 0
    while seen < at_most:
        page = mailbox.unread(min(PAGE, at_most - seen))
        for report in page:
            recorded += _acted_on(store, report, keys)
            mailbox.mark(report.key)
        seen += len(page)
        if len(page) < PAGE:
            break
    return TakenIn(recorded=recorded, passed=seen - recorded)


def _acted_on(store: Store, report: StoredReport, keys: Collection[bytes]) -> bool:
    found = read_stored(report.raw, keys=keys)
    return found is not None and _on_record(store, found)


@retry_on_conflict
def _on_record(store: Store, bounce: Bounce) -> bool:
    with store.transaction() as work:
        return bounced(work, bounce)


@dataclass
class BounceReader:
    """Reads one mailbox at each turn, and tells people when it cannot be read."""

    mailbox: BounceMailbox
    keys: Callable[[], Collection[bytes]]  #: of return addresses, the older ones too
    clock: Clock
    _read: timedelta | None = field(default=None, init=False)  #: when, in time that only runs
    #: of the mailbox as it is now; at first: perhaps, by the process before
    _may_be_told: bool = field(default=True, init=False)
    _alarmed: bool = field(default=False, init=False)

    def turn(self, store: Store) -> TakenIn:
        """
        Raises:
            GatewayError: the mailbox cannot be read now.
        """
        now = elapsed(self.clock)
        if self._read is None:
            self._read = now
        try:
            taken = take_in(store, self.mailbox, self.keys())
        except GatewayError as error:
            if isinstance(error, GatewayRefusedError) or now - self._read >= AWAY:
                self._tell(store, error)
            raise
        finally:
            self.mailbox.close()
        self._read = now
        self._end(store)
        return taken

    def _tell(self, store: Store, error: GatewayError) -> None:
        if not self._alarmed:
            with store.transaction() as work:
                alarms.raise_alarm(work, Kind.BOUNCES, MAILBOX, _code(error))
        self._alarmed = self._may_be_told = True

    def _end(self, store: Store) -> None:
        if self._may_be_told:
            with store.transaction() as work:
                alarms.end_of(work, Kind.BOUNCES, MAILBOX)
        self._alarmed = self._may_be_told = False


def _code(error: GatewayError) -> str:
    return "refused" if isinstance(error, GatewayRefusedError) else "unavailable"
