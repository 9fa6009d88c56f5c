"""What is published about the log says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from consumers.registry import consumer_types
from renewal.clock import SystemClock
from renewal.eventlog.envelope import headers
from schema.codec import kind_name
from schema.events import KINDS
from schema.publish import FOLDER, published
from schema.topics import declared
from tests.house.sources import ROOT
from tests.house.valid import VALID, said_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
#: AsyncAPI's own: `schemas/3.0.0-without-$id.json` of npm's @asyncapi/specs 6.11.1 (Apache-2.0).
ASYNCAPI = Path(__file__).with_name("asyncapi-3.0.0.json")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            assert list(node) == ["$ref"], "what stands beside a reference is ignored"
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def at(document: dict[str, Any], reference: str) -> Any:  # noqa: ANN401 - any part of it
    file, _, place = reference.partition("#")
    if file:
        return (DOCUMENT.parent / file).read_text(encoding="utf-8")
    node: Any = document
    for name in place.strip("/").split("/"):
        node = node[name]
    return node


def test_a_schema_is_published_for_each_kind_as_the_code_has_it() -> None:
    """Differs? `python -m schema.publish`; but what was published never changes its shape."""
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}

    assert found == published()


def test_the_document_is_as_asyncapi_has_it() -> None:
    assert said_of(DOCUMENT, "--schemafile", str(ASYNCAPI)) == VALID


def test_and_one_that_is_not_is_seen(tmp_path: Path) -> None:
    spoilt = tmp_path / "asyncapi.yaml"
    text = DOCUMENT.read_text(encoding="utf-8")
    spoilt.write_text(text.replace("address: codes", "adress: codes"), encoding="utf-8")

    assert "channels.codes" in said_of(spoilt, "--schemafile", str(ASYNCAPI))


def test_the_parameters_of_an_address_are_told_and_an_operation_stays_in_its_channel(
    document: dict[str, Any],
) -> None:
    for channel in document["channels"].values():
        assert {"address", "messages"} <= channel.keys()  # AsyncAPI itself lets them be missing
        named = set(re.findall(r"\{(\w+)\}", channel["address"]))
        assert named == set(channel.get("parameters", {}))
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].startswith("#/channels/")
        for message in operation.get("messages", []):
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


def test_each_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))

    assert len(found) > len(KINDS)
    assert all(at(document, reference) for reference in found)


def test_its_channels_are_the_topics_as_they_are_declared(document: dict[str, Any]) -> None:
    channels = {
        channel["address"]: (
            channel["bindings"]["kafka"]["partitions"],
            channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"],
            channel["x-key"],
        )
        for channel in document["channels"].values()
    }

    assert channels == {
        topic.name: (topic.partitions, topic.retention.total_seconds() * 1000, topic.key)
        for topic in declared(["{branch}"])
    }


def test_each_kind_stands_in_the_channel_of_its_topic(document: dict[str, Any]) -> None:
    found = {
        (name, message)
        for name, channel in document["channels"].items()
        for message in channel["messages"]
    }

    assert found == {(kind.topic.value, kind_name(kind)) for kind in KINDS}


def test_each_message_names_its_kind_and_its_published_schema(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]

    assert set(messages) == {kind_name(kind) for kind in KINDS}
    for name, message in messages.items():
        assert message["name"] == name
        assert message["payload"] == {"$ref": f"../schema/json/{name}.json"}
        assert message["traits"] == [{"$ref": "#/components/messageTraits/cloudevent"}]


def test_a_consumer_receives_what_the_document_says(document: dict[str, Any]) -> None:
    found = {
        name: {message["$ref"].rpartition("/")[2] for message in operation["messages"]}
        for name, operation in document["operations"].items()
        if "messages" in operation
    }

    assert found == {
        f"{consumer.group}.{topic}": {
            kind_name(kind) for kind in consumer.kinds if kind.topic.value == topic
        }
        for consumer in consumer_types()
        for topic in consumer.topics
    }


def test_the_headers_are_those_that_are_sent(document: dict[str, Any]) -> None:
    now = SystemClock().now()
    told = dict(headers(kind="renewal-done.v1", identity="renewal-done.v1:R1", key="R1", at=now))

    described = document["components"]["messageTraits"]["cloudevent"]["headers"]

    assert set(described["required"]) == set(described["properties"]) == set(told)
    for name, value in told.items():
        assert described["properties"][name].get("const", value.decode()) == value.decode()


def test_the_document_names_the_place_of_this_test() -> None:
    assert str(Path(__file__).relative_to(ROOT)) in DOCUMENT.read_text(encoding="utf-8")
