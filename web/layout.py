"""Renders pages: one Jinja environment for each language, with the components as `x`."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from schema import roc
from schema.taipei import TAIPEI
from templates.compiled import CompiledTemplates

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

STATIC = Path(__file__).parent / "static"
_COMPILED = CompiledTemplates()
#: The shape says the state, also without its colour.
GLYPHS = {
    "ok": '<circle cx="6" cy="6" r="5"/>',
    "run": '<path d="M6 1a5 5 0 0 1 0 10z"/>'
    '<circle cx="6" cy="6" r="4.25" fill="none" stroke-width="1.5"/>',
    "wait": '<circle cx="6" cy="6" r="4.25" fill="none" stroke-width="1.5"/>',
    "warn": '<path d="M6 .8 11.6 11H.4z"/>',
    "bad": '<path d="M3.8.9h4.4l3 3v4.3l-3 3H3.8l-3-3V3.9z"/>',
    "hold": '<path d="M6 .3 11.7 6 6 11.7.3 6z"/>',
    "off": '<path d="M1.5 5h9v2h-9z"/>',
}


@cache
def _icons() -> dict[str, str]:
    text = files("templates").joinpath("pages", "icons.json").read_text(encoding="utf-8")
    read: dict[str, str] = json.loads(text)
    return read


def icon(name: str, cls: str = "") -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>').format(
        f"x-icon {cls}".strip(), Markup(_icons()[name])  # noqa: S704 - a file of ours # nosec B704
    )  # fmt: skip


def tag(kind: str, text: str, *, pill: bool = False) -> Markup:
    """A state, as a shape and a word."""
    classes = "x-tag" + ("" if kind in {"wait", "off"} else f" {kind}")
    glyph = Markup('<svg viewBox="0 0 12 12" aria-hidden="true">{}</svg>').format(
        Markup(GLYPHS[kind])  # noqa: S704 - written above # nosec B704
    )
    return Markup('<span class="{}">{}{}</span>').format(
        classes + (" is-pill" if pill else ""), glyph, text
    )


def moment(when: datetime) -> Markup:
    """A moment in Taipei, to the second: the day in ink, the time lighter."""
    local = when.astimezone(TAIPEI)
    return Markup('<time class="x-t" datetime="{}">{}<i>{}</i></time>').format(
        local.isoformat(timespec="seconds"), f"{local:%Y-%m-%d} ", f"{local:%H:%M:%S}"
    )


def code(text: str) -> Markup:
    """A serial, an id, a hash: in the face for what is compared letter by letter."""
    return Markup('<span class="x-id">{}</span>').format(text)


def link(
    text: str, href: str, kind: str = "outline-secondary", size: str = "sm", glyph: str = ""
) -> Markup:
    classes = f"btn btn-{kind}" + (f" btn-{size}" if size else "")
    return Markup('<a class="{}" href="{}">{}{}</a>').format(
        classes, href, icon(glyph) if glyph else "", text
    )


def two(first: str, second: str) -> Markup:
    return Markup('{}<span class="x-cell2">{}</span>').format(first, second)


def roc_day(when: datetime) -> str:
    """The day in Taipei by the ROC calendar: 115/11/30."""
    return roc.short(when)


def roc_moment(when: datetime) -> str:
    return f"{roc.short(when)} {when.astimezone(TAIPEI):%H:%M:%S}"


@cache
def version() -> str:
    """
    A hash over all files of ours: a changed file has another address, so that browsers may keep
    it, and the modules that a script imports by a relative address change with it.
    """
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(STATIC)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def asset(path: str) -> str:
    """The address of a file of ours."""
    return f"/static/{version()}/{path}"


def environment(locale: str, package: str = "templates") -> Environment:
    """
    The templates in one language. ``w`` picks it: a text stands in both beside each other, so that
    none can be forgotten in one of them.
    """
    english = locale == "en"

    def words(zh: str, en: str) -> str:
        return en if english else zh

    def until(start: datetime, end: datetime) -> Markup:
        return Markup('<span class="x-range"><span>{}</span>{}<span>{}</span>{}</span>').format(
            words("起", "From"), moment(start), words("迄", "To"), moment(end)
        )

    made = Environment(
        loader=PackageLoader(package, "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_COMPILED,
    )
    helpers: dict[str, Callable[..., Any]] = {
        "w": words, "icon": icon, "tag": tag, "t": moment, "until": until, "code": code,
        "link": link, "two": two, "roc_day": roc_day, "roc_moment": roc_moment, "asset": asset,
        "escape": escape,
    }  # fmt: skip
    made.globals |= helpers | {"en": english, "locale": locale}
    made.filters["n"] = lambda number: f"{number:,}"
    made.globals["x"] = made.get_template("x.j2").module
    return made
