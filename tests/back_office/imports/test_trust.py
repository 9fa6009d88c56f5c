"""Shows that a certificate is believed only if a CA that the bank has named has signed it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

from back_office.imports.trust import Anchors, TrustError, anchors_in
from tests.back_office.imports.making import BROWSER, CARD, DAY, NOON, Bank, PrivateKey, a_customer
from tests.scenario.refusals import refused

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NAME = "A123456789-00-1"


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Ca:
    """A CA as a bank has one."""

    name: str = "A CA of the bank's"
    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    is_ca: bool = True

    def certificate(self, by: Ca | None = None) -> x509.Certificate:
        return self._signed(by or self, self.name, self.key, ca=self.is_ca)

    def issue(
        self,
        name: str = NAME,
        *,
        not_before: datetime = NOON - 100 * DAY,
        serial: int | None = None,
        pss: bool = False,
    ) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(self, name, key, not_before=not_before, serial=serial, pss=pss)
        return made.public_bytes(Encoding.DER)

    def _signed(
        self,
        by: Ca,
        name: str,
        key: PrivateKey,
        *,
        not_before: datetime = NOON - 340 * DAY,
        serial: int | None = None,
        ca: bool = False,
        pss: bool = False,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=named(by.name),
            subject_name=named(name),
            public_key=key.public_key(),
            serial_number=serial or x509.random_serial_number(),
            not_valid_before=not_before,
            not_valid_after=NOON + 25 * DAY,
        ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        how = padding.PSS(padding.MGF1(SHA256()), 32) if pss else None
        algorithm = None if isinstance(by.key, ed25519.Ed25519PrivateKey) else SHA256()
        return builder.sign(by.key, algorithm, rsa_padding=how)


def file(folder: Path, *certificates: x509.Certificate, name: str = "anchors.pem") -> Path:
    path = folder / name
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    return path


def trusting(folder: Path, *cas: Ca) -> Anchors:
    return anchors_in([file(folder, *(ca.certificate() for ca in cas))])


def put(bank: Bank, trust: Anchors, *ders: bytes) -> tuple[int, int]:
    path = bank.folder / "in.der"
    path.write_bytes(b"".join(ders))
    report = bank.certificates(path, trust=trust)
    return report.new, report.refused


@pytest.mark.parametrize(
    ("key", "pss"),
    [
        (ec.generate_private_key(ec.SECP256R1()), False),
        (ec.generate_private_key(ec.SECP384R1()), False),
        (rsa.generate_private_key(65537, 2048), False),
        (rsa.generate_private_key(65537, 2048), True),
        (ed25519.Ed25519PrivateKey.generate(), False),
    ],
    ids=["P-256", "P-384", "RSA", "RSA-PSS", "Ed25519"],
)
def test_what_a_named_ca_has_signed_comes_in_and_is_marked(
    bank: Bank, key: PrivateKey, *, pss: bool
) -> None:
    ca = Ca(key=key)

    assert put(bank, trusting(bank.folder, ca), ca.issue(pss=pss)) == (1, 0)
    assert [row.verified for row in bank.held()] == [True]


def test_what_says_the_name_of_the_ca_and_has_another_signature_is_refused(bank: Bank) -> None:
    genuine, forger = Ca(), Ca()
    der = bytearray(genuine.issue())
    der[-3] ^= 1

    assert put(bank, trusting(bank.folder, genuine), forger.issue(), bytes(der)) == (0, 2)
    assert {it.reason for it in bank.findings} == {
        "is not signed by a trust anchor: the signature is not that of the anchor's key"
    }


def test_what_a_customers_own_key_has_signed_is_refused(bank: Bank) -> None:
    ca = Ca()
    customer = Ca(name=NAME, is_ca=False)

    with refused(TrustError, "not the certificate of a CA"):
        trusting(bank.folder, customer)
    assert put(bank, trusting(bank.folder, ca), customer.issue("B123456780-00-1")) == (0, 1)


def test_a_changed_name_breaks_the_signature(bank: Bank) -> None:
    ca = Ca()
    der = ca.issue().replace(NAME.encode(), b"B123456780-00-1")

    assert put(bank, trusting(bank.folder, ca), der) == (0, 1)


def test_anchors_are_read_from_a_folder_in_any_form(bank: Bank) -> None:
    one, two, three = Ca("One"), Ca("Two"), Ca("Three")
    folder = bank.folder / "anchors"
    folder.mkdir()
    file(folder, one.certificate())
    (folder / "two.der").write_bytes(two.certificate().public_bytes(Encoding.DER))
    bundle = pkcs7.serialize_certificates([three.certificate()], Encoding.DER)
    (folder / "three.p7b").write_bytes(bundle)

    trust = anchors_in([folder])

    assert put(bank, trust, one.issue(), two.issue("x"), three.issue("y")) == (3, 0)


def test_an_intermediate_in_the_bundle_must_be_signed_by_its_root_that_stands_beside_it(
    bank: Bank,
) -> None:
    root, intermediate = Ca("Root"), Ca("Intermediate")
    good = file(bank.folder, root.certificate(), intermediate.certificate(root))
    trust = anchors_in([good])
    forged = file(bank.folder, root.certificate(), intermediate.certificate(Ca("Root")))

    assert put(bank, trust, intermediate.issue()) == (1, 0)
    with refused(TrustError, "not signed by a trust anchor"):
        anchors_in([forged])


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\x30\x03\x02\x01\x01"])
def test_a_file_without_an_anchor_is_refused_by_name(bank: Bank, content: bytes) -> None:
    path = bank.folder / "nothing.pem"
    path.write_bytes(content)

    with pytest.raises(TrustError, match=r"nothing\.pem"):
        anchors_in([path])


def test_an_algorithm_that_can_be_forged_is_named(bank: Bank) -> None:
    key = rsa.generate_private_key(65537, 2048)
    ca = Ca(key=key)
    sha256, sha1 = "2a864886f70d01010b", "2a864886f70d010105"
    der = ca.issue().replace(bytes.fromhex(sha256), bytes.fromhex(sha1))

    assert put(bank, trusting(bank.folder, ca), der) == (0, 1)
    assert "can be forged" in bank.findings[0].reason


# --- slots ----------------------------------------------------------------------------------------


def test_a_slot_changes_hands_only_to_a_later_certificate_of_the_same_ca(bank: Bank) -> None:
    ours, theirs = Ca("Ours"), Ca("Theirs")
    trust = trusting(bank.folder, ours, theirs)
    bank.customers(a_customer())
    put(bank, trust, ours.issue(serial=1))

    stranger = put(bank, trust, theirs.issue(serial=2, not_before=NOON - DAY))
    later = put(bank, trust, ours.issue(serial=3, not_before=NOON - DAY))

    assert (stranger, later) == ((0, 1), (1, 0))
    assert bank.states() == {"1": "superseded", "3": "active"}
    assert [it.reason for it in bank.findings] == [
        "another CA's certificate is in force where this one would be",
        "takes the place of the one that was in force",
    ]


def test_what_was_verified_does_not_give_way_to_what_was_not(bank: Bank) -> None:
    ca = Ca()
    bank.customers(a_customer())
    put(bank, trusting(bank.folder, ca), ca.issue(serial=1))
    path = bank.folder / "later.der"
    path.write_bytes(ca.issue(serial=2, not_before=NOON - DAY))

    report = bank.certificates(path)

    assert report.refused == 1
    assert bank.states() == {"1": "active"}


def test_what_came_in_unverified_is_verified_when_it_comes_again_with_its_anchor(
    bank: Bank,
) -> None:
    ca = Ca()
    der = ca.issue()
    row = {
        "certificate": base64.b64encode(der).decode(),
        "product": CARD,
        "token_serial": "K1",
        "reference": "C00000000",
    }
    bank.customers(a_customer(product=CARD))
    bank.table([row])
    before = [it.verified for it in bank.held()]
    path = bank.folder / "again.der"
    path.write_bytes(der)

    report = bank.certificates(path, product=CARD, trust=trusting(bank.folder, ca))

    assert before == [False]
    assert report.changed == 1
    assert [it.verified for it in bank.held()] == [True]


def test_a_dry_run_verifies_as_the_real_one(bank: Bank) -> None:
    ca = Ca()
    path = bank.folder / "in.der"
    path.write_bytes(ca.issue() + Ca().issue())

    report = bank.certificates(path, product=BROWSER, dry_run=True, trust=trusting(bank.folder, ca))

    assert (report.new, report.refused) == (1, 1)
    assert bank.held() == []
