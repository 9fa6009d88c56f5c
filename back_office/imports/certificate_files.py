"""Extracts certificates from files of any supported format."""

from __future__ import annotations

import io
import os
import re
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from back_office.imports import der as walk
from back_office.imports import mistaken, pem
from back_office.imports.customer_row import (
    BY_SPREADSHEET,
    BadFieldError,
    find_product,
    plain,
    read_id_number,
    read_reference,
)
from back_office.imports.lines import NO_TEXT, open_text
from back_office.imports.report import ImportFileError, RowPlace, cannot_read
from back_office.imports.table import Columns, read_table
from renewal.rules import x509
from renewal.rules.ber import FILLING, without_filling
from renewal.rules.serials import token_serial
from schema.reasons import FindingReason, Reason
from schema.roc import RocDateError
from schema.roc import parse as parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from renewal.rules.policies import Policies

MOST_DER = 1 << 16  #: bytes of one certificate; the longest signatures known take 50,000
MOST_PKCS7 = 1 << 26  #: bytes of a PKCS#7 bundle in PEM or BER, which is read whole
_MOST_LINE = 1 << 17
_MOST_BASE64 = 1 << 20
_CERTIFICATE = frozenset(
    (b"CERTIFICATE", b"X509 CERTIFICATE", b"X.509 CERTIFICATE", b"TRUSTED CERTIFICATE")
)
_BUNDLE = frozenset((b"PKCS7", b"CMS", b"PKCS #7 SIGNED DATA"))
_PEM_MARKS = re.compile(rb"-----(BEGIN|END) [A-Z0-9 ]{1,40}-----")
_SERIAL = re.compile(r"-?[0-9a-f]{1,64}")
_TOKEN = re.compile(r"[0-9A-Za-z._-]{1,50}")
STATES = {
    **dict.fromkeys(("active", "valid", "good", "有效", "使用中"), "active"),
    **dict.fromkeys(("suspended", "hold", "on hold", "暫停", "停用", "暫禁"), "suspended"),
    **dict.fromkeys(("revoked", "撤銷", "廢止", "註銷"), "revoked"),
}
COLUMNS = Columns(
    names={
        "certificate": ("cert", "pem", "der", "base64", "certificate_base64", "憑證", "憑證內容"),
        "serial": ("serial_number", "serial_no", "序號", "憑證序號"),
        "product": ("產品", "商品", "憑證產品"),
        "token_serial": ("token", "card", "card_serial", "載具序號", "載具", "卡號"),
        "reference": ("customer", "customer_number", "customer_no", "客戶編號", "客戶代號", "客號"),
        "id_number": (
            *("id", "id_no", "national_id", "身分證字號", "身份證字號", "證號"),
            *("統一編號", "身分證統一編號"),
        ),
        "state": ("status", "狀態", "憑證狀態"),
        "reminded": ("reminded_on", "last_reminded", "已提醒", "已提醒日", "提醒日期"),
    },
    needed=("certificate",),
    ignored=(
        *("subject", "issuer", "not_before", "not_after", "valid_from", "valid_to"),
        *("主體", "發行者", "簽發者", "生效日", "到期日", "有效起日", "有效迄日"),
    ),
    most_bytes=_MOST_LINE,
    pem=True,
)


class StatedFields(NamedTuple):
    """What the file says beside the certificate."""

    product: str | None = None
    token_serial: str | None = None
    reference: str | None = None
    id_number: str | None = None
    state: str = "active"
    reminded: date | None = None  #: by the system before this one, the last time


class CertificateEntry(NamedTuple):
    """One certificate of a file, or why there is none."""

    file: str
    place: RowPlace
    der: bytes = b""
    stated: StatedFields = StatedFields()
    serial: str | None = None  #: as the file says it, to be compared
    wrong: tuple[tuple[str, Reason], ...] = ()  #: field and reason


def entries_of(path: Path, policies: Policies) -> Iterator[CertificateEntry]:
    """
    Yield the certificates of a file, or of all files in a folder and the folders in it.

    Names that begin with a dot and links to folders are passed over.

    Raises:
        ImportFileError: a file that was named cannot be read. In a folder it is an entry.
    """
    if path.is_dir():
        yield from _of_folder(path, policies)
    else:
        yield from _of_file(path, path.name, policies)


def _of_folder(folder: Path, policies: Policies) -> Iterator[CertificateEntry]:
    for found in _files(folder):
        name = str(found.relative_to(folder)).encode(errors="replace").decode()
        try:
            yield from _of_file(found, name, policies)
        except ImportFileError as error:
            yield CertificateEntry(name, RowPlace(), wrong=(("", error.reason),))


