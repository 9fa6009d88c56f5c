"""Opens a small sample bank to try: customers to log in as, a mailbox, a clock that is moved."""

from __future__ import annotations

import random
import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from back_office.staff import Staff, StaffRole
from renewal.clock import SystemClock
from renewal.db.retry import retry_on_conflict
from renewal.gateways.activity_log import ActivityLog
from renewal.store import credentials
from renewal.store.credentials import Credential
from schema.taipei import day_of, end_of
from simulation.people import (
    BROWSER,
    COOPERATIVE,
    CORPORATE,
    Holding,
    Pace,
    SimulatedCustomer,
    make_customer,
)
from simulation.sample import card_file, open_bank
from web.passwords import hash_of
from xuqi.bootstrap import bootstrap
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from xuqi.bootstrap import App

PASSWORD = "try-it-2026"  # noqa: S105 - of invented customers, on a loopback address
BACKUP_PASSWORD = "Try12345"  # noqa: S105 - of an invented customer's backup file
CLERK, CLERK_PASSWORD = "wang", "try-it-2026"  #: at the station
RELEASE_PASSWORD = "Release2026"  # noqa: S105 - of an invented company
BRANCH = "001"
OTHERS = 30  #: customers beside those to log in as, for the lists of the back office
SEED = 7
HOST = "127.0.0.1"


