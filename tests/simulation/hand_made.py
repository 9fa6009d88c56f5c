"""Outside ledgers written by hand: five customers, three weeks, and nothing wrong with them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_ONE = datetime(2026, 3, 2, tzinfo=UTC)  #: a Monday
NAMES = ("sms", "mail", "ca", "bank", "cards", "customers")
PRODUCTS = {
    1: "securities-browser",
    2: "corporate-token",
    3: "cooperative-card",
    4: "securities-browser",
    5: "corporate-token",
}
ENDS = {1: 18, 2: 18, 3: 18, 4: 6, 5: 3}  #: days after the first
Line = dict[str, Any]


def at(clock: str, day: int = 0) -> str:
    """That time of day, UTC, so many days after the first: Taipei is eight hours ahead."""
    hours, minutes, seconds = map(int, clock.split(":"))
    moment = DAY_ONE + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)
    return moment.isoformat(timespec="microseconds")


def digest(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()


def end_of(number: int) -> datetime:
    return DAY_ONE + timedelta(days=ENDS[number], hours=15, minutes=59, seconds=59)


@dataclass
class Ledgers:
    """Lines by ledger; a test changes them before they are written."""

    lines: dict[str, list[Line]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def write(self, folder: Path) -> Path:
        for name, lines in self.lines.items():
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (folder / f"{name}.jsonl").write_text(text)
        return folder

    def find(self, ledger: str, **fields: object) -> Line:
        """The first line with these."""
        return next(
            line
            for line in self.lines[ledger]
            if all(line[name] == value for name, value in fields.items())
        )

    def remove(self, ledger: str, matches: Callable[[Line], bool]) -> None:
        kept = [line for line in self.lines[ledger] if not matches(line)]
        assert len(kept) < len(self.lines[ledger]), "there is nothing to remove"
        self.lines[ledger] = kept

    # --- lines ----------------------------------------------------------------------------------

    def sms(self, when: str, number: int, body: str, ref: str) -> None:
        line = {"at": when, "to": f"+88691200000{number}", "body": f"【續期銀行】{body}"}
        self.lines["sms"].append({**line, "id": f"SM{ref}", "ref": ref})

    def mail(self, when: str, number: int, subject: str, body: str, ref: str) -> None:
        line = {"at": when, "to": f"c{number}@example.test", "subject": f"【續期銀行】{subject}"}
        self.lines["mail"].append({**line, "body": body, "id": f"<{ref}>", "ref": ref})

    def issue(self, when: str, serial: str, number: int, request_id: str | None) -> None:
        begins = datetime.fromisoformat(when)
        ends = end_of(number) if request_id is None else begins + timedelta(days=365)
        self.ca(when, "issue", serial, number, request_id, ends=ends)

    def ca(  # noqa: PLR0917 - a line has so many fields
        self,
        when: str,
        op: str,
        serial: str,
        number: int,
        request_id: str | None,
        reason: str | None = None,
        ends: datetime | None = None,
    ) -> None:
        self.lines["ca"].append(
            {
                "at": when,
                "op": op,
                "serial": serial,
                "subject": f"CN=A12345678{number}-00-{number:06d},C=TW",
                "spki_sha256": digest(f"key {serial}"),
                "not_before": datetime.fromisoformat(when).replace(microsecond=0).isoformat(),
                "not_after": (ends or end_of(number)).isoformat(),
                "request_id": request_id,
                "reason": reason,
            }
        )

    def book(  # noqa: PLR0917 - a line has so many fields
        self,
        when: str,
        op: str,
        id_: str,
        ref: str,
        of: str | None = None,
        amount: int = 900,
        answer: str = "ok",
    ) -> None:
        line = {"at": when, "op": op, "id": id_, "account": f"00{ref[-4]}", "amount": amount}
        self.lines["bank"].append({**line, "ref": ref, "of": of, "answer": answer})

    def card(  # noqa: PLR0917 - a line has so many fields
        self,
        when: str,
        number: int,
        op: str,
        slot: str | None = None,
        sha256: str | None = None,
        result: str = "ok",
    ) -> None:
        line = {"at": when, "card": f"token{number}", "op": op, "slot": slot}
        self.lines["cards"].append({**line, "result": result, "sha256": sha256})

    def did(self, when: str, number: int, what: str, result: str = "ok", serial: str = "") -> None:
        self.lines["customers"].append(
            {
                "at": when,
                "customer": number,
                "certificate": serial or f"a{number}",
                "did": what,
                "result": result,
                "mobile": f"+88691200000{number}",
                "mail": f"c{number}@example.test",
                "product": PRODUCTS[number],
            }
        )


def clean() -> Ledgers:
    """Nobody has done anything wrong."""
    told = Ledgers()
    _begins(told)
    _renews_in_browser(told)
    _renews_on_token(told)
    _renews_on_card(told)
    _sleeps(told)
    _pays_and_forgets(told)
    for number in (1, 2, 3):
        old_until = 18 if number == 2 else 0
        for day in (0, 7, 14, 21):
            told.did(
                at("09:00:00", day),
                number,
                "used",
                serial=f"{'a' if day < old_until else 'b'}{number}",
            )
    return told


def _begins(told: Ledgers) -> None:
    for number in PRODUCTS:
        year_before = (end_of(number) - timedelta(days=364)).isoformat(timespec="microseconds")
        told.issue(year_before, f"a{number}", number, None)
        if number in {2, 3}:
            told.card(year_before, number, "generate", "9C", digest(f"key a{number}"))
            told.card(year_before, number, "put", "9C", digest(f"certificate a{number}"))


def _renews_in_browser(told: Ledgers) -> None:
    told.sms(at("02:00:00"), 1, "您的憑證將於2026/03/20到期（剩18天），請辦理更新。", "M1")
    told.did(at("03:00:00"), 1, "asked", "R00000001-01")
    told.sms(at("03:01:00"), 1, "憑證更新驗證碼1234，60秒內有效。", "K1-1-sms")
    told.did(at("03:01:20"), 1, "coded", "right")
    told.issue(at("03:01:25"), "b1", 1, "R00000001-01/issue")
    told.did(at("03:01:30"), 1, "received", serial="b1")
    told.did(at("03:01:40"), 1, "proved", serial="b1")
    told.ca(at("03:01:50"), "revoke", "a1", 1, "R00000001-01/revoke", "superseded")
    told.mail(at("03:02:00"), 1, "憑證更新成功通知", "您的憑證已更新成功", "N1")


def _renews_on_token(told: Ledgers) -> None:
    row = "企業網銀載具憑證｜a2｜2026/03/20｜剩 18 天"
    told.mail(at("02:00:00"), 2, "憑證即將到期通知（共1張）", f"提醒您：\n{row}\n", "M2")
    told.did(at("03:10:00"), 2, "paid", "P00000002-01")
    told.book(at("03:10:05"), "debit", "P00000002-01/debit", "R00000002-01")
    told.did(at("03:11:00"), 2, "asked", "R00000002-01")
    _writes(told, 2, "03:12")


def _renews_on_card(told: Ledgers) -> None:
    told.sms(at("02:00:00"), 3, "您的憑證將於2026/03/20到期（剩18天），請辦理更新。", "M3")
    told.did(at("03:20:00"), 3, "asked", "R00000003-01")
    told.book(at("03:20:05"), "hold", "R00000003-01/hold", "R00000003-01")
    _writes(told, 3, "03:21")
    told.book(
        at("03:22:00"), "capture", "R00000003-01/capture", "R00000003-01", "R00000003-01/hold"
    )


def _writes(told: Ledgers, number: int, minute: str) -> None:
    key, new = digest(f"key b{number}"), digest(f"certificate b{number}")
    told.did(at(f"{minute}:00"), number, "gave_pin")
    told.card(at(f"{minute}:01"), number, "verify")
    told.card(at(f"{minute}:02"), number, "generate", "9A", key)
    told.card(at(f"{minute}:03"), number, "sign", "9A", key)
    told.issue(at(f"{minute}:05"), f"b{number}", number, f"R0000000{number}-01/issue")
    told.card(at(f"{minute}:10"), number, "put", "9A", new)
    told.card(at(f"{minute}:11"), number, "sign", "9A", key)
    told.did(at(f"{minute}:20"), number, "received", serial=f"b{number}")
    told.did(at(f"{minute}:21"), number, "proved", serial=f"b{number}")


def _sleeps(told: Ledgers) -> None:
    told.sms(at("02:00:00"), 4, "您的憑證將於2026/03/08到期（剩6天），請辦理更新。", "M4-7")
    told.sms(at("01:00:00", 3), 4, "您的憑證將於2026/03/08到期（剩3天），請辦理更新。", "M4-3")
    told.sms(at("01:00:00", 5), 4, "您的憑證將於2026/03/08到期（剩1天），請辦理更新。", "M4-1")
    told.sms(at("01:00:00", 6), 4, "您的憑證將於今日（2026/03/08）到期，請儘速辦理更新。", "M4-0")
    told.sms(at("01:00:00", 7), 4, "您的憑證已於2026/03/08到期（逾期1天），請辦理更新。", "M4--1")
    told.did(at("09:00:00"), 4, "used")
    told.did(at("09:00:00", 6), 4, "used")


def _pays_and_forgets(told: Ledgers) -> None:
    row = "企業網銀載具憑證｜a5｜2026/03/05｜剩 3 天"
    told.mail(at("02:00:00"), 5, "憑證即將到期通知（共1張）", f"提醒您：\n{row}\n", "M5")
    told.did(at("03:30:00"), 5, "paid", "P00000005-01")
    told.book(at("03:30:05"), "debit", "P00000005-01/debit", "R00000005-01")
    told.did(at("09:00:00"), 5, "used")
    told.book(
        at("02:00:00", 4), "refund", "P00000005-01/refund", "R00000005-01", "P00000005-01/debit"
    )
