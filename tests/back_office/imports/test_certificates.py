"""Shows that certificates come in whoever made them, each to its customer and into one slot."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import tracemalloc
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from back_office.imports.certificate_facts import read_fields
from back_office.imports.report import ImportFileError
from renewal.clock import VirtualClock
from renewal.errors import XuqiError
from renewal.lifecycle.requests import request
from renewal.rules import reminder_schedule
from renewal.store import import_queries
from renewal.store.certificates import to_remind
from tests.back_office.imports.making import (
    BROWSER,
    CARD,
    DAY,
    NOON,
    TOKEN,
    Bank,
    a_customer,
    certificate,
    ec_key,
    in_words,
    pem,
)
from tests.scenario.refusals import refused

if TYPE_CHECKING:
    from tests.back_office.imports.making import PrivateKey

NO_CUSTOMER = "no customer: no reminders"
ONE = certificate()
CERTIFI = Path(certifi.where())


def with_serial(der: bytes, content: bytes) -> bytes:
    """The certificate with other octets as its serial, as a CA that keeps no rules might set."""
    old = x509.load_der_x509_certificate(der).serial_number
    raw = old.to_bytes(old.bit_length() // 8 + 1, "big")
    assert len(raw) == len(content)
    return der.replace(b"\x02" + bytes([len(raw)]) + raw, b"\x02" + bytes([len(raw)]) + content, 1)


def too_long(common_name: str) -> x509.Name:
    """A subject beyond the bounds of RFC 5280, appendix A.1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)
    return x509.Name([name])


def cell(der: bytes) -> str:
    return base64.b64encode(der).decode()


# --- real CAs -----------------------------------------------------------------------------------


def test_every_certificate_that_certifi_ships_goes_in_and_only_once(bank: Bank) -> None:
    there = CERTIFI.read_bytes().count(b"BEGIN CERTIFICATE")

    dry = bank.certificates(CERTIFI, dry_run=True)
    first = bank.certificates(CERTIFI)
    before = bank.everything()
    second = bank.certificates(CERTIFI)

    assert (dry.new, first.new, first.refused, second.unchanged) == (there, there, 0, there)
    assert in_words(first.noted) == {NO_CUSTOMER: there}
    assert second.rows == there
    assert len(bank.held()) == there
    assert bank.everything() == before


def test_what_is_stored_of_a_certificate_is_what_it_says(bank: Bank) -> None:
    bank.certificates(CERTIFI)

    for row in bank.held():
        der = bank.store.cipher.open(row.der_sealed, "certificates.der", row.id)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = x509.load_der_x509_certificate(der)
            serial = read.serial_number
        key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert row.serial == f"{serial:x}"
        assert row.certificate_sha256 == hashlib.sha256(der).digest()
        assert row.issuer_hash == hashlib.sha256(read.issuer.public_bytes()).digest()
        assert row.spki_sha256 == hashlib.sha256(key).digest()
        assert row.not_after == read.not_valid_after_utc


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - as an old CA made them
        dsa.generate_private_key(1024),  # noqa: S505 - as an old CA made them
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "DSA", "P-521", "Ed25519"],
)
def test_any_algorithm_goes_in(bank: Bank, key: PrivateKey) -> None:
    report = bank.pem(certificate(key=key))

    assert (report.new, report.refused) == (1, 0)


@pytest.mark.parametrize(
    "subject",
    [
        x509.Name([]),
        too_long("王" * 300),
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{n:064}") for n in range(40)]),
        x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, n) for n in ("no one", "A123456789-00")]
        ),
    ],
    ids=["empty", "Chinese", "long", "two names"],
)
def test_any_subject_goes_in(bank: Bank, subject: x509.Name) -> None:
    assert bank.pem(certificate(subject=subject)).new == 1


