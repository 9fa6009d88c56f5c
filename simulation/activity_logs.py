"""Reads the outside systems' activity logs as typed rows, and reports unreadable lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path  # noqa: TC003 - part of what is promised
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]+$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class ActivityRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line: what happened, when, and where it is written."""

    place: str  #: file and line, as a person looks it up
    at: Moment

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("times are UTC")


class SentSms(ActivityRow, frozen=True, kw_only=True):
    to: str
    body: str
    id: str
    ref: str
    final: str = ""  #: what the carrier will say of it
    code: str = ""


class SentMail(ActivityRow, frozen=True, kw_only=True):
    to: str
    subject: str
    body: str
    id: str
    ref: str


class CaAct(ActivityRow, frozen=True, kw_only=True):
    op: Literal["issue", "revoke", "suspend", "resume"]
    serial: Hex
    subject: str
    spki_sha256: Digest
    not_before: Moment
    not_after: Moment
    request_id: str | None
    reason: str | None


class BookingLine(ActivityRow, frozen=True, kw_only=True):
    op: Literal["hold", "capture", "void", "debit", "refund"]
    id: str
    account: str
    amount: Annotated[int, Meta(gt=0)]
    ref: str
    of: str | None
    answer: Literal["ok", "refused", "lost", "duplicate"]

    @property
    def happened(self) -> bool:
        """Whether this line is the one in which it was done."""
        return self.answer in {"ok", "lost"}


class CardAct(ActivityRow, frozen=True, kw_only=True):
    card: str
    op: Literal["generate", "put", "verify", "sign", "change_pin", "unblock", "insert", "pull"]
    slot: str | None
    result: Annotated[str, Meta(pattern=r"^(ok|[0-9A-F]{4})$")]
    sha256: Digest | None


class CustomerAct(ActivityRow, frozen=True, kw_only=True):
    """
    What a customer did and saw. ``certificate``: the one it was done with or about.

    ``received``, ``proved`` and ``backed_up`` name the new certificate. ``result`` of ``asked``
    and ``paid`` is the id of the renewal or payment, if there is one, else why not; of ``coded``
    what the centre said (right, wrong, expired, locked); of ``used`` ok or why not; of
    ``gave_pin`` ``last try released`` where the customer did so.
    """

    customer: str | int
    certificate: Hex
    did: Literal[
        "asked", "coded", "paid", "agreed", "received", "proved", "backed_up", "used",
        "brought_token", "pulled_token", "gave_pin", "declined",
    ]  # fmt: skip
    result: str
    mobile: str | None
    mail: str | None
    product: str


class UnreadableLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line, or a whole file, that is not what it should be."""

    place: str
    why: str


R = TypeVar("R", bound=ActivityRow)


def read(path: Path, kind: type[R]) -> tuple[list[R], list[UnreadableLine]]:
    """Return a ledger's rows in the order of time, and what could not be read."""
    if not path.exists():
        return [], [UnreadableLine(place=path.name, why="there is no such ledger")]
    rows: list[R] = []
    bad: list[UnreadableLine] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        place = f"{path.name}:{number}"
        try:
            rows.append(_row(line, place, kind))
        except (msgspec.MsgspecError, ValueError) as error:
            bad.append(UnreadableLine(place=place, why=str(error)))
    return sorted(rows, key=lambda row: row.at), bad  # stable: lines of one moment stay in order


def _row(line: bytes, place: str, kind: type[R]) -> R:
    if not line.endswith(b"\n"):
        raise ValueError("the line is cut off")
    fields: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    if "place" in fields:
        raise ValueError("a ledger does not know a field `place`")
    return msgspec.convert({**fields, "place": place}, kind)
