"""A carrier's own word is believed if it is signed, read by its fields, and put in order."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from renewal.gateways.sms.callback import (
    BadCallbackError,
    CarrierReport,
    callback_url,
    read,
    verified,
)
from renewal.gateways.sms.port import DeliveryReport
from tests.servers.twilio_simulator import callback_form, signature

TOKEN = "a token"  # noqa: S105 - of a test
URL = "https://centre.example/sms-status/m-1"
FORM = callback_form("SM" + "1" * 32, "delivered", {"To": "+886912345678"})


def test_a_signed_callback_is_verified() -> None:
    assert verified(URL, FORM, signature(URL, FORM, TOKEN), TOKEN)


def test_the_example_of_twilios_own_documentation_is_verified() -> None:
    # twilio.com/docs/usage/security, "Validating signatures from Twilio".
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }

    assert verified(url, form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345")


@pytest.mark.parametrize("header", [None, "", "nonsense", "密"])
def test_a_missing_or_wrong_signature_is_not_verified(header: str | None) -> None:
    assert not verified(URL, FORM, header, TOKEN)


@pytest.mark.parametrize("field", sorted(FORM))
def test_a_changed_field_is_not_verified(field: str) -> None:
    signed = signature(URL, FORM, TOKEN)

    assert not verified(URL, FORM | {field: "other"}, signed, TOKEN)


def test_a_blank_field_that_was_left_out_is_seen() -> None:
    signed = signature(URL, FORM, TOKEN)
    without = {name: value for name, value in FORM.items() if name != "RawDlrDoneDate"}

    assert not verified(URL, without, signed, TOKEN)


def test_a_callback_for_another_message_is_not_verified() -> None:
    signed = signature(URL, FORM, TOKEN)

    assert not verified(URL.replace("m-1", "m-2"), FORM, signed, TOKEN)
    assert not verified(URL, FORM, signed, "another token")


@pytest.mark.parametrize("signed_as", [":443", ""])
@pytest.mark.parametrize("configured", [":443", ""])
def test_the_port_of_https_may_be_written_or_not(signed_as: str, configured: str) -> None:
    signed = signature(f"https://centre.example{signed_as}/x", FORM, TOKEN)

    assert verified(f"https://centre.example{configured}/x", FORM, signed, TOKEN)


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize(
    "url", [URL, "http://10.0.0.1:8080/a?b=c", "https://u:p@h.example:8443/", "https://[::1]:9/x"]
)
def test_we_agree_with_twilios_library(url: str, algorithm: str) -> None:
    signed = RequestValidator(TOKEN).compute_signature(url, FORM, algorithm)

    assert verified(url, FORM, signed, TOKEN, settings=f"key=k,algorithm={algorithm}")
    assert not verified(url, FORM, signed, "other", settings=f"key=k,algorithm={algorithm}")


def test_repeated_fields_are_signed_as_the_library_signs_them() -> None:
    pairs = [("B", "2"), ("A", "2"), ("A", "1"), ("A", "2"), ("Blank", "")]

    class Multi(dict[str, str]):
        def getall(self, name: str) -> list[str]:
            return [value for key, value in pairs if key == name]

    signed = RequestValidator(TOKEN).compute_signature(URL, Multi(pairs))

    assert verified(URL, pairs, signed, TOKEN)


def test_an_unknown_algorithm_is_not_verified() -> None:
    signed = signature(URL, FORM, TOKEN)

    assert not verified(URL, FORM, signed, TOKEN, settings="key=k,algorithm=HMAC_MD5")


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("accepted", DeliveryReport.UNDER_WAY),
        ("queued", DeliveryReport.UNDER_WAY),
        ("sending", DeliveryReport.UNDER_WAY),
        ("sent", DeliveryReport.UNDER_WAY),
        ("some new word", DeliveryReport.UNDER_WAY),
        ("delivered", DeliveryReport.DELIVERED),
        ("undelivered", DeliveryReport.UNDELIVERED),
        ("failed", DeliveryReport.UNDELIVERED),
        ("canceled", DeliveryReport.UNDELIVERED),
    ],
)
def test_a_callback_is_read(status: str, report: DeliveryReport) -> None:
    form = callback_form("SM1", status, {}, code=30003)

    assert read(form) == CarrierReport(carrier_id="SM1", status=status, report=report, code="30003")


def test_a_callback_without_error_has_an_empty_code() -> None:
    assert read(list(FORM.items())).code == ""


@pytest.mark.parametrize("gone", ["Sid", "Status"])
def test_a_callback_without_id_or_status_is_refused_by_name(gone: str) -> None:
    form = {name: value for name, value in FORM.items() if not name.endswith(gone)}

    with pytest.raises(BadCallbackError, match=f"Message{gone}"):
        read(form)


STEPS = ("accepted", "queued", "sending", "sent")


def test_an_id_is_quoted_in_the_callbacks_address() -> None:
    assert callback_url("https://c.example/", "m-1") == "https://c.example/sms-status/m-1"
    assert callback_url("https://c.example", "a/b?c") == "https://c.example/sms-status/a%2Fb%3Fc"