@pytest.mark.parametrize(
    "end", [datetime(2050, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]
)
def test_an_end_after_2049_or_never_goes_in(bank: Bank, end: datetime) -> None:
    bank.customers(a_customer())

    bank.pem(certificate(not_after=end))

    (row,) = bank.held()
    assert (row.not_after, row.state) == (end, "active")


@pytest.mark.parametrize(
    ("octets", "serial"),
    [(b"\x80", "-80"), (b"\xff", "-1"), (b"\0", "0"), (b"\x7f", "7f")],
)
def test_any_serial_goes_in(bank: Bank, octets: bytes, serial: str) -> None:
    der = with_serial(certificate(serial=0x11), octets)
    (bank.folder / "one.cer").write_bytes(der)

    report = bank.certificates(bank.folder / "one.cer")

    assert (report.new, [row.serial for row in bank.held()]) == (1, [serial])


def test_the_hash_of_a_key_needs_no_knowledge_of_its_algorithm() -> None:
    der = certificate()
    p256, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030163")

    facts = read_fields(der.replace(p256, unknown, 1))

    assert len(facts.spki_sha256) == 32


# --- the forms in which they come ---------------------------------------------------------------


def test_a_folder_of_der_and_pem_goes_in_with_the_folders_in_it(bank: Bank) -> None:
    folder = bank.folder / "certificates"
    (folder / "2026" / "11").mkdir(parents=True)
    (folder / "a.der").write_bytes(certificate())
    (folder / "2026" / "b.crt").write_bytes(pem(certificate(), certificate()))
    (folder / "2026" / "11" / "two.cer").write_bytes(certificate() + certificate())
    (folder / ".hidden").write_bytes(b"?")
    (folder / "loop").symlink_to(folder)
    (folder / "notes.txt").write_bytes(b"where they came from")
    (folder / "old.zip").write_bytes(b"PK\x03\x04" + b"0" * 99)
    os.mkfifo(folder / "pipe")

    report = bank.certificates(folder)

    refused = {finding.file: finding.reason for finding in bank.findings if finding.refused}
    assert report.new == 5
    assert refused == {
        "notes.txt": "holds no certificate: neither DER, PEM, PKCS#7 nor base64",
        "old.zip": "is an Excel workbook or a ZIP archive: save it as CSV (UTF-8)",
        "pipe": "is no regular file",
    }


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_a_pkcs7_bundle_goes_in(bank: Bank, encoding: Encoding) -> None:
    ders = [certificate() for _ in range(3)]
    found = [x509.load_der_x509_certificate(der) for der in ders]
    path = bank.folder / "bundle.p7b"
    path.write_bytes(pkcs7.serialize_certificates(found, encoding))

    report = bank.certificates(path)

    assert (report.new, report.refused) == (3, 0)


def test_a_pkcs7_bundle_in_ber_goes_in(bank: Bank) -> None:
    ders = [certificate() for _ in range(2)]
    content = (
        bytes.fromhex("020101 3100 3080 06092a864886f70d010701 0000")
        + b"\xa0\x80"
        + b"".join(ders)
        + b"\0\0"
        + b"\x31\x00"
    )
    outer = bytes.fromhex("3080 06092a864886f70d010702 a080 3080") + content + b"\0" * 6
    (bank.folder / "bundle.p7c").write_bytes(outer)

    report = bank.certificates(bank.folder / "bundle.p7c")

    assert (report.new, report.refused) == (2, 0)


def test_a_trusted_certificate_of_openssl_goes_in(bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "plain.pem").write_bytes(pem(certificate()))
    subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            "plain.pem",
            "-trustout",
            "-addtrust",
            "emailProtection",
            "-out",
            "trusted.pem",
        ],
        cwd=tmp_path,
        check=True,
    )

    assert b"TRUSTED" in (tmp_path / "trusted.pem").read_bytes()
    assert bank.certificates(tmp_path / "trusted.pem").new == 1


