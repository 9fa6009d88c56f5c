"""Draws the demo's report: one page that a board can read, in both languages."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from markupsafe import Markup

from schema.reasons import CODES
from templates.codes import text
from web.layout import STATIC, environment, two

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulation.results import DemoResults

#: In one file, so that it can be sent and opened anywhere.
STYLES = ("vendor/bootstrap.min.css", "xuqi.css")


def page(figures: DemoResults) -> str:
    made = environment("zh-TW")
    return made.get_template("report/demo.html").render(
        report=asdict(figures),
        styles=[Markup(_style(name)) for name in STYLES],  # noqa: S704 - files of ours
        sentence=_sentence,
        both=_both,
        rows_top=_top,
    )


def _style(name: str) -> str:
    # Nothing is fetched: what the style sheets name by an address is inlined in them as data.
    return (STATIC / name).read_text(encoding="utf-8").replace("</", "<\\/")


def _sentence(why: str) -> Markup:
    """A reason in Chinese, with the English below it; what is no code stays as it is."""
    code = CODES.get(why)
    if code is None:
        return two(why, "")
    parameters: dict[str, str | int] = dict.fromkeys(code.parameters, "…")
    return _both(_text(code, "zh-TW", parameters), _text(code, "en", parameters))


def _both(chinese: str, english: str) -> Markup:
    """The English below the Chinese, marked as what it is for who has the page read out."""
    return two(chinese, Markup('<span lang="en">{}</span>').format(english))


def _text(code: object, language: str, parameters: Mapping[str, str | int]) -> str:
    try:
        return text(code, language, **parameters)  # type: ignore[arg-type] # one of CODES
    except ValueError:  # a parameter that is a code itself
        return str(code)


def _top(counts: Mapping[str, int]) -> int:
    return max(counts.values(), default=1)
