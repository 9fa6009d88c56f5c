"""The CRL, the OCSP answers and their pages, as OpenSSL and cryptography read them."""

from __future__ import annotations

import base64
import http.client
import subprocess
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal.clock import SystemClock, VirtualClock
from renewal.gateways.ca.embedded import crl
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.ca.embedded.authority import root
from renewal.gateways.ca.embedded.ceremony import SKEW, CaSettings
from renewal.gateways.ca.embedded.http import HttpAnswer, answer
from renewal.gateways.ca.embedded.ocsp import LONGEST, MALFORMED
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import (
    END,
    PASSPHRASE,
    START,
    ecdsa_key_of,
    key,
    open_ca,
    parsed,
    request,
    serial_of,
)
from xuqi.serving.http import Mount, listening, mounted
from xuqi.serving.public_site import application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKNOWN_SERIAL = 4711


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def ca(tmp_path: Path, clock: VirtualClock) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path, clock)
    yield opened
    opened.close()


def issue(ca: EmbeddedCa, number: int = 0) -> x509.Certificate:
    return parsed(ca.issue(request(number)).certificate)


def read_crl(ca: EmbeddedCa) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(ca.crl())


def number_of(found: x509.CertificateRevocationList) -> int:
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def reasons(found: x509.CertificateRevocationList) -> dict[int, x509.ReasonFlags]:
    return {
        one.serial_number: one.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for one in found
        if len(one.extensions)
    }


def question(ca: EmbeddedCa, serial: int, nonce: bytes | None = None) -> bytes:
    name = sha256(parsed(ca.issuing_certificate).subject.public_bytes()).digest()
    point = ecdsa_key_of(ca.issuing_certificate).public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        name, sha256(point).digest(), serial, hashes.SHA256()
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ask(ca: EmbeddedCa, serial: int, nonce: bytes | None = None) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(ca.ocsp(question(ca, serial, nonce)))


# -- the CRL


def test_an_empty_crl_is_signed_by_the_ca_and_names_its_key(ca: EmbeddedCa) -> None:
    found = read_crl(ca)
    issuer = ecdsa_key_of(ca.issuing_certificate)

    assert found.is_signature_valid(issuer)
    authority = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority == x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)
    assert len(found) == 0
    assert found.last_update_utc == START - SKEW
    assert found.next_update_utc == START + timedelta(hours=24)


def test_each_entry_has_its_reason_and_a_hold_is_a_hold(ca: EmbeddedCa) -> None:
    held = issue(ca, 0).serial_number
    given = {
        issue(ca, number).serial_number: reason
        for number, reason in enumerate(RevocationReason, start=1)
    }
    for serial, reason in given.items():
        ca.revoke(serial, reason, request_id=f"r-{serial}")
    ca.suspend(held, request_id="s-1")

    named = {serial: x509.ReasonFlags(reason.value) for serial, reason in given.items()}
    said = {
        serial: reason
        for serial, reason in named.items()
        if reason is not x509.ReasonFlags.unspecified  # RFC 5280, 5.3.1: that is left out
    }
    assert {entry.serial_number for entry in read_crl(ca)} == {held, *given}
    assert reasons(read_crl(ca)) == {held: x509.ReasonFlags.certificate_hold, **said}
    for serial in given:
        answered = ask(ca, serial)
        assert answered.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert answered.revocation_reason == said.get(serial)


def test_a_resumed_certificate_leaves_the_crl(ca: EmbeddedCa) -> None:
    serial = issue(ca).serial_number
    ca.suspend(serial, request_id="s-1")
    assert serial in reasons(read_crl(ca))

    ca.resume(serial, request_id="s-2")

    assert serial not in reasons(read_crl(ca))


