"""Shows that a trace of a whole visit holds no secret and no personal data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.devices.tokens import MANAGEMENT_KEY, PIN, PUK, Desk
from token_station.piv import PivSession
from token_station.trace import Traced

if TYPE_CHECKING:
    from pathlib import Path


def traced_visit(path: Path) -> tuple[str, bytes]:
    desk = Desk(path)
    transport = desk.reader.connect()
    assert transport is not None
    lines: list[str] = []
    session = PivSession(Traced(transport, lines.append), MANAGEMENT_KEY)
    new = desk.renew(session)
    session.change_pin(PIN, "246802")
    session.unblock_pin(PUK, PIN)
    return "\n".join(lines), new


def test_a_trace_shows_no_pin_and_no_certificate(tmp_path: Path) -> None:
    trace, new = traced_visit(tmp_path)

    for secret in (PIN, "246802", PUK, "A123456789"):
        assert secret.encode().hex(" ").upper() not in trace
        assert secret not in trace
    assert new[20:40].hex(" ").upper() not in trace


def test_a_trace_shows_what_was_asked_and_answered(tmp_path: Path) -> None:
    trace, _ = traced_visit(tmp_path)

    assert "> 00 A4 04 00 05 A0 00 00 03 08 00\n< [19 bytes] 9000" in trace
    assert "> 00 20 00 80 08 [8 bytes blanked]\n< [0 bytes] 9000" in trace
    assert "> 00 24 00 80 10 [16 bytes blanked]" in trace
    assert "> 00 2C 00 80 10 [16 bytes blanked]" in trace
    assert "> 00 87 11 9C 26 [39 bytes blanked]" in trace
    assert "> 10 DB 3F FF FF [255 bytes blanked]" in trace
