"""Who had a customer's telephone number or mail address before hears of the change, once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.contact_changes import ContactChanges, NewContact
from back_office.imports.customers import import_customers
from renewal.errors import NotNowError
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsRefused, SmsUnavailable
from renewal.lifecycle.addresses import KEPT_FOR, change_customer, new_address
from renewal.store import contact_edits
from renewal.store.messages import texts_since
from scheduler import jobs
from schema.events import AddressReplaced
from schema.reasons import RefusalReason
from tests.scenario.contacts import changed_by_two
from tests.scenario.rows import mail_of, mobile_of
from tests.scenario.sample import BROWSER, TOKEN
from tests.scenario.scenario import POLICIES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.scenario import Scenario

NEW = "0987654321"
KIND = "address-replaced"


def change(
    world: Scenario, mobile: str | None = None, mail: str | None = None, locale: str | None = None
) -> None:
    asked = NewContact(mobile=mobile, mail=mail, locale=locale)
    changed_by_two(world.app.store, BROWSER, asked)


def messages(world: Scenario) -> list[tuple[str, str]]:
    found = world.rows("SELECT channel, state FROM messages WHERE kind = :k ORDER BY id", k=KIND)
    return [(channel, state) for channel, state in found]


def kept(world: Scenario) -> int:
    return int(world.rows("SELECT count(*) FROM replaced_addresses")[0][0])


def addressed(world: Scenario, to: str) -> list[str]:
    rows = [*world.outside("sms"), *world.outside("mail")]
    return [row["body"] for row in rows if row["to"] == to]


def opt_out(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), opted_out=True)


def test_the_former_number_hears_of_the_change_and_not_the_new_number(world: Scenario) -> None:
    change(world, mobile=NEW)
    world.drain()
    world.drain()

    (text,) = addressed(world, mobile_of(BROWSER))
    assert "行動電話" in text
    assert NEW[-6:] not in text
    assert addressed(world, f"+886{NEW[1:]}") == []
    assert (messages(world), kept(world)) == ([("sms", "handed over")], 0)
    assert ("sent", "") in world.decisions(BROWSER, "notice")


def test_the_former_mail_hears_of_it_even_where_no_new_one_is_given(world: Scenario) -> None:
    change(world, mail="")
    world.drain()

    (letter,) = addressed(world, mail_of(BROWSER))
    assert "電子郵件" in letter
    assert (messages(world), kept(world)) == ([("mail", "handed over")], 0)


def test_each_former_address_of_several_changes_hears_of_its_own(world: Scenario) -> None:
    change(world, mobile=NEW, mail="new@example.com")
    change(world, mobile="0955111222")
    world.drain()

    assert len(addressed(world, mobile_of(BROWSER))) == 1
    assert len(addressed(world, mail_of(BROWSER))) == 1
    assert len(addressed(world, f"+886{NEW[1:]}")) == 1
    assert addressed(world, "+886955111222") == []


def test_it_is_no_advertisement_that_one_may_have_opted_out_of(world: Scenario) -> None:
    opt_out(world)
    change(world, mobile=NEW)
    world.drain()

    assert len(addressed(world, mobile_of(BROWSER))) == 1


def test_a_first_address_replaces_none(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.customers.get(BROWSER)
        work.customers.change(row, mobile_sealed=None, mobile_hash=None)
    change(world, mobile=NEW)
    world.drain()

    assert (messages(world), kept(world)) == ([], 0)


def test_an_address_that_was_closed_is_not_written_to(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mobile_bad="30005")
    change(world, mobile=NEW)
    world.drain()

    assert (messages(world), kept(world)) == ([], 0)


def test_a_change_of_the_language_is_no_change_of_an_address(world: Scenario) -> None:
    change(world, locale="en")
    world.drain()

    assert messages(world) == []


def test_an_import_that_replaces_many_numbers_tells_each(world: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    rows = [f"C{n:03d},A1{n:08d},王小明,0912{n:06d},c{n}@example.com" for n in range(7)]
    head = "reference,id_number,name,mobile,mail"
    path.write_text("\n".join([head, *rows]) + "\n")
    import_customers(world.app.store, POLICIES, path, dry_run=False)
    path.write_text("\n".join([head, *(row.replace(",0912", ",0955") for row in rows)]) + "\n")

    import_customers(world.app.store, POLICIES, path, dry_run=True)
    after_a_dry_run = kept(world)
    import_customers(world.app.store, POLICIES, path, dry_run=False)
    waiting = kept(world)
    import_customers(world.app.store, POLICIES, path, dry_run=False)
    world.drain()

    assert (after_a_dry_run, waiting, kept(world)) == (0, 7, 0)
    assert [len(addressed(world, f"+886912{n:06d}")) for n in range(7)] == [1] * 7


def test_the_text_waits_for_the_morning_and_the_mail_does_not(world: Scenario) -> None:
    world.clock.advance_to(world.clock.now() + timedelta(hours=13))  # 23:00 in Taipei
    change(world, mobile=NEW, mail="new@example.com")
    world.drain()
    by_night = messages(world)

    world.clock.advance_to(world.clock.now() + timedelta(hours=11))
    world.drain()

    assert by_night == [("mail", "handed over")]
    assert len(addressed(world, mobile_of(BROWSER))) == 1


@pytest.mark.parametrize("answer", [SmsAnswerLost, SmsUnavailable], ids=["lost", "away"])
def test_whatever_the_carrier_answers_it_is_told_once(
    world: Scenario, answer: type[SmsAnswerLost | SmsUnavailable]
) -> None:
    answers = [answer()]
    world.weather.sms = lambda _sms: answers.pop() if answers else None
    change(world, mobile=NEW)

    world.drain()
    world.clock.advance_to(world.clock.now() + timedelta(hours=1))
    world.drain()

    assert len(addressed(world, mobile_of(BROWSER))) == 1
    assert kept(world) == 0


@pytest.mark.parametrize(
    "point", ["after intent", "before the call", "after the call", "after answer"]
)
def test_a_process_that_is_killed_on_the_way_tells_it_once(world: Scenario, point: str) -> None:
    class PowerCutError(BaseException):
        pass

    def cut(at: str) -> None:
        if at == point:
            raise PowerCutError

    change(world, mobile=NEW)
    world.probe = cut
    with pytest.raises(PowerCutError):
        world.drain_to("notices")
    world.probe = lambda _point: None
    world.clock.advance_to(world.clock.now() + timedelta(hours=1))
    world.drain()

    assert len(addressed(world, mobile_of(BROWSER))) == 1
    assert kept(world) == 0


def test_a_former_number_that_is_dead_closes_no_new_one_and_stops_no_lane(world: Scenario) -> None:
    world.weather.sms = lambda _sms: SmsRefused()
    change(world, mobile=NEW)
    world.drain()

    assert (messages(world), kept(world)) == ([("sms", "undelivered")], 0)
    assert world.customer(BROWSER).mobile_bad is None
    assert world.rows("SELECT in_a_row FROM lanes WHERE in_a_row > 0") == []
    assert any(what == "failed" for what, _ in world.decisions(BROWSER, "notice"))


def test_what_cannot_be_told_in_time_is_forgotten(world: Scenario) -> None:
    world.weather.sms = lambda _sms: SmsUnavailable()
    change(world, mobile=NEW)

    world.drain()
    world.clock.advance_to(world.clock.now() + KEPT_FOR - timedelta(hours=1))
    jobs.tend(world.app.store, POLICIES)
    in_time = kept(world)
    world.clock.advance_to(world.clock.now() + timedelta(hours=2))
    jobs.tend(world.app.store, POLICIES)
    world.weather.sms = lambda _sms: None
    world.drain()

    assert (in_time, kept(world)) == (1, 0)
    assert messages(world) == [("sms", "suppressed")]
    assert addressed(world, mobile_of(BROWSER)) == []


def test_a_newer_number_is_not_replaced_by_one_that_was_entered_before(world: Scenario) -> None:
    changes = ContactChanges(world.app.store)
    changes.change(BROWSER, NewContact(mobile=NEW), who="lin", why="at the counter")
    with world.app.store.snapshot() as look:
        edit = contact_edits.of_customer(look, BROWSER)
    assert edit is not None
    with world.app.store.transaction() as work:  # as an import does it
        row = work.customers.get(BROWSER)
        change_customer(work, row, new_address(work, row, "mobile", "+886955000001"))

    with pytest.raises(NotNowError) as refused:
        changes.confirm(BROWSER, edit.seen, who="chen", why="called back")

    assert refused.value.reason.code is RefusalReason.NO_EDIT_WAITS


def test_it_takes_no_reminders_place(world: Scenario) -> None:
    change(world, mobile=NEW)
    world.drain()
    with world.app.store.snapshot() as look:
        found = texts_since(look, [BROWSER], world.clock.now() - timedelta(hours=1))

    assert found == {}


def test_neither_event_nor_table_shows_an_address(world: Scenario) -> None:
    change(world, mobile=NEW)

    (event,) = world.rows("SELECT body FROM events WHERE kind = 'address-replaced.v1'")
    (row,) = world.rows("SELECT address_sealed FROM replaced_addresses")
    for hidden in (mobile_of(BROWSER)[4:], NEW[1:]):
        assert hidden.encode() not in bytes(event[0]) + bytes(row[0])


def test_an_event_of_an_address_that_nobody_keeps_is_done(world: Scenario) -> None:
    event = AddressReplaced(customer=TOKEN, contact_version=9, channel="sms")
    with world.app.store.transaction() as work:
        work.emit(event)
    world.drain()

    assert (messages(world), world.dead()) == ([], [])
