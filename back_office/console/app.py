"""Makes the application of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from back_office.actions import BackOffice
from back_office.console.api import RunsApi
from back_office.console.dashboard import Dashboard
from back_office.console.finding import CertificatePages
from back_office.console.letters import DeadLetterPages
from back_office.console.lists import ListPages
from back_office.console.live import LivePages
from back_office.console.log_in import LogInPages
from back_office.console.money import MoneyPages
from back_office.console.outgoing import MessagePages
from back_office.console.policy_pages import PolicyPages
from back_office.console.reconcile_pages import ReconcilePages
from back_office.console.run_pages import RunPages
from back_office.console.site import ConsoleSite, frame
from back_office.console.tasks import TaskPages
from back_office.console.token_pages import TokenLifePages
from back_office.console.trail import AuditPages
from back_office.messaging import Messaging
from back_office.reconciling import Reconciling
from back_office.runs.actions import RunActions
from back_office.runs.limits import SHIPPED, ApprovalLimits
from back_office.runs.plan import Planner
from back_office.settling import Settling
from back_office.staff import FACE, Staff
from web.app import Kit, make_app
from web.guard import LOOPBACK
from web.oidc.pages import Admitted, BankLogIn
from web.sessions import StoredSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from fastapi import FastAPI

    from back_office.bank_log_in import StaffBankLogIn
    from back_office.reconciling import Comparisons
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.store.reports import ConsumerStatus
    from templates.rendering import MessageRenderer

#: A list of a million rows; a page's own forms are far smaller.
MAX_UPLOAD = 64 * 1024 * 1024


def console_app(
    store: Store,
    policies: Policies,
    *,
    renderer: MessageRenderer,
    branches: Collection[str] = (),
    hosts: Collection[str] = LOOPBACK,
    https: bool = False,
    limits: ApprovalLimits = SHIPPED,
    bank_log_in: StaffBankLogIn | None = None,
    comparisons: Comparisons | None = None,
    consumers: Callable[[UnitOfWork], Mapping[str, ConsumerStatus]] | None = None,
) -> FastAPI:
    """
    The pages of the console. ``hosts``: the names that it is reached by; ``https``: a proxy
    before it speaks TLS with the browsers; ``limits``: of one approver; ``bank_log_in``: the
    bank's own; ``comparisons``: with each system outside, where this process can ask them;
    ``consumers``: how each stands, where this process knows them.
    """
    kit = Kit(
        face=FACE,
        https=https,
        clock=store.clock,
        sessions=StoredSessions(store),
        frame=frame(store, renderer.bank),
    )
    site = ConsoleSite(
        kit=kit,
        store=store,
        policies=policies,
        staff=Staff(store, are_open=bank_log_in is None or not bank_log_in.alone),
        back_office=BackOffice(store, policies, frozenset(branches)),
        planner=Planner(store, policies, branches),
        runs=RunActions(store, policies, limits),
        renderer=renderer,
        settling=Settling(store),
        messaging=Messaging(store),
        reconciling=Reconciling(store, comparisons or {}),
    )
    by_bank = _by_bank(site, bank_log_in) if bank_log_in else None
    parts = (
        *((by_bank,) if by_bank else ()),
        LogInPages(site, by_bank),
        Dashboard(site),
        LivePages(site, consumers),
        RunPages(site),
        CertificatePages(site),
        DeadLetterPages(site),
        TaskPages(site),
        TokenLifePages(site),
        MoneyPages(site),
        ReconcilePages(site),
        ListPages(site),
        MessagePages(site),
        PolicyPages(site),
        AuditPages(site),
        RunsApi(site),
    )
    return make_app(
        kit,
        [part.routes() for part in parts],
        title="Xuqi console",
        hosts=hosts,
        longest_body=MAX_UPLOAD,
        with_api=True,
    )


def _by_bank(site: ConsoleSite, log_in: StaffBankLogIn) -> BankLogIn:
    def admit(claims: Mapping[str, Any]) -> Admitted:
        member = log_in.who(claims)
        site.staff.admit(member)
        return Admitted(subject=member.name, body={"roles": sorted(member.roles)})

    return BankLogIn(kit=site.kit, sign_on=log_in.sign_on, cipher=site.store.cipher, admit=admit)
