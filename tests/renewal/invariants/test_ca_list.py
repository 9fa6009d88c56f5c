"""Our rows and the CA's own list are compared both ways."""

# ruff: noqa: S608 - the statements are the tests' own
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from renewal.gateways.ca.embedded.adapter import CertificateListing, EmbeddedCa
from renewal.gateways.ca.port import Status
from xuqi.bootstrap import Gateways
from xuqi.check import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.renewal.invariants.conftest import Broken

NOT_USABLE = ("I1", "in force here, and stopped at the CA or unknown to it")
NO_ROW = ("I3", "a certificate at the CA that we have no row for")
TWICE = ("I3", "the CA has issued twice for one renewal")
OTHER_RENEWAL = ("I3", "the CA made it for another renewal than we say")
OTHER_STATE = ("I3", "suspended or revoked here, and not so at the CA")
OTHER_REASON = ("I3", "the CA names another reason for the revocation than we gave")

ASKED = """
    UPDATE certificates SET changes = 1 WHERE id = 4;
    INSERT INTO events (topic, key, kind, identity, at, body) VALUES ('certificates', '4',
        'change-requested.v1', 'change-requested.v1:4:1', '2026-03-02 02:00:00.000000', x'00')
"""


@dataclass
class OtherList:
    """The CA, with another list."""

    ca: EmbeddedCa
    change: Callable[[list[CertificateListing]], list[CertificateListing]]

    def certificates(self) -> Iterator[CertificateListing]:
        return iter(self.change(list(self.ca.certificates())))


@dataclass
class Around:
    """A CA that fails now and then, as the demo has it: the real one is inside."""

    ca: Any


class Mute:
    """A CA that shows nobody its list."""


def put(broken: Broken, ca: Any) -> None:  # noqa: ANN401 - any CA
    before = broken.app.gateways
    outside = Gateways(sms=before.sms, mail=before.mail, ca=ca, bank=before.bank)
    broken.app = replace(broken.app, gateways=outside)


def listing(
    broken: Broken, change: Callable[[list[CertificateListing]], list[CertificateListing]]
) -> None:
    ca = broken.app.gateways.ca
    assert isinstance(ca, EmbeddedCa)
    put(broken, Around(OtherList(ca, change)))


def stopped(status: Status) -> Callable[[list[CertificateListing]], list[CertificateListing]]:
    return lambda listed: [
        replace(one, status=status) if number == 3 else one for number, one in enumerate(listed)
    ]


def more(**other: Any) -> Callable[[list[CertificateListing]], list[CertificateListing]]:  # noqa: ANN401 - fields
    return lambda listed: [*listed, replace(listed[3], serial=0xAB, certificate=b"new", **other)]


def test_another_reason_of_a_revocation_than_ours_is_found(broken: Broken) -> None:
    def other(listed: list[CertificateListing]) -> list[CertificateListing]:
        assert {one.reason for one in listed} >= {"superseded"}
        return [replace(one, reason=one.reason and "privilegeWithdrawn") for one in listed]

    listing(broken, other)

    assert broken.found() == {OTHER_REASON}


@pytest.mark.parametrize("status", [Status.REVOKED, Status.ON_HOLD])
def test_what_is_in_force_here_and_stopped_there_is_found(broken: Broken, status: Status) -> None:
    listing(broken, stopped(status))

    assert broken.found() == {NOT_USABLE}


def test_what_is_in_force_here_and_unknown_there_is_found(broken: Broken) -> None:
    listing(broken, lambda listed: [one for number, one in enumerate(listed) if number != 3])

    assert broken.found() == {NOT_USABLE}


@pytest.mark.parametrize("request_id", [None, "R00000005-01/issue"])
def test_a_certificate_there_without_a_row_here_is_found(
    broken: Broken, request_id: str | None
) -> None:
    listing(broken, more(request_id=request_id))

    assert broken.found() == {NO_ROW}


def test_a_certificate_whose_answer_is_still_on_its_way_has_no_row_yet(broken: Broken) -> None:
    listing(broken, more(request_id="R00000005-01/issue"))
    broken.sql(
        "UPDATE renewals SET state = 'sent to CA' WHERE id = 'R00000005-01';"
        "INSERT INTO events (topic, key, kind, identity, at, body) VALUES ('renewals',"
        " 'R00000005-01', 'fee-secured.v1', 'fee-secured.v1:R00000005-01',"
        " '2026-03-02 02:00:00.000000', x'00')"
    )

    assert broken.found() == set()


def test_two_certificates_there_for_one_renewal_are_found(broken: Broken) -> None:
    listing(broken, more(request_id="R00000003-01/issue"))

    assert broken.found() == {TWICE, NO_ROW}


def test_a_certificate_there_for_another_renewal_than_here_is_found(broken: Broken) -> None:
    listing(broken, lambda listed: [replace(one, request_id="R9/issue") if one.request_id ==
        "R00000003-01/issue" else one for one in listed])  # fmt: skip

    assert broken.found() == {OTHER_RENEWAL}


@pytest.mark.parametrize("state", ["suspended", "revoked"])
def test_what_is_stopped_here_and_not_there_is_found(broken: Broken, state: str) -> None:
    broken.sql(f"UPDATE certificates SET state = '{state}' WHERE id = 4")

    assert broken.found() == {OTHER_STATE}


def test_a_change_that_is_on_its_way_is_no_difference(broken: Broken) -> None:
    listing(broken, stopped(Status.ON_HOLD))
    broken.sql(ASKED)

    assert broken.found() == set()


def test_a_change_that_was_made_is_no_excuse(broken: Broken) -> None:
    listing(broken, stopped(Status.ON_HOLD))
    broken.sql(
        f"{ASKED}; INSERT INTO inbox VALUES"
        " ('revocation', 'change-requested.v1:4:1', 'settled', '2026-03-02 02:00:00.000000')"
    )

    assert broken.found() == {NOT_USABLE}


def test_what_the_ca_did_between_two_looks_is_no_difference(broken: Broken) -> None:
    def new_ones(listed: list[CertificateListing]) -> list[CertificateListing]:
        serials.append(len(serials) + 1)  # another one is on its way whenever one looks
        return [*listed, replace(listed[3], serial=serials[-1], certificate=b"new")]

    serials: list[int] = []
    listing(broken, new_ones)

    assert broken.found() == set()
    assert len(serials) == 2


def test_a_ca_without_a_list_is_told_of(broken: Broken, capsys: pytest.CaptureFixture[str]) -> None:
    put(broken, Mute())

    assert main(broken.app, english=True) == 0
    assert "the CA cannot be asked for its list" in capsys.readouterr().out
