"""An IMAP server on loopback with one mailbox: log-in, SEARCH, FETCH and STORE by UID."""

from __future__ import annotations

import contextlib
import re
import socketserver
import threading
from dataclasses import dataclass, field
from typing import Self

USER, PASSWORD = "bounces@bank.example", "as-they-gave-it"


@dataclass
class ScriptedImap:
    """``mails`` by their UID; ``seen`` have the flag. It hangs up at the word ``cut_at``."""

    mails: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    cut_at: str = ""
    heard: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"imap://{USER.replace('@', '%40')}@127.0.0.1:{self.port}/INBOX/back?tls=off"

    def answer(self, words: list[str]) -> tuple[list[bytes], str]:
        """The untagged lines, and the tagged one's words."""
        match [word.upper() if at < 2 else word for at, word in enumerate(words)]:
            case ["CAPABILITY"]:
                return [b"* CAPABILITY IMAP4rev1"], "OK"
            case ["LOGIN", *_]:
                right = words[1:] in ([f'"{USER}"', f'"{PASSWORD}"'], [USER, f'"{PASSWORD}"'])
                return [], "OK" if right else "NO [AUTHENTICATIONFAILED] no"
            case ["SELECT", '"INBOX/BACK"']:
                return [f"* {len(self.mails)} EXISTS".encode()], "OK [READ-WRITE]"
            case ["UID", "SEARCH", *_]:
                unseen = sorted(set(self.mails) - self.seen)
                return [b" ".join([b"* SEARCH", *(str(uid).encode() for uid in unseen)])], "OK"
            case ["UID", "FETCH", uid, what]:
                return self._fetched(int(uid), what), "OK"
            case ["UID", "STORE", uid, *_]:
                self.seen.add(int(uid))
                return [], "OK"
            case ["LOGOUT"]:
                return [b"* BYE"], "OK"
        return [], "NO what?"

    def _fetched(self, uid: int, what: str) -> list[bytes]:
        bound = re.search(r"<0\.(\d+)>", what)
        raw = self.mails[uid][: int(bound[1]) if bound else None]
        return [f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")"]


def _handler(server: ScriptedImap) -> type[socketserver.StreamRequestHandler]:
    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.wfile.write(b"* OK ready\r\n")
                for raw in self.rfile:
                    if not self._said(raw.decode().rstrip("\r\n")):
                        return

        def _said(self, text: str) -> bool:
            tag, *words = text.split(" ")
            server.heard.append(" ".join(words))
            if server.cut_at and server.cut_at in text:
                return False
            untagged, word = server.answer(words)
            self.wfile.write(b"".join(line + b"\r\n" for line in untagged))
            self.wfile.write(f"{tag} {word} done\r\n".encode())
            return words[0].upper() != "LOGOUT"

    return Line
