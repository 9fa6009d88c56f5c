"""A served process on Kafka is stopped in the middle of much work, and goes on where it was."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kafka import KafkaAdminClient

from producers.certificates import change_requested
from schema.events import Change
from tests.flows.kafka.rig import ON_KAFKA
from tests.scenario.rows import customer, issued_certificate
from tests.xuqi import sample
from tests.xuqi.serving.test_serve import DEADLINE, address_of, eventually, started

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.eventlog.kafka import Connection
    from tests.xuqi.sample import Bank

pytestmark = [*ON_KAFKA, pytest.mark.slow]

MANY = 300
GROUPS = ("revocation", "notices")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """A bank of today with many customers, each with a certificate that is to be revoked."""
    with sample.opened(tmp_path / "bank", at=datetime.now(UTC)) as opened:
        opened.browser()
        copied(opened)
        yield opened


def copied(bank: Bank) -> None:
    ca: Any = bank.app.gateways.ca
    with bank.app.store.transaction() as work:
        product = work.certificates.get(sample.BROWSER).product
        for number in range(2, MANY + 1):
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            name = f"A{number:09d}-00-000001"
            der = ca.seed(spki, name, "signing", bank.end - sample.YEAR, bank.end)
            work.customers.put(customer(work.cipher, number))
            work.certificates.put(issued_certificate(work.cipher, number, product, der))


def asked_at_once(bank: Bank, numbers: range) -> None:
    with bank.app.store.transaction() as work:
        for number in numbers:
            change_requested(work, work.certificates.get(number), Change.REVOKE)


def started_in(killed: ExitStack, bank: Bank, settings: dict[str, str]) -> subprocess.Popen[str]:
    """A process that is ready, and is killed in the end if it has not ended."""
    process = started(bank.home, **settings)
    killed.callback(process.communicate)
    killed.callback(process.kill)
    address_of(process)
    return process


def outside(bank: Bank, name: str) -> list[dict[str, Any]]:
    path = bank.home / "outside" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def revoked(bank: Bank) -> Counter[str]:
    return Counter(row["request_id"] for row in outside(bank, "ca") if row["op"] == "revoke")


def told(bank: Bank) -> Counter[str]:
    return Counter(row["ref"] for row in outside(bank, "mail"))


def members(kafka: Connection) -> dict[str, tuple[str, dict[str, object]]]:
    """Of each group its state and, by their names, what its members have."""
    admin = KafkaAdminClient(**kafka.settings)
    try:
        found = admin.describe_groups([f"{kafka.prefix}xuqi.{group}" for group in GROUPS])
    finally:
        admin.close()
    return {
        name: (
            group["group_state"],
            {one["group_instance_id"]: one["member_assignment"] for one in group["members"]},
        )
        for name, group in found.items()
    }


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate(timeout=DEADLINE)
    assert "Traceback" not in complaints
    return process.returncode, said.strip()


def test_stopped_in_the_middle_it_settles_and_goes_on_with_nothing_lost_and_nothing_twice(
    bank: Bank, kafka: Connection
) -> None:
    settings = {
        "XUQI_LOG_URL": f"kafka://{kafka.servers[0]}?prefix={kafka.prefix}",
        "XUQI_BRANCHES": "001",
        "XUQI_MEMBER": "host-1",
    }
    asked_at_once(bank, range(1, MANY // 3))
    with ExitStack() as killed:
        first = started_in(killed, bank, settings)
        eventually(lambda: len(told(bank)) == MANY // 3 - 1)
        asked_at_once(bank, range(MANY // 3, MANY + 1))
        eventually(lambda: len(revoked(bank)) > MANY // 3 + 20)
        end = stopped(first)
        done, before, meanwhile = revoked(bank), told(bank), members(kafka)

        second = started_in(killed, bank, settings)
        eventually(lambda: len(told(bank)) == MANY)
        afterwards = members(kafka)
        again = stopped(second)

    assert end == again == (0, "xuqi: stopped")
    assert MANY // 3 <= len(before) + 1 < MANY, "it was to be stopped in the middle"
    assert set(done.values()) == {1}
    assert sorted(revoked(bank)) == sorted(
        f"C{number:08d}-01/revoke" for number in range(1, MANY + 1)
    )
    assert set(revoked(bank).values()) == set(told(bank).values()) == {1}
    assert bank.listed("dead-letters", "list") == []
    assert [state for state, _ in meanwhile.values()] == ["Stable"] * len(GROUPS)
    assert meanwhile == afterwards
