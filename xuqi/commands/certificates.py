"""`xuqi certificates`: shows certificates; staff suspend, resume and revoke them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import Desk, as_json, desk, staff
from xuqi.language import moment

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.store.rows import Certificate
    from renewal.store.work import Work


@click.group(
    "certificates",
    help="憑證：清單、明細、暫禁、恢復、註銷。\n\n"
    "Certificates: list, show, suspend, resume, revoke.",
)
def command() -> None:
    pass


@command.command("list", help="列出憑證。\n\nList certificates.")
@click.option("--state", help="只列這個狀態 / only in this state")
@click.option("--product", help="只列這項產品 / only of this product")
@click.option("--after", default=0, help="從這個編號之後 / after this number")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@desk
def list_(
    desk: Desk, state: str | None, product: str | None, after: int, at_most: int, *, as_json: bool
) -> None:
    from renewal.store import certificates as queries  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    with desk.store.look() as look:
        found = queries.listed(look, state=state, product=product, after=after, at_most=at_most)
    desk.listed(
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
            words.state(desk.lang, row["state"]),
        ),
    )


@command.command(
    help="一張憑證的明細（個人資料遮蔽）。\n\nShow one certificate, personal data masked."
)
@click.argument("certificate")
@as_json
@desk
def show(desk: Desk, certificate: str, *, as_json: bool) -> None:
    from xuqi.finding import certificate_named  # noqa: PLC0415 - help needs none

    with desk.store.look() as look:
        row = certificate_named(look, certificate)
        told = {**_as_dict(row), **_from_der(look, row), **_holder(look, row)}
        at = look.at
    lines = _lines(desk, told, at)
    desk.told({"queried_at": at, **told}, lines, as_json=as_json)


def _lines(desk: Desk, told: dict[str, Any], at: datetime) -> list[str]:
    from renewal.rules import roc  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    pick = desk.lang.pick
    rows = [
        # C05, C09: the day of the query in the ROC calendar, the validity Gregorian with its time.
        (pick("查詢日期", "queried on (ROC)"), roc.short(at)),
        (pick("憑證", "certificate"), told["id"]),
        (pick("序號", "serial"), told["serial"]),
        (pick("主體", "subject"), told["subject"]),
        (pick("簽發者", "issuer"), told["issuer"]),
        (pick("有效起", "valid from"), moment(told["not_before"])),
        (pick("有效迄", "valid to"), moment(told["not_after"])),
        (pick("狀態", "state"), words.state(desk.lang, told["state"])),
        (pick("產品", "product"), told["product"]),
        (pick("客戶", "customer"), told["customer"] or "-"),
        (pick("身分證字號", "ID number"), told["id_number"]),
        (pick("行動電話", "mobile"), told["mobile"]),
        (pick("電子郵件", "mail"), told["mail"]),
        (pick("載具序號", "token"), told["token_serial"] or "-"),
        (pick("由展期產生", "made by renewal"), told["renewal"] or "-"),
        (pick("下次提醒檢查", "next reminder check"), moment(told["remind_at"])),
    ]
    return [f"{name}: {value}" for name, value in rows]


def _as_dict(row: Certificate) -> dict[str, Any]:
    names = (
        "id", "customer", "product", "slot", "token_serial", "serial", "not_before", "not_after",
        "state", "renewal", "announced_at", "left_at", "told", "remind_at",
    )  # fmt: skip
    told = {name: getattr(row, name) for name in names}
    return {**told, "certificate_sha256": row.certificate_sha256.hex()}


def _from_der(look: Work, row: Certificate) -> dict[str, Any]:
    from cryptography import x509  # noqa: PLC0415 - help needs none

    from renewal.rules import mask  # noqa: PLC0415

    found = x509.load_der_x509_certificate(look.vault.open(row.der_sealed, "certificates.der"))
    try:
        names = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        # The common name begins with the ID number.
        subject = f"CN={mask.id_number(str(names[0].value))}" if names else "-"
        return {"subject": subject, "issuer": found.issuer.rfc4514_string()}
    except ValueError:  # of a real CA's certificate with a name that breaks the standard
        return {"subject": "-", "issuer": "-"}


def _holder(look: Work, row: Certificate) -> dict[str, Any]:
    from renewal.rules import mask  # noqa: PLC0415 - help needs none
    from xuqi.finding import masked_address  # noqa: PLC0415

    customer = look.customers.find(row.customer) if row.customer else None
    number = "-"
    if customer is not None:
        number = mask.id_number(
            look.vault.open_text(customer.id_number_sealed, "customers.id_number")
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
    @desk
    def change(desk: Desk, certificate: str, who: str, why: str, *, as_json: bool) -> None:
        from consumers.revocation import ALLOWED  # noqa: PLC0415 - help needs none
        from schema.events import Change  # noqa: PLC0415
        from xuqi import words  # noqa: PLC0415
        from xuqi.finding import certificate_named  # noqa: PLC0415

        with desk.store.look() as look:
            row = certificate_named(look, certificate)
        if row.state not in ALLOWED[Change(name)]:  # its consumer decides again when it acts
            state = words.state(desk.lang, row.state)
            desk.refuse(f"憑證 {row.id} 是{state}，不能如此", f"certificate {row.id} is {state}")
        desk.back_office.ask_change(row.id, Change(name), who=who, why=why)
        line = desk.lang.pick(
            f"憑證 {row.id}：已請求，由執行中的 serve 送交憑證機構",
            f"certificate {row.id}: asked; a running `serve` passes it to the CA",
        )
        desk.told({"certificate": row.id, "asked": name}, [line], as_json=as_json)


_change("suspend", "暫禁憑證。", "Put a certificate on hold.")
_change("resume", "恢復暫禁的憑證。", "Lift the hold of a certificate.")
_change("revoke", "註銷憑證，不能回復。", "Revoke a certificate for good.")