def test_a_csv_of_a_ca_goes_in_with_pem_base64_and_what_it_says(bank: Bank) -> None:
    bank.customers(a_customer(), a_customer(product=TOKEN))
    one, two, three = (certificate(f"no {n}", serial=0xABC00 + n) for n in range(3))
    path = bank.folder / "export.csv"
    path.write_bytes(
        "憑證,序號,產品,載具序號,客戶編號,身分證字號,狀態,Subject\n".encode()
        + b'"' + pem(one) + b'",0x0ABC00,' + f"{BROWSER},,C00000000,,有效,x\n".encode()
        + base64.b64encode(two) + f",{0xABC01},{TOKEN},T-77,,a123456789,,\n".encode()
        + base64.b64encode(three) + f",ab:c0:2,{CARD},T-78,,,撤銷,\n".encode()
    )  # fmt: skip

    report = bank.certificates(path, product=None)

    first, second, third = bank.held()
    (customer,) = bank.on_file()
    assert (report.new, report.refused) == (3, 0)
    assert (first.customer, first.slot) == (customer.id, f"{BROWSER}:c{customer.id}")
    assert (second.customer, second.slot) == (customer.id, f"{TOKEN}:tT-77")
    assert second.token_serial == "T-77"  # noqa: S105 - no secret
    assert (third.customer, third.state) == (None, "revoked")


def test_what_is_no_certificate_is_refused_and_the_rest_goes_in(bank: Bank) -> None:
    key = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = bank.folder / "mixed.pem"
    path.write_bytes(
        b"a comment\n"
        + key
        + pem(certificate())
        + b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
        + b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
        + b"-----BEGIN CERTIFICATE-----\n" + b"A" * 79 * 2000 + b"\n-----END CERTIFICATE-----\n"
        + pem(certificate())
        + b"-----BEGIN CERTIFICATE-----\nMIIB\n"
    )  # fmt: skip

    report = bank.certificates(path)

    refused = {finding.reason for finding in bank.findings if finding.refused}
    assert (report.new, report.refused) == (2, 5)
    assert refused == {
        "is a private key, no certificate",
        "is not base64",
        "is no X.509 certificate",
        "is longer than 65536 bytes",
        "has no end",
    }


@pytest.mark.parametrize("cut", [1, 2, 10, 100, 300])
def test_a_file_that_ends_too_early_is_refused(bank: Bank, cut: int) -> None:
    (bank.folder / "cut.der").write_bytes(certificate()[:cut])

    report = bank.certificates(bank.folder / "cut.der")

    assert (report.refused, bank.findings[0].place) == (1, "entry 1")


def test_pkcs12_is_refused(bank: Bank) -> None:
    (bank.folder / "key.p12").write_bytes(
        pkcs12.serialize_key_and_certificates(None, ec_key(), None, None, NoEncryption())
    )

    assert bank.certificates(bank.folder / "key.p12").refused == 1


def test_a_claim_of_gigabytes_is_not_believed(bank: Bank) -> None:
    (bank.folder / "bomb.der").write_bytes(b"\x30\x84\xff\xff\xff\xff" + b"\x30" * 99)

    assert bank.certificates(bank.folder / "bomb.der").refused == 1


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_garbage_breaks_the_run(bank: Bank, data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([ONE, pem(ONE)])))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = bank.folder / "broken"
    path.write_bytes(whole)
    bank.findings.clear()

    report = bank.certificates(path, dry_run=True)

    assert report.rows >= 1
    assert all(finding.reason for finding in bank.findings)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("certificate", "no base64!", "is neither PEM nor base64"),
        ("certificate", "", "is neither PEM nor base64"),
        ("certificate", "MAA=", "is no X.509 certificate"),
        ("serial", "xyz", "must be a number"),
        ("serial", "1234", "is not the certificate's"),
        ("product", "gold", "is none of"),
        ("token_serial", "a b", "must be 1 to 50"),
        ("reference", "=1", "must be 1 to 40"),
        ("reference", "C404", "is not on file"),
        ("id_number", "?", "must be 6 to 20"),
        ("id_number", "Z99999999", "is not on file"),
        ("id_number", "B123456780", "is on file for another customer than the reference"),
        ("state", "lost", "must be active, suspended or revoked"),
    ],
)
def test_a_broken_cell_is_refused_with_line_field_and_reason(
    bank: Bank, column: str, value: str, reason: str
) -> None:
    bank.customers(a_customer(), a_customer(reference="C2", id_number="B123456780"))
    whole = {
        "certificate": base64.b64encode(certificate()).decode(),
        "serial": "",
        "product": BROWSER,
        "token_serial": "",
        "reference": "C00000000",
        "id_number": "",
        "state": "",
    }

    report = bank.table([whole | {column: value}])

    ((place, named, said),) = bank.said()
    assert (place, named, report.refused) == ("line 2", column, 1)
    assert reason in said
    assert bank.held() == []


