"""What the commands of `xuqi centre` share: the session of a code, and what became of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import click

from xuqi.cli.context import REFUSED, CliContext

if TYPE_CHECKING:
    from centre.actions import CodeAnswer, CodeNotSent

session_option = click.option(
    "--session",
    default=lambda: f"terminal-{os.getuid()}",
    help="同一個工作階段才有效 / a code is good in its own session only",
)


def answered(context: CliContext, answer: CodeAnswer | CodeNotSent, *, as_json: bool) -> None:
    """Print what became of a code that was entered; any but the right one is exit code 1."""
    from centre.actions import CodeNotSent  # noqa: PLC0415 - help needs none

    if isinstance(answer, CodeNotSent):
        refuse_for(context, answer)
    zh = {"right": "正確", "wrong": "錯誤", "expired": "已失效", "locked": "已鎖定"}[answer.result]
    values = {"said": answer.result.value, "tries_left": answer.tries_left}
    context.print_result(values, [context.lang.pick(zh, answer.result.value)], as_json=as_json)
    if answer.result != "right":
        raise click.exceptions.Exit(REFUSED)


def refuse_for(context: CliContext, answer: CodeNotSent) -> NoReturn:
    from xuqi.cli.translations import reason  # noqa: PLC0415 - help needs none

    sentence = reason(context.lang, answer.why)
    context.refuse(f"不能辦理：{sentence}", f"refused: {sentence}")
