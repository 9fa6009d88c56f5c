"""A customer's certificate says exactly what its profile says."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal.clock import VirtualClock
from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import database, profiles
from renewal.gateways.ca.embedded.adapter import EmbeddedCa, Seed
from renewal.gateways.ca.embedded.authority import new_key, root
from renewal.gateways.ca.embedded.ceremony import CaSettings
from renewal.gateways.ca.embedded.subject_key import from_public_key
from renewal.gateways.ca.embedded.to_be_signed import Template
from tests.renewal.gateways.ca.asking import (
    END,
    START,
    csr_of,
    ecdsa_key_of,
    key,
    open_ca,
    parsed,
    public_key,
    request,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "http://127.0.0.1:8080"


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def certificate(ca: EmbeddedCa) -> x509.Certificate:
    return parsed(ca.issue(request()).certificate)


def test_the_subject_is_ours_and_its_country_a_printable_string(
    certificate: x509.Certificate,
) -> None:
    attributes = [(found.oid, found.value) for found in certificate.subject]

    assert attributes == [
        (NameOID.COUNTRY_NAME, "TW"),
        (NameOID.ORGANIZATION_NAME, "Finance"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Certificate Centre"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Signing"),
        (NameOID.COMMON_NAME, "J220230000-00-000000"),
    ]
    printable_tw = b"\x13\x02TW"
    assert printable_tw in certificate.subject.public_bytes()


def test_the_key_may_sign_and_commit_and_nothing_else(certificate: x509.Certificate) -> None:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)

    assert usage.critical
    assert usage.value.public_bytes() == b"\x03\x02\x06\xc0"  # the first two bits


def test_it_is_for_log_in_and_mail(certificate: x509.Certificate) -> None:
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)

    assert list(usage.value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ]


def test_it_names_its_policy_and_where_to_ask(certificate: x509.Certificate) -> None:
    found = certificate.extensions
    policies = found.get_extension_for_class(x509.CertificatePolicies).value
    points = found.get_extension_for_class(x509.CRLDistributionPoints).value
    access = found.get_extension_for_class(x509.AuthorityInformationAccess).value

    assert [one.policy_identifier.dotted_string for one in policies] == ["1.3.6.1.4.1.32473.1.1"]
    [point] = points
    assert point.full_name == [x509.UniformResourceIdentifier(f"{BASE}/ca/issuing.crl")]
    assert [(one.access_method, one.access_location.value) for one in access] == [
        (AuthorityInformationAccessOID.OCSP, f"{BASE}/ocsp"),
        (AuthorityInformationAccessOID.CA_ISSUERS, f"{BASE}/ca/issuing.crt"),
    ]


def test_its_key_identifiers_are_those_of_the_two_keys(
    ca: EmbeddedCa, certificate: x509.Certificate
) -> None:
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    issuer = ecdsa_key_of(ca.issuing_certificate)

    assert own.digest == hashlib.sha1(public_key()[-65:]).digest()  # noqa: S324 -- RFC 5280, 4.2.1.2
    assert authority == x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)


def test_it_has_these_extensions_and_no_other(certificate: x509.Certificate) -> None:
    names = {one.oid._name for one in certificate.extensions}

    assert names == {
        *("keyUsage", "extendedKeyUsage", "certificatePolicies", "cRLDistributionPoints"),
        *("authorityInfoAccess", "authorityKeyIdentifier", "subjectKeyIdentifier"),
    }
    assert certificate.version == x509.Version.v3


@settings(max_examples=60, deadline=None)
@given(
    serial=st.integers(1, 1 << 159),
    begin=st.datetimes(datetime(1951, 1, 1), datetime(2098, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis adds the zone
    days=st.integers(1, 365),
    digits=st.integers(0, 999_999),
)
def test_what_is_written_by_hand_is_what_the_builder_of_cryptography_writes(
    serial: int, begin: datetime, days: int, digits: int
) -> None:
    begin = begin.replace(microsecond=0)
    end = begin + timedelta(days=days)
    authority = root(key(1000), START, END)
    profile = profiles.load()["signing"]
    name = profile.name(f"J220230000-00-{digits:06}")

    by_hand = Template(profile, authority.issuer, BASE).fill(
        serial=serial,
        subject=name,
        not_before=begin,
        not_after=end,
        key=from_public_key(public_key()),
    )

    builder = x509.CertificateBuilder(
        authority.certificate.subject, name, key().public_key(), serial, begin, end
    )
    for extension, critical in profile.extensions(BASE):
        builder = builder.add_extension(extension, critical=critical)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(1000).public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key().public_key())
    builder = builder.add_extension(issuer, critical=False).add_extension(own, critical=False)
    built = builder.sign(key(1000), hashes.SHA256(), ecdsa_deterministic=True)
    assert built.tbs_certificate_bytes == by_hand
    assert built.public_bytes(Encoding.DER) == authority.sign(by_hand)


def test_it_verifies_up_to_the_root(ca: EmbeddedCa, certificate: x509.Certificate) -> None:
    issuing, root_ = parsed(ca.issuing_certificate), parsed(ca.root_certificate)

    certificate.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root_)


def test_the_issuing_ca_issues_to_customers_only_and_the_root_to_one_ca_below(
    ca: EmbeddedCa,
) -> None:
    issuing, root_ = parsed(ca.issuing_certificate), parsed(ca.root_certificate)

    for certificate, length in ((issuing, 0), (root_, 1)):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=length)
        assert usage.critical
        assert usage.value.public_bytes() == b"\x03\x02\x01\x06"  # keyCertSign, cRLSign
        assert 64 < certificate.serial_number.bit_length() <= 159
    assert issuing.not_valid_after_utc < root_.not_valid_after_utc


def test_a_ca_with_rsa_keys_issues_to_customers_with_rsa_keys(tmp_path: Path) -> None:
    ca = open_ca(tmp_path, settings=CaSettings(key="RSA-2048"))
    asked = request(csr=csr_of(rsa.generate_private_key(65_537, 2048)))

    certificate = parsed(ca.issue(asked).certificate)

    certificate.verify_directly_issued_by(parsed(ca.issuing_certificate))
    assert ca.issue(asked).certificate == certificate.public_bytes(Encoding.DER)
    ca.close()


def test_an_end_beyond_2049_is_written_and_read(tmp_path: Path) -> None:
    now = datetime(2049, 6, 1, tzinfo=UTC)
    end = datetime(2051, 6, 1, 15, 59, 59, tzinfo=UTC)
    ca = open_ca(tmp_path, VirtualClock(now))

    certificate = parsed(ca.issue(request(not_before=now, not_after=end)).certificate)

    assert certificate.not_valid_after_utc == end
    assert b"\x18\x0f20510601155959Z" in certificate.tbs_certificate_bytes
    assert b"\x17\x0d490601000000Z" in certificate.tbs_certificate_bytes
    ca.close()


def test_it_may_end_with_the_ca_and_not_a_second_later(tmp_path: Path) -> None:
    ca = open_ca(tmp_path, settings=CaSettings(issuing_lasts=timedelta(days=90)))
    last = parsed(ca.issuing_certificate).not_valid_after_utc

    with pytest.raises(GatewayRefusedError, match="beyond the CA's own"):
        ca.issue(request(not_after=last + timedelta(seconds=1)))
    assert parsed(ca.issue(request(not_after=last)).certificate).not_valid_after_utc == last
    ca.close()


def test_it_may_last_as_long_as_its_profile_says_and_not_a_second_longer(ca: EmbeddedCa) -> None:
    longest = START + timedelta(days=830)

    with pytest.raises(GatewayRefusedError, match="longer than 830 days"):
        ca.issue(request(not_after=longest + timedelta(seconds=1)))
    assert ca.issue(request(not_after=longest)).certificate


def test_a_part_of_a_second_is_cut_from_the_start_and_refused_at_the_end(ca: EmbeddedCa) -> None:
    half = timedelta(milliseconds=500)

    with pytest.raises(GatewayRefusedError, match="exact to the second"):
        ca.issue(request(not_after=END + half))
    asked = request(not_before=START + half)
    assert parsed(ca.issue(asked).certificate).not_valid_before_utc == START


def test_a_moment_without_time_zone_is_refused(ca: EmbeddedCa) -> None:
    with pytest.raises(GatewayRefusedError, match="no time zone"):
        ca.issue(request(not_after=END.replace(tzinfo=None)))


def test_a_sample_bank_has_certificates_from_before_and_some_are_over(
    ca: EmbeddedCa, tmp_path: Path
) -> None:
    begin, end = START - timedelta(days=400), START - timedelta(days=35)
    seed = Seed(
        key=public_key(1),
        common_name="J220230000-00-000001",
        profile="signing",
        not_before=begin,
        not_after=end,
    )

    [first] = ca.seed_many([seed])
    [again] = ca.seed_many([seed])
    by_request = ca.seed(request(2).csr, "J220230000-00-000002", "signing", begin, end)

    assert first == again
    assert parsed(first).not_valid_after_utc == end
    assert [line["at"] for line in told(tmp_path)] == [begin.isoformat(timespec="microseconds")] * 2
    assert [line["request_id"] for line in told(tmp_path)] == [None, None]
    listed = list(ca.certificates())
    assert [one.certificate for one in listed] == [first, by_request]
    assert [one.request_id for one in listed] == [None, None]
    with pytest.raises(GatewayRefusedError, match="used before"):
        ca.issue(request(1))


def test_one_bad_seed_leaves_none_of_its_batch(ca: EmbeddedCa) -> None:
    good = Seed(
        key=public_key(1),
        common_name="J220230000-00-000001",
        profile="signing",
        not_before=START,
        not_after=END,
    )
    bad = Seed(
        key=b"", common_name=good.common_name, profile="signing", not_before=START, not_after=END
    )

    with pytest.raises(GatewayRefusedError, match="not a public key"):
        ca.seed_many([good, bad])

    assert list(ca.certificates()) == []


def test_the_ca_lists_what_it_issued_in_order_over_many_pages(
    ca: EmbeddedCa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAGE", 5)
    asked = [request(number) for number in range(12)]
    answers = ca.issue_many(asked)

    listed = list(ca.certificates())

    assert [one.request_id for one in listed] == [one.request_id for one in asked]
    assert [one.certificate for one in listed] == [
        one.certificate for one in answers if not isinstance(one, GatewayRefusedError)
    ]


def test_a_batch_answers_each_request_by_itself(ca: EmbeddedCa) -> None:
    answers = ca.issue_many([request(1), request(2, common_name="?"), request(1), request(3)])

    assert isinstance(answers[1], GatewayRefusedError)
    assert answers[0] == answers[2] != answers[3]
    assert len(list(ca.certificates())) == 2


def test_a_key_of_the_ca_is_of_a_known_kind() -> None:
    with pytest.raises(Exception, match="cannot be 'P-257'"):
        new_key("P-257")
    assert (
        new_key("P-256").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
