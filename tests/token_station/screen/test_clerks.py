"""What a wrong name costs at the station's log-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.clock import SystemClock
from token_station.screen.clerks import Clerks, Role
from web import passwords

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "a clerk's long password"  # noqa: S105 - of a clerk in a story


class Counted:
    """A hasher that writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def hash(self, password: str) -> str:
        self.asked.append("hash")
        return passwords.hasher().hash(password)

    def verify(self, hashed: str, password: str) -> bool:
        self.asked.append("verify")
        return passwords.hasher().verify(hashed, password)


@pytest.mark.parametrize("name", ["wang", "nobody"])
def test_an_unknown_name_takes_as_much_work_as_a_wrong_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    clerks = Clerks(tmp_path / "clerks.json", SystemClock())
    clerks.add("wang", PASSWORD, shown="王淑芬", role=Role.CLERK)
    assert clerks.check("nobody", PASSWORD) is None  # the first time it makes what it compares with
    counted = Counted()
    monkeypatch.setattr(clerks, "_hasher", counted)

    assert clerks.check(name, "another long password") is None

    assert counted.asked == ["verify"]
