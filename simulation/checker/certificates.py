"""I1, I2, I3: no customer without a certificate, none active twice, none issued twice."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from schema.policy import Old
from simulation.checker.history import RENEWAL, History, Violation, broken, number, renewal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schema.policy import Policy
    from simulation.activity_logs import ActivityRow, CaAct, CustomerAct

LOOKED_AT_EVERY = timedelta(days=8)


# --- I1: nobody is without because of us --------------------------------------------------------


def revoked_only_after_proof(story: History) -> Iterator[Violation]:
    """
    I1: the old certificate is revoked for a new one only once the new one's key has signed,
    and while the new one is in force.
    """
    for deed in story.ca:
        if deed.op != "revoke" or not (deed.request_id or "").endswith("/revoke"):
            continue
        renewal = renewal_of(deed.request_id or "")
        if not RENEWAL.match(renewal):
            continue  # a person's wish
        new, proof = story.issue_of_renewal.get(renewal), story.proven(renewal)
        if new is None or proof is None or proof.at > deed.at:
            yield broken("I1", f"{renewal}: the old one was revoked before proof", deed)
        elif not story.in_force(new.serial, deed.at):
            yield broken(
                "I1", f"{renewal}: the old one was revoked, the new one is not valid", deed
            )


def superseded_only_by_a_renewal(story: History) -> Iterator[Violation]:
    """I1: nothing is superseded but by a renewal."""
    for deed in story.ca:
        by_renewal = RENEWAL.match(renewal_of(deed.request_id or ""))
        if deed.op == "revoke" and deed.reason == "superseded" and not by_renewal:
            yield broken("I1", "superseded, and by no renewal", deed)


def what_was_proven_is_not_taken_back(story: History) -> Iterator[Violation]:
    """I1: only a certificate that nobody has proven is taken back when a renewal ends."""
    for deed in story.ca:
        if deed.op != "revoke" or not (deed.request_id or "").endswith("/take-back"):
            continue
        renewal = renewal_of(deed.request_id or "")
        proof, new = story.proven(renewal), story.issue_of_renewal.get(renewal)
        if new is None or number(new.serial) != number(deed.serial):
            yield broken("I1", f"{renewal}: took back a certificate that is not its own", deed)
        elif proof is not None and proof.at < deed.at:
            yield broken("I1", f"{renewal}: took back what was proven", deed, proof)


def whoever_has_one_in_force_can_use_it(story: History) -> Iterator[Violation]:
    """I1: a customer who tries to sign, and has a certificate in force, succeeds."""
    for row in story.customers:
        if row.did == "used" and row.result != "ok" and _has_one_in_force(story, row):
            yield broken("I1", f"a certificate is in force and was of no use: {row.result}", row)


def _has_one_in_force(story: History, row: CustomerAct) -> bool:
    """The one in the row, or another that this customer has received for the same product."""
    theirs = {number(row.certificate)}
    for other in story.rows_of.get((row.customer, row.product), ()):
        if other.at <= row.at and (other.did == "proved" or (other.did, other.result) == USED_WELL):
            theirs.add(number(other.certificate))
    return any(story.in_force(serial, row.at) for serial in theirs)


USED_WELL = ("used", "ok")


def everybody_is_looked_at_often_enough(story: History) -> Iterator[Violation]:
    """I1 is shown by customers who sign every week: a longer silence shows nothing."""
    last: dict[tuple[str | int, str], CustomerAct] = {}
    for row in story.customers:
        if row.did != "used":
            continue
        before = last.get((row.customer, row.product))
        last[row.customer, row.product] = row
        if before is None or row.at - before.at <= LOOKED_AT_EVERY:
            continue
        serial = before.certificate
        all_along = story.in_force(serial, before.at) and story.in_force(serial, row.at)
        if all_along and not story.deeds_on.get(number(serial)):
            yield broken("I1", "nobody looked for more than eight days", before, row)


# --- I2: one active in a slot, and none renewed that may not be ---------------------------------


def only_a_good_one_is_renewed(story: History) -> Iterator[Violation]:
    """I2: a certificate that is suspended or revoked is not renewed."""
    for renewal, issue in story.issue_of_renewal.items():
        old = story.old_of(renewal) if RENEWAL.match(renewal) else None
        if old is not None and story.state_at(old, issue.at) != "good":
            state = story.state_at(old, issue.at)
            yield broken("I2", f"{renewal}: issued while the old one is {state}", issue)


def one_certificate_is_renewed_once(story: History) -> Iterator[Violation]:
    """
    I2: of two renewals of one certificate, at most one has a certificate that is not taken back.
    """
    for renewals in story.renewals_of.values():
        issued = [story.issue_of_renewal[renewal] for renewal in renewals]
        for before, after in pairwise(issued):
            taken_back = story.revoked_at(before.serial)
            if taken_back is None and story.ended:
                yield broken("I2", "renewed twice", before, after)


def the_old_one_goes_where_the_product_says_so(story: History) -> Iterator[Violation]:
    """
    I2: once the new one is in force and the story is over, the old one of the slot is revoked,
    unless the product keeps it.
    """
    for old, renewals in story.renewals_of.items() if story.ended else ():
        policy = story.policy_of(old)
        proofs = [(proof, r) for r in renewals if (proof := story.proven(r)) is not None]
        if policy is None or policy.old is not Old.REVOKE or not proofs:
            continue
        proof, renewal = proofs[0]
        if story.revoked_at(old) is None and _is_settled(story, proof, policy):
            yield broken("I2", f"{renewal}: the old one is active beside the new one", proof)


# --- I3: issued once, for somebody --------------------------------------------------------------


def issued_once(story: History) -> Iterator[Violation]:
    """I3: one request, one renewal, one public key and one serial number have one certificate."""
    names: tuple[tuple[str, Callable[[CaAct], str | None]], ...] = (
        ("request", lambda deed: deed.request_id),
        ("renewal", lambda deed: renewal_of(deed.request_id) if deed.request_id else None),
        ("public key", lambda deed: deed.spki_sha256),
        ("serial number", lambda deed: number(deed.serial)),
    )
    for what, name in names:
        seen: dict[str, CaAct] = {}
        for deed in story.issues:
            key = name(deed)
            if key is not None and (before := seen.setdefault(key, deed)) is not deed:
                yield broken("I3", f"two certificates for one {what}", before, deed)


def issued_for_somebody(story: History) -> Iterator[Violation]:
    """I3: after the beginning, whatever is issued was asked for by a customer."""
    begins = story.begins
    for deed in story.issues:
        if deed.request_id is None:
            if begins is not None and deed.at > begins:
                yield broken("I3", "issued for no request", deed)
        elif not RENEWAL.match(renewal_of(deed.request_id)):
            yield broken("I3", f"issued for {deed.request_id!r}, which is no renewal", deed)
        elif story.granted(renewal_of(deed.request_id)) is None:
            yield broken("I3", f"{deed.request_id}: nobody asked for it", deed)


def states_change_as_they_may(story: History) -> Iterator[Violation]:
    """I3: the CA changes what it has issued, once; a revocation is for good."""
    state: dict[str, str] = defaultdict(lambda: "good")
    for deed in story.ca:
        serial = number(deed.serial)
        if deed.op == "issue":
            continue
        if serial not in story.issue_of:
            yield broken("I3", "the CA changed a certificate that it never issued", deed)
        if state[serial] == "revoked":
            yield broken("I3", "changed after it was revoked", deed)
        elif deed.op == "resume" and state[serial] != "on hold":
            yield broken("I3", "resumed, and was not suspended", deed)
        state[serial] = {"revoke": "revoked", "suspend": "on hold", "resume": "good"}[deed.op]


def nothing_issued_is_left_lying(story: History) -> Iterator[Violation]:
    """I3: when the story is over, what was issued was delivered or taken back."""
    for renewal, issue in story.issue_of_renewal.items() if story.ended else ():
        policy = story.policy_of(story.old_of(renewal) or "") if RENEWAL.match(renewal) else None
        if policy is None or not _is_settled(story, issue, policy):
            continue
        if story.delivered(renewal) is None and story.revoked_at(issue.serial) is None:
            yield broken("I3", f"{renewal}: neither delivered nor taken back", issue)


def _is_settled(story: History, row: ActivityRow, policy: Policy) -> bool:
    """Whether so much time has passed since then that nothing of it may be open any more."""
    waits = timedelta(days=policy.abandon_after_days + 1)
    return story.ends is not None and story.ends - row.at > waits


RULES = (
    revoked_only_after_proof,
    superseded_only_by_a_renewal,
    what_was_proven_is_not_taken_back,
    whoever_has_one_in_force_can_use_it,
    everybody_is_looked_at_often_enough,
    only_a_good_one_is_renewed,
    one_certificate_is_renewed_once,
    the_old_one_goes_where_the_product_says_so,
    issued_once,
    issued_for_somebody,
    states_change_as_they_may,
    nothing_issued_is_left_lying,
)