def test_a_quote_that_is_never_closed_swallows_no_other_row(bank: Bank) -> None:
    good = base64.b64encode(certificate()).decode()
    path = bank.folder / "export.csv"
    path.write_text(f'certificate,product\n"{good},{BROWSER}\n{good},{BROWSER}\n"MAA\nMAA\n')

    report = bank.certificates(path)

    refused = [(it.place, it.reason) for it in bank.findings if it.refused]
    assert report.new == 1
    assert refused == [
        ("line 2", "a quote is opened and not closed"),
        ("line 4", "a quote is opened and not closed"),
    ]


def test_a_column_that_is_not_known_is_named(bank: Bank) -> None:
    with refused(ImportFileError, "line 1: unknown column 'colour'"):
        bank.table([{"certificate": "", "colour": ""}])


def test_a_product_without_policy_stops_before_anything_is_read(bank: Bank) -> None:
    with pytest.raises(XuqiError, match="no policy for the product 'gold'"):
        bank.certificates(bank.folder / "none.pem", product="gold")


# --- whose it is --------------------------------------------------------------------------------


def test_a_certificate_finds_its_customer_by_the_id_number_in_its_name(bank: Bank) -> None:
    bank.customers(a_customer())

    report = bank.pem(certificate("A123456789-00-00000001"), product=None)

    (row,), (customer,) = bank.held(), bank.on_file()
    assert (row.customer, row.product) == (customer.id, BROWSER)
    assert row.slot == f"{BROWSER}:c{customer.id}"
    assert (report.noted, bank.findings) == ({}, [])


def test_only_the_one_in_force_is_reminded_of_as_if_it_had_always_been_there(bank: Bank) -> None:
    bank.customers(a_customer())

    soon, later = NOON + 5 * DAY, NOON + 90 * DAY
    bank.pem(certificate(serial=1, not_after=soon), certificate(serial=2, not_after=later))

    first, second = bank.held()
    policy = bank.policies.of(BROWSER)
    assert (first.state, first.remind_at) == ("superseded", None)
    assert (second.state, second.remind_at) == (
        "active",
        reminder_schedule.next_look(NOON, later, policy, None),
    )


def test_a_reminder_that_is_owed_is_owed_at_once(bank: Bank) -> None:
    bank.customers(a_customer())

    bank.pem(certificate(not_after=NOON + 5 * DAY))

    with bank.store.snapshot() as work:
        assert to_remind(work, 10) == [1]


def test_without_customer_it_is_stored_noted_and_never_reminded_of(bank: Bank) -> None:
    report = bank.pem(certificate("Somebody"))

    (row,) = bank.held()
    decided = bank.everything()["decisions"]
    assert (row.customer, row.remind_at, row.state) == (None, None, "active")
    assert row.slot == f"{BROWSER}:x{row.certificate_sha256.hex()[:32]}"
    assert in_words(report.noted) == {NO_CUSTOMER: 1}
    assert [entry[3:6] for entry in decided] == [
        ("import", "no reminders", "import_without_customer")
    ]


