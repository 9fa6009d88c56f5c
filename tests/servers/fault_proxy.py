"""A TCP line on loopback that can be slow, dead, cut or reset."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Self
from urllib.parse import urlsplit


class FaultProxy:
    """
    Carries bytes to ``target`` (``host:port`` or a URL) and back; the faults may change meanwhile.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target if "//" in target else f"//{target}")
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        self._scheme = parts.scheme or "tcp"
        self.latency = 0.0  #: seconds before each piece, each way
        self.black_hole = False  #: bytes go in and nothing comes out
        self.reset_at_once = False  #: a connection is taken and reset
        self.cut_request_after: int | None = None  #: bytes towards the target, of a connection
        self.cut_answer_after: int | None = None  #: bytes back, of a connection
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]
        self.url = f"{self._scheme}://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # close() alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(timeout=30)

    def drop_all(self) -> None:
        """Reset every connection that is open now."""
        for end in tuple(self._open):
            self._reset(end)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.reset_at_once:
                self._reset(near)
                continue
            try:
                far = socket.create_connection(self._target, timeout=30)
            except OSError:
                self._reset(near)
                continue
            far.settimeout(None)
            self._open |= {near, far}
            self._start(self._carry, near, far, "cut_request_after")
            self._start(self._carry, far, near, "cut_answer_after")

    def _carry(self, source: socket.socket, sink: socket.socket, limit_name: str) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if self.black_hole:
                    continue
                time.sleep(self.latency)
                limit: int | None = getattr(self, limit_name)
                if limit is not None and carried + len(piece) > limit:
                    sink.sendall(piece[: max(limit - carried, 0)])
                    break
                sink.sendall(piece)
                carried += len(piece)
        self._end(source)
        self._end(sink)

    def _end(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
        self._open.discard(end)

    def _reset(self, end: socket.socket) -> None:
        # SO_LINGER with zero seconds makes close() send RST instead of FIN; shutdown first wakes
        # a thread that reads from it.
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)
        end.close()
        self._open.discard(end)
