"""Compiled statements for all SQLite engines of a process: each test opens engines of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 4000
ITS_OWN = "_compiled_cache"


class _ByKindOfDialect(LRUCache[Any, Any]):
    """SQLAlchemy keys by the dialect's object, of which every engine has one, all alike."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 - SQLAlchemy's
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        super().__setitem__((type(key[0]), *key[1:]), value)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Only SQLite: PostgreSQL's dialect depends on the server that it found."""
    kept = _ByKindOfDialect(SIZE)

    def found(engine: Engine) -> Any:  # noqa: ANN401 - SQLAlchemy's
        return kept if engine.dialect.name == "sqlite" else vars(engine)[ITS_OWN]

    def keep(engine: Engine, its_own: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        vars(engine)[ITS_OWN] = its_own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, ITS_OWN, property(found, keep), raising=False)
        yield
