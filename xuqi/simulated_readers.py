"""The simulated cards of an installation in their readers, and their station."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.gateways.activity_log import ActivityLog
from renewal.rules.station_link import centre_key, public_of
from renewal.sealing import branch_key
from schema.events import Topic
from token_station import models
from token_station.journal import Journal
from token_station.piv.key_slots import KEY_HISTORY
from token_station.puk_tries import PukTries
from token_station.simulator import card_profiles
from token_station.simulator.card import SimulatedCard
from token_station.simulator.reader import SimulatedReader
from token_station.station import Station
from token_station.trust_anchors import TrustAnchors
from xuqi.station_keys import enrol_own, station_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.db.engine import Store
    from renewal.eventlog.port import EventLog
    from renewal.keys import Keys
    from renewal.rules.statements import StationIdentity
    from renewal.secret import Secret
    from token_station.operators import Operator
    from token_station.pcsc import PcscReaders
    from token_station.port import OpensTokens
    from token_station.port import TokenReader as ReaderWithToken
    from xuqi.settings import Settings

PKCS11 = "pkcs11:"  #: and a token model: its name, or a file
FIRST_LOOK = 2.0  #: seconds that attached readers have to be found
AT_ONCE = 16  #: real readers that are worked on side by side


def card_files(home: Path) -> list[Path]:
    return sorted((home / "cards").glob("*.json"))


@contextmanager
def attached_readers(
    readers: str, home: Path, clock: Clock
) -> Iterator[Sequence[ReaderWithToken | OpensTokens]]:
    """
    The readers that the settings name: simulated, real ones by PC/SC, or a module's slots.

    Raises:
        XuqiError: pyscard is not installed, or a file holds no card.
    """
    if readers == "simulated":
        with simulated_readers(home, clock) as simulated:
            yield simulated
        return
    if readers.startswith(PKCS11):
        yield _pkcs11_readers(readers.removeprefix(PKCS11))
        return
    with _pcsc_readers() as attached:
        attached.wait(0, FIRST_LOOK)
        yield attached


def _pkcs11_readers(model: str) -> Sequence[OpensTokens]:
    try:
        from token_station import pkcs11  # noqa: PLC0415 - only a station has python-pkcs11
    except ImportError as error:
        raise XuqiError(
            "tokens by PKCS#11 need python-pkcs11: pip install -r requirements/station.txt"
        ) from error
    return pkcs11.readers(models.load(model))


def _pcsc_readers() -> PcscReaders:
    try:
        from token_station.pcsc import PcscReaders  # noqa: PLC0415 - only a station has pyscard
    except ImportError as error:
        raise XuqiError(
            "real readers need pyscard: pip install -r requirements/station.txt "
            "(on Linux with gcc, pkg-config and libpcsclite-dev), and pcscd running"
        ) from error
    return PcscReaders()


@contextmanager
def simulated_readers(home: Path, clock: Clock) -> Iterator[list[SimulatedReader]]:
    """
    One reader for each card in ``<home>/cards``; the cards are pulled in the end.

    Raises:
        XuqiError: a file holds no card.
    """
    files = card_files(home)
    if not files:
        yield []
        return
    ledger = ActivityLog(home / "outside" / "cards.jsonl", clock)
    readers = []
    try:
        for path in files:
            card = card_of(path, ledger)
            reader = SimulatedReader(path.stem)
            reader.insert(card)
            readers.append(reader)
        yield readers
    finally:
        for reader in readers:
            reader.pull()
        ledger.close()


def card_of(path: Path, ledger: ActivityLog) -> SimulatedCard:
    """
    Raises:
        XuqiError: the file holds no card.
    """
    try:
        memory = json.loads(path.read_text("ascii"))
        # The file does not name the card's make, but only one of the two writes this object.
        make = (
            card_profiles.JAVACARD
            if f"{KEY_HISTORY:06X}" in memory["objects"]
            else card_profiles.NATIVE
        )
        return SimulatedCard(path, make, ledger)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise XuqiError(
            f"{path}: no simulated card ({type(error).__name__}): move it away"
        ) from error


@dataclass(frozen=True, kw_only=True)
class StationParts:
    """What one branch's station needs to know, wherever it comes from."""

    branch: str
    home: Path
    readers: str
    identity: StationIdentity
    key: Secret = field(repr=False)  #: of the branch: certificates are sealed for it
    centre: bytes  #: its public key
    management_key: Secret | None = field(repr=False)


@contextmanager
def opened_station(
    settings: Settings,
    keys: Keys,
    clock: Clock,
    log: EventLog,
    person: Operator,
    *,
    store: Store | None = None,
) -> Iterator[Station]:
    """
    The station of the settings' branch; whoever opens it holds its ``StationPlace``. With the
    ``store`` of its own home it is enrolled there by itself.
    """
    parts = StationParts(
        branch=settings.branch,
        home=settings.home,
        readers=settings.readers,
        identity=station_identity(settings.home, settings.branch),
        key=branch_key(keys.stations, settings.branch),
        centre=public_of(centre_key(keys.stations)),
        management_key=keys.tokens,
    )
    if store is not None:
        enrol_own(store, parts.identity)
    with station_of(parts, log, clock, person) as station:
        yield station


def trust_anchors(path: Path) -> TrustAnchors:
    """
    Whom this station trusts to vouch for a token: nobody, where there is no such file.

    Raises:
        TrustAnchorsError: the file holds no certificates.
    """
    if not path.exists():
        return TrustAnchors()
    return TrustAnchors.read(path.read_text("utf-8", "replace"), where=str(path))


@contextmanager
def station_of(
    parts: StationParts, log: EventLog, clock: Clock, person: Operator
) -> Iterator[Station]:
    """
    A station over its own journal and readers, and whatever log it is given.

    Raises:
        XuqiError
    """
    branch, folder = parts.branch, parts.home / "station"
    incoming = log.reader(f"station.{branch}", [f"{Topic.STATIONS.value}.{branch}"])
    journal = Journal(folder / f"{branch}.jsonl")
    try:
        with attached_readers(parts.readers, parts.home, clock) as readers:
            yield Station(
                branch=branch,
                log=log,
                incoming=incoming,
                journal=journal,
                readers=readers,
                operator=person,
                identity=parts.identity,
                key=parts.key,
                centre=parts.centre,
                management_key=parts.management_key,
                clock=clock,
                puk_tries=PukTries(folder / "puk-tries.json"),
                anchors=trust_anchors(folder / "trust-anchors.pem"),
                parallel=AT_ONCE if parts.readers == "pcsc" else 1,
            )
    finally:
        incoming.close()
        journal.close()
