"""The commands of `xuqi token` that say what has become of a token, on the centre's books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from back_office.tokens import TokenActions
    from renewal.db.rows import Token


def add_to(group: click.Group) -> None:
    """Put these commands into the group."""
    for one in (stock, life, register, assign, *_MOVES):
        group.add_command(one)


def _actions(context: CliContext) -> TokenActions:
    from back_office.tokens import TokenActions  # noqa: PLC0415 - help needs none

    return TokenActions(context.store, context.settings.branch_names)


@click.command(help="載具帳：狀態、分行、客戶。\n\nThe tokens on record, with their states.")
@click.option("--state", help="只列這個狀態 / only in this state: 'in stock', 'on hold' ...")
@click.option("--after", default="", help="從這個序號之後 / after this serial")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def stock(
    context: CliContext, state: str | None, after: str, at_most: int, *, as_json: bool
) -> None:
    from renewal.store import tokens  # noqa: PLC0415 - help needs none
    from schema.states import TokenState  # noqa: PLC0415

    if state is not None and state not in set(TokenState):
        raise click.BadParameter(", ".join(TokenState), param_hint="--state")
    wanted = TokenState(state) if state else None
    with context.store.snapshot() as look:
        found = tokens.listed(look, state=wanted, after=after, at_most=at_most)
        rows = [_shown(token) for token in found]
    context.print_table(
        (
            ("載具", "狀態", "分行", "客戶", "自"),
            ("token", "state", "branch", "customer", "since"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: _cells(context, row),
    )


@click.command(help="一支載具的狀態與憑證。\n\nOne token's state, and its certificates.")
@click.argument("serial")
@as_json
@cli
def life(context: CliContext, serial: str, *, as_json: bool) -> None:
    from renewal.lifecycle import tokens  # noqa: PLC0415 - help needs none
    from renewal.store import certificates  # noqa: PLC0415
    from schema.states import CertificateState  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    with context.store.snapshot() as look:
        token = tokens.known(look, serial)
        held = certificates.on_token(look, token.serial)
    values = {
        **_shown(token),
        "certificates": [{"certificate": one.id, "state": one.state} for one in held],
    }
    lines = [" ".join(str(cell) for cell in _cells(context, values))]
    lines += [
        f"  {one.id}: {text(CertificateState(one.state), context.lang.value)}" for one in held
    ]
    context.print_result(values, lines, as_json=as_json)


@click.command(help="新載具入庫。\n\nPut a new token into a branch's stock.")
@click.argument("serial")
@click.option("--branch", required=True, help="分行 / the branch")
@staff
@as_json
@cli
def register(
    context: CliContext, serial: str, branch: str, who: str, why: str, *, as_json: bool
) -> None:
    _say(context, _actions(context).register(serial, branch, who=who, why=why), as_json=as_json)


@click.command(help="將庫存的載具配發給客戶。\n\nAssign a token from stock to a customer.")
@click.argument("serial")
@click.option("--customer", type=int, required=True, help="客戶編號 / our number of the customer")
@staff
@as_json
@cli
def assign(
    context: CliContext, serial: str, customer: int, who: str, why: str, *, as_json: bool
) -> None:
    _say(context, _actions(context).assign(serial, customer, who=who, why=why), as_json=as_json)


def _move(name: str, zh: str, en: str) -> click.Command:
    @click.command(name, help=f"{zh}\n\n{en}")
    @click.argument("serial")
    @staff
    @as_json
    @cli
    def moved(context: CliContext, serial: str, who: str, why: str, *, as_json: bool) -> None:
        _say(context, _actions(context).move(serial, name, who=who, why=why), as_json=as_json)

    return moved


_MOVES = (
    _move("activate", "客戶已領取配發的載具。", "Its customer has collected an assigned token."),
    _move(
        "hold",
        "暫停使用：可能遺失；有效的憑證即時暫禁。",
        "Put a token on hold that may be lost: its certificates in force are suspended at once.",
    ),
    _move(
        "resume",
        "恢復使用：只恢復這次暫停所暫禁的憑證。",
        "Lift the hold: only what the hold has suspended is resumed.",
    ),
    _move("lost", "遺失：憑證即時停用並廢止。", "It is lost: its certificates are revoked."),
    _move("damaged", "損壞：憑證廢止。", "It works no more: its certificates are revoked."),
    _move(
        "return",
        "繳回：憑證廢止；只是配發未領的回到庫存。",
        "It was given back: its certificates are revoked. One not collected is in stock again.",
    ),
    _move("restock", "繳回的載具清除後再入庫。", "Put a returned token into stock again."),
    _move("destroy", "銷毀。", "It was destroyed."),
)


def _shown(token: Token) -> dict[str, Any]:
    names = ("serial", "state", "branch", "customer", "moved_at")
    return {name: getattr(token, name) for name in names}


def _cells(context: CliContext, row: Any) -> tuple[object, ...]:  # noqa: ANN401 - as shown above
    from schema.states import TokenState  # noqa: PLC0415 - help needs none
    from templates.codes import text  # noqa: PLC0415

    state = text(TokenState(row["state"]), context.lang.value)
    whose = (row["branch"] or "-", row["customer"] or "-")
    return row["serial"], state, *whose, moment(row["moved_at"])


def _say(context: CliContext, token: Token, *, as_json: bool) -> None:
    row = _shown(token)
    line = " ".join(str(cell) for cell in _cells(context, row))
    context.print_result(row, [line], as_json=as_json)
