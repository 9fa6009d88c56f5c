"""Begins applications: for a customer's first certificate of a product, or one after an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.lifecycle import requests
from renewal.lifecycle.renewals import is_application
from renewal.rules import eligibility, slots
from renewal.store import certificates as certificate_queries
from renewal.store import renewals as queries
from schema.events import RenewalRequested
from schema.reasons import DecisionKind, RefusalReason
from schema.states import OldState
from schema.tables.people import certificates

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies


def apply(
    work: UnitOfWork,
    customer: int,
    product: str,
    policies: Policies,
    *,
    asked_by: tuple[str, str] | None = None,
) -> Renewal | RefusalReason:
    """
    Reserve an application and its certificate's number, or say why not.

    It is a renewal that replaces nothing, and goes the same way: its ``certificate`` is the one
    that will be issued. ``asked_by``: class and role of who is logged in; without a log-in those
    on file count.
    """
    policy = policies.of(product)
    why = why_not(work, customer, product, policies, asked_by=asked_by)
    if why is not None:
        return why
    (number,) = work.new_ids(certificates, 1)
    renewal = work.renewals.put(
        requests.row_of(
            work,
            policy,
            number=requests.id_of(number, 1),
            certificate=number,
            customer=customer,
            slot=slot_of(work, customer, product),
            old=OldState.NONE,
        )
    )
    work.emit(
        RenewalRequested(renewal=renewal.id, certificate=number, product=product, branch=None)
    )
    work.record_decision(number, DecisionKind.APPLICATION_MADE, renewal=renewal.id)
    return renewal


def slot_of(look: UnitOfWork, customer: int, product: str) -> str:
    """Where the customer's certificate of this product is, or will be."""
    theirs = certificate_queries.of_customers(look, [customer])
    held = [one for one in theirs if one.product == product]
    newest = max(held, key=lambda one: one.not_after, default=None)
    return newest.slot if newest else slots.of_customer(product, customer)


def under_way(look: UnitOfWork, customer: int, product: str) -> Renewal | None:
    """The customer's application for this product that has not ended."""
    found = queries.open_in_slot(look, slot_of(look, customer, product))
    return found if found is not None and is_application(found) else None


def why_not(
    look: UnitOfWork,
    customer: int,
    product: str,
    policies: Policies,
    *,
    asked_by: tuple[str, str] | None = None,
) -> RefusalReason | None:
    """Why this customer may not apply for this product online now, or ``None``."""
    enrolment = look.enrolments.find((customer, product))
    on_file = (str(enrolment.customer_class), enrolment.operator) if enrolment else (None, None)
    customer_class, operator = asked_by or on_file
    slot = slot_of(look, customer, product)
    return eligibility.why_not_apply(
        now=look.at,
        policy=policies.of(product),
        is_enrolled=enrolment is not None,
        customer_class=customer_class,
        operator=operator,
        slot_has_open_renewal=queries.open_in_slot(look, slot) is not None,
        in_slot=[(one.state, one.not_after) for one in certificate_queries.in_slot(look, slot)],
    )
