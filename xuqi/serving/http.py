"""Serves ASGI applications by uvicorn and h11 within fixed limits."""

from __future__ import annotations

import logging
import resource
import socket
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from xuqi.process_lock import AddressError
from xuqi.serving.request_head import fault_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

log = logging.getLogger(__name__)

HEAD_END = b"\r\n\r\n"
#: Descriptors that clients never get: for the database, the log, carriers, the CA and the bank.
RESERVED_DESCRIPTORS = 256
STARTS_WITHIN = 10.0  #: seconds
MOST_ADDRESSES = 10_000  #: whose rate is remembered


class AsgiApp(Protocol):
    """An ASGI application."""

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        /,
    ) -> Awaitable[None]: ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one listening address allows."""

    connections: int = 200  #: at once; above it the one that has kept us waiting longest is cut
    head_seconds: float = 5.0  #: for the whole head of a request, however it trickles
    body_seconds: float = 20.0  #: for the whole body
    idle_seconds: float = 15.0  #: between two requests of a connection
    head_bytes: int = 16 * 1024
    requests_per_second: int = 5_000  #: of one client's address; 429 above it
    #: whose X-Forwarded-For is believed; else who asks is who has connected
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mount:
    """An application under a path. It sees its requests with the path as ``root_path``."""

    path: str  #: "" for whatever no other mount takes; else "/centre"
    app: AsgiApp
    body_bytes: int = 64 * 1024  #: of one request


def mounted(*mounts: Mount) -> AsgiApp:
    """One application of several: the longest path that fits takes the request."""
    ordered = sorted(mounts, key=lambda mount: -len(mount.path))

    async def application(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        scope = _origin_form(scope)
        for mount in ordered:
            if _fits(mount.path, scope["path"]):
                inner = {**scope, "root_path": scope.get("root_path", "") + mount.path}
                await _with_bounded_body(mount, inner, receive, send)
                return
        await plain(send, 404)

    return application


def _fits(prefix: str, path: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _origin_form(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A proxy may send the whole URL (RFC 9112, 3.2.2); its host is not looked at here."""
    path: str = scope["path"]
    if path.startswith("/"):
        return scope
    raw: bytes = scope["raw_path"]
    _, _, rest = raw.partition(b"://")
    _, slash, raw_path = rest.partition(b"/")
    _, _, after = path.partition("://")[2].partition("/")
    return {**scope, "path": f"/{after}", "raw_path": slash + raw_path or b"/"}


async def _with_bounded_body(
    mount: Mount,
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if int(length) > mount.body_bytes:
        await plain(send, 413, close=True)
        return
    taken, began = 0, False

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > mount.body_bytes:  # chunks, which do not say their length before
            raise BodyTooLongError
        return message

    async def noted(message: MutableMapping[str, Any]) -> None:
        nonlocal began
        began = True
        await send(message)

    try:
        await mount.app(scope, bounded, noted)
    except BodyTooLongError:
        if not began:
            await plain(send, 413, close=True)


class BodyTooLongError(Exception):
    """A request's body is longer than its application takes."""


async def plain(
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]], status: int, *, close: bool = False
) -> None:
    """Answer with no more than the status."""
    body = status_line(status)
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def status_line(status: int) -> bytes:
    return f"{status} {HTTPStatus(status).phrase}\n".encode()


# --- listening ------------------------------------------------------------------------------------


@contextmanager
def listening(
    app: AsgiApp, host: str, port: int, *, limits: Limits | None = None, setting: str = "XUQI_PORT"
) -> Iterator[int]:
    """
    Answer in a thread of its own; yield the port. ``setting``: where the port stands.

    Raises:
        AddressError
    """
    found = bound(host, port, setting=setting)
    server = _server(app, _within_descriptors(limits or Limits()))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [found]}, name="http", daemon=True
    )
    thread.start()
    until = time.monotonic() + STARTS_WITHIN
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.005)  # uvicorn tells no other thread that it has started
    try:
        yield found.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(STARTS_WITHIN)
        found.close()


def bound(host: str, port: int, *, setting: str) -> socket.socket:
    """
    Raises:
        AddressError
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(512)
    except OSError as error:
        found.close()
        raise AddressError(
            f"cannot listen on {host}:{port} ({error.strerror}): set XUQI_HOST and {setting}"
        ) from error
    found.setblocking(False)  # noqa: FBT003 - socket's own
    return found


def _within_descriptors(limits: Limits) -> Limits:
    """No more connections than there are descriptors left when the others have theirs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + 2 * RESERVED_DESCRIPTORS
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = max(8, soft - RESERVED_DESCRIPTORS)
    if most < limits.connections:
        log.warning(
            "%s connections instead of %s: raise the limit of files", most, limits.connections
        )
        return replace(limits, connections=most)
    return limits


