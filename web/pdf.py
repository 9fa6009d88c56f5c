"""Makes a PDF/UA of a page, with our own files and nothing from anywhere else."""

from __future__ import annotations

from renewal.errors import XuqiError
from web.layout import STATIC, version

BASE = "http://pages.invalid"


class PdfUnavailableError(XuqiError):
    """
    WeasyPrint is not installed; the page itself can be printed.
    """


def pdf_of(html: str) -> bytes:
    """
    Raises:
        PdfUnavailableError
    """
    try:
        from weasyprint import HTML  # noqa: PLC0415 - slow to import, and not everywhere installed
        from weasyprint.urls import URLFetcher, URLFetcherResponse  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise PdfUnavailableError("a PDF needs weasyprint (requirements/station.txt)") from error

    class OwnFiles(URLFetcher):  # type: ignore[misc] # weasyprint has no types
        def fetch(self, url: str, headers: object = None) -> object:
            del headers
            kind, data = own_file(url)
            return URLFetcherResponse(url, data, {"Content-Type": kind})

    page = HTML(string=html, base_url=BASE, url_fetcher=OwnFiles())
    made: bytes = page.write_pdf(pdf_variant="pdf/ua-1")
    return made


def own_file(url: str) -> tuple[str, bytes]:
    """
    Return kind and content of one of our static files.

    Raises:
        ValueError: it is anything else; nothing is fetched from anywhere.
    """
    prefix = f"{BASE}/static/{version()}/"
    path = (STATIC / url.removeprefix(prefix)).resolve()
    if not url.startswith(prefix) or not path.is_relative_to(STATIC) or not path.is_file():
        raise ValueError("a page brings nothing but our own files into its PDF")
    return "text/css" if path.suffix == ".css" else "image/svg+xml", path.read_bytes()
