"""`xuqi centre`: what customers do at the certificate centre, for support staff and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.commands import centre_renewals
from xuqi.cli.commands.centre_options import answered, refuse_for, session_option
from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.filters import revocation_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions import CodeAnswer, CodeNotSent
    from schema.events import RevocationReason

PURPOSES = ("apply", "renew", "revoke", "suspend", "export")


@click.group(
    "centre",
    help="憑證中心的每一項功能，供客服與測試使用；每一次都記入稽核軌跡。\n\n"
    "Each action of the certificate centre, for support staff and tests; each is on the audit"
    " trail.",
)
def command() -> None:
    pass


@command.command(help="客戶有哪些憑證，各要辦什麼。\n\nA customer's certificates, and what to do.")
@click.argument("customer", type=int)
@as_json
@cli
def query(context: CliContext, customer: int, *, as_json: bool) -> None:
    from centre.overview import overview  # noqa: PLC0415 - help needs none

    context.record("query at the centre", f"customer {customer}")
    with context.store.snapshot() as look:
        seen = overview(look, customer, context.policies)
    shown = ("certificate", "product", "serial", "format", "token_serial", "not_before",
             "not_after", "opens_at", "closes_at", "state", "do", "renewal")  # fmt: skip
    rows = [{name: getattr(line, name) for name in shown} for line in (*seen.lines, *seen.older)]
    rows += [
        dict.fromkeys(shown) | {"product": one.product, "do": one.do, "renewal": one.application}
        for one in seen.offers
    ]
    head = (
        ("憑證", "產品", "序號", "到期", "開放", "截止", "狀態", "要辦"),
        ("certificate", "product", "serial", "ends", "opens", "closes", "state", "to do"),
    )
    cells = (
        "certificate",
        "product",
        "serial",
        "not_after",
        "opens_at",
        "closes_at",
        "state",
        "do",
    )
    context.print_table(
        head, rows, as_json=as_json, cells=lambda row: [row[name] or "" for name in cells]
    )


@command.command(help="某產品現行的約定條款。\n\nThe terms in force of a product.")
@click.argument("product")
@as_json
@cli
def terms(context: CliContext, product: str, *, as_json: bool) -> None:
    from centre.terms import terms_of  # noqa: PLC0415 - help needs none

    context.policies.of(product)
    found = terms_of(product, "en" if context.lang.value == "en" else "zh-TW")
    values = {"product": product, "version": found.version, "sha256": found.sha256.hex()}
    context.print_result(values | {"text": found.text}, found.text.splitlines(), as_json=as_json)


@command.command(help="客戶看得到的經過。\n\nWhat became of it, as its customer sees it.")
@click.argument("certificate")
@as_json
@cli
def timeline(context: CliContext, certificate: str, *, as_json: bool) -> None:
    from centre.timeline import stories  # noqa: PLC0415 - help needs none
    from schema.reasons import DecisionKind  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    row = _certificate(context, certificate, "timeline at the centre")
    with context.store.snapshot() as look:
        found = [one for one in stories(look, row.customer or 0) if one.certificate == row.id]
    rows = [
        {"at": one.at, "what": one.what, "channel": one.channel, "renewal": one.renewal}
        for story in found
        for one in story.happenings
    ]
    head = (("時間", "經過", "管道", "更新"), ("at", "what", "channel", "renewal"))
    context.print_table(
        head, rows, as_json=as_json,
        cells=lambda row: (
            row["at"], text(DecisionKind(row["what"]), context.lang.value), row["channel"] or "",
            row["renewal"] or "",
        ),
    )  # fmt: skip


# --- codes ----------------------------------------------------------------------------------------


@command.command(
    help="發送驗證碼；申請中的憑證，以申請編號代替憑證。\n\n"
    "Send a one-time code; a running `serve` hands it over. For a certificate that is applied for,"
    " give the application's id."
)
@click.argument("certificate")
@click.option("--for", "action", type=click.Choice(PURPOSES), default="renew", show_default=True)
@session_option
@as_json
@cli
def code(
    context: CliContext, certificate: str, action: str, session: str, *, as_json: bool
) -> None:
    from centre.actions import CodeNotSent  # noqa: PLC0415 - help needs none

    number = _number(context, certificate, f"send a code to {action}")
    answer = context.centre.send_code(number, action=action, session=session)
    if isinstance(answer, CodeNotSent):
        refuse_for(context, answer)
    values = {"challenge": answer.challenge, "seconds": answer.seconds, "to": answer.to}
    to = ", ".join(answer.to)
    zh, en = f"送往 {to}，{answer.seconds} 秒內有效", f"to {to}, good for {answer.seconds} seconds"
    line = f"{answer.challenge}: {context.lang.pick(zh, en)}"
    context.print_result(values, [line], as_json=as_json)


# --- revoke, suspend ------------------------------------------------------------------------------


@command.command(help="暫禁憑證，用驗證碼。\n\nSuspend a certificate, with a code.")
@click.argument("certificate")
@click.argument("challenge")
@session_option
@as_json
@cli
def suspend(
    context: CliContext, certificate: str, challenge: str, session: str, *, as_json: bool
) -> None:
    _ended(context, context.centre.suspend, certificate, challenge, session, as_json=as_json)


@command.command(help="註銷憑證，用驗證碼；不能回復。\n\nRevoke for good, with a code.")
@click.argument("certificate")
@click.argument("challenge")
@session_option
@revocation_reason(customers=True)
@click.option("--yes", is_flag=True, help="確定註銷 / yes, expressly")
@as_json
@cli
def revoke(
    context: CliContext,
    certificate: str,
    challenge: str,
    session: str,
    reason: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    if not (
        yes or context.confirm("註銷後不能回復。確定嗎？", "It cannot be undone. Are you sure?")
    ):
        context.refuse("沒有註銷", "not revoked")
    from schema.events import RevocationReason  # noqa: PLC0415 - help needs none

    act, why = context.centre.revoke, RevocationReason(reason)
    _ended(context, act, certificate, challenge, session, as_json=as_json, reason=why)


def _ended(
    context: CliContext,
    act: Callable[..., CodeAnswer | CodeNotSent],
    certificate: str,
    challenge: str,
    session: str,
    *,
    as_json: bool,
    **given: RevocationReason,
) -> None:
    row = _certificate(context, certificate, f"{act.__name__} at the centre")
    typed = context.ask_hidden("驗證碼", "code")
    answer = act(row.id, challenge=challenge, code=typed, session=session, **given)
    answered(context, answer, as_json=as_json)


# --- money ----------------------------------------------------------------------------------------


@command.command(help="請求扣繳更新費。\n\nAsk for the fee of the next renewal to be debited.")
@click.argument("certificate")
@as_json
@cli
def pay(context: CliContext, certificate: str, *, as_json: bool) -> None:
    from centre.actions import CodeNotSent  # noqa: PLC0415 - help needs none

    row = _certificate(context, certificate, "pay at the centre")
    answer = context.centre.pay(row.id)
    if isinstance(answer, CodeNotSent):
        refuse_for(context, answer)
    values = {"payment": answer.id, "amount": answer.amount, "state": answer.state}
    context.print_result(values, [f"{answer.id}: NT${answer.amount:,}"], as_json=as_json)


@command.command(help="繳費狀態。\n\nA customer's payments, the newest first.")
@click.argument("customer", type=int)
@as_json
@cli
def payments(context: CliContext, customer: int, *, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415 - help needs none of these

    from centre.payments import paid  # noqa: PLC0415

    context.record("payments at the centre", f"customer {customer}")
    with context.store.snapshot() as look:
        rows = [asdict(one) for one in paid(look, customer)]
    head = (("繳費編號", "憑證", "金額", "狀態"), ("payment", "certificate", "amount", "state"))
    cells = head[1]
    context.print_table(
        head, rows, as_json=as_json, cells=lambda row: [row[name] for name in cells]
    )


def _number(context: CliContext, name: str, did: str) -> int:
    """Of the certificate, or of the one that the application of this id is for."""
    with context.store.snapshot() as look:
        application = look.renewals.find(name)
    if application is None:
        number: int = _certificate(context, name, did).id
        return number
    context.record(did, f"renewal {application.id}")
    return application.certificate


def _certificate(context: CliContext, name: str, did: str) -> Any:  # noqa: ANN401 - a row
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        row = certificate_named(look, name)
    context.record(did, f"certificate {row.id}")
    return row


for step in centre_renewals.COMMANDS:
    command.add_command(step)