@dataclass
class MovableClock:
    """The machine's clock, and what a person has moved it on by."""

    moved: timedelta = timedelta(0)
    _machine: SystemClock = field(default_factory=SystemClock)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        with self._lock:
            return self._machine.now() + self.moved

    def elapsed(self) -> timedelta:
        """How far it has gone: a clock that is moved on purpose has not leapt."""
        with self._lock:
            return timedelta(seconds=time.monotonic()) + self.moved

    def move_on(self, by: timedelta) -> None:
        """Move it on; never back: what has happened has happened."""
        with self._lock:
            self.moved += max(by, timedelta(0))


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Somebody to log in as."""

    person: SimulatedCustomer
    user_code: str
    zh: str
    en: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    app: App
    clock: MovableClock
    guests: Sequence[Guest]
    staff: Mapping[str, str]  #: names to their first passwords
    backup: Path  #: the present key of the customer whose certificate lives in the browser
    branch_home: Path  #: of the branch's station, with the guests' tokens


def open_trial(home: Path, *, port: int) -> Trial:
    """Make the sample bank anew in the folder, which is emptied before."""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    clock = MovableClock()
    app = bootstrap(Settings(home=home, port=port, bank=Settings.SAMPLE), clock=clock)
    guests = _guests(clock.now())
    others = [make_customer(number, SEED, clock.now()) for number in range(101, 101 + OTHERS)]
    people = [guest.person for guest in guests] + others
    cards = ActivityLog(home / "outside" / "cards.jsonl", clock)
    open_bank(app, people, cards)
    _let_in(app, guests)
    return Trial(
        app=app,
        clock=clock,
        guests=guests,
        staff=_staff(app),
        backup=_backup(home, guests[0].person),
        branch_home=_branch(home, guests),
    )


@retry_on_conflict
def _let_in(app: App, guests: Sequence[Guest]) -> None:
    """Everybody has the same passwords: each is hashed once, which is meant to be slow."""
    password, release = hash_of(PASSWORD), hash_of(RELEASE_PASSWORD)
    with app.store.transaction() as work:
        for guest in guests:
            credentials.put(
                work,
                Credential(
                    customer=guest.person.number,
                    user_code=guest.user_code,
                    password_hash=password,
                    customer_class=guest.person.customer_class,
                    operator=guest.person.operator,
                    changed_at=work.at,
                    release_hash=release,
                ),
            )


def _branch(home: Path, guests: Sequence[Guest]) -> Path:
    """
    The guests' tokens are in the readers of the branch, and the others' in nobody's: the served
    process itself attends no reader.
    """
    tokens = home / "branch" / "cards"
    tokens.mkdir(parents=True)
    for guest in guests:
        for holding in guest.person.holdings:
            if holding.token:
                card_file(home, holding.token).rename(card_file(home / "branch", holding.token))
    (home / "cards").rename(home / "tokens at home")
    return home / "branch"


def _staff(app: App) -> dict[str, str]:
    """Two people, so that one can approve what the other has made."""
    accounts, why = Staff(app.store), "the trial's own"
    roles = {
        "clerk": (StaffRole.MAKER, StaffRole.OPERATOR),
        "chief": (StaffRole.CHECKER, StaffRole.AUDITOR),
    }
    return {name: accounts.add(name, its, who="trial", why=why) for name, its in roles.items()}


def _backup(home: Path, person: SimulatedCustomer) -> Path:
    holding = person.holdings[0]
    if holding.key is None:
        raise TypeError("the first guest's key lives in the browser")
    path = home / "backup" / "old-certificate.pfx"
    path.parent.mkdir()
    path.write_bytes(holding.key.backup(holding.der, BACKUP_PASSWORD))
    return path


def _guests(now: datetime) -> list[Guest]:
    return [
        Guest(
            person=_person(1, "林怡婷", "A224561234", BROWSER, now, days=14),
            user_code="LIN01",
            zh="證券網路憑證，金鑰在瀏覽器，14 天後到期",
            en="securities certificate, its key in the browser, ends in 14 days",
        ),
        Guest(
            person=_person(2, "範例精密股份有限公司", "24536806", CORPORATE, now, days=20),
            user_code="ADMIN01",
            zh="企業載具憑證，先繳費，20 天後到期",
            en="corporate certificate on a token, paid first, ends in 20 days",
        ),
        Guest(
            person=_person(3, "範例貿易有限公司", "53212539", COOPERATIVE, now, days=9),
            user_code="SUPER001",
            zh="合作銀行晶片卡憑證，9 天後到期",
            en="cooperative certificate on a chip card, ends in 9 days",
        ),
        Guest(
            person=_person(4, "王淑芬", "H220314567", BROWSER, now, days=200),
            user_code="WANG1",
            zh="證券網路憑證，還不用更新",
            en="securities certificate, not due yet",
        ),
    ]  # fmt: skip


def _person(
    number: int, name: str, id_number: str, product: str, now: datetime, *, days: int
) -> SimulatedCustomer:
    not_after = end_of(day_of(now) + timedelta(days=days))
    years = 2 if product == COOPERATIVE else 1
    holding = Holding(
        product=product,
        not_before=not_after - timedelta(days=365 * years),
        not_after=not_after,
        pace=Pace.PROMPT,
    )
    return SimulatedCustomer(
        number=number,
        name=name,
        id_number=id_number,
        mobile=f"+8869{12_345_600 + number}",
        mail=f"customer{number}@example.test",
        locale="zh-TW",
        traits=frozenset(),
        chance=random.Random(f"trial {number}"),  # noqa: S311 - a story, no secret
        holdings=[holding],
        customer_class={BROWSER: 2, CORPORATE: 3, COOPERATIVE: 4}[product],
        operator={BROWSER: "only user", CORPORATE: "administrator", COOPERATIVE: "SUPER001"}[
            product
        ],
        branch=BRANCH,
        account=f"{700_0000_0000 + number}",
    )


def lines(trial: Trial, addresses: Mapping[str, str]) -> list[str]:
    """What the terminal says: where to go, and whom to be there."""
    printed = [f"{name}: {where}" for name, where in addresses.items()]
    printed += ["客戶／customers (ID number, user code, password):"]
    printed += [
        f"  {one.person.id_number}  {one.user_code}  {PASSWORD}  {one.zh}／{one.en}"
        for one in trial.guests
    ]
    printed += [
        f"    載具／token {it.token}, PIN {it.pin}; 放行密碼／release password {RELEASE_PASSWORD}"
        for one in trial.guests
        for it in one.person.holdings
        if it.token
    ]
    printed += [f"分行／branch: {CLERK}  {CLERK_PASSWORD}"]
    printed += ["後台／staff (name, first password, to be changed at the log-in):"]
    printed += [f"  {name}  {password}" for name, password in trial.staff.items()]
    return printed
