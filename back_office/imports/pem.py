"""Finds the blocks of PEM in a text, in whatever dress mail programs and tools have put them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schema.reasons import Reason

_CHUNK: Final = 1 << 16
_MOST_LINE: Final = 1 << 17
UTF8_MARK: Final = b"\xef\xbb\xbf"
#: Hyphens and what word processors make of them, two to five in a row; RFC 7468 has five.
_DASH: Final = rb"(?:-|\xe2\x80[\x90-\x95]|\xe2\x88\x92|\xef\xbc\x8d)"
_MARK: Final = re.compile(
    _DASH + rb"{2,5}[ \t]*(BEGIN|END)[ \t]+([A-Z0-9 .#]{1,40}?)[ \t]*" + _DASH + rb"{2,5}",
    re.IGNORECASE,
)
_ALMOST: Final = re.compile(
    rb"-[ \t]*BEGIN\b[^-]{0,40}CERTIFICATE|\bBEGIN[ \t][A-Z0-9 .]{0,20}CERTIFICATE[ \t]*-",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(rb"^[ \t>|]+")
#: Line breaks that a program has written out, as JSON does.
_ESCAPED: Final = re.compile(rb"\\r|\\n")


class Block(NamedTuple):
    """
    One block: the line of its beginning, its label in capitals, its body or what is wrong.
    """

    line: int
    label: bytes
    body: bytes | Reason


def blocks(file: IO[bytes], most: Callable[[bytes], int]) -> Iterator[Block]:
    """
    Yield the blocks of a text (RFC 7468), and as one what looks like a block and is none.

    Whatever looks like a beginning or an end is a block or a finding, never nothing: a
    certificate that is passed over is one that nobody is reminded of. ``most``: how many bytes
    of a label's body are kept.
    """
    begun, label, body, size = 0, b"", list[bytes](), 0
    for number, line in enumerate(_lines(file), start=1):
        at = 0
        for mark in _MARK.finditer(line):
            size = _kept(line[at : mark.start()], body, size, most(label)) if begun else 0
            at = mark.end()
            if mark[1].upper() == b"BEGIN":
                if begun:
                    yield Block(begun, label, FindingReason.BLOCK_NO_END.why())
                begun, label, body, size = number, _label(mark[2]), [], 0
            elif begun:
                too_long = FindingReason.TOO_LONG.why(limit=str(most(label) * 2 // 3))
                yield Block(begun, label, too_long if size > most(label) else b"".join(body))
                begun = 0
            else:
                yield Block(number, _label(mark[2]), FindingReason.BLOCK_END_ALONE.why())
        if begun:
            size = _kept(line[at:], body, size, most(label))
        elif _ALMOST.search(line[at:]):
            yield Block(number, b"CERTIFICATE", FindingReason.BLOCK_MARK.why())
    if begun:
        yield Block(begun, label, FindingReason.BLOCK_NO_END.why())


def decoded(body: bytes) -> bytes | None:
    """
    Return what a body of base64 says, ``None`` if it is none.
    """
    lines = (_QUOTED.sub(b"", line) for line in _ESCAPED.sub(b"\n", body).splitlines())
    try:
        return base64.b64decode(b"".join(b"".join(lines).split()), validate=True)
    except binascii.Error:
        return None


def _kept(part: bytes, body: list[bytes], size: int, most: int) -> int:
    size += len(part)
    if size <= most:  # what is too long is not kept
        body.append(part + b"\n")
    return size


def _label(text: bytes) -> bytes:
    return b" ".join(text.upper().split())


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """
    Yield the lines, whatever ends them; one without end comes in pieces.
    """
    rest = file.read(len(UTF8_MARK)).removeprefix(UTF8_MARK)
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        yield from whole
        if len(rest) > _MOST_LINE:
            yield rest
            rest = b""
    if rest:
        yield from rest.replace(b"\r", b"\n").split(b"\n")
