"""Reads what is on record, in the bank's database and in the ledgers outside."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.stored_reasons import read_reason
from schema.taipei import TAIPEI
from templates.codes import text
from tests.scenario.rows import account_of

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.db.rows import Certificate, Customer, Renewal
    from renewal.gateways.bank.embedded.adapter import EmbeddedBank
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa
    from renewal.gateways.ca.port import Status
    from renewal.rules.policies import Policies
    from xuqi.bootstrap import App


class Records:
    """The reading side of a scenario."""

    home: Path
    app: App

    if TYPE_CHECKING:

        @property
        def ca(self) -> EmbeddedCa: ...
        @property
        def bank(self) -> EmbeddedBank: ...

    @property
    def store(self) -> Store:
        return self.app.store

    @property
    def policies(self) -> Policies:
        return self.app.policies

    def renewal(self, key: str) -> Renewal:
        with self.store.snapshot() as snapshot:
            return snapshot.renewals.get(key)

    def certificate(self, number: int) -> Certificate:
        with self.store.snapshot() as snapshot:
            return snapshot.certificates.get(number)

    def customer(self, number: int) -> Customer:
        with self.store.snapshot() as snapshot:
            return snapshot.customers.get(number)

    def der(self, number: int) -> bytes:
        sealed = self.certificate(number).der_sealed
        return self.store.cipher.open(sealed, "certificates.der", number)

    def rows(self, query: str, **named: object) -> list[tuple[Any, ...]]:
        """Look into the database behind everybody's back."""
        with self.store.snapshot() as snapshot:
            return [tuple(row) for row in snapshot.connection.execute(sa.text(query), named)]

    def decisions(self, certificate: int, about: str = "reminder") -> list[tuple[str, str]]:
        found = self.rows(
            "SELECT what, why FROM decisions WHERE certificate = :c AND about = :a ORDER BY id",
            c=certificate,
            a=about,
        )
        return [(what, why) for what, why in found]

    def dead(self) -> list[tuple[str, str]]:
        """The open dead letters: (consumer, why in English)."""
        found = self.rows("SELECT consumer, why FROM dead_letters WHERE state = 'open' ORDER BY id")
        return [(consumer, text(read_reason(why), "en")) for consumer, why in found]

    # --- outside --------------------------------------------------------------------------------

    def outside(self, ledger: str) -> list[dict[str, Any]]:
        """What the world outside has written down: sms, mail, bank, ca or cards."""
        path = self.home / "outside" / f"{ledger}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def sent(self) -> list[tuple[str, str]]:
        """(channel, when in Taipei) of texts and mails, in the order of time."""
        rows = [(row["at"], name) for name in ("sms", "mail") for row in self.outside(name)]
        return [(name, _local(at)) for at, name in sorted(rows)]

    def texts(self) -> list[str]:
        return [row["body"] for row in self.outside("sms")]

    def letters(self) -> list[str]:
        return [row["body"] for row in self.outside("mail")]

    def texted(self) -> list[str]:
        """The codes on the phones, the newest last."""
        sent = (line["body"] for line in self.outside("sms") if line["ref"].startswith("K"))
        return [found[0] for body in sent if (found := self._code_pattern.search(body))]

    def last_code(self) -> str:
        """The code in the newest text, of whatever length."""
        found = re.search(r"(?<!\d)\d{4,8}(?!\d)", self.texts()[-1])
        assert found is not None
        return found[0]

    @property
    def _code_pattern(self) -> re.Pattern[str]:
        rules = self.policies.of("securities-browser").confirm.code
        return re.compile(rf"(?<!\d)\d{{{rules.digits if rules else 0}}}(?!\d)")

    def at_the_bank(self, certificate: int) -> tuple[int, int]:
        """The customer's balance and what of it is available, in whole dollars."""
        account = account_of(certificate)
        return self.bank.balance(account), self.bank.available(account)

    def status_at_ca(self, number: int) -> Status:
        return self.ca.status(int(self.certificate(number).serial, 16))

    def booked(self) -> list[tuple[str, str]]:
        """What the bank has really done: (operation, id), each once."""
        done = [line for line in self.outside("bank") if line["answer"] in {"ok", "lost"}]
        return [(line["op"], line["id"]) for line in done]


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(TAIPEI):%Y-%m-%d %H:%M}"
