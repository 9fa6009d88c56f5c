"""Makes the application of the certificate centre."""

from __future__ import annotations

from typing import TYPE_CHECKING

from centre.accounts import FACE, Accounts
from centre.api import Api
from centre.pages.applying import Applying
from centre.pages.copies import Copies
from centre.pages.ending import Ending
from centre.pages.home import Home
from centre.pages.log_in import LogIn, remembered_of
from centre.pages.paying import Paying
from centre.pages.release import Release
from centre.pages.renewing import Renewing
from centre.pages.site import Site, frame
from centre.pages.statements import Statements
from centre.pages.tokens import TokenPages
from schema.policy import Purpose
from web.app import Kit, make_app
from web.guard import LOOPBACK
from web.oidc.pages import Admitted, BankLogIn
from web.sessions import StoredSessions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from fastapi import FastAPI

    from centre.actions import Centre
    from centre.bank_log_in import CustomerLogIn
    from renewal.db.engine import Store
    from renewal.rules.policies import Policies
    from templates.bank import BankDetails


def centre_app(
    store: Store,
    centre: Centre,
    policies: Policies,
    *,
    bank: BankDetails,
    hosts: Collection[str] = LOOPBACK,
    https: bool = False,
    bank_log_in: CustomerLogIn | None = None,
) -> FastAPI:
    """
    The pages of the centre over these actions. ``hosts``: the names that it is reached by;
    ``https``: a proxy before it speaks TLS with the browsers; ``bank_log_in``: the bank's own.
    """
    kit = Kit(
        face=FACE,
        https=https,
        clock=store.clock,
        sessions=StoredSessions(store),
        frame=frame(store, policies, bank),
    )
    accounts = Accounts(store, are_open=bank_log_in is None or not bank_log_in.alone)
    site = Site(kit=kit, store=store, centre=centre, accounts=accounts, policies=policies)
    by_bank = _by_bank(site, bank_log_in) if bank_log_in else None
    parts = (
        *((by_bank,) if by_bank else ()),
        LogIn(site, by_bank), Home(site), Applying(site), Renewing(site), Copies(site),
        Paying(site), TokenPages(site), Release(site), Statements(site),
        Ending(site, Purpose.REVOKE), Ending(site, Purpose.SUSPEND),
        Api(site),
    )  # fmt: skip
    pages = [part.routes() for part in parts]
    return make_app(kit, pages, title="Xuqi certificate centre", hosts=hosts, with_api=True)


def _by_bank(site: Site, log_in: CustomerLogIn) -> BankLogIn:
    def admit(claims: Mapping[str, Any]) -> Admitted:
        who = log_in.who(claims, site.accounts)
        return Admitted(subject=str(who.customer), body=remembered_of(site, who))

    return BankLogIn(kit=site.kit, sign_on=log_in.sign_on, cipher=site.store.cipher, admit=admit)