def test_the_first_date_and_reason_of_a_revocation_stay(
    ca: EmbeddedCa, clock: VirtualClock
) -> None:
    serial = issue(ca).serial_number
    ca.revoke(serial, RevocationReason.SUPERSEDED, request_id="r-1")
    clock.advance_to(START + timedelta(days=3))

    ca.revoke(serial, RevocationReason.KEY_COMPROMISE, request_id="r-2")

    entry = read_crl(ca).get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.revocation_date_utc == START
    assert reasons(read_crl(ca)) == {serial: x509.ReasonFlags.superseded}


def test_a_hold_that_becomes_a_revocation_has_the_date_of_the_revocation(
    ca: EmbeddedCa, clock: VirtualClock
) -> None:
    serial = issue(ca).serial_number
    ca.suspend(serial, request_id="s-1")
    clock.advance_to(START + timedelta(days=3))

    ca.revoke(serial, RevocationReason.KEY_COMPROMISE, request_id="r-1")

    entry = read_crl(ca).get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.revocation_date_utc == START + timedelta(days=3) - SKEW  # never after its list


def test_the_number_grows_with_each_change_and_only_then(
    ca: EmbeddedCa, tmp_path: Path, clock: VirtualClock
) -> None:
    serial = issue(ca).serial_number
    first = ca.crl()
    assert ca.crl() == first

    ca.suspend(serial, request_id="s-1")
    second = ca.crl()
    ca.close()
    reopened = open_ca(tmp_path, clock)
    assert reopened.crl() == second
    reopened.resume(serial, request_id="s-2")

    assert [number_of(x509.load_der_x509_crl(der)) for der in (first, second)] == [1, 2]
    assert number_of(read_crl(reopened)) == 3
    reopened.close()


def test_an_unchanged_crl_is_renewed_at_half_its_life(ca: EmbeddedCa, clock: VirtualClock) -> None:
    first = ca.crl()
    clock.advance_to(START + timedelta(hours=11, minutes=59))
    assert ca.crl() == first

    clock.advance_to(START + timedelta(hours=12))

    assert number_of(read_crl(ca)) == 2
    assert read_crl(ca).next_update_utc == START + timedelta(hours=36)


def test_the_root_has_an_empty_crl_for_a_year(ca: EmbeddedCa) -> None:
    found = x509.load_der_x509_crl(ca.root_crl())

    assert found.is_signature_valid(ecdsa_key_of(ca.root_certificate))
    assert len(found) == 0
    assert found.next_update_utc is not None
    assert found.next_update_utc - found.last_update_utc < timedelta(days=366)


