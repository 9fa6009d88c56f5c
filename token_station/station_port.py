"""What the renewal of one token needs of the station that it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.clock import Clock
    from renewal.secret import Secret
    from token_station.journal import Journal, JournalEntry, Step
    from token_station.operators import Operator, OperatorPrompt
    from token_station.trust_anchors import TrustAnchors


class StationPort(Protocol):
    operator: Operator
    prompt: OperatorPrompt
    key: Secret
    journal: Journal
    clock: Clock
    anchors: TrustAnchors

    @property
    def probe(self) -> Callable[[str], None]:
        """What a crash test calls before and after each step."""
        ...

    def record(self, renewal: str, step: Step, **added: object) -> JournalEntry:
        """
        Put a step on record before it is begun; return the job as it stands now.

        Raises:
            JournalError: it is not on record, and the step must not be begun.
        """
        ...
