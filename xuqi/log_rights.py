"""Says which topics and groups of the log each component's user needs; it is given no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.registry import consumer_types
from renewal.eventlog.rights import LogRight
from schema.events import Topic
from schema.topics import declared
from xuqi.serving.components import RELAY, SCHEDULER, STATION, WEB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

OPERATOR: Final = "operator"  #: people: `xuqi status`, `xuqi config check`
GROUPS: Final = "xuqi."  #: stands before every group of ours


def log_rights(branches: Collection[str], prefix: str = "") -> Sequence[LogRight]:
    """
    Everything that the components do on the log, sorted by user.

    A user is called as its component; the station that reads the log itself, ``station-<branch>``.
    """
    return sorted({*_rights(branches, prefix)})


def _rights(branches: Collection[str], prefix: str) -> Iterator[LogRight]:
    topics = [one.name for one in declared(branches)]
    users = [RELAY, WEB, SCHEDULER, OPERATOR]
    for consumer in consumer_types():
        users.append(consumer.group)
        yield _group(consumer.group, prefix)
        for topic in consumer.topics:
            yield _topic(consumer.group, "read", topic, prefix)
    for topic in topics:
        yield _topic(RELAY, "write", topic, prefix)
    for branch in branches:
        user, own = f"{STATION}-{branch}", f"{Topic.STATIONS.value}.{branch}"
        users.append(user)
        yield _group(user, prefix, f"station.{branch}")
        yield _topic(user, "read", own, prefix)
        yield _topic(user, "write", Topic.TOKENS.value, prefix)
        yield _topic(WEB, "read", own, prefix)  # for stations without the log, over HTTPS
    yield _topic(WEB, "write", Topic.TOKENS.value, prefix)
    yield LogRight(
        user=WEB, operation="read", kind="group", name=f"{prefix}{GROUPS}station.", prefixed=True
    )
    for user in (SCHEDULER, OPERATOR):  # they count what each group is behind
        yield LogRight(
            user=user, operation="describe", kind="group", name=f"{prefix}{GROUPS}", prefixed=True
        )
    for user in users:  # each checks at its start that the topics are as declared
        yield LogRight(
            user=user, operation="describe", kind="topic", name=prefix or "*", prefixed=bool(prefix)
        )


def _topic(user: str, operation: str, topic: str, prefix: str) -> LogRight:
    return LogRight(user=user, operation=operation, kind="topic", name=prefix + topic)


def _group(user: str, prefix: str, group: str = "") -> LogRight:
    return LogRight(
        user=user, operation="read", kind="group", name=f"{prefix}{GROUPS}{group or user}"
    )


def script(rights: Sequence[LogRight]) -> str:
    """The same as a script of kafka-acls.sh, for who grants them without Xuqi."""
    head = (
        "#!/bin/sh",
        "# Who may do what on the log. Made by `xuqi topics acl`; not to be edited.",
        "#   BROKER=kafka.example:9092 ADMIN=owner.properties sh acls.sh",
        "set -eu",
        "grant() {",
        '  kafka-acls.sh --bootstrap-server "$BROKER" --command-config "$ADMIN" --add --force \\',
        '    --allow-principal "User:$1" --operation "$2" "--$3" "$4" --resource-pattern-type "$5"',
        "}",
        "",
    )
    grants = (
        f"grant {one.user} {one.operation.capitalize()} {one.kind} '{one.name}' "
        f"{'prefixed' if one.prefixed else 'literal'}"
        for one in rights
    )
    return "\n".join((*head, *grants)) + "\n"
