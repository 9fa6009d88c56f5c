"""I4: nobody pays twice, or for nothing, and no money stays where it was only held."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.rules.window import closes_at
from schema.policy import FeeHow
from simulation.checker.history import PAYMENT, RENEWAL, History, Violation, broken, grouped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.activity_logs import BookingLine

#: How long the bank, the CA and the scheduler may be away when a hold or a payment must be ended.
LEEWAY = timedelta(days=2)


def done(story: History, *op: str) -> list[BookingLine]:
    return [row for row in story.bank if row.happened and row.op in op]


def one_id_is_one_booking(story: History) -> Iterator[Violation]:
    """I4: an id is done once, and always means the same booking."""
    first: dict[str, BookingLine] = {}
    for row in story.bank:
        before = first.setdefault(row.id, row)
        same = (row.op, row.account, row.amount, row.ref, row.of)
        if same != (before.op, before.account, before.amount, before.ref, before.of):
            yield broken("I4", f"{row.id} means two bookings", before, row)
    for key, times in Counter(row.id for row in story.bank if row.happened).items():
        if times > 1:
            rows = [row for row in story.bank if row.id == key and row.happened]
            yield broken("I4", f"{key} was done {times} times", *rows)


def a_hold_ends_once(story: History) -> Iterator[Violation]:
    """I4: a hold is captured or voided, once, on its own account, for no more than was held."""
    holds = {row.id: row for row in done(story, "hold")}
    ended: dict[str, BookingLine] = {}
    for row in done(story, "capture", "void"):
        hold = holds.get(row.of or "")
        if hold is None or hold.at > row.at:
            yield broken("I4", f"a {row.op} of no hold", row)
            continue
        if (row.account, row.ref) != (hold.account, hold.ref) or row.amount > hold.amount:
            yield broken("I4", f"the {row.op} does not fit its hold", hold, row)
        if hold.id in ended:
            yield broken("I4", f"a second end of the hold {hold.id}", ended[hold.id], row)
        ended[hold.id] = row


def nobody_pays_twice(story: History) -> Iterator[Violation]:
    """I4: for one certificate's renewal there is one payment that was not given back."""
    refunded = {row.of: row for row in done(story, "refund")}
    paid: dict[str, list[BookingLine]] = defaultdict(list)
    for row in done(story, "capture", "debit"):
        back = refunded.get(row.id)
        still = [one for one in paid[_certificate(row)] if not _back_before(refunded, one, row)]
        if still and back is None:
            yield broken("I4", f"the renewal of {_certificate(row)} was paid twice", *still, row)
        paid[_certificate(row)].append(row)


def _certificate(row: BookingLine) -> str:
    return row.ref[1:].partition("-")[0]  # R00000012-01 and P00000012-01 are of one certificate


def _back_before(
    refunded: dict[str | None, BookingLine], paid: BookingLine, then: BookingLine
) -> bool:
    back = refunded.get(paid.id)
    return back is not None and back.at <= then.at


def holds_of_one_certificate_follow_each_other(story: History) -> Iterator[Violation]:
    """I4: no second amount is held while the first one still is."""
    ended = {row.of: row for row in done(story, "capture", "void")}
    open_one: dict[str, BookingLine] = {}
    for row in done(story, "hold"):
        before = open_one.get(_certificate(row))
        if before is not None and (before.id not in ended or ended[before.id].at > row.at):
            yield broken("I4", "held twice at once", before, row)
        open_one[_certificate(row)] = row


def _is_ours(row: BookingLine) -> bool:
    """A renewal's id; what is paid first may also name the payment."""
    paid_first = row.op in {"debit", "refund"} and PAYMENT.match(row.ref)
    return bool(paid_first or RENEWAL.match(row.ref))


def _of(story: History, row: BookingLine) -> str | None:
    return story.old_of(row.ref) if _is_ours(row) else None


def refs_are_ours(story: History) -> Iterator[Violation]:
    """I4: each booking says for which renewal or payment it is."""
    for row in story.bank:
        if not _is_ours(row):
            yield broken("I4", f"booked for {row.ref!r}", row)


def captured_only_on_delivery(story: History) -> Iterator[Violation]:
    """I4: a fee is captured once the new certificate is with its customer, not before."""
    for row in done(story, "capture"):
        delivered = story.delivered(row.ref)
        if delivered is None or delivered.at > row.at:
            yield broken("I4", f"{row.ref}: captured without delivery", row)


def delivered_means_paid(story: History) -> Iterator[Violation]:
    """I4: who has got the certificate does not get the money back as well."""
    for row in done(story, "void"):
        delivered = story.proven(row.ref)
        if delivered is not None:
            yield broken("I4", f"{row.ref}: voided, and delivered", row, delivered)
    for row in done(story, "refund"):
        if _used(story, row):
            yield broken("I4", f"{row.ref}: refunded, and used for a renewal", row)


