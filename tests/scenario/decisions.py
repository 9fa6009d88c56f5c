"""Writes decisions that no product code takes, for tests of what carries them."""

from renewal.db.unit_of_work import UnitOfWork


def decide(
    work: UnitOfWork,
    certificate: int,
    about: str,
    what: str,
    why: str = "",
    *,
    threshold: int | None = None,
) -> None:
    ends = (None, None, None, None)  # channel, until, message, renewal
    work._decisions.append((certificate, work.at, about, what, why, threshold, *ends))
