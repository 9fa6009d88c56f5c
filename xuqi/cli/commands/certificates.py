"""`xuqi certificates`: shows certificates; staff suspend, resume and revoke them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from schema.states import CertificateState
from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.filters import ProductFilter, StateFilter, revocation_reason
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import RevocationReason


@click.group(
    "certificates",
    help="憑證：清單、明細、暫禁、恢復、註銷。\n\n"
    "Certificates: list, show, suspend, resume, revoke.",
)
def command() -> None:
    pass


@command.command("list", help="列出憑證。\n\nList certificates.")
@click.option(
    "--state", type=StateFilter("CertificateState"), help="只列這個狀態 / only in this state"
)
@click.option("--product", type=ProductFilter(), help="只列這項產品 / only of this product")
@click.option("--after", default=0, help="從這個編號之後 / after this number")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(
    context: CliContext,
    state: str | None,
    product: str | None,
    after: int,
    at_most: int,
    *,
    as_json: bool,
) -> None:
    from renewal.store import certificates as queries  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415

    with context.store.snapshot() as look:
        found = queries.listed(look, state=state, product=product, after=after, at_most=at_most)
    context.print_table(
        (
            ("憑證", "客戶", "產品", "序號", "起", "迄", "狀態"),
            ("certificate", "customer", "product", "serial", "from", "to", "state"),
        ),
        [_as_dict(row) for row in found],
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["customer"] or "-",
            row["product"],
            row["serial"],
            moment(row["not_before"]),
            moment(row["not_after"]),
            translations.state(context.lang, CertificateState(row["state"])),
        ),
    )


@command.command(
    help="一張憑證的明細（個人資料遮蔽）。\n\nShow one certificate, personal data masked."
)
@click.argument("certificate")
@as_json
@cli
def show(context: CliContext, certificate: str, *, as_json: bool) -> None:
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
        values = {**_as_dict(row), **_from_der(look, row), **_holder(look, row)}
        at = look.at
    context.record("read certificate", f"certificate {row.id}")
    lines = _lines(context, values, at)
    context.print_result({"queried_at": at, **values}, lines, as_json=as_json)


def _lines(context: CliContext, values: dict[str, Any], at: datetime) -> list[str]:
    from schema import roc  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415

    pick = context.lang.pick
    rows = [
        # C05, C09: the day of the query in the ROC calendar, the validity Gregorian with its time.
        (pick("查詢日期", "queried on (ROC)"), roc.short(at)),
        (pick("憑證", "certificate"), values["id"]),
        (pick("序號", "serial"), values["serial"]),
        (pick("主體", "subject"), values["subject"]),
        (pick("簽發者", "issuer"), values["issuer"]),
        (pick("有效起", "valid from"), moment(values["not_before"])),
        (pick("有效迄", "valid to"), moment(values["not_after"])),
        (
            pick("狀態", "state"),
            translations.state(context.lang, CertificateState(values["state"])),
        ),
        (pick("產品", "product"), values["product"]),
        (pick("客戶", "customer"), values["customer"] or "-"),
        (pick("身分證字號", "ID number"), values["id_number"]),
        (pick("行動電話", "mobile"), values["mobile"]),
        (pick("電子郵件", "mail"), values["mail"]),
        (pick("載具序號", "token"), values["token_serial"] or "-"),
        (pick("由展期產生", "made by renewal"), values["renewal"] or "-"),
        (pick("下次提醒檢查", "next reminder check"), moment(values["remind_at"])),
    ]
    return [f"{name}: {value}" for name, value in rows]


def _as_dict(row: Certificate) -> dict[str, Any]:
    names = (
        "id", "customer", "product", "slot", "token_serial", "serial", "not_before", "not_after",
        "state", "renewal", "announced_at", "left_at", "told", "remind_at",
    )  # fmt: skip
    values = {name: getattr(row, name) for name in names}
    return {**values, "certificate_sha256": row.certificate_sha256.hex()}


def _from_der(look: UnitOfWork, row: Certificate) -> dict[str, Any]:
    from renewal.rules import mask, x509  # noqa: PLC0415 - help needs none

    found = x509.read(look.cipher.open(row.der_sealed, "certificates.der", row.id))
    names = x509.common_names(found.subject)
    # The common name begins with the ID number.
    subject = f"CN={mask.id_number(names[0])}" if names else "-"
    return {"subject": subject, "issuer": x509.shown(found.issuer) or "-"}


def _holder(look: UnitOfWork, row: Certificate) -> dict[str, Any]:
    from renewal.rules import mask  # noqa: PLC0415 - help needs none
    from xuqi.cli.lookup import masked_address  # noqa: PLC0415

    customer = look.customers.find(row.customer) if row.customer else None
    number = "-"
    if customer is not None:
        number = mask.id_number(
            look.cipher.open_text(customer.id_number_sealed, "customers.id_number", customer.id)
        )
    return {
        "id_number": number,
        "mobile": masked_address(look, customer, "sms"),
        "mail": masked_address(look, customer, "mail"),
    }


def _change(name: str, zh: str, en: str) -> None:
    @command.command(name, help=f"{zh}\n\n{en}")
    @click.argument("certificate")
    @staff
    @as_json
    @cli
    def change(context: CliContext, certificate: str, who: str, why: str, *, as_json: bool) -> None:
        _ask(context, certificate, name, {"who": who, "why": why}, as_json=as_json)


_change("suspend", "暫禁憑證。", "Put a certificate on hold.")
_change("resume", "恢復暫禁的憑證。", "Lift the hold of a certificate.")


@command.command(help="註銷憑證，不能回復。\n\nRevoke a certificate for good.")
@click.argument("certificate")
@revocation_reason(customers=False)
@click.option("--yes", is_flag=True, help="不再詢問 / do not ask")
@staff
@as_json
@cli
def revoke(
    context: CliContext,
    certificate: str,
    reason: str,
    who: str,
    why: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    from schema.events import RevocationReason  # noqa: PLC0415 - help needs none

    sure = yes or not sys.stdin.isatty()  # a script is not asked
    if not (
        sure or context.confirm("註銷後不能回復。確定嗎？", "It cannot be undone. Are you sure?")
    ):
        context.refuse("沒有註銷", "not revoked")
    asked = {"who": who, "why": why}
    _ask(context, certificate, "revoke", asked, RevocationReason(reason), as_json=as_json)


def _ask(
    context: CliContext,
    certificate: str,
    name: str,
    asked: dict[str, str],
    reason: RevocationReason | None = None,
    *,
    as_json: bool,
) -> None:
    from consumers.revocation import ALLOWED  # noqa: PLC0415 - help needs none
    from schema.events import Change  # noqa: PLC0415
    from xuqi.cli import translations  # noqa: PLC0415
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    if row.state not in ALLOWED[Change(name)]:  # its consumer decides again when it acts
        state = translations.state(context.lang, CertificateState(row.state))
        context.refuse(f"憑證 {row.id} 是{state}，不能如此", f"certificate {row.id} is {state}")
    context.back_office.ask_change(row.id, Change(name), reason, **asked)
    line = context.lang.pick(
        f"憑證 {row.id}：已請求，由執行中的 serve 送交憑證機構",
        f"certificate {row.id}: asked; a running `serve` passes it to the CA",
    )
    context.print_result({"certificate": row.id, "asked": name}, [line], as_json=as_json)