@settings(max_examples=30, deadline=None)
@given(
    entries=st.lists(
        st.tuples(
            st.integers(1, 1 << 158),
            st.datetimes(timezones=st.just(START.tzinfo)).filter(lambda at: at.year > 1950),
            st.sampled_from(sorted(crl.REASONS)),
        ),
        max_size=4,
    ),
    number=st.integers(1, 1 << 60),
)
def test_a_crl_written_by_hand_is_what_the_builder_of_cryptography_writes(
    entries: list[tuple[int, datetime, str]], number: int
) -> None:
    authority = root(key(1000), START, END)

    by_hand = crl.build(
        authority,
        [crl.entry(*one) for one in entries],
        number=number,
        this_update=START,
        next_update=END,
    )

    revoked = [
        x509.RevokedCertificateBuilder(
            serial,
            at.replace(microsecond=0),
            [x509.Extension(x509.CRLReason.oid, False, x509.CRLReason(x509.ReasonFlags(why)))]  # noqa: FBT003 -- positional there
            if why != "unspecified"
            else [],
        ).build()
        for serial, at, why in entries
    ]
    builder = x509.CertificateRevocationListBuilder(
        authority.certificate.subject, START, END, revoked_certificates=revoked
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(1000).public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    built = builder.sign(key(1000), hashes.SHA256(), ecdsa_deterministic=True)
    assert built.public_bytes(Encoding.DER) == by_hand


# -- OCSP


def test_good_revoked_on_hold_and_unknown_are_told_apart(ca: EmbeddedCa) -> None:
    good, revoked, held = (issue(ca, number).serial_number for number in range(3))
    ca.revoke(revoked, RevocationReason.KEY_COMPROMISE, request_id="r-1")
    ca.suspend(held, request_id="s-1")

    status = ocsp.OCSPCertStatus
    assert ask(ca, good).certificate_status == status.GOOD
    assert ask(ca, revoked).certificate_status == status.REVOKED
    assert ask(ca, revoked).revocation_reason == x509.ReasonFlags.key_compromise
    assert ask(ca, revoked).revocation_time_utc == START - SKEW
    assert ask(ca, held).revocation_reason == x509.ReasonFlags.certificate_hold
    assert ask(ca, UNKNOWN_SERIAL).certificate_status == status.UNKNOWN


def test_of_another_cas_certificates_nothing_is_said(ca: EmbeddedCa) -> None:
    serial = issue(ca).serial_number
    asked = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        bytes(20),
        bytes(20),
        serial,
        hashes.SHA1(),  # noqa: S303 -- what clients of RFC 5019 send
    )

    found = ocsp.load_der_ocsp_response(ca.ocsp(asked.build().public_bytes(Encoding.DER)))

    assert found.response_status == ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_an_answer_is_short_lived_and_signed_by_a_responder_of_the_ca(ca: EmbeddedCa) -> None:
    found = ask(ca, issue(ca).serial_number)
    [signer] = found.certificates

    signer.verify_directly_issued_by(parsed(ca.issuing_certificate))
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]
    assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    own = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert found.responder_key_hash == own.digest
    assert (found.this_update_utc, found.produced_at_utc) == (START - SKEW, START)
    assert found.next_update_utc == START + timedelta(minutes=10)


@pytest.mark.parametrize("size", [1, 16, 32, 128])
def test_a_nonce_comes_back(ca: EmbeddedCa, size: int) -> None:
    nonce = bytes(range(size))

    found = ask(ca, UNKNOWN_SERIAL, nonce)

    assert found.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


@pytest.mark.parametrize("size", [0, 129])
def test_a_nonce_of_no_or_too_many_octets_is_malformed(ca: EmbeddedCa, size: int) -> None:
    assert ca.ocsp(question(ca, UNKNOWN_SERIAL, bytes(size))) == MALFORMED


def test_no_nonce_gives_none(ca: EmbeddedCa) -> None:
    assert list(ask(ca, UNKNOWN_SERIAL).extensions) == []


