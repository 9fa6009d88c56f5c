"""`xuqi station`: the station of a branch, with a person who types PINs."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from xuqi.cli.context import REFUSED, CliContext, as_json, cli
from xuqi.cli.i18n import Lang
from xuqi.cli.translations import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from renewal.clock import Clock
    from schema.reasons import TokenReason
    from token_station.journal import JournalEntry
    from token_station.operators import Operator
    from token_station.reader_views import ReaderView
    from token_station.station import Station
    from xuqi.settings import Settings

LOOK_EVERY = 0.3  #: seconds

_HELP = """分行載具作業站：看讀卡機、問密碼、寫入新憑證。

The station of a branch: shows its readers, asks for PINs, writes new certificates.

密碼不顯示；空白表示稍後。剩最後一次時，必須明確同意才會使用。
A PIN is not shown; an empty one means: not now. A last try is used only after an express yes.

--once 給程式用：每個載具只問一次，密碼由標準輸入逐行讀取。
--once is for scripts: each token is asked for once, PINs are lines of the standard input.
"""


@click.command("station", help=_HELP)
@click.option("--once", is_flag=True, help="處理現有的就結束 / do what there is, and end")
@click.option(
    "--wait",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="等新憑證的秒數 / seconds to wait for new certificates",
)
@click.option(
    "--readers",
    help="simulated, pcsc, pkcs11:<model>；預設依 XUQI_READERS / by default as XUQI_READERS says",
)
@click.option("--screen", is_flag=True, help="開啟本機畫面 / show the pages on 127.0.0.1")
@click.option(
    "--port",
    default=8485,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="畫面的埠 / of the screen",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="沒有資料庫的作業站：`xuqi stations kit` 產生的檔案 / "
    "a station without a database: the file that `xuqi stations kit` has made",
)
@as_json
@cli
@click.pass_context
def command(  # noqa: PLR0917 - click names them
    ctx: click.Context,
    context: CliContext,
    wait: float,
    readers: str | None,
    port: int,
    config: Path | None,
    *,
    once: bool,
    screen: bool,
    as_json: bool,
) -> None:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.process_lock import StationLock  # noqa: PLC0415

    clock = context.clock or SystemClock()
    settings, opened = _opening(context, clock, config, readers)
    if screen:
        _serve_screen(context, settings, clock, opened, port)
        return
    person = TerminalOperator(context, once=once)
    with (
        StationLock(settings.home, settings.branch).for_a_person(),
        opened(person) as station,
    ):
        if not station.readers:
            context.refuse(*_no_reader(settings))
        shown = _StationScreen(context, as_json=as_json)
        seen = _until_quiet(station, shown, wait)
        while not once and _again(context):
            seen = _until_quiet(station, shown, wait)
    if any(one.status.name not in _GOOD for one in seen):
        ctx.exit(REFUSED)


def _opening(
    context: CliContext, clock: Clock, config: Path | None, readers: str | None
) -> tuple[Settings, Callable[[Operator], AbstractContextManager[Station]]]:
    """The settings of the station, and what opens it for a person."""
    if config is None:
        from xuqi.simulated_readers import opened_station  # noqa: PLC0415 - help needs none

        own = replace(context.settings, readers=readers) if readers else context.settings
        return own, lambda person: opened_station(
            own, context.keys, clock, context.log, person, store=context.store
        )
    from xuqi.remote_station import read_station_file, remote_station  # noqa: PLC0415

    file = read_station_file(config)
    file = msgspec.structs.replace(file, readers=readers or file.readers)
    home = config.resolve().parent
    away = replace(context.settings, home=home, branch=file.branch, readers=file.readers)
    return away, lambda person: remote_station(file, home, clock, person)


def _serve_screen(
    context: CliContext,
    settings: Settings,
    clock: Clock,
    opened: Callable[[Operator], AbstractContextManager[Station]],
    port: int,
) -> None:
    from xuqi.process_lock import StationLock  # noqa: PLC0415 - help needs none
    from xuqi.screen import served_screen  # noqa: PLC0415

    with (
        StationLock(settings.home, settings.branch).for_a_person(),
        served_screen(settings, clock, opened, port=port) as listening,
    ):
        address = f"http://127.0.0.1:{listening}/"
        context.say(
            f"作業站畫面：{address}（Ctrl+C 結束）",
            f"the station's screen: {address} (Ctrl+C ends)",
        )
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _no_reader(settings: Settings) -> tuple[str, str]:
    if settings.readers != "simulated":
        return (
            "沒有讀卡機：請接上讀卡機，並確認 pcscd（Windows：Smart Card 服務）已啟動",
            "there is no reader: attach one, and see that pcscd (Windows: Smart Card) is running",
        )
    cards = settings.home / "cards"
    return (
        f"沒有讀卡機：{cards} 裡沒有模擬卡",
        f"there is no reader: {cards} holds no simulated card",
    )


#: Nothing is left to do here for a reader of which this is said.
_GOOD = {"EMPTY", "OTHER_TOKEN", "DONE"}
_STATUS = {
    "EMPTY": "沒有載具",
    "OTHER_TOKEN": "這個載具沒有待辦的展期",
    "WAITS_FOR_PIN": "等待密碼",
    "PIN_WRONG": "密碼錯誤",
    "PIN_UNFIT": "這不可能是密碼，沒有送出",
    "PIN_BLOCKED": "密碼已鎖定",
    "LAST_TRY": "只剩一次，未獲同意",
    "WAITS_FOR_CONSENT": "有不屬於本行的金鑰，等待持有人同意",
    "WAITS_FOR_CA": "等待新憑證",
    "DONE": "已寫入並驗證",
    "DECLINED": "這裡無法展期",
    "REMOVED": "載具已拔出",
    "TROUBLE": "載具沒有正確回應",
}


class TerminalOperator:
    """The person at the terminal. A script's person is asked once for each token."""

    def __init__(self, context: CliContext, *, once: bool) -> None:
        self._context = context
        self._once = once
        self._asked: set[str] = set()

    def ask_anew(self) -> None:
        self._asked.clear()

    def pin(self, job: JournalEntry, tries_left: int | None) -> str | None:
        if job.renewal in self._asked:
            return None
        self._asked.add(job.renewal)
        left = "?" if tries_left is None else tries_left
        return (
            self._context.ask_hidden(
                f"載具 {job.token_serial}，展期 {job.renewal}，還可試 {left} 次，密碼",
                f"token {job.token_serial}, renewal {job.renewal}, {left} tries left, PIN",
            )
            or None
        )

    def assigns_serial(self, job: JournalEntry, reader: str) -> bool:
        return self._context.confirm(
            f"讀卡機 {reader} 裡是沒有序號的空白載具。"
            f"是展期 {job.renewal} 的載具 {job.token_serial} 嗎？",
            f"Reader {reader} holds a blank token without a serial. Is it token {job.token_serial} "
            f"of renewal {job.renewal}?",
        )

    def first_pin(self, job: JournalEntry) -> str | None:
        if job.renewal in self._asked:
            return None
        self._asked.add(job.renewal)
        first = self._context.ask_hidden(
            f"載具 {job.token_serial}，請持有人設定密碼（6 到 8 位數字）",
            f"token {job.token_serial}: its holder chooses a PIN (6 to 8 digits)",
        )
        if first and first != self._context.ask_hidden("再一次", "once more"):
            self._context.say("兩次不同，沒有設定", "the two differ: nothing was set")
            return None
        return first or None

    def releases_last_try(self, _job: JournalEntry) -> bool:
        return self._context.confirm(
            "只剩最後一次，錯了就鎖定。要用嗎？",
            "This is the last try, and a wrong PIN blocks the token. Use it?",
        )

    def gives_up_key(self, job: JournalEntry, key_slot: str, found: TokenReason) -> bool:
        zh, en = reason(Lang.ZH, found.why()), reason(Lang.EN, found.why())
        return self._context.confirm(
            f"載具 {job.token_serial} 的 {key_slot} 有{zh}，展期會毀掉它。持有人同意放棄嗎？",
            f"Token {job.token_serial} holds in {key_slot} {en}; the renewal would destroy it. "
            "Does its holder give it up?",
        )


