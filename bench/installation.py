"""A whole installation on loopback: PostgreSQL, Kafka, a process per component, customers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from bench import bank
from consumers.registry import consumer_types
from producers.relay import CODES, OTHERS
from renewal.clock import SystemClock
from renewal.eventlog.kafka import Backlog, Topics
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.ca.port import Issued
from renewal.store import counts, metrics
from schema.events import Topic
from schema.tables.log import dead_letters, inbox
from schema.tables.people import certificates
from schema.tables.renewals import renewals
from simulation.checker import RULES
from simulation.checker.codes import confirmed_by_code_where_the_product_says_so
from simulation.checker.history import read_history, renewal_of
from simulation.servers import kafka, postgresql
from xuqi.bootstrap import Gateways, bootstrap
from xuqi.event_log import connection, declared_topics
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from renewal.gateways.ca.port import IssuanceRequest
    from simulation.checker import Violation
    from simulation.checker.history import History
    from simulation.servers.kafka import Cluster
    from simulation.servers.postgresql import PostgresServer
    from xuqi.bootstrap import App

#: The components that a renewal goes through once it is confirmed.
COMPONENTS = ("relay", "billing", "issuance", "records", "revocation", "notices")
#: What a process needs on busy cores to be ready, and the house to be quiet, in seconds.
PATIENCE = 120.0
LOOK_EVERY = 0.05  #: seconds
HANDS = 4  #: customers who prove at the same moment


def renewal_id(number: int) -> str:
    """Of the renewal of that customer's certificate: they ask in the order of their numbers."""
    return f"R{number:08d}-01"


class TooLateError(RuntimeError):
    """What was waited for has not come; the text says what."""


