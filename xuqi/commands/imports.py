"""`xuqi import`: a bank's own customers and certificates."""

from __future__ import annotations

import getpass
import hashlib
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xuqi.desk import REFUSED, Desk, as_json, desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from back_office.imports.report import Finding, Report

SHOWN = 20  #: findings on the screen; the others are in the file
_FILE = click.Path(exists=True, path_type=Path)
_dry_run = click.option("--dry-run", is_flag=True, help="只檢查，不寫入 / look only, write nothing")
_who = click.option(
    "--who", default=getpass.getuser, help="執行者，寫入稽核軌跡 / who does it, for the audit trail"
)
_findings = click.option(
    "--findings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="逐列結果寫入檔案（.csv 或 .jsonl） / what was found, row by row, into a file",
)


@click.group("import", help="匯入客戶與憑證。\n\nTake in customers and certificates.")
def command() -> None:
    pass


@command.command(help="從 CSV 匯入客戶與其產品。\n\nTake in customers and their products from CSV.")
@click.argument("file", type=_FILE)
@_dry_run
@_who
@_findings
@as_json
@desk
@click.pass_context
def customers(
    ctx: click.Context,
    desk: Desk,
    file: Path,
    findings: Path | None,
    *,
    who: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    from back_office.imports.customers import import_customers  # noqa: PLC0415 - help needs none

    if not dry_run:
        desk.back_office.begin_import("customers", which=_which(file), who=who)
    with _Screen(desk, findings, quiet=as_json) as screen:
        report = import_customers(
            desk.store,
            desk.policies,
            file,
            dry_run=dry_run,
            progress=screen.progress,
            found=screen.found,
        )
    _tell(ctx, desk, report, screen, as_json=as_json)


@command.command(
    help="匯入憑證：資料夾、PEM、DER、PKCS#7、CSV。\n\n"
    "Take in certificates: folder, PEM, DER, PKCS#7, CSV."
)
@click.argument("file", metavar="FILE|FOLDER", type=_FILE)
@click.option("--product", help="檔案沒有說明時的產品 / the product, where the file does not say")
@_dry_run
@_who
@_findings
@as_json
@desk
@click.pass_context
def certificates(
    ctx: click.Context,
    desk: Desk,
    file: Path,
    product: str | None,
    findings: Path | None,
    *,
    who: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    from back_office.imports.certificates import import_certificates  # noqa: PLC0415 - as above

    if not dry_run:
        desk.back_office.begin_import("certificates", which=_which(file), who=who)
    with _Screen(desk, findings, quiet=as_json) as screen:
        report = import_certificates(
            desk.store,
            desk.policies,
            file,
            product=product,
            dry_run=dry_run,
            progress=screen.progress,
            found=screen.found,
        )
    _tell(ctx, desk, report, screen, as_json=as_json)


def _which(file: Path) -> str:
    """
    What tells the file from any other; its name may be a person's.
    """
    if file.is_dir():
        return "a folder"
    with file.open("rb") as content:
        return f"file sha256 {hashlib.file_digest(content, 'sha256').hexdigest()[:16]}"


class _Screen(ExitStack):
    """
    Shows progress and the first findings on stderr; all findings go to the file, if one is named.
    """

    def __init__(self, desk: Desk, findings: Path | None, *, quiet: bool) -> None:
        super().__init__()
        self._desk = desk
        self._quiet = quiet
        self._shown = 0
        self._write: Callable[[Finding], None] | None = None
        if findings is not None:
            from back_office.imports.report import FindingsFile  # noqa: PLC0415 - as above

            self._write = self.enter_context(FindingsFile(findings))

    def progress(self, rows: int) -> None:
        if sys.stderr.isatty() and not self._quiet:
            click.echo(f"\r{rows:,}", err=True, nl=False)

    def found(self, finding: Finding) -> None:
        if self._write is not None:
            self._write(finding)
        self._shown += 1
        if self._shown <= SHOWN:
            what = self._desk.lang.pick("拒絕", "refused") if finding.refused else "!"
            where = " ".join(part for part in (finding.file, finding.place, finding.field) if part)
            click.echo(f"{what}: {where}: {finding.reason}", err=True)

    @property
    def hidden(self) -> int:
        return max(0, self._shown - SHOWN)


def _tell(
    ctx: click.Context, desk: Desk, report: Report, screen: _Screen, *, as_json: bool
) -> None:
    if screen.hidden:
        zh, en = f"另有 {screen.hidden} 筆", f"and {screen.hidden} more"
        click.echo(desk.lang.pick(zh, f"{en}: --findings FILE keeps them all"), err=True)
    lines = [
        desk.lang.pick(
            f"{'試算' if report.dry_run else '完成'}：共 {report.rows:,} 筆，新增 {report.new:,}、"
            f"變更 {report.changed:,}、不變 {report.unchanged:,}、拒絕 {report.refused:,}",
            f"{'dry run' if report.dry_run else 'done'}: {report.rows:,} rows: "
            f"{report.new:,} new, "
            f"{report.changed:,} changed, {report.unchanged:,} unchanged, "
            f"{report.refused:,} refused",
        )
    ]
    lines += [f"  {count:,} × {note}" for note, count in report.noted.items()]
    desk.told(asdict(report), lines, as_json=as_json)
    if report.refused:
        ctx.exit(REFUSED)
