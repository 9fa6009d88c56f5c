"""`xuqi why`: the decisions about a certificate, with time and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_id
from schema.states import CertificateState, FeeState, MessageState, RenewalState
from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork


@click.command(
    "why",
    help="一張憑證的來龍去脈：為什麼提醒或不提醒、收費、簽發、寫入。\n\n"
    "The whole story of a certificate (our number, or its serial in hex), from stored decisions: "
    "why it was or was not reminded of, charged for, issued, written.",
)
@click.argument("certificate")
@as_json
@cli
def command(context: CliContext, certificate: str, *, as_json: bool) -> None:
    from renewal.store import renewals, reports  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
        story = list(renewals.story_of(look, row.id))
        made = list(reports.renewals_making(look, row.id))
        following = list(renewals.of_certificate(look, row.id))
        ends = _ends(context, look, story)
        lines = [
            *_head(context, row),
            *(_made(context, one.id, one.certificate) for one in made),
            *(
                f"{moment(one['at'])}  {translations.decision(context.lang, one)}"
                f"{ends.get(one['id'], '')}"
                for one in story
            ),
            *(_led_to(context, look, one.id, one.new_certificate) for one in following),
            *_next(context, row, story),
        ]
    values = {
        "certificate": row.id,
        "serial": row.serial,
        "state": row.state,
        "not_after": row.not_after,
        "remind_at": row.remind_at,
        "made_by": [one.id for one in made],
        "renewals": [one.id for one in following],
        "traces": {one.id: trace_id(one.id) for one in (*made, *following)},
        "decisions": story,
    }
    context.print_result(values, lines, as_json=as_json)


def _head(context: CliContext, row: Certificate) -> list[str]:
    from xuqi.cli import translations  # noqa: PLC0415 - help needs none

    state = translations.state(context.lang, CertificateState(row.state))
    about, until = f"{row.serial}, {row.product}", moment(row.not_after)
    zh = f"憑證 {row.id}（序號 {about}）：{state}，到 {until}"
    en = f"certificate {row.id} (serial {about}): {state}, to {until}"
    lines = [context.lang.pick(zh, en)]
    if row.announced_at:
        sentence = context.lang.pick("進入展期期間，已宣告", "entered its window, announced")
        lines.append(f"{moment(row.announced_at)}  {sentence}")
    if row.customer is None:
        lines.append(
            context.lang.pick(
                "沒有客戶：不提醒、不展期", "no customer: never reminded of, nor renewed"
            )
        )
    return lines


def _made(context: CliContext, renewal: str, old: int) -> str:
    return context.lang.pick(
        f"由展期 {renewal} 產生，接替憑證 {old}", f"made by renewal {renewal} of certificate {old}"
    )


def _led_to(context: CliContext, look: UnitOfWork, renewal: str, new: int | None) -> str:
    from xuqi.cli import translations  # noqa: PLC0415 - help needs none

    row = look.renewals.get(renewal)
    state = translations.state(context.lang, RenewalState(row.state))
    then = f" → {context.lang.pick('憑證', 'certificate')} {new}" if new else ""
    sentence = translations.state(context.lang, FeeState(row.fee_state))
    fee = f"NT${row.fee_amount} {sentence}" if row.fee_amount else sentence
    trace = f"{context.lang.pick('追蹤', 'trace')} {trace_id(renewal)}"
    return f"{renewal}: {state}, {context.lang.pick('費用', 'fee')} {fee}{then}, {trace}"


def _ends(context: CliContext, look: UnitOfWork, story: Sequence[Any]) -> dict[int, str]:
    """What has become of each message by now, beside the decision that sent it."""
    from renewal.store import reports  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415

    sent = [one for one in story if one["message"] and one["what"] == "sent"]
    known = reports.messages_by_id(look, [one["message"] for one in sent])
    return {
        one[
            "id"
        ]: f" → {translations.state(context.lang, MessageState(known[one['message']].state))}"
        for one in sent
        if one["message"] in known
    }


def _next(context: CliContext, row: Certificate, story: Sequence[Any]) -> list[str]:
    """What comes, and why nothing has come so far."""
    lines = []
    if not story and row.announced_at is None and row.state == CertificateState.ACTIVE:
        lines.append(
            context.lang.pick(
                "還沒有決定過什麼：尚未進入展期期間或提醒級距",
                "nothing was decided yet: neither its window nor a threshold has come",
            )
        )
    if row.remind_at is not None:
        zh, en = "下次檢查提醒：", "looked at for a reminder next: "
        lines.append(context.lang.pick(zh, en) + moment(row.remind_at))
    elif row.state == CertificateState.ACTIVE and row.customer is not None:
        lines.append(
            context.lang.pick("不會再提醒：級距已過完", "no reminder will come: none is left")
        )
    return lines