@pytest.mark.parametrize(
    ("products", "reason"),
    [
        ([], "is not said, and its customer is enrolled for no product"),
        (
            [BROWSER, CARD],
            "is not said, and its customer is enrolled for several products",
        ),
    ],
)
def test_a_product_is_never_guessed(bank: Bank, products: list[str], reason: str) -> None:
    nothing = {"class": "", "operator": "", "branch": "", "account": ""}
    bank.customers(
        *([a_customer(product=name) for name in products] or [a_customer(product="") | nothing])
    )

    bank.pem(certificate(), certificate("Somebody"), product=None)

    why = "is not said, and there is no customer to tell it"
    assert [said.partition(":")[0] for _, _, said in bank.said()] == [reason, why]
    assert all("--product" in said for _, _, said in bank.said())
    assert bank.held() == []


def test_a_customer_who_is_not_enrolled_is_noted(bank: Bank) -> None:
    bank.customers(a_customer())

    report = bank.pem(certificate(), product=CARD)

    assert report.new == 1
    assert set(in_words(report.noted)) == {
        "its customer is not enrolled for the product",
        "no token: the branch will not know it",
    }


def test_a_customer_who_comes_later_is_added_by_the_same_file(bank: Bank) -> None:
    old = certificate(not_before=NOON - 200 * DAY)
    new = certificate(not_before=NOON - 100 * DAY)
    bank.pem(new, old)
    bank.customers(a_customer())

    dry = bank.pem(new, old, dry_run=True)
    report = bank.pem(new, old)
    again = bank.pem(new, old)

    first, second = bank.held()
    assert (dry.changed, report.changed, again.unchanged) == (2, 2, 2)
    assert dry.superseded == report.superseded
    assert first.slot == second.slot == f"{BROWSER}:c1"
    assert (first.state, second.state) == ("active", "superseded")
    assert first.remind_at is not None
    assert second.remind_at is None


# --- one in force in a slot ---------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_the_newest_of_a_slot_is_in_force_in_whatever_order_they_come(
    bank: Bank, order: tuple[int, ...], *, together: bool
) -> None:
    bank.customers(a_customer())
    made = [certificate(serial=n + 1, not_before=NOON - (300 - n) * DAY) for n in range(3)]

    if together:
        bank.pem(*(made[n] for n in order))
    else:
        for n in order:
            bank.pem(made[n])

    assert bank.states() == {"1": "superseded", "2": "superseded", "3": "active"}
    assert [row.remind_at is None for row in sorted(bank.held(), key=lambda it: it.serial)] == [
        *(True, True, False)
    ]


def test_both_edges_of_the_window_decide_whether_it_is_expired(bank: Bank) -> None:
    second = NOON.replace(microsecond=0)
    ends = {"1": second - 30 * DAY, "2": second - 30 * DAY - DAY / 86400}

    bank.pem(*(certificate("x", serial=int(n), not_after=end) for n, end in ends.items()))

    assert bank.states() == {"1": "active", "2": "expired"}


def test_a_newer_one_whose_window_is_over_does_not_take_the_slot(bank: Bank) -> None:
    bank.customers(a_customer())
    short = certificate(serial=2, not_before=NOON - 99 * DAY, not_after=NOON - 40 * DAY)

    bank.pem(certificate(serial=1), short)

    assert bank.states() == {"1": "active", "2": "expired"}


def test_revoked_and_suspended_ones_stay_so(bank: Bank) -> None:
    bank.customers(a_customer())
    made = ((1, 100, "suspended"), (2, 50, "revoked"), (3, 200, "active"))

    bank.table(
        {"certificate": cell(certificate(serial=n, not_before=NOON - age * DAY)), "state": state}
        | {"product": BROWSER}
        for n, age, state in made
    )

    assert bank.states() == {"1": "suspended", "2": "revoked", "3": "superseded"}


def test_one_token_is_one_slot_whoever_holds_it(bank: Bank) -> None:
    rows = [
        {
            "certificate": base64.b64encode(
                certificate("x", serial=n, not_before=NOON - (200 - n) * DAY)
            ).decode(),
            "product": CARD,
            "token_serial": token,
        }
        for n, token in ((1, "K1"), (2, "K1"), (3, "K2"))
    ]

    bank.table(rows)

    assert bank.states() == {"1": "superseded", "2": "active", "3": "active"}
    assert [row.slot for row in bank.held()] == [f"{CARD}:t{name}" for name in ("K1", "K1", "K2")]