def test_the_responder_is_renewed_before_it_lapses(ca: EmbeddedCa, clock: VirtualClock) -> None:
    serial = issue(ca).serial_number
    [first] = ask(ca, serial).certificates
    clock.advance_to(START + timedelta(days=59))
    [same] = ask(ca, serial).certificates

    clock.advance_to(START + timedelta(days=61))
    [second] = ask(ca, serial).certificates

    assert same == first != second
    assert second.not_valid_after_utc > first.not_valid_after_utc


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path_factory.mktemp("shared"))
    yield opened
    opened.close()


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=200))
def test_garbage_is_answered_as_malformed(shared: EmbeddedCa, garbage: bytes) -> None:
    assert shared.ocsp(garbage) == MALFORMED


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 200))
def test_a_damaged_question_is_answered_and_never_an_exception(
    shared: EmbeddedCa, place: int, value: int, cut: int
) -> None:
    asked = bytearray(question(shared, UNKNOWN_SERIAL, b"nonce"))
    asked[place % len(asked)] = value
    del asked[len(asked) - cut // 10 :]

    found = ocsp.load_der_ocsp_response(shared.ocsp(bytes(asked)))

    status = ocsp.OCSPResponseStatus
    refused = (status.MALFORMED_REQUEST, status.UNAUTHORIZED)
    assert found.response_status in (status.SUCCESSFUL, *refused)
    if found.response_status == status.SUCCESSFUL:
        assert found.certificate_status == ocsp.OCSPCertStatus.UNKNOWN


# -- over HTTP


class Published:
    def __init__(self, ca: EmbeddedCa) -> None:
        self.ca = ca

    def answer(self, method: str, path: str, headers: object, body: bytes) -> HttpAnswer:  # noqa: ARG002 - as it is asked
        return answer(self.ca, method, path, body) or HttpAnswer(404, "text/plain", b"")


@contextmanager
def serving(ca: EmbeddedCa) -> Iterator[str]:
    """Serve the CA on a free port of the loopback and yield host and port."""
    with listening(mounted(Mount(path="", app=application(Published(ca)))), "127.0.0.1", 0) as port:
        yield f"127.0.0.1:{port}"


def fetch(
    place: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str, bytes]:
    with closing(http.client.HTTPConnection(place, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        got = connection.getresponse()
        return got.status, got.headers["Content-Type"], got.read()


def test_certificates_and_lists_are_fetched_with_their_types(ca: EmbeddedCa) -> None:
    with serving(ca) as place:
        pages = {
            name: fetch(place, "GET", f"/ca/{name}")
            for name in ("root.crt", "issuing.crt", "root.crl", "issuing.crl")
        }
        head = fetch(place, "HEAD", "/ca/root.crt")

    assert pages == {
        "root.crt": (200, "application/pkix-cert", ca.root_certificate),
        "issuing.crt": (200, "application/pkix-cert", ca.issuing_certificate),
        "root.crl": (200, "application/pkix-crl", ca.root_crl()),
        "issuing.crl": (200, "application/pkix-crl", ca.crl()),
    }
    assert head == (200, "application/pkix-cert", b"")


def test_a_question_is_asked_by_post_and_by_get(ca: EmbeddedCa) -> None:
    asked = question(ca, issue(ca).serial_number)
    in_path = quote(base64.b64encode(asked).decode(), safe="")

    with serving(ca) as place:
        posted = fetch(place, "POST", "/ocsp", asked)
        got = fetch(place, "GET", f"/ocsp/{in_path}")

    for status, kind, body in (posted, got):
        assert (status, kind) == (200, "application/ocsp-response")
        found = ocsp.load_der_ocsp_response(body)
        assert found.certificate_status == ocsp.OCSPCertStatus.GOOD


def test_what_is_wrong_is_said_so(ca: EmbeddedCa) -> None:
    with serving(ca) as place:
        assert fetch(place, "GET", "/")[0] == 404
        assert fetch(place, "POST", "/ca/root.crt", b"")[0] == 405
        assert fetch(place, "GET", "/ocsp")[0] == 405
        assert fetch(place, "POST", "/ocsp/AAAA", b"")[0] == 405
        assert fetch(place, "POST", "/ocsp", bytes(LONGEST))[2] == MALFORMED
        assert fetch(place, "POST", "/ocsp", bytes(LONGEST + 1))[0] == 413
        assert fetch(place, "GET", "/ocsp/not%20base64")[2] == MALFORMED


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(ca: EmbeddedCa) -> None:
    with serving(ca) as place:
        announced = fetch(place, "POST", "/ocsp", None, **{"Content-Length": "1000000000"})
        nonsense = fetch(place, "POST", "/ocsp", None, **{"Content-Length": "-1"})

    assert announced[0] == 413
    assert nonsense[0] == 400


def test_a_path_of_others_is_left_to_them(ca: EmbeddedCa) -> None:
    assert answer(ca, "GET", "/livez", b"") is None
    assert answer(ca, "POST", "/ocsp-not-ours", b"") is None


# -- as OpenSSL sees it; it asks the system's clock


@pytest.fixture
def today(tmp_path: Path) -> Iterator[EmbeddedCa]:
    opened = EmbeddedCa(tmp_path / "ca", SystemClock(), PASSPHRASE)
    yield opened
    opened.close()


def openssl(*arguments: str | Path) -> str:
    ran = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return ran.stdout + ran.stderr


def pem(path: Path, der: bytes) -> Path:
    path.write_bytes(parsed(der).public_bytes(Encoding.PEM))
    return path


def issue_today(ca: EmbeddedCa, number: int) -> bytes:
    begin = SystemClock().now().replace(microsecond=0)
    asked = request(number, not_before=begin, not_after=begin + timedelta(days=365))
    return ca.issue(asked).certificate


def test_openssl_verifies_a_good_and_refuses_a_revoked_certificate(
    today: EmbeddedCa, tmp_path: Path
) -> None:
    good, revoked = (issue_today(today, number) for number in range(2))
    today.revoke(serial_of(revoked), RevocationReason.SUPERSEDED, request_id="r-1")
    lists = tmp_path / "crls.pem"
    lists.write_bytes(
        b"".join(
            x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
            for der in (today.crl(), today.root_crl())
        )
    )
    chain = (
        *("-x509_strict", "-CAfile", pem(tmp_path / "root.pem", today.root_certificate)),
        *("-untrusted", pem(tmp_path / "issuing.pem", today.issuing_certificate)),
        *("-CRLfile", lists),
    )

    for check in ("-crl_check", "-crl_check_all"):
        assert "good.pem: OK" in openssl("verify", *chain, check, pem(tmp_path / "good.pem", good))
        assert "certificate revoked" in openssl(
            "verify", *chain, check, pem(tmp_path / "revoked.pem", revoked)
        )


def test_openssl_asks_the_responder_and_trusts_its_answer(
    today: EmbeddedCa, tmp_path: Path
) -> None:
    good, revoked = (issue_today(today, number) for number in range(2))
    today.revoke(serial_of(revoked), RevocationReason.KEY_COMPROMISE, request_id="r-1")
    issuing = pem(tmp_path / "issuing.pem", today.issuing_certificate)
    common = (
        *("-CAfile", pem(tmp_path / "root.pem", today.root_certificate)),
        *("-verify_other", issuing, "-issuer", issuing, "-nonce"),
    )

    with serving(today) as place:
        asked = ("ocsp", *common, "-url", f"http://{place}/ocsp")
        about_good = openssl(*asked, "-cert", pem(tmp_path / "good.pem", good))
        about_revoked = openssl(*asked, "-cert", pem(tmp_path / "revoked.pem", revoked))
        about_none = openssl(*asked, "-serial", "4711")

    assert "Response verify OK" in about_good
    assert "WARNING" not in about_good  # e.g. of a missing nonce
    assert "good.pem: good" in about_good
    assert "Reason: keyCompromise" in about_revoked
    assert "4711: unknown" in about_none


def test_the_addresses_in_a_certificate_lead_to_the_ca(tmp_path: Path) -> None:
    base = "http://ca.bank.example"
    ca = open_ca(tmp_path, settings=CaSettings(base_url=base))
    certificate = issue(ca)

    found = certificate.extensions
    [point] = found.get_extension_for_class(x509.CRLDistributionPoints).value
    places = [point.full_name[0].value] if point.full_name else []
    access = found.get_extension_for_class(x509.AuthorityInformationAccess).value
    places += [one.access_location.value for one in access]

    answers = [answer(ca, "GET", place.removeprefix(base), b"") for place in places]
    assert all(place.startswith(base) for place in places)
    assert None not in answers
    ca.close()


def test_a_hundred_thousand_entries_are_signed_in_seconds(ca: EmbeddedCa) -> None:
    authority = root(key(1000), START, END)
    entries = [crl.entry(1 << 126 | number, START, "superseded") for number in range(100_000)]

    der = crl.build(authority, entries, number=1, this_update=START, next_update=END)

    assert len(x509.load_der_x509_crl(der)) == 100_000
