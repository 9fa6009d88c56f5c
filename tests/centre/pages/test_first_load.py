"""A first visit is small, and what does not change is kept by the browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from web.layout import STATIC, asset

if TYPE_CHECKING:
    from tests.centre.pages.conftest import Desk

MOST = 150_000  #: bytes, compressed


def test_a_first_visit_takes_less_than_150_kilobytes(desk: Desk) -> None:
    """The log-in page, its style sheets, and every script that any page of the centre loads."""
    scripts = [*(STATIC / "centre").glob("*.js"), *(STATIC / "vendor" / "noble").rglob("*.js")]
    with httpx.Client(base_url=desk.url) as client:
        page = client.get("/login")
        sheets = re.findall(r'href="(/static/[^"]+)"', page.text)
        named = [asset(str(script.relative_to(STATIC))) for script in scripts]
        answers = [client.get(address) for address in (*sheets, *named)]

    taken = sum(answer.num_bytes_downloaded for answer in (page, *answers))
    assert len(sheets) >= 2
    assert {answer.status_code for answer in answers} == {200}
    assert taken < MOST, taken


def test_files_are_kept_for_a_year_and_pages_not_at_all(desk: Desk) -> None:
    with httpx.Client(base_url=desk.url) as client:
        page, sheet = client.get("/login"), client.get(asset("vendor/bootstrap.min.css"))

    assert page.headers["cache-control"] == "no-store"
    assert "content-encoding" not in page.headers
    assert "immutable" in sheet.headers["cache-control"]
    assert (sheet.headers["content-encoding"], sheet.headers["vary"]) == ("gzip", "Accept-Encoding")
