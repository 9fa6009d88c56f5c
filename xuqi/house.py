"""Puts the rooms together, as the settings say."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import sqlalchemy

from back_office.actions import BackOffice
from centre.actions import Centre
from consumers.billing import Billing
from consumers.issuance import Issuance
from consumers.notices import Notices
from consumers.otp import OneTimeCodes
from consumers.records import Records
from consumers.reminders import Reminders
from consumers.revocation import Revocation
from consumers.sending import Carriers
from renewal.clock import SystemClock
from renewal.cycle import Policies
from renewal.delivery import Consumer, Delivery, Hands, unwanted
from renewal.delivery.batches import nothing
from renewal.rules.quiet import TaiwanCalendar
from renewal.store.engine import NO_RIGHT, Store, StoreUnavailableError, no_answer
from renewal.store.intake import newest_sealed
from renewal.store.vault import SealBrokenError, Vault
from schema.migrate import MigrationError, upgrade
from schema.policy import load_policies
from templates.voice import Voice
from xuqi.logs import open_log
from xuqi.settings import Settings, SettingsError, other_secret, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog
    from renewal.gateways.bank.port import CoreBanking
    from renewal.gateways.ca.port import CertificationAuthority
    from renewal.gateways.mail.port import MailGateway
    from renewal.gateways.sms.port import SmsGateway
    from renewal.keys import Keys
    from renewal.store.rows import Renewal
    from renewal.store.work import Work

#: How each consumer is made, in the order in which they are started: codes are in a hurry.
CONSUMERS: Mapping[type[Consumer], Callable[[House], Consumer]] = {
    OneTimeCodes: lambda it: OneTimeCodes(
        carriers=it.carriers, voice=it.voice, policies=it.policies, key_generate=it.keys.codes
    ),
    Billing: lambda it: Billing(bank=it.outside.bank, policies=it.policies),
    Issuance: lambda it: Issuance(ca=it.outside.ca, policies=it.policies, common_name=common_name),
    Records: lambda it: Records(policies=it.policies, stations_key=it.keys.stations),
    Revocation: lambda it: Revocation(ca=it.outside.ca, policies=it.policies),
    Reminders: lambda it: Reminders(
        carriers=it.carriers,
        voice=it.voice,
        policies=it.policies,
        calendar=TaiwanCalendar(),
        store=it.store,
    ),
    Notices: lambda it: Notices(
        carriers=it.carriers, voice=it.voice, policies=it.policies, calendar=TaiwanCalendar()
    ),
}

#: Every account of the embedded bank starts with this, in whole New Taiwan dollars.
OPENING_BALANCE = 100_000


@dataclass(frozen=True, kw_only=True)
class Outside:
    """
    The world outside, as this installation reaches it.
    """

    sms: SmsGateway
    mail: MailGateway
    ca: CertificationAuthority
    bank: CoreBanking


class WhenUsed:
    """
    An ``Outside`` each part of which is opened by the first who asks for it, so that a room opens
    what it uses and nothing else.
    """

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
class House:
    """
    Everything, put together once.
    """

    settings: Settings
    clock: Clock
    keys: Keys
    store: Store
    log: EventLog
    policies: Policies
    outside: Outside | WhenUsed
    voice: Voice = field(default_factory=Voice)

    @property
    def centre(self) -> Centre:
        return Centre(self.store, self.policies, self.keys)

    @property
    def back_office(self) -> BackOffice:
        return BackOffice(self.store, self.policies)

    @property
    def carriers(self) -> Carriers:
        return Carriers(self.outside.sms, self.outside.mail)

    def consumers(self, groups: Collection[str] | None = None) -> tuple[Consumer, ...]:
        """
        Every consumer, or those of these groups.

        Raises:
            XuqiError: what one of them uses outside cannot be opened.
        """
        chosen = (kind for kind in CONSUMERS if groups is None or kind.group in groups)
        return tuple(CONSUMERS[kind](self) for kind in chosen)

    def delivery(
        self,
        consumer: Consumer,
        *,
        hands: Hands | None = None,
        probe: Callable[[str], None] = nothing,
    ) -> Delivery:
        reader = self.log.reader(consumer.group, consumer.topics, without=unwanted(consumer))
        return Delivery(consumer, reader, self.store, hands=hands, probe=probe)


def common_name(work: Work, renewal: Renewal) -> str:
    """
    The subject's name as our record has it: <ID>-00-<6 digits of the certificate's number>.
    """
    customer = work.customers.get(renewal.customer)
    number = work.vault.open_text(customer.id_number_sealed, "customers.id_number")
    return f"{number}-00-{renewal.certificate % 1_000_000:06d}"


def build(
    settings: Settings, *, clock: Clock | None = None, outside: Outside | WhenUsed | None = None
) -> House:
    """
    Open the house; what is kept is made at the first opening.

    Raises:
        XuqiError: a setting, a secret, a policy or the database cannot be used.
    """
    clock = clock or SystemClock()
    keys = read_keys(settings)
    store = open_store(settings, clock, keys)
    return House(
        settings=settings,
        clock=clock,
        keys=keys,
        store=store,
        log=open_log(settings, store),
        policies=Policies(load_policies(settings.policies)),
        outside=outside or open_outside(settings, clock, keys),
    )


def open_store(settings: Settings, clock: Clock, keys: Keys) -> Store:
    """
    Raises:
        SettingsError: no folder, no database of ours, or not the key that it was sealed with.
        StoreUnavailableError: it does not answer, or its owner has not brought it up to date.
    """
    with migrating():
        settings.home.mkdir(parents=True, exist_ok=True)
        upgrade(settings.store)
        vault = Vault({1: keys.columns})
        store = Store(settings.store, clock=clock, vault=vault, synchronous=settings.synchronous)
        _check_key(store)
    return store


@contextmanager
def migrating() -> Iterator[None]:
    """
    Tell the errors of a migration as ours.
    """
    try:
        yield
    except MigrationError as error:
        raise SettingsError(f"XUQI_STORE_URL: {error}") from error
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be made: {error.strerror}") from error
    except sqlalchemy.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != NO_RIGHT:
            raise no_answer(error) from error
        told = "this login may not change the tables: run `xuqi db` as their owner"
        raise StoreUnavailableError(told) from error


def _check_key(store: Store) -> None:
    """
    Before anything is sealed with another key, and every customer taken in a second time.
    """
    try:
        with store.engine.connect() as connection:
            sealed = newest_sealed(connection)
    except sqlalchemy.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != NO_RIGHT:
            raise
        return  # the relay's login sees no customer, and opens none
    try:
        if sealed is not None:
            store.vault.open(sealed, "customers.id_number")
    except SealBrokenError as error:
        store.close()
        raise SettingsError(
            "XUQI_SECRETS: columns.key is not the key with which this database was sealed"
        ) from error


def open_outside(settings: Settings, clock: Clock, keys: Keys) -> WhenUsed:
    """
    What of it cannot be opened is said when it is first asked for.
    """
    return WhenUsed(
        sms=lambda: _sms(settings, clock),
        mail=lambda: _mail(settings, clock, keys),
        ca=lambda: _ca(settings, clock, keys),
        bank=lambda: _bank(settings, clock),
    )


def _sms(settings: Settings, clock: Clock) -> SmsGateway:
    url = urlsplit(settings.sms_url)
    if url.scheme == "local":
        from renewal.gateways.sms.mailbox import LocalSms  # noqa: PLC0415 - only what is used

        return LocalSms(settings.home / "outside" / "sms.jsonl", clock)
    if url.scheme != "twilio":
        raise SettingsError(f"XUQI_SMS_URL: {settings.sms_url!r} is neither local: nor twilio://")
    from renewal.gateways.sms.port import Lane  # noqa: PLC0415
    from renewal.gateways.sms.twilio import TwilioSms  # noqa: PLC0415 - slow to import

    base = parse_qs(url.query).get("base", [None])[0]
    return TwilioSms(
        account_sid=url.username or "",
        auth_token=other_secret(settings, "twilio"),
        messaging_services={
            Lane.CODES: url.netloc.rpartition("@")[2],
            Lane.REMINDERS: url.path.strip("/"),
        },
        status_callback=settings.public,
        base_url=base,
    )


def _mail(settings: Settings, clock: Clock, keys: Keys) -> MailGateway:
    url = urlsplit(settings.mail_url)
    if url.scheme == "local":
        from renewal.gateways.mail.mailbox import LocalMail  # noqa: PLC0415 - only what is used

        return LocalMail(settings.home / "outside" / "mail.jsonl", clock)
    if url.scheme != "smtp":
        raise SettingsError(f"XUQI_MAIL_URL: {settings.mail_url!r} is neither local: nor smtp://")
    from renewal.gateways.mail.smtp import SmtpMail, Tls  # noqa: PLC0415 - only what is used

    query = parse_qs(url.query)
    if "@" not in query.get("from", [""])[0]:
        raise SettingsError("XUQI_MAIL_URL: say ?from=<address>, the sender of the mails")
    tls, ca_file = query.get("tls", [Tls.VERIFY])[0], query.get("ca_file", [None])[0]
    if tls not in set(Tls):
        raise SettingsError(f"XUQI_MAIL_URL: tls {tls!r} is none of {', '.join(Tls)}")
    if ca_file is not None and not Path(ca_file).is_file():
        raise SettingsError(f"XUQI_MAIL_URL: ca_file: there is no file {ca_file!r}")
    return SmtpMail(
        host=url.hostname or "localhost",
        port=url.port or 587,
        sender=query["from"][0],
        key=keys.mail.value,
        clock=clock,
        tls=tls,
        ca_file=ca_file,
        user=url.username,
        password=other_secret(settings, "smtp") if url.username else None,
    )


def _ca(settings: Settings, clock: Clock, keys: Keys) -> CertificationAuthority:
    if settings.ca_url != "embedded:":
        raise SettingsError(f"XUQI_CA_URL: {settings.ca_url!r} is no CA that Xuqi knows")
    from renewal.gateways.ca.authority import CaLockedError  # noqa: PLC0415 - only what is used
    from renewal.gateways.ca.embedded import EmbeddedCa  # noqa: PLC0415
    from renewal.gateways.ledger import OutsideLedger  # noqa: PLC0415

    ledger = OutsideLedger(settings.home / "outside" / "ca.jsonl", clock)
    try:
        return EmbeddedCa(settings.home / "ca", clock, keys.ca, ledger=ledger)
    except CaLockedError as error:
        raise SettingsError(f"XUQI_SECRETS: ca.key: {error}") from error


def _bank(settings: Settings, clock: Clock) -> CoreBanking:
    if settings.bank_url != "embedded:":
        raise SettingsError(f"XUQI_BANK_URL: {settings.bank_url!r} is no bank that Xuqi knows")
    from renewal.gateways.bank.embedded import EmbeddedBank  # noqa: PLC0415 - only what is used

    return EmbeddedBank(
        settings.home / "outside" / "bank.jsonl", clock, opening=lambda _account: OPENING_BALANCE
    )
