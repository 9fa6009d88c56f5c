"""The command `xuqi` with its subcommands, of which only the one that is called is imported."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from xuqi.desk import REFUSED, UNAVAILABLE, USAGE, Desk
from xuqi.language import Lang, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of a command to its module under ``xuqi.commands``, and its help in both languages.
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "serve": ("serve", "全部服務在一個程序裡執行", "everything in one process"),
    "demo": ("demo", "用範例銀行跑完整個流程", "the main job on a sample bank"),
    "import": ("imports", "匯入客戶與憑證", "take in customers and certificates"),
    "scan": ("scan", "掃描即將到期的憑證", "find certificates that are due"),
    "renewals": ("renewals", "展期：申請、清單、明細", "renewals: start, list, show"),
    "code": ("code", "一次性驗證碼：發送、輸入", "one-time codes: send, enter"),
    "station": ("station", "分行載具作業站", "the station of a branch"),
    "token": ("tokens", "載具：內容、變更密碼、解鎖", "tokens: content, PIN, unblock"),
    "certificates": (
        "certificates",
        "憑證：清單、暫禁、註銷",
        "certificates: list, suspend, revoke",
    ),
    "ca": ("ca", "憑證廢止清冊與線上狀態", "CRL and online status"),
    "messages": ("messages", "訊息與電話聯絡清單", "messages, and whom to call"),
    "why": ("why", "一張憑證的來龍去脈", "the whole story of a certificate"),
    "events": ("events", "事件紀錄", "the log of events"),
    "dead-letters": ("dead_letters", "無法處理的事件", "events that could not be handled"),
    "check": ("check", "重新核對各項不變條件", "recompute the invariants"),
    "status": ("status", "目前狀態", "how things stand"),
    "topics": ("topics", "Kafka 主題", "the topics of the log on Kafka"),
    "db": ("database", "資料庫結構", "the database's tables"),
    "config": ("config", "設定", "the settings"),
}


class Lazy(click.Group):
    """
    Knows its commands by name and imports one when it is asked for; tells errors in one line.
    """

    commands_of: ClassVar[Mapping[str, tuple[str, str, str]]] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.commands_of:
            return None
        module = importlib.import_module(f"xuqi.commands.{self.commands_of[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rows = []
        for name, (_, zh, en) in self.commands_of.items():
            rows += [(name, zh), ("", en)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except _ours() as error:
            desk: Desk = ctx.obj
            click.echo(f"xuqi: {_in_words(error, desk.lang)}", err=True)
            raise click.exceptions.Exit(exit_code(error)) from None


#: What the kinds of errors mean, for those who do not read their English text.
KINDS: Mapping[str, str] = {
    "StoreUnavailableError": "資料庫無法使用",
    "LogUnavailableError": "事件紀錄無法使用",
    "GatewayUnavailableError": "外部系統暫時無法使用",
    "GatewayUnsureError": "外部系統的回覆不明",
    "GatewayRefusedError": "外部系統拒絕",
    "SettingsError": "設定不能用",
    "PolicyError": "產品政策檔不能用",
    "ImportFileError": "檔案不能匯入",
    "TakenError": "已有其他程序在使用",
    "AddressError": "網路位址不能用",
    "NotNowError": "目前的狀態不能這樣做",
    "BadRequestError": "憑證申請不能用",
    "ConflictError": "別人剛剛改過，請再試一次",
    "PinWrongError": "密碼錯誤",
    "PinBlockedError": "密碼已鎖定",
    "LastTryError": "只剩最後一次，未獲同意",
    "BadPinFormatError": "密碼格式不對",
    "TokenError": "載具沒有完成",
}


def _in_words(error: Exception, lang: Lang) -> str:
    if lang is Lang.EN:
        return str(error)
    kinds = (KINDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in KINDS)
    return f"{next(kinds, '拒絕')}：{error}"


def _ours() -> tuple[type[Exception], ...]:
    """
    The errors whose text is for a person. Imported when one has come: help needs none of them.
    """
    from renewal.errors import XuqiError  # noqa: PLC0415
    from schema.policy import PolicyError  # noqa: PLC0415

    return XuqiError, PolicyError


def exit_code(error: Exception) -> int:
    """
    3: a part that is needed does not answer; 2: settings that cannot be used; 1: refused.
    """
    from renewal.errors import GatewayUnavailableError, GatewayUnsureError  # noqa: PLC0415
    from renewal.eventlog.port import LogUnavailableError  # noqa: PLC0415
    from renewal.store.engine import StoreUnavailableError  # noqa: PLC0415
    from schema.policy import PolicyError  # noqa: PLC0415
    from xuqi.places import AddressError, TakenError  # noqa: PLC0415
    from xuqi.settings import SettingsError  # noqa: PLC0415

    away = (
        GatewayUnavailableError, GatewayUnsureError, LogUnavailableError, StoreUnavailableError,
        TakenError, AddressError,
    )  # fmt: skip
    if isinstance(error, away):
        return UNAVAILABLE
    return USAGE if isinstance(error, (SettingsError, PolicyError)) else REFUSED


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Xuqi 續期：及時更新銀行客戶的憑證，並且證明做到了。\n\n"
    "Renews the certificates of a bank's customers in time, and proves it.\n\n"
    "結束代碼 / exit codes: 0 完成 ok, 1 拒絕 refused, 2 用法 usage, 3 無法使用 unavailable.",
)
@click.option(
    "--lang",
    type=click.Choice([lang.value for lang in Lang]),
    help="語言（預設依 LANG，否則 zh-TW） / language (by LANG, else zh-TW)",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="資料夾，預設 XUQI_HOME 或 var / where everything is kept",
)
@click.pass_context
def xuqi(ctx: click.Context, lang: str | None, home: Path | None) -> None:
    desk = ctx.ensure_object(Desk)
    desk.lang = Lang(lang) if lang else spoken(desk.environment)
    desk.home = home or desk.home
    ctx.call_on_close(desk.close)
