"""What staff change of one customer: telephone, mail, language, and whether they are reminded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from back_office.imports.customer_row import BadFieldError, plain, read_mail, read_mobile
from back_office.runs.limits import is_same_person
from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError, ReasonedError, XuqiError
from renewal.lifecycle import tasks
from renewal.lifecycle.addresses import change_customer, new_address
from renewal.store import audit, contact_edits
from renewal.store import certificates as certificate_queries
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.store.contact_edits import ContactEdit

LANGUAGES = ("zh-TW", "en")


@dataclass(frozen=True, kw_only=True)
class NewContact:
    """``None``: it stays; an empty text: there is none any more."""

    mobile: str | None = None
    mail: str | None = None
    opted_out: bool | None = None
    locale: str | None = None


@dataclass(frozen=True)
class ContactChanges:
    """Each change is one transaction together with its line in the audit trail."""

    store: Store

    @retry_on_conflict
    def change(self, customer: int, asked: NewContact, *, who: str, why: str) -> list[str]:
        """
        Change it, and return the names of what is another now. A new mobile number is not: codes
        go there, so it waits until a second person has confirmed it.

        The carrier's verdict was about the old address; codes go to the new one only.

        Raises:
            XuqiError: there is no such customer, or a value that cannot be used.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"customer {customer}"
            audit.write(work, who=who, did="change contact", object_=object_, why=why)
            row = work.customers.get(customer)
            changes = _changes(work, row, asked)
            if not changes:
                raise ReasonedError(RefusalReason.NOTHING_CHANGED)
            if asked.mobile and "mobile_hash" in changes:
                contact_edits.put(work, customer, _mobile(asked.mobile), who=who, why=why)
                changes = _changes(work, row, replace(asked, mobile=None))
            elif asked.mobile == "":
                contact_edits.remove(work, customer)
            if changes:
                change_customer(work, row, changes)
        return sorted({name.removesuffix("_hash") for name in changes} & NAMES)

    @retry_on_conflict
    def confirm(self, customer: int, seen: str, *, who: str, why: str) -> None:
        """
        Put the new number in force that another person has entered.

        ``seen``: which edit the person has seen.

        Raises:
            NotNowError: none waits, it is the person's own, or another has taken its place.
        """
        with self.store.transaction() as work:
            edit = _waiting(work, customer, seen, did="confirm contact", who=who, why=why)
            if is_same_person(edit.made_by, who):
                raise NotNowError(RefusalReason.OWN_EDIT, f"customer {customer}")
            row = work.customers.get(customer)
            changes = new_address(work, row, "mobile", contact_edits.mobile_of(work, edit))
            if changes:
                change_customer(work, row, changes)
            for certificate in certificate_queries.of_customers(work, [customer]):
                tasks.number_found(work, certificate, who=who, why=why)
            contact_edits.remove(work, customer)

    @retry_on_conflict
    def reject(self, customer: int, seen: str, *, who: str, why: str) -> None:
        """
        Throw away a new number that waits; who entered it may do so, too.

        Raises:
            NotNowError: none waits, or another has taken its place.
        """
        with self.store.transaction() as work:
            _waiting(work, customer, seen, did="reject contact", who=who, why=why)
            contact_edits.remove(work, customer)


def _waiting(
    work: UnitOfWork, customer: int, seen: str, *, did: str, who: str, why: str
) -> ContactEdit:
    must_say_why(who, why)
    audit.write(work, who=who, did=did, object_=f"customer {customer}", why=why)
    edit = contact_edits.of_customer(work, customer)
    if edit is None:
        raise NotNowError(RefusalReason.NO_EDIT_WAITS, f"customer {customer}")
    if edit.seen != seen:
        raise NotNowError(RefusalReason.OTHER_EDIT, f"customer {customer}")
    return edit


NAMES = frozenset({"mobile", "mail", "opted_out", "locale"})


def _changes(work: UnitOfWork, row: Customer, asked: NewContact) -> dict[str, object]:
    changes: dict[str, object] = {}
    for name in ("mobile", "mail"):
        typed = getattr(asked, name)
        if typed is not None:
            changes |= _address(work, row, name, typed)
    if asked.opted_out is not None and asked.opted_out != row.opted_out:
        changes["opted_out"] = asked.opted_out
    if asked.locale is not None and asked.locale != row.locale:
        if asked.locale not in LANGUAGES:
            raise XuqiError(f"a language is one of {', '.join(LANGUAGES)}")
        changes["locale"] = asked.locale
    return changes


def _mobile(typed: str) -> str:
    return read_mobile(plain(typed), []) or ""


def _address(work: UnitOfWork, row: Customer, name: str, typed: str) -> dict[str, object]:
    try:
        value = read_mobile(plain(typed), []) if name == "mobile" else read_mail(plain(typed))
    except BadFieldError as error:
        raise BadFieldError(error.reason, name) from error  # it does not quote the value
    return new_address(work, row, name, value)
