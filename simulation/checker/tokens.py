"""I7: no PIN is used up by software, no token is left without a usable key and certificate."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simulation.checker.history import NUMBERED, History, Violation, broken, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.activity_logs import CardAct, CustomerAct

LAST_TRY_SPENT = "63C0"
RELEASED = "last try released"


def the_last_try_is_spent_by_a_person_only(story: History) -> Iterator[Violation]:
    """I7: software never spends a PIN's last try; a person may, expressly."""
    for deed in story.cards:
        if deed.op not in {"verify", "change_pin"} or deed.result != LAST_TRY_SPENT:
            continue
        given = [row for row in _pins_given(story, deed.card) if row.at <= deed.at]
        if not given or given[-1].result != RELEASED:
            yield broken("I7", f"the last try of {deed.card} was spent", deed)


def a_pin_is_tried_once(story: History) -> Iterator[Violation]:
    """I7: a wrong PIN is tried as often as somebody gave it, and not once more."""
    wrong: Counter[str] = Counter()
    for deed in story.cards:
        if deed.op == "verify" and deed.result.startswith("63C"):
            wrong[deed.card] += 1
            given = [row for row in _pins_given(story, deed.card) if row.at <= deed.at]
            if wrong[deed.card] > len(given):
                yield broken("I7", f"a PIN was tried on {deed.card} that nobody gave", deed)


def _pins_given(story: History, card: str) -> list[CustomerAct]:
    serials = {
        number(issue.serial)
        for deed in story.deeds_of_card[card]
        if deed.op == "generate" and (issue := story.issue_of_key.get(deed.sha256 or ""))
    }
    rows = [row for serial in serials for row in story.about.get(serial, ())]
    return sorted((row for row in rows if row.did == "gave_pin"), key=lambda row: row.at)


def what_is_in_force_is_not_destroyed(story: History) -> Iterator[Violation]:
    """
    I7: no key is made, and no certificate written, where a key with a certificate in force is.
    """
    for deeds in story.deeds_of_card.values():
        key: dict[str | None, CardAct] = {}  # by slot
        put: dict[str | None, CardAct] = {}
        for deed in deeds:
            if deed.result != "ok" or deed.op not in {"generate", "put"}:
                continue
            there, before = key.get(deed.slot), put.get(deed.slot)
            issue = story.issue_of_key.get(there.sha256 or "") if there else None
            in_force = issue is not None and story.in_force(issue.serial, deed.at)
            same = deed.op == "put" and before is not None and before.sha256 == deed.sha256
            if before is not None and in_force and not same:
                yield broken("I7", f"{deed.card}: {deed.op} over what is in force", before, deed)
            if deed.op == "generate":
                key[deed.slot] = deed
                put.pop(deed.slot, None)
            else:
                put[deed.slot] = deed


def only_the_right_certificate_is_written(story: History) -> Iterator[Violation]:
    """
    I7: what is written belongs to the key that is there, and that key to the token's own customer.
    """
    for deeds in story.deeds_of_card.values():
        key: dict[str | None, CardAct] = {}
        owner: str | None = None
        personalised = False
        for deed in deeds:
            if deed.result != "ok" or deed.op not in {"generate", "put"}:
                continue
            if deed.op == "generate":
                key[deed.slot] = deed
                continue
            there = key.get(deed.slot)
            issue = story.issue_of_key.get(there.sha256 or "") if there else None
            name = NUMBERED.search(issue.subject) if issue else None
            person = name["person"] if name else None
            if personalised and (issue is None or issue.at > deed.at):
                yield broken("I7", f"{deed.card}: written for a key without a certificate", deed)
            elif owner is not None and person not in {None, owner}:
                yield broken("I7", f"{deed.card}: somebody else's certificate was written", deed)
            owner, personalised = owner or person, True


def written_is_said_after_writing(story: History) -> Iterator[Violation]:
    """I7: a customer with a token has received the certificate only once it is on the token."""
    for row in story.customers:
        if row.did not in {"received", "proved"}:
            continue
        issue = story.issue_of.get(number(row.certificate))
        if issue is None:
            yield broken("I7", f"{row.did} a certificate that the CA never issued", row)
            continue
        made = story.card_of_key.get(issue.spki_sha256)
        if made is None or issue.request_id is None:
            continue
        signed = story.proven(issue.request_id.partition("/")[0])
        if signed is None or signed.at > row.at:
            yield broken("I7", f"{made.card}: said to be written before it was", row)


def one_key_for_one_renewal(story: History) -> Iterator[Violation]:
    """
    I7: whatever is interrupted, a second key is not certified: the place on the card that signs
    is the one that the certificate was issued for.
    """
    for deeds in story.deeds_of_card.values():
        key: dict[str | None, CardAct] = {}
        for deed in deeds:
            if deed.result != "ok":
                continue
            if deed.op == "generate":
                key[deed.slot] = deed
            there = key.get(deed.slot)
            if deed.op == "sign" and there is not None and there.sha256 != deed.sha256:
                yield broken("I7", f"{deed.card}: signed with a key that is gone", there, deed)


RULES = (
    the_last_try_is_spent_by_a_person_only,
    a_pin_is_tried_once,
    what_is_in_force_is_not_destroyed,
    only_the_right_certificate_is_written,
    written_is_said_after_writing,
    one_key_for_one_renewal,
)
