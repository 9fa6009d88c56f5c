"""Shows that people who act at once on PostgreSQL are all told something, and none an error."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, cast

import msgspec
import pytest
import sqlalchemy as sa

from back_office.actions import BackOffice
from bench.installation import until
from centre.actions import Centre, CodeNotSent, CodeResult, CodeSent
from producers.messages import reported
from renewal.db.retry import retry_on_conflict
from renewal.db.rows import Payment, Renewal
from renewal.errors import NotNowError, XuqiError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.sms.port import DeliveryReport
from renewal.outcome import Outcome, Retry
from renewal.rules.policies import Policies
from renewal.store import audit
from renewal.store import renewals as queries
from scheduler import jobs
from schema.events import Change, ReminderDue, RenewalDone, RenewalWindowLeft
from schema.migrate import upgrade
from schema.reasons import DeferralReason, RefusalReason
from schema.taipei import TAIPEI
from simulation.client import BrowserKey
from simulation.servers.postgresql import database
from tests.renewal.delivery.scripted import (
    BUSY,
    Acting,
    Listed,
    Order,
    asked,
    delivery,
    effects,
    pass_time,
    record,
    rows,
    run,
    waiting,
)
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, CARD, PRODUCTS, TOKEN, open_sample
from tests.scenario.stores import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

    Job = Callable[..., jobs.Scan]
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import Event

pytestmark = pytest.mark.postgresql

MANY = 20
AT_LAST = 10  #: seconds


class ByStaff(TypedDict):
    who: str
    why: str


STAFF: ByStaff = {"who": "T01", "why": "asked at the counter"}


@pytest.fixture(scope="module")
def migrated(postgresql: str) -> Iterator[str]:
    with database(postgresql, "migrated") as url:
        upgrade(url)
        yield postgresql


@pytest.fixture
def world(migrated: str, tmp_path: Path) -> Iterator[Scenario]:
    with database(migrated, "house", template="migrated") as url:
        opened = open_sample(tmp_path / "home", store_url=url)
        yield opened
        opened.close()


DUE = range(101, 107)
JOBS = [(jobs.scan, "renewal-due"), (jobs.leave, "renewal-window-left"), (jobs.remind, "reminder")]


@pytest.fixture
def many_due(world: Scenario, request: pytest.FixtureRequest) -> Scenario:
    """Six certificates, and no others, of which each job has something to say."""
    left = request.node.callspec.params["job"] is jobs.leave
    with world.app.store.transaction() as work:
        old = work.certificates.get(BROWSER)
        for number in (BROWSER, TOKEN, CARD):
            work.certificates.change(work.certificates.get(number), state="revoked")
        for number in DUE:
            new = {"id": number, "slot": f"slot {number}", "serial": f"{number:x}"}
            end = work.at - timedelta(days=60) if left else old.not_after
            row = msgspec.structs.replace(old, **new, not_after=end, remind_at=work.at)
            work.certificates.put(row)
    return world


# --- two at once --------------------------------------------------------------------------------


@dataclass
class Held:
    """A store whose nth transaction stays open, once it has written, until it is let go."""

    store: Store
    nth: int = 1  #: which of the next transactions it is
    writes: bool = True  #: else it has only read
    there: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the store's own
        return getattr(self.store, name)

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        with self.store.transaction() as work:
            yield work
            if self.writes:
                work.flush()
            self.nth -= 1
            if self.nth == 0:
                self.there.set()
                assert self.go.wait(60)


@dataclass
class Counter:
    """Where a customer and staff are served, with a store of one's own."""

    centre: Centre
    staff: BackOffice
    store: Store

    @classmethod
    def of(cls, world: Scenario, store: object) -> Counter:
        own = cast("Store", store)
        app = world.app
        centre = Centre(own, app.policies, app.keys)
        return cls(centre, BackOffice(own, app.policies), own)


def at_once(
    world: Scenario,
    first: Callable[[Counter], object],
    second: Callable[[Counter], object],
    *,
    nth: int = 1,
) -> tuple[object, object]:
    """What both are told when the second acts before the first, which has written, commits."""
    held = Held(world.app.store, nth=nth)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(told, first, Counter.of(world, held))
        assert held.there.wait(60)
        other = pool.submit(told, second, Counter.of(world, world.app.store))
        while not (other.done() or waits_for_a_lock(world)):
            held.go.wait(0.01)
        held.go.set()
        return one.result(), other.result()