def until(holds: Callable[[], object], what: str, *, seconds: float = PATIENCE) -> None:
    """
    Raises:
        TooLateError
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TooLateError(what)
        time.sleep(LOOK_EVERY)


@dataclass
class Component:
    """``xuqi serve --supervised --only <components>``: a supervisor, and its worker."""

    components: str
    environment: dict[str, str]
    log: Path
    member: str  #: kept over a restart, so that its partitions wait for it
    port: int = field(default_factory=kafka.free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {"XUQI_METRICS_PORT": str(self.port), "XUQI_PORT": "0", "XUQI_MEMBER": self.member}
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "xuqi", "serve", "--supervised", "--only", self.components],
                env={**self.environment, **own},
                stdout=said,
                stderr=said,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def troubles(self) -> str | None:
        """What ``/readyz`` says: nothing, what troubles it, or ``None``: it does not answer yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60):
                return ""
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return None

    def ready(self) -> bool:
        if not self.running:
            raise TooLateError(f"{self.components} has ended: {self.log.read_text()[-2000:]}")
        return self.troubles() == ""

    def kill_worker(self) -> None:
        """As by a power cut; its supervisor begins another."""
        until(self.workers, f"{self.components} has no worker")
        for worker in self.workers():
            os.kill(worker, signal.SIGKILL)

    def workers(self) -> list[int]:
        if self.process is None:
            return []
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(worker) for worker in own.read_text().split()]

    def kill(self) -> None:
        """The supervisor, and with it the worker."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class _Seeding:
    """The embedded CA as it was before the story begins: what it gives was issued a year ago."""

    def __init__(self, ca: Any) -> None:  # noqa: ANN401 - an EmbeddedCa
        self._ca = ca

    def issue(self, request: IssuanceRequest) -> Issued:
        made = self._ca.seed(
            request.csr,
            request.common_name,
            request.profile,
            request.not_before,
            request.not_after,
        )
        return Issued(certificate=made)


@dataclass
class Customers:
    """
    They ask, and prove what they get; each act is in the ledger of their own side before it is
    done. What they do at home (keys, requests, signatures) is done when they come. Nothing is asked
    of a database while it is away.
    """

    app: App
    ledger: ActivityLog
    there: int = 0  #: who has a certificate
    hands: Executor = field(default_factory=lambda: ThreadPoolExecutor(HANDS))
    _at_home: dict[int, tuple[bank.Asked, bytes]] = field(default_factory=dict)
    asked: int = 0  #: who has asked
    _said: set[str] = field(default_factory=set)
    _all_done: str = ""  #: every renewal up to this one

    def come(self, count: int) -> None:
        outside, seeding = self.app.gateways, cast("Any", _Seeding(self.app.gateways.ca))
        before = replace(
            self.app,
            gateways=Gateways(sms=outside.sms, mail=outside.mail, ca=seeding, bank=outside.bank),
        )
        for _ in range(0, count, bank.PAGE):
            with before.store.transaction() as work:
                for number in range(self.there + 1, self.there + bank.PAGE + 1):
                    bank.customer(work, number)
                    bank.certificate(before, work, number)
                    asked = bank.prepared(number)
                    self._at_home[number] = asked, asked.signature()
            self.there += bank.PAGE

    def ask(self, count: int) -> None:
        """So many more ask for a renewal; who is not there yet comes first."""
        first = self.asked + 1
        if first + count - 1 > self.there:
            self.come(max(count, bank.PAGE))
        query = sa.select(certificates.c.id, certificates.c.serial, certificates.c.product)
        mine = query.where(certificates.c.id.between(first, first + count - 1))
        for number, serial, product in self.rows(mine):
            self._say(number, serial, product, "asked", renewal_id(number))
        bank.ask(self.app, first, count, lambda number: self._at_home[number][0])
        self.asked += count

    def prove(self) -> int:
        """Whoever finds a new certificate proves the key; return how many did."""
        query = (
            sa.select(renewals.c.id, renewals.c.certificate, certificates.c.serial)
            .add_columns(certificates.c.product)
            .join(certificates, certificates.c.id == renewals.c.new_certificate)
            .where(renewals.c.state == "issued", renewals.c.id > self._all_done)
            .limit(bank.PAGE)
        )
        issued = self.rows(query)
        for renewal, number, serial, product in issued:
            if renewal not in self._said:
                self._say(number, serial, product, "proved", "ok")
                self._said.add(renewal)
        page = [self._at_home[number] for _, number, *_ in issued]
        parts = [page[first::HANDS] for first in range(HANDS)]
        list(self.hands.map(self._prove, parts))  # each waits for the database by itself
        for _, number, *_ in issued:
            del self._at_home[number]
        return len(page)

    def _prove(self, page: Sequence[tuple[bank.Asked, bytes]]) -> None:
        bank.prove(self.app, [asked for asked, _ in page], [proof for _, proof in page])

    def under_way(self) -> int:
        """How many renewals have not come to their end."""
        mine = sa.and_(renewals.c.state != "done", renewals.c.id > self._all_done)
        first = sa.select(sa.func.min(renewals.c.id), sa.func.count()).where(mine)
        ((oldest, count),) = self.rows(first)
        last = int(oldest[1:].partition("-")[0]) - 1 if count else self.asked
        self._all_done = renewal_id(last)
        return int(count)

    def done(self, after: str = "") -> int:
        """How many have, of those that were asked for after that one."""
        ended = sa.and_(renewals.c.state == "done", renewals.c.id > after)
        return self._count(renewals, ended)

    def settled(self) -> int:
        """How many steps have: an event that one consumer has settled."""
        return self._count(inbox, inbox.c.state == "settled")

    def dead(self) -> int:
        return self._count(dead_letters, sa.true())

    def _count(self, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
        ((found,),) = self.rows(sa.select(sa.func.count()).select_from(table).where(which))
        return int(found)

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        with self.app.store.snapshot() as look:
            return [tuple(row) for row in look.connection.execute(query)]

    def _say(self, number: int, serial: str, product: str, did: str, result: str) -> None:
        self.ledger.append(
            customer=number,
            certificate=serial,
            did=did,
            result=result,
            mobile=f"+8869{number:08d}",
            mail=f"c{number}@example.com",
            product=product,
        )


@dataclass
class Installation:
    """Everything, and what can be done to it."""

    folder: Path
    server: PostgresServer
    brokers: Cluster
    app: App
    customers: Customers
    components: dict[str, Component]
    #: Seconds, at most, from a renewal's end until the next customer comes. Without them those who
    #: have waited together come round together for a long time, in batches that nothing else has.
    thinks: float = 0.0
    _comes_at: list[float] = field(default_factory=list)  # whoever thinks, by the clock; a heap
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def start(self, *names: str) -> None:
        for name in names or self.components:
            self.components[name].start()
        for name in names or self.components:
            until(self.components[name].ready, f"{name} is not ready")

    def stop(self) -> None:
        for component in self.components.values():
            component.kill()

    def run(self, *, seconds: float, at_once: int) -> None:
        """
        Let the customers ask and prove for so long, so many of them under way or thinking of it.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._turn(at_once)

    def finish(self) -> None:
        """
        Let all that was asked come to its end, and every event of it.

        Raises:
            TooLateError
        """
        self._comes_at.clear()
        until(lambda: not self._turn(0), "a renewal is not done")
        until(self._is_quiet, "an event is not settled")

    def _turn(self, at_once: int) -> int:
        under_way, now = self.customers.under_way(), time.monotonic()
        for _ in range(at_once - under_way - len(self._comes_at)):
            heappush(self._comes_at, now + self._chance.uniform(0, self.thinks))
        come = 0
        while self._comes_at and self._comes_at[0] <= now:
            heappop(self._comes_at)
            come += 1
        if come:
            self.customers.ask(come)
        if not self.customers.prove():
            time.sleep(LOOK_EVERY)
        return under_way

    def _is_quiet(self) -> bool:
        """Nothing waits for a relay or is due, and Kafka's own books have nobody behind."""
        before = self.customers.settled()
        codes = [Topic.CODES.value]
        with self.app.store.snapshot() as look:
            waiting = sum(
                metrics.not_relayed(look, lane, codes, others=lane == OTHERS)
                for lane in (CODES, OTHERS)
            )
            due = counts.news(look, 0).due & self.components.keys()
        groups = {it.group: it.topics for it in consumer_types() if it.group in self.components}
        with closing(Backlog(connection(self.app.settings))) as backlog:
            behind = backlog.of(groups)
        return not (waiting or due or any(behind.values())) and self.customers.settled() == before

    def kill_backends(self) -> int:
        """End every session of the database but our own, in the middle of whatever it does."""
        end = sa.text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        with self.app.store.snapshot() as look:
            return int(look.connection.scalar(end) or 0)

    def judged(self) -> tuple[Counter[str], list[Violation]]:
        """
        Over the ledgers of the world outside alone: what was lost, by the step that has not
        happened for a renewal that was asked for, and what was done that must never be.
        """
        story = self._story()
        asked = {row.result: row for row in story.customers if row.did == "asked"}
        kept = {renewal for renewal, row in asked.items() if row.product != "securities-browser"}
        ends = [renewal_of(deed.request_id or "") for deed in story.ca if deed.op == "revoke"]
        told = {mail.to for mail in story.mail}
        captured = {row.ref for row in story.bank if row.happened and row.op == "capture"}
        lost = {
            "issued": set(asked) - set(story.issue_of_renewal),
            "proven": {renewal for renewal in asked if story.proven(renewal) is None},
            "captured": kept - captured,
            "revoked": set(asked) - kept - set(ends),
            "told": {renewal for renewal, row in asked.items() if row.mail not in told},
        }
        # The customers' codes are elsewhere: this story begins when a renewal is confirmed.
        rules = [rule for rule in RULES if rule is not confirmed_by_code_where_the_product_says_so]
        return (
            Counter({step: len(renewals) for step, renewals in lost.items() if renewals}),
            [violation for rule in rules for violation in rule(story)],
        )

    def _story(self) -> History:
        outside = self.folder / "outside"
        for name in ("sms", "mail", "cards"):
            (outside / f"{name}.jsonl").touch()
        return read_history(
            outside,
            policies=self.app.policies.by_product,
            ended=True,
            unreachable=range(1, self.customers.there + 1),  # nobody is due for a reminder
        )


