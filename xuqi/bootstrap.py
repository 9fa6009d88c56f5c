"""The composition root: builds the application from its settings."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy

from back_office.actions import BackOffice
from centre.actions import Centre
from consumers.outbound import Carriers
from consumers.registry import CONSUMERS, make_consumers
from renewal.clock import SystemClock
from renewal.db.encryption import SealBrokenError, cipher_of
from renewal.db.engine import (
    INSUFFICIENT_PRIVILEGE,
    Store,
    StoreUnavailableError,
    store_unavailable,
)
from renewal.delivery import Consumer, ConsumerRunner, WorkerPool, ignored_kinds
from renewal.delivery.runner import no_probe
from renewal.gateways.address import GatewayAddressError, Surroundings
from renewal.gateways.registry import open_gateway
from renewal.os_errors import os_error
from renewal.store.audit_heads import AuditHeads
from renewal.store.import_queries import newest_sealed
from schema.migrate import MigrationError, check, upgrade
from schema.reasons import SettingReason
from xuqi.bank import open_bank
from xuqi.event_log import open_log
from xuqi.key_files import read_keys
from xuqi.policies import open_policies
from xuqi.settings import Settings, SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog
    from renewal.gateways.bank.port import CoreBanking
    from renewal.gateways.bounces.port import BounceMailbox
    from renewal.gateways.ca.port import CertificationAuthority
    from renewal.gateways.mail.port import MailGateway
    from renewal.gateways.sms.port import SmsGateway
    from renewal.keys import Keys
    from renewal.rules.contact_hours import TaiwanCalendar
    from renewal.rules.first_days import FirstDays
    from renewal.rules.policies import Policies
    from templates.rendering import MessageRenderer
    from xuqi.bank import Bank


@dataclass(frozen=True, kw_only=True)
class Gateways:
    """The gateways of this installation."""

    sms: SmsGateway
    mail: MailGateway
    ca: CertificationAuthority
    bank: CoreBanking


class LazyGateways:
    """Gateways that are each opened on first use, so that a component opens only what it uses."""

    def __init__(
        self,
        *,
        sms: Callable[[], SmsGateway],
        mail: Callable[[], MailGateway],
        ca: Callable[[], CertificationAuthority],
        bank: Callable[[], CoreBanking],
    ) -> None:
        self._sms, self._mail, self._ca, self._bank = sms, mail, ca, bank

    @cached_property
    def sms(self) -> SmsGateway:
        return self._sms()

    @cached_property
    def mail(self) -> MailGateway:
        return self._mail()

    @cached_property
    def ca(self) -> CertificationAuthority:
        return self._ca()

    @cached_property
    def bank(self) -> CoreBanking:
        return self._bank()


@dataclass(frozen=True, kw_only=True)
class App:
    """The application, built once."""

    settings: Settings
    clock: Clock
    keys: Keys
    store: Store
    log: EventLog
    policies: Policies
    gateways: Gateways | LazyGateways
    bank: Bank
    renderer: MessageRenderer
    calendar: TaiwanCalendar
    random: Callable[[int], bytes] = os.urandom  #: of one-time codes

    @property
    def centre(self) -> Centre:
        return Centre(self.store, self.policies, self.keys, self.random)

    @property
    def back_office(self) -> BackOffice:
        return BackOffice(self.store, self.policies, self.settings.branch_names)

    @property
    def first_days(self) -> FirstDays:
        return self.settings.begins

    @property
    def carriers(self) -> Carriers:
        return Carriers(self.gateways.sms, self.gateways.mail)

    def consumers(self, groups: Collection[str] | None = None) -> tuple[Consumer, ...]:
        """
        Every consumer, or those of these groups.

        Raises:
            XuqiError: an outside system of one of them cannot be opened.
        """
        return make_consumers(self, CONSUMERS.keys() if groups is None else groups)

    def runner(
        self,
        consumer: Consumer,
        *,
        workers: WorkerPool | None = None,
        probe: Callable[[str], None] = no_probe,
    ) -> ConsumerRunner:
        reader = self.log.reader(consumer.group, consumer.topics, exclude=ignored_kinds(consumer))
        return ConsumerRunner(consumer, reader, self.store, workers=workers, probe=probe)


def bootstrap(
    settings: Settings,
    *,
    clock: Clock | None = None,
    outside: Gateways | LazyGateways | None = None,
    migrate: bool = True,
) -> App:
    """
    Build the application; persistent files are created at the first start.

    Raises:
        XuqiError: a setting, a secret, a policy or the database cannot be used.
    """
    clock = clock or SystemClock()
    bank = open_bank(settings)
    keys = read_keys(settings)
    store = open_store(settings, clock, keys, migrate=migrate)
    return App(
        settings=settings,
        clock=clock,
        keys=keys,
        store=store,
        log=open_log(settings, store),
        policies=open_policies(settings),
        bank=bank,
        renderer=bank.renderer(),
        gateways=outside or open_gateways(settings, clock, keys, bank_name=bank.details.name_zh),
        calendar=bank.calendar(),
    )


def open_store(settings: Settings, clock: Clock, keys: Keys, *, migrate: bool = True) -> Store:
    """
    ``migrate``: bring tables of an older version up to date; else they are refused.

    Raises:
        SettingsError: no folder, no database of ours, or not the key that it was sealed with.
        StoreUnavailableError: it does not answer, or its owner has not brought it up to date.
    """
    with migrating():
        private_home(settings.home)
        if not migrate:
            check(settings.store)
        upgrade(settings.store)
        cipher = cipher_of(keys)
        store = Store(settings.store, clock=clock, cipher=cipher, synchronous=settings.synchronous)
        store.tell_audit = AuditHeads(settings.audit_file).tell
        if keys.has("columns"):  # the relay and the stations have none
            _check_key(store)
    return store


def private_home(home: Path) -> None:
    """
    Make the folder, and keep it and all that is made in it to its owner: what is not sealed is not
    for every login of the machine either.

    Raises:
        SettingsError: others may read it, and it is not ours to close.
        OSError: it cannot be made.
    """
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = home.stat().st_mode
    if mode & 0o077:
        try:
            home.chmod(mode & 0o700)
        except OSError as error:
            raise SettingsError(str(home), SettingReason.OPEN_TO_OTHERS) from error


@contextmanager
def migrating() -> Iterator[None]:
    """Map errors of a migration to SettingsError or StoreUnavailableError."""
    try:
        yield
    except MigrationError as error:
        why = SettingReason.TABLES.why(detail=str(error))
        raise SettingsError("XUQI_STORE_URL", why) from error
    except OSError as error:
        why = SettingReason.CANNOT_BE_MADE.why(detail=os_error(error))
        raise SettingsError(str(error.filename), why) from error
    except sqlalchemy.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise store_unavailable(error) from error
        hint = "this login may not change the tables: run `xuqi db` as their owner"
        raise StoreUnavailableError(hint) from error


def _check_key(store: Store) -> None:
    """Fail fast if the column key is not the one this database was encrypted with."""
    try:
        with store.engine.connect() as connection:
            sealed = newest_sealed(connection)
    except sqlalchemy.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        return  # the relay's login sees no customer, and opens none
    try:
        if sealed is not None:
            store.cipher.open(sealed.value, "customers.id_number", sealed.row)
    except SealBrokenError as error:
        store.close()
        raise SettingsError("XUQI_SECRETS", SettingReason.OTHER_COLUMNS_KEY) from error


def open_bounces(settings: Settings, clock: Clock, keys: Keys) -> BounceMailbox | None:
    """
    The mailbox of bounces; ``None``: none is named.

    Raises:
        SettingsError: its address or password cannot be used.
    """
    if not settings.bounces_url:
        return None
    mailbox: BounceMailbox = _opened("bounces", settings, _around(settings, clock, keys))
    return mailbox


def open_gateways(
    settings: Settings, clock: Clock, keys: Keys, *, bank_name: str = ""
) -> LazyGateways:
    """The gateways; one that cannot be opened raises on first use. ``bank_name``: of senders."""
    around = _around(settings, clock, keys, bank_name)

    def opener(kind: str) -> Callable[[], Any]:
        return lambda: _opened(kind, settings, around)

    return LazyGateways(
        sms=opener("sms"), mail=opener("mail"), ca=opener("ca"), bank=opener("bank")
    )


def _around(settings: Settings, clock: Clock, keys: Keys, bank_name: str = "") -> Surroundings:
    return Surroundings(
        home=settings.home,
        clock=clock,
        keys=keys,
        public=settings.public,
        bank=settings.bank_folder,
        bank_name=bank_name,
        secret=lambda name: other_secret(settings, name),
    )


def _opened(kind: str, settings: Settings, around: Surroundings) -> Any:  # noqa: ANN401 - by kind
    try:
        return open_gateway(kind, getattr(settings, f"{kind}_url"), around)
    except GatewayAddressError as error:
        setting = error.setting or f"{kind}_url"
        raise SettingsError(f"XUQI_{setting.upper()}", error.reason) from error
