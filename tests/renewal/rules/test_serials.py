"""Shows that a serial is one serial however a label, a file, a browser or a person writes it."""

import pytest

from renewal.rules.serials import certificate_serial, token_serial

ZERO_WIDTH, NO_BREAK = "\u200b", "\u00a0"


@pytest.mark.parametrize(
    "written",
    [
        "029dc2d0",
        "029DC2D0",
        "02:9D:C2:D0",
        "02 9d c2 d0",
        "02-9d-c2-d0",
        "29dc2d0",
        " 029dc2d0\t",
        "０２９ＤＣ２Ｄ０",
        f"029d{ZERO_WIDTH}c2d0",
        f"029d{NO_BREAK}c2d0",
        "\u202a029dc2d0\u202c",
    ],
)
def test_a_token_has_one_serial(written: str) -> None:
    assert token_serial(written) == "029dc2d0"


@pytest.mark.parametrize("written", ["IDPrime-7", "GTO 12345678"])
def test_a_makers_own_serial_stays_as_it_is(written: str) -> None:
    assert token_serial(written) == written


@pytest.mark.parametrize(
    "written",
    [
        "1a2b3c",
        "0x1A2B3C",
        "00:1a:2b:3c",
        "1A 2B 3C",
        "１Ａ２Ｂ３Ｃ",
        f"1a{ZERO_WIDTH}2b3c",
        "001a2b3c",
    ],
)
def test_a_certificate_has_one_serial(written: str) -> None:
    assert certificate_serial(written) == "1a2b3c"


@pytest.mark.parametrize(
    ("written", "serial"), [("0", "0"), ("0x0", "0"), ("-1", "-1"), ("", None), ("R12", None)]
)
def test_what_is_no_serial_in_hex_is_none(written: str, serial: str | None) -> None:
    assert certificate_serial(written) == serial