def told(act: Callable[[Counter], object], counter: Counter) -> object:
    """What somebody is told in words is an answer; that another was first is not."""
    try:
        return act(counter)
    except NotNowError as error:
        return error


def waits_for_a_lock(world: Scenario) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return world.rows(query) != [(0,)]


def test_of_two_requests_at_once_one_is_the_renewal_and_the_other_is_told_so(
    world: Scenario,
) -> None:
    first, second = at_once(
        world,
        lambda counter: counter.centre.request(BROWSER),
        lambda counter: counter.staff.start(BROWSER, branch=None, **STAFF),
    )

    assert isinstance(first, Renewal)
    assert second is RefusalReason.UNDER_WAY
    assert world.rows("SELECT id FROM renewals") == [(first.id,)]


def test_of_two_payments_at_once_one_is_asked_of_the_bank(world: Scenario) -> None:
    first, second = at_once(
        world, lambda counter: counter.centre.pay(TOKEN), lambda counter: counter.centre.pay(TOKEN)
    )

    assert isinstance(first, Payment)
    assert second == CodeNotSent(why=RefusalReason.ALREADY_PAID.why())


def test_a_payment_asked_between_anothers_look_and_its_asking_is_the_only_one(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = queries.payments_of

    def asked_meanwhile(work: UnitOfWork, certificate: int) -> int:
        monkeypatch.setattr(queries, "payments_of", count)
        with ThreadPoolExecutor() as pool:
            assert isinstance(pool.submit(world.centre.pay, TOKEN).result(), Payment)
        return count(work, certificate)

    monkeypatch.setattr(queries, "payments_of", asked_meanwhile)
    said = world.centre.pay(TOKEN)

    assert said == CodeNotSent(why=RefusalReason.ALREADY_PAID.why())
    assert len(world.rows("SELECT id FROM payments")) == 1


def test_of_two_codes_at_once_the_later_one_is_alive(world: Scenario) -> None:
    first, second = at_once(
        world,
        lambda counter: counter.centre.send_code(BROWSER, action="renew", session=SESSION),
        lambda counter: counter.centre.send_code(BROWSER, action="renew", session=SESSION),
    )

    assert isinstance(first, CodeSent)
    assert isinstance(second, CodeSent)
    alive = world.rows("SELECT id FROM challenges WHERE superseded_at IS NULL")
    assert alive == [(second.challenge,)]


def test_a_code_waits_for_no_bulk_run_that_has_told_and_not_committed(world: Scenario) -> None:
    store = world.app.store
    with ThreadPoolExecutor() as pool, store.transaction() as bulk:
        bulk.emit(RenewalDone(renewal="R1-1"))
        bulk.flush()

        asked = pool.submit(
            world.centre.send_code, BROWSER, action="renew", session=SESSION
        ).result(AT_LAST)
        with closing(EmbeddedLog(store).reader("tests", ["codes"])) as reader:
            told = reader.poll(9, timedelta(seconds=AT_LAST))

    assert isinstance(asked, CodeSent)
    assert [record.key for record in told] == [asked.challenge]


def test_who_looks_for_what_it_has_written_keeps_no_other_from_telling(world: Scenario) -> None:
    store = world.app.store
    with ThreadPoolExecutor() as pool, store.transaction() as early:
        early.emit(RenewalDone(renewal="R1-1"))
        queries.payment_of(early, TOKEN, "paid")

        pool.submit(EmbeddedLog(store).append, [RenewalDone(renewal="R2-1")]).result(AT_LAST)

    assert len(world.rows("SELECT 1 FROM events WHERE kind = 'renewal-done.v1'")) == 2


def test_the_last_code_that_is_allowed_is_sent_once(world: Scenario) -> None:
    for _ in range(4):
        world.centre.send_code(BROWSER, action="renew", session=SESSION)

    first, second = at_once(
        world,
        lambda counter: counter.centre.send_code(BROWSER, action="renew", session=SESSION),
        lambda counter: counter.centre.send_code(BROWSER, action="renew", session=SESSION),
    )

    assert isinstance(first, CodeSent)
    assert second == CodeNotSent(why=RefusalReason.CODES_IN_TEN_MINUTES.why())


def test_a_code_entered_twice_at_once_confirms_once(world: Scenario) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    key = BrowserKey.new()

    def confirm(counter: Counter) -> CodeResult:
        named: dict[str, Any] = {"challenge": sent.challenge, "code": code, "session": SESSION}
        csr = key.request()
        return counter.centre.confirm(renewal.id, **world.handed_in(renewal, csr), **named).result

    first, second = at_once(world, confirm, confirm, nth=2)

    assert (first, second) == (CodeResult.RIGHT, CodeResult.EXPIRED)
    assert world.decisions(BROWSER, "renewal").count(("confirmed", "")) == 1


def test_a_renewal_that_staff_end_meanwhile_is_not_confirmed_and_the_code_not_used(
    world: Scenario,
) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()

    def confirm(counter: Counter) -> object:
        named: dict[str, Any] = {"challenge": sent.challenge, "code": code, "session": SESSION}
        csr = BrowserKey.new().request()
        return counter.centre.confirm(renewal.id, **world.handed_in(renewal, csr), **named)

    _, said = at_once(world, lambda counter: counter.staff.end(renewal.id, **STAFF), confirm)

    assert isinstance(said, NotNowError)
    assert world.renewal(renewal.id).state == "refused"
    assert world.rows("SELECT tries, used_at FROM challenges") == [(1, None)]


def test_a_certificate_collected_twice_at_once_is_the_same_one(world: Scenario) -> None:
    renewal, _ = world.issued()

    first, second = at_once(
        world,
        lambda counter: counter.centre.collect(renewal.id),
        lambda counter: counter.centre.collect(renewal.id),
    )

    assert first == second is not None
    assert world.decisions(BROWSER, "renewal").count(("delivered", "")) == 1


def test_a_proof_handed_in_twice_at_once_puts_it_in_force_once(world: Scenario) -> None:
    renewal, key = world.issued()
    signature = key.sign(renewal.challenge)

    at_once(
        world,
        lambda counter: counter.centre.prove(renewal.id, signature),
        lambda counter: counter.centre.prove(renewal.id, signature),
    )

    assert world.renewal(renewal.id).state == "activated"
    assert world.decisions(BROWSER, "renewal").count(("activated", "")) == 1


def prepares(world: Scenario, group: str, event: Event) -> Callable[[Counter], object]:
    """A member of that component, to which this event has come."""
    (consumer,) = (one for one in world.app.consumers() if one.group == group)

    def act(counter: Counter) -> object:
        with counter.store.transaction() as work:
            consumer.preload([event], work)
            return consumer.prepare(event, work, outcome_unknown=False)

    return act


@pytest.mark.parametrize("first", ["notices", "reminders"])
def test_of_two_who_find_the_same_day_free_the_second_one_sees_the_firsts_text(
    world: Scenario, first: str
) -> None:
    closed = datetime(2026, 3, 4, 15, tzinfo=TAIPEI)  # news goes out from 14:30 on
    world.clock.advance_to(closed)
    left = []
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mail_sealed=None, mail_hash=None)
        old = work.certificates.get(BROWSER)
        for number in (91, 92):
            new = {"id": number, "slot": f"slot {number}", "serial": f"{number:x}"}
            end = closed - timedelta(days=30, hours=1)
            work.certificates.put(msgspec.structs.replace(old, **new, not_after=end, told=-27))
            left.append(
                RenewalWindowLeft(
                    certificate=number, customer=BROWSER, product=old.product, not_after=end
                )
            )
        work.certificates.change(old, not_after=closed + timedelta(days=7), told=14)
    due = ReminderDue(certificate=BROWSER, customer=BROWSER, planned=closed)
    event = {"notices": left[0], "reminders": due}[first]

    before, after = at_once(
        world, prepares(world, first, event), prepares(world, "notices", left[1])
    )

    assert not isinstance(before, Outcome)
    assert isinstance(after, Retry)
    assert after.why == DeferralReason.CAN_WAIT.why()


