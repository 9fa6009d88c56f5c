"""`xuqi bank`: the bank's own name, telephone, wording and days."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import table

if TYPE_CHECKING:
    from templates.bank_file import BankDataError
    from xuqi.message_trial import MessageTrial

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("bank", help="本行資料：名稱、電話、訊息文字。\n\nThe bank's own data (docs/bank.md).")
def command() -> None:
    pass


@command.command(help="顯示訊息與網頁用的本行資料。\n\nShow what messages and pages use.")
@as_json
@cli
def show(context: CliContext, *, as_json: bool) -> None:
    from templates.bank_file import KEYS  # noqa: PLC0415 - help needs none
    from xuqi.bank import open_bank  # noqa: PLC0415 - as above

    bank = open_bank(context.settings)
    rows = [(key, getattr(bank.details, field)) for key, field in KEYS.items()]
    rows += [(f"branches {one.code}", one.zh) for one in bank.details.branches]
    where = bank.folder or context.lang.pick("（虛構的銀行）", "(the invented bank)")
    values = {"folder": bank.folder and str(bank.folder), **asdict(bank.details)}
    context.print_result(values, [str(where), *table(("", ""), rows)[1:]], as_json=as_json)


@command.command(help="寫出有註解的 bank.toml 樣本。\n\nWrite a commented sample of bank.toml.")
@click.argument("folder", required=False, type=_FOLDER)
@cli
def init(context: CliContext, folder: Path | None) -> None:
    from xuqi.bank import write_sample  # noqa: PLC0415 - help needs none

    written = write_sample(folder or context.settings.bank_folder or context.settings.home / "bank")
    context.say(
        f"已寫出 {written}：請改成貴行的資料，再執行 `xuqi bank check`",
        f"{written} is written: put your own data into it, then run `xuqi bank check`",
    )


@command.command(
    help="列出產品內建的訊息文字；指定一則則印出，可存進 messages/ 改寫。\n\n"
    "List the wording shipped; with a name print it, as a draft of your own for messages/."
)
@click.argument("name", required=False)
@cli
def wording(context: CliContext, name: str | None) -> None:
    from templates.overrides import shipped, with_mark  # noqa: PLC0415 - help needs none

    known = shipped()
    if name is None:
        context.print_result(None, sorted(known), as_json=False)
    elif name in known:
        click.echo(with_mark(name, known[name].read_text(encoding="utf-8")), nl=False)
    else:
        context.refuse(
            f"沒有 {name}；有：{'、'.join(sorted(known))}",
            f"there is no {name}; there are: {', '.join(sorted(known))}",
        )


@command.command(
    help="檢查本行資料，並以最極端的資料試寫每一則訊息。\n\n"
    "Check the folder, and write every message in every language with the worst data there is."
)
@as_json
@cli
def check(context: CliContext, *, as_json: bool) -> None:
    from xuqi.bank import faults, invented_keys  # noqa: PLC0415 - help needs none

    folder = context.settings.bank_folder
    wrong = faults(folder) if folder else []
    if not wrong:
        trials, wrong = _tried(context)
        _print_trials(context, trials, as_json=as_json)
    for one in wrong:
        context.print_result(asdict_of(one), [str(one)], as_json=as_json)
    if wrong:
        context.refuse(f"有 {len(wrong)} 處要改", f"{len(wrong)} to mend")
    keys = invented_keys(context.settings)
    if keys:
        context.refuse(
            f"仍是虛構銀行的資料：{'、'.join(keys)}：請在 bank.toml 改成貴行的",
            f"still the invented bank's: {', '.join(keys)}: write your own into bank.toml",
        )


def asdict_of(one: BankDataError) -> dict[str, str]:
    return {"file": one.file, "key": one.key, "reason": one.reason, "todo": one.todo}


def _tried(context: CliContext) -> tuple[list[MessageTrial], list[BankDataError]]:
    from xuqi.bank import open_bank  # noqa: PLC0415 - help needs none
    from xuqi.message_trial import try_messages  # noqa: PLC0415 - as above

    return try_messages(open_bank(context.settings))


def _print_trials(context: CliContext, trials: list[MessageTrial], *, as_json: bool) -> None:
    head = context.lang.pick(
        "訊息 語言 簡訊則數 主旨字數", "message language segments subject"
    ).split()
    rows = [(one.message, one.locale, one.segments or "-", one.subject) for one in trials]
    context.print_result([asdict(one) for one in trials], table(head, rows), as_json=as_json)
