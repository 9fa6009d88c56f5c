"""`xuqi renewals`: starts renewals and shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.filters import StateFilter
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from renewal.db.rows import Renewal


@click.group(
    "renewals",
    help="展期：申請、清單、明細、改分行、婉拒、結束、結清。\n\n"
    "Renewals: start, list, show, move, decline, end, settle.",
)
def command() -> None:
    pass


@command.command(help="替客戶申請展期。\n\nStart a renewal in a customer's name.")
@click.argument("certificate")
@click.option("--branch", help="寫入載具的分行 / the branch where the token is written")
@staff
@as_json
@cli
def start(
    context: CliContext, certificate: str, branch: str | None, who: str, why: str, *, as_json: bool
) -> None:
    from schema.reasons import RefusalReason  # noqa: PLC0415 - help needs none
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415
    from xuqi.cli.translations import reason  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    answer = context.back_office.start(row.id, who=who, why=why, branch=branch)
    if isinstance(answer, RefusalReason):
        sentence = reason(context.lang, answer.why())
        context.refuse(f"憑證 {row.id} 不能展期：{sentence}", f"certificate {row.id}: {sentence}")
    line = context.lang.pick(f"{answer.id}：已申請", f"{answer.id}: requested")
    context.print_result(_as_dict(answer), [line], as_json=as_json)


@command.command(
    "replace-token",
    help="載具遺失或損壞：以空白載具補發，由分行作業站寫入。\n\n"
    "Give out a blank token in the place of a lost or broken one; the branch's station enrols it.",
)
@click.argument("certificate")
@click.option("--token", required=True, help="空白載具的序號 / the blank token's serial")
@click.option("--branch", required=True, help="寫入載具的分行 / the branch where it is written")
@staff
@as_json
@cli
def replace_token(  # noqa: PLR0917 - click names them
    context: CliContext,
    certificate: str,
    token: str,
    branch: str,
    who: str,
    why: str,
    *,
    as_json: bool,
) -> None:
    from schema.reasons import RefusalReason  # noqa: PLC0415 - help needs none
    from xuqi.cli.lookup import certificate_named  # noqa: PLC0415
    from xuqi.cli.translations import reason  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = certificate_named(look, certificate)
    answer = context.back_office.replace_token(row.id, token, who=who, why=why, branch=branch)
    if isinstance(answer, RefusalReason):
        sentence = reason(context.lang, answer.why())
        context.refuse(f"憑證 {row.id} 不能補發：{sentence}", f"certificate {row.id}: {sentence}")
    line = context.lang.pick(
        f"{answer.id}：已申請，請將空白載具放入分行 {branch} 的作業站",
        f"{answer.id}: ordered; put the blank token into a reader of branch {branch}'s station",
    )
    context.print_result(_as_dict(answer), [line], as_json=as_json)


@command.command("list", help="列出展期。\n\nList renewals.")
@click.option("--state", type=StateFilter("RenewalState"), help="只列這個狀態 / only in this state")
@click.option("--after", default="", help="從這個編號之後 / after this id")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(
    context: CliContext, state: str | None, after: str, at_most: int, *, as_json: bool
) -> None:
    from renewal.store import renewals as queries  # noqa: PLC0415 - help needs none
    from schema.states import FeeState, RenewalState  # noqa: PLC0415
    from xuqi.cli import translations  # noqa: PLC0415

    with context.store.snapshot() as look:
        found = queries.listed(look, state=state, after=after, at_most=at_most)
    context.print_table(
        (
            ("展期", "憑證", "產品", "狀態", "費用", "申請時間", "最近變動", "原因"),
            ("renewal", "certificate", "product", "state", "fee", "requested", "moved", "why"),
        ),
        [_as_dict(row) for row in found],
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["certificate"],
            row["product"],
            translations.state(context.lang, RenewalState(row["state"])),
            translations.state(context.lang, FeeState(row["fee_state"])),
            moment(row["requested_at"]),
            moment(row["moved_at"]),
            translations.reason(context.lang, row["why"]) if row["why"] else "",
        ),
    )


@command.command(help="一筆展期的明細。\n\nShow one renewal.")
@click.argument("renewal")
@as_json
@cli
def show(context: CliContext, renewal: str, *, as_json: bool) -> None:
    from renewal.store import renewals as queries  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415
    from xuqi.cli.field_names import renewal_lines  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = look.renewals.get(renewal)
        story = [one for one in queries.story_of(look, row.certificate) if one["renewal"] == row.id]
    values = _as_dict(row)
    lines = [
        *renewal_lines(context.lang, values),
        "",
        *(f"{moment(one['at'])}  {translations.decision(context.lang, one)}" for one in story),
    ]
    context.print_result({**values, "decisions": story}, lines, as_json=as_json)


@command.command(
    help="結束展期：退還圈存、收回新憑證。\n\n"
    "End a renewal for good: what is held is given back, what was issued is taken back."
)
@click.argument("renewal")
@staff
@as_json
@cli
def end(context: CliContext, renewal: str, who: str, why: str, *, as_json: bool) -> None:
    context.back_office.end(renewal, who=who, why=why)
    _print_now(context, renewal, as_json=as_json)


@command.command(
    help="改由另一個分行辦理：原分行的工作結束，另立新號。\n\n"
    "Move it to another branch: the job before ends, and it goes on under a new number."
)
@click.argument("renewal")
@click.option("--branch", required=True, help="新的分行 / the branch it moves to")
@staff
@as_json
@cli
def move(
    context: CliContext, renewal: str, branch: str, who: str, why: str, *, as_json: bool
) -> None:
    from back_office.renewal_actions import RenewalActions  # noqa: PLC0415 - help needs none

    moved = RenewalActions(context.back_office).move(renewal, branch, who=who, why=why)
    _print_now(context, moved.id, as_json=as_json)


@command.command(
    help="客戶表示不展期：替客戶結束。\n\nThe customer does not want it: end it in their name."
)
@click.argument("renewal")
@staff
@as_json
@cli
def decline(context: CliContext, renewal: str, who: str, why: str, *, as_json: bool) -> None:
    from back_office.renewal_actions import RenewalActions  # noqa: PLC0415 - help needs none

    RenewalActions(context.back_office).decline(renewal, who=who, why=why)
    _print_now(context, renewal, as_json=as_json)


@command.command(
    help="人工結清：銀行或憑證機構不會再有結果的一步。\n\n"
    "Settle by hand what the bank or the CA will never settle, as a person has found it out there."
)
@click.argument("renewal")
@click.option(
    "--fee",
    type=click.Choice(["captured", "voided", "waived", "consumed", "declined", "held"]),
    help="費用：已扣款、已取消圈存、不收、預繳已結清、未圈存、已圈存 / what became of the fee",
)
@click.option(
    "--old",
    type=click.Choice(["revoked", "kept"]),
    help="舊憑證：已在他處廢止、保留 / what became of the old certificate",
)
@staff
@as_json
@cli
def settle(
    context: CliContext,
    renewal: str,
    *,
    fee: str | None,
    old: str | None,
    who: str,
    why: str,
    as_json: bool,
) -> None:
    from schema.states import FeeState, OldState  # noqa: PLC0415 - help needs none

    if fee is None and old is None:
        raise click.UsageError(context.lang.pick("要給 --fee 或 --old", "give --fee or --old"))
    if fee is not None:
        context.back_office.settle_fee(renewal, FeeState(fee), who=who, why=why)
    if old is not None:
        context.back_office.settle_old(renewal, OldState(old), who=who, why=why)
    _print_now(context, renewal, as_json=as_json)


def _print_now(context: CliContext, renewal: str, *, as_json: bool) -> None:
    from schema.states import RenewalState  # noqa: PLC0415 - help needs none
    from xuqi.cli import translations  # noqa: PLC0415

    with context.store.snapshot() as look:
        row = look.renewals.get(renewal)
    state = translations.state(context.lang, RenewalState(row.state))
    line = context.lang.pick(f"{row.id}：{state}", f"{row.id}: {state}")
    context.print_result(_as_dict(row), [line], as_json=as_json)


def _as_dict(row: Renewal) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    # Keys, signatures and sealed values say nothing to a reader.
    binary = ("csr", "proof", "challenge", "terms_sha256", "spki_sha256")
    values = asdict(row).items()
    return {name: it for name, it in values if name not in binary and not name.endswith("_sealed")}
