"""What every list of the console has: views that its reader saves, and its rows as CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response, StreamingResponse

from back_office.imports.report import harmless
from renewal.db.retry import retry_on_conflict
from renewal.delivery import dead_letters
from renewal.delivery.dead_letters import LetterFilter
from renewal.store import audit, saved_views
from renewal.store import console as queries
from renewal.store.saved_views import SavedView
from web.errors import PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from back_office.console.site import ConsoleSite
    from renewal.db.engine import Store

EXPORT_PAGE = 1_000
_A_NUMBER = re.compile("[0-9]{1,15}")
LONGEST_QUERY = 400  #: signs, as its column holds
MOST_VIEWS = 30  #: of one person and list
#: The filters of each list; nothing else of an address is kept.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "certificates": ("product", "state", "customer"),
    "messages": ("state", "kind"),
    "dead-letters": ("consumer", "kind", "why"),
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "certificates": (
        "id", "product", "serial", "token_serial", "customer", "state", "not_before", "not_after",
    ),
    "messages": ("id", "kind", "channel", "customer", "state", "owed_at", "code"),
    "dead-letters": ("id", "consumer", "kind", "key", "why", "tries", "died_at"),
}  # fmt: skip
Rows = list[dict[str, object]]
Part = Annotated[str, Form(max_length=400)]
Name = Annotated[str, Form(min_length=1, max_length=60)]


@dataclass(frozen=True)
class ListPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/lists/{page}.csv", self.export, methods=["GET"])
        router.add_api_route("/views/{page}", self.save, methods=["POST"])
        router.add_api_route("/views/{page}/remove", self.remove, methods=["POST"])
        return router

    def export(self, request: Request, page: str) -> Response:
        """Exactly the rows that the filter of the address takes, as they are read."""
        reader = self.site.reader(request)
        query = filters_of(page, str(request.query_params))
        self._on_the_trail(reader.name, page, query)
        lines = _lines(page, _pages_of(self.site.store, page, dict(parse_qsl(query))))
        headers = {"Content-Disposition": f'attachment; filename="{page}.csv"'}
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    @retry_on_conflict
    def _on_the_trail(self, who: str, page: str, query: str) -> None:
        with self.site.store.transaction() as work:
            why = query[:300] or "all"
            audit.write(work, who=who, did="export list", object_=f"list {page}", why=why)

    def save(self, request: Request, page: str, name: Name, query: Part = "") -> Response:
        who, kept = self.site.reader(request).name, filters_of(page, query)
        if len(kept) > LONGEST_QUERY:  # a letter of Chinese takes nine signs in an address
            raise PageError("E9400")
        self._save(who, page, SavedView(name.strip() or name, kept))
        return self.site.kit.see(f"/{page}?{kept}")

    @retry_on_conflict
    def _save(self, who: str, page: str, view: SavedView) -> None:
        with self.site.store.transaction() as work:
            names = {one.name for one in saved_views.of_page(work, who, page)}
            if len(names | {view.name}) > MOST_VIEWS:
                raise PageError("E9400")
            saved_views.put(work, who, page, view)

    def remove(self, request: Request, page: str, name: Name, query: Part = "") -> Response:
        who, kept = self.site.reader(request).name, filters_of(page, query)
        self._remove(who, page, name)
        return self.site.kit.see(f"/{page}?{kept}")

    @retry_on_conflict
    def _remove(self, who: str, page: str, name: str) -> None:
        with self.site.store.transaction() as work:
            saved_views.remove(work, who, page, name)


def list_values(site: ConsoleSite, owner: str, page: str, **chosen: object) -> dict[str, Any]:
    """What the head of a list shows: its filter as a query, and its reader's views."""
    query = urlencode({name: value for name, value in chosen.items() if value})
    with site.store.snapshot() as look:
        views = saved_views.of_page(look, owner, page)
    return {"list_page": page, "query": query, "views": views}


def filters_of(page: str, query: str) -> str:
    """
    The filters of a list, out of an address.

    Raises:
        PageError: there is no such list, or a customer that is no number of ours: without this
            filter everybody's rows would be written.
    """
    if page not in FILTERS:
        raise PageError("E9404")
    given = {name: value for name, value in parse_qsl(query) if name in FILTERS[page] and value}
    if not _A_NUMBER.fullmatch(given.get("customer", "0")):
        raise PageError("E9400")
    return urlencode({name: given[name] for name in FILTERS[page] if name in given})


def _lines(page: str, pages: Iterator[Rows]) -> Iterator[str]:
    columns = COLUMNS[page]
    yield "\ufeff" + ",".join(columns) + "\r\n"
    for rows in pages:
        text = io.StringIO()
        written = csv.writer(text)
        for row in rows:
            written.writerow([harmless(_cell(row[name])) for name in columns])
        yield text.getvalue()


def _cell(value: object) -> str:
    moment: Callable[[], str] | None = getattr(value, "isoformat", None)
    return moment() if moment else "" if value is None else str(value)


def _pages_of(store: Store, page: str, chosen: Mapping[str, str]) -> Iterator[Rows]:
    if page == "certificates":
        return _certificates(store, chosen)
    return _messages(store, chosen) if page == "messages" else _letters(store, chosen)


def _certificates(store: Store, chosen: Mapping[str, str]) -> Iterator[Rows]:
    customer, after = chosen.get("customer", ""), 0
    while True:
        with store.snapshot() as look:
            found = queries.certificates_page(
                look, product=chosen.get("product"), state=chosen.get("state"),
                customer=int(customer) if customer else None, until=None,
                after=after, at_most=EXPORT_PAGE,
            )  # fmt: skip
        yield [dict(row) for row in found]
        if len(found) < EXPORT_PAGE:
            return
        after = found[-1]["id"]


def _messages(store: Store, chosen: Mapping[str, str]) -> Iterator[Rows]:
    before = ""
    while True:
        with store.snapshot() as look:
            found = queries.messages_page(
                look, state=chosen.get("state"), kind=chosen.get("kind"), before=before,
                at_most=EXPORT_PAGE,
            )  # fmt: skip
        yield _as_rows(found, COLUMNS["messages"])
        if len(found) < EXPORT_PAGE:
            return
        before = queries.place_of(found[-1])


def _letters(store: Store, chosen: Mapping[str, str]) -> Iterator[Rows]:
    taken, after = LetterFilter(**chosen), 0
    while True:
        with store.snapshot() as look:
            found = dead_letters.list_open(look, after=after, at_most=EXPORT_PAGE, chosen=taken)
        yield _as_rows(found, COLUMNS["dead-letters"])
        if len(found) < EXPORT_PAGE:
            return
        after = found[-1].id


def _as_rows(found: Sequence[object], columns: Sequence[str]) -> Rows:
    return [{name: getattr(row, name) for name in columns} for row in found]
