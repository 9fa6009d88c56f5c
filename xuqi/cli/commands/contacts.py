"""`xuqi contacts`: addresses that carriers have proven bad, and how they are opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork

ADDRESSES = ("mobile", "mail", "codes")
ZH = {"mobile": "行動電話（提醒）", "mail": "電子郵件", "codes": "行動電話（驗證碼）"}


@click.group("contacts", help="暫停使用的聯絡方式。\n\nAddresses that are not used for now.")
def command() -> None:
    pass


@command.command("list", help="列出暫停使用的。\n\nList those that rest.")
@click.option("--after", default=0, help="從這位客戶之後 / after this customer")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(context: CliContext, after: int, at_most: int, *, as_json: bool) -> None:
    with context.store.snapshot() as look:
        rows = _resting(look, after, at_most)
    context.print_table(
        (
            ("客戶", "聯絡方式", "寄往", "原因", "到何時"),
            ("customer", "address", "to", "why", "until"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["customer"],
            context.lang.pick(ZH[row["address"]], row["address"]),
            row["to"],
            row["code"],
            moment(row["until"]) if row["until"] else "-",
        ),
    )


def _resting(look: UnitOfWork, after: int, at_most: int) -> list[dict[str, Any]]:
    from renewal.contacts import Address, why_resting  # noqa: PLC0415 - help needs none
    from renewal.store.people import with_resting_address  # noqa: PLC0415
    from xuqi.cli.lookup import masked_address  # noqa: PLC0415

    rows = []
    for customer in with_resting_address(look, after=after, at_most=at_most):
        for address in Address:
            code = why_resting(customer, address, look.at)
            channel = "mail" if address is Address.MAIL else "sms"
            if code is not None:
                until = getattr(customer, f"{address}_bad_until")
                to = masked_address(look, customer, channel)
                row = {"customer": customer.id, "address": address.value, "to": to}
                rows.append({**row, "code": code, "until": until})
    return rows


@command.command(
    "open", help="恢復使用一個聯絡方式。\n\nUse an address again, with a reason on record."
)
@click.argument("customer", type=int)
@click.argument("address", type=click.Choice(ADDRESSES))
@staff
@cli
def open_(context: CliContext, customer: int, address: str, *, who: str, why: str) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none
    from renewal.contacts import Address  # noqa: PLC0415

    Messaging(context.store).open_contact(customer, Address(address), who=who, why=why)
    context.say(
        f"客戶 {customer}：{ZH[address]}恢復使用", f"customer {customer}: {address} is used again"
    )