def test_what_staff_ask_while_a_renewal_is_proven_is_asked_all_the_same(world: Scenario) -> None:
    renewal, key = world.issued()

    _, said = at_once(
        world,
        lambda counter: counter.centre.prove(renewal.id, key.sign(renewal.challenge)),
        lambda counter: counter.staff.ask_change(BROWSER, Change.SUSPEND, **STAFF),
    )

    assert said is None
    assert world.certificate(BROWSER).state == "superseded"
    assert world.decisions(BROWSER, "CA")[-1] == ("suspend asked", "")


def test_two_of_the_staff_at_once_both_have_their_line_in_the_audit_trail(world: Scenario) -> None:
    at_once(
        world,
        lambda counter: counter.staff.ask_change(BROWSER, Change.SUSPEND, **STAFF),
        lambda counter: counter.staff.ask_change(BROWSER, Change.REVOKE, **STAFF),
    )

    with world.app.store.snapshot() as look:
        assert [row["did"] for row in audit.entries(look)] == ["suspend", "revoke"]
        assert audit.broken_links(look) == []


def test_a_report_of_the_carrier_and_the_customers_act_at_once_both_count(world: Scenario) -> None:
    world.code()
    [(message,)] = world.rows("SELECT id FROM messages")

    @retry_on_conflict
    def report(counter: Counter) -> bool:
        with counter.store.transaction() as work:
            return reported(work, str(message), DeliveryReport.DELIVERED, "")

    assert at_once(world, report, report) == (True, False)


