"""Makes the application of the station's screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations

from token_station.screen.pages_clerk import ClerkPages
from token_station.screen.pages_tokens import Tokens
from token_station.screen.pages_work import Work
from token_station.screen.site import FACE, LockedError, StationSite, frame
from web.app import Kit, make_app
from web.sessions import MemorySessions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from fastapi import FastAPI

    from renewal.clock import Clock
    from templates.bank import BankDetails
    from token_station.screen.audit import Trail
    from token_station.screen.clerks import Clerks
    from token_station.screen.worker import Worker
    from web.sessions import Session


def station_app(
    worker: Worker, clerks: Clerks, trail: Trail, clock: Clock, *, bank: BankDetails
) -> FastAPI:
    """The pages of one station; they are for this computer alone."""
    branch = worker.station.branch

    def values(_request: Request, _session: Session | None) -> Mapping[str, Any]:
        return frame(site, branch, bank)

    kit = Kit(face=FACE, clock=clock, sessions=MemorySessions(clock), frame=values)
    site = StationSite(kit=kit, worker=worker, clerks=clerks, trail=trail)
    pages = [ClerkPages(site).routes(), Work(site).routes(), Tokens(site).routes()]
    app = make_app(kit, pages, title="Xuqi token station")
    app.add_exception_handler(LockedError, lambda _request, _error: kit.see("/lock"))
    return app
