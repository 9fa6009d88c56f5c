"""Rejects malformed request heads before they are parsed (RFC 9112)."""

from __future__ import annotations

import re
from typing import Final

_REQUEST_LINE: Final = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]")
#: RFC 9110, 5.1: a name is a token, and no space stands before the colon.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,12}")
_MOST_HEADERS: Final = 100
#: Their bodies have no meaning, and a proxy may not see them (RFC 9110, 9.3.1).
_WITHOUT_BODY: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})


def fault_of(head: bytes) -> str:
    """
    Return why two readers could take this head for different requests; empty: they cannot.

    ``head`` is everything before the empty line.
    """
    request_line, *lines = head.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(request_line):
        return "the request line is none"
    if len(lines) > _MOST_HEADERS:
        return "too many headers"
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        matched = _HEADER.fullmatch(line)
        if matched is None:  # folded, with a bare line feed, or with a space before the colon
            return "a header is none"
        found.setdefault(matched[1].lower(), []).append(matched[2])
    return _framing(request_line, found)


def _framing(request_line: bytes, found: dict[bytes, list[bytes]]) -> str:
    lengths = found.get(b"content-length", [])
    codings = found.get(b"transfer-encoding", [])
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        return "the length is not one number"
    if codings and (lengths or codings != [b"chunked"] or request_line.endswith(b"1.0")):
        return "the coding and the length contradict each other"
    has_body = bool(codings) or any(int(length) for length in lengths)
    if has_body and request_line.split(b" ")[0] in _WITHOUT_BODY:
        return "this method has no body"
    if len(found.get(b"host", [])) > 1 or (request_line.endswith(b"1.1") and b"host" not in found):
        return "there is not one host"
    return ""
