"""Has the broker know what each component's user may do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import KafkaTimeoutError

from renewal.eventlog.kafka.client import admin_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from kafka.admin import KafkaAdminClient

    from renewal.eventlog.kafka.client import Connection
    from renewal.eventlog.rights import LogRight

KNOWN_WITHIN: Final = 10.0  # seconds
_PAUSE: Final = 0.1  # seconds


def grant(connection: Connection, rights: Sequence[LogRight]) -> None:
    """
    Grant them, and return once the broker that was asked goes by them; one that is granted already
    is no error, and none is taken away.

    Raises:
        LogUnavailableError: also for a user who may not alter the cluster.
    """
    wanted = [_acl(one) for one in rights]
    with admin_of(connection) as admin:
        for error in admin.create_acls(wanted)["failed"]:
            raise error
        _wait_until_known(admin, wanted)


def _wait_until_known(admin: KafkaAdminClient, wanted: Collection[ACL]) -> None:
    """The controller answers first; until a broker knows them, it refuses who has just got them."""
    kinds = {one.resource_pattern.resource_type for one in wanted}
    until = time.monotonic() + KNOWN_WITHIN
    while not {*wanted} <= {one for kind in kinds for one in _known(admin, kind)}:
        if time.monotonic() >= until:
            raise KafkaTimeoutError
        time.sleep(_PAUSE)  # a broker that has learned them tells nobody


def _known(admin: KafkaAdminClient, kind: ResourceType) -> Iterator[ACL]:
    every = ResourcePatternFilter(kind, None, ACLResourcePatternType.ANY)
    asked = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ALLOW, every)
    found, _ = admin.describe_acls(asked)
    yield from found


def _acl(right: LogRight) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{right.user}",
        host="*",
        operation=ACLOperation[right.operation.upper()],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[right.kind.upper()], right.name, pattern),
    )
