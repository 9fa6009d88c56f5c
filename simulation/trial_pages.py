"""The page beside the trial: who to log in as, the mailbox as it fills, the clock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import JSONResponse, Response

from scheduler import delivery_receipts, jobs
from schema.taipei import TAIPEI
from simulation.trial import (
    BACKUP_PASSWORD,
    CLERK,
    CLERK_PASSWORD,
    PASSWORD,
    RELEASE_PASSWORD,
)
from templates.bank_file import sample_bank
from web.app import Kit, make_app
from web.sessions import MemorySessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI

    from simulation.trial import Trial

SHOWN = 30  #: messages
#: minutes, zh-TW, English
STEPS = (
    (1, "1 分鐘", "1 minute"),
    (60, "1 小時", "1 hour"),
    (24 * 60, "1 天", "1 day"),
    (7 * 24 * 60, "7 天", "7 days"),
    (30 * 24 * 60, "30 天", "30 days"),
)


@dataclass(frozen=True)
class TrialPages:
    trial: Trial
    kit: Kit
    addresses: Mapping[str, str]

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.page, methods=["GET"])
        router.add_api_route("/messages", self.messages, methods=["GET"])
        router.add_api_route("/clock", self.move, methods=["POST"])
        router.add_api_route("/old-certificate.pfx", self.backup, methods=["GET"])
        return router

    def page(self, request: Request) -> Response:
        return self.kit.page(
            request, "try/index.html", addresses=self.addresses, guests=self.trial.guests,
            password=PASSWORD, backup_password=BACKUP_PASSWORD, steps=STEPS,
            clerk=(CLERK, CLERK_PASSWORD), release_password=RELEASE_PASSWORD,
            messages=self._newest(),
        )  # fmt: skip

    def messages(self) -> Response:
        now = self.trial.clock.now().astimezone(TAIPEI)
        return JSONResponse({"now": f"{now:%Y-%m-%d %H:%M:%S}", "messages": self._newest()})

    def move(self, minutes: Annotated[int, Form(ge=1, le=60 * 24 * 400)]) -> Response:
        """Move the clock on, and let the scheduler look at once."""
        self.trial.clock.move_on(timedelta(minutes=minutes))
        app = self.trial.app
        for job in (jobs.scan, jobs.remind, jobs.leave, jobs.tend):
            job(app.store, app.policies)
        delivery_receipts.ask(app.store, app.gateways.sms)
        app.store.announce_change()
        return self.kit.see("/")

    def backup(self) -> Response:
        name = {"Content-Disposition": "attachment; filename=old-certificate.pfx"}
        return Response(
            self.trial.backup.read_bytes(), media_type="application/x-pkcs12", headers=name
        )

    def _newest(self) -> list[dict[str, str]]:
        outside = self.trial.app.settings.home / "outside"
        lines = [
            {**line, "channel": channel}
            for channel in ("sms", "mail")
            for line in _lines(outside / f"{channel}.jsonl")
            if line.get("body")
        ]
        lines.sort(key=lambda line: line["at"], reverse=True)
        return [_shown(line) for line in lines[:SHOWN]]


def _lines(path: Any) -> Sequence[dict[str, Any]]:  # noqa: ANN401 - a Path
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _shown(line: Mapping[str, Any]) -> dict[str, str]:
    at = datetime.fromisoformat(line["at"]).astimezone(TAIPEI)
    return {
        "at": f"{at:%m-%d %H:%M:%S}",
        "channel": line["channel"],
        "to": str(line.get("to", "")),
        "subject": str(line.get("subject", "")),
        "body": str(line["body"]),
    }


def trial_app(trial: Trial, addresses: Mapping[str, str]) -> FastAPI:
    kit = Kit(
        face="try",
        clock=trial.clock,
        sessions=MemorySessions(trial.clock),
        frame=lambda _request, _session: {"bank": sample_bank(), "who": "", "menu": []},
    )
    return make_app(kit, [TrialPages(trial, kit, addresses).routes()], title="Xuqi trial")
