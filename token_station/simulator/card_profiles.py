"""The differences between makes of PIV cards, as options of the simulator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CardProfile:
    """How one make of card behaves where the standard leaves it free, or is not kept."""

    name: str
    strict_9c: bool  #: the signature in 9C must be the very next command after VERIFY
    deleted_reads_empty: bool  #: a deleted object answers 9000 with an empty 53, else 6A82
    largest_object: int  #: bytes
    oversize_destroys: bool  #: a refused oversize PUT has destroyed the old object
    retired_slots: int
    key_history: bool
    pin_tries: int
    puk_tries: int
    short_pin_accepted: bool  #: a change of the PIN to "12" is done
    wrong_management_key: int  #: status word
    has_metadata: bool = False  #: has GET METADATA, beyond the standard
    tells_version: bool = False  #: has GET VERSION and GET SERIAL, as Yubico's cards do


#: A JavaCard applet.
JAVACARD = CardProfile(
    name="P",
    strict_9c=True,
    deleted_reads_empty=False,
    largest_object=6_000,
    oversize_destroys=False,
    retired_slots=11,
    key_history=True,
    pin_tries=5,
    puk_tries=5,
    short_pin_accepted=False,
    wrong_management_key=0x6A80,
)

#: An implementation in C.
NATIVE = CardProfile(
    name="C",
    strict_9c=False,
    deleted_reads_empty=True,
    largest_object=3_000,
    oversize_destroys=True,
    retired_slots=2,
    key_history=False,
    pin_tries=3,
    puk_tries=3,
    short_pin_accepted=True,
    wrong_management_key=0x6982,
)
