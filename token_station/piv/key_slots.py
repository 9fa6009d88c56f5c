"""The key slots of a PIV card and their certificate objects (NIST SP 800-73-4)."""

from __future__ import annotations

from token_station.errors import UnsupportedError

SIGNING = ("9C", "9A")  #: in the order in which renewals use them
CHUID = 0x5FC102
KEY_HISTORY = 0x5FC10C

#: NIST SP 800-73-4 part 1, table 3: place to its certificate's object.
CERTIFICATE_OBJECTS = {
    "9A": 0x5FC105,
    "9C": 0x5FC10A,
    "9D": 0x5FC10B,
    "9E": 0x5FC101,
    **{f"{0x82 + n:02X}": 0x5FC10D + n for n in range(20)},
}


def certificate_object(key_slot: str) -> int:
    """
    Return the tag of the place's certificate object.

    Raises:
        UnsupportedError: PIV has no such place.
    """
    if key_slot not in CERTIFICATE_OBJECTS:
        raise UnsupportedError(f"a PIV token has no place {key_slot!r}, but 9C and 9A")
    return CERTIFICATE_OBJECTS[key_slot]
