"""The house sends through the real Twilio and SMTP adapters, to peers on loopback."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.gateways.mail.smtp import SmtpMail
from renewal.gateways.sms.twilio import TwilioSms
from scheduler import jobs
from schema.taipei import day_of
from simulation.client import BrowserKey
from tests.found.house import CODES, REMINDERS
from tests.scenario.acts import SESSION
from tests.scenario.rows import mail_of, mobile_of
from tests.scenario.sample import BROWSER, open_sample
from tests.servers.mail_peer import MailPeer
from tests.servers.twilio_simulator import ACCOUNT, TOKEN, Fault, TwilioSimulator, simulator
from xuqi.bootstrap import Gateways, open_gateways

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario


@pytest.fixture
def carrier() -> Iterator[TwilioSimulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def post(tmp_path: Path) -> Iterator[MailPeer]:
    folder = tmp_path / "post"
    folder.mkdir()
    with MailPeer(folder) as running:
        yield running


@pytest.fixture
def connected(tmp_path: Path, carrier: TwilioSimulator, post: MailPeer) -> Iterator[Scenario]:
    home = tmp_path / "bank"
    (home / "secrets").mkdir(parents=True, mode=0o700)
    (home / "secrets" / "twilio.key").write_text(TOKEN)
    world = open_sample(home)
    carrier.now = world.clock.now
    settings = replace(
        world.app.settings,
        sms_url=f"twilio://{ACCOUNT}@{CODES}/{REMINDERS}?base={carrier.url}",
        mail_url=f"smtp://{post.host}:{post.port}?from=bank@example.com&ca_file={post.ca_file}",
    )
    real = open_gateways(settings, world.clock, world.app.keys)
    sms, mail = real.sms, real.mail
    assert isinstance(sms, TwilioSms)
    assert isinstance(mail, SmtpMail)
    before = world.app.gateways
    outside = Gateways(sms=sms, mail=mail, ca=before.ca, bank=before.bank)
    world.app = replace(world.app, settings=settings, gateways=outside)
    with closing(sms), closing(mail):
        yield world
    world.close()


@pytest.mark.shows("D02", "D06")
def test_reminder_and_code_go_by_twilio_and_the_receipt_by_smtp(
    connected: Scenario, carrier: TwilioSimulator, post: MailPeer
) -> None:
    jobs.scan(connected.app.store, connected.app.policies)
    jobs.remind(connected.app.store, connected.app.policies)
    connected.drain()
    renewal = connected.requested(BROWSER)
    sent = connected.centre.send_code(BROWSER, action="renew", session=SESSION)
    connected.drain()
    reminder, text = (message.form for message in carrier.to(mobile_of(BROWSER)))
    code = re.search(r"(?<!\d)\d{4}(?!\d)", text["Body"])
    assert code is not None
    key = BrowserKey.new()
    connected.centre.confirm(
        renewal.id,
        challenge=getattr(sent, "challenge", ""),
        code=code[0],
        session=SESSION,
        **connected.handed_in(renewal, key.request()),
    )
    connected.drain()
    connected.centre.collect(renewal.id)
    connected.centre.prove(renewal.id, key.sign(connected.renewal(renewal.id).challenge))
    connected.drain()

    assert reminder["MessagingServiceSid"] == REMINDERS
    assert f"{day_of(connected.certificate(BROWSER).not_after):%Y/%m/%d}" in reminder["Body"]
    assert text["MessagingServiceSid"] == CODES
    assert text["ContentRetention"] == "discard"
    assert int(text["ValidityPeriod"]) <= 60
    receipts = [mail for mail in post.received if mail.rcpt_to == [mail_of(BROWSER)]]
    assert [mail.message["Auto-Submitted"] for mail in receipts] == ["auto-generated"]
    assert connected.renewal(renewal.id).state == "done"
    assert connected.dead() == []


@pytest.mark.shows("D06")
@pytest.mark.parametrize("taken", [False, True])
def test_a_carrier_that_is_away_for_days_leaves_the_reminder_to_mail_unless_it_may_have_it(
    connected: Scenario, carrier: TwilioSimulator, post: MailPeer, *, taken: bool
) -> None:
    """Taken: the first request was done, its answer cut, and nothing can be asked since."""
    away = [Fault(status=503, code=20503)] * 1_000
    lost = [Fault(reset=True)] * 2  # the texts of two customers
    carrier.faults.extend([*lost, *away] if taken else away)
    jobs.scan(connected.app.store, connected.app.policies)
    jobs.remind(connected.app.store, connected.app.policies)

    connected.drain_over(timedelta(days=3, hours=6), step=timedelta(hours=1))
    mails = [mail for mail in post.received if mail.rcpt_to == [mail_of(BROWSER)]]
    carrier.faults.clear()
    connected.drain_over(timedelta(hours=12), step=timedelta(hours=1))

    assert len(carrier.to(mobile_of(BROWSER))) == taken
    assert len(mails) == (not taken)
    assert len([mail for mail in post.received if mail.rcpt_to == [mail_of(BROWSER)]]) == len(mails)
    assert connected.dead() == []
