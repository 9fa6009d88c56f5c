"""What staff see and do in the console besides bulk runs, page by page, without a browser."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from back_office.console.app import console_app
from back_office.replaying import Replaying
from back_office.settling import Settling
from back_office.staff import FACE, Staff, StaffRole
from renewal.db.rows import Payment, Renewal
from renewal.delivery import dead_letters
from renewal.lifecycle import applications, payments
from renewal.lifecycle.tasks import open_task
from renewal.store import audit
from schema.codec import encode
from schema.events import Change, RenewalConfirmed
from schema.reasons import DecisionKind, SuppressionReason
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import PRODUCT, RunBank, bury, opened_bank
from tests.scenario.chinese import faults_of_page
from web.sessions import StoredSessions
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator


PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
OPERATOR, SECOND, AUDITOR = "lin", "chen", "huang"
ROLES = {
    OPERATOR: (StaffRole.OPERATOR,),
    SECOND: (StaffRole.OPERATOR, StaffRole.CHECKER),
    AUDITOR: (StaffRole.AUDITOR,),
}
PAGES = (
    "/dead-letters", "/tasks", "/messages", "/tomorrow", "/calls", "/contacts", "/policies",
    "/tokens", "/recordings", "/customers/2/contact", "/money",
    "/", "/certificates", "/certificates/1",
)  # fmt: skip


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunBank]:
    with opened_bank(tmp_path_factory.mktemp("console")) as bank:
        bank.certificates(6)
        bank.reach(1, mobile="+886912345678", mail="wang@example.com")
        staff = Staff(bank.store)
        for name, roles in ROLES.items():
            staff.add(name, roles, who="root", why="the test's")
            staff.set_password(name, PASSWORD)
        yield bank


@pytest.fixture(scope="module")
def desks(bank: RunBank) -> Iterator[dict[str, httpx.Client]]:
    """A client of each member of staff, logged in."""
    app = console_app(bank.store, bank.policies, renderer=MessageRenderer(sample_bank()))
    with listening(app, "127.0.0.1", 0) as port, ExitStack() as closing:
        made = {}
        for name in ROLES:
            base = f"http://127.0.0.1:{port}"
            client = closing.enter_context(httpx.Client(base_url=base, follow_redirects=True))
            answer = post(client, "/login", name=name, password=PASSWORD)
            assert answer.status_code == 200, answer.text
            made[name] = client
        yield made


def post(client: httpx.Client, path: str, **fields: object) -> httpx.Response:
    return client.post(path, data=fields, headers={"sec-fetch-site": "same-origin"})


def seen_on(page: str) -> str:
    """The hash of the edit that a page shows."""
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def asked_payment(bank: RunBank, certificate: int) -> str:
    """A payment of which the bank has given no answer that a machine understands."""
    with bank.store.transaction() as work:
        payment = Payment(
            id="P00000004-01", customer=certificate, certificate=certificate, amount=900,
            pays_for=f"R{certificate:08d}-01", state="asked", renewal=None, asked_at=work.at,
            version=1,
        )  # fmt: skip
        return payments.ask(work, payment).id


def state_of(bank: RunBank, number: int) -> str:
    with bank.store.snapshot() as look:
        letter = dead_letters.find(look, number)
    assert letter is not None
    return letter.state


def trail(bank: RunBank) -> list[tuple[str, str, str]]:
    with bank.store.snapshot() as look:
        return [(row["who"], row["did"], row["object"]) for row in audit.entries(look)]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["zh-TW", "en"])
def test_each_page_opens_in_both_languages(
    desks: dict[str, httpx.Client], path: str, language: str
) -> None:
    desks[OPERATOR].get(f"/language?to={language}")

    answer = desks[OPERATOR].get(path)
    desks[OPERATOR].get("/language?to=zh-TW")

    assert answer.status_code == 200
    assert f'lang="{"en" if language == "en" else "zh-Hant-TW"}"' in answer.text
    assert language == "en" or faults_of_page(answer.text) == []


# --- dead letters ---------------------------------------------------------------------------------


def test_an_edited_dead_letter_is_sent_by_another_person_alone(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    number = bury(bank, "R00000001-01")
    body = encode(RenewalConfirmed(renewal="R00000001-02")).decode()

    post(desks[OPERATOR], f"/dead-letters/{number}/edit", body=body, why="wrong renewal")
    own = post(desks[OPERATOR], f"/dead-letters/{number}/send", why="mine")
    after_own = state_of(bank, number)
    shown = desks[SECOND].get(f"/dead-letters/{number}").text
    post(desks[SECOND], f"/dead-letters/{number}/send", why="looked at it", seen=seen_on(shown))

    assert "自己修改的內容" in own.text
    assert after_own == "open"
    assert "R00000001-02" in shown
    assert state_of(bank, number) == "replayed"
    done = [(who, did) for who, did, object_ in trail(bank) if object_ == f"dead letter {number}"]
    assert done == [(OPERATOR, "edit"), (SECOND, "send edited")]


def test_an_edit_that_takes_the_place_of_the_one_looked_at_is_not_sent_unseen(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    number = bury(bank, "R00000001-11")
    first, second = (encode(RenewalConfirmed(renewal=f"R0000000{n}-01")).decode() for n in (2, 3))
    post(desks[OPERATOR], f"/dead-letters/{number}/edit", body=first, why="wrong renewal")
    shown = desks[SECOND].get(f"/dead-letters/{number}").text
    post(desks[OPERATOR], f"/dead-letters/{number}/edit", body=second, why="in its place")

    answer = post(
        desks[SECOND], f"/dead-letters/{number}/send", why="looked at it", seen=seen_on(shown)
    )

    assert "內容又被修改" in answer.text
    assert state_of(bank, number) == "open"
    post(desks[SECOND], f"/dead-letters/{number}/send", why="now", seen=seen_on(answer.text))
    assert state_of(bank, number) == "replayed"


def test_who_has_left_is_out_of_the_console_at_once(bank: RunBank) -> None:
    staff, sessions = Staff(bank.store), StoredSessions(bank.store)
    staff.add("leaver", (StaffRole.OPERATOR,), who="root", why="the test's")
    theirs, other = (
        sessions.rotate(sessions.start(FACE), subject=name) for name in ("leaver", OPERATOR)
    )

    staff.end("leaver", who="root", why="has left the bank")

    assert sessions.find(theirs.id, FACE) is None
    assert sessions.find(other.id, FACE) is not None


def test_a_body_that_is_no_event_is_refused_with_words(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    number = bury(bank, "R00000001-03")

    answer = post(desks[OPERATOR], f"/dead-letters/{number}/edit", body="{", why="typing error")

    assert f"dead letter {number}" in answer.text
    with bank.store.snapshot() as look:
        assert dead_letters.edit_of(look, number) is None


def test_all_that_match_a_filter_are_sent_again_and_no_others(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    mine = [bury(bank, f"R0000000{n}-07", why="account closed") for n in (1, 2, 3)]
    other = bury(bank, "R00000004-07", why="something else")

    listed = desks[OPERATOR].get("/dead-letters?why=account").text
    fewer = post(desks[OPERATOR], "/dead-letters/replay", cause="account", all_of=2, why="open now")
    untouched = {state_of(bank, number) for number in mine}
    answer = post(
        desks[OPERATOR], "/dead-letters/replay", cause="account", all_of=3, why="it is open now"
    )

    assert "重送符合的 3 則" in listed
    assert "現在符合的有 3 則，不是 2 則" in fewer.text
    assert untouched == {"open"}
    assert "已重送 3 則" in answer.text
    assert {state_of(bank, number) for number in mine} == {"replayed"}
    assert state_of(bank, other) == "open"


def test_a_dead_letter_is_closed_with_a_reason(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    number = bury(bank, "R00000001-09")

    refused = post(desks[AUDITOR], f"/dead-letters/{number}/close", why="not my role")
    post(desks[OPERATOR], f"/dead-letters/{number}/close", why="booked by hand")

    assert refused.status_code == 403
    assert state_of(bank, number) == "closed"
    assert (OPERATOR, "close", f"dead letter {number}") in trail(bank)


# --- other work -----------------------------------------------------------------------------------


def test_a_task_at_another_ca_is_ended_by_a_person(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    with bank.store.transaction() as work:
        task = open_task(work, work.certificates.get(2), Change.SUSPEND, number=1)

    listed = desks[OPERATOR].get("/tasks").text
    post(desks[OPERATOR], f"/tasks/{task.id}/done", why="done at the old CA")

    assert f"/tasks/{task.id}/done" in listed
    with bank.store.snapshot() as look:
        assert look.tasks.get(task.id).ended_by == OPERATOR
        assert look.certificates.get(2).state == "suspended"


def test_a_tokens_life_is_moved_on_from_its_page(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    operator, may_not = desks[OPERATOR], desks[AUDITOR]
    post(operator, "/tokens/register", serial="0A0B 0C0D", branch="001", why="delivered")

    page = post(operator, "/tokens/0a0b0c0d/assign", customer=1, why="the customer's new token")
    refused = post(may_not, "/tokens/0a0b0c0d/lost", why="not my role")
    wrong = post(operator, "/tokens/0a0b0c0d/resume", why="never on hold")
    post(operator, "/tokens/0a0b0c0d/lost", why="it never came")

    assert "客戶已領取" in page.text
    assert refused.status_code == 403
    assert "不能改為" in wrong.text
    assert "遺失" in operator.get("/tokens").text
    done = [did for who, did, object_ in trail(bank) if object_ == "token 0a0b0c0d"]
    assert done == ["token register", "token assign", "token lost"]


def test_a_renewal_is_ended_from_the_page_of_its_certificate(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    renewal = bank.request(3)

    page = post(desks[OPERATOR], f"/renewals/{renewal}/end", why="the customer has moved")

    with bank.store.snapshot() as look:
        assert look.renewals.get(renewal).state == "refused"
    assert "已記錄" in page.text


def test_tomorrows_reminders_are_shown_with_channel_and_text(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    with bank.store.transaction() as work:
        work.certificates.change(work.certificates.get(1), remind_at=work.at)

    page = desks[OPERATOR].get("/tomorrow").text

    assert "請至憑證中心" in page or "辦理更新" in page
    assert "+886912345678" not in page
    assert "0912345678" not in page


def test_the_exported_trail_has_the_hash_that_the_trail_names(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    answer = post(desks[AUDITOR], "/audit.csv", why="the yearly audit")

    sha256 = hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["x-content-sha256"] == sha256
    assert trail(bank)[-1] == (AUDITOR, "export audit trail", f"sha256 {sha256}")


def test_the_policies_page_names_who_applied_a_change(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    with bank.store.transaction() as work:
        audit.write(work, who="wu", did="apply policies", object_="all", why="a longer ladder")

    page = desks[AUDITOR].get("/policies").text

    assert "a longer ladder" in page
    assert "securities-browser" in page


def test_behind_a_proxy_that_speaks_tls_the_cookie_is_for_tls_alone(bank: RunBank) -> None:
    app = console_app(
        bank.store, bank.policies, renderer=MessageRenderer(sample_bank()), https=True
    )
    maker = next(iter(ROLES))
    with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answer = post(client, "/login", name=maker, password=PASSWORD)

    assert answer.headers["set-cookie"].startswith("__Host-xuqi-console=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


def test_a_call_is_noted_on_the_list(bank: RunBank, desks: dict[str, httpx.Client]) -> None:
    with bank.store.transaction() as work:
        work.record_decision(3, DecisionKind.REMINDER_BRANCH_CALL, SuppressionReason.NO_CONTACT)

    tried = post(desks[OPERATOR], "/calls/3", result="call_later", note="after six")
    wrong = post(desks[OPERATOR], "/calls/3", result="call_wrong_number", note="a stranger")
    forbidden = post(desks[AUDITOR], "/calls/3", result="call_reached", note="me too")

    assert "約好再打：after six" in tried.text
    assert "/calls/3" not in wrong.text
    assert forbidden.status_code == 403
    assert "查出正確的電話" in desks[OPERATOR].get("/tasks").text


def test_one_customers_contact_is_changed_and_masked(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    place = "/customers/2/contact"
    given = post(desks[OPERATOR], place, mail="lee@example.com", why="a letter")
    changed = post(
        desks[OPERATOR], place, mobile="0933 444 555", remove="mail", opted_out="yes",
        why="at the counter",
    )  # fmt: skip
    wrong = post(desks[OPERATOR], place, mobile="12", why="a slip")
    forbidden = desks[AUDITOR].get(place)
    edit = r'name="seen" value="([0-9a-f]{32})"'
    (seen,) = re.findall(edit, desks[SECOND].get(place).text)
    own = post(desks[OPERATOR], f"{place}/confirm", seen=seen, why="myself")
    other = post(desks[SECOND], f"{place}/confirm", seen="0" * 32, why="another one")
    waits = desks[SECOND].get("/inbox").text
    confirmed = post(desks[SECOND], f"{place}/confirm", seen=seen, why="called back")

    assert "0933****55" in changed.text
    assert place in waits
    assert "要由另一個人送出" in own.text
    assert "0933" in other.text
    assert "等另一個人確認" in other.text
    assert "等另一個人確認" not in confirmed.text
    assert "0933****55" in confirmed.text
    assert place not in desks[SECOND].get("/inbox").text
    assert (SECOND, "confirm contact", "customer 2") in trail(bank)
    assert "l*****e@example.com" in given.text
    assert "聯絡方式已更改" in changed.text
    assert "0933****55" in changed.text
    assert "example.com" not in changed.text
    assert "不是電話號碼" in wrong.text
    assert forbidden.status_code == 403
    assert (OPERATOR, "change contact", "customer 2") in trail(bank)


def test_money_that_the_bank_refuses_for_good_is_settled_and_booked(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    payment = asked_payment(bank, certificate=4)
    number = bury(bank, payment)

    listed = desks[OPERATOR].get("/money").text
    forbidden = post(desks[AUDITOR], f"/payments/{payment}/settle", to="paid", why="me")
    settled = post(
        desks[OPERATOR], f"/payments/{payment}/settle", to="paid", why="seen at the bank"
    )

    assert f"/payments/{payment}/settle" in listed
    assert "已扣款：記入預收" in listed
    assert forbidden.status_code == 403
    assert "已結清並記帳" in settled.text
    assert f"/payments/{payment}/settle" not in settled.text
    assert state_of(bank, number) == "closed"
    with bank.store.snapshot() as look:
        assert look.payments.get(payment).state == "paid"
    assert (OPERATOR, "settle payment: paid", f"payment {payment}") in trail(bank)


def test_the_fee_of_an_application_is_settled_before_there_is_a_certificate(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    bank.certificates(1, state="revoked", first=7)
    with bank.store.transaction() as work:
        applied = applications.apply(work, 7, PRODUCT, bank.policies)
        assert isinstance(applied, Renewal)
        work.renewals.change(applied, state="confirmed", fee_state="holding", fee_amount=300)
    bury(bank, applied.id)

    listed = desks[OPERATOR].get("/money").text
    settled = post(
        desks[OPERATOR], f"/renewals/{applied.id}/settle-fee", to="declined", why="no hold there"
    )

    assert applied.id in listed
    assert f"/certificates/{applied.certificate}" not in listed
    assert settled.status_code == 200
    assert "已記錄" in settled.text
    with bank.store.snapshot() as look:
        row = look.renewals.get(applied.id)
    assert (row.state, row.fee_state) == ("refused", "declined")


def test_many_are_sent_again_in_batches_and_each_has_its_line(bank: RunBank) -> None:
    numbers = [bury(bank, f"R0000000{one}-77", why="batch") for one in range(1, 6)]
    Settling(bank.store).dead_letter(numbers[0], who=OPERATOR, why="by hand")

    found = Replaying(bank.store).picked(numbers, who=OPERATOR, why="mended")

    assert (found.done, found.skipped) == (4, 1)
    assert [state_of(bank, one) for one in numbers] == ["closed", *["replayed"] * 4]
    lines = [object_ for who, did, object_ in trail(bank) if did == "replay"]
    assert lines[-4:] == [f"dead letter {one}" for one in numbers[1:]]


def test_a_view_is_its_owners_and_the_csv_is_exactly_what_it_takes(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    query = "state=active&customer=5&after=7&evil=1"

    saved = post(desks[OPERATOR], "/views/certificates", name="五號客戶", query=query)
    mine = desks[OPERATOR].get("/certificates").text
    theirs = desks[SECOND].get("/certificates").text
    listed = desks[OPERATOR].get("/lists/certificates.csv?state=active&customer=5").text
    every = desks[OPERATOR].get("/lists/certificates.csv").text
    post(desks[OPERATOR], "/views/certificates/remove", name="五號客戶", query="")

    assert str(saved.url).endswith("/certificates?state=active&customer=5")
    assert 'href="/certificates?state=active&amp;customer=5"' in mine
    assert "五號客戶" not in theirs
    assert "五號客戶" not in desks[OPERATOR].get("/certificates").text
    head, *rows = listed.removeprefix("\ufeff").splitlines()
    assert head.startswith("id,product,serial")
    assert [row.split(",")[0] for row in rows] == ["5"]
    assert len(every.splitlines()) == 1 + on_file(bank)
    assert (OPERATOR, "export list", "list certificates") in trail(bank)


def on_file(bank: RunBank) -> int:
    """Other tests of this bank add certificates."""
    with bank.store.snapshot() as look:
        return int(look.connection.scalar(sa.text("SELECT count(*) FROM certificates")) or 0)


def test_each_list_has_its_csv_and_there_is_no_other(desks: dict[str, httpx.Client]) -> None:
    for page in ("messages", "dead-letters"):
        assert (
            desks[AUDITOR].get(f"/lists/{page}.csv").headers["content-type"].startswith("text/csv")
        )
    assert desks[AUDITOR].get("/lists/staff.csv").status_code == 404
    # Else everybody's would be written.
    assert desks[AUDITOR].get("/lists/certificates.csv?customer=5x").status_code == 400
    assert desks[AUDITOR].get(f"/lists/certificates.csv?customer={2**64}").status_code == 400
    assert post(desks[AUDITOR], "/views/staff", name="x").status_code == 404
    long = post(desks[AUDITOR], "/views/dead-letters", name="x", query="why=" + "原因" * 50)
    assert long.status_code == 400


def test_a_csv_goes_on_behind_a_page(
    bank: RunBank, desks: dict[str, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("back_office.console.lists.EXPORT_PAGE", 2)
    for one in range(3):
        bury(bank, f"R0000000{one}-88", why="=a formula")

    letters = desks[AUDITOR].get("/lists/dead-letters.csv?why=formula").text.splitlines()
    certificates = desks[AUDITOR].get("/lists/certificates.csv").text.splitlines()

    assert (len(letters), len(certificates)) == (1 + 3, 1 + on_file(bank))
    assert all("'=a formula" in row for row in letters[1:])


def test_the_first_page_names_each_kind_of_work_and_the_menu_only_what_one_may_read(
    bank: RunBank, desks: dict[str, httpx.Client]
) -> None:
    with bank.store.transaction() as work:
        task = open_task(work, work.certificates.get(6), Change.REVOKE, number=1)

    clerk, auditor = desks[OPERATOR].get("/").text, desks[AUDITOR].get("/").text
    post(desks[OPERATOR], f"/tasks/{task.id}/not-needed", why="a test's")

    main = clerk.partition("<main")[2]
    assert main.count('href="/tasks"') == 1
    assert 'href="/audit"' not in clerk
    assert 'href="/audit"' in auditor