def _server(app: AsgiApp, limits: Limits) -> uvicorn.Server:
    door = Door(limits)

    def protocol(*args: Any, **more: Any) -> asyncio.Protocol:  # noqa: ANN401 - uvicorn's own
        return BoundedProtocol(door, *args, **more)

    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type] # it is called, and need be no class
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,  # a line would hold the serial of a customer's certificate
        server_header=False,
        proxy_headers=bool(limits.proxies),
        forwarded_allow_ips=list(limits.proxies),
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=limits.head_bytes,
    )
    return uvicorn.Server(config)


@dataclass
class Door:
    """The clients of one listening address."""

    limits: Limits
    waiting: OrderedDict[BoundedProtocol, None] = field(default_factory=OrderedDict)
    inside: int = 0
    _spent: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def enter(self, one: BoundedProtocol) -> bool:
        """Make place for a new client by cutting the one that keeps us waiting longest."""
        if self.inside >= self.limits.connections:
            if not self.waiting:
                return False
            longest, _ = self.waiting.popitem(last=False)
            longest.cut()
        self.inside += 1
        self.waiting[one] = None
        return True

    def leave(self, one: BoundedProtocol) -> None:
        self.inside -= 1
        self.waiting.pop(one, None)

    def is_too_fast(self, address: str, now: float) -> bool:
        """A token bucket for each address, as deep as one second."""
        most = float(self.limits.requests_per_second)
        left, since = self._spent.pop(address, [most, now])
        left = min(most, left + (now - since) * most)
        self._spent[address] = [max(0.0, left - 1), now]
        if len(self._spent) > MOST_ADDRESSES:
            self._spent.popitem(last=False)
        return left < 1


class BoundedProtocol(H11Protocol):
    """
    One connection. It is closed when its head or body comes too slowly, when it is not exactly
    what RFC 9112 says, and when something follows that nobody has asked for.
    """

    def __init__(self, door: Door, *args: Any, **more: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **more)
        self._door = door
        self._entered = False
        self._head = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]
        self._entered = self._door.enter(self)
        if not self._entered:
            self._refuse(503)
            return
        self._wait(self._door.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._entered:
            self._entered = False
            self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.conn.their_state is not h11.IDLE:
            super().data_received(data)
            self._after_data()
            return
        if not self._head:
            self._unset_keepalive_if_required()
            self._wait(self._door.limits.head_seconds, renew=False)
        self._head += data
        end = self._head.find(HEAD_END)
        if end < 0 and len(self._head) <= self._door.limits.head_bytes:
            return
        status = 431 if end < 0 or end > self._door.limits.head_bytes else self._fault(end)
        if status:
            self._refuse(status)
            return
        data = bytes(self._head)
        self._head.clear()
        self._door.waiting.pop(self, None)
        self._wait(self._door.limits.body_seconds)
        super().data_received(data)
        self._after_data()

    def _fault(self, end: int) -> int:
        if fault_of(bytes(self._head[:end])):
            return 400
        address = self.client[0] if self.client else ""
        return 429 if self._door.is_too_fast(address, self.loop.time()) else 0

    def _after_data(self) -> None:
        if self.conn.their_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR}:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        # What has come behind the request was asked by nobody who waits for an answer: it is
        # never taken for a request of its own (RFC 9112, 11.2).
        if self.conn.trailing_data[0] or self.conn.their_state is not h11.DONE:
            self._stop_waiting()
            self.transport.close()
            return
        super().on_response_complete()
        if self._entered and not self.transport.is_closing():
            self._door.waiting[self] = None

    # --- the end of patience --------------------------------------------------------------------

    def _wait(self, seconds: float, *, renew: bool = True) -> None:
        if self._timer is not None and not renew:
            return
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self.cut)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """End the connection without a word."""
        self.transport.abort()

    def _refuse(self, status: int) -> None:
        self._stop_waiting()
        body = status_line(status)
        head = f"HTTP/1.1 {status_line(status).decode().strip()}\r\nConnection: close\r\n"
        kind = f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write((head + kind).encode() + body)
        self.transport.close()


class _Joined:
    """A transport that sends in one piece what is written in one turn: head and body together."""

    def __init__(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner: Any = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        if self._parts:
            self._inner.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        self._flush()
        self._inner.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._inner, name)
