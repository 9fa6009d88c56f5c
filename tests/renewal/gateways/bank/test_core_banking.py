"""What every core-banking system promises, on each that we have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from renewal.clock import SystemClock
from renewal.errors import (
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
    XuqiError,
)
from renewal.gateways.answers import Meaning
from renewal.gateways.bank.answers import BankRefusal, meaning_of
from renewal.gateways.bank.embedded.adapter import BankFileError, EmbeddedBank
from renewal.gateways.bank.null import NullBank
from renewal.gateways.bank.port import Booking, BookingStatus, CoreBanking, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.shows("D03")

ALICE = "0081234567"
BOB = "0087654321"
HOLD = Booking(id="R1-1:1", op=Operation.HOLD, account=ALICE, amount=900, ref="R1-1")
CAPTURE = replace(HOLD, id="R1-1:1:post", op=Operation.CAPTURE, of=HOLD.id)
VOID = replace(HOLD, id="R1-1:1:void", op=Operation.VOID, of=HOLD.id)
DEBIT = Booking(id="P1", op=Operation.DEBIT, account=ALICE, amount=500, ref="P1")
ROOT = Path(__file__).resolve().parents[4]
REFUND = replace(DEBIT, id="P1:refund", op=Operation.REFUND, of=DEBIT.id)


class EmbeddedWorld:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[Any] = []
        self.closed = False
        self.opened: list[EmbeddedBank] = []
        self.bank = self.another()

    def another(self) -> EmbeddedBank:
        bank = EmbeddedBank(
            self.path,
            SystemClock(),
            opening={ALICE: 1000, BOB: 0},
            fault=lambda _: self.faults.pop(0) if self.faults else None,
            closed=lambda: self.closed,
        )
        self.opened.append(bank)
        return bank

    def close(self) -> None:
        for bank in self.opened:
            bank.close()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def done(self) -> list[str]:
        return [line["id"] for line in self.lines() if line["answer"] in ("ok", "lost")]


@dataclass
class NullWorld:
    bank: NullBank = field(default_factory=NullBank)
    faults: list[str] = field(default_factory=list)
    closed: bool = False

    def another(self) -> NullBank:
        return NullBank()

    def done(self) -> list[str]:
        return sorted(self.bank.booked)


World = EmbeddedWorld | NullWorld


@pytest.fixture(params=["embedded", "null"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "null":
        yield NullWorld()
        return
    embedded = EmbeddedWorld(tmp_path / "bank.jsonl")
    yield embedded
    embedded.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedWorld]:
    world = EmbeddedWorld(tmp_path / "bank.jsonl")
    yield world
    world.close()


@pytest.fixture
def strict(world: World, request: pytest.FixtureRequest) -> World:
    """A world whose bank keeps accounts; the null one keeps none."""
    if isinstance(world, NullWorld):
        why = "the null bank keeps no accounts and never fails"
        request.applymarker(pytest.mark.xfail(strict=True, reason=why))
    return world


def refusal(bank: CoreBanking, booking: Booking) -> str:
    with pytest.raises(GatewayRefusedError) as caught:
        bank.book(booking)
    return caught.value.code


# -- on each


def test_a_booking_is_done_and_found(world: World) -> None:
    world.bank.book(HOLD)

    assert world.bank.inquire(HOLD.id) is BookingStatus.DONE


def test_a_booking_that_the_bank_never_saw_is_unknown(world: World) -> None:
    world.bank.book(HOLD)

    assert world.bank.inquire(CAPTURE.id) is BookingStatus.UNKNOWN


def test_the_same_booking_again_is_answered_as_done_and_done_once(world: World) -> None:
    world.bank.book(HOLD)

    world.bank.book(HOLD)

    assert world.done() == [HOLD.id]


@pytest.mark.parametrize("way", [(HOLD, CAPTURE), (HOLD, VOID), (DEBIT, REFUND)])
def test_a_booking_is_ended(world: World, way: tuple[Booking, ...]) -> None:
    for booking in way:
        world.bank.book(booking)

    assert {world.bank.inquire(booking.id) for booking in way} == {BookingStatus.DONE}


def test_more_than_is_available_is_declined(strict: World) -> None:
    too_much = replace(HOLD, amount=1001)

    code = refusal(strict.bank, too_much)

    assert code == BankRefusal.FUNDS
    assert strict.bank.inquire(HOLD.id) is BookingStatus.REFUSED
    assert strict.done() == []


def test_all_that_is_available_may_be_held(world: World) -> None:
    world.bank.book(replace(HOLD, amount=1000))

    assert world.done() == [HOLD.id]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"amount": 901}, BankRefusal.OTHER_CONTENT),
        ({"ref": "R2-1"}, BankRefusal.OTHER_CONTENT),
        ({"account": BOB}, BankRefusal.OTHER_CONTENT),
        ({"op": Operation.DEBIT}, BankRefusal.OTHER_CONTENT),
    ],
)
def test_an_id_with_other_content_is_declined_and_the_first_stays(
    strict: World, changed: dict[str, Any], code: BankRefusal
) -> None:
    strict.bank.book(HOLD)

    said = refusal(strict.bank, replace(HOLD, **changed))

    assert said == code
    assert strict.bank.inquire(HOLD.id) is BookingStatus.DONE
    assert strict.done() == [HOLD.id]


def test_a_declined_id_stays_declined_after_a_top_up(strict: World) -> None:
    strict.bank.book(DEBIT)
    assert refusal(strict.bank, HOLD) == BankRefusal.FUNDS
    strict.bank.book(REFUND)

    said = refusal(strict.bank, HOLD)

    assert said == BankRefusal.BEFORE
    assert strict.bank.inquire(HOLD.id) is BookingStatus.REFUSED


def test_a_refusal_of_ours_uses_up_no_id(strict: World) -> None:
    assert refusal(strict.bank, replace(HOLD, amount=0)) == BankRefusal.AMOUNT
    assert refusal(strict.bank, CAPTURE) == BankRefusal.OF
    unseen = [strict.bank.inquire(one.id) for one in (HOLD, CAPTURE)]

    strict.bank.book(HOLD)
    strict.bank.book(CAPTURE)

    assert unseen == [BookingStatus.UNKNOWN] * 2
    assert strict.done() == [HOLD.id, CAPTURE.id]


def test_a_new_id_after_a_top_up_is_done(world: World) -> None:
    if isinstance(world, EmbeddedWorld):
        world.bank.book(DEBIT)
        assert refusal(world.bank, HOLD) == BankRefusal.FUNDS
        world.bank.book(REFUND)

    world.bank.book(replace(HOLD, id="R1-1:2"))

    assert world.bank.inquire("R1-1:2") is BookingStatus.DONE


@pytest.mark.parametrize("first", [CAPTURE, VOID], ids=["captured", "voided"])
@pytest.mark.parametrize("then", [CAPTURE, VOID], ids=["capture", "void"])
def test_a_hold_that_has_ended_does_not_end_again(
    strict: World, first: Booking, then: Booking
) -> None:
    strict.bank.book(HOLD)
    strict.bank.book(first)

    said = refusal(strict.bank, replace(then, id="again"))

    assert said == BankRefusal.ENDED


def test_what_belongs_to_nothing_is_declined(strict: World) -> None:
    assert refusal(strict.bank, CAPTURE) == BankRefusal.OF


def test_a_lost_answer_is_unsure_and_it_was_done(strict: World) -> None:
    strict.faults.append("lost")

    with pytest.raises(GatewayUnsureError):
        strict.bank.book(HOLD)

    assert strict.bank.inquire(HOLD.id) is BookingStatus.DONE
    strict.bank.book(HOLD)
    assert strict.done() == [HOLD.id]


def test_a_lost_refusal_is_unsure_and_it_was_not_done(strict: World) -> None:
    strict.faults.append("lost")

    with pytest.raises(GatewayUnsureError):
        strict.bank.book(replace(HOLD, amount=1001))

    assert strict.bank.inquire(HOLD.id) is BookingStatus.REFUSED


def test_an_unavailable_bank_has_done_nothing(strict: World) -> None:
    strict.faults.append("unavailable")

    with pytest.raises(GatewayUnavailableError):
        strict.bank.book(HOLD)

    assert strict.bank.inquire(HOLD.id) is BookingStatus.UNKNOWN
    strict.bank.book(HOLD)
    assert strict.done() == [HOLD.id]


def test_a_closed_bank_cannot_be_asked(strict: World) -> None:
    strict.bank.book(HOLD)
    strict.closed = True

    with pytest.raises(GatewayUnavailableError):
        strict.bank.inquire(HOLD.id)
    with pytest.raises(GatewayUnavailableError):
        strict.bank.book(CAPTURE)


def test_a_bank_opened_again_knows_what_it_did(strict: World) -> None:
    strict.bank.book(HOLD)
    strict.bank.book(CAPTURE)

    again = strict.another()

    assert again.inquire(CAPTURE.id) is BookingStatus.DONE


# -- the embedded one's accounts and file


def test_what_is_held_is_not_available_and_still_on_the_account(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)

    assert embedded.bank.balance(ALICE) == 1000
    assert embedded.bank.available(ALICE) == 100


@pytest.mark.parametrize(
    ("ways", "balance", "available"),
    [
        ((HOLD, CAPTURE), 100, 100),
        ((HOLD, replace(CAPTURE, amount=400)), 600, 600),
        ((HOLD, VOID), 1000, 1000),
        ((DEBIT,), 500, 500),
        ((DEBIT, REFUND), 1000, 1000),
        ((HOLD, CAPTURE, replace(REFUND, of=HOLD.id, amount=900)), 1000, 1000),
    ],
    ids=["captured", "captured in part", "voided", "debited", "refunded", "refunded hold"],
)
def test_each_way_leaves_the_account_as_it_should(
    embedded: EmbeddedWorld, ways: tuple[Booking, ...], balance: int, available: int
) -> None:
    for booking in ways:
        embedded.bank.book(booking)

    assert embedded.bank.balance(ALICE) == balance
    assert embedded.bank.available(ALICE) == available
    assert embedded.another().available(ALICE) == available


@pytest.mark.parametrize(
    ("ways", "last", "code"),
    [
        ((HOLD,), replace(CAPTURE, amount=901), BankRefusal.AMOUNT),
        ((HOLD,), replace(VOID, amount=899), BankRefusal.AMOUNT),
        ((HOLD,), replace(CAPTURE, account=BOB), BankRefusal.ACCOUNT),
        ((DEBIT,), replace(CAPTURE, of=DEBIT.id), BankRefusal.OF),
        ((DEBIT,), replace(REFUND, amount=501), BankRefusal.AMOUNT),
        ((DEBIT, REFUND), replace(REFUND, id="again"), BankRefusal.AMOUNT),
        ((HOLD,), replace(REFUND, of=HOLD.id), BankRefusal.AMOUNT),
        ((), replace(HOLD, amount=0), BankRefusal.AMOUNT),
        ((), replace(HOLD, amount=-5), BankRefusal.AMOUNT),
        ((), replace(HOLD, account="0000000000"), BankRefusal.ACCOUNT),
        ((), replace(HOLD, account=BOB, amount=1), BankRefusal.FUNDS),
    ],
)
def test_what_does_not_fit_is_declined_with_its_code(
    embedded: EmbeddedWorld, ways: tuple[Booking, ...], last: Booking, code: BankRefusal
) -> None:
    for booking in ways:
        embedded.bank.book(booking)

    assert refusal(embedded.bank, last) == code
    ours = meaning_of(code) is Meaning.OURS
    is_now = BookingStatus.UNKNOWN if ours else BookingStatus.REFUSED
    assert embedded.another().inquire(last.id) is is_now


@pytest.mark.parametrize("amount", [900.0, True, "900", 1 << 63, -(1 << 63)])
def test_an_amount_that_no_line_can_say_never_reaches_the_file(
    embedded: EmbeddedWorld, amount: object
) -> None:
    as_a_careless_caller_would: dict[str, Any] = {"amount": amount}

    code = refusal(embedded.bank, replace(HOLD, **as_a_careless_caller_would))

    assert code == BankRefusal.AMOUNT
    assert embedded.lines() == []


def test_the_file_says_what_was_asked_and_answered(embedded: EmbeddedWorld) -> None:
    embedded.faults += [None, "lost", None]
    embedded.bank.book(HOLD)
    with pytest.raises(GatewayUnsureError):
        embedded.bank.book(CAPTURE)
    embedded.bank.book(HOLD)
    refusal(embedded.bank, replace(DEBIT, amount=101))

    lines = embedded.lines()

    assert [line["answer"] for line in lines] == ["ok", "lost", "duplicate", "refused"]
    assert list(lines[1]) == ["at", "op", "id", "account", "amount", "ref", "of", "answer"]
    assert {k: v for k, v in lines[1].items() if k != "at"} == {
        "op": "capture",
        "id": CAPTURE.id,
        "account": ALICE,
        "amount": 900,
        "ref": "R1-1",
        "of": HOLD.id,
        "answer": "lost",
    }
    assert datetime.fromisoformat(lines[1]["at"]).tzinfo == UTC


def test_two_banks_over_one_file_are_one_bank(embedded: EmbeddedWorld) -> None:
    other = embedded.another()
    embedded.bank.book(HOLD)

    other.book(CAPTURE)

    assert refusal(embedded.bank, VOID) == BankRefusal.ENDED
    assert embedded.bank.available(ALICE) == other.available(ALICE) == 100


DRAIN = """
import sys
import time
from pathlib import Path
from renewal.clock import SystemClock
from renewal.errors import GatewayRefusedError
from renewal.gateways.bank.embedded.adapter import EmbeddedBank
from renewal.gateways.bank.port import Booking, Operation

