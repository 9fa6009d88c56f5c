"""What the API of bulk runs takes and answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from back_office.runs.plan import HOURS, PER_MINUTE
from schema.states import RunState  # noqa: TC001 - pydantic reads the annotations

Why = Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2200, 1, 1))]
Words = Annotated[str, Field(max_length=64)]
Row = Annotated[int, Field(ge=1, le=2**31 - 1)]


class RunValue(BaseModel):
    """
    Answers are what is named here, and nothing else; an unknown field of a request is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunProblem(RunValue):
    code: str
    title: str
    trace: str


class StaffLogIn(RunValue):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=128)]
    code: Annotated[str, Field(max_length=16)] = ""  #: of the emergency account's app


class StaffSession(RunValue):
    token: str
    idle_seconds: int


class RunFilter(RunValue):
    name: Annotated[str, Field(max_length=80)] = ""
    product: Words | None = None
    branch: Words | None = None
    ends_from: Day | None = None
    ends_until: Day | None = None
    per_minute: Rate = PER_MINUTE
    hours: Words = HOURS  #: of each day in which items are begun


class RunShown(RunValue):
    run: int
    name: str
    state: RunState
    source: str
    made_by: str
    submitted_by: str | None
    approved_by: str | None
    seconded_by: str | None
    per_minute: int
    items: dict[str, int]  #: each item in one state
    begun: int
    a_minute: int
    ends_at: datetime | None


class FeesShown(RunValue):
    product: str
    items: int
    each: int


class MessagesShown(RunValue):
    product: str
    channel: str
    locale: str
    messages: int
    segments: int


class PreviewShown(RunValue):
    run: int
    rows: int
    to_begin: dict[str, int]
    excluded: dict[str, int]
    refused_rows: dict[str, int]
    fees: list[FeesShown]
    messages: list[MessagesShown]


class RowShown(RunValue):
    row: int
    column: str
    code: str
    reason: str
    remedy: str
    certificate: int | None


class WithReason(RunValue):
    why: Why


class ThrottleAsked(WithReason):
    per_minute: Rate


class RowsChosen(WithReason):
    rows: Annotated[tuple[Row, ...], Field(max_length=1_000)] = ()


class ItemsChanged(RunValue):
    items: int
