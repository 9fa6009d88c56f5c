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

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's signature
        try:
            return super().main(*args, **kwargs)
        except _ours() as error:
            click.echo(f"xuqi: {error}", err=True)
            raise SystemExit(exit_code(error)) from None


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
    from xuqi.settings import SettingsError  # noqa: PLC0415

    away = (
        GatewayUnavailableError, GatewayUnsureError, LogUnavailableError, StoreUnavailableError,
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
