"""`xuqi messages`: what was said to customers, and whom the branches must call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import Desk, as_json, desk
from xuqi.language import moment

if TYPE_CHECKING:
    from renewal.store.rows import Message
    from renewal.store.work import Work


@click.group("messages", help="訊息與電話聯絡清單。\n\nMessages, and whom to call.")
def command() -> None:
    pass


@command.command(
    "list",
    help="最近的訊息；--calls 是分行應電話聯絡的客戶。\n\n"
    "The last messages; --calls: whom to call.",
)
@click.option("--customer", type=int, help="只列這位客戶 / only of this customer")
@click.option("--state", help="只列這個狀態 / only in this state")
@click.option("--calls", is_flag=True, help="分行電話聯絡清單 / the branches' call list")
@click.option("--after", default=0, help="--calls：從這張憑證之後 / after this certificate")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@desk
def list_(
    desk: Desk,
    customer: int | None,
    state: str | None,
    after: int,
    at_most: int,
    *,
    calls: bool,
    as_json: bool,
) -> None:
    from renewal.store import lists  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    if calls:
        _calls(desk, after, at_most, as_json=as_json)
        return
    with desk.store.look() as look:
        found = lists.newest_messages(look, customer=customer, state=state, at_most=at_most)
        look.customers.load(row.customer for row in found)
        rows = [_as_dict(look, row) for row in found]
    desk.listed(
        (
            ("訊息", "種類", "客戶", "管道", "寄往", "狀態", "時間", "錯誤"),
            ("message", "kind", "customer", "channel", "to", "state", "since", "error"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["kind"],
            row["customer"],
            row["channel"],
            row["to"],
            words.state(desk.lang, row["state"]),
            moment(row["owed_at"]),
            row["code"],
        ),
    )


def _calls(desk: Desk, after: int, at_most: int, *, as_json: bool) -> None:
    from renewal.rules import ladder  # noqa: PLC0415 - help needs none
    from renewal.store import lists  # noqa: PLC0415
    from xuqi import words  # noqa: PLC0415
    from xuqi.finding import masked_address  # noqa: PLC0415

    with desk.store.look() as look:
        rows = []
        for row in lists.branch_calls(look, after=after, at_most=at_most):
            enrolled = look.enrolments.find((row["customer"], row["product"]))
            address = masked_address(look, look.customers.find(row["customer"]), "sms")
            more = {
                "branch": enrolled.branch if enrolled else None,
                "mobile": address,
                "days_left": ladder.days_left(look.at, row["not_after"]),
            }
            rows.append({**row, **more})
    desk.listed(
        (
            ("分行", "客戶", "憑證", "產品", "行動電話", "到期", "剩餘天數", "為什麼"),
            ("branch", "customer", "certificate", "product", "mobile", "ends", "days left", "why"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["branch"] or "-",
            row["customer"],
            row["certificate"],
            row["product"],
            row["mobile"],
            moment(row["not_after"]),
            row["days_left"],
            words.reason(desk.lang, row["why"]),
        ),
    )


@command.command(
    help="一則訊息；本機信箱也顯示內文。\n\n"
    "Show one message, with its text if the mailbox is local."
)
@click.argument("message")
@as_json
@desk
def show(desk: Desk, message: str, *, as_json: bool) -> None:
    with desk.store.look() as look:
        row = _as_dict(look, look.messages.get(message))
    row["text"] = _text(desk, row)
    names = [name for name in row if name != "text"]
    lines = [
        f"{name}: {moment(row[name]) if hasattr(row[name], 'tzinfo') else row[name]}"
        for name in names
    ]
    if row["text"] is not None:
        lines += ["", row["text"]]
    desk.told(row, lines, as_json=as_json)


def _as_dict(look: Work, row: Message) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    from xuqi.finding import masked_address  # noqa: PLC0415

    to = masked_address(look, look.customers.find(row.customer), row.channel)
    told = {name: it for name, it in asdict(row).items() if not name.endswith("_hash")}
    return {**told, "to": to}


def _text(desk: Desk, row: dict[str, Any]) -> str | None:
    """
    The body, if the mailbox is a local one: it is kept nowhere else.
    """
    url = desk.settings.sms_url if row["channel"] == "sms" else desk.settings.mail_url
    path = desk.settings.home / "outside" / f"{row['channel']}.jsonl"
    if not url.startswith("local:") or not path.exists():
        return None
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if row["id"] in line:
                kept = json.loads(line)
                if kept["ref"] == row["id"]:
                    subject = f"{kept['subject']}\n\n" if kept.get("subject") else ""
                    return f"{subject}{kept['body']}"
    return None
