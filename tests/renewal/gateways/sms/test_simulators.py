"""The simulated carrier answers as Twilio's published description (twilio_api_v2010) says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from requests.auth import _basic_auth_str

from tests.servers.twilio_simulator import ACCOUNT, TOKEN, TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FORM = {"To": "+886912345678", "Body": "hello", "MessagingServiceSid": "MG" + "1" * 32}

#: components/schemas/api.v2010.account.message: the type of each property; "?" may be null.
SCHEMA = {
    "account_sid": "string",
    "api_version": "string",
    "body": "string",
    "date_created": "date",
    "date_sent": "date?",
    "date_updated": "date",
    "direction": "string",
    "error_code": "integer?",
    "error_message": "string?",
    "from": "string?",
    "messaging_service_sid": "string?",
    "num_media": "string",
    "num_segments": "string",
    "price": "string?",
    "price_unit": "string?",
    "sid": "string",
    "status": "string",
    "subresource_uris": "object",
    "to": "string",
    "uri": "string",
}


@pytest.fixture
def simulator() -> Iterator[TwilioSimulator]:
    with TwilioSimulator() as running:
        yield running


def ask(
    simulator: TwilioSimulator,
    method: str,
    path: str,
    form: dict[str, str] | None = None,
    token: str = TOKEN,
) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(simulator.url.removeprefix("http://"), timeout=30)
    headers = {
        "Authorization": _basic_auth_str(ACCOUNT, token),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request(method, path, urlencode(form or {}), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def is_of(value: object, kind: str) -> bool:
    if kind.endswith("?") and value is None:
        return True
    kind = kind.removesuffix("?")
    if kind == "date":
        return isinstance(value, str) and parsedate_to_datetime(value).tzinfo == UTC
    return isinstance(value, {"string": str, "integer": int, "object": dict}[kind])


def test_a_message_has_the_fields_and_types_that_are_published(
    simulator: TwilioSimulator,
) -> None:
    status, created = ask(simulator, "POST", MESSAGES, FORM)
    simulator.advance(created["sid"], "undelivered", code=30003)
    _, fetched = ask(simulator, "GET", created["uri"])

    assert status == 201
    assert re.fullmatch(r"SM[0-9a-f]{32}", created["sid"])
    for message in (created, fetched):
        assert message.keys() == SCHEMA.keys()
        assert [name for name, kind in SCHEMA.items() if not is_of(message[name], kind)] == []
    assert (created["status"], created["num_segments"]) == ("accepted", "0")
    assert (fetched["status"], fetched["error_code"]) == ("undelivered", 30003)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "0912345678"}, 400, 21211),
        ({"To": "+15005550004"}, 400, 21610),
        ({"To": "+15005550009"}, 400, 21614),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"MessagingServiceSid": ""}, 400, 21603),
    ],
)
def test_an_error_has_the_fields_that_are_published(
    simulator: TwilioSimulator, change: dict[str, str], status: int, code: int
) -> None:
    answer, body = ask(simulator, "POST", MESSAGES, FORM | change)

    assert answer == status
    assert body.keys() == {"code", "message", "more_info", "status"}
    assert (body["code"], body["status"]) == (code, status)
    assert simulator.messages == {}


def test_nobody_gets_in_without_the_token(simulator: TwilioSimulator) -> None:
    status, body = ask(simulator, "POST", MESSAGES, FORM, token="wrong")  # noqa: S106 - of a test

    assert (status, body["code"]) == (401, 20003)
    assert simulator.messages == {}


def test_a_message_that_is_not_there_is_404(simulator: TwilioSimulator) -> None:
    status, body = ask(simulator, "GET", MESSAGES.replace(".json", f"/SM{'0' * 32}.json"))

    assert (status, body["code"]) == (404, 20404)


def test_a_list_is_filtered_and_comes_in_pages_newest_first(simulator: TwilioSimulator) -> None:
    for n in range(5):
        ask(simulator, "POST", MESSAGES, FORM | {"Body": f"{n}"})
    ask(simulator, "POST", MESSAGES, FORM | {"To": "+886987654321"})

    to = quote(FORM["To"])
    _, first = ask(simulator, "GET", f"{MESSAGES}?To={to}&PageSize=3")
    _, second = ask(simulator, "GET", first["next_page_uri"])

    assert [message["body"] for message in first["messages"]] == ["4", "3", "2"]
    assert [message["body"] for message in second["messages"]] == ["1", "0"]
    assert second["next_page_uri"] is None


def test_a_list_by_date_has_only_what_was_sent(simulator: TwilioSimulator) -> None:
    _, sent = ask(simulator, "POST", MESSAGES, FORM)
    ask(simulator, "POST", MESSAGES, FORM)
    simulator.advance(sent["sid"], "sent")
    today = datetime.now(UTC).date().isoformat()

    for query in (f"DateSent={today}", f"DateSent%3E={today}", f"DateSent%3C={today}"):
        _, listed = ask(simulator, "GET", f"{MESSAGES}?{query}")
        assert [message["sid"] for message in listed["messages"]] == [sent["sid"]]
    _, before = ask(simulator, "GET", f"{MESSAGES}?DateSent%3C=2020-01-01")
    assert before["messages"] == []
