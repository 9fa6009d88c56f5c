"""`xuqi station`: the station of a branch, with a person who types PINs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import REFUSED, Desk, as_json, desk

if TYPE_CHECKING:
    from token_station.journal import Entry
    from token_station.station import Seen, Station

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
@as_json
@desk
@click.pass_context
def command(ctx: click.Context, desk: Desk, wait: float, *, once: bool, as_json: bool) -> None:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.places import StationPlace  # noqa: PLC0415
    from xuqi.readers import opened_station  # noqa: PLC0415

    person = AtTheStation(desk, once=once)
    clock = desk.clock or SystemClock()
    with (
        StationPlace(desk.settings.home, desk.settings.branch).for_a_person(),
        opened_station(desk.settings, desk.keys, clock, desk.log, person) as station,
    ):
        if not station.readers:
            desk.refuse(
                f"沒有讀卡機：{desk.settings.home / 'cards'} 裡沒有模擬卡",
                f"there is no reader: {desk.settings.home / 'cards'} holds no simulated card",
            )
        screen = _Screen(desk, as_json=as_json)
        seen = _until_quiet(station, screen, wait)
        while not once and _again(desk):
            seen = _until_quiet(station, screen, wait)
    if any(one.said.name not in _GOOD for one in seen):
        ctx.exit(REFUSED)


#: Nothing is left to do here for a reader of which this is said.
_GOOD = {"EMPTY", "OTHER_TOKEN", "DONE"}
_SAID = {
    "EMPTY": "沒有載具",
    "OTHER_TOKEN": "這個載具沒有待辦的展期",
    "WAITS_FOR_PIN": "等待密碼",
    "PIN_WRONG": "密碼錯誤",
    "PIN_BLOCKED": "密碼已鎖定",
    "LAST_TRY": "只剩一次，未獲同意",
    "WAITS_FOR_CA": "等待新憑證",
    "DONE": "已寫入並驗證",
    "DECLINED": "這裡無法展期",
    "REMOVED": "載具已拔出",
    "TROUBLE": "載具沒有正確回應",
}


class AtTheStation:
    """
    The person at the terminal. A script's person is asked once for each token.
    """

    def __init__(self, desk: Desk, *, once: bool) -> None:
        self._desk = desk
        self._once = once
        self._asked: set[str] = set()

    def ask_anew(self) -> None:
        self._asked.clear()

    def pin(self, job: Entry, tries_left: int | None) -> str | None:
        if job.renewal in self._asked:
            return None
        self._asked.add(job.renewal)
        left = "?" if tries_left is None else tries_left
        return (
            self._desk.hidden(
                f"載具 {job.token_serial}，展期 {job.renewal}，還可試 {left} 次，密碼",
                f"token {job.token_serial}, renewal {job.renewal}, {left} tries left, PIN",
            )
            or None
        )

    def releases_last_try(self, _job: Entry) -> bool:
        return self._desk.agreed(
            "只剩最後一次，錯了就鎖定。要用嗎？",
            "This is the last try, and a wrong PIN blocks the token. Use it?",
        )


class _Screen:
    """
    Prints what has changed since the last look.
    """

    def __init__(self, desk: Desk, *, as_json: bool) -> None:
        self._desk = desk
        self._as_json = as_json
        self._before: dict[str, Seen] = {}

    def show(self, seen: list[Seen]) -> None:
        for one in seen:
            if self._before.get(one.reader) != one:
                self._before[one.reader] = one
                told = self._told(one)
                self._desk.told(told, [self._line(one)], as_json=self._as_json)

    def _told(self, one: Seen) -> dict[str, Any]:
        return {
            "reader": one.reader,
            "said": one.said.name.lower(),
            "token": one.token_serial,
            "renewal": one.renewal,
            "tries_left": one.tries_left,
            "detail": one.detail,
        }

    def _line(self, one: Seen) -> str:
        said = self._desk.lang.pick(_SAID[one.said.name], one.said.value)
        left = ""
        if one.tries_left is not None and one.said.name == "PIN_WRONG":
            zh, en = f"還可試 {one.tries_left} 次", f"{one.tries_left} tries left"
            left = self._desk.lang.pick(zh, en)
        parts = (one.token_serial, one.renewal, left, one.detail)
        return f"{one.reader}: {said} {' '.join(part for part in parts if part)}".rstrip()


def _until_quiet(station: Station, screen: _Screen, wait: float) -> list[Seen]:
    """
    Take every token as far as it goes, while new certificates come in time.
    """
    if isinstance(station.person, AtTheStation):
        station.person.ask_anew()
    until = time.monotonic() + wait
    while True:
        while station.take():
            pass
        seen = station.work()
        screen.show(seen)
        names = {one.said.name for one in seen}
        # A wrong PIN is the last word of a reader whose person is not asked again.
        if "WAITS_FOR_CA" not in names or time.monotonic() >= until:
            return seen
        time.sleep(LOOK_EVERY)


def _again(desk: Desk) -> bool:
    text = desk.lang.pick("[Enter] 再看一次，[q] 結束", "[Enter] look again, [q] quit")
    try:
        return str(click.prompt(text, default="", show_default=False, err=True)).lower() != "q"
    except click.Abort:
        return False