def issued_only_with_the_fee_secured(story: History) -> Iterator[Violation]:
    """I4: the CA is asked once the fee is held or paid, where the product costs something."""
    held = grouped((row.ref, row) for row in done(story, "hold"))
    paid = grouped((_of(story, row), row) for row in done(story, "debit"))
    for renewal, issue in story.issue_of_renewal.items():
        old = story.old_of(renewal) if RENEWAL.match(renewal) else None
        policy = story.policy_of(old) if old else None
        if policy is None or policy.fee.how is FeeHow.NONE:
            continue
        secures = held.get(renewal, ()) if policy.fee.how is FeeHow.HOLD else paid.get(old, ())
        if not any(row.at <= issue.at for row in secures):
            yield broken("I4", f"{renewal}: issued before the fee was secured", issue)


def nothing_stays_held(story: History) -> Iterator[Violation]:
    """I4: when the story is over no amount is held for a renewal that has ended."""
    ended = {row.of for row in done(story, "capture", "void")}
    for row in done(story, "hold") if story.ended else ():
        policy = story.policy_of(_of(story, row) or "")
        waits = timedelta(days=policy.abandon_after_days if policy else 0) + LEEWAY
        if row.id not in ended and story.ends is not None and story.ends - row.at > waits:
            yield broken("I4", f"{row.ref}: still held", row)


def nothing_is_kept_for_nothing(story: History) -> Iterator[Violation]:
    """I4: what was paid for a renewal that can no longer be is paid back."""
    back = {row.of for row in done(story, "refund")}
    for row in done(story, "debit") if story.ended else ():
        if row.id in back or _used(story, row) or not _is_ours(row):
            continue
        old = story.old_of(row.ref) or ""
        issue, policy = story.issue_of.get(old), story.policy_of(old)
        if issue is None or policy is None or story.ends is None:
            yield broken("I4", f"{row.ref}: paid for no certificate that anybody knows", row)
        elif story.ends > closes_at(issue.not_after, policy.window) + LEEWAY:
            yield broken("I4", f"{row.ref}: paid, neither renewed nor refunded", row)


def _used(story: History, row: BookingLine) -> bool:
    """Whether that payment has led to a certificate that was delivered."""
    if not _is_ours(row):
        return False
    renewals = story.renewals_of.get(story.old_of(row.ref) or "", ())
    return any(story.proven(renewal) is not None for renewal in renewals)


def refunds_fit_what_was_paid(story: History) -> Iterator[Violation]:
    """I4: a refund belongs to a payment, and all of them together are no more than it."""
    paid = {row.id: row for row in done(story, "debit", "capture")}
    given: Counter[str] = Counter()
    for row in done(story, "refund"):
        payment = paid.get(row.of or "")
        if payment is None or payment.at > row.at or payment.account != row.account:
            yield broken("I4", "a refund of nothing that was paid", row)
            continue
        given[payment.id] += row.amount
        if given[payment.id] > payment.amount:
            yield broken("I4", "more was refunded than paid", payment, row)


def accounts_add_up(story: History) -> Iterator[Violation]:
    """
    I4: what an account has lost is the fees of the certificates that its customer has got,
    and payments that can still be used.
    """
    lost: Counter[str] = Counter()
    due: Counter[str] = Counter()
    rows: dict[str, list[BookingLine]] = defaultdict(list)
    back = {row.of for row in done(story, "refund")}
    for row in done(story, "capture", "debit", "refund"):
        lost[row.account] += -row.amount if row.op == "refund" else row.amount
        rows[row.account].append(row)
        if row.op == "capture" and story.delivered(row.ref) is not None:
            due[row.account] += row.amount
        if row.op == "debit" and row.id not in back:
            due[row.account] += row.amount
    for account, amount in lost.items():
        if amount != due[account]:
            what = f"an account lost NT${amount}, and owed NT${due[account]}"
            yield broken("I4", what, *rows[account])


def fees_are_as_the_policy_says(story: History) -> Iterator[Violation]:
    """I4: only a product with a fee is charged, in the way that its policy names."""
    how = {"hold": FeeHow.HOLD, "debit": FeeHow.PREPAID}
    for row in done(story, "hold", "debit"):
        policy = story.policy_of(_of(story, row) or "")
        if policy is not None and policy.fee.how is not how[row.op]:
            yield broken("I4", f"{row.ref}: a {row.op} for {policy.product}", row)


RULES = (
    one_id_is_one_booking,
    a_hold_ends_once,
    nobody_pays_twice,
    holds_of_one_certificate_follow_each_other,
    refs_are_ours,
    captured_only_on_delivery,
    delivered_means_paid,
    issued_only_with_the_fee_secured,
    nothing_stays_held,
    nothing_is_kept_for_nothing,
    refunds_fit_what_was_paid,
    accounts_add_up,
    fees_are_as_the_policy_says,
)
