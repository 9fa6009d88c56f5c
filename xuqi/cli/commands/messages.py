"""`xuqi messages`: the messages to customers, and the call list of the branches."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.filters import StateFilter
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork


#: Why a reminder is held back, in zh-TW.
_HELD = {"opted out": "客戶拒收", "no address": "沒有可用的聯絡方式"}


@click.group("messages", help="訊息與電話聯絡清單。\n\nMessages, and whom to call.")
def command() -> None:
    pass


@command.command(
    "list",
    help="最近的訊息；--calls 是分行應電話聯絡的客戶。\n\n"
    "The last messages; --calls: whom to call.",
)
@click.option("--customer", type=int, help="只列這位客戶 / only of this customer")
@click.option("--state", type=StateFilter("MessageState"), help="只列這個狀態 / only in this state")
@click.option("--calls", is_flag=True, help="分行電話聯絡清單 / the branches' call list")
@click.option(
    "--open",
    "in_clear",
    is_flag=True,
    help="--calls：顯示客戶編號、姓名、電話，須附 --who --why，留存稽核紀錄"
    " / show number, name and telephone; needs --who and --why, and is put on the audit trail",
)
@click.option("--who", help="承辦人員 / the member of staff")
@click.option("--why", help="原因 / the reason")
@click.option("--after", default=0, help="--calls：從這張憑證之後 / after this certificate")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(
    context: CliContext,
    *,
    customer: int | None,
    state: str | None,
    after: int,
    at_most: int,
    who: str | None,
    why: str | None,
    calls: bool,
    in_clear: bool,
    as_json: bool,
) -> None:
    from renewal.store import reports  # noqa: PLC0415 - help needs none
    from schema.states import MessageState  # noqa: PLC0415
    from xuqi.cli import translations  # noqa: PLC0415

    if in_clear:
        _on_the_trail(context, who, why)
    if calls:
        _calls(context, after, at_most, in_clear=in_clear, as_json=as_json)
        return
    with context.store.snapshot() as look:
        found = reports.newest_messages(look, customer=customer, state=state, at_most=at_most)
        look.customers.load(row.customer for row in found)
        rows = [_as_dict(look, row) for row in found]
    context.print_table(
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
            translations.state(context.lang, MessageState(row["state"])),
            moment(row["owed_at"]),
            row["code"],
        ),
    )


def _on_the_trail(context: CliContext, who: str | None, why: str | None) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none

    if not who or not why:
        raise click.UsageError("--open needs --who and --why / --open 需要 --who 與 --why")
    Messaging(context.store).read_people("the branches' call list", who=who, why=why)


def _calls(context: CliContext, after: int, at_most: int, *, in_clear: bool, as_json: bool) -> None:
    from renewal.rules import reminder_schedule  # noqa: PLC0415 - help needs none
    from renewal.store import reports  # noqa: PLC0415
    from xuqi.cli import translations  # noqa: PLC0415
    from xuqi.cli.lookup import person  # noqa: PLC0415

    with context.store.snapshot() as look:
        rows = []
        for row in reports.branch_calls(look, after=after, at_most=at_most):
            enrolled = look.enrolments.find((row["customer"], row["product"]))
            who = person(look, look.customers.find(row["customer"]), in_clear=in_clear)
            more = {
                "branch": enrolled.branch if enrolled else None,
                "mobile": who["telephone"],
                "reference": who["reference"],
                "name": who["name"],
                "days_left": reminder_schedule.days_left(look.at, row["not_after"]),
            }
            rows.append({**row, **more})
    context.print_table(
        (
            ("分行", "客戶編號", "姓名", "行動電話", "憑證", "產品", "到期", "剩餘天數", "為什麼"),
            (
                "branch",
                "customer",
                "name",
                "mobile",
                "certificate",
                "product",
                "ends",
                "days left",
                "why",
            ),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["branch"] or "-",
            row["reference"] if in_clear else row["customer"],
            row["name"],
            row["mobile"],
            row["certificate"],
            row["product"],
            moment(row["not_after"]),
            row["days_left"],
            translations.reason(context.lang, row["why"]),
        ),
    )


RESULTS = ("reached", "not-reached", "later", "declined", "wrong-number")


@command.command(
    help="登錄電話聯絡清單上一通電話的結果；號碼不是本人的，停用並成為待辦。\n\n"
    "Note what came of a call of the call list; a number that is not the customer's is used no"
    " more, and to find the right one is a task."
)
@click.argument("certificate", type=int)
@click.argument("result", type=click.Choice(RESULTS))
@click.option("--note", required=True, help="說明，留存稽核紀錄 / what was said, for the trail")
@cli
def call(context: CliContext, certificate: int, result: str, note: str) -> None:
    from back_office.calling import Calling  # noqa: PLC0415 - help needs none
    from schema.reasons import CallReason  # noqa: PLC0415
    from xuqi.identity import operator  # noqa: PLC0415

    reason = CallReason[result.replace("-", "_").upper()]
    Calling(context.store).note(certificate, reason, note, who=operator())
    context.say(f"憑證 {certificate}：已登錄", f"certificate {certificate}: noted")


@command.command(
    help="試看接下來幾天會送出的提醒：日期、管道、則數、文字，不寫入。\n\n"
    "What would go out on the next days: to how many, on which channel, and the first texts. "
    "Nothing is written or sent."
)
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 60))
@click.option("--texts", default=5, show_default=True, type=click.IntRange(0, 100))
@click.option("--price", type=click.FloatRange(0), help="每則簡訊費用 / of one segment, NT$")
@as_json
@cli
def preview(
    context: CliContext, *, days: int, texts: int, price: float | None, as_json: bool
) -> None:
    from xuqi.message_preview import preview_messages  # noqa: PLC0415 - help needs none

    seen = preview_messages(context.app, days=days, samples=texts)
    rows = [
        {
            "day": day.isoformat(),
            "channel": channel,
            "messages": count,
            "certificates": seen.certificates[day, channel],
            "segments": seen.segments[day, channel],
            "cost": round(seen.segments[day, channel] * price) if price else None,
        }
        for (day, channel), count in sorted(seen.messages.items())
    ]
    context.print_table(
        (
            ("日期", "管道", "訊息", "憑證", "簡訊則數", "費用"),
            ("day", "channel", "messages", "certificates", "segments", "cost"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: ["-" if row[name] is None else row[name] for name in row],
    )
    for why, count in seen.held_back.items():
        line = context.lang.pick(f"不送（{_HELD[why]}）：{count} 張", f"held back ({why}): {count}")
        context.print_result({"held_back": why, "certificates": count}, [line], as_json=as_json)
    for one in seen.texts:
        values = asdict(one)
        lines = ["", f"{one.day} {one.channel} {one.customer} {one.to}", f"  {one.text}"]
        context.print_result(values, lines, as_json=as_json)


@command.command(
    help="一則訊息；本機信箱也顯示內文。\n\n"
    "Show one message, with its text if the mailbox is local."
)
@click.argument("message")
@as_json
@cli
def show(context: CliContext, message: str, *, as_json: bool) -> None:
    from xuqi.cli.field_names import message_lines  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        row = _as_dict(look, look.messages.get(message))
    row["text"] = _text(context, row)
    lines = message_lines(context.lang, row)
    if row["text"] is not None:
        lines += ["", row["text"]]
    context.print_result(row, lines, as_json=as_json)


@command.command(
    help="人工結清一則訊息：在業者查明之後。\n\n"
    "Settle a message by hand, as a person has found it out at the carrier."
)
@click.argument("message")
@click.option(
    "--as",
    "to",
    required=True,
    type=click.Choice(["handed over", "undelivered"]),
    help="已交付、未送達 / what became of it",
)
@staff
@as_json
@cli
def settle(
    context: CliContext, message: str, to: str, who: str, why: str, *, as_json: bool
) -> None:
    from back_office.settling import Settling  # noqa: PLC0415 - help needs none
    from schema.states import MessageState  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    row = Settling(context.store).message(message, MessageState(to), who=who, why=why)
    sentence = text(MessageState(row.state), context.lang.value)
    line = context.lang.pick(f"{row.id}：{sentence}", f"{row.id}: {sentence}")
    context.print_result({"message": row.id, "state": row.state}, [line], as_json=as_json)


def _as_dict(look: UnitOfWork, row: Message) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    from xuqi.cli.lookup import masked_address  # noqa: PLC0415

    to = masked_address(look, look.customers.find(row.customer), row.channel)
    values = {name: it for name, it in asdict(row).items() if not name.endswith("_hash")}
    return {**values, "to": to}


def _text(context: CliContext, row: dict[str, Any]) -> str | None:
    """The body, if the mailbox is a local one: it is kept nowhere else."""
    url = context.settings.sms_url if row["channel"] == "sms" else context.settings.mail_url
    path = context.settings.home / "outside" / f"{row['channel']}.jsonl"
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
