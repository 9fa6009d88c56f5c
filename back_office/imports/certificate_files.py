"""Takes certificates out of files as they come."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from back_office.imports import der as walk
from back_office.imports.customer_row import (
    BadFieldError,
    find_product,
    plain,
    read_id_number,
    read_reference,
)
from back_office.imports.lines import NO_TEXT, opened
from back_office.imports.report import ImportFileError
from back_office.imports.table import Columns, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from renewal.cycle import Policies

MOST_DER = 1 << 16  #: bytes of one certificate; the longest signatures known take 50,000
MOST_PKCS7 = 1 << 26  #: bytes of a PKCS#7 bundle in PEM or BER, which is read whole
_MOST_LINE = 1 << 17
_MARK = re.compile(rb"\s*-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----\s*")
_CERTIFICATE = frozenset((b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"))
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
    },
    needed=("certificate",),
    ignored=(
        *("subject", "issuer", "not_before", "not_after", "valid_from", "valid_to"),
        *("主體", "發行者", "簽發者", "生效日", "到期日", "有效起日", "有效迄日"),
    ),
    most_bytes=_MOST_LINE,
    pem=True,
)


class Said(NamedTuple):
    """
    What the file says beside the certificate.
    """

    product: str | None = None
    token_serial: str | None = None
    reference: str | None = None
    id_number: str | None = None
    state: str = "active"


class Entry(NamedTuple):
    """
    One certificate of a file, or why there is none.
    """

    file: str
    place: str
    der: bytes = b""
    said: Said = Said()
    serial: str | None = None  #: as the file says it, to be compared
    wrong: tuple[tuple[str, str], ...] = ()  #: field and reason


def entries_of(path: Path, policies: Policies) -> Iterator[Entry]:
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


def _of_folder(folder: Path, policies: Policies) -> Iterator[Entry]:
    for found in _files(folder):
        name = str(found.relative_to(folder)).encode(errors="replace").decode()
        try:
            yield from _of_file(found, name, policies)
        except ImportFileError as error:
            reason = str(error).removeprefix(f"{found}: ")
            yield Entry(name, "", wrong=(("", reason),))


def _files(folder: Path) -> Iterator[Path]:
    """
    As the file system lists them: to sort a million names they would have to be in memory.
    """
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
            raise ImportFileError(f"{here}: cannot be read: {error.strerror}") from error


def _of_file(path: Path, name: str, policies: Policies) -> Iterator[Entry]:
    if path.suffix.lower() == ".csv":
        yield from _of_table(path, name, policies)
        return
    with opened(path) as file:
        start = file.read(8)
        for begins, reason in NO_TEXT.items():
            if start.startswith(begins):
                raise ImportFileError(f"{path}: {reason}")
        file.seek(0)
        if start[:1] == bytes([walk.SEQUENCE]):
            yield from _of_der(file, name)
        else:
            yield from _of_pem(file, name)


# --- DER ----------------------------------------------------------------------------------------


def _of_der(file: IO[bytes], name: str) -> Iterator[Entry]:
    """
    Certificates one after the other, or bundles of them.
    """
    size = file.seek(0, os.SEEK_END)
    number = 0
    try:
        for found in walk.elements(file, 0, size):
            for part in _certificates(file, found):
                number += 1
                yield _cut(file, part, name, number)
    except walk.DerError as error:
        if number or size > MOST_PKCS7:
            yield _refused(name, f"entry {number + 1}", str(error))
        else:
            yield from _of_ber(file, name, str(error))


def _certificates(file: IO[bytes], found: walk.Element) -> Iterator[walk.Element]:
    bundle = walk.certificates_of(file, found) if found.tag == walk.SEQUENCE else None
    return iter((found,)) if bundle is None else bundle


def _cut(file: IO[bytes], part: walk.Element, name: str, number: int) -> Entry:
    place = f"entry {number}"
    if part.end - part.start > MOST_DER:
        return _refused(name, place, f"is longer than {MOST_DER} bytes")
    file.seek(part.start)
    return Entry(name, place, file.read(part.end - part.start))


def _of_ber(file: IO[bytes], name: str, reason: str) -> Iterator[Entry]:
    """
    A bundle in BER, as some tools write it, is for the library.
    """
    file.seek(0)
    try:
        found = pkcs7.load_der_pkcs7_certificates(file.read(MOST_PKCS7))
    except ValueError:
        yield _refused(name, "entry 1", reason)
        return
    for number, certificate in enumerate(found, start=1):
        yield Entry(name, f"entry {number}", certificate.public_bytes(Encoding.DER))


def _refused(name: str, place: str, reason: str) -> Entry:
    return Entry(name, place, wrong=(("certificate", reason),))


# --- PEM ----------------------------------------------------------------------------------------


def _of_pem(file: IO[bytes], name: str) -> Iterator[Entry]:
    """
    The blocks of RFC 7468, with whatever text is between them.
    """
    blocks = 0
    for line, label, body in _blocks(file):
        blocks += 1
        yield from _of_block(name, f"line {line}", label, body)
    if not blocks:
        yield _refused(name, "", "holds no certificate")


def _of_block(name: str, place: str, label: bytes, body: bytes | str) -> Iterator[Entry]:
    if label not in _CERTIFICATE | _BUNDLE:
        yield _refused(name, place, f"is a {label.decode().lower()}, no certificate")
    elif isinstance(body, str):
        yield _refused(name, place, body)
    elif (der := _decoded(body)) is None:
        yield _refused(name, place, "is not base64")
    elif label in _BUNDLE:
        for inner in _of_der(io.BytesIO(der), name):
            yield inner._replace(place=f"{place}, {inner.place}")
    elif label == b"TRUSTED CERTIFICATE":  # OpenSSL's own: its trust settings follow
        yield Entry(name, place, _first(der))
    else:
        yield Entry(name, place, der)


def _first(der: bytes) -> bytes:
    try:
        return der[: walk.element(io.BytesIO(der), 0, len(der)).end]
    except walk.DerError:
        return der


def _decoded(body: bytes) -> bytes | None:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes, bytes | str]]:
    """
    Yield for each block the line of its beginning, its label, and its body or what is wrong.
    """
    begun, label, body, size = 0, b"", list[bytes](), 0
    for number, raw in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), start=1):
        mark = _MARK.fullmatch(raw) if b"-----" in raw else None
        if mark is None:
            size += len(raw)
            if begun and size <= _most(label):  # what is too long is not kept
                body.append(raw)
        elif mark[1] == b"BEGIN":
            if begun:
                yield begun, label, "has no end"
            begun, label, body, size = number, mark[2], [], 0
        elif begun:
            whole = b"".join(body)
            yield begun, label, f"is longer than {MOST_DER} bytes" if size > _most(label) else whole
            begun = 0
    if begun:
        yield begun, label, "has no end"


def _most(label: bytes) -> int:
    if label in _BUNDLE:
        return MOST_PKCS7
    return MOST_DER * 3 // 2 if label in _CERTIFICATE else 0  # a key is not even kept in memory


# --- CSV ----------------------------------------------------------------------------------------


def _of_table(path: Path, name: str, policies: Policies) -> Iterator[Entry]:
    for record in read_table(path, COLUMNS):
        place = f"line {record.line}"
        if record.fault:
            yield Entry(name, place, wrong=(("", record.fault),))
        else:
            yield _of_row(name, place, record.cells, policies)


def _of_row(name: str, place: str, cells: Mapping[str, str], policies: Policies) -> Entry:
    wrong: list[tuple[str, str]] = []

    def read(field: str, reader: Callable[[str], str | None]) -> str | None:
        text = plain(cells.get(field, ""))
        try:
            return reader(text) if text else None
        except BadFieldError as error:
            wrong.append((field, str(error)))
            return None

    der = _decoded(_without_marks(cells["certificate"]))
    if not der:
        wrong.append(("certificate", "is neither PEM nor base64"))
    said = Said(
        product=read("product", lambda text: find_product(text, policies)),
        token_serial=read("token_serial", _token_serial),
        reference=read("reference", read_reference),
        id_number=read("id_number", read_id_number),
        state=read("state", _state) or "active",
    )
    return Entry(name, place, der or b"", said, read("serial", _serial), tuple(wrong))


def _without_marks(cell: str) -> bytes:
    return _PEM_MARKS.sub(b"", cell.encode())


def _token_serial(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise BadFieldError("must be 1 to 50 letters, digits or ._-")
    return text


def _state(text: str) -> str:
    if (state := STATES.get(text.casefold())) is None:
        raise BadFieldError("must be active, suspended or revoked")
    return state


def _serial(text: str) -> str:
    serial = text.lower().replace(":", "").replace(" ", "").removeprefix("0x")
    if not _SERIAL.fullmatch(serial):
        raise BadFieldError("must be a number in hex or decimal")
    return serial


def is_serial(said: str, serial: str) -> bool:
    """
    Say whether a file's serial, in hex or decimal, is the certificate's (hex, no leading zeros).
    """
    number = int(serial, 16)
    return int(said, 16) == number or (said.lstrip("-").isdecimal() and int(said) == number)
