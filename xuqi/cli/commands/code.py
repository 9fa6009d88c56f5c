"""`xuqi code`: sends a one-time code, and enters it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from xuqi.cli.context import REFUSED, CliContext, as_json, cli

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
@cli
def send(
    context: CliContext, certificate: str, action: str, session: str, *, as_json: bool
) -> None:
    from centre.actions import CodeNotSent  # noqa: PLC0415 - help needs none
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415
    from xuqi.cli.translations import reason  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    context.record("send code", f"certificate {row.id}", f"to {action}")
    answer = context.centre.send_code(row.id, action=action, session=session)
    if isinstance(answer, CodeNotSent):
        sentence = reason(context.lang, answer.why)
        context.refuse(f"不發送：{sentence}", f"not sent: {sentence}")
    to = ", ".join(answer.to)
    line = context.lang.pick(
        f"{answer.challenge}：送往 {to}，{answer.seconds} 秒內有效",
        f"{answer.challenge}: to {to}, good for {answer.seconds} seconds",
    )
    values = {"challenge": answer.challenge, "seconds": answer.seconds, "to": answer.to}
    context.print_result(values, [line], as_json=as_json)


@command.command(
    help="驗證碼送到哪裡了。\n\nHow far a code has come on its way: asked for in the same session."
)
@click.argument("challenge")
@_session
@as_json
@cli
def progress(context: CliContext, challenge: str, session: str, *, as_json: bool) -> None:
    found = context.centre.code_progress(challenge, session=session)
    zh = {
        "on its way": "傳送中",
        "handed over": "已交給電信業者",
        "arrived": "已送達",
        "not sent": "沒有送出，不計次數，請重新索取或洽分行",
    }[found.value]
    context.print_result(
        {"progress": found.value}, [context.lang.pick(zh, found.value)], as_json=as_json
    )


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
@click.option("--approval", type=_FILE, help="原金鑰的簽章（CMS）/ the present key's CMS signature")
@click.option("--terms", type=_FILE, help="客戶同意的條款全文 / the terms that were agreed to")
@as_json
@cli
@click.pass_context
def enter(
    ctx: click.Context,
    context: CliContext,
    *,
    challenge: str,
    certificate: str,
    action: str,
    session: str,
    renewal: str | None,
    csr: Path | None,
    approval: Path | None,
    terms: Path | None,
    as_json: bool,
) -> None:
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415 - help needs none

    if renewal is None and (csr is not None or terms is not None):
        raise click.UsageError(
            "--csr and --terms are for --renewal: the code would be used up for nothing / "
            "--csr 與 --terms 需要 --renewal"
        )
    if renewal is not None and (csr is None or terms is None):
        raise click.UsageError(
            "--renewal needs --csr and --terms / --renewal 需要 --csr 與 --terms"
        )
    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    # Never an argument: those are shown to everybody on the machine.
    code = context.ask_hidden("驗證碼", "code")
    if renewal is not None and csr is not None and terms is not None:
        answer = context.centre.confirm(
            renewal,
            challenge=challenge,
            code=code,
            session=session,
            csr=csr.read_bytes(),
            terms=terms.read_bytes(),
            approval=approval.read_bytes() if approval else None,
        )
    else:
        answer = context.centre.enter_code(
            challenge, code, session=session, action=action, certificate=row.id
        )
    zh = {"right": "正確", "wrong": "錯誤", "expired": "已失效", "locked": "已鎖定"}[answer.result]
    left = context.lang.pick(
        f"，還可試 {answer.tries_left} 次", f", {answer.tries_left} tries left"
    )
    line = context.lang.pick(zh, answer.result.value) + (left if answer.result == "wrong" else "")
    values = {"said": answer.result.value, "tries_left": answer.tries_left}
    context.print_result(values, [line], as_json=as_json)
    if answer.result != "right":
        ctx.exit(REFUSED)
