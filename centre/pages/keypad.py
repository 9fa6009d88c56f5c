"""The digits of a keypad on a page, in an order of their own for each opening."""

from __future__ import annotations

import secrets


def shuffled() -> str:
    digits = list("0123456789")
    secrets.SystemRandom().shuffle(digits)
    return "".join(digits)
