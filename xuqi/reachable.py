"""Knocks at the database's and the broker's doors at once, for a command that must not wait."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from xuqi.event_log import connection, is_kafka

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xuqi.settings import Settings

#: Seconds for a door to open, and the least that libpq waits for an answer behind it.
KNOCK, ANSWER = 1.5, 2
_POSTGRESQL = 5432


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    setting: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.setting})"


def doors(settings: Settings) -> list[ServerAddress]:
    """Where the database server and the brokers listen; a local file or socket has no door."""
    found = []
    url = sa.make_url(settings.store)
    if settings.database_file is None and url.host and not url.host.startswith("/"):
        found.append(
            ServerAddress(setting="XUQI_STORE_URL", host=url.host, port=url.port or _POSTGRESQL)
        )
    if is_kafka(settings):
        for server in connection(settings).servers:
            host, _, port = server.rpartition(":")
            found.append(
                ServerAddress(setting="XUQI_LOG_URL", host=host.strip("[]"), port=int(port))
            )
    return found


def closed(asked: Sequence[ServerAddress], *, timeout: float = KNOCK) -> list[ServerAddress]:
    """Those that do not open in time; all are asked at once."""
    if not asked:
        return []
    with ThreadPoolExecutor(len(asked)) as pool:
        opened = pool.map(lambda door: _opens(door, timeout), asked)
        return [door for door, opens in zip(asked, opened, strict=True) if not opens]


def _opens(door: ServerAddress, timeout: float) -> bool:
    try:
        with socket.create_connection((door.host, door.port), timeout=timeout):
            return True
    except OSError:
        return False


def in_a_hurry(store_url: str) -> str:
    """The same database, and no long wait for a server that takes the call and says nothing."""
    url = sa.make_url(store_url)
    if url.get_backend_name() != "postgresql" or "connect_timeout" in url.query:
        return store_url
    hurried = url.update_query_dict({"connect_timeout": str(ANSWER)})
    return hurried.render_as_string(hide_password=False)
