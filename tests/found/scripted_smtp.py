"""A mail server on loopback that gives the answers it is told to give."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

Reply = "str | Callable[[str], str]"
POLITE = {
    "HELLO": "220 peer",
    "EHLO": "250 peer",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go",
    "END": "250 2.0.0 queued",
    "RSET": "250 OK",
    "NOOP": "250 OK",
    "QUIT": "221 bye",
}


class ScriptedSmtp:
    """
    One reply for each command; ``END`` is the answer to the dot, and ``"cut"`` hangs up instead.
    """

    def __init__(self, **replies: str | Callable[[str], str]) -> None:
        self.replies: dict[str, str | Callable[[str], str]] = {**POLITE, **replies}
        self.heard: list[str] = []
        self.mails: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._server.getsockname()[1]}?from=bank@example.com&tls=off"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def returns(self) -> list[str]:
        """The return address of each mail that was begun."""
        said = [line for line in self.heard if line.upper().startswith("MAIL FROM:<")]
        return [line[len("MAIL FROM:<") :].split(">")[0] for line in said]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._server.accept()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), line, line.makefile("rwb") as file:
            self._say(file, "HELLO", "")
            for raw in file:
                text = raw.decode("utf-8", "replace").rstrip("\r\n")
                self.heard.append(text)
                word = text.split(" ")[0].upper()
                if not self._say(file, word, text) or word == "QUIT":
                    return
                if word == "DATA" and not self._take(file):
                    return

    def _take(self, file) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 - socket's own
        body = b""
        for more in file:
            if more == b".\r\n":
                break
            body += more
        self.mails.append(body)
        return self._say(file, "END", body.decode("utf-8", "replace"))

    def _say(self, file, word: str, text: str) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as above
        reply = self.replies.get(word, "500 what?")
        said = reply if isinstance(reply, str) else reply(text)
        if said == "cut":
            return False
        file.write(said.replace("\n", "\r\n").encode() + b"\r\n")
        file.flush()
        return True
