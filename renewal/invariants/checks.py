"""Every check of the stored state, in the order of the invariants."""

from renewal.invariants import fees, issues, log, reminders, slots, usable

CHECKS = (
    *usable.CHECKS, *slots.CHECKS, *issues.CHECKS, *fees.CHECKS, *reminders.CHECKS, *log.CHECKS,
)  # fmt: skip
