"""What an adapter is opened with: its address, and what an installation has around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import ReasonedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.keys import Keys
    from schema.reasons import Reason, SettingReason


class GatewayAddressError(ReasonedError):
    """
    An outside system cannot be opened by its address, or not with this secret.

    ``setting`` is the setting to mend, if it is another one than the address.
    """

    def __init__(self, why: Reason | SettingReason, *, setting: str = "") -> None:
        super().__init__(why)
        self.setting = setting


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an adapter may use of the installation that opens it."""

    home: Path
    clock: Clock
    keys: Keys
    public: str  #: where others reach this installation
    secret: Callable[[str], str]  #: one that somebody else has given us, by its name
    bank: Path | None = None  #: the folder of the bank's own data
    bank_name: str = ""  #: of a mail's sender

    def activity(self, name: str) -> Path:
        """Where an outside system of our own writes down what it did."""
        return self.home / "outside" / f"{name}.jsonl"
