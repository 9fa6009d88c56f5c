"""Sets up a branch's desk with a token of either manner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.token_station.tokens import BOTH, Desk, PretendCa

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.simulator.card_profiles import CardProfile


@pytest.fixture(scope="session")
def ca() -> PretendCa:
    return PretendCa()


@pytest.fixture(params=BOTH, ids=lambda manners: f"card-{manners.name}")
def manners(request: pytest.FixtureRequest) -> CardProfile:
    found: CardProfile = request.param
    return found


@pytest.fixture
def desk(tmp_path: Path, manners: CardProfile, ca: PretendCa) -> Desk:
    return Desk(tmp_path, manners=manners, ca=ca)
