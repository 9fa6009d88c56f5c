"""Chooses the language of a page: the reader's choice first, then the browser's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

COOKIE = "xuqi_language"
LOCALES = ("zh-TW", "en")


def locale_of(request: Request) -> str:
    """The cookie's language; else English where the browser asks for English before Chinese."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LOCALES:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        tongue = part.split(";")[0].strip().lower()
        if tongue.startswith("zh"):
            return "zh-TW"
        if tongue.startswith("en"):
            return "en"
    return "zh-TW"
