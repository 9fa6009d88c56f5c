"""Shows that what is served holds its bounds, whatever a client does."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from xuqi.process_lock import AddressError
from xuqi.serving.http import Limits, Mount, listening, mounted
from xuqi.serving.request_head import fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has them
    taken, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        taken, more = taken + message["body"], message["more_body"]
    body = b"%s %s %s" % (scope["root_path"].encode(), scope["path"].encode(), taken)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def opened(**limits: Any) -> Iterator[int]:  # noqa: ANN401 - fields of Limits
    app = mounted(Mount(path="", app=echo, body_bytes=10), Mount(path="/centre", app=echo))
    with listening(app, "127.0.0.1", 0, limits=Limits(**limits)) as port:
        yield port


def said(port: int, sent: bytes, wait: float = 5.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as one:
        one.sendall(sent)
        return everything(one)


def everything(one: socket.socket) -> bytes:
    got = b""
    try:
        while part := one.recv(65_536):
            got += part
    except (TimeoutError, ConnectionResetError):
        got += b"..."
    return got


def closing(sent: bytes) -> bytes:
    return sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def test_the_longest_path_that_fits_takes_the_request() -> None:
    with opened() as port:
        root = said(port, closing(GET))
        inner = said(port, closing(GET.replace(b"/x", b"/centre/page")))
        other = said(port, closing(GET.replace(b"/x", b"/centreless")))

    assert root.endswith(b"\r\n\r\n /x ")
    assert inner.endswith(b"\r\n\r\n/centre /centre/page ")
    assert other.endswith(b"\r\n\r\n /centreless ")


def test_a_proxys_whole_url_is_the_same_request() -> None:
    with opened() as port:
        assert said(port, closing(GET.replace(b"/x", b"http://pki.example/x"))).endswith(b" /x ")


def test_a_body_that_is_too_long_is_refused_with_and_without_its_length() -> None:
    post = b"POST /x HTTP/1.1\r\nHost: x\r\n"
    with opened() as port:
        told = said(port, post + b"Content-Length: 11\r\n\r\n12345678901")
        chunks = said(
            port, post + b"Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
        )
        fits = said(port, closing(post + b"Content-Length: 10\r\n\r\n") + b"1234567890")

    assert told.split()[1] == b"413"
    assert chunks.split()[1] == b"413"
    assert fits.endswith(b" /x 1234567890")


def test_what_follows_a_request_unasked_is_never_a_request() -> None:
    with opened() as port:
        got = said(port, GET + GET.replace(b"/x", b"/secret"))

    assert got.count(b"HTTP/1.1") == 1
    assert b"/secret" not in got


def test_requests_one_after_the_other_are_answered_on_one_connection() -> None:
    with opened() as port, socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        for _ in range(3):
            one.sendall(GET)
            assert one.recv(65_536).endswith(b" /x ")


def test_a_head_that_trickles_is_cut_at_its_deadline() -> None:
    with (
        opened(head_seconds=0.5) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as one,
    ):
        started, cut = time.monotonic(), False
        while not cut and time.monotonic() - started < 10:
            try:
                one.sendall(b"G")
                time.sleep(0.05)
            except OSError:
                cut = True

    assert cut


def test_a_body_that_does_not_come_is_cut_at_its_deadline() -> None:
    with opened(body_seconds=0.3) as port:
        got = said(port, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1")

    assert got in {b"", b"..."} or got.split()[1] != b"200"


def test_a_connection_that_waits_is_cut_for_the_one_that_comes() -> None:
    with opened(connections=5) as port, ExitStack() as held:
        waiting = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(9)
        ]
        got = said(port, closing(GET))
        first = everything(waiting[0])

    assert got.split()[1] == b"200"
    assert first in {b"", b"..."}


def test_an_address_that_asks_too_often_is_told_so() -> None:
    with opened(requests_per_second=3) as port:
        got = [said(port, closing(GET)).split()[1] for _ in range(6)]

    assert got[:3] == [b"200"] * 3
    assert b"429" in got


def test_a_head_that_is_too_long_is_refused() -> None:
    with opened(head_bytes=200) as port:
        got = said(port, GET[:-2] + b"X: " + b"y" * 300 + b"\r\n\r\n")

    assert got.split()[1] == b"431"


def test_an_address_that_is_taken_is_told_with_its_setting() -> None:
    with opened() as port, pytest.raises(AddressError, match="XUQI_PORT"):  # noqa: SIM117
        with listening(echo, "127.0.0.1", port):
            pass


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x HTTP/1.1",
        b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked",
        b"POST /x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked",
        b"GET /x HTTP/1.1\r\nHost: x\r\nHost: y",
        b"GET /x HTTP/1.1\r\nHost : x",
        b"GET /x HTTP/1.1\r\nHost: x\r\n folded",
        b"GET /x HTTP/1.1\r\nHost: x\nY: z",
        b"GET /x\ty HTTP/1.1\r\nHost: x",
        b"GET  /x HTTP/1.1\r\nHost: x",
        b"GET /x HTTP/2.0\r\nHost: x",
        b"GET /x",
        b"\r\nGET /x HTTP/1.1\r\nHost: x",
        b"GET /x HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(b"X%d: y" % n for n in range(101)),
    ],
)
def test_a_head_that_two_readers_may_take_differently_is_refused(head: bytes) -> None:
    assert fault_of(head)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x HTTP/1.1\r\nHost: x",
        b"GET /x HTTP/1.0",
        b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0",
        b'POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Type: a/b; c="\xe5"',
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_plain_head_is_taken(head: bytes) -> None:
    assert fault_of(head) == ""
