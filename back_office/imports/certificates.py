"""Imports certificates, each into the slot of its customer."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from back_office.imports.admission import Admission
from back_office.imports.batches import batches, in_one_transaction
from back_office.imports.certificate_facts import CertificateFields, NoCertificateError, read_fields
from back_office.imports.certificate_files import CertificateEntry, entries_of, is_serial
from back_office.imports.report import ImportFinding, ImportReport, Tally, ignore
from back_office.imports.trust import Anchors, NotTrustedError
from renewal.db.spill_set import SpillSet
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from back_office.imports.admission import CertificateDecisions
    from back_office.imports.trust import Trust
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason


def import_certificates(
    store: Store,
    policies: Policies,
    path: Path,
    *,
    product: str | None,
    trust: Trust,
    dry_run: bool,
    progress: Callable[[int], None] = ignore,
    found: Callable[[ImportFinding], None] = ignore,
) -> ImportReport:
    """
    Bring in the certificates of a file or of a folder: PEM, DER, PKCS#7, or CSV of a CA.

    A certificate's customer is the one that the CSV names, else the one whose ID number its
    common name begins with, else none. Its product is the CSV's, else ``product``, else the
    only one that its customer is enrolled for. In each slot the one that begins last is in
    force (I2), unless its window is over. A certificate on file is changed only by what was
    not known of it before: its customer, its token.

    Each must be signed by an anchor of ``trust``, unless nothing is verified; a slot that is held
    changes hands only to a later certificate of the same CA.

    Whatever stops the run, only whole batches are there, and the same files go on from them.

    ``progress`` is called with the number of certificates done, after each batch; ``found``
    with what was refused or must be known, as it is found.

    Raises:
        ImportFileError: the file cannot be read, or is no table of certificates.
        XuqiError: there is no policy for the product.
    """
    if product is not None:
        policies.of(product)
    tally = Tally(found, progress)
    with SpillSet() as scratch, warnings.catch_warnings():
        # What is beyond RFC 5280 is taken nevertheless: serials below one, names too long; and
        # PKCS#7 in BER. The library warns of each.
        warnings.simplefilter("ignore", UserWarning)
        for batch in batches(entries_of(path, policies)):
            good = list(_readable(batch, tally, trust))
            if good:
                seen = scratch if dry_run else None
                verified = isinstance(trust, Anchors)
                how = Taken(policies, product, seen, verified)
                decide = partial(_decided, good, how)
                decided = in_one_transaction(store, decide, dry_run=dry_run)
                scratch.keep(decided.seen)
                _count(decided, tally)
            tally.tell()
    return tally.report(dry_run=dry_run)


def _readable(
    batch: list[CertificateEntry], tally: Tally, trust: Trust
) -> Iterator[tuple[CertificateEntry, CertificateFields]]:
    for entry in batch:
        wrong = list(entry.wrong)
        facts = _facts(entry, wrong, trust)
        if facts is not None and not wrong:
            yield entry, facts
        else:
            tally.refuse(*_findings(entry, wrong, refused=True))


def _facts(
    entry: CertificateEntry, wrong: list[tuple[str, Reason]], trust: Trust
) -> CertificateFields | None:
    if not entry.der:
        return None
    try:
        facts = read_fields(entry.der)
        trust.verify(entry.der)
    except (NoCertificateError, NotTrustedError) as error:
        wrong.append(("certificate", error.reason))
        return None
    if entry.serial is not None and not is_serial(entry.serial, facts.serial):
        wrong.append(("serial", FindingReason.SERIAL_DIFFERS.why()))
    return facts


class Taken(NamedTuple):
    """How a run takes certificates in."""

    policies: Policies
    product: str | None
    scratch: SpillSet | None  #: of a dry run
    verified: bool


def _decided(
    entries: list[tuple[CertificateEntry, CertificateFields]], how: Taken, work: UnitOfWork
) -> CertificateDecisions:
    return Admission(work, *how).decide(entries)


def _count(decided: CertificateDecisions, tally: Tally) -> None:
    for entry, bucket, about in decided.verdicts:
        if bucket == "refused":
            tally.refuse(*_findings(entry, about, refused=True))
        else:
            tally.take(bucket, *_findings(entry, about, refused=False))
    tally.states.update(decided.states)
    tally.superseded += decided.superseded


def _findings(
    entry: CertificateEntry, about: Iterable[tuple[str, Reason]], *, refused: bool
) -> Iterator[ImportFinding]:
    for name, reason in about:
        yield ImportFinding(
            file=entry.file, place=entry.place, field=name, reason=reason, refused=refused
        )
