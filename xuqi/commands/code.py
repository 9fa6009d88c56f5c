"""`xuqi code`: sends a one-time code, and enters it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from xuqi.desk import REFUSED, Desk, as_json, desk

_action = click.option(
    "--action",
    type=click.Choice(["renew", "revoke", "apply"]),
    default="renew",
    show_default=True,
    help="驗證碼只用於這件事 / a code is good for this alone",
)
_session = click.option(
    "--session",
    default=lambda: f"terminal-{os.getuid()}",
    help="同一個工作階段才有效 / a code is good in its own session only",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("code", help="一次性驗證碼：發送、輸入。\n\nOne-time codes: send, enter.")
def command() -> None:
    pass


@command.command(
    help="發送驗證碼（由執行中的 serve 送出）。\n\nSend a code; a running `serve` hands it over."
)
@click.argument("certificate")
@_action
@_session
@as_json
@desk
def send(desk: Desk, certificate: str, action: str, session: str, *, as_json: bool) -> None:
    from centre.actions import NotSent  # noqa: PLC0415 - help needs none
    from xuqi.finding import certificate_named  # noqa: PLC0415
    from xuqi.words import reason  # noqa: PLC0415

    with desk.store.look() as look:
        row = certificate_named(look, certificate)
    answer = desk.centre.send_code(row.id, action=action, session=session)
    if isinstance(answer, NotSent):
        said = reason(desk.lang, answer.why)
        desk.refuse(f"不發送：{said}", f"not sent: {said}")
    to = ", ".join(answer.to)
    line = desk.lang.pick(
        f"{answer.challenge}：送往 {to}，{answer.seconds} 秒內有效",
        f"{answer.challenge}: to {to}, good for {answer.seconds} seconds",
    )
    told = {"challenge": answer.challenge, "seconds": answer.seconds, "to": answer.to}
    desk.told(told, [line], as_json=as_json)


@command.command(
    help="輸入驗證碼；給 --renewal 就同時確認展期。\n\n"
    "Enter a code, which is asked for without showing it; with --renewal it confirms that renewal."
)
@click.argument("challenge")
@click.argument("certificate")
@_action
@_session
@click.option("--renewal", help="要確認的展期 / the renewal to confirm")
@click.option("--csr", type=_FILE, help="PKCS#10（DER），新金鑰的申請 / the new key's request")
@click.option("--terms", type=_FILE, help="客戶同意的條款全文 / the terms that were agreed to")
@as_json
@desk
@click.pass_context
def enter(
    ctx: click.Context,
    desk: Desk,
    *,
    challenge: str,
    certificate: str,
    action: str,
    session: str,
    renewal: str | None,
    csr: Path | None,
    terms: Path | None,
    as_json: bool,
) -> None:
    from xuqi.finding import certificate_named  # noqa: PLC0415 - help needs none

    if renewal is not None and (csr is None or terms is None):
        raise click.UsageError(
            "--renewal needs --csr and --terms / --renewal 需要 --csr 與 --terms"
        )
    with desk.store.look() as look:
        row = certificate_named(look, certificate)
    # Never an argument: those are shown to everybody on the machine.
    code = desk.hidden("驗證碼", "code")
    if renewal is not None and csr is not None and terms is not None:
        answer = desk.centre.confirm(
            renewal,
            challenge=challenge,
            code=code,
            session=session,
            csr=csr.read_bytes(),
            terms=terms.read_bytes(),
        )
    else:
        answer = desk.centre.enter_code(
            challenge, code, session=session, action=action, certificate=row.id
        )
    zh = {"right": "正確", "wrong": "錯誤", "expired": "已失效", "locked": "已鎖定"}[answer.said]
    left = desk.lang.pick(f"，還可試 {answer.tries_left} 次", f", {answer.tries_left} tries left")
    line = desk.lang.pick(zh, answer.said.value) + (left if answer.said == "wrong" else "")
    told = {"said": answer.said.value, "tries_left": answer.tries_left}
    desk.told(told, [line], as_json=as_json)
    if answer.said != "right":
        ctx.exit(REFUSED)
