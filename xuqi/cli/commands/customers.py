"""`xuqi customers`: finds the customer who is on the telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.identity import operator, with_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork

PAGE = 500


@click.group(
    "customers", help="客戶：尋找、更改聯絡方式、使用者代號。\n\nFind and change customers."
)
def command() -> None:
    pass


@command.command(
    help="用身分證字號、統一編號、客戶編號、姓名、行動電話、電子郵件或卡號找客戶。\n\n"
    "Find by ID number, the bank's own number, name, mobile, mail, or the number of a card or"
    " token. A name is looked for through all customers, which takes a minute for a million. What"
    " is asked for is not kept; `-` asks for it, so that it does not stand in the shell's history."
)
@click.argument("what")
@click.option(
    "--open",
    "in_clear",
    is_flag=True,
    help="顯示全名與電話，須附 --who --why / in clear; needs --who and --why",
)
@click.option("--who", help="承辦人員 / the member of staff")
@click.option("--why", help="原因 / the reason")
@as_json
@cli
def find(
    context: CliContext,
    what: str,
    who: str | None,
    why: str | None,
    *,
    in_clear: bool,
    as_json: bool,
) -> None:
    asked = context.ask_hidden("要找的", "find") if what == "-" else what
    if in_clear:
        _on_the_trail(context, who, why)
    with context.store.snapshot() as look:
        found = _found(look, asked.strip())
        rows = [_as_dict(look, customer, in_clear=in_clear) for customer in found]
    context.print_table(
        (
            ("客戶", "客戶編號", "姓名", "電話", "產品", "憑證"),
            ("customer", "reference", "name", "telephone", "products", "certificates"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["customer"],
            row["reference"],
            row["name"],
            row["telephone"],
            ", ".join(row["products"]),
            ", ".join(str(one["certificate"]) for one in row["certificates"]),
        ),
    )


def _on_the_trail(context: CliContext, who: str | None, why: str | None) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none

    if not who or not why:
        raise click.UsageError("--open needs --who and --why / --open 需要 --who 與 --why")
    Messaging(context.store).read_people("a customer who was looked for", who=who, why=why)


def _found(look: UnitOfWork, asked: str) -> Sequence[Customer]:
    from renewal.store import people  # noqa: PLC0415 - help needs none

    marks = _marks(look, asked)
    found = {one.id: one for one in people.by_hashes(look, **marks)}
    found |= {one.id: one for one in people.with_token(look, asked)}
    if not found:
        found = {one.id: one for one in _named(look, asked)}
    return [found[key] for key in sorted(found)]


def _marks(look: UnitOfWork, asked: str) -> dict[str, bytes]:
    """The keyed hashes under which the text may be on file, written as imports write it."""
    from back_office.imports import customer_row as read  # noqa: PLC0415 - help needs none

    kinds: dict[str, Callable[[str], str | None]] = {
        "reference": read.read_reference,
        "id_number": read.read_id_number,
        "mobile": lambda text: read.read_mobile(text, []),
        "mail": read.read_mail,
    }
    marks = {}
    for name, reading in kinds.items():
        try:
            written = reading(read.plain(asked))
        except read.BadFieldError:
            continue
        if written:
            marks[f"{name}_hash"] = look.cipher.hash(written, f"customers.{name}")
    return marks


def _named(look: UnitOfWork, asked: str) -> Iterator[Customer]:
    """Names are sealed, so each is opened; the first fifty that hold the text."""
    from renewal.store import people  # noqa: PLC0415 - help needs none

    after, left = 0, people.AT_MOST
    while page := people.in_order(look, after, PAGE):
        for customer in page:
            name = look.cipher.open_text(customer.name_sealed, "customers.name", customer.id)
            if asked and asked.casefold() in name.casefold():
                yield customer
                left -= 1
            if not left:
                return
        after = page[-1].id


def _as_dict(look: UnitOfWork, customer: Customer, *, in_clear: bool) -> dict[str, Any]:
    from renewal.store.certificates import of_customers  # noqa: PLC0415 - help needs none
    from xuqi.cli.lookup import person  # noqa: PLC0415

    owned = of_customers(look, [customer.id])
    return {
        "customer": customer.id,
        **person(look, customer, in_clear=in_clear),
        "products": sorted({one.product for one in owned}),
        "certificates": [
            {"certificate": one.id, "product": one.product, "state": one.state} for one in owned
        ],
    }


@command.command(
    help="更改一位客戶的電話、郵件、語言、是否拒收提醒；`-` 由標準輸入讀取。\n\n"
    "Change one customer's telephone, mail, language, or whether they are reminded; `-` asks for"
    " it, so that it does not stand in the shell's history; an empty text: there is none any more."
)
@click.argument("customer", type=int)
@click.option("--mobile")
@click.option("--mail")
@click.option("--opted-out/--not-opted-out", default=None, help="拒收提醒 / wants no reminders")
@click.option("--locale", type=click.Choice(["zh-TW", "en"]))
@staff
@cli
def change(
    context: CliContext,
    *,
    customer: int,
    mobile: str | None,
    mail: str | None,
    opted_out: bool | None,
    locale: str | None,
    who: str,
    why: str,
) -> None:
    from back_office.contact_changes import (  # noqa: PLC0415 - help needs none
        ContactChanges,
        NewContact,
    )
    from renewal.store import contact_edits  # noqa: PLC0415

    asked = NewContact(
        mobile=context.ask_hidden("行動電話", "mobile") if mobile == "-" else mobile,
        mail=context.ask_hidden("電子郵件", "mail") if mail == "-" else mail,
        opted_out=opted_out,
        locale=locale,
    )
    changes = ContactChanges(context.store)
    changed = changes.change(customer, asked, who=operator(), why=with_note(who, why))
    if changed:
        names = ", ".join(changed)
        context.say(f"客戶 {customer}：已更改 {names}", f"customer {customer}: changed {names}")
    with context.store.snapshot() as look:
        edit = contact_edits.of_customer(look, customer)
    if edit is not None:
        context.say(
            f"新的行動電話要由另一個人確認：xuqi customers confirm {customer} --seen {edit.seen}",
            "another person is to confirm the new mobile: "
            f"xuqi customers confirm {customer} --seen {edit.seen}",
        )


@command.command(
    help="確認別人更改的行動電話；--reject：不採用。\n\n"
    "Confirm a mobile number that another person has entered; with --reject throw it away."
)
@click.argument("customer", type=int)
@click.option("--seen", required=True, help="change 所示的編號 / the edit that `change` named")
@click.option("--reject", is_flag=True, help="不採用 / throw it away")
@staff
@cli
def confirm(
    context: CliContext, customer: int, seen: str, who: str, why: str, *, reject: bool
) -> None:
    from back_office.contact_changes import ContactChanges  # noqa: PLC0415 - help needs none

    changes = ContactChanges(context.store)
    decide = changes.reject if reject else changes.confirm
    decide(customer, seen, who=operator(), why=with_note(who, why))
    context.say(f"客戶 {customer}：已記錄", f"customer {customer}: it is on record")


@command.command(
    "user-code",
    help="登錄客戶的使用者代號與身分；密碼由本人以驗證碼設定。\n\n"
    "Put a user code and its role on file; its owner sets the password by a one-time code.",
)
@click.argument("customer", type=int)
@click.argument("user_code")
@click.option("--class", "customer_class", type=click.IntRange(0, 9), required=True)
@click.option("--operator", required=True, help="only user | administrator | SUPER001 ...")
@click.option("--who", required=True, help="承辦人員 / the member of staff")
@click.option("--why", required=True, help="原因，留存稽核紀錄 / the reason, for the trail")
@cli
def user_code(
    context: CliContext,
    *,
    customer: int,
    user_code: str,
    customer_class: int,
    operator: str,
    who: str,
    why: str,
) -> None:
    from centre.accounts import Accounts  # noqa: PLC0415 - help needs none

    Accounts(context.store).add(
        customer,
        user_code,
        customer_class=customer_class,
        operator=operator,
        who=who,
        why=why,
    )
    context.say(f"{customer}：已登錄 {user_code}", f"{customer}: {user_code} is on file")
