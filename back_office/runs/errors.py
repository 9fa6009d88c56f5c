"""Why something that a person asked of a bulk run is not done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from schema.reasons import Reason


class RunRefusedError(XuqiError):
    """Nothing was done; ``reason`` says why, in every language."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code.value)
        self.reason = reason