@contextmanager
def installed(
    folder: Path, *, customers: int, nodes: int = 1, components: tuple[str, ...] = COMPONENTS
) -> Iterator[Installation]:
    """One with so many customers and brokers; its components are not started yet."""
    with ExitStack() as stack:
        server = stack.enter_context(postgresql.server())
        brokers = kafka.cluster(folder / "kafka", nodes=nodes)
        stack.callback(brokers.stop)
        brokers.start()
        settings = Settings(
            home=folder,
            store_url=server.url,
            log_url=f"kafka://{','.join(brokers.servers)}",
            replication=nodes,
        )
        Topics(connection(settings), replication=nodes).apply(declared_topics(settings))
        app = bootstrap(settings, clock=SystemClock())
        stack.callback(app.store.close)
        _number_new_certificates_apart(app)
        saw = ActivityLog(folder / "outside" / "customers.jsonl", app.clock)
        stack.callback(saw.close)
        made = Installation(
            folder=folder,
            server=server,
            brokers=brokers,
            app=app,
            customers=Customers(app, saw),
            components={
                name: Component(name, _environment(settings), folder / f"{name}.log", name)
                for name in components
            },
        )
        made.customers.come(customers)
        stack.callback(made.stop)
        yield made


def _number_new_certificates_apart(app: App) -> None:
    beyond = sa.text("SELECT setval(pg_get_serial_sequence('certificates', 'id'), 10000000)")
    with app.store.transaction() as work:
        work.connection.execute(beyond)


def _environment(settings: Settings) -> dict[str, str]:
    usual = {name: it for name, it in os.environ.items() if not name.startswith("XUQI_")}
    return {
        **usual,
        "XUQI_HOME": str(settings.home),
        "XUQI_STORE_URL": settings.store_url,
        "XUQI_LOG_URL": settings.log_url,
    }
