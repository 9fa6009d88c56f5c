"""The routes of a JSON API under /api/v1, with the problems that each may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pydantic import BaseModel


class ApiRoutes:
    """``problem``: the body of every answer with one of the ``refusals`` (HTTP statuses)."""

    def __init__(self, tag: str, problem: type[BaseModel], refusals: Collection[int]) -> None:
        answers: dict[int | str, dict[str, object]] = {
            status: {"model": problem} for status in refusals
        }
        self.router = APIRouter(prefix="/api/v1", responses=answers, tags=[tag])

    def at(
        self,
        method: str,
        path: str,
        act: Callable[..., object],
        model: object = None,
        status: int = 200,
    ) -> None:
        self.router.add_api_route(
            path, act, methods=[method], response_model=model, status_code=status
        )
