"""The command `xuqi`; imports only the subcommand that is called."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from xuqi.cli.context import REFUSED, UNAVAILABLE, USAGE, CliContext
from xuqi.cli.i18n import Lang, spoken
from xuqi.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of a command to its module (under ``xuqi.cli.commands``, if it has no dot), and its help in
#: both languages.
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "serve": ("serve", "全部服務在一個程序裡執行", "everything in one process"),
    "init": ("init", "建立新的安裝", "make a new home"),
    "demo": ("simulation.command", "用範例銀行跑完整個流程", "the main job on a sample bank"),
    "try": (
        "simulation.trial_command",
        "打開範例銀行讓人試用",
        "open the sample bank for a person",
    ),
    "import": ("imports", "匯入客戶與憑證", "take in customers and certificates"),
    "scan": ("scan", "掃描即將到期的憑證", "find certificates that are due"),
    "renewals": ("renewals", "展期：申請、清單、明細", "renewals: start, list, show"),
    "run": ("run", "批次展期：試算、送審、執行、結果", "bulk runs: plan, approve, run, result"),
    "console": ("console", "後台網頁", "the back office's pages"),
    "staff": ("staff", "後台帳號", "accounts of the console"),
    "payments": ("payments", "預繳費用：人工結清", "what was paid beforehand"),
    "tasks": ("tasks", "其他憑證機構的待辦", "what people must do at another CA"),
    "recordings": ("recordings", "分行補登", "what branches record after a renewal"),
    "centre": ("centre", "憑證中心的每一項功能", "each action of the certificate centre"),
    "code": ("code", "一次性驗證碼：發送、輸入", "one-time codes: send, enter"),
    "station": ("station", "分行載具作業站", "the station of a branch"),
    "stations": (
        "stations",
        "作業站：設定檔、登錄碼、登錄、清單、撤銷",
        "stations: file, code, join, enrol, list, revoke",
    ),
    "token": (
        "tokens",
        "載具：內容、密碼、解鎖；配發、暫停、遺失",
        "tokens: content, PIN, unblock; assign, hold, lost",
    ),
    "clerk": ("clerks", "作業站的經辦與主管", "clerks and supervisors of a station"),
    "certificates": (
        "certificates",
        "憑證：清單、暫禁、註銷",
        "certificates: list, suspend, revoke",
    ),
    "ca": ("ca", "憑證廢止清冊與線上狀態", "CRL and online status"),
    "messages": ("messages", "訊息與電話聯絡清單", "messages, and whom to call"),
    "customers": (
        "customers",
        "客戶：尋找、更改聯絡方式、使用者代號",
        "customers: find, change, user codes",
    ),
    "contacts": ("contacts", "暫停使用的聯絡方式", "addresses that are not used for now"),
    "mail": ("mail", "退信", "delivery reports of mail"),
    "alarms": ("alarms", "要有人處理的事", "what people must look at"),
    "clock": ("clock", "時鐘是否可信", "whether the clock is believed"),
    "why": ("why", "一張憑證的來龍去脈", "the whole story of a certificate"),
    "events": ("events", "事件紀錄", "the log of events"),
    "dead-letters": ("dead_letters", "無法處理的事件", "events that could not be handled"),
    "audit": ("audit", "稽核軌跡：清單、驗證", "the audit trail: list, verify"),
    "keys": ("keys", "金鑰：清單、更換", "our own keys: list, rotate"),
    "reconcile": (
        "reconcile",
        "與銀行、憑證機構、業者對帳",
        "our books and those outside",
    ),
    "backup": ("backup", "備份", "copy everything, also while it is served"),
    "restore": ("restore", "還原", "put a copy back"),
    "check": ("check", "重新核對各項不變條件", "recompute the invariants"),
    "status": ("status", "目前狀態", "how things stand"),
    "topics": ("topics", "Kafka 主題", "the topics of the log on Kafka"),
    "db": ("database", "資料庫結構", "the database's tables"),
    "policies": ("policies", "規則變更後重新計算", "compute anew after a change of policy"),
    "config": ("config", "設定", "the settings"),
    "golive": ("golive", "上線：舊系統已提醒過的不再提醒", "begin where the old system has ended"),
    "bank": ("bank", "本行資料與訊息文字", "the bank's own data and wording"),
}


class Lazy(click.Group):
    """Knows its commands by name and imports one on use; reports errors in one line."""

    commands_of: ClassVar[Mapping[str, tuple[str, str, str]]] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.commands_of:
            return None
        name = self.commands_of[cmd_name][0]
        module = importlib.import_module(name if "." in name else f"xuqi.cli.commands.{name}")
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
            context: CliContext = ctx.obj
            click.echo(safe(f"xuqi: {_in_words(error, context.lang)}"), err=True)
            raise click.exceptions.Exit(exit_code(error)) from None


#: What the kinds of errors mean, for those who do not read their English text.
KINDS: Mapping[str, str] = {
    "StoreUnavailableError": "資料庫無法使用",
    "LogUnavailableError": "事件紀錄無法使用",
    "GatewayUnavailableError": "外部系統暫時無法使用",
    "GatewayUnsureError": "外部系統的回覆不明",
    "GatewayRefusedError": "外部系統拒絕",
    "SettingsError": "設定不能用",
    "BankDataError": "本行資料不能用",
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
    from renewal.errors import ReasonedError  # noqa: PLC0415 - help needs none
    from xuqi.settings import SettingsError  # noqa: PLC0415

    sentence = str(error)
    if isinstance(error, ReasonedError):
        from templates.codes import text  # noqa: PLC0415

        sentence = (
            error.in_words(lang.value)
            if isinstance(error, SettingsError)
            else text(error.reason, lang.value)
        )
        if error.about:
            sentence = f"{error.about}: {sentence}"
    if lang is Lang.EN:
        return sentence
    kinds = (KINDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in KINDS)
    return f"{next(kinds, '拒絕')}：{sentence}"


def _ours() -> tuple[type[Exception], ...]:
    """The errors whose text is for a person, imported only when one occurs."""
    from renewal.errors import XuqiError  # noqa: PLC0415
    from schema.policy import PolicyError  # noqa: PLC0415
    from templates.bank_file import BankDataError  # noqa: PLC0415

    return XuqiError, PolicyError, BankDataError


def exit_code(error: Exception) -> int:
    """3: a needed part does not answer; 2: unusable settings; 1: refused."""
    from renewal.db.engine import StoreUnavailableError  # noqa: PLC0415
    from renewal.errors import GatewayUnavailableError, GatewayUnsureError  # noqa: PLC0415
    from renewal.eventlog.port import LogUnavailableError  # noqa: PLC0415
    from schema.policy import PolicyError  # noqa: PLC0415
    from xuqi.process_lock import AddressError, LockTakenError  # noqa: PLC0415
    from xuqi.settings import SettingsError  # noqa: PLC0415

    away = (
        GatewayUnavailableError, GatewayUnsureError, LogUnavailableError, StoreUnavailableError,
        LockTakenError, AddressError,
    )  # fmt: skip
    if isinstance(error, away):
        return UNAVAILABLE
    return USAGE if isinstance(error, (SettingsError, PolicyError)) else REFUSED


#: Commands that make a home where there is none; every other one is in the wrong folder.
MAKES_A_HOME = frozenset({"serve", "import", "init", "demo", "db"})


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Xuqi 續期：及時更新銀行客戶的憑證，並且證明做到了。\n\n"
    "Renews the certificates of a bank's customers in time, and proves it.\n\n"
    "結束代碼 / exit codes: 0 完成 ok, 1 拒絕 refused, 2 用法 usage, 3 無法使用 unavailable.",
)
@click.version_option(package_name="xuqi", prog_name="xuqi", message="%(prog)s %(version)s")
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
    context = ctx.ensure_object(CliContext)
    context.lang = Lang(lang) if lang else spoken(context.environment)
    context.home = home or context.home
    context.may_make = ctx.invoked_subcommand in MAKES_A_HOME
    context.may_migrate = ctx.invoked_subcommand == "db"
    ctx.call_on_close(context.close)
