"""What a station must not do: wrong tokens, wrong PINs, wrong certificates, full tokens."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

import pytest

from renewal.secret import Secret
from schema.events import TokenDeclined, TokenJobRequested, TokenRequestSigned, TokenWritten
from schema.reasons import TokenReason
from tests.token_station.station.branch import RENEWAL, Branch, Holder
from tests.token_station.tokens import PIN, SERIAL, WRONG_PIN, Desk, PretendCa
from token_station.journal import Journal, JournalEntry, JournalError, Step
from token_station.piv.data_objects import certificate_container
from token_station.reader_views import ReaderStatus
from token_station.simulator import card_memory
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store

SECOND = "R00000002-01"
OTHER_SERIAL = "029dc2d1"


@pytest.fixture
def pair(tmp_path: Path, store: Store, ca: PretendCa) -> Branch:
    """Two tokens in two readers."""
    desks = [Desk(tmp_path / name, serial=name, ca=ca) for name in (SERIAL, OTHER_SERIAL)]
    return Branch(tmp_path, store, desks)


# --- tokens -------------------------------------------------------------------------------------


def test_another_token_is_not_touched(pair: Branch) -> None:
    pair.centre.ask(RENEWAL)
    pair.desks[0].reader.pull()
    before = pair.desks[1].card_path.read_bytes()

    seen = pair.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.EMPTY, ReaderStatus.OTHER_TOKEN] * 2
    assert pair.desks[1].card_path.read_bytes() == before
    assert pair.person.shown == []


def test_two_tokens_in_two_readers_are_renewed_side_by_side(pair: Branch) -> None:
    pair.centre.ask(RENEWAL)
    pair.centre.ask(SECOND)

    seen = pair.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.WAITS_FOR_CA] * 2 + [ReaderStatus.DONE] * 2
    pair.assert_renewed(RENEWAL)
    pair.assert_renewed(SECOND)
    keys = [hashlib.sha256(new).hexdigest() for new in pair.centre.issued.values()]
    assert len(set(keys)) == 2


def test_tokens_that_change_readers_between_two_visits_keep_their_own_jobs(pair: Branch) -> None:
    pair.centre.ask(RENEWAL)
    pair.centre.ask(SECOND)
    pair.round()
    first, second = pair.desks
    first.reader.pull()
    second.reader.pull()
    first.reader.insert(second.card)
    second.reader.insert(first.card)

    pair.rounds(2)

    first.reader.insert(first.card)
    second.reader.insert(second.card)
    pair.assert_renewed(RENEWAL)
    pair.assert_renewed(SECOND)


def test_another_token_put_in_between_two_visits_is_not_written(pair: Branch) -> None:
    pair.centre.ask(RENEWAL)
    pair.round()
    first, second = pair.desks
    before = second.card_path.read_bytes()
    first.reader.insert(second.card)
    second.reader.pull()

    seen = pair.rounds(1)

    assert seen[0].status is ReaderStatus.OTHER_TOKEN
    assert second.card_path.read_bytes() == before
    assert pair.station.journal.open_jobs() != []


def test_trouble_with_one_token_does_not_keep_the_other_waiting(pair: Branch) -> None:
    pair.centre.ask(RENEWAL)
    pair.centre.ask(SECOND)
    pair.desks[0].reader.pull_before(12)

    seen = pair.round()

    assert [one.status for one in seen] == [ReaderStatus.REMOVED, ReaderStatus.WAITS_FOR_CA]


def test_a_token_with_a_full_house_is_declined(branch: Branch) -> None:
    session = branch.desk.session()
    other = branch.desk.ca.certify(session.generate("9A", "P-256"))
    session.write_certificate("9A", other)
    both = tuple(hashlib.sha256(der).hexdigest() for der in (branch.desk.old, other))
    branch.centre.ask(keep_sha256=both)

    seen = branch.round()

    assert seen[0].status is ReaderStatus.DECLINED
    assert branch.centre.declined == [
        "every key slot of the token holds a certificate that must be kept"
    ]
    assert len(branch.deeds("generate")) == 1
    assert branch.desk.session().read_certificate("9A") == other


@pytest.mark.parametrize("keyless", [True, False], ids=["no key", "another key"])
def test_a_copy_of_the_token_is_declined_before_a_key_is_made(
    branch: Branch,
    keyless: bool,  # noqa: FBT001 - pytest names it
) -> None:
    desk = branch.desk
    desk.reader.pull()
    memory = card_memory.load(desk.card_path)
    copy = Desk(desk.path / "copy", manners=desk.manners, ca=desk.ca, serial=desk.serial)
    copy.reader.pull()
    forged = card_memory.load(copy.card_path)
    forged.objects = memory.objects
    if keyless:
        forged.keys = {}
    card_memory.save(copy.card_path, forged)
    desk.reader.insert(SimulatedCard(copy.card_path, copy.manners, copy.ledger))
    branch.centre.ask()

    assert branch.round()[0].status is ReaderStatus.DECLINED

    assert branch.deeds("generate", copy) == []
    assert len(branch.centre.declined) == 1
    assert card_memory.load(copy.card_path).objects == memory.objects


def test_a_token_without_the_certificate_in_force_is_declined(branch: Branch) -> None:
    branch.centre.ask(old_certificate_sha256="00" * 32)

    seen = branch.round()

    assert seen[0].status is ReaderStatus.DECLINED
    assert branch.person.shown == []
    assert branch.deeds("generate") == []


def test_the_wrong_management_key_is_declined_and_nothing_is_destroyed(branch: Branch) -> None:
    branch.station.management_key = Secret(bytes(24))
    branch.centre.ask()

    seen = branch.round()

    assert seen[0].status is ReaderStatus.DECLINED
    assert branch.deeds("generate") == []
    branch.assert_old_works()


# --- PINs ---------------------------------------------------------------------------------------


@pytest.mark.shows("A15")
def test_a_wrong_pin_is_tried_once_and_the_tries_left_are_shown(branch: Branch) -> None:
    branch.person.pins = [WRONG_PIN, PIN]
    branch.centre.ask()
    tries = branch.desk.manners.pin_tries

    first = branch.round()[0]

    assert (first.status, first.tries_left) == (ReaderStatus.PIN_WRONG, tries - 1)
    assert branch.deeds("verify") == [(None, f"63C{tries - 1}")]
    branch.rounds(2)
    branch.assert_renewed()
    assert branch.person.shown == [tries, tries - 1]


def test_the_last_try_is_never_spent_unless_a_person_releases_it(branch: Branch) -> None:
    branch.person.pins = [WRONG_PIN]
    branch.centre.ask()
    tries = branch.desk.manners.pin_tries

    seen = [branch.round()[0].status for _ in range(tries + 3)]

    assert seen == [ReaderStatus.PIN_WRONG] * (tries - 1) + [ReaderStatus.LAST_TRY] * 4
    assert branch.desk.card.pin_left == 1
    assert len(branch.deeds("verify")) == tries - 1


def test_a_released_last_try_that_is_right_renews(branch: Branch) -> None:
    tries = branch.desk.manners.pin_tries
    branch.person.pins = [*[WRONG_PIN] * (tries - 1), PIN]
    branch.person.releases = True
    branch.centre.ask()

    branch.rounds(tries + 1)

    branch.assert_renewed()
    assert branch.person.released_for == [RENEWAL]
    assert branch.desk.card.pin_left == tries


def test_a_released_last_try_that_is_wrong_blocks_and_is_declined(branch: Branch) -> None:
    branch.person.pins = [WRONG_PIN]
    branch.person.releases = True
    branch.centre.ask()

    seen = [branch.round()[0].status for _ in range(branch.desk.manners.pin_tries)]

    assert seen[-1] is ReaderStatus.PIN_BLOCKED
    assert branch.centre.declined == ["the PIN is blocked"]
    assert branch.desk.session().read_certificate("9C") == branch.desk.old


def test_nobody_is_asked_for_a_pin_that_is_blocked(branch: Branch) -> None:
    for left in range(branch.desk.manners.pin_tries, 0, -1):
        with pytest.raises(Exception, match="PIN"):
            branch.desk.session().verify_pin(WRONG_PIN, last_try_released=left == 1)
    branch.centre.ask()

    seen = branch.round()

    assert seen[0].status is ReaderStatus.PIN_BLOCKED
    assert branch.person.shown == []
    assert branch.centre.declined == ["the PIN is blocked"]


def test_a_pin_of_the_wrong_form_never_reaches_the_token(branch: Branch) -> None:
    branch.person.pins = ["12", "nine signs", PIN]
    branch.centre.ask()

    seen = branch.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.PIN_UNFIT] * 2
    assert branch.deeds("verify") == []


def test_a_person_who_does_not_type_is_waited_for(branch: Branch) -> None:
    branch.person.pins = [None, None, PIN]
    branch.centre.ask()

    seen = branch.rounds(4)

    said = [ReaderStatus.WAITS_FOR_PIN] * 2 + [ReaderStatus.WAITS_FOR_CA, ReaderStatus.DONE]
    assert [one.status for one in seen] == said


def test_a_pin_is_forgotten_with_its_token(branch: Branch) -> None:
    branch.centre.ask()
    branch.round()
    branch.desk.reader.pull()
    branch.round()

    branch.insert_again()
    branch.round()

    assert len(branch.person.shown) == 2


def test_the_pin_is_written_down_nowhere(branch: Branch, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong = "86421357", "97531246"  # long enough to be nowhere by chance
    branch.desk.session().change_pin(PIN, right)
    branch.person.pins = [wrong, right]
    branch.centre.ask()

    seen = branch.rounds(4)

    assert ReaderStatus.DONE in [one.status for one in seen]
    written = [file for file in branch.path.rglob("*") if file.is_file()]
    assert branch.journal_path in written
    canaries = [code.encode() for pin in (right, wrong) for code in (pin, pin.encode().hex())]
    for file in written:
        if file != branch.desk.card_path:  # that is the card itself
            assert not [canary for canary in canaries if canary in file.read_bytes()], file
    for shown in (caplog.text, repr(branch.station), repr(branch.station.journal)):
        assert right not in shown
        assert wrong not in shown


# --- certificates -------------------------------------------------------------------------------


def test_a_certificate_that_is_too_large_is_declined_and_nothing_is_written(
    branch: Branch,
) -> None:
    branch.centre.padding = hashlib.shake_128(b"cannot be packed").digest(4_000)
    branch.centre.ask()

    seen = branch.rounds(2)

    assert seen[-1].status is ReaderStatus.DECLINED
    assert branch.deeds("put") == []
    assert "bytes" in branch.centre.declined[0]
    branch.assert_old_works()


def test_a_certificate_for_another_key_is_declined_and_not_written(branch: Branch) -> None:
    branch.centre.sends = False
    branch.centre.ask()
    branch.round()
    branch.centre.send(RENEWAL, branch.desk.old)

    seen = branch.round()

    assert seen[-1].status is ReaderStatus.DECLINED
    assert branch.deeds("put") == []
    assert branch.centre.said(TokenWritten) == []
    branch.assert_old_works()


@pytest.mark.parametrize("wrong", [{"branch": "002"}, {"bound_to": SECOND}])
def test_a_certificate_sealed_for_somebody_else_is_not_written(
    branch: Branch, wrong: dict[str, str]
) -> None:
    branch.centre.sends = False
    branch.centre.ask()
    branch.round()
    branch.centre.send(RENEWAL, branch.centre.issued[RENEWAL], **wrong)

    seen = branch.round()

    assert seen[-1].status is ReaderStatus.TROUBLE
    assert seen[-1].detail == TokenReason.NOT_FOR_US.why().stored()
    assert branch.deeds("put") == []


def test_what_is_no_certificate_is_declined(branch: Branch) -> None:
    branch.centre.sends = False
    branch.centre.ask()
    branch.round()
    branch.centre.send(RENEWAL, b"no certificate at all")

    seen = branch.round()

    assert seen[-1].status is ReaderStatus.DECLINED
    assert branch.deeds("put") == []


def test_a_certificate_is_not_written_where_the_key_has_changed_meanwhile(branch: Branch) -> None:
    branch.centre.ask()
    branch.round()
    branch.desk.session().generate("9A", "P-256")

    seen = branch.round()

    assert seen[-1].status is ReaderStatus.DECLINED
    assert branch.deeds("put") == []
    branch.assert_old_works()


def test_a_place_that_holds_a_certificate_to_be_kept_by_now_is_not_written(branch: Branch) -> None:
    made = branch.desk.session().generate("9A", "P-256")
    later = branch.desk.ca.certify(made)
    kept = tuple(hashlib.sha256(der).hexdigest() for der in (branch.desk.old, later))
    ours = (hashlib.sha256(made).hexdigest(),)
    branch.centre.ask(keep_sha256=kept, replace_keys_sha256=ours)
    branch.round()
    put_behind_everybodys_back(branch.desk, certificate_container(later))

    seen = branch.round()

    assert seen[-1].status is ReaderStatus.DECLINED
    assert branch.deeds("put") == []


def put_behind_everybodys_back(desk: Desk, container: bytes) -> None:
    memory = card_memory.load(desk.card_path)
    memory.objects["5FC105"] = container.hex()
    card_memory.save(desk.card_path, memory)
    desk.reader.insert(desk.card)


def test_a_half_written_certificate_is_written_over(branch: Branch) -> None:
    branch.centre.ask()
    branch.round()
    put_behind_everybodys_back(branch.desk, bytes.fromhex("70820400AABB"))

    branch.rounds(2)

    branch.assert_renewed()


# --- the log ------------------------------------------------------------------------------------


def test_a_job_that_has_ended_is_left_alone(branch: Branch) -> None:
    branch.centre.ask()
    branch.round()
    branch.centre.end()

    seen = branch.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.OTHER_TOKEN] * 2
    assert branch.deeds("put") == []
    branch.assert_old_works()


@pytest.mark.parametrize("step", [Step.WRITING, Step.WRITTEN])
def test_a_job_that_ends_while_it_is_written_says_nothing_more(branch: Branch, step: Step) -> None:
    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == f"after {step}":
            raise Killed

    branch.station.probe = kill
    branch.centre.ask()
    with pytest.raises(Killed):
        branch.rounds(2)
    branch.centre.end()
    branch.insert_again()
    branch.started()

    seen = branch.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.OTHER_TOKEN] * 2
    assert branch.centre.said(TokenWritten) == []
    branch.assert_old_works()


def test_jobs_of_other_branches_are_not_ours(branch: Branch) -> None:
    branch.log.append(
        [
            TokenJobRequested(
                branch="002",
                renewal=RENEWAL,
                token_serial=SERIAL,
                old_certificate_sha256="00" * 32,
                keep_sha256=(),
                replace_sha256=(),
                replace_keys_sha256=(),
                algorithm="P-256",
                challenge="",
                write_key="",
            )
        ]
    )

    assert branch.round()[0].status is ReaderStatus.OTHER_TOKEN
    assert branch.station.journal.open_jobs() == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"challenge": "!"}, "the challenge of the job is not base64"),
        ({"algorithm": "P-384"}, "a token's key is one of P-256, RSA-2048, not P-384"),
    ],
)
def test_a_job_that_can_never_be_done_is_declined_at_once(
    branch: Branch, wrong: dict[str, str], why: str
) -> None:
    branch.centre.ask(**wrong)

    seen = branch.round()

    assert seen[0].status is ReaderStatus.OTHER_TOKEN
    assert branch.centre.declined == [why]


def test_what_is_on_record_is_said_without_the_token(branch: Branch) -> None:
    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "before done":
            raise Killed

    branch.station.probe = kill
    branch.centre.ask()
    with pytest.raises(Killed):
        branch.rounds(2)
    branch.desk.reader.pull()
    branch.started()

    branch.round()

    assert len(branch.centre.said(TokenWritten)) == 1
    assert branch.station.journal.open_jobs() == []


def test_whatever_is_told_twice_is_done_once(branch: Branch) -> None:
    branch.centre.ask()
    branch.centre.ask()
    branch.rounds(2)

    branch.started()
    branch.rounds(2)

    branch.assert_renewed()
    assert len(branch.centre.said(TokenRequestSigned)) == 1
    assert branch.centre.said(TokenDeclined) == []


# --- the journal --------------------------------------------------------------------------------


def test_half_a_last_line_was_never_acted_upon(branch: Branch) -> None:
    branch.centre.ask()
    branch.round()
    whole = branch.journal_path.read_bytes()
    branch.journal_path.write_bytes(whole + b'{"renewal": "' + b"R" * 90_000)

    branch.started()
    branch.rounds(2)

    branch.started()
    branch.assert_renewed()
    assert branch.journal_path.read_bytes().startswith(whole)


@pytest.mark.parametrize("garbage", [b"garbage\n", b"{}\n", b"\n", b'{"renewal": 1}\n'])
def test_a_garbage_line_is_named_with_its_number(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "station.jsonl"
    good = b'{"renewal":"R1","step":"done","at":"2026-01-01T00:00:00"}\n'
    path.write_bytes(good + garbage + good)

    with pytest.raises(JournalError, match=r"station\.jsonl, line 2"):
        Journal(path)


def test_a_journal_that_cannot_be_written_stops_the_station_before_the_card(
    branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch.centre.ask()
    branch.station.take()
    branch.centre.work()
    monkeypatch.setattr("token_station.journal.os.pwrite", lambda *_: 3)

    with pytest.raises(JournalError, match="the disk is full"):
        branch.station.work()

    assert branch.deeds("generate") == []
    monkeypatch.undo()
    branch.started()
    branch.rounds(2)
    branch.assert_renewed()


THEN = "2026-01-01T00:00:00"


def test_a_line_that_did_not_reach_the_disk_leaves_no_end_behind_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "station.jsonl")

    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("token_station.journal.os.fdatasync", broken)
        with pytest.raises(JournalError, match="cannot be written"):
            journal.write(JournalEntry(renewal="R1", step=Step.SEEN, at=THEN, csr="x" * 5_000))
    journal.write(JournalEntry(renewal="R2", step=Step.ENDED, at=THEN))
    journal.close()

    again = Journal(tmp_path / "station.jsonl")
    assert (again.job("R1"), again.open_jobs()) == (None, [])
    again.close()


def test_a_holder_shows_no_pin() -> None:
    assert PIN not in repr(Holder())
