"""Attacks the console's doors: what is uploaded, and who tries to log in."""

from __future__ import annotations

import io
import socket
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from back_office.console.app import MAX_UPLOAD, console_app
from back_office.staff import FAILURES_FROM_A_BLOCK, FAILURES_OF_AN_ACCOUNT, SPAN, Staff, StaffRole
from renewal.store import runs as queries
from renewal.store import throttles
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import opened_bank
from xuqi.serving import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.back_office.run_bank import RunBank

NAME, PASSWORD = "lin", "a clerk's very long password"
HEADERS = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}
SHEET = "xl/worksheets/sheet1.xml"
FORMULA = '=HYPERLINK("http://evil.example","x")'


@dataclass
class Counter:
    """The served console over a bank with three certificates."""

    bank: RunBank
    port: int

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=HEADERS)

    def log_in(self, client: httpx.Client, password: str = PASSWORD, name: str = NAME) -> int:
        told = {"name": name, "password": password}
        return client.post("/login", data=told).status_code

    def upload(self, name: str, content: bytes) -> httpx.Response:
        with self.client() as client:
            assert self.log_in(client) == 303
            return client.post("/runs/new", files={"file": (name, content)}, data={"name": "x"})

    def runs(self) -> list[tuple[str, str]]:
        with self.bank.store.snapshot() as look:
            return [(row.name, str(row.source)) for row in queries.listed(look)]


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    with opened_bank(tmp_path_factory.mktemp("bank")) as bank:
        bank.certificates(3)
        staff = Staff(bank.store)
        staff.add(NAME, (StaffRole.MAKER,), who="root", why="the test's")
        staff.set_password(NAME, PASSWORD)
        app = console_app(
            bank.store, bank.policies, renderer=MessageRenderer(sample_bank()), branches=("001",)
        )
        served = http.mounted(http.Mount(path="", app=app, body_bytes=MAX_UPLOAD))
        limits = http.Limits(proxies=("127.0.0.1",))
        with http.listening(served, "127.0.0.1", 0, limits=limits) as port:
            yield Counter(bank, port)


def workbook(*, sheet: bytes | None = None) -> bytes:
    """A workbook with one certificate, or with another sheet in it."""
    from openpyxl import Workbook  # noqa: PLC0415 - slow to import

    book = Workbook()
    sheet_of = book.worksheets[0]
    sheet_of.append(["certificate"])
    sheet_of.append([1])
    plain = io.BytesIO()
    book.save(plain)
    if sheet is None:
        return plain.getvalue()
    other = io.BytesIO()
    with (
        zipfile.ZipFile(plain) as before,
        zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, sheet if name == SHEET else before.read(name))
    return other.getvalue()


def claims_less(content: bytes, size: int) -> bytes:
    """The same archive, whose directory claims that the sheet is small."""
    changed = bytearray(content)
    directory = changed.rfind(b"PK\x01\x02", 0, changed.rfind(SHEET.encode()))
    changed[directory + 24 : directory + 28] = size.to_bytes(4, "little")
    return bytes(changed)


ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">'.encode() for n in range(9))
    + b']><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>&j;</t></is></c></row></sheetData></worksheet>'
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>&x;</t></is></c></row></sheetData></worksheet>'
)
BOMBS: dict[str, Callable[[], bytes]] = {
    "a zip bomb": lambda: workbook(sheet=b" " * 50_000_000),
    "a zip bomb that claims to be small": lambda: claims_less(
        workbook(sheet=b" " * 50_000_000), 1_000
    ),
    "entities within entities": lambda: workbook(sheet=ENTITIES),
    "a file of the server": lambda: workbook(sheet=OUTSIDE),
    "half an archive": lambda: workbook()[:900],
    "no XML": lambda: workbook(sheet=b"<"),
    "an archive in name": lambda: b"PK\x03\x04 and nothing more",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_workbook_that_attacks_is_refused_with_words_and_makes_no_run(
    counter: Counter, what: str
) -> None:
    before = counter.runs()

    answer = counter.upload("list.xlsx", BOMBS[what]())

    assert answer.status_code == 422, answer.text[:300]
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text
    assert counter.runs() == before


@pytest.mark.parametrize(
    "name", ["../../../../etc/cron.d/x.csv", "/etc/cron.d/x.csv", "..\\..\\x.csv", "\x1b[2Jx.csv"]
)
def test_a_files_own_name_chooses_no_place(counter: Counter, name: str) -> None:
    answer = counter.upload(name, f"certificate,note\n1,{len(name)}\n".encode())  # no list twice

    assert answer.status_code == 303, answer.text[:300]
    source = counter.runs()[0][1]
    assert "/" not in source
    assert "cron.d" not in source


def test_a_formula_in_a_list_is_none_in_what_is_written(counter: Counter) -> None:
    content = f'certificate,branch\n"{FORMULA.replace(chr(34), chr(34) * 2)}",=1+1\n1,=2+2\n'
    answer = counter.upload("formula.csv", content.encode())

    with counter.client() as client:
        counter.log_in(client)
        page = client.get(answer.headers["location"])
        result = client.get(answer.headers["location"] + "/result.csv")

    assert '<a href="http://evil' not in page.text
    cells = [cell.strip('"') for line in result.text.splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell[:1] in "=+@" and cell[:1]]


@pytest.mark.parametrize("how", ["by its length", "by its chunks"])
def test_a_hundred_megabytes_are_refused_before_they_are_read(counter: Counter, how: str) -> None:
    head = b"POST /runs/new HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with socket.create_connection(("127.0.0.1", counter.port), timeout=30) as one:
        if how == "by its length":
            one.sendall(head + b"Content-Length: 104857600\r\n\r\n")
            got = one.recv(65_536)
            assert got.split()[1] == b"413"
            return
        one.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        sent = 0
        try:
            while sent < 100:
                one.sendall(chunk)
                sent += 1
        except OSError:  # it was cut
            pass
        assert sent < 100


def test_an_upload_without_a_log_in_is_read_by_nobody(counter: Counter) -> None:
    before = counter.runs()
    with counter.client() as client:
        answer = client.post("/runs/new", files={"file": ("a.csv", b"certificate\n1\n")})

    assert answer.status_code in {303, 401}
    assert counter.runs() == before


def test_an_account_that_is_guessed_at_opens_to_nobody_for_a_while(counter: Counter) -> None:
    with counter.client() as client:
        said = [
            counter.log_in(client, password=f"wrong {n}") for n in range(FAILURES_OF_AN_ACCOUNT)
        ]
        shut = counter.log_in(client)
        with counter.bank.store.transaction() as work:
            throttles.forget(work, f"staff\0{NAME}")
        opened = counter.log_in(client)

    assert set(said) == {401}
    assert (shut, opened) == (401, 303)


def test_one_guess_at_each_of_many_accounts_shuts_their_block_and_no_other(
    counter: Counter,
) -> None:
    with counter.bank.store.transaction() as work:
        for _ in range(FAILURES_FROM_A_BLOCK):
            throttles.count_one(work, "staff block\x00203.0.113.0/24", SPAN)

    with counter.client() as client:
        theirs = client.post(
            "/login",
            data={"name": NAME, "password": PASSWORD},
            headers={"X-Forwarded-For": "203.0.113.9"},
        )
        ours = counter.log_in(client)

    assert (theirs.status_code, ours) == (401, 303)