def _files(folder: Path) -> Iterator[Path]:
    """As the file system lists them: to sort a million names they would have to be in memory."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as found:
                for item in found:
                    if item.name.startswith("."):
                        continue
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(Path(item.path))
                    elif not item.is_dir():
                        yield Path(item.path)
        except OSError as error:
            raise cannot_read(here, error) from error


def _of_file(path: Path, name: str, policies: Policies) -> Iterator[CertificateEntry]:
    if path.suffix.lower() == ".csv":
        yield from _of_table(path, name, policies)
        return
    with open_text(path) as file:
        start = file.read(8)
        for begins, reason in (*NO_TEXT.items(), *mistaken.BEGINNINGS.items()):
            if start.startswith(begins):
                raise ImportFileError(path, reason)
        file.seek(0)
        if start[:1] == bytes([walk.SEQUENCE]):
            yield from _of_der(file, name)
        else:
            yield from _of_pem(file, name)


# --- DER ----------------------------------------------------------------------------------------


def _of_der(file: IO[bytes], name: str) -> Iterator[CertificateEntry]:
    """
    Certificates one after the other, or bundles of them; what fills the file up is passed over.
    """
    size, at, number = file.seek(0, os.SEEK_END), 0, 0
    try:
        while at < size and not _is_filling(file, at):
            found = walk.element(file, at, size)
            for part in _certificates(file, found):
                number += 1
                yield _cut(file, part, name, number)
            at = found.end
    except walk.DerError as error:
        if number or size > MOST_PKCS7:
            yield _refused(name, RowPlace(entry=number + 1), error.reason)
        else:
            yield from _of_ber(file, name, error.reason)


def _is_filling(file: IO[bytes], at: int) -> bool:
    """
    Say whether nothing but zeros or FF follows, as flash memory and some exports leave it.
    """
    file.seek(at)
    while chunk := file.read(_MOST_LINE):
        if not FILLING.issuperset(chunk):
            return False
    return True


def _certificates(file: IO[bytes], found: walk.DerElement) -> Iterator[walk.DerElement]:
    bundle = walk.certificates_of(file, found) if found.tag == walk.SEQUENCE else None
    return iter((found,)) if bundle is None else bundle


def _cut(file: IO[bytes], part: walk.DerElement, name: str, number: int) -> CertificateEntry:
    position = RowPlace(entry=number)
    if part.end - part.start > MOST_DER:
        return _refused(name, position, FindingReason.TOO_LONG.why(limit=str(MOST_DER)))
    file.seek(part.start)
    return CertificateEntry(name, position, file.read(part.end - part.start))


def _of_ber(file: IO[bytes], name: str, reason: Reason) -> Iterator[CertificateEntry]:
    """
    A bundle in BER, as some tools write it, is for the library; one certificate is for our reader.
    """
    file.seek(0)
    content = file.read(MOST_PKCS7)
    try:
        found = pkcs7.load_der_pkcs7_certificates(content)
    except ValueError:
        if len(content) <= MOST_DER and _is_one(content):
            yield CertificateEntry(name, RowPlace(entry=1), without_filling(content))
        else:
            named = mistaken.named(content)
            yield _refused(name, RowPlace(entry=1), named.why() if named else reason)
        return
    for number, certificate in enumerate(found, start=1):
        yield CertificateEntry(name, RowPlace(entry=number), certificate.public_bytes(Encoding.DER))


def _is_one(content: bytes) -> bool:
    try:
        x509.read(without_filling(content))
    except x509.UnreadableCertificateError:
        return False
    return True


def _refused(name: str, position: RowPlace, reason: Reason) -> CertificateEntry:
    return CertificateEntry(name, position, wrong=(("certificate", reason),))


# --- PEM ----------------------------------------------------------------------------------------


def _of_pem(file: IO[bytes], name: str) -> Iterator[CertificateEntry]:
    """
    The blocks of RFC 7468, with whatever text is between them.
    """
    found = 0
    for block in pem.blocks(file, _most):
        found += 1
        yield from _of_block(name, RowPlace(block.line), block.label, block.body)
    if not found:
        yield from _of_base64(file, name)


def _of_base64(file: IO[bytes], name: str) -> Iterator[CertificateEntry]:
    """
    A file that is base64 without any marks.
    """
    file.seek(0)
    text = file.read(_MOST_BASE64 + 1).removeprefix(pem.UTF8_MARK)
    der = pem.decoded(text) if len(text) <= _MOST_BASE64 else None
    if der and der[:1] == bytes([walk.SEQUENCE]):
        yield from _of_der(io.BytesIO(der), name)
    else:
        yield _refused(name, RowPlace(), FindingReason.HOLDS_NONE.why())


def _of_block(
    name: str, position: RowPlace, label: bytes, body: bytes | Reason
) -> Iterator[CertificateEntry]:
    if label not in _CERTIFICATE | _BUNDLE:
        other = FindingReason.BLOCK_LABEL.why(label=label.decode().lower())
        yield _refused(name, position, other)
    elif isinstance(body, Reason):
        yield _refused(name, position, body)
    elif (der := pem.decoded(body)) is None:
        yield _refused(name, position, FindingReason.NOT_BASE64.why())
    elif label in _BUNDLE or _is_bundle(der):
        for inner in _of_der(io.BytesIO(der), name):
            yield inner._replace(place=position._replace(entry=inner.place.entry))
    elif label == b"TRUSTED CERTIFICATE":  # OpenSSL's own: its trust settings follow
        yield CertificateEntry(name, position, _first(der))
    else:
        yield CertificateEntry(name, position, without_filling(der))


def _is_bundle(der: bytes) -> bool:
    """
    Say whether it is PKCS#7, under whatever mark.
    """
    try:
        whole = walk.element(io.BytesIO(der), 0, len(der))
        return walk.certificates_of(io.BytesIO(der), whole) is not None
    except walk.DerError:
        return False


def _first(der: bytes) -> bytes:
    try:
        return der[: walk.element(io.BytesIO(der), 0, len(der)).end]
    except walk.DerError:
        return der


def _most(label: bytes) -> int:
    if label in _BUNDLE:
        return MOST_PKCS7
    return MOST_DER * 3 // 2 if label in _CERTIFICATE else 0  # a key is not even kept in memory


# --- CSV ----------------------------------------------------------------------------------------


def _of_table(path: Path, name: str, policies: Policies) -> Iterator[CertificateEntry]:
    for record in read_table(path, COLUMNS):
        position = RowPlace(record.line)
        if record.fault:
            yield CertificateEntry(name, position, wrong=(("", record.fault),))
        else:
            yield _of_row(name, position, record.cells, policies)


def _of_row(
    name: str, position: RowPlace, cells: Mapping[str, str], policies: Policies
) -> CertificateEntry:
    wrong: list[tuple[str, Reason]] = []

    def read(field: str, reader: Callable[[str], str | None]) -> str | None:
        text = plain(cells.get(field, ""))
        try:
            return reader(text) if text else None
        except BadFieldError as error:
            wrong.append((field, error.reason))
            return None

    der = pem.decoded(_without_marks(cells["certificate"]))
    if not der:
        wrong.append(("certificate", FindingReason.NEITHER_FORM.why()))
    stated = StatedFields(
        product=read("product", lambda text: find_product(text, policies)),
        token_serial=read("token_serial", _token_serial),
        reference=read("reference", read_reference),
        id_number=read("id_number", read_id_number),
        state=read("state", _state) or "active",
        reminded=date.fromisoformat(day) if (day := read("reminded", _day)) else None,
    )
    der = without_filling(der or b"")
    return CertificateEntry(name, position, der, stated, read("serial", _serial), tuple(wrong))


def _without_marks(cell: str) -> bytes:
    return _PEM_MARKS.sub(b"", cell.encode())


def _token_serial(text: str) -> str:
    if BY_SPREADSHEET.fullmatch(text):
        raise BadFieldError(FindingReason.ROUNDED)
    serial = token_serial(text)
    if not _TOKEN.fullmatch(serial):
        raise BadFieldError(FindingReason.TOKEN_FORM)
    return serial


def _state(text: str) -> str:
    if (state := STATES.get(text.casefold())) is None:
        raise BadFieldError(FindingReason.STATE_FORM)
    return state


def _day(text: str) -> str:
    """The date in ISO 8601, written in either calendar."""
    try:
        return parse_date(text).isoformat()
    except RocDateError:
        raise BadFieldError(FindingReason.DAY_FORM) from None


def _serial(text: str) -> str:
    serial = text.lower().replace(":", "").replace(" ", "").removeprefix("0x")
    if not _SERIAL.fullmatch(serial):
        raise BadFieldError(FindingReason.SERIAL_FORM)
    return serial


def is_serial(stated: str, serial: str) -> bool:
    """
    Say whether a file's serial, in hex or decimal, is the certificate's (hex, no leading zeros).
    """
    number = int(serial, 16)
    return int(stated, 16) == number or (stated.lstrip("-").isdecimal() and int(stated) == number)
