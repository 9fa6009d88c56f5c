"""Sanitizes texts from outside before they go into a message."""

from __future__ import annotations

import re

from markupsafe import Markup

LONGEST = 60  #: characters of a name that a message shows

# Controls, soft hyphen, zero-width and bidi signs (UAX 9), line separators, lone surrogates, tags.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:/+|//+", re.IGNORECASE)
_INNER_DOT = re.compile(r"[.\u3002\uff0e\uff61](?=\w)")  # the dots that IDNA takes for a dot
_ODD = re.compile(rf"{_UNSEEN.pattern}|[^\S ]|  |/|{_INNER_DOT.pattern}")


def sanitize(value: object) -> object:
    """
    One line of at most ``LONGEST`` characters, without unseen signs, that makes no link.

    A name is written by its bearer: it must neither break a header, nor turn the
    reading order, nor smuggle a link into a message that carries none. Whatever is
    no string, or is already markup of ours, is returned as it is.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) <= LONGEST and _ODD.search(value) is None:
        return value
    return _shortened(_one_line(_unlinked(_UNSEEN.sub("", _one_line(value)))))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unlinked(text: str) -> str:
    return _INNER_DOT.sub("‧", _SCHEME.sub("", text))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
