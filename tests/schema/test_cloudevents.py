"""Our records are CloudEvents 1.0 in Kafka's binary mode: the CloudEvents SDK reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from renewal.eventlog.envelope import Unpacked, headers, packed
from schema.events import CodeRequested, Event, ReminderDue, RenewalDue, TokenDeclined

AT = datetime(2026, 11, 23, 4, 5, 6, 789, tzinfo=UTC)
TOLD = [
    RenewalDue(certificate=7, customer=None, product="corporate-token", not_after=AT),
    ReminderDue(certificate=7, customer=3, planned=AT),
    CodeRequested(challenge="C1", send_number=2),
    TokenDeclined(renewal="R00000001-01", why="客戶離開"),
]


def parsed(event: Event, at: datetime = AT) -> CloudEvent:
    key, value, told = packed(event, at)
    message = KafkaMessage(headers=dict(told), key=key, value=value)
    found = from_binary(message, JSONFormat(), CloudEvent)
    assert isinstance(found, CloudEvent)
    return found


@pytest.mark.parametrize("event", TOLD, ids=lambda event: type(event).__name__)
def test_the_sdk_reads_what_we_send(event: Event) -> None:
    found = parsed(event)

    assert found.get_specversion() == "1.0"
    assert found.get_id() == event.identity
    assert found.get_source() == "/xuqi"
    assert found.get_type() == event.__struct_config__.tag
    assert found.get_subject() == event.key
    assert found.get_time() == AT
    assert found.get_datacontenttype() == "application/json"
    data = found.get_data()
    assert isinstance(data, dict)
    assert data["kind"] == found.get_type()


def test_the_time_is_told_in_utc() -> None:
    taipei = timezone(timedelta(hours=8))

    told = dict(packed(TOLD[0], AT.astimezone(taipei))[2])

    assert told["ce_time"] == b"2026-11-23T04:05:06.000789+00:00"


def test_everything_of_one_key_is_one_trace_and_each_fact_a_span_of_it() -> None:
    first, second, other = (
        dict(headers(kind="k", identity=identity, key=key, at=AT))["traceparent"].decode()
        for identity, key in [("a", "R1"), ("b", "R1"), ("c", "R2")]
    )

    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", one) for one in (first, other))
    assert first[:35] == second[:35] != other[:35]
    assert first != second


@pytest.mark.parametrize("event", TOLD, ids=lambda event: type(event).__name__)
def test_what_we_send_is_what_we_read(event: Event) -> None:
    key, _, told = packed(event, AT)

    found = Unpacked(told, key=key, position="t:0:1")

    assert (found.kind, found.identity) == (event.__struct_config__.tag, event.identity)
    assert (found.key, found.at) == (event.key, AT)
    assert found.traceparent == dict(told)["traceparent"].decode()


NO_TRACES = [
    b"",
    b"00-" + b"0" * 10,
    b"\xff",
    b"00-" + b"g" * 52,
    b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",
    b"00-" + b"1" * 32 + b"-" + b"0" * 16 + b"-01",
    b"00-" + b"A" * 32 + b"-" + b"1" * 16 + b"-01",
    b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01-more",
]


@pytest.mark.parametrize("value", NO_TRACES)
def test_a_trace_that_is_none_is_none(value: bytes) -> None:
    assert Unpacked([("traceparent", value)], key=b"k", position="t:0:1").traceparent is None
