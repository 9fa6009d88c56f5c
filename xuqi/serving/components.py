"""The components that a serving process can run."""

from __future__ import annotations

from consumers.registry import CONSUMERS

#: What stands beside the consumers.
SCHEDULER, RELAY, WEB, STATION = "scheduler", "relay", "web", "station"
COMPONENTS = (SCHEDULER, RELAY, *CONSUMERS, WEB, STATION)
#: Somebody stands there and waits for what they do: for a page, a code, a card. The relay carries
#: the codes.
URGENT_COMPONENTS = frozenset({"otp", RELAY, WEB, STATION})


def selected_components(text: str) -> frozenset[str]:
    """
    The components that a list like ``otp,billing`` names.

    Raises:
        ValueError: a name that is no component, or none at all; the text lists the components.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    strangers = sorted(set(names) - set(COMPONENTS))
    if strangers or not names:
        raise ValueError(
            f"{', '.join(strangers) or 'nothing'}: the components are {', '.join(COMPONENTS)}"
        )
    return frozenset(names)
