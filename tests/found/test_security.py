"""Tries what a security review of 0.1 found; each test is named after what has to hold."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import socket
import sqlite3
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from back_office.imports.sample import customer_rows, write_customers
from centre.actions import CodeNotSent
from renewal.clock import SystemClock, VirtualClock
from renewal.errors import XuqiError
from renewal.lifecycle import request_checks
from renewal.rules import csr as csr_rules
from schema.events import TokenDeclined, TokenRequestSigned
from tests.scenario.sample import BROWSER, CARD, TOKEN_SERIALS, open_sample
from tests.scenario.tokens import PIN
from tests.xuqi import sample
from tests.xuqi.serving.test_metrics import free_port
from token_station import signing
from token_station.tokens import open_token
from xuqi.bootstrap import open_gateways
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.key_files import read_keys
from xuqi.public_address import unreachable
from xuqi.serving.process import Serving
from xuqi.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

ESCAPE = "\x1b"


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[sample.Bank]:
    with sample.opened(tmp_path / "bank") as opened:
        opened.browser()
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "home")
    yield opened
    opened.close()


# --- S1: certificates are believed for a reason ---------------------------------------------------


def self_signed(name: str, *, issuer: str | None = None, at: datetime = sample.MONDAY) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else named
    built = x509.CertificateBuilder(
        issuer_name=by,
        subject_name=named,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=at - timedelta(hours=1),
        not_valid_after=at + timedelta(days=20),
    )
    return built.sign(key, SHA256()).public_bytes(Encoding.PEM)


def with_own_customer(bank: sample.Bank, folder: Path) -> tuple[str, Path]:
    """
    A customer from a file with a certificate of the bank's CA; its ID number, and the CA's file.
    """
    row = next(customer_rows(1)) | {"id_number": "A123456789", "product": "securities-browser"}
    row |= {"class": "2", "operator": "only user"}
    assert bank.run("import", "customers", str(write_customers(folder / "c.csv", [row])))
    ca: Any = bank.app.gateways.ca
    anchor = folder / "issuing.crt"
    anchor.write_bytes(ca.issuing_certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    end = bank.end
    der = ca.seed(
        sample.request_for(key), "A123456789-00-000001", "signing", end - sample.YEAR, end
    )
    (folder / "genuine.cer").write_bytes(der)
    done = bank.run("import", "certificates", str(folder / "genuine.cer"), "--issuer", str(anchor))
    assert done.exit_code == 0, done.output
    return "A123456789", anchor


def test_a_self_signed_certificate_does_not_take_a_customers_slot(
    bank: sample.Bank, tmp_path: Path
) -> None:
    number, anchor = with_own_customer(bank, tmp_path)
    evil = tmp_path / "evil.pem"
    evil.write_bytes(self_signed(f"{number}-00-00::ATTACKER"))

    done = bank.run("import", "certificates", str(evil), "--issuer", str(anchor))

    assert done.exit_code == 1
    assert "not signed by a trust anchor" in done.stderr
    states = [row["state"] for row in bank.listed("certificates", "list")]
    assert states == ["active", "active"]


def test_an_import_of_certificates_without_trust_anchors_stops(
    bank: sample.Bank, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.pem"
    evil.write_bytes(self_signed("A123456789-00-1"))

    done = bank.run("import", "certificates", str(evil), "--product", "securities-browser")

    assert done.exit_code == 2
    assert "--issuer" in done.stderr
    assert len(bank.listed("certificates", "list")) == 1


# --- S2: what a station says is signed and bound --------------------------------------------------


@pytest.mark.parametrize("how", ["declined", "garbage"])
def test_what_nobody_has_signed_ends_no_renewal(world: Scenario, how: str) -> None:
    renewal = world.requested(CARD)
    forged = {
        "declined": TokenDeclined(renewal=renewal.id, why="forged"),
        "garbage": TokenRequestSigned(
            renewal=renewal.id, token_serial=TOKEN_SERIALS[CARD], csr="eA==", proof="eQ=="
        ),
    }

    world.app.log.append([forged[how]])
    world.drain()

    assert world.renewal(renewal.id).state == "requested"
    assert [consumer for consumer, _ in world.dead()] == ["records"]


def test_a_signature_of_the_old_key_made_for_something_else_confirms_nothing(
    world: Scenario,
) -> None:
    renewal = world.requested(CARD)
    station = world.station(CARD)
    session = open_token(station.readers[0], world.app.keys.tokens.value)
    csr = sample.request_for(ec.generate_private_key(ec.SECP256R1()))
    digest = hashlib.sha256(world.der(CARD)).digest()
    old = next(
        one.key_slot for one in session.certificates() if hashlib.sha256(one.der).digest() == digest
    )
    proof = signing.renewal_proof(session, old, PIN, csr)
    b64 = base64.b64encode
    event = TokenRequestSigned(
        renewal=renewal.id,
        token_serial=TOKEN_SERIALS[CARD],
        csr=b64(csr).decode(),
        proof=b64(proof).decode(),
    )

    world.app.log.append([event])
    world.drain()

    assert world.renewal(renewal.id).state == "requested"


# --- S3, S8: secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokens", "pepper", "codes", "stations", "mail", "columns", "ca"])
def test_a_home_with_a_database_has_its_secrets_or_stops(bank: sample.Bank, name: str) -> None:
    path = bank.home / "secrets" / f"{name}.key"
    path.unlink()

    done = bank.run("scan")

    assert done.exit_code == 2
    assert f"{name}.key" in done.stderr
    assert not path.exists()


@pytest.mark.parametrize("command", [["status"], ["check"], ["certificates", "list"]])
def test_a_reading_command_in_a_wrong_folder_says_that_nothing_is_here(
    tmp_path: Path, command: list[str]
) -> None:
    there = sample.Bank(tmp_path / "wrong", None, VirtualClock(sample.MONDAY))  # type: ignore[arg-type]

    done = there.run(*command)

    assert done.exit_code == 2
    assert "xuqi init" in done.stderr
    assert not (tmp_path / "wrong").exists()


def test_a_component_needs_its_own_secrets_alone(bank: sample.Bank, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir(mode=0o700)
    for name in ("columns", "audit"):
        (few / f"{name}.key").write_bytes((bank.home / "secrets" / f"{name}.key").read_bytes())
        (few / f"{name}.key").chmod(0o600)
    bank.environment["XUQI_SECRETS"] = str(few)

    assert bank.run("certificates", "list").exit_code == 0
    stopped = bank.run("code", "send", "1")
    assert stopped.exit_code == 2
    assert "codes.key" in stopped.stderr or "pepper.key" in stopped.stderr


def test_the_code_cannot_be_told_from_the_installations_key_and_the_challenges_number(
    world: Scenario,
) -> None:
    from renewal.rules import code as rules  # noqa: PLC0415

    sent, digits = world.code()

    key = world.app.keys.codes.value
    assert all(
        rules.digits(key, sent.challenge, number, len(digits)) != digits for number in (0, 1, 2)
    )


# --- S4, S9, S10, S20: the public door ------------------------------------------------------------


@contextmanager
def served(
    home: Path,
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> Iterator[tuple[sample.Bank, int]]:
    with sample.opened(home, **{"port": 0, **settings}) as bank:
        bank.browser()
        serving = Serving(bank.app, components={"web"})
        with serving._listening() as addresses:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", addresses[0])
            assert found is not None
            yield bank, int(found[1])


def said(port: int, sent: bytes, wait: float = 2.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as one:
        one.sendall(sent)
        got = b""
        try:
            while part := one.recv(65_536):
                got += part
        except TimeoutError:
            pass
        return got


INNER = b"GET /ca/issuing.crt HTTP/1.1\r\nHost: y\r\n\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /ocsp HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
SMUGGLED = {
    "body of a GET": GET + b"Content-Length: 46\r\n\r\n" + INNER,
    "chunks of a GET": GET + CHUNKED + INNER,
    "length and chunks": POST + b"Content-Length: 5\r\n" + CHUNKED + INNER,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 46\r\n\r\n" + INNER,
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n" + INNER,
    "a signed length": POST + b"Content-Length: +0\r\n\r\n" + INNER,
    "a space before the colon": POST + b"Content-Length : 46\r\n\r\n" + INNER,
    "a folded header": POST + b"X: a\r\n Content-Length: 46\r\n\r\n" + INNER,
    "a bare line feed": GET + b"X: a\nContent-Length: 46\r\n\r\n" + INNER,
    "two hosts": GET + b"Host: y\r\n\r\n",
}


@pytest.mark.parametrize("how", SMUGGLED)
def test_a_smuggled_request_gets_no_answer_of_its_own(tmp_path: Path, how: str) -> None:
    with served(tmp_path / "bank") as (_, port):
        got = said(port, SMUGGLED[how])

    assert got.count(b"HTTP/1.1 ") == 1
    assert got.split()[1] == b"400"


def test_slow_clients_do_not_keep_others_from_being_answered(tmp_path: Path) -> None:
    with served(tmp_path / "bank", http_connections=40) as (_, port), ExitStack() as held:
        for _ in range(100):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(b"GET /livez HTTP/1.1\r\nX-a: b")
        answered = said(port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert answered.split()[1] == b"200"


def test_the_public_door_says_nothing_of_the_inside(tmp_path: Path) -> None:
    asked = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with served(tmp_path / "bank") as (_, port):
        ready = said(port, asked)
        metrics = said(port, asked.replace(b"readyz", b"metrics"))

    assert ready.split()[1] == b"404"
    assert metrics.split()[1] == b"404"


def test_an_answer_on_a_kept_connection_does_not_wait_for_nagle(tmp_path: Path) -> None:
    asked = b"GET /ca/issuing.crt HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        served(tmp_path / "bank") as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=30) as one,
    ):
        took = []
        for _ in range(20):
            began = time.monotonic()
            one.sendall(asked)
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            took.append(time.monotonic() - began)

    assert min(took) < 0.035  # it would delay each of them by 40 ms, however slow the machine is


def test_what_the_ca_publishes_says_how_long_it_may_be_kept(tmp_path: Path) -> None:
    asked = b"GET /ca/issuing.crl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with served(tmp_path / "bank") as (_, port):
        head = said(port, asked).split(b"\r\n\r\n")[0].lower()

    for name in (
        b"must-revalidate, max-age=",
        b"\r\nexpires: ",
        b"\r\nlast-modified: ",
        b"\r\netag: ",
    ):
        assert name in head


# --- S5: addresses in certificates ----------------------------------------------------------------


def test_a_certificate_names_the_public_address(tmp_path: Path) -> None:
    with sample.opened(tmp_path / "b", public_url="http://pki.bank.example") as bank:
        ca: Any = bank.app.gateways.ca
        issuing = x509.load_der_x509_certificate(ca.issuing_certificate)

    points = issuing.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    [named] = points[0].full_name or []
    assert named.value == "http://pki.bank.example/ca/root.crl"


def test_what_a_certificate_names_is_there_and_is_its_issuers(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path / "b", port=port, public_url=f"http://127.0.0.1:{port}") as (bank, _):
        ca: Any = bank.app.gateways.ca
        issuing = x509.load_der_x509_certificate(ca.issuing_certificate)
        with bank.app.store.snapshot() as look:
            row = look.certificates.get(1)
            der = look.cipher.open(row.der_sealed, "certificates.der", row.id)
        leaf = x509.load_der_x509_certificate(der)
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        at = {one.access_method: one.access_location.value for one in access}
        points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuing, SHA256()).build()

        crl = x509.load_der_x509_crl(httpx.get((points[0].full_name or [])[0].value).content)
        issuer = httpx.get(at[AuthorityInformationAccessOID.CA_ISSUERS]).content
        answer = httpx.post(
            at[AuthorityInformationAccessOID.OCSP],
            content=asked.public_bytes(Encoding.DER),
            headers={"Content-Type": "application/ocsp-request"},
        )

    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    assert x509.load_der_x509_certificate(issuer) == issuing
    status = ocsp.load_der_ocsp_response(answer.content).certificate_status
    assert status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("", True),
        ("http://localhost:8480", True),
        ("http://[::1]:80", True),
        ("http://pki.bank.example", False),
        ("http://192.0.2.7", False),
    ],
)
def test_addresses_that_nobody_else_can_reach_are_warned_of(url: str, *, warned: bool) -> None:
    assert (unreachable(Settings(public_url=url)) is not None) == warned


# --- S6: suspension is ours first -----------------------------------------------------------------


def test_a_lost_certificate_is_closed_at_once_whatever_the_ca_says(bank: sample.Bank) -> None:
    with sqlite3.connect(bank.home / "store.db") as raw:
        raw.execute("UPDATE certificates SET serial = '77777777' WHERE id = 1")

    asked = bank.run("certificates", "suspend", "1", "--who", "T", "--why", "lost")

    assert asked.exit_code == 0
    assert [row["state"] for row in bank.listed("certificates", "list")] == ["suspended"]
    bank.drain()
    assert [row["state"] for row in bank.listed("certificates", "list")] == ["suspended"]
    refused = bank.run("renewals", "start", "1", "--who", "T", "--why", "w")
    assert refused.exit_code == 1


# --- S7: the audit trail --------------------------------------------------------------------------


def tampered(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        ).fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)")


def test_an_audit_trail_that_was_cut_off_is_noticed(bank: sample.Bank) -> None:
    for number in range(3):
        bank.run("certificates", "suspend", "1", "--who", "T", "--why", f"reason {number}")
    assert bank.run("audit", "verify").exit_code == 0

    tampered(bank.home / "store.db")

    assert bank.run("audit", "verify").exit_code == 1
    assert bank.run("check").exit_code == 1


def test_codes_and_reads_of_persons_are_in_the_audit_trail(bank: sample.Bank) -> None:
    bank.run("code", "send", "1")
    bank.run("certificates", "show", "1")

    did = [row["did"] for row in bank.listed("audit", "list")]

    assert "send code" in did
    assert "read certificate" in did
    assert all(row["os_user"] for row in bank.listed("audit", "list"))


# --- S11: sealed values ---------------------------------------------------------------------------


def test_a_sealed_value_that_was_moved_to_another_row_does_not_open(world: Scenario) -> None:
    with sqlite3.connect(world.home / "store.db") as raw:
        raw.execute(
            "UPDATE customers SET (mobile_sealed, mobile_hash) = "
            "(SELECT mobile_sealed, mobile_hash FROM customers WHERE id = 2) WHERE id = 1"
        )

    with pytest.raises(XuqiError):
        world.centre.send_code(BROWSER, action="renew", session="s")


# --- S12: terminals -------------------------------------------------------------------------------


def test_foreign_text_moves_no_cursor(bank: sample.Bank, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / f"{ESCAPE}[2J{ESCAPE}[1;31mFAKE: 0 refused{ESCAPE}[0m.pem").write_bytes(b"nothing")
    anchor = tmp_path / "ca.crt"
    anchor.write_bytes(bank.app.gateways.ca.issuing_certificate)  # type: ignore[attr-defined]

    done = bank.run("import", "certificates", str(folder), "--issuer", str(anchor))

    assert done.exit_code == 1
    assert ESCAPE not in done.output
    assert "\\x1b[2J" in done.output


# --- S13: contacts --------------------------------------------------------------------------------


def test_a_file_that_redirects_many_contacts_needs_a_yes_with_the_number(
    bank: sample.Bank, tmp_path: Path
) -> None:
    rows = list(customer_rows(40))
    first = write_customers(tmp_path / "first.csv", rows)
    people = len({row["reference"] for row in rows})
    assert bank.run("import", "customers", str(first)).exit_code == 0
    second = write_customers(
        tmp_path / "second.csv", [row | {"mobile": "0912000111"} for row in rows]
    )

    stopped = bank.run("import", "customers", str(second))
    agreed = bank.run("import", "customers", str(second), "--yes-change", str(people))

    assert stopped.exit_code == 1
    assert f"--yes-change {people}" in stopped.output
    assert agreed.exit_code == 0
    assert "shared by" in agreed.output


# --- S14, S15, S21: files -------------------------------------------------------------------------


def test_findings_are_not_written_over_a_file_that_is_there(
    bank: sample.Bank, tmp_path: Path
) -> None:
    file = write_customers(tmp_path / "in.csv", customer_rows(3))
    before = file.read_bytes()

    done = bank.run("import", "customers", str(file), "--findings", str(file), "--dry-run")

    assert done.exit_code == 1
    assert file.read_bytes() == before


def test_nobody_else_may_read_what_a_home_holds(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with sample.opened(tmp_path / "bank") as bank:
            bank.browser()
            bank.run("code", "send", "1")
            bank.drain()
            found = [bank.home, *bank.home.rglob("*")]
            modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in found}
    finally:
        os.umask(before)

    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize("branch", ["../../etc", "", "a/b", "x" * 65, "..", "\x1b[2J"])
def test_a_branch_is_no_path(bank: sample.Bank, branch: str) -> None:
    bank.environment["XUQI_BRANCH"] = branch

    done = bank.run("station", "--once")

    assert done.exit_code == 2
    assert "XUQI_BRANCH" in done.stderr


# --- S16: weak keys -------------------------------------------------------------------------------


def prime(near: int) -> int:
    number = near | 1
    while (
        any(number % small == 0 for small in (3, 5, 7, 11, 13)) or pow(2, number - 1, number) != 1
    ):
        number += 2
    return number


def request_of(p: int, q: int, e: int = 65_537) -> bytes:
    d = pow(e, -1, (p - 1) * (q - 1) // math.gcd(p - 1, q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "how",
    [
        "neighbours",
        "small factor",
        "size",
        "exponent",
    ],
)
def test_a_weak_rsa_key_is_refused(how: str) -> None:
    p = prime(3 << 1022 | 1 << 500)
    far = prime(7 << 1021 | 1 << 900)
    made = {
        "neighbours": lambda: request_of(prime(p + 2), p),
        "small factor": lambda: request_of(prime(3 << 2038), 751),
        "exponent": lambda: request_of(p, far, 257),
        "size": lambda: request_of(prime(3 << 1100), far),
    }

    with pytest.raises(csr_rules.BadRequestError):
        csr_rules.check_request(made[how]())


def test_a_key_of_anybodys_certificate_is_not_certified_again(world: Scenario) -> None:
    theirs = hashlib.sha256(world.old_keys[BROWSER].spki).digest()

    with world.app.store.snapshot() as look, pytest.raises(csr_rules.BadRequestError):
        request_checks.check_unused(look, theirs)


# --- S17: codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["expired", "superseded", "revoked"])
def test_no_code_is_sent_for_a_certificate_with_which_nothing_can_be_done(
    world: Scenario, state: str
) -> None:
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(BROWSER), state=state, remind_at=None)

    assert isinstance(world.centre.send_code(BROWSER, action="renew", session="s"), CodeNotSent)


def test_another_session_does_not_kill_the_code_that_somebody_is_entering(world: Scenario) -> None:
    sent, digits = world.code(session="the customer's")

    world.centre.send_code(BROWSER, action="renew", session="somebody else's")
    answer = world.centre.enter_code(
        sent.challenge, digits, session="the customer's", action="renew", certificate=BROWSER
    )

    assert answer.result == "right"


def test_one_guess_at_each_of_many_customers_is_stopped(world: Scenario) -> None:
    seen = [
        world.centre.enter_code(
            f"K{number:08d}-0001", "0000", session="thief", action="renew", certificate=1
        ).result
        for number in range(1, 60)
    ]

    assert seen[-1] == "locked"


# --- S18: secrets in errors -----------------------------------------------------------------------


WRONG = (
    "twillio://AC1:S3CRET@carrier.example/x",
    "twilio://AC1:S3CRET@[::1/x",
    "smtp://me:S3CRET@host:99999?from=a",
    "smtp://me:S3CRET@host/?from=a@b&tls=some",
    "smtp://me:S3CRET@host/?from=a@b&ca_file=/nowhere",
    "smtp://me:S3CRET@host/",
    "kafka://u:S3CRET@host:notaport",
    "embedded://x:S3CRET@y",
    "postgresql+psycopg://xuqi:S3CRET@127.0.0.1:1/x",
    "S3CRET",
)


def told_of(name: str, value: str, home: Path) -> Iterator[str]:
    """Every error that the setting leads to."""
    environment = {"XUQI_HOME": str(home), f"XUQI_{name}": value}
    for command in (["config", "show"], ["config", "check"], ["status"]):
        done = CliRunner().invoke(xuqi, command, obj=CliContext(environment=environment))
        yield done.output + done.stderr + repr(done.exception)
    with suppress(SettingsError):  # it was shown above
        settings = read_settings(environment)
        outside = open_gateways(settings, SystemClock(), read_keys(settings))
        for part in ("sms", "mail", "ca", "bank"):
            try:
                getattr(outside, part)
            except XuqiError as error:
                yield str(error)


def test_no_error_shows_a_secret_of_a_setting(bank: sample.Bank) -> None:
    names = [it.name.upper() for it in fields(Settings) if it.name.endswith("_url")]

    shown = {
        (name, value)
        for name in names
        for value in WRONG
        for text in told_of(name, value, bank.home)
        if "S3CRET" in text
    }

    assert shown == set()


# --- S19: the CA ----------------------------------------------------------------------------------


def test_the_roots_list_lives_a_bounded_time(bank: sample.Bank) -> None:
    ca: Any = bank.app.gateways.ca

    crl = x509.load_der_x509_crl(ca.root_crl())

    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc <= timedelta(days=400)


def test_a_question_about_another_ca_is_unauthorized(bank: sample.Bank) -> None:
    ca: Any = bank.app.gateways.ca
    other = x509.load_pem_x509_certificate(self_signed("Another CA"))
    asked = ocsp.OCSPRequestBuilder().add_certificate(other, other, SHA256()).build()

    answer = ocsp.load_der_ocsp_response(ca.ocsp(asked.public_bytes(Encoding.DER)))

    assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_a_revocation_says_its_reason(bank: sample.Bank) -> None:
    asked = bank.run(
        *("certificates", "revoke", "1", "--who", "T", "--why", "lost"),
        *("--reason", "keyCompromise", "--yes"),
    )
    bank.drain()

    assert asked.exit_code == 0, asked.output
    ca: Any = bank.app.gateways.ca
    [entry] = x509.load_der_x509_crl(ca.crl())
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value
    assert reason.reason is x509.ReasonFlags.key_compromise


# --- F26, F27: a home is made on purpose ----------------------------------------------------------


def test_only_upgrade_changes_the_tables(tmp_path: Path) -> None:
    with sample.opened(tmp_path / "bank") as bank:
        assert bank.run("db", "downgrade", "0003").exit_code == 0

    done = bank.run("status")

    assert done.exit_code == 2
    assert "xuqi db upgrade" in done.stderr


def test_the_program_says_its_version(bank: sample.Bank) -> None:
    assert re.match(r"xuqi \d+\.\d+", bank.run("--version").output)
