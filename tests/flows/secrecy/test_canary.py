"""Looks for every secret and every personal datum in everything that the house leaves behind."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.db.encryption import FieldCipher
from renewal.errors import XuqiError
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsRefused
from renewal.rules import csr as csr_rules
from renewal.secret import Secret
from scheduler import jobs
from schema.events import Change
from simulation.client import BrowserKey
from tests.scenario.acts import SESSION
from tests.scenario.decisions import decide
from tests.scenario.rows import account_of, customer, id_number_of, mail_of, mobile_of, name_of
from tests.scenario.sample import BROWSER, CARD, END, TOKEN, open_sample, policies_with
from tests.scenario.tokens import PIN, PUK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.gateways.sms.mailbox import Outcome
    from tests.scenario.scenario import Scenario

PASSWORD = "Kanarie42"  # noqa: S105 - what must be found nowhere
WORLD_OUTSIDE = ("outside", "ca", "cards")  #: whose files are not ours


def personal() -> dict[str, str]:
    found: dict[str, str] = {}
    for number in (BROWSER, TOKEN, CARD):
        found |= {
            f"name {number}": name_of(number),
            f"mobile {number}": mobile_of(number),
            f"mobile at home {number}": "0" + mobile_of(number)[4:],
            f"mail {number}": mail_of(number),
            f"ID number {number}": id_number_of(number),
            f"account {number}": account_of(number),
        }
    return found


def forms(secret: str) -> Iterator[bytes]:
    """The bytes by which it would be known."""
    raw = secret.encode()
    yield raw
    yield secret.encode("utf-16-le")
    yield secret.encode("utf-16-be")
    yield secret.encode("unicode_escape")
    yield raw.hex().encode()
    for shift in range(3):  # in base64, wherever it begins: the signs that no neighbour changes
        whole = base64.b64encode(bytes(shift) + raw)
        yield whole[(0, 2, 3)[shift] : len(whole) - (0, 3, 2)[(shift + len(raw)) % 3]]


def our_files(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.relative_to(home).parts[0] not in WORLD_OUTSIDE:
            yield str(path.relative_to(home)), path.read_bytes()


def everything(world: Scenario, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, bytes]]:
    yield from our_files(world.home)
    for table in [
        row[0] for row in world.rows("SELECT name FROM sqlite_master WHERE type='table'")
    ]:
        for row in world.rows(f'SELECT * FROM "{table}"'):  # noqa: S608 - the database's own name
            for value in row:
                yield table, value if isinstance(value, bytes) else str(value).encode()
    for record in caplog.records:
        said = {key: value for key, value in vars(record).items() if key != "args"}
        yield f"log {record.name}", f"{record.getMessage()} {said} {record.args}".encode()


def found(world: Scenario, caplog: pytest.LogCaptureFixture, secrets: dict[str, str]) -> set[str]:
    places = list(everything(world, caplog))
    return {
        f"{what} in {where}"
        for what, secret in secrets.items()
        for form in forms(secret)
        for where, content in places
        if form in content
    }


def whole_story(world: Scenario) -> None:
    """Everything that touches a datum, with some of what goes wrong."""
    jobs.scan(world.app.store, world.app.policies)
    jobs.remind(world.app.store, world.app.policies)
    world.drain()
    left: list[Outcome] = [SmsRefused(code="30003"), SmsAnswerLost()]
    world.weather.sms = lambda _sms: left.pop() if left else None
    for _ in range(2):
        world.centre.send_code(BROWSER, action="apply", session=SESSION)
        world.drain_over()
    assert left == []
    world.weather.ca = lambda op, _id: "refused" if op == "issue" else None
    world.weather.bank = lambda b: "refused" if b.op.value == "debit" else None
    world.paid()
    failing, _ = world.confirmed()
    world.drain()
    assert world.renewal(failing.id).state == "refused"
    world.weather.ca = lambda _op, _id: None
    world.weather.bank = lambda _booking: None
    renewal, key = world.issued()
    certificate = world.centre.collect(renewal.id)
    assert certificate is not None
    assert key.backup(certificate, PASSWORD)
    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.paid()
    renewals = [world.requested(TOKEN), world.requested(CARD)]
    world.at_the_branch(world.station(TOKEN, CARD))
    assert [world.renewal(one.id).state for one in renewals] == ["done", "done"]
    world.app.back_office.ask_change(CARD, Change.REVOKE, who="teller 7", why="asked for")
    world.drain_over()


@pytest.mark.shows("B09")
def test_no_secret_and_nothing_personal_is_left_anywhere(
    world: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    whole_story(world)

    secrets = {"PIN": PIN, "PUK": PUK, "PFX password": PASSWORD, **personal()}
    assert found(world, caplog, secrets) == set()
    assert len(world.outside("sms")) >= 3  # it was a story worth searching


def test_the_search_would_find_it(world: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("xuqi").error("for %s", PIN)
    (world.home / "stray.txt").write_text(mail_of(BROWSER))
    with world.app.store.transaction() as work:
        decide(work, BROWSER, "fee", "leaked", id_number_of(BROWSER))

    secrets = {"PIN": PIN, **personal()}

    assert {place.partition(" in ")[0] for place in found(world, caplog, secrets)} == {
        "PIN",
        f"mail {BROWSER}",
        f"ID number {BROWSER}",
    }


@pytest.fixture
def long_codes(tmp_path: Path) -> Iterator[Scenario]:
    """Four digits stand in many a number by chance: what is searched for has ten."""
    policies = policies_with(tmp_path / "policies", "digits = 4", "digits = 10")
    opened = open_sample(tmp_path / "home", policies=policies)
    yield opened
    opened.close()


@pytest.mark.shows("B09")
def test_a_code_is_left_nowhere(long_codes: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    world = long_codes
    caplog.set_level(logging.DEBUG)
    left: list[Outcome] = [SmsRefused(code="30003"), SmsAnswerLost()]
    world.weather.sms = lambda _sms: left.pop() if left else None
    renewal = world.requested(BROWSER)
    world.centre.send_code(BROWSER, action="apply", session=SESSION)
    world.drain_over(timedelta(minutes=2), step=timedelta(seconds=10))
    world.weather.sms = lambda _sms: None

    sent, used = world.code()
    world.centre.enter_code(
        sent.challenge, used, session="a thief", action="renew", certificate=BROWSER
    )
    world.centre.enter_code(
        sent.challenge, used, session=SESSION, action="revoke", certificate=BROWSER
    )
    answer = world.centre.confirm(
        renewal.id,
        challenge=sent.challenge,
        code=used,
        session=SESSION,
        **world.handed_in(renewal, BrowserKey.new().request()),
    )
    world.code(action="revoke")
    world.drain_over(timedelta(minutes=2), step=timedelta(seconds=10))

    assert answer.result == "right"
    codes = {f"code {number}": code for number, code in enumerate(world.texted())}
    assert len(codes) >= 3
    assert found(world, caplog, codes) == set()
    with pytest.raises(AssertionError):
        assert found(world, caplog, {"challenge": sent.challenge}) == set()


def test_no_error_names_what_it_is_about(world: Scenario) -> None:
    errors = list(map(str, _errors(world)))

    assert len(errors) == 4
    for error in errors:
        for what, datum in personal().items():
            assert datum not in error, what


def _errors(world: Scenario) -> Iterator[XuqiError]:
    def twice() -> None:
        with world.app.store.transaction() as work:
            work.customers.put(customer(work.cipher, BROWSER))

    def other_key() -> None:
        FieldCipher({1: Secret(b"another" * 8)}).open(
            customer(world.store.cipher, 9).name_sealed, "customers.name"
        )

    def name_in_request() -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, id_number_of(BROWSER))])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        csr = builder.sign(BrowserKey.new().private, SHA256())
        csr_rules.check_request(csr.public_bytes(Encoding.DER))

    def bad_name() -> None:
        at = world.clock.now()
        world.ca.seed(BrowserKey.new().spki, mail_of(BROWSER), "signing", at, END)

    for deed in (twice, other_key, name_in_request, bad_name):
        with pytest.raises(XuqiError) as caught:
            deed()
        yield caught.value
