"""The table of Twilio's HTTP answers: which of them prove that no message was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.gateways.answers import Meaning
from renewal.gateways.sms.errors import ErrorClass, known

if TYPE_CHECKING:
    from collections.abc import Container

ANY: frozenset[ErrorClass | None] = frozenset({*ErrorClass, None})


@dataclass(frozen=True)
class TwilioRow:
    status: Container[int]
    of: Container[
        ErrorClass | None
    ]  #: the class of Twilio's own number; ``None``: none that we know
    means: Meaning
    because: str


SERVER = range(500, 600)
CLIENT = range(400, 500)

#: To a POST that creates a message. The first row that fits holds.
CREATION = (
    TwilioRow(
        {503}, ANY, Meaning.NOTHING, "said before the request is handled: RFC 9110, 15.6.4; 20503"
    ),
    TwilioRow(
        SERVER, ANY, Meaning.UNSURE, "sending is not idempotent, and a 500 may follow it: 20500"
    ),
    TwilioRow({429}, ANY, Meaning.NOTHING, "such a request is never processed: 20429"),
    TwilioRow({408}, ANY, Meaning.NOTHING, "the request had not come whole: RFC 9110, 15.5.9"),
    TwilioRow(
        range(300, 400), ANY, Meaning.OURS, "the carrier lives elsewhere than our settings say"
    ),
    TwilioRow(CLIENT, {ErrorClass.TRANSIENT}, Meaning.NOTHING, "a limit or a fault of the moment"),
    TwilioRow(
        CLIENT,
        {ErrorClass.CONFIGURATION, None},
        Meaning.OURS,
        "a number that we do not know is ours",
    ),
    TwilioRow(
        CLIENT, ANY, Meaning.REFUSED, "a number that speaks of this message or its recipient"
    ),
)

#: To a GET, which changes nothing: it is never unsure, and never the end of a message.
QUESTION = (
    TwilioRow(SERVER, ANY, Meaning.NOTHING, "the carrier cannot be asked now"),
    TwilioRow({408, 429}, ANY, Meaning.NOTHING, "the carrier cannot be asked now"),
    TwilioRow(CLIENT, {ErrorClass.TRANSIENT}, Meaning.NOTHING, "the carrier cannot be asked now"),
    TwilioRow(
        range(300, 500), ANY, Meaning.OURS, "we ask what we may not ask, or at a wrong address"
    ),
)


def meaning_of(method: str, status: int, number: str | None) -> Meaning:
    """Return what an answer with this status and Twilio's own number, if any, proves."""
    of = known(number) if number else None
    rows = QUESTION if method == "GET" else CREATION
    found = (row.means for row in rows if status in row.status and of in row.of)
    return next(found, Meaning.NOTHING if method == "GET" else Meaning.UNSURE)
