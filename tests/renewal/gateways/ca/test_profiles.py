"""A profile file that cannot be used stops the CA, naming file, field and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import profiles
from renewal.gateways.ca.embedded.ceremony import CaSettings
from renewal.gateways.ca.embedded.profiles import ProfileError
from schema.policy import load_policies
from tests.renewal.gateways.ca.asking import open_ca, parsed, request

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (profiles.FOLDER / "signing.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('country = "TW"', 'country = "Taiwan"', "subject.country: two capital letters"),
        ('country = "TW"', "", "required field `country`"),
        ('country = "TW"', 'country = "TW"\ncity = "x"', "unknown field `city`"),
        ('organization = "Finance"', 'organization = ""', "subject: '' does not have 1 to 64"),
        ("[A-Z0-9]{6,20}", "(", "subject.common_name: not a pattern"),
        ('"nonRepudiation"', '"keyEncipherment"', "usage.key: 'keyEncipherment' is not one of"),
        ('"digitalSignature", "nonRepudiation"', "", "usage.key: at least one is needed"),
        ('"emailProtection"', '"serverAuth"', "usage.extended: 'serverAuth' is not one of"),
        ('"clientAuth", "emailP', '"emailProtection", "emailP', "usage.extended: one is named"),
        ('["1.3.6.1.4.1.32473.1.1"]', '["1.3.x"]', "usage.policies: '1.3.x' is not an object"),
        ('["1.3.6.1.4.1.32473.1.1"]', "[]", "usage.policies: at least one is needed"),
        ('crl = "{base}/', 'crl = "https://ca/', "addresses.crl: 'https://ca/ca/issuing.crl'"),
        ("at_most_days = 830", "at_most_days = 0", "validity.at_most_days: 0 is not from 1"),
        ("at_most_days = 830", 'at_most_days = "x"', "at `$.validity.at_most_days`"),
        ('"P-384"', '"P-224"', "keys.accepted: 'P-224' is not one of"),
        ("[keys]", "[keys", "line"),
    ],
)
def test_a_broken_profile_is_told_with_its_file_field_and_reason(
    old: str, new: str, named: str, tmp_path: Path
) -> None:
    assert old in GOOD
    (tmp_path / "broken.toml").write_text(GOOD.replace(old, new), "utf-8")

    with pytest.raises(ProfileError) as caught:
        open_ca(tmp_path / "house", settings=CaSettings(profiles=tmp_path))

    assert str(tmp_path / "broken.toml") in str(caught.value)
    assert named in str(caught.value)


def test_a_folder_without_profiles_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no profile"):
        profiles.load(tmp_path)


def test_every_product_names_a_profile_that_there_is() -> None:
    known = profiles.load()

    assert {policy.profile for policy in load_policies().values()} <= set(known)


def test_a_banks_own_profile_goes_before_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    own = tmp_path / "profiles"
    own.mkdir()
    theirs = GOOD.replace("1.3.6.1.4.1.32473.1.1", "1.3.6.1.4.1.32473.7.7")
    theirs = theirs.replace('organization = "Finance"', 'organization = "Bank of Tamsui"')
    (own / "signing.toml").write_text(theirs, "utf-8")
    (own / "gold.toml").write_text(theirs.replace("7.7", "7.8"), "utf-8")
    ca = open_ca(tmp_path / "house", settings=CaSettings(own_profiles=own))

    signing, gold = (
        parsed(ca.issue(request(number, profile=profile)).certificate)
        for number, profile in enumerate(("signing", "gold"))
    )
    with pytest.raises(GatewayRefusedError, match="silver"):
        ca.issue(request(2, profile="silver"))
    ca.close()

    for certificate, number in ((signing, "7.7"), (gold, "7.8")):
        policies = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
        oids = [one.policy_identifier.dotted_string for one in policies]
        [organization] = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert oids == [f"1.3.6.1.4.1.32473.{number}"]
        assert organization.value == "Bank of Tamsui"
