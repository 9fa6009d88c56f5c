"""The terms of each product as versioned files, and which text somebody has agreed to."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from renewal.store import agreements as queries
from renewal.store.sessions import hash_of
from web.errors import Words  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    title: Words
    lead: Words
    items: list[Words]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """One text in one language; what is agreed to is exactly ``text``."""

    product: str
    version: str
    locale: str
    title: str
    lead: str
    items: Sequence[str]

    @property
    def text(self) -> str:
        numbered = (f"{number}. {item}" for number, item in enumerate(self.items, start=1))
        return "\n".join((f"{self.title} {self.version}", self.lead, *numbered))

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def fingerprint(self) -> str:
        """The two ends of the hash, for a person to compare."""
        text = self.sha256.hex()
        return f"{text[:4]} {text[4:8]} … {text[-4:]}"


@cache
def terms_of(product: str, locale: str) -> Terms:
    """
    The terms in force for a product.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = files("templates").joinpath("pages", "terms", f"{product}.toml")
    read = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)

    def chosen(words: Words) -> str:
        return words.en if locale == "en" else words.zh

    return Terms(
        product=product,
        version=read.version,
        locale=locale,
        title=chosen(read.title),
        lead=chosen(read.lead),
        items=[chosen(item) for item in read.items],
    )


def agree(
    work: UnitOfWork, terms: Terms, *, customer: int, session: str, renewal: str | None
) -> None:
    """Keep which text was agreed to, when, and in which session."""
    queries.keep(
        work,
        queries.Agreement(
            customer=customer,
            product=terms.product,
            version=terms.version,
            locale=terms.locale,
            text_sha256=terms.sha256,
            at=work.at,
            session_hash=hash_of(session),
            renewal=renewal,
        ),
    )
