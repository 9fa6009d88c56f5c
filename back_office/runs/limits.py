"""How large a bulk run may be that one approver lets through alone, by the approver's role."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

FILE = "approvals.toml"  #: in the bank's folder
CHECKER = "checker"  #: who approves has this role; it alone must have a limit
_ROLES = frozenset({CHECKER, "maker", "operator", "auditor", "administrator"})


class ApprovalLimitsError(ValueError):
    """The file cannot be used: which key, why, and what to do."""

    def __init__(self, key: str, why: str, todo: str) -> None:
        super().__init__(f"{key}: {why}: {todo}")
        self.key, self.why, self.todo = key, why, todo


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both hold: a run that is above either needs a second approver."""

    items: Annotated[int, Meta(ge=0, le=10_000_000)]
    amount: Annotated[int, Meta(ge=0, le=1_000_000_000_000)]  #: whole New Taiwan dollars


class ApprovalLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of an approver with several roles the most generous limit counts."""

    alone: dict[str, Limit]

    def suffice(self, roles: Collection[str], *, items: int, amount: int) -> bool:
        """Whether an approver with these roles may let so much through alone."""
        held = [limit for role, limit in self.alone.items() if role in roles]
        return any(items <= limit.items and amount <= limit.amount for limit in held)


SHIPPED = ApprovalLimits(alone={CHECKER: Limit(items=10_000, amount=1_000_000)})


def read_limits(folder: Path | None) -> ApprovalLimits:
    """
    The limits in a bank's folder; without a file those that are shipped.

    Raises:
        ApprovalLimitsError
    """
    if folder is None or not (folder / FILE).exists():
        return SHIPPED
    try:
        found = msgspec.toml.decode((folder / FILE).read_bytes(), type=ApprovalLimits)
    except msgspec.ValidationError as error:
        why, _, path = str(error).partition(" - at `$")
        key = path.rstrip("`").lstrip(".") or "alone"
        todo = "write [alone.checker] with items and amount, as whole numbers"
        raise ApprovalLimitsError(key, why, todo) from error
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        todo = "mend it; docs/bank.md has an example"
        raise ApprovalLimitsError("(the whole file)", f"is no TOML: {error}", todo) from error
    if unknown := sorted(found.alone.keys() - _ROLES):
        todo = f"there are: {', '.join(sorted(_ROLES))}"
        raise ApprovalLimitsError(f"alone.{unknown[0]}", "is no role", todo)
    if CHECKER not in found.alone:
        raise ApprovalLimitsError(f"alone.{CHECKER}", "is missing", "write its items and amount")
    return found


def is_same_person(one: str | None, other: str) -> bool:
    """Whether two log-ins are one: a directory and a machine may spell a name differently."""
    return one is not None and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
