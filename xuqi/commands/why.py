"""`xuqi why`: what was decided about a certificate, when and for what reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_id
from xuqi.desk import Desk, as_json, desk
from xuqi.language import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.store.rows import Certificate
    from renewal.store.work import Work


@click.command(
    "why",
    help="一張憑證的來龍去脈：為什麼提醒或不提醒、收費、簽發、寫入。\n\n"
    "The whole story of a certificate (our number, or its serial in hex), from stored decisions: "
    "why it was or was not reminded of, charged for, issued, written.",
)
@click.argument("certificate")
@as_json
@desk
def command(desk: Desk, certificate: str, *, as_json: bool) -> None:
    from renewal.store import lists, renewals  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415
    from xuqi.finding import certificate_named  # noqa: PLC0415

    with desk.store.look() as look:
        row = certificate_named(look, certificate)
        story = list(renewals.story_of(look, row.id))
        made = list(lists.renewals_making(look, row.id))
        following = list(renewals.of_certificate(look, row.id))
        ends = _ends(desk, look, story)
        lines = [
            *_head(desk, row),
            *(_made(desk, one.id, one.certificate) for one in made),
            *(
                f"{moment(one['at'])}  {words.decision(desk.lang, one)}{ends.get(one['id'], '')}"
                for one in story
            ),
            *(_led_to(desk, look, one.id, one.new_certificate) for one in following),
            *_next(desk, row, story),
        ]
    told = {
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
    desk.told(told, lines, as_json=as_json)


def _head(desk: Desk, row: Certificate) -> list[str]:
    from xuqi import words  # noqa: PLC0415 - help needs none

    state = words.state(desk.lang, row.state)
    about, until = f"{row.serial}, {row.product}", moment(row.not_after)
    zh = f"憑證 {row.id}（序號 {about}）：{state}，到 {until}"
    en = f"certificate {row.id} (serial {about}): {state}, to {until}"
    lines = [desk.lang.pick(zh, en)]
    if row.announced_at:
        said = desk.lang.pick("進入展期期間，已宣告", "entered its window, announced")
        lines.append(f"{moment(row.announced_at)}  {said}")
    if row.customer is None:
        lines.append(
            desk.lang.pick(
                "沒有客戶：不提醒、不展期", "no customer: never reminded of, nor renewed"
            )
        )
    return lines


def _made(desk: Desk, renewal: str, old: int) -> str:
    return desk.lang.pick(
        f"由展期 {renewal} 產生，接替憑證 {old}", f"made by renewal {renewal} of certificate {old}"
    )


def _led_to(desk: Desk, look: Work, renewal: str, new: int | None) -> str:
    from xuqi import words  # noqa: PLC0415 - help needs none

    row = look.renewals.get(renewal)
    state = words.state(desk.lang, row.state)
    then = f" → {desk.lang.pick('憑證', 'certificate')} {new}" if new else ""
    fee = f"NT${row.fee_amount} {row.fee_state}" if row.fee_amount else row.fee_state
    trace = f"{desk.lang.pick('追蹤', 'trace')} {trace_id(renewal)}"
    return f"{renewal}: {state}, {desk.lang.pick('費用', 'fee')} {fee}{then}, {trace}"


def _ends(desk: Desk, look: Work, story: Sequence[Any]) -> dict[int, str]:
    """
    What has become of each message by now, beside the decision that sent it.
    """
    from renewal.store import lists  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    sent = [one for one in story if one["message"] and one["what"] == "sent"]
    known = lists.messages_by_id(look, [one["message"] for one in sent])
    return {
        one["id"]: f" → {words.state(desk.lang, known[one['message']].state)}"
        for one in sent
        if one["message"] in known
    }


def _next(desk: Desk, row: Certificate, story: Sequence[Any]) -> list[str]:
    """
    What comes, and why nothing has come so far.
    """
    lines = []
    if not story and row.announced_at is None and row.state == "active":
        lines.append(
            desk.lang.pick(
                "還沒有決定過什麼：尚未進入展期期間或提醒級距",
                "nothing was decided yet: neither its window nor a threshold has come",
            )
        )
    if row.remind_at is not None:
        zh, en = "下次檢查提醒：", "looked at for a reminder next: "
        lines.append(desk.lang.pick(zh, en) + moment(row.remind_at))
    elif row.state == "active" and row.customer is not None:
        lines.append(
            desk.lang.pick("不會再提醒：級距已過完", "no reminder will come: none is left")
        )
    return lines