def test_a_slot_whose_renewal_is_under_way_is_left_alone(bank: Bank) -> None:
    bank.customers(a_customer())
    bank.pem(certificate(serial=1, not_before=NOON - 340 * DAY))
    with bank.store.transaction() as work:
        request(work, work.certificates.get(1), bank.policies, branch=None)

    report = bank.pem(
        certificate(serial=2, not_before=NOON - 1 * DAY),
        certificate(serial=3, not_before=NOON - 341 * DAY),
    )

    assert bank.said() == [
        ("line 1", "", "a renewal is under way where this one would be in force")
    ]
    assert (report.refused, bank.states()) == (1, {"1": "active", "3": "superseded"})


def test_a_dry_run_foresees_what_earlier_batches_would_have_done(bank: Bank) -> None:
    bank.customers(*(a_customer(reference=f"C{n}", id_number=f"A{n:09d}") for n in range(9)))
    bank.pem(*(certificate(f"A{n:09d}-00", not_before=NOON - 330 * DAY) for n in range(5)))
    made = [
        certificate(f"A{n % 12:09d}-00", serial=n + 1, not_before=NOON - (n * 7 % 300) * DAY)
        for n in range(620)
    ]
    made += [made[3], made[600], certificate("other", serial=1)]
    bank.findings.clear()
    before = bank.everything()

    dry = bank.pem(*made, dry_run=True)
    foreseen, untouched = list(bank.findings), bank.everything()
    bank.findings.clear()
    real = bank.pem(*made)

    assert untouched == before
    assert bank.findings == foreseen
    assert (dry.new, dry.changed, dry.unchanged, dry.refused, dry.noted, dry.states) == (
        *(real.new, real.changed, real.unchanged, real.refused, real.noted),
        real.states,
    )
    assert dry.superseded == real.superseded > 0
    assert (real.new, real.unchanged, real.refused) == (620, 2, 1)
    in_force = [row.slot for row in bank.held() if row.state == "active" and row.customer]
    assert len(in_force) == len(set(in_force)) == 9


def test_one_that_finds_its_customer_late_takes_the_slot_from_an_older_one(bank: Bank) -> None:
    newer = certificate(serial=2, not_before=NOON - 100 * DAY)
    bank.pem(newer)
    bank.customers(a_customer())
    bank.pem(certificate(serial=1, not_before=NOON - 200 * DAY))

    report = bank.pem(newer)

    assert (report.changed, report.superseded) == (1, 1)
    assert bank.states() == {"1": "superseded", "2": "active"}


def test_one_that_finds_its_customer_and_gives_way_in_one_batch_keeps_both(bank: Bank) -> None:
    said = {"product": CARD, "token_serial": "K1"}
    old = said | {"certificate": cell(certificate(serial=1, not_before=NOON - 200 * DAY))}
    new = said | {"certificate": cell(certificate(serial=2, not_before=NOON - 100 * DAY))}
    bank.table([old])
    bank.customers(a_customer(product=CARD))

    bank.table([old, new])

    first, second = sorted(bank.held(), key=lambda row: row.serial)
    assert (first.customer, second.customer) == (1, 1)
    assert bank.states() == {"1": "superseded", "2": "active"}


def test_one_in_force_whose_window_is_over_gives_way_to_an_older_one(bank: Bank) -> None:
    bank.customers(a_customer())
    bank.pem(certificate(serial=2, not_before=NOON - 9 * DAY, not_after=NOON + DAY))
    clock = bank.store.clock
    assert isinstance(clock, VirtualClock)
    clock.advance_to(NOON + 60 * DAY)

    bank.pem(certificate(serial=1, not_before=NOON - 300 * DAY, not_after=NOON + 65 * DAY))

    assert bank.states() == {"1": "active", "2": "expired"}


