"""`xuqi payments`: what was paid before a renewal, settled by hand."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli, staff


@click.group("payments", help="預繳費用：人工結清。\n\nWhat was paid beforehand: settle by hand.")
def command() -> None:
    pass


@command.command(
    help="人工結清一筆預繳：在銀行查明之後。\n\n"
    "Settle a payment by hand, as a person has found it out at the bank."
)
@click.argument("payment")
@click.option(
    "--as",
    "to",
    required=True,
    type=click.Choice(["paid", "refused", "to refund", "refunded"]),
    help="已扣款、未扣款、要退費、已退費 / what became of it",
)
@staff
@as_json
@cli
def settle(
    context: CliContext, payment: str, to: str, who: str, why: str, *, as_json: bool
) -> None:
    from back_office.settling import Settling  # noqa: PLC0415 - help needs none
    from schema.states import PaymentState  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    row = Settling(context.store).payment(payment, PaymentState(to), who=who, why=why)
    sentence = text(PaymentState(row.state), context.lang.value)
    line = context.lang.pick(f"{row.id}：{sentence}", f"{row.id}: {sentence}")
    context.print_result({"payment": row.id, "state": row.state}, [line], as_json=as_json)