class _StationScreen:
    """Prints what has changed since the last look."""

    def __init__(self, context: CliContext, *, as_json: bool) -> None:
        self._context = context
        self._as_json = as_json
        self._before: dict[str, ReaderView] = {}

    def show(self, seen: list[ReaderView]) -> None:
        for one in seen:
            if self._before.get(one.reader) != one:
                self._before[one.reader] = one
                values = self._shown(one)
                self._context.print_result(values, [self._line(one)], as_json=self._as_json)

    def _shown(self, one: ReaderView) -> dict[str, Any]:
        return {
            "reader": one.reader,
            "said": one.status.name.lower(),
            "token": one.token_serial,
            "renewal": one.renewal,
            "tries_left": one.tries_left,
            "detail": reason(Lang.EN, one.detail),
        }

    def _line(self, one: ReaderView) -> str:
        sentence = self._context.lang.pick(_STATUS[one.status.name], one.status.value)
        left = ""
        if one.tries_left is not None and one.status.name == "PIN_WRONG":
            zh, en = f"還可試 {one.tries_left} 次", f"{one.tries_left} tries left"
            left = self._context.lang.pick(zh, en)
        parts = (one.token_serial, one.renewal, left, reason(self._context.lang, one.detail))
        return f"{one.reader}: {sentence} {' '.join(part for part in parts if part)}".rstrip()


def _until_quiet(station: Station, screen: _StationScreen, wait: float) -> list[ReaderView]:
    """Take every token as far as it goes, while new certificates come in time."""
    if isinstance(station.operator, TerminalOperator):
        station.operator.ask_anew()
    until = time.monotonic() + wait
    while True:
        while station.take():
            pass
        seen = station.work()
        screen.show(seen)
        names = {one.status.name for one in seen}
        # A wrong PIN is the last word of a reader whose person is not asked again.
        if "WAITS_FOR_CA" not in names or time.monotonic() >= until:
            return seen
        time.sleep(LOOK_EVERY)


def _again(context: CliContext) -> bool:
    text = context.lang.pick("[Enter] 再看一次，[q] 結束", "[Enter] look again, [q] quit")
    try:
        return str(click.prompt(text, default="", show_default=False, err=True)).lower() != "q"
    except click.Abort:
        return False
