"""The rooms that a serving process can hold: all of them, or those that it is told."""

from __future__ import annotations

#: One for each consumer, by its group; ``xuqi.house.CONSUMERS`` has the same.
CONSUMERS = ("otp", "billing", "issuance", "records", "revocation", "reminders", "notices")
#: What stands beside them.
SCHEDULER, RELAY, WEB, STATION = "scheduler", "relay", "web", "station"
ROOMS = (SCHEDULER, RELAY, *CONSUMERS, WEB, STATION)
#: Somebody stands there and waits for what they do: for a page, a code, a card. The relay carries
#: the codes.
WAITED_FOR = frozenset({"otp", RELAY, WEB, STATION})


def chosen(text: str) -> frozenset[str]:
    """
    The rooms that a list like ``otp,billing`` names.

    Raises:
        ValueError: a name that is no room, or none at all; the text names it and the rooms.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    strangers = sorted(set(names) - set(ROOMS))
    if strangers or not names:
        raise ValueError(f"{', '.join(strangers) or 'nothing'}: the rooms are {', '.join(ROOMS)}")
    return frozenset(names)