# --- on file already ----------------------------------------------------------------------------


def test_another_certificate_of_the_same_issuer_and_serial_is_refused(bank: Bank) -> None:
    bank.pem(certificate(serial=7))

    bank.pem(certificate(serial=7), certificate("B123456780-00", serial=7))

    refused = [finding for finding in bank.findings if finding.refused]
    assert len(refused) == 2  # an ECDSA signature is another each time: the bytes differ
    assert {it.reason for it in refused} == {"another one of this issuer and serial is on file"}


def test_what_contradicts_the_file_of_record_is_refused(bank: Bank) -> None:
    bank.customers(
        a_customer(),
        a_customer(product=CARD),
        a_customer(reference="C2", id_number="B123456780"),
    )
    cell = base64.b64encode(certificate()).decode()
    whole = {"certificate": cell, "product": CARD, "token_serial": "K1", "reference": "C00000000"}
    bank.table([whole])
    before = bank.everything()

    for other in ({"product": BROWSER}, {"reference": "C2"}, {"token_serial": "K2"}):
        bank.table([whole | other])

    assert [reason for _, _, reason in bank.said()] == [
        "is on file for another product",
        "is in the name of another customer on file: did the rows slip?",
        "is on file with another token",
    ]
    assert bank.everything() == before


def test_a_revocation_that_only_the_file_knows_is_noted_not_done(bank: Bank) -> None:
    cell = base64.b64encode(certificate()).decode()
    bank.table([{"certificate": cell, "product": BROWSER, "state": ""}])

    report = bank.table([{"certificate": cell, "product": BROWSER, "state": "revoked"}])

    assert [row.state for row in bank.held()] == ["active"]
    assert in_words(report.noted)["is in another state on file: nothing was changed"] == 1


# --- kept safe, and many ------------------------------------------------------------------------


def test_nothing_personal_is_in_the_findings_or_in_clear_in_the_database(bank: Bank) -> None:
    bank.pem(certificate("Z198765432-00-CANARY"), certificate("Z198765432-00-CANARY"))

    bank.store.engine.dispose()
    stored = b"".join(path.read_bytes() for path in (bank.folder / "db").iterdir())
    for canary in ("Z198765432", "CANARY"):
        assert canary not in repr(bank.findings)
        assert canary.encode() not in stored


def test_a_batch_asks_each_table_once(bank: Bank) -> None:
    asked: list[str] = []
    bank.customers(a_customer())
    sa.event.listen(bank.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))

    bank.pem(*(certificate(f"A12345678{n % 10}-00") for n in range(500)))

    assert sum(statement.startswith("BEGIN") for statement in asked) == 1
    assert len(asked) <= 14


def test_the_slot_in_force_is_found_by_its_index(bank: Bank) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    sa.event.listen(
        bank.store.engine,
        "before_cursor_execute",
        lambda *call: asked.append((call[2], call[3])),
    )

    with bank.store.snapshot() as work:
        import_queries.in_force(work, ["a:c1", "a:c2"])
        import_queries.under_renewal(work, ["a:c1", "a:c2"])
    questions = [it for it in asked if it[0].startswith("SELECT")]
    with bank.store.engine.connect() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
            for statement, values in questions
        ]

    assert len(plans) == 2
    assert all("SEARCH" in plan for plan in plans)
    assert not any(
        f"SCAN {table}" in plan for plan in plans for table in ("certificates", "renewals")
    )


def test_memory_does_not_grow_with_the_number_of_certificates(bank: Bank) -> None:
    one = pem(certificate())
    (bank.folder / "small.pem").write_bytes(one * 1_500)
    (bank.folder / "large.pem").write_bytes(one * 6_000)
    bank.findings = type("Nowhere", (list,), {"append": lambda _, __: None})()

    def peak(name: str) -> int:
        tracemalloc.start()
        bank.certificates(bank.folder / name, dry_run=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak("small.pem")
    small, large = peak("small.pem"), peak("large.pem")

    assert large < small * 1.15