# --- schedulers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("job", "kind"), JOBS)
def test_of_two_schedulers_at_once_none_waits_and_each_is_said_once(
    many_due: Scenario, job: Job, kind: str
) -> None:
    store, product = many_due.app.store, PRODUCTS[BROWSER]
    policies = Policies({product: many_due.app.policies.of(product)})
    held = Held(store, writes=False)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(job, cast("Store", held), policies, at_most=2, page=2)
        assert held.there.wait(60)
        second = job(store, policies, page=2)
        held.go.set()

        assert (first.result().announced, second.announced) == (2, 4)

    query = "SELECT count(*), count(DISTINCT key) FROM events WHERE kind LIKE :kind"
    assert many_due.rows(query, kind=f"{kind}%")[0][0] == 6


@pytest.mark.parametrize(("job", "kind"), JOBS)
def test_a_certificate_that_somebody_is_changing_keeps_no_other_waiting(
    many_due: Scenario, job: Job, kind: str
) -> None:
    store, policies = many_due.app.store, many_due.app.policies
    with store.transaction() as work:
        work.certificates.change(work.certificates.get(DUE[0]), changes=1)
        work.flush()
        with ThreadPoolExecutor() as pool:
            meanwhile = pool.submit(job, store, policies).result()

    afterwards = job(store, policies)

    assert (meanwhile.announced, afterwards.announced) == (5, 1)


# --- members of a consumer's group --------------------------------------------------------------


@pytest.fixture
def members(copy: str) -> Iterator[tuple[Store, Store]]:
    """Two processes; of each of four keys an event is due again, and one waits behind it."""
    with opened(copy) as store, opened(copy) as elsewhere:
        busy = {(key, 1): [BUSY] for key in range(1, 5)}
        told = [record(asked(key, number)) for key in range(1, 5) for number in (1, 2)]
        run(delivery(Acting(script=busy), store, Listed(told)))
        pass_time(store)
        pass_time(elsewhere)
        yield store, elsewhere


def test_while_a_member_repeats_what_is_due_the_other_goes_on_with_what_is_new(
    members: tuple[Store, Store],
) -> None:
    store, elsewhere = members
    other = Acting()

    class Slow(Acting):
        def carry_out(self, order: Order) -> object:
            if not self.orders:
                run(delivery(other, elsewhere, Listed([record(asked(9))])))
            return super().carry_out(order)

    consumer = Slow()
    run(delivery(consumer, store, Listed([])))

    assert other.world == [asked(9)]
    assert len(consumer.world) == 8
    assert waiting(store) == []


