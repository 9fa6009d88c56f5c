"""Support staff do by `xuqi centre` what customers do at the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.xuqi.sample import BROWSER, CORPORATE, Bank
from xuqi.customer_key import CustomerKey

if TYPE_CHECKING:
    from pathlib import Path

NEWCOMER = 11
PASSWORD = "Try12345"  # noqa: S105 - of a backup in a story


@pytest.fixture
def files(bank: Bank, tmp_path: Path) -> Path:
    """A folder with the backup of the customer's present key."""
    present = CustomerKey.in_file(tmp_path / "present.pem")
    der = bank.certified(BROWSER, present.spki)
    (tmp_path / "present.pfx").write_bytes(present.backup(der, PASSWORD))
    return tmp_path


@pytest.mark.shows("B16", "B18")
def test_a_browser_certificate_is_renewed_backed_up_and_exported_again(
    bank: Bank, files: Path
) -> None:
    renewal = bank.json("centre", "request", str(BROWSER))["renewal"]
    sent = bank.json("centre", "code", str(BROWSER))
    bank.drain()
    confirmed = bank.run(
        *("centre", "confirm", renewal, sent["challenge"], "--key", str(files / "new.pem")),
        *("--present", str(files / "present.pfx")),
        typed=f"{PASSWORD}\n{bank.last_code()}\n",
    )
    assert confirmed.exit_code == 0, confirmed.output
    bank.drain()

    collected = bank.run(
        *("centre", "collect", renewal, "--key", str(files / "new.pem")),
        *("--to", str(files / "new.pfx")),
        typed="abcd1\nabcd1\n",
    )
    bank.drain()

    assert collected.exit_code == 0, collected.output
    states = {row["state"] for row in bank.listed("centre", "query", str(BROWSER))}
    assert states == {"normal", "revoked"}
    imported = bank.run("centre", "import", str(files / "new.pfx"), str(BROWSER), typed="abcd1\n")
    assert "normal" in imported.output
    new = max(row["certificate"] for row in bank.listed("centre", "query", str(BROWSER)))
    sent = bank.json("centre", "code", str(new), "--for", "export")
    bank.drain()
    exported = bank.run(
        *("centre", "export", str(new), sent["challenge"], "--key", str(files / "new.pem")),
        *("--to", str(files / "again.pfx")),
        typed=f"{bank.last_code()}\nother9\nother9\n",
    )
    assert exported.exit_code == 0, exported.output
    _, certificate, _ = pkcs12.load_key_and_certificates(
        (files / "again.pfx").read_bytes(), b"other9"
    )
    assert isinstance(certificate, x509.Certificate)
    assert (files / "again.pfx").stat().st_mode & 0o777 == 0o600
    told = [row["what"] for row in bank.listed("centre", "timeline", str(BROWSER))]
    assert told[0] == "renewal/requested"
    assert "CA/issued" in told


@pytest.mark.shows("B01", "C03")
def test_a_first_certificate_is_applied_for_collected_and_backed_up(
    bank: Bank, tmp_path: Path
) -> None:
    bank.enrol(NEWCOMER, "securities-browser")
    [offer] = bank.listed("centre", "query", str(NEWCOMER))
    made = bank.json("centre", "apply", str(NEWCOMER), "securities-browser")
    sent = bank.json("centre", "code", made["renewal"], "--for", "apply")
    bank.drain()
    confirmed = bank.run(
        *("centre", "confirm", made["renewal"], sent["challenge"]),
        *("--key", str(tmp_path / "first.pem")),
        typed=f"{bank.last_code()}\n",
    )
    bank.drain()

    collected = bank.run(
        *("centre", "collect", made["renewal"], "--key", str(tmp_path / "first.pem")),
        *("--to", str(tmp_path / "first.pfx")),
        typed="abcd1\nabcd1\n",
    )

    assert (offer["do"], offer["certificate"]) == ("apply", None)
    assert confirmed.exit_code == collected.exit_code == 0, collected.output
    [line] = bank.listed("centre", "query", str(NEWCOMER))
    assert (line["certificate"], line["state"]) == (made["certificate"], "normal")
    again = bank.run("centre", "apply", str(NEWCOMER), "securities-browser")
    assert again.exit_code == 1
    at_branch = bank.run("centre", "apply", str(CORPORATE), "corporate-token")
    assert "branch" in at_branch.output


@pytest.mark.shows("B07")
def test_without_the_present_key_a_renewal_is_refused(bank: Bank, files: Path) -> None:
    renewal = bank.json("centre", "request", str(BROWSER))["renewal"]
    sent = bank.json("centre", "code", str(BROWSER))
    bank.drain()

    refused = bank.run(
        *("centre", "confirm", renewal, sent["challenge"], "--key", str(files / "new.pem")),
        typed=f"{bank.last_code()}\n",
    )

    assert refused.exit_code == 1
    assert "NotNowError" not in refused.output
    declined = bank.json("centre", "decline", renewal)
    assert declined["state"] == "abandoned"


@pytest.mark.shows("A15", "B17")
@pytest.mark.parametrize(
    ("what", "state"), [(("suspend",), "suspended"), (("revoke", "--yes"), "revoked")]
)
def test_a_certificate_is_ended_after_a_code(bank: Bank, what: tuple[str, ...], state: str) -> None:
    sent = bank.json("centre", "code", str(BROWSER), "--for", what[0])
    bank.drain()

    ended = bank.run(
        "centre", what[0], str(BROWSER), sent["challenge"], *what[1:],
        typed=f"{bank.last_code()}\n",
    )  # fmt: skip
    bank.drain()

    assert ended.exit_code == 0, ended.output
    assert [row["state"] for row in bank.listed("centre", "query", str(BROWSER))] == [state]


@pytest.mark.shows("A07", "A15")
def test_a_company_s_fee_is_asked_for_and_followed(bank: Bank) -> None:
    bank.card(CORPORATE)
    asked = bank.json("centre", "pay", str(CORPORATE))
    again = bank.run("centre", "pay", str(CORPORATE))
    bank.drain()

    [paid] = bank.listed("centre", "payments", str(CORPORATE))

    assert (asked["state"], paid["state"]) == ("asked", "paid")
    assert again.exit_code == 1
    assert bank.listed("centre", "query", str(CORPORATE))[0]["do"] == "renew"


@pytest.mark.shows("A08")
def test_the_terms_are_shown_with_their_version_and_hash(bank: Bank) -> None:
    told = bank.json("centre", "terms", "securities-browser")

    assert len(told["sha256"]) == 64
    assert told["version"] in told["text"]


def test_what_support_staff_do_is_on_the_audit_trail(bank: Bank) -> None:
    bank.listed("centre", "query", str(BROWSER))

    did = [row["did"] for row in bank.listed("audit", "list")]
    assert "query at the centre" in did
