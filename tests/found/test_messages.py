"""What carriers, clocks and people did elsewhere, and what is right here; each case has its id."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cryptography import x509

from centre.actions import CodeSent
from producers.messages import reported
from renewal.clock import VirtualClock
from renewal.db.rows import Message
from renewal.errors import XuqiError
from renewal.gateways.sms import errors
from renewal.gateways.sms.mailbox import SmsRefused, SmsReported
from renewal.gateways.sms.port import DeliveryReport
from renewal.rules.code import ASKED_A_DAY
from renewal.rules.contact_hours import TaiwanCalendar
from renewal.store.reports import branch_calls
from schema.events import Change
from schema.taipei import TAIPEI
from simulation.client import BrowserKey
from tests.found.house import Refusing, connect, disconnect, remind
from tests.found.scripted_smtp import ScriptedSmtp
from tests.scenario import reminding as t
from tests.scenario.acts import SESSION
from tests.scenario.rows import mobile_of
from tests.scenario.sample import BROWSER, END, TOKEN, open_sample
from tests.scenario.scenario import START, Scenario
from tests.servers import twilio_simulator as twilio
from xuqi.bank import check_whose_messages, open_bank, write_sample
from xuqi.bootstrap import open_gateways
from xuqi.key_files import read_keys
from xuqi.serving.public_site import PublicSite
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "bank")
    yield opened
    disconnect(opened)
    opened.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[t.Scenario]:
    opened = t.open_town(tmp_path / "home", "2026-03-19 22:00")
    yield opened
    opened.close()


def sent_to(world: Scenario, customer: int) -> list[tuple[Any, ...]]:
    query = "SELECT kind, channel, state, code FROM messages WHERE customer = :c"
    return world.rows(f"{query} ORDER BY claimed_at, id", c=customer)


# --- m01: a verdict on our account --------------------------------------------------------------


def test_m01_a_fault_of_our_own_settings_ends_no_message(world: Scenario) -> None:
    with Refusing(21609) as carrier:
        connect(world, carrier=carrier)
        remind(world)
        world.centre.send_code(BROWSER, action="renew", session=SESSION)
        world.drain()

    texts = [row for row in sent_to(world, BROWSER) if row[1] == "sms"]
    assert len(texts) == 2
    assert {row[2] for row in texts} == {"claimed"}


OURS = (
    "21609 20008 20005 20006 21607 21659 21660 21701 21702 30034 30035 30032 10001"
    " 20403 21601 21608 90010"
)
LIMITS = "63017 30022 30023 30027 14107"


@pytest.mark.parametrize("code", OURS.split())
def test_m01_a_number_about_our_account_is_configuration(code: str) -> None:
    assert errors.classify(code) is errors.ErrorClass.CONFIGURATION


@pytest.mark.parametrize("code", LIMITS.split())
def test_m01_a_number_about_our_limits_ends_no_message(code: str) -> None:
    assert errors.classify(code) in {errors.ErrorClass.CONFIGURATION, errors.ErrorClass.TRANSIENT}


# --- m02, m03: a verdict on a moment ------------------------------------------------------------


@pytest.mark.parametrize("code", ["30004", "30005", "30006", "21610", "21612"])
def test_m02_a_report_on_a_reminder_leaves_the_number_open_for_codes(
    world: Scenario, code: str
) -> None:
    remind(world)
    [(message,)] = world.rows(
        "SELECT id FROM messages WHERE kind = 'reminder' AND channel = 'sms' AND customer = :c",
        c=BROWSER,
    )
    with world.app.store.transaction() as work:
        reported(work, message, DeliveryReport.UNDELIVERED, code)
    world.drain()
    world.wait(days=10)

    assert hasattr(world.centre.send_code(BROWSER, action="renew", session=SESSION), "challenge")


OF_US = {
    "at the end, 550": {"END": "550 Mail content denied"},
    "at the end, 551": {"END": "551 we do not relay"},
    "at the end, 553": {"END": "553 blocked by policy"},
    "at the end, 5.7.1": {"END": "550 5.7.1 unsolicited mail"},
    "at the end, 554": {"END": "554 transaction failed: spam"},
    "relay not permitted": {"RCPT": "550 relay not permitted"},
    "we do not relay": {"RCPT": "551 we do not relay"},
    "not in my rcpthosts": {"RCPT": "553 sorry, that domain is not in my list"},
    "blocklist": {"RCPT": "550 blocked: your IP is listed at a blocklist"},
    "blocklist, 5.7.1": {"RCPT": "550 5.7.1 blocked using a blocklist"},
}


@pytest.mark.parametrize("replies", OF_US.values(), ids=OF_US)
def test_m03_a_refusal_of_us_closes_no_address(world: Scenario, replies: dict[str, str]) -> None:
    with ScriptedSmtp(**replies) as post:
        connect(world, mail=post.url)
        remind(world)

    assert world.rows("SELECT mail_bad FROM customers WHERE id = :c", c=TOKEN) == [(None,)]


def test_m03_no_such_user_is_a_word_on_the_address(world: Scenario) -> None:
    with ScriptedSmtp(RCPT="550 5.1.1 no such user") as post:
        connect(world, mail=post.url)
        remind(world)

    assert world.rows("SELECT mail_bad FROM customers WHERE id = :c", c=TOKEN) == [("5.1.1",)]


# --- m04: delivery reports ----------------------------------------------------------------------


# --- m05, m06, m32: settings and the bank's own data --------------------------------------------


@pytest.mark.parametrize(
    ("user", "right"),
    [("alerts%40bank.com.tw", "alerts@bank.com.tw"), ("DOMAIN%5Cxuqi", "DOMAIN\\xuqi")],
)
def test_m05_a_user_in_the_mail_url_is_decoded(world: Scenario, user: str, right: str) -> None:
    (world.home / "secrets" / "smtp.key").write_text("p w")
    url = f"smtp://{user}@relay.bank.com.tw:587?from=no-reply@bank.com.tw"

    mail = open_gateways(
        replace(world.app.settings, mail_url=url), world.clock, world.app.keys
    ).mail

    assert mail._server.login[0] == right  # type: ignore[attr-defined]


SENDERS = {
    "with a name": "凱基銀行 <no-reply@bank.com.tw>",
    "two": "a@bank.com.tw,b@bank.com.tw",
    "a domain in Chinese": "no-reply@銀行.台灣",
    "a local part in Chinese": "憑證@bank.com.tw",
    "no domain": "no-reply@",
    "a dot at its end": "no-reply@bank.com.tw.",
}


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
def test_m05_a_sender_is_refused_at_the_start_or_the_mail_goes(
    world: Scenario, sender: str
) -> None:
    said = ""
    with ScriptedSmtp() as post:
        try:
            connect(world, mail=post.url.replace("bank@example.com", sender))
        except XuqiError as error:
            said = str(error)
        else:
            remind(world)

    assert said or ("reminder", "mail", "handed over", "") in sent_to(world, TOKEN)


def test_m06_the_banks_own_name_is_in_what_customers_get(world: Scenario) -> None:
    folder = world.home / "bank"
    text = write_sample(folder).read_text(encoding="utf-8")
    (folder / "bank.toml").write_text(text.replace("續期銀行", "凱達商銀"), encoding="utf-8")
    bank = open_bank(world.app.settings)

    world.app = replace(world.app, bank=bank, renderer=bank.renderer())
    remind(world)

    texts = list(world.outside("sms"))
    assert texts
    assert all(line["body"].startswith("【凱達商銀】") for line in texts)


@pytest.mark.parametrize(
    "url",
    [{"sms_url": "twilio://AC1@MG1/MG2"}, {"mail_url": "smtp://relay?from=a@bank.com.tw"}],
    ids=str,
)
def test_m06_an_invented_bank_reaches_no_customer(world: Scenario, url: dict[str, Any]) -> None:
    real = replace(world.app.settings, **url)

    with pytest.raises(XuqiError, match=r"XUQI_(SMS|MAIL)_URL is real.*xuqi bank init"):
        check_whose_messages(real, open_bank(real))

    agreed = replace(real, bank=Settings.SAMPLE)
    assert check_whose_messages(agreed, open_bank(agreed)) is None
    local = world.app.settings
    assert "invented" in str(check_whose_messages(local, open_bank(local)))


def test_m32_a_certificate_names_the_public_address(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, public_url="https://cert.bank.example")
    ca = open_gateways(settings, VirtualClock(START), read_keys(settings, {})).ca
    seed: Any = getattr(ca, "seed")  # noqa: B009 - the embedded CA's own
    begins = END - timedelta(days=364)

    der = seed(BrowserKey.new().spki, "A123456789-00-000001", "signing", begins, END)

    points = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
        x509.CRLDistributionPoints
    )
    assert "cert.bank.example" in str(points.value)


# --- m07, m09, m50: the right thing at the wrong time -------------------------------------------


@pytest.mark.parametrize(
    ("local", "ends"),
    [
        ("2026-03-02 20:55", "21:00"),
        ("2026-03-02 12:20", "12:30"),
        ("2026-03-20 20:58", "21:00"),
    ],
)
def test_m07_a_text_is_not_delivered_after_the_hours(
    world: Scenario, local: str, ends: str
) -> None:
    moment = datetime.fromisoformat(local).replace(tzinfo=TAIPEI)
    world.clock.advance_to(moment.astimezone(UTC))
    with twilio.simulator() as carrier:
        connect(world, carrier=carrier)
        remind(world)
        [text] = carrier.to(mobile_of(BROWSER))

    life = timedelta(seconds=int(text.form.get("ValidityPeriod", 36_000)))
    assert moment + life <= moment.replace(hour=int(ends[:2]), minute=int(ends[3:]))


@pytest.mark.parametrize(
    ("ends", "looked"),
    [
        ("00:00:00", "09:00"),
        ("07:59:59", "09:00"),
        ("08:30:00", "09:00"),
        ("13:00:00", "13:30"),
        ("10:00:00", "10:30"),
    ],
)
def test_m09_what_ended_in_the_morning_is_not_to_end_today(
    town: t.Scenario, ends: str, looked: str
) -> None:
    town.add(1, t.taipei(f"2026-03-20 {ends}"), told=1, look=t.taipei("2026-03-20 00:00"))

    town.at(f"2026-03-20 {looked}")

    [text] = town.texts()
    assert "將於" not in text
    assert f"已於2026/03/20 {ends[:5]}到期" in text


@pytest.mark.parametrize(("looked", "ends"), [("09:00", "10:00:00"), ("13:30", "20:30:00")])
def test_m09_a_text_does_not_outlive_what_it_says(town: t.Scenario, looked: str, ends: str) -> None:
    lives: list[timedelta | None] = []
    town.weather.sms = lambda sms: lives.append(sms.valid_for)
    town.add(1, t.taipei(f"2026-03-20 {ends}"), told=1, look=t.taipei("2026-03-20 00:00"))

    town.at(f"2026-03-20 {looked}")

    [text], [life] = town.texts(), lives
    assert f"將於今日（2026/03/20 {ends[:5]}）到期" in text
    assert life is not None
    assert town.clock.now() + life <= t.taipei(f"2026-03-20 {ends}") + timedelta(seconds=1)


def test_m07_a_text_that_came_too_late_before_a_week_end_is_followed_by_mail(
    town: t.Scenario,
) -> None:
    town.weather.sms = lambda _: SmsReported(report=DeliveryReport.UNDELIVERED, code="30036")
    town.add(1, t.taipei("2026-04-18 23:59:59"), look=t.taipei("2026-03-20 00:00"))
    town.at("2026-03-20 20:58")
    town.weather.sms = lambda _: None

    town.hear_reports(ask_after=timedelta(0))
    town.until("2026-03-24 12:00")

    assert [channel for channel, _ in town.sent()] == ["sms", "mail"]
    assert town.customer(1).mobile_bad is None


def test_m09_what_ends_at_midnight_ends_today(town: t.Scenario) -> None:
    town.add(1, t.taipei("2026-03-20 23:59:59"), told=1, look=t.taipei("2026-03-20 00:00"))

    town.at("2026-03-20 09:00")

    [text] = town.texts()
    assert "將於今日" in text


def test_m09_the_mail_is_true_at_any_hour(town: t.Scenario) -> None:
    look = t.taipei("2026-03-20 09:00")
    town.add(1, t.taipei("2026-03-20 07:59:59"), told=1, mobile=False, look=look)

    town.at(look)

    [letter] = town.outside("mail")
    assert "今日到期" not in letter["subject"] + letter["body"]


def test_m50_what_answers_nobody_does_not_go_in_the_night(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(TOKEN), mail_sealed=None, mail_hash=None)
    world.paid()
    world.clock.advance_to(datetime(2026, 3, 20, 23, 50, tzinfo=TAIPEI).astimezone(UTC))

    for _ in range(5 * 24):  # 21 March is a Saturday, and one such text goes a day
        world.wait(hours=1)
        remind(world)

    sent = [datetime.fromisoformat(line["at"]).astimezone(TAIPEI) for line in world.outside("sms")]
    assert any("退還" in line["body"] for line in world.outside("sms"))
    assert [one for one in sent if not 9 <= one.hour < 21] == []


# --- m11: an address that stands for many -------------------------------------------------------


def test_m11_one_phone_gets_one_text_a_day_whoever_it_stands_for(town: t.Scenario) -> None:
    for number in range(1, 41):
        ends, look = t.taipei("2026-03-23 23:59:59"), t.taipei("2026-03-20 00:00")
        town.add(number, ends, product=t.CARD, told=7, look=look)
        town.change_customer(
            number,
            mobile_sealed=town.store.cipher.seal("+886912345678", "customers.mobile"),
            mobile_hash=b"one phone",
        )

    town.at("2026-03-20 09:00")

    [text] = town.texts()
    assert "其他客戶" in text
    assert len(town.outside("mail")) == 39


def test_m11_without_mail_each_day_tells_another_and_the_rest_are_called(town: t.Scenario) -> None:
    for number in range(1, 11):
        ends, look = t.taipei("2026-03-23 23:59:59"), t.taipei("2026-03-20 00:00")
        town.add(number, ends, product=t.CARD, told=7, look=look, mail=False)
        town.change_customer(number, mobile_hash=b"one phone")

    town.until("2026-03-24 12:00")

    days = [day[:10] for _, day in town.sent()]
    called = [n for n in range(1, 11) if "branch call" in dict(town.decisions(n))]
    assert len(days) == len(set(days))
    assert len(called) >= 10 - len(days)


def test_m11_one_address_gets_a_mail_for_each_customer_that_names_nobody_else(
    town: t.Scenario,
) -> None:
    ends, look = t.taipei("2026-03-23 23:59:59"), t.taipei("2026-03-20 00:00")
    for number in (1, 2, 3):
        town.add(number, ends, product=t.TOKEN, told=7, look=look)
    town.add(4, ends, product=t.CARD, told=7, look=look, customer=1)
    for number in (1, 2, 3):
        town.change_customer(
            number,
            mail_sealed=town.store.cipher.seal("accounts@example.com", "customers.mail"),
            mail_hash=b"one address",
        )

    town.at("2026-03-20 09:00")

    of = {number: town.certificate(number).serial[-6:] for number in (1, 2, 3, 4)}
    named = [{number for number, tail in of.items() if tail in mail} for mail in town.letters()]
    assert sorted(named, key=min) == [{1, 4}, {2}, {3}]
    assert {line["to"] for line in town.outside("mail")} == {"accounts@example.com"}


def test_m11_a_phone_of_one_customer_says_nothing_of_others(town: t.Scenario) -> None:
    for number in (1, 2):
        town.add(number, t.taipei("2026-03-20 23:59:59"), look=t.taipei("2026-03-20 00:00"))

    town.at("2026-03-20 09:00")

    assert ["其他客戶" in text for text in town.texts()] == [False, False]


# --- m13: the clock -----------------------------------------------------------------------------


def test_m13_a_lease_that_was_written_in_the_future_is_void(town: t.Scenario) -> None:
    from scheduler.timetable import Timetable  # noqa: PLC0415 - slow to import

    def of(holder: str) -> Timetable:
        sms = town.app.gateways.sms
        return Timetable(store=town.store, policies=town.policies, sms=sms, holder=holder)

    town.at("2026-03-20 10:00")
    of("first").lead()
    town.clock.set(t.taipei("2026-03-19 23:00"))

    assert of("second").lead() is not None


# --- m19: news has one channel ------------------------------------------------------------------


def test_m19_a_revocation_is_told_by_text_where_the_mail_is_dead(world: Scenario) -> None:
    with ScriptedSmtp(RCPT="550 5.1.1 no such user") as post:
        connect(world, mail=post.url)
        world.app.back_office.ask_change(BROWSER, Change.REVOKE, who="chen", why="reported stolen")
        world.drain_over()

    assert ("revoked", "sms", "handed over", "") in sent_to(world, BROWSER)


def test_m19_a_payment_is_told_by_text_where_the_mail_is_dead(world: Scenario) -> None:
    with ScriptedSmtp(RCPT="550 5.1.1 no such user") as post:
        connect(world, mail=post.url)
        world.paid()
        world.drain_over()

    assert ("fee-paid", "sms", "handed over", "") in sent_to(world, TOKEN)


def test_m19_where_both_channels_fail_the_branch_calls(world: Scenario) -> None:
    world.weather.sms = lambda _: SmsRefused(code="21614")
    with ScriptedSmtp(RCPT="550 5.1.1 no such user") as post:
        connect(world, mail=post.url)
        world.app.back_office.ask_change(BROWSER, Change.REVOKE, who="chen", why="reported stolen")
        world.drain_over()

    with world.app.store.snapshot() as look:
        called = branch_calls(look, after=0, at_most=10)
    assert [row["certificate"] for row in called] == [BROWSER]
    assert world.dead() == []


def test_m19_a_notice_that_is_reported_undelivered_goes_by_the_other_channel(
    world: Scenario,
) -> None:
    world.paid()
    [(message,)] = world.rows("SELECT id FROM messages WHERE kind = 'fee-paid'")

    with world.app.store.transaction() as work:
        reported(work, message, DeliveryReport.UNDELIVERED, "5.1.1")
    world.drain_over()

    assert [row[1:3] for row in sent_to(world, TOKEN) if row[0] == "fee-paid"] == [
        ("mail", "undelivered"),
        ("sms", "handed over"),
    ]


# --- m20: mail servers as they are (held before) ------------------------------------------------


def first_then(first: str, then: str) -> Callable[[str], str]:
    replies = [first]
    return lambda _: replies.pop() if replies else then


ODD = {
    "greylisting": ("RCPT", lambda: first_then("451 4.7.1 greylisted", "250 OK"), "mail"),
    "421 in the middle": ("RCPT", lambda: first_then("421 4.3.2 closing", "250 OK"), "mail"),
    "450 after the end": ("END", lambda: first_then("450 4.2.0 later", "250 OK"), "mail"),
    "several lines": ("RCPT", lambda: "550-5.1.1 no such account\n550 5.1.1 none", "sms"),
    "mailbox full for good": ("RCPT", lambda: "552 5.2.2 mailbox full", "sms"),
    "Exchange's unknown user": ("RCPT", lambda: "550 5.4.1 Recipient address rejected", "sms"),
    "null MX": ("RCPT", lambda: "556 5.1.10 takes no mail", "sms"),
    "250 without text": ("RCPT", lambda: "250", "mail"),
    "252": ("RCPT", lambda: "252 cannot verify", "mail"),
}


@pytest.mark.parametrize(("word", "reply", "channel"), ODD.values(), ids=ODD)
def test_m20_an_odd_mail_server_costs_no_message(
    world: Scenario, word: str, reply: Callable[[], Any], channel: str
) -> None:
    with ScriptedSmtp(**{word: reply()}) as post:
        connect(world, mail=post.url)
        remind(world)
        world.drain_over(timedelta(hours=3), step=timedelta(minutes=30))

    assert sent_to(world, TOKEN)[-1][1:3] == (channel, "handed over")
    assert world.dead() == []


# --- m28: callbacks through what stands before the house ----------------------------------------

PATHS = [
    ("https://cert.bank.example", "/sms-status/{id}"),
    ("https://cert.bank.example/", "/sms-status/{id}"),
    ("https://CERT.Bank.example:8443", "/sms-status/{id}?x=1"),
    ("https://bank.example/cert", "/sms-status/{id}"),
    ("https://bank.example/cert", "/cert/sms-status/{id}"),
]


@pytest.mark.parametrize(("public", "arrives"), PATHS)
def test_m28_a_callback_is_known_behind_any_proxy(
    world: Scenario, public: str, arrives: str
) -> None:
    with twilio.simulator() as carrier:
        connect(world, carrier=carrier, public=public)
        remind(world)
        sid, message = next(iter(carrier.messages.items()))
    url = message.form["StatusCallback"]
    form = twilio.callback_form(sid, "delivered", message.form)
    site = PublicSite(
        store=world.app.store,
        public=world.app.settings.public,
        ca=None,
        token=twilio.TOKEN,
    )

    status, *_ = site.answer(
        "POST",
        arrives.format(id=url.rpartition("/")[2]),
        {"X-Twilio-Signature": twilio.signature(url, form)},
        urlencode(form).encode(),
    )

    assert status == 204


# --- m30: days off (held before) ----------------------------------------------------------------

OFF = {
    2025: (
        "01-01 01-27 01-28 01-29 01-30 01-31 02-28 04-03 04-04 05-30 09-29 10-06 10-10 10-24 12-25"
    ),
    2026: (
        "01-01 02-16 02-17 02-18 02-19 02-20 02-27 04-03 04-06 05-01 06-19 09-25 09-28 10-09"
        " 10-26 12-25"
    ),
}


@pytest.mark.parametrize("year", OFF)
def test_m30_the_days_off_are_those_of_the_law_of_2025(year: int) -> None:
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    calendar = TaiwanCalendar()

    off = [d for d in days if d.weekday() < 5 and not calendar.is_business_day(d)]

    assert " ".join(f"{d:%m-%d}" for d in off) == OFF[year]


# --- m35: reports late, twice, in the wrong order (held before) ---------------------------------

LATE = [
    ([("undelivered", "30003", 8)], 1),
    ([("delivered", "", 8)], 1),
    ([("undelivered", "30008", 1), ("delivered", "", 2)], 1),
    ([("delivered", "", 1), ("undelivered", "30008", 2)], 0),
    ([("undelivered", "30006", 1), ("undelivered", "30006", 2)], 1),
]


@pytest.mark.parametrize(("told", "mails"), LATE)
def test_m35_a_late_report_tells_nobody_twice(
    town: t.Scenario, told: list[tuple[str, str, int]], mails: int
) -> None:
    town.weather.sms = lambda _: SmsReported(report=DeliveryReport.UNDER_WAY)
    town.add(1, t.taipei("2026-04-03 23:59:59"), told=30, look=t.taipei("2026-03-20 00:00"))
    town.at("2026-03-20 09:00")
    message = town.outside("sms")[0]["ref"]

    for hour in range(1, 30):
        town.at(t.taipei("2026-03-20 09:00") + timedelta(hours=hour))
        town.hear_reports()
        for what, code, at in told:
            if at == hour:
                town.report(message, DeliveryReport(what), code)
                town.drain()

    assert len(town.outside("mail")) <= mails
    assert len(town.outside("sms")) <= 3
    assert town.dead() == []


# --- m48: a code that was never sent ------------------------------------------------------------


def test_m48_a_code_that_no_carrier_took_is_not_counted(world: Scenario) -> None:
    world.weather.sms = lambda sms: SmsRefused(code="30007") if sms.lane == "codes" else None
    answers = []

    for _ in range(6):
        answers.append(world.centre.send_code(BROWSER, action="renew", session=SESSION))
        world.drain()

    assert [answer for answer in answers if not isinstance(answer, CodeSent)] == []


def test_m48_the_screen_that_waits_is_told_what_became_of_a_code(world: Scenario) -> None:
    faults: list[Any] = [
        SmsRefused(code="30007"),
        None,
        SmsReported(report=DeliveryReport.DELIVERED),
    ]
    world.weather.sms = lambda _: faults.pop(0)
    said, challenge = [], ""

    for _ in range(3):
        sent = world.centre.send_code(BROWSER, action="renew", session=SESSION)
        challenge = getattr(sent, "challenge", "")
        said.append(world.centre.code_progress(challenge, session=SESSION).value)
        world.drain()
        said.append(world.centre.code_progress(challenge, session=SESSION).value)

    other = world.centre.code_progress(challenge, session="another's")
    assert said == [
        *("on its way", "not sent"),
        *("on its way", "handed over"),
        *("on its way", "handed over"),
    ]
    assert other == "not sent"


def test_m48_while_the_lane_of_codes_is_stopped_it_is_said_at_once(world: Scenario) -> None:
    with Refusing(20005, 401) as carrier:
        connect(world, carrier=carrier)
        for _ in range(7):
            first = world.centre.send_code(BROWSER, action="renew", session=SESSION)
            world.drain()
            world.wait(minutes=2)
            world.drain()
        carrier.code = None
        world.centre.send_code(BROWSER, action="renew", session=SESSION)
        world.drain()
        carrier.code = 20005

    assert isinstance(first, CodeSent)  # each minute one is tried, and none of them is counted
    assert len(carrier.messages) == 1


def test_m48_who_asks_without_end_is_stopped(world: Scenario) -> None:
    world.weather.sms = lambda sms: SmsRefused(code="30007") if sms.lane == "codes" else None
    answers = []

    for _ in range(ASKED_A_DAY + 1):
        answers.append(world.centre.send_code(BROWSER, action="renew", session=SESSION))
        with world.app.store.transaction() as work:
            key = getattr(answers[-1], "challenge", None)
            if key:
                work.messages.put(never_taken(f"{key}-1-sms"))

    assert isinstance(answers[-2], CodeSent)
    assert not isinstance(answers[-1], CodeSent)


def never_taken(key: str) -> Message:
    return Message(
        id=key, kind="code", customer=BROWSER, channel="sms", state="undelivered", owed_at=START,
        claimed_at=START, handed_at=None, ended_at=START, carrier_id=None, code="30007",
        text_hash=b"", instead_of=None, renewal=None, version=1,
    )  # fmt: skip


# --- Twilio's own description -------------------------------------------------------------------


def test_a1_a_reminder_that_may_have_been_done_is_looked_for_first(world: Scenario) -> None:
    class Broken(twilio.TwilioSimulator):
        def create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
            first = not self.to(form["To"])
            done = super().create(form)
            return twilio.error(500, 20500, "internal") if first else done

    with Broken() as carrier:
        connect(world, carrier=carrier)
        remind(world)
        world.drain_over(timedelta(hours=2), step=timedelta(minutes=10))

        assert len(carrier.to(mobile_of(BROWSER))) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 400])
def test_a2_an_unknown_number_at_creation_ends_no_message(world: Scenario, status: int) -> None:
    with Refusing(29_999, status) as carrier:
        connect(world, carrier=carrier)
        remind(world)

    assert sent_to(world, BROWSER)[0][2] == "claimed"


def test_a4_one_wrong_sender_marks_nobody(world: Scenario) -> None:
    with Refusing(21612) as carrier:
        connect(world, carrier=carrier)
        remind(world)

    assert world.rows("SELECT DISTINCT mobile_bad FROM customers") == [(None,)]


def test_a5_staff_read_what_the_number_means() -> None:
    assert "no number" in errors.meaning(21704)
    assert "no number to send this" in errors.meaning(21703)


GOOD = f"twilio://{twilio.ACCOUNT}@MG{'c' * 32}/MG{'e' * 32}"


@pytest.mark.parametrize(
    ("sms_url", "public", "fits"),
    [
        (GOOD, "https://cert.bank.example", True),
        (f"{GOOD}?base=http://127.0.0.1:1", "", True),  # a trial
        (GOOD, "", False),
        (GOOD, "http://cert.bank.example", False),
        (GOOD, "https://10.0.0.1", False),
        (GOOD, "https://cert_bank.example", False),
        (GOOD, "https://localhost", False),
        (GOOD.replace("AC", "AX"), "https://cert.bank.example", False),
        (GOOD.replace("MGc", "MG"), "https://cert.bank.example", False),
        (GOOD.rpartition("/")[0], "https://cert.bank.example", False),
    ],
)
def test_a3_v1_what_twilio_would_refuse_is_refused_at_the_start(
    world: Scenario, sms_url: str, public: str, *, fits: bool
) -> None:
    (world.home / "secrets" / "twilio.key").write_text(twilio.TOKEN)
    settings = replace(world.app.settings, sms_url=sms_url, public_url=public)

    with nullcontext() if fits else pytest.raises(XuqiError, match="XUQI_SMS_URL"):
        sms: Any = open_gateways(settings, world.clock, world.app.keys).sms
        sms.close()


WRONG_FORMS = [
    ({"MessagingServiceSid": "MGx"}, 21705),
    ({"To": "+0"}, 21211),
    ({"ValidityPeriod": "0"}, 21624),
]


@pytest.mark.parametrize(("wrong", "code"), WRONG_FORMS)
def test_v_the_simulator_refuses_what_twilio_refuses(wrong: dict[str, str], code: int) -> None:
    form = {"To": "+886912345678", "Body": "x", "MessagingServiceSid": "MG" + "c" * 32}
    carrier = twilio.TwilioSimulator()
    with carrier:
        status, answer = carrier.create({**form, **wrong})

    assert (status, answer["code"]) == (400, code)
