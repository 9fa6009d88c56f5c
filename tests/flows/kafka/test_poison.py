"""Whatever lies on a topic, the partition goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from renewal.eventlog.port import LogUnavailableError
from schema.codec import decode, encode, kind_of
from schema.events import EventDeadLettered, RenewalDone
from schema.reasons import OutcomeReason
from schema.stored_reasons import read_reason
from tests.flows.kafka.rig import ON_KAFKA, Rig, drain
from tests.renewal.delivery.scripted import Sql, asked, dead, effects

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = ON_KAFKA

SOUND = encode(asked(1))
KIND = ("ce_type", kind_of(asked(1)).encode())

#: key, value and headers
POISON: Mapping[str, tuple[Any, Any, Any]] = {
    "bad JSON": (b"1", b"{", [KIND]),
    "no text": (b"1", b"\xff\xfe\x00", [KIND]),
    "no headers": (b"1", b"{}", []),
    "no value": (b"1", None, [KIND]),
    "no key": (None, b"{}", [KIND]),
    "nothing at all": (b"", None, []),
    "a key that is no text": (b"\xff\x00", b"{}", [KIND]),
    "a long key": (b"k" * 5_000, b"{}", [KIND]),
    "an unknown kind": (b"1", b'{"kind":"no-such-kind.v1"}', [("ce_type", b"no-such-kind.v1")]),
    "empty headers": (b"1", b"{}", [("ce_id", b""), ("ce_type", b""), ("ce_time", b"")]),
    "headers that are no text": (
        b"1",
        b"{}",
        [("ce_id", b"\xff"), ("ce_type", b"\xfe\x00"), ("ce_time", b"\x80")],
    ),
    "an id with a NUL": (b"1", b"{}", [KIND, ("ce_id", b"a\0b")]),
    "a long id": (b"1", b"{}", [KIND, ("ce_id", b"i" * 9_000)]),
    "a time before all time": (b"1", b"{}", [KIND, ("ce_time", b"0001-01-01T00:00:00+14:00")]),
    "a time without a zone": (b"1", b"{}", [KIND, ("ce_time", b"2026-11-23T00:00:00")]),
    "no time": (b"1", b"{}", [KIND, ("ce_time", b"yesterday")]),
    "900 kB": (b"1", b'"' + b"x" * 900_000 + b'"', [KIND]),
    "another kind than told": (b"1", encode(RenewalDone(renewal="R1")), [KIND]),
}


def test_poison_of_every_kind_is_buried_and_each_partition_goes_on(rig: Rig) -> None:
    before = [asked(key) for key in range(40)]
    after = [asked(key, 2) for key in range(40)]

    rig.tell(*before)
    rig.relayed()
    rig.put(*(("certificates", *record) for record in POISON.values()))
    rig.tell(*after)
    rig.relayed()
    delivery = rig.delivery(Sql())
    drain(delivery)

    assert sorted(effects(rig.store)) == sorted((e.certificate, e.number) for e in before + after)
    assert len(dead(rig.store)) == len(POISON)
    assert all(why.startswith("the event cannot be read: ") for why in dead(rig.store).values())


def test_what_was_buried_is_told_on_the_topic_of_dead_letters_without_its_body(rig: Rig) -> None:
    rig.put(("certificates", b"1", b'{"name":"\xe7\x8e\x8b\xe5\xb0\x8f\xe6\x98\x8e"}', [KIND]))
    delivery = rig.delivery(Sql())
    drain(delivery)

    rig.relayed()

    (record,) = rig.lying("dead-letters", 1)
    fact = decode(record.body)
    assert isinstance(fact, EventDeadLettered)
    assert (fact.consumer, fact.origin) == ("tests", "certificates")
    assert read_reason(fact.why).code is OutcomeReason.UNREADABLE
    assert "王小明".encode() not in record.body


def test_ten_megabytes_are_refused_on_the_way_to_the_broker(rig: Rig) -> None:
    with pytest.raises(LogUnavailableError, match="MessageSizeTooLarge"):
        rig.put(("certificates", b"1", b"x" * 10_000_000, []))


def test_what_another_codec_has_compressed_is_read(rig: Rig) -> None:
    outlet = rig.log.outlet(compression_type="gzip")
    rig.tell(*(asked(key) for key in range(50)))
    relay = rig.relay()
    relay.log = outlet

    relay.run_once()
    outlet.close()
    delivery = rig.delivery(Sql())
    drain(delivery)

    assert len(effects(rig.store)) == 50
