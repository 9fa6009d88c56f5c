"""A customer's contact is changed by one person, and a new number confirmed by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from back_office.contact_changes import ContactChanges
from renewal.store import contact_edits

if TYPE_CHECKING:
    from back_office.contact_changes import NewContact
    from renewal.db.engine import Store


def changed_by_two(store: Store, customer: int, asked: NewContact) -> None:
    changes = ContactChanges(store)
    changes.change(customer, asked, who="lin", why="at the counter")
    with store.snapshot() as look:
        edit = contact_edits.of_customer(look, customer)
    if edit is not None:
        changes.confirm(customer, edit.seen, who="chen", why="has called the customer back")