def test_what_is_due_at_two_members_is_done_once_and_in_the_order_of_its_key(
    members: tuple[Store, Store],
) -> None:
    consumers, barrier = (Acting(), Acting()), threading.Barrier(2)

    def work(number: int) -> None:
        barrier.wait()
        while waiting(members[number]):
            run(delivery(consumers[number], members[number], Listed([]), at_most=1))

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, range(2)))

    done = effects(members[0])
    assert sorted(done) == [(key, number) for key in range(1, 5) for number in (1, 2)]
    assert all([n for k, n in done if k == key] == [1, 2] for key in range(1, 5))
    assert len(consumers[0].world) + len(consumers[1].world) == 8


def test_what_another_member_concludes_in_the_same_moment_is_concluded_once(
    copy: str,
) -> None:
    told, other = [record(asked(1))], Acting()
    with opened(copy) as store, opened(copy) as elsewhere, ThreadPoolExecutor() as pool:
        theirs: list[Future[None]] = []

        class Late(Acting):
            def conclude(self, order: Order, answer_: str, work: UnitOfWork) -> Outcome:
                if not theirs:
                    theirs.append(pool.submit(run, delivery(other, elsewhere, Listed(told))))
                    until(
                        lambda: theirs[0].done() or _waits(elsewhere), "it neither ends nor waits"
                    )
                return super().conclude(order, answer_, work)

        run(delivery(Late(), store, Listed(told)))
        theirs[0].result()

        assert effects(store) == [(1, 1)]
        assert other.world == []


def _waits(store: Store) -> bool:
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return rows(store, query) != [(0,)]


# --- many at once -------------------------------------------------------------------------------


def all_at_once(act: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(MANY)

    def begin(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(begin, range(MANY)))


@pytest.mark.parametrize("number", [BROWSER, CARD])
def test_of_twenty_who_ask_for_a_renewal_at_once_one_gets_it_and_each_is_told(
    world: Scenario, number: int
) -> None:
    branch = None if number == BROWSER else "001"

    said = all_at_once(lambda _: world.centre.request(number, branch=branch))

    [got] = [one for one in said if isinstance(one, Renewal)]
    assert [one for one in said if one is not got] == [RefusalReason.UNDER_WAY] * (MANY - 1)
    assert world.rows("SELECT id FROM renewals") == [(got.id,)]


def test_of_twenty_codes_asked_for_at_once_as_many_are_sent_as_the_rule_allows(
    world: Scenario,
) -> None:
    said = all_at_once(lambda _: world.centre.send_code(BROWSER, action="renew", session=SESSION))

    sent = [one for one in said if isinstance(one, CodeSent)]
    assert len(sent) == 5
    assert [one for one in said if one not in sent] == [
        CodeNotSent(why=RefusalReason.CODES_IN_TEN_MINUTES.why())
    ] * (MANY - 5)
    assert len(world.rows("SELECT 1 FROM challenges WHERE superseded_at IS NULL")) == 1


def test_of_twenty_payments_asked_for_at_once_one_is_made(world: Scenario) -> None:
    said = all_at_once(lambda _: world.centre.pay(TOKEN))

    assert len([one for one in said if isinstance(one, Payment)]) == 1
    assert said.count(CodeNotSent(why=RefusalReason.ALREADY_PAID.why())) == MANY - 1


def test_twenty_of_the_staff_at_once_are_all_in_the_audit_trail(world: Scenario) -> None:
    all_at_once(
        lambda number: world.app.back_office.ask_change(
            BROWSER, Change.SUSPEND, who=f"T{number:02}", why="asked at the counter"
        )
    )

    with world.app.store.snapshot() as look:
        found = list(audit.entries(look))
        assert {row["who"] for row in found} == {f"T{number:02}" for number in range(MANY)}
        assert audit.broken_links(look) == []
    assert world.certificate(BROWSER).changes == MANY


# --- without end --------------------------------------------------------------------------------


def test_who_is_never_first_is_told_so_at_last(world: Scenario) -> None:
    tries = []

    @retry_on_conflict
    def never_first() -> None:
        tries.append(1)
        with world.app.store.transaction() as work:
            row = work.certificates.get(BROWSER)
            work.certificates.change(row, changes=7)
            work.connection.execute(sa.text("UPDATE certificates SET version = version + 1"))

    with pytest.raises(XuqiError, match="certificates: a row was changed by another transaction"):
        never_first()

    assert len(tries) == 10
    assert world.certificate(BROWSER).changes == 0
