"""Opens the folder of a bank's own data; without one, the invented bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.runs.limits import FILE as APPROVALS
from back_office.runs.limits import ApprovalLimits, ApprovalLimitsError, read_limits
from renewal.days_file import DaysFile, DaysFileError
from renewal.gateways.ca.embedded.name import FILE as CA_NAME
from renewal.gateways.ca.embedded.name import CaNameError, read_name
from renewal.gateways.ca.embedded.profiles import ProfileError, load
from renewal.rules.contact_hours import TaiwanCalendar
from schema.reasons import SettingReason
from templates import overrides
from templates.bank_file import (
    FILE,
    BankDataError,
    invented,
    read_with_faults,
    sample_bank,
    sample_folder,
)
from templates.rendering import MessageRenderer
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from templates.bank import BankDetails
    from xuqi.settings import Settings

PROFILES, DAYS = "profiles", "days.toml"
#: What the folder may hold; anything else would do nothing.
KNOWN = (FILE, DAYS, APPROVALS, CA_NAME, overrides.FOLDER, PROFILES)


@dataclass(frozen=True, kw_only=True)
class Bank:
    details: BankDetails
    folder: Path | None = None  #: none: the invented bank

    @property
    def wording(self) -> Path | None:
        """The bank's own wording of messages."""
        return _folder(self.folder, overrides.FOLDER)

    @property
    def profiles(self) -> Path | None:
        """The bank's own certificate profiles."""
        return _folder(self.folder, PROFILES)

    def approval_limits(self) -> ApprovalLimits:
        """How large a bulk run one approver lets through alone."""
        return read_limits(self.folder)

    def renderer(self) -> MessageRenderer:
        return MessageRenderer(self.details, self.wording)

    def calendar(self) -> TaiwanCalendar:
        """The country's days, and the bank's own as their file has them at each moment."""
        if self.folder is None:
            return TaiwanCalendar()
        return TaiwanCalendar(bank_days=DaysFile(self.folder / DAYS))


def open_bank(settings: Settings) -> Bank:
    """
    Raises:
        SettingsError: something in the folder cannot be used, or would do nothing.
    """
    folder = settings.bank_folder
    if folder is None:
        return Bank(details=sample_bank())
    if not folder.is_dir():
        raise SettingsError("XUQI_BANK", SettingReason.NO_BANK_FOLDER.why(folder=str(folder)))
    details, wrong = read_with_faults(folder / FILE)
    wrong += _others_wrong(folder)
    if details is None or wrong:
        where = f"{wrong[0].file}:{wrong[0].key}"
        why = SettingReason.BANK_DATA.why(first=str(wrong[0]), where=where, more=len(wrong))
        raise SettingsError("XUQI_BANK", why)
    return Bank(details=details, folder=folder)


def faults(folder: Path) -> list[BankDataError]:
    """Everything in the folder that cannot be used."""
    return [*read_with_faults(folder / FILE)[1], *_others_wrong(folder)]


def check_whose_messages(settings: Settings, bank: Bank) -> str | None:
    """
    Return a warning where the invented bank's name would stand in messages that reach nobody.

    Raises:
        SettingsError: they would reach customers.
    """
    keys = [] if settings.bank == settings.SAMPLE else invented(bank.details)
    if not keys:
        return None
    urls = {"XUQI_SMS_URL": settings.sms_url, "XUQI_MAIL_URL": settings.mail_url}
    real = [name for name, url in urls.items() if not url.startswith("local:")]
    where = bank.folder / FILE if bank.folder else "XUQI_BANK"
    todo = (
        f"write your own into {where}"
        if bank.folder
        else "make it by `xuqi bank init` and write your own data into it"
    )
    if real:
        why = SettingReason.INVENTED.why(
            where=str(where),
            keys=", ".join(keys),
            real=", ".join(real),
            trial=f"XUQI_BANK={settings.SAMPLE}",
        )
        raise SettingsError("XUQI_BANK", why)
    return f"messages name an invented bank ({', '.join(keys)}): {todo}"


def invented_keys(settings: Settings) -> list[str]:
    """The keys that still hold the invented bank's data, unless a trial is meant."""
    bank = open_bank(settings)
    return [] if settings.bank == settings.SAMPLE else invented(bank.details)


def write_sample(folder: Path) -> Path:
    """
    Write a commented sample of bank.toml; return it.

    Raises:
        SettingsError: there is one already.
    """
    target = folder / FILE
    if target.exists():
        raise SettingsError(str(target), SettingReason.THERE_ALREADY)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.write_text((sample_folder() / FILE).read_text(encoding="utf-8"), encoding="utf-8")
    return target


def _others_wrong(folder: Path) -> list[BankDataError]:
    return [
        *_unknown(folder),
        *_wording_wrong(folder),
        *_ca_wrong(folder),
        *_profiles_wrong(folder),
        *_days_wrong(folder),
        *_approvals_wrong(folder),
    ]


def _unknown(folder: Path) -> Iterator[BankDataError]:
    for found in sorted(folder.iterdir()):
        if found.name not in KNOWN and not found.name.startswith("."):
            todo = f"remove it; there are: {', '.join(KNOWN)}"
            yield BankDataError(found.name, "(the whole file)", "would do nothing", todo)


def _wording_wrong(folder: Path) -> Iterator[BankDataError]:
    wording = _folder(folder, overrides.FOLDER)
    if wording is not None:
        yield from overrides.check_overrides(wording)


def _ca_wrong(folder: Path) -> Iterator[BankDataError]:
    try:
        read_name(folder)
    except CaNameError as error:
        key, why, todo = str(error).split(": ", 2)
        yield BankDataError(CA_NAME, key, why, todo)


def _profiles_wrong(folder: Path) -> Iterator[BankDataError]:
    profiles = _folder(folder, PROFILES)
    if profiles is None:
        return
    try:
        load(profiles)
    except ProfileError as error:
        where = str(error).removeprefix(f"{profiles}").strip("/: ")
        todo = "mend it; the shipped one is renewal/gateways/ca/embedded/profiles/signing.toml"
        yield BankDataError(PROFILES, where, "is no certificate profile", todo)


def _days_wrong(folder: Path) -> Iterator[BankDataError]:
    try:
        DaysFile(folder / DAYS).check()
    except DaysFileError as error:
        where, _, todo = str(error).removeprefix(f"{DAYS}: ").partition(": ")
        yield BankDataError(DAYS, where, "cannot be used", todo)


def _approvals_wrong(folder: Path) -> Iterator[BankDataError]:
    try:
        read_limits(folder)
    except ApprovalLimitsError as error:
        yield BankDataError(APPROVALS, error.key, error.why, error.todo)


def _folder(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).is_dir() else None
