"""`xuqi centre`: the steps of a renewal, with the key in a file where a browser would keep it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xuqi.cli.commands.centre_options import answered, session_option
from xuqi.cli.context import CliContext, as_json, cli

if TYPE_CHECKING:
    from renewal.db.rows import Renewal

_FILE = click.Path(dir_okay=False, path_type=Path)
_THERE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    help="申請更新；在載具或晶片卡上的，同時表示已同意條款。\n\n"
    "Ask for a renewal. On a token or card it says as well that the terms were agreed to."
)
@click.argument("certificate")
@click.option("--branch", help="辦理分行 / the branch whose station writes the token")
@as_json
@cli
def request(context: CliContext, certificate: str, branch: str | None, *, as_json: bool) -> None:
    from renewal.db.rows import Renewal  # noqa: PLC0415 - help needs none of these
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415
    from xuqi.cli.translations import reason  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    context.record("request at the centre", f"certificate {row.id}")
    answer = context.centre.request(row.id, branch=branch)
    if not isinstance(answer, Renewal):
        sentence = reason(context.lang, answer.why())
        context.refuse(f"不能更新：{sentence}", f"refused: {sentence}")
    _print(context, answer, as_json=as_json)


@click.command(
    help="申請第一張憑證，或失效後的下一張；之後的步驟與更新相同"
    "（code --for apply、confirm、collect）。\n\n"
    "Apply for a first certificate, or for one after an end; its steps are those of a renewal"
    " (code --for apply, confirm, collect)."
)
@click.argument("customer", type=int)
@click.argument("product")
@as_json
@cli
def apply(context: CliContext, customer: int, product: str, *, as_json: bool) -> None:
    from renewal.db.rows import Renewal  # noqa: PLC0415 - help needs none of these
    from xuqi.cli.translations import reason  # noqa: PLC0415

    context.record("apply at the centre", f"customer {customer}")
    answer = context.centre.apply(customer, product)
    if not isinstance(answer, Renewal):
        sentence = reason(context.lang, answer.why())
        context.refuse(f"不能申請：{sentence}", f"refused: {sentence}")
    _print(context, answer, as_json=as_json)


@click.command(
    help="用驗證碼與原憑證確認更新，並送出新金鑰的申請。\n\n"
    "Confirm a renewal by a code and the present key (a backup file), and hand in the request of a"
    " new key, which is made in --key if there is none. It says that the terms in force were"
    " agreed to."
)
@click.argument("renewal")
@click.argument("challenge")
@click.option("--key", required=True, type=_FILE, help="新金鑰的檔案（PEM）/ of the new key")
@click.option("--present", type=_THERE, help="原憑證的備份檔 / the present certificate's backup")
@session_option
@as_json
@cli
def confirm(  # noqa: PLR0917 - click names them
    context: CliContext,
    renewal: str,
    challenge: str,
    key: Path,
    present: Path | None,
    session: str,
    *,
    as_json: bool,
) -> None:
    from centre.terms import agree, terms_of  # noqa: PLC0415 - help needs none of these
    from renewal.rules.proof import confirmation  # noqa: PLC0415
    from xuqi.customer_key import Backup, CustomerKey  # noqa: PLC0415

    row = _renewal(context, renewal, "confirm at the centre")
    csr, approval = CustomerKey.in_file(key).request(), None
    if present is not None:
        password = context.ask_hidden("備份檔密碼", "password of the backup")
        content = confirmation(row.id, row.challenge, csr)
        approval = Backup.opened(present, password).approval(content)
    terms = terms_of(row.product, "en" if context.lang.value == "en" else "zh-TW")
    answer = context.centre.confirm(
        row.id,
        challenge=challenge,
        code=context.ask_hidden("驗證碼", "code"),
        session=session,
        csr=csr,
        terms=terms.text.encode(),
        approval=approval,
        and_do=lambda work: agree(
            work, terms, customer=row.customer, session=session, renewal=row.id
        ),
    )
    answered(context, answer, as_json=as_json)


@click.command(
    help="領取新憑證、證明金鑰在手，並備份成 .pfx。\n\n"
    "Collect the new certificate, prove that its key is here, and back both up."
)
@click.argument("renewal")
@click.option("--key", required=True, type=_THERE, help="新金鑰的檔案 / of the new key")
@click.option("--to", required=True, type=_FILE, help="備份檔 / the backup to write")
@as_json
@cli
def collect(context: CliContext, renewal: str, key: Path, to: Path, *, as_json: bool) -> None:
    from xuqi.customer_key import CustomerKey, write_for_owner  # noqa: PLC0415 - help needs none

    row, held = _renewal(context, renewal, "collect at the centre"), CustomerKey.in_file(key)
    der = context.centre.collect(row.id)
    if der is None:
        context.refuse("憑證還沒有好，請稍後再試", "the certificate is not there yet: try later")
    write_for_owner(to, held.backup(der, _new_password(context)))  # backed up, then in force
    context.centre.prove(row.id, held.sign(row.challenge))
    _print(context, _renewal(context, renewal, "prove at the centre"), as_json=as_json)


@click.command(help="取消等客戶的更新。\n\nEnd a renewal that waits for its customer.")
@click.argument("renewal")
@as_json
@cli
def decline(context: CliContext, renewal: str, *, as_json: bool) -> None:
    row = _renewal(context, renewal, "decline at the centre")
    context.centre.decline(row.id)
    with context.store.snapshot() as look:
        _print(context, look.renewals.get(row.id), as_json=as_json)


@click.command(
    "import",
    help="檢查備份檔：打得開嗎、是客戶的哪一張、還有效嗎。\n\n"
    "Open a backup as the import page does, and say which certificate of the customer's it holds.",
)
@click.argument("file", type=_THERE)
@click.argument("customer", type=int)
@as_json
@cli
def import_(context: CliContext, file: Path, customer: int, *, as_json: bool) -> None:
    from centre.overview import overview  # noqa: PLC0415 - help needs none of these
    from xuqi.customer_key import Backup  # noqa: PLC0415

    context.record("import at the centre", f"customer {customer}")
    found = Backup.opened(file, context.ask_hidden("備份檔密碼", "password of the backup"))
    with context.store.snapshot() as look:
        seen = overview(look, customer, context.policies)
        lines = {look.certificates.get(one.certificate).serial: one
                 for one in (*seen.lines, *seen.older)}  # fmt: skip
    line = lines.get(found.serial)
    if line is None:
        context.refuse("不是這位客戶的憑證", "it is no certificate of this customer's")
    values = {"certificate": line.certificate, "serial": line.serial, "state": line.state.value}
    context.print_result(values, [f"{line.serial}: {line.state.value}"], as_json=as_json)


@click.command(
    help="用新密碼再匯出一次，用驗證碼。\n\nExport again with another password, with a code."
)
@click.argument("certificate")
@click.argument("challenge")
@click.option("--key", required=True, type=_THERE, help="金鑰的檔案 / of the key")
@click.option("--to", required=True, type=_FILE, help="備份檔 / the backup to write")
@session_option
@as_json
@cli
def export(  # noqa: PLR0917 - click names them
    context: CliContext,
    certificate: str,
    challenge: str,
    key: Path,
    to: Path,
    session: str,
    *,
    as_json: bool,
) -> None:
    from schema.policy import Purpose  # noqa: PLC0415 - help needs none of these
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415
    from xuqi.customer_key import CustomerKey, write_for_owner  # noqa: PLC0415

    held = CustomerKey.in_file(key)
    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
        der = look.cipher.open(row.der_sealed, "certificates.der", row.id)
    context.record("export at the centre", f"certificate {row.id}")
    answer = context.centre.enter_code(
        challenge, context.ask_hidden("驗證碼", "code"), session=session,
        action=Purpose.EXPORT.value, certificate=row.id,
    )  # fmt: skip
    if answer.result == "right":
        write_for_owner(to, held.backup(der, _new_password(context)))
    answered(context, answer, as_json=as_json)


def _new_password(context: CliContext) -> str:
    first = context.ask_hidden("匯出密碼（4 到 10 個英數字）", "export password (4 to 10)")
    if context.ask_hidden("再輸入一次", "once more") != first:
        context.refuse("兩次輸入不同", "the two are not the same")
    return first


def _renewal(context: CliContext, renewal: str, did: str) -> Renewal:
    with context.store.snapshot() as look:
        row = look.renewals.get(renewal)
    context.record(did, f"renewal {row.id}")
    return row


def _print(context: CliContext, row: Renewal, *, as_json: bool) -> None:
    from schema.states import RenewalState  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415

    state = translations.state(context.lang, RenewalState(row.state))
    values = {"renewal": row.id, "certificate": row.certificate, "state": row.state}
    context.print_result(values, [f"{row.id}: {state}"], as_json=as_json)


COMMANDS = (apply, request, confirm, collect, decline, import_, export)