class SlowClock(SystemClock):
    def now(self):
        time.sleep(0.0005)  # between judging and writing: let another process in, if it can
        return super().now()

bank = EmbeddedBank(Path(sys.argv[1]), SlowClock(), opening={sys.argv[3]: 1000})
print("ready", flush=True)
sys.stdin.readline()
for n in range(30):
    for name in (f"same-{n}", f"{sys.argv[2]}-{n}"):
        try:
            debit = Booking(
                id=name, op=Operation.DEBIT, account=sys.argv[3], amount=30, ref="drain"
            )
            bank.book(debit)
        except GatewayRefusedError:
            continue
"""


def drainer(path: Path, number: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", DRAIN, str(path), str(number), ALICE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_processes_that_drain_one_account_never_overdraw_it(embedded: EmbeddedWorld) -> None:
    workers = [drainer(embedded.path, n) for n in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"

    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)

    ends = [worker.returncode for worker in workers]

    answers = Counter(line["answer"] for line in embedded.lines())
    assert ends == [0, 0, 0]
    assert answers["ok"] == 33
    assert len(embedded.done()) == len(set(embedded.done()))
    assert embedded.bank.balance(ALICE) == 10


def test_threads_that_ask_the_same_do_it_once(embedded: EmbeddedWorld) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: embedded.bank.book(HOLD), range(40)))

    assert embedded.done() == [HOLD.id]
    assert embedded.bank.available(ALICE) == 100


def line_with(**fields: object) -> str:
    line = {"at": "2026-11-23T04:00:00+00:00", "op": "hold", "id": "x", "account": "1"}
    rest = {"amount": 1, "ref": "R", "of": None, "answer": "ok"}
    return json.dumps({**line, **rest, **fields}) + "\n"


def test_a_line_with_all_its_fields_is_read(embedded: EmbeddedWorld) -> None:
    embedded.path.write_text(line_with(account=ALICE))

    assert embedded.bank.available(ALICE) == 999


@pytest.mark.parametrize(
    "garbage",
    [
        "not json\n",
        '{"at": "2026-11-23T04:00:00+00:00", "op": "hold"}\n',
        line_with(at="2026-11-23T04:00:00"),
        line_with(amount=1.5),
        line_with(amount=1 << 63),
        line_with(op="capture", of="nothing"),
        line_with(answer="perhaps"),
        line_with()[:30],
    ],
    ids=[
        "no json",
        "fields missing",
        "naive time",
        "cents",
        "too much",
        "of nothing",
        "no answer",
        "cut off",
    ],
)
def test_garbage_in_the_file_is_refused_with_file_and_line(
    embedded: EmbeddedWorld, garbage: str
) -> None:
    embedded.bank.book(HOLD)
    with embedded.path.open("a", encoding="utf-8") as file:
        file.write(garbage)

    with pytest.raises(BankFileError, match=r"bank\.jsonl, line 2: ") as caught:
        embedded.another()

    assert ALICE not in str(caught.value)
    with pytest.raises(BankFileError, match=r"line 2"):
        embedded.bank.book(CAPTURE)


def test_a_full_disk_books_nothing_and_leaves_no_half_line(
    embedded: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(
            "renewal.gateways.activity_log.os.write", lambda file, line: write(file, line[:20])
        )
        with pytest.raises(GatewayUnavailableError, match="No space left on device"):
            embedded.bank.book(HOLD)

    assert embedded.bank.inquire(HOLD.id) is BookingStatus.UNKNOWN
    embedded.bank.book(HOLD)
    assert embedded.another().inquire(HOLD.id) is BookingStatus.DONE


def test_a_file_that_was_cut_short_is_refused(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    embedded.bank.inquire(HOLD.id)
    embedded.path.write_text("")

    with pytest.raises(BankFileError, match="shorter"):
        embedded.bank.book(CAPTURE)


def test_a_long_file_is_read_whole(
    embedded: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renewal.gateways.bank.embedded.adapter.READ_CHUNK", 300)
    for n in range(20):
        embedded.bank.book(replace(DEBIT, id=f"P{n}", amount=10))

    assert embedded.another().balance(ALICE) == 800


# -- the book beside the file


def test_what_was_read_is_not_read_again(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    embedded.bank.book(CAPTURE)
    embedded.bank.inquire(CAPTURE.id)  # reads its line
    first, second = embedded.path.read_bytes().splitlines(keepends=True)
    embedded.path.write_bytes(b"?" * (len(first) - 1) + b"\n" + second)

    again = embedded.another()

    assert again.balance(ALICE) == 100
    assert again.inquire(HOLD.id) is BookingStatus.DONE


def test_a_ledger_from_a_backup_is_read_anew(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    backup = embedded.path.read_bytes()
    embedded.bank.book(CAPTURE)
    embedded.bank.inquire(CAPTURE.id)
    embedded.path.write_bytes(backup)

    again = embedded.another()

    assert again.inquire(CAPTURE.id) is BookingStatus.UNKNOWN
    assert (again.balance(ALICE), again.available(ALICE)) == (1000, 100)


def test_another_ledger_in_its_place_is_read_anew(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    embedded.bank.inquire(HOLD.id)
    embedded.path.write_text(line_with(account=BOB) + line_with(id="y", account=ALICE))

    again = embedded.another()

    assert again.inquire(HOLD.id) is BookingStatus.UNKNOWN
    assert again.available(ALICE) == 999


def test_a_book_that_is_lost_is_made_anew(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    embedded.bank.book(CAPTURE)
    embedded.bank.inquire(CAPTURE.id)
    for file in embedded.path.parent.glob("bank.db*"):
        file.unlink()

    again = embedded.another()

    assert again.balance(ALICE) == 100
    assert refusal(again, VOID) == BankRefusal.ENDED


def test_a_book_that_is_taken_away_from_beside_its_journal_is_made_anew(
    embedded: EmbeddedWorld,
) -> None:
    embedded.bank.book(HOLD)
    embedded.bank.inquire(HOLD.id)
    journal = embedded.path.with_suffix(".db-wal")
    left = journal.read_bytes()  # as kill -9 leaves it
    assert left
    embedded.bank._book.close()
    embedded.path.with_suffix(".db").unlink()
    journal.write_bytes(left)

    again = embedded.another()

    assert again.available(ALICE) == 100
    assert again.inquire(HOLD.id) is BookingStatus.DONE


def test_a_book_that_cannot_be_read_is_named_and_the_ledger_stays(tmp_path: Path) -> None:
    (tmp_path / "bank.db").write_text("a letter, and no book at all\n" * 200)

    with pytest.raises(XuqiError, match=r"bank\.db cannot be opened .* made anew"):
        EmbeddedWorld(tmp_path / "bank.jsonl")

    assert (tmp_path / "bank.jsonl").read_text() == ""


def test_the_book_is_for_nobody_else(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)

    modes = {file.stat().st_mode & 0o777 for file in embedded.path.parent.glob("bank.db*")}

    assert modes == {0o600}


def test_a_book_on_a_full_disk_books_nothing(embedded: EmbeddedWorld) -> None:
    embedded.bank.book(HOLD)
    embedded.bank._book._db.execute("PRAGMA query_only = ON")

    with pytest.raises(GatewayUnavailableError, match="book cannot be used"):
        embedded.bank.book(CAPTURE)

    assert embedded.done() == [HOLD.id]


def test_a_book_that_is_damaged_while_it_is_used_books_nothing_and_says_what_to_do(
    embedded: EmbeddedWorld,
) -> None:
    embedded.bank.book(HOLD)
    assert embedded.bank.inquire(HOLD.id) is BookingStatus.DONE  # read into the book
    embedded.bank._book._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    book = embedded.path.with_suffix(".db")
    book.write_bytes(b"\xff" * book.stat().st_size)
    embedded.bank._book._db.execute("PRAGMA shrink_memory")

    with pytest.raises(GatewayUnavailableError, match="without the file it is made anew"):
        embedded.bank.book(CAPTURE)

    assert embedded.done() == [HOLD.id]


def test_no_error_text_carries_the_account(embedded: EmbeddedWorld) -> None:
    with pytest.raises(GatewayRefusedError) as caught:
        embedded.bank.book(replace(HOLD, amount=5000))

    assert ALICE not in str(caught.value)


def test_opening_balances_may_be_asked_for_by_name(tmp_path: Path) -> None:
    bank = EmbeddedBank(tmp_path / "bank.jsonl", SystemClock(), opening=lambda _: 20_000)

    bank.book(HOLD)

    assert bank.available(ALICE) == 19_100
    bank.close()
