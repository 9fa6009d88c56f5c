"""Brings certificates in, each to its customer and its slot."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from back_office.imports.admission import Admission
from back_office.imports.batches import batches, in_one
from back_office.imports.certificate_facts import Facts, NoCertificateError, read_facts
from back_office.imports.certificate_files import Entry, entries_of, is_serial
from back_office.imports.report import Finding, Report, Tally, ignore
from renewal.store.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from back_office.imports.admission import Decided
    from renewal.cycle import Policies
    from renewal.store.engine import Store
    from renewal.store.work import Work


def import_certificates(
    store: Store,
    policies: Policies,
    path: Path,
    *,
    product: str | None,
    dry_run: bool,
    progress: Callable[[int], None] = ignore,
    found: Callable[[Finding], None] = ignore,
) -> Report:
    """
    Bring in the certificates of a file or of a folder: PEM, DER, PKCS#7, or CSV of a CA.

    A certificate's customer is the one that the CSV names, else the one whose ID number its
    common name begins with, else none. Its product is the CSV's, else ``product``, else the
    only one that its customer is enrolled for. In each slot the one that begins last is in
    force (I2), unless its window is over. A certificate on file is changed only by what was
    not known of it before: its customer, its token.

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
    with Scratch() as scratch, warnings.catch_warnings():
        # What is beyond RFC 5280 is taken nevertheless: serials below one, names too long; and
        # PKCS#7 in BER. The library warns of each.
        warnings.simplefilter("ignore", UserWarning)
        for batch in batches(entries_of(path, policies)):
            good = list(_readable(batch, tally))
            if good:
                seen = scratch if dry_run else None
                decide = partial(_decided, good, policies, product, seen)
                decided = in_one(store, decide, dry_run=dry_run)
                scratch.keep(decided.seen)
                _count(decided, tally)
            tally.tell()
    return tally.report(dry_run=dry_run)


def _readable(batch: list[Entry], tally: Tally) -> Iterator[tuple[Entry, Facts]]:
    for entry in batch:
        wrong = list(entry.wrong)
        facts = _facts(entry, wrong)
        if facts is not None and not wrong:
            yield entry, facts
        else:
            tally.refuse(*_findings(entry, wrong, refused=True))


def _facts(entry: Entry, wrong: list[tuple[str, str]]) -> Facts | None:
    if not entry.der:
        return None
    try:
        facts = read_facts(entry.der)
    except NoCertificateError as error:
        wrong.append(("certificate", str(error)))
        return None
    if entry.serial is not None and not is_serial(entry.serial, facts.serial):
        wrong.append(("serial", "is not the certificate's"))
    return facts


def _decided(
    entries: list[tuple[Entry, Facts]],
    policies: Policies,
    product: str | None,
    scratch: Scratch | None,
    work: Work,
) -> Decided:
    return Admission(work, policies, product, scratch).decide(entries)


def _count(decided: Decided, tally: Tally) -> None:
    for entry, bucket, about in decided.verdicts:
        if bucket == "refused":
            tally.refuse(*_findings(entry, about, refused=True))
        else:
            tally.take(bucket, *_findings(entry, about, refused=False))
    tally.states.update(decided.states)
    tally.superseded += decided.superseded


def _findings(
    entry: Entry, about: Iterable[tuple[str, str]], *, refused: bool
) -> Iterator[Finding]:
    for name, reason in about:
        yield Finding(
            file=entry.file, place=entry.place, field=name, reason=reason, refused=refused
        )
