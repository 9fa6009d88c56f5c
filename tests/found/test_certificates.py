"""Holds that certificates and customers come in as other makers and banks write them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PublicFormat,
    pkcs12,
)

from back_office.imports.sample import write_customers
from tests.back_office.imports.making import BROWSER, a_customer
from tests.found.other_ca import (
    CN,
    COUNTRY,
    DAY,
    GENERAL_TIME,
    KEY_USAGE,
    NOON,
    NULL,
    OCTETS,
    ORG,
    PRINTABLE,
    SERIAL_NUMBER,
    SET,
    TELETEX,
    UTC_TIME,
    OtherCa,
    attribute,
    extensions,
    integer,
    name,
    named,
    oid,
    pem,
    rdn,
    seq,
    spki_of,
    tlv,
    version,
)
from tests.xuqi import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from back_office.imports.report import ImportReport
    from tests.back_office.imports.making import Bank
    from tests.xuqi.sample import Bank as Home

ID = "A123456789"
BIG5 = "第一銀行".encode("cp950")
LATIN_1 = "Compañía".encode("latin-1")


def import_file(bank: Bank, content: str | bytes, file: str = "c.pem") -> ImportReport:
    path = bank.folder / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return bank.certificates(path, product=BROWSER)


def base64_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


def cases(**each: object) -> list[object]:
    return [pytest.param(case, id=name) for name, case in each.items()]


# --- f02: slipped rows ----------------------------------------------------------------------------


def test_a_certificate_in_the_name_of_another_customer_on_file_is_refused(bank: Bank) -> None:
    bank.customers(a_customer(reference="C1"), a_customer(reference="C2", id_number="B223456782"))
    ca = OtherCa()
    one, two = (ca.certificate(named(f"{it}-00-000001")) for it in (ID, "B223456782"))

    report = bank.table(
        [
            {"certificate": base64_of(one), "reference": "C2"},
            {"certificate": base64_of(two), "reference": "C1"},
        ],
    )

    assert (report.new, report.refused) == (0, 2)
    assert bank.held() == []


def test_an_id_number_that_is_not_the_certificates_is_refused(bank: Bank) -> None:
    bank.customers(a_customer(reference="C1"), a_customer(reference="C2", id_number="B223456782"))

    report = bank.table(
        [{"certificate": base64_of(OtherCa().certificate()), "id_number": "B223456782"}]
    )

    assert (report.new, report.refused) == (0, 1)


def test_a_certificate_in_the_name_of_a_stranger_is_noted(bank: Bank) -> None:
    bank.customers(a_customer(reference="C1"))

    report = bank.table(
        [
            {
                "certificate": base64_of(OtherCa().certificate(named("B223456782-00-000001"))),
                "reference": "C1",
            }
        ]
    )

    assert report.new == 1
    assert any("name" in finding.reason for finding in bank.findings)


# --- f06: PEM in every dress ----------------------------------------------------------------------


def _one_line(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----{base64_of(der)}-----END CERTIFICATE-----\n"


def _quoted(a: bytes, b: bytes) -> str:
    return "> " + pem(a).rstrip("\n").replace("\n", "\n> ") + "\n" + pem(b)


def _spaced(a: bytes, b: bytes) -> str:
    text = pem(a).replace("-----BEGIN CERTIFICATE-----", "----- BEGIN CERTIFICATE -----")
    return text.replace("-----END CERTIFICATE-----", "----- END CERTIFICATE -----") + pem(b)


DRESSES: dict[str, Callable[[bytes, bytes], str]] = {
    "a UTF-8 mark at the start": lambda a, b: "\ufeff" + pem(a) + pem(b),
    "no newline at the end of the first file": lambda a, b: pem(a).rstrip("\n") + pem(b),
    "a block on one line": lambda a, b: _one_line(a) + pem(b),
    "quoted as in a mail": _quoted,
    "the mark behind a key of YAML": lambda a, b: "cert: " + pem(a) + "x: |\n" + pem(b),
    "text before the mark on its line": lambda a, b: "subject=CN=x " + pem(a) + pem(b),
    "the mark in mixed case": lambda a, b: pem(a).replace(" CERT", " Cert") + pem(b),
    "four hyphens": lambda a, b: pem(a).replace("-----", "----") + pem(b),
    "blanks within the mark": _spaced,
}


@pytest.mark.parametrize("dress", cases(**DRESSES))
def test_what_looks_like_a_certificate_is_taken_or_a_finding(
    bank: Bank, dress: Callable[[bytes, bytes], str]
) -> None:
    bank.customers(a_customer(), a_customer(reference="C2", id_number="B223456782"))
    ca = OtherCa()

    report = import_file(
        bank, dress(ca.certificate(), ca.certificate(named("B223456782-00-000001")))
    )

    assert report.new + report.refused >= 2


def test_lines_that_end_in_a_carriage_return_alone_are_never_passed_over(bank: Bank) -> None:
    ca = OtherCa()

    report = import_file(bank, (pem(ca.certificate()) + pem(ca.certificate())).replace("\n", "\r"))

    assert report.new + report.refused >= 1


# --- f10: one attribute in another encoding -------------------------------------------------------

GOOD = rdn(attribute(CN, b"A123456789-00-1"))
SUBJECTS = {
    "O as T61String in Latin-1": name(rdn(attribute(ORG, LATIN_1, TELETEX)), GOOD),
    "O as T61String in Big5": name(rdn(attribute(ORG, BIG5, TELETEX)), GOOD),
    "O as UTF8String that holds Big5": name(rdn(attribute(ORG, BIG5)), GOOD),
    "an attribute that is an INTEGER": name(rdn(seq(oid(SERIAL_NUMBER), integer(5))), GOOD),
    "a common name with Latin-1 behind the ID": name(
        rdn(attribute(CN, "A123456789-00-Núñez".encode("latin-1"), TELETEX))
    ),
}


@pytest.mark.parametrize("subject", cases(**SUBJECTS))
def test_one_odd_attribute_does_not_hide_the_customer(bank: Bank, subject: bytes) -> None:
    bank.customers(a_customer())

    import_file(bank, pem(OtherCa().certificate(subject)))

    assert [row.customer for row in bank.held()] == [1]


# --- f11: not quite DER ---------------------------------------------------------------------------


def _rsa_with_other_parameters() -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    bits = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return seq(seq(oid("1.2.840.113549.1.1.1"), seq()), tlv(3, b"\0" + bits))


_BASIC = seq(oid("2.5.29.19"), b"\1\1\0", tlv(OCTETS, seq()))
NOT_QUITE_DER: dict[str, Callable[[OtherCa], bytes]] = {
    "critical FALSE written out": lambda ca: ca.certificate(
        extensions=extensions(_BASIC, KEY_USAGE)
    ),
    "version 1 written out": lambda ca: ca.certificate(version=version(0)),
    "a PrintableString with @ and _": lambda ca: ca.certificate(
        name(rdn(attribute(ORG, b"a@b*_&", PRINTABLE)), GOOD)
    ),
    "a common name as PrintableString with _": lambda ca: ca.certificate(
        named("A123456789-00-000001_x", PRINTABLE)
    ),
    "UTCTime without seconds": lambda ca: ca.certificate(not_after=tlv(UTC_TIME, b"2712312359Z")),
    "UTCTime with an offset": lambda ca: ca.certificate(
        not_after=tlv(UTC_TIME, b"271231235959+0800")
    ),
    "a fraction of a second": lambda ca: ca.certificate(
        not_after=tlv(GENERAL_TIME, b"20271231235959.5Z")
    ),
    "ECDSA with NULL": lambda ca: ca.certificate(
        algorithm=seq(oid("1.2.840.10045.4.3.2"), tlv(NULL))
    ),
    "rsaEncryption with other parameters": lambda ca: ca.certificate(
        spki=_rsa_with_other_parameters()
    ),
    "attributes of one RDN out of order": lambda ca: ca.certificate(
        name(
            tlv(
                SET,
                attribute(ORG, b"zz"),
                attribute(CN, b"A123456789-00-000001"),
                attribute(COUNTRY, b"TW", PRINTABLE),
            )
        )
    ),
    "a serial with leading zero octets": lambda ca: ca.certificate(serial=b"\0\0\0\5"),
}


@pytest.mark.parametrize("made", cases(**NOT_QUITE_DER))
def test_a_certificate_that_others_read_is_read(
    bank: Bank, made: Callable[[OtherCa], bytes]
) -> None:
    bank.customers(a_customer())

    report = import_file(bank, pem(made(OtherCa())))

    assert (report.new, bank.said()) == (1, [])
    assert bank.held()[0].customer == 1


def test_a_certificate_of_version_2_is_read(bank: Bank) -> None:
    bank.customers(a_customer())

    report = import_file(bank, pem(OtherCa().certificate(version=version(1))))

    assert report.new == 1


# --- f13: names that a bank has made itself -------------------------------------------------------

NAMES = {
    "a character of one's own": "王\ue000明".encode(),
    "one of the higher planes": "林\U000f0001".encode(),
    "a zero-width joiner": "張\u200d三".encode(),
    "Big5 FA40": b"\xa4\xfd\xfa\x40",
    "Big5 8E40": b"\xa4\xfd\x8e\x40",
    "Big5 8740": b"\xa4\xfd\x87\x40",
}


@pytest.mark.parametrize("written", cases(**NAMES))
def test_a_customer_with_a_character_of_the_banks_own_comes_in(bank: Bank, written: bytes) -> None:
    text = _customers_csv("@@").replace(b"@@", written)

    report = bank.text(text)

    assert (report.new, report.refused) == (1, 0)


def test_a_name_in_plain_big5_comes_in(bank: Bank) -> None:
    assert bank.text(_customers_csv("@@").replace(b"@@", b"\xa4\xfd\xf9\xd6")).new == 1


def _customers_csv(called: str) -> bytes:
    row = a_customer(name=called)
    return (",".join(row) + "\n" + ",".join(row.values()) + "\n").encode()


# --- f29: files handed in by mistake --------------------------------------------------------------


def _pkcs12(der: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"x", key, x509.load_der_x509_certificate(der), None, NoEncryption()
    )


def _pkcs7(der: bytes) -> bytes:
    data = seq(oid("1.2.840.113549.1.7.1"))
    signed = seq(integer(1), tlv(SET), data, tlv(0xA0, der), tlv(SET))
    return seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed))


def _crl(key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(x509.Name([]))
    made = builder.last_update(NOON).next_update(NOON + DAY).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


def _table(heading: str, *cells: str) -> str:
    return f"{heading}\n{','.join(cells)}\n"


KEY = ec.generate_private_key(ec.SECP256R1())
MISTAKES: dict[str, tuple[Callable[[bytes], str | bytes], str, str]] = {
    "PKCS#12": (lambda der: _pkcs12(der, KEY), "a.pfx", "PKCS#12"),
    "base64 without marks": (lambda der: base64_of(der) + "\n", "a.cer", "base64"),
    "a CRL": (lambda _: _crl(KEY), "a.crl", "CRL"),
}
UNDERSTOOD: dict[str, tuple[Callable[[bytes], str | bytes], str]] = {
    "PKCS#7 under the mark of a certificate": (lambda der: pem(_pkcs7(der)), "a.pem"),
    "the text guard of Excel": (
        lambda der: _table("certificate,reference", base64_of(der), '="C00000000"'),
        "a.csv",
    ),
    "a serial with an invisible sign": (
        lambda der: _table("certificate,serial", base64_of(der), "\u200e01"),
        "a.csv",
    ),
    "an empty last column": (
        lambda der: _table("certificate,serial,", base64_of(der), "1", ""),
        "a.csv",
    ),
    "DER filled up with zeros": (lambda der: der + bytes(100), "a.der"),
}


@pytest.mark.parametrize("case", cases(**MISTAKES))
def test_a_file_handed_in_by_mistake_is_named(
    bank: Bank, case: tuple[Callable[[bytes], str | bytes], str, str]
) -> None:
    made, file, word = case
    der = OtherCa().certificate(spki=spki_of(KEY))

    report = import_file(bank, made(der), file)

    assert report.new or any(word in finding.reason for finding in bank.findings)


@pytest.mark.parametrize("case", cases(**UNDERSTOOD))
def test_what_tools_add_to_a_file_is_taken_off(
    bank: Bank, case: tuple[Callable[[bytes], str | bytes], str]
) -> None:
    made, file = case
    bank.customers(a_customer(reference="C00000000"))

    report = import_file(bank, made(OtherCa().certificate(serial=1)), file)

    assert (report.new, report.refused) == (1, 0)


# --- f07: a certificate without an end ------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with sample.opened(tmp_path / "bank") as opened:
        opened.browser()
        yield opened


COMMANDS = (
    ("certificates", "list"),
    ("certificates", "show", "2"),
    ("why", "2"),
    ("scan", "--dry-run"),
    ("scan",),
    ("status",),
    ("check",),
    ("messages", "list", "--calls"),
    ("renewals", "start", "2", "--who", "a", "--why", "b"),
    ("code", "send", "2"),
)


@pytest.mark.parametrize("lang", ["zh-TW", "en"])
def test_a_certificate_without_an_end_breaks_no_list(home: Home, lang: str) -> None:
    path = home.home.parent / "customers.csv"
    write_customers(path, [a_customer()])
    home.run("import", "customers", str(path))
    never = OtherCa().certificate(
        not_before=datetime(2001, 1, 1, tzinfo=UTC),
        not_after=tlv(GENERAL_TIME, b"99991231235959Z"),
    )
    (home.home.parent / "never.pem").write_text(pem(never))
    home.run("import", "certificates", str(home.home.parent / "never.pem"), "--unverified")

    shown = {args: home.run(*args, lang=lang).output for args in COMMANDS}

    assert "9999-12-31" in shown["certificates", "show", "2"]
    assert "9999-12-31" in shown["certificates", "list"]
