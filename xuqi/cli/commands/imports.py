"""`xuqi import`: a bank's own customers and certificates."""

from __future__ import annotations

import getpass
import hashlib
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xuqi.cli.context import REFUSED, CliContext, as_json, cli
from xuqi.terminal import safe_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from back_office.imports.report import ImportFinding, ImportReport
    from back_office.imports.trust import Trust

F = TypeVar("F", bound="Callable[..., Any]")
SHOWN = 20  #: findings on the screen; the others are in the file
_FILE = click.Path(exists=True, path_type=Path)
_dry_run = click.option("--dry-run", is_flag=True, help="只檢查，不寫入 / look only, write nothing")
_who = click.option(
    "--who", default=getpass.getuser, help="執行者，寫入稽核軌跡 / who does it, for the audit trail"
)


def _example(what: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def show(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's own
        if asked:
            from back_office.imports import sample  # noqa: PLC0415 - as above

            click.echo(sample.example(what), nl=False)
            ctx.exit(0)

    return show


_EXAMPLE_HELP = "印出範例檔 / print an example file"


def _with_example(what: str) -> Callable[[F], F]:
    return click.option(
        "--example",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_example(what),
        help=_EXAMPLE_HELP,
    )


_yes_change = click.option(
    "--yes-change",
    type=int,
    help="同意變更這麼多筆既有客戶，或讓這麼多客戶共用一個號碼"
    " / agree to change so many customers on file, or to give so many one number",
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
@_with_example("customers")
@_yes_change
@_dry_run
@_who
@_findings
@as_json
@cli
@click.pass_context
def customers(
    ctx: click.Context,
    context: CliContext,
    file: Path,
    findings: Path | None,
    *,
    who: str,
    dry_run: bool,
    yes_change: int | None,
    as_json: bool,
) -> None:
    from back_office.imports.customers import import_customers  # noqa: PLC0415 - help needs none

    if not dry_run:
        _agree(context, file, yes_change)
        context.back_office.begin_import("customers", which=_which(file), who=who)
    with _ImportScreen(context, findings, quiet=as_json) as screen:
        report = import_customers(
            context.store,
            context.policies,
            file,
            dry_run=dry_run,
            progress=screen.progress,
            found=screen.found,
        )
    _tell(ctx, context, report, screen, as_json=as_json)


@command.command(
    help="匯入憑證：資料夾、PEM、DER、PKCS#7、CSV。\n\n"
    "Take in certificates: folder, PEM, DER, PKCS#7, CSV."
)
@click.argument("file", metavar="FILE|FOLDER", type=_FILE)
@_with_example("certificates")
@click.option("--product", help="檔案沒有說明時的產品 / the product, where the file does not say")
@click.option(
    "--issuer",
    "issuers",
    multiple=True,
    type=_FILE,
    help="信任的憑證機構：檔案或資料夾，預設 XUQI_TRUST / the CAs that are trusted: file or folder",
)
@click.option(
    "--unverified",
    is_flag=True,
    help="試用：不驗證，不能確認展期 / for trials: nothing is verified, and confirms nothing",
)
@_dry_run
@_who
@_findings
@as_json
@cli
@click.pass_context
def certificates(
    ctx: click.Context,
    context: CliContext,
    file: Path,
    product: str | None,
    findings: Path | None,
    *,
    issuers: tuple[Path, ...],
    unverified: bool,
    who: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    trust = _trust(context, issuers, unverified=unverified)
    from back_office.imports.certificates import import_certificates  # noqa: PLC0415 - as above

    if not dry_run:
        context.back_office.begin_import("certificates", which=_which(file), who=who)
    with _ImportScreen(context, findings, quiet=as_json) as screen:
        report = import_certificates(
            context.store,
            context.policies,
            file,
            product=product,
            trust=trust,
            dry_run=dry_run,
            progress=screen.progress,
            found=screen.found,
        )
    _tell(ctx, context, report, screen, as_json=as_json)


def _trust(context: CliContext, issuers: tuple[Path, ...], *, unverified: bool) -> Trust:
    """Whose certificates are believed. Without an answer nothing is taken in."""
    from back_office.imports.trust import UNVERIFIED, anchors_in  # noqa: PLC0415 - as above

    named = issuers or ((context.settings.trust,) if context.settings.trust else ())
    if unverified:
        return UNVERIFIED
    if not named:
        raise click.UsageError(
            context.lang.pick(
                "沒有信任的憑證機構：以 --issuer 檔案 或 XUQI_TRUST 指定簽發這些憑證的機構；"
                "試用可加 --unverified",
                "no CA is trusted: name the one that issued these certificates by --issuer FILE or "
                "XUQI_TRUST; for a trial, --unverified",
            )
        )
    return anchors_in(named)


def _which(file: Path) -> str:
    """What tells the file from any other; its name may be a person's."""
    if file.is_dir():
        return "a folder"
    with file.open("rb") as content:
        return f"file sha256 {hashlib.file_digest(content, 'sha256').hexdigest()[:16]}"


class _ImportScreen(ExitStack):
    """
    Shows progress and the first findings on stderr; all findings go to the file, if one is named.
    """

    def __init__(self, context: CliContext, findings: Path | None, *, quiet: bool) -> None:
        super().__init__()
        self._context = context
        self._quiet = quiet
        self._shown = 0
        self._write: Callable[[ImportFinding], None] | None = None
        if findings is not None:
            from back_office.imports.report import FindingsFile  # noqa: PLC0415 - as above

            self._write = self.enter_context(FindingsFile(findings, context.lang.value))

    def progress(self, rows: int) -> None:
        if sys.stderr.isatty() and not self._quiet:
            click.echo(f"\r{rows:,}", err=True, nl=False)

    def found(self, finding: ImportFinding) -> None:
        if self._write is not None:
            self._write(finding)
        self._shown += 1
        if self._shown <= SHOWN:
            what = self._context.lang.pick("拒絕", "refused") if finding.refused else "!"
            worded = finding.in_words(self._context.lang.value)
            where = " ".join(worded[name] for name in ("file", "place", "field") if worded[name])
            click.echo(safe_line(f"{what}: {where}: {worded['reason']}"), err=True)

    @property
    def hidden(self) -> int:
        return max(0, self._shown - SHOWN)


def _agree(context: CliContext, file: Path, yes_change: int | None) -> None:
    """Look first, and refuse what would change a great part of the customers on file unasked."""
    from back_office.imports.customers import import_customers  # noqa: PLC0415 - as above
    from templates.codes import column_name  # noqa: PLC0415

    foreseen = import_customers(context.store, context.policies, file, dry_run=True)
    number = foreseen.wants_yes(context.settings.shared_contacts)
    if number in {0, yes_change}:
        return
    if not foreseen.mass_change:
        most = max(foreseen.shared, key=lambda name: foreseen.shared[name])
        context.refuse(
            f"這個檔案讓 {number:,} 位客戶共用同一個{column_name(most, 'zh-TW')}；"
            f"若確定，請加上 --yes-change {number}",
            f"this file gives the same {'number' if most == 'mobile' else 'address'} ({most}) to "
            f"{number:,} customers; if that is meant, say --yes-change {number}",
        )
    zh, en = (_counted(foreseen.changes, language) for language in ("zh-TW", "en"))
    context.refuse(
        f"這個檔案會變更 {number:,} 筆既有客戶（{'、'.join(zh)}）；"
        f"若確定，請加上 --yes-change {number}",
        f"this file would change {number:,} customers on file ({', '.join(en)}); "
        f"if that is meant, say --yes-change {number}",
    )


def _counted(counts: Mapping[Any, int], language: str) -> list[str]:
    from templates.codes import text  # noqa: PLC0415 - as above

    return [f"{count:,} × {text(what, language)}" for what, count in counts.items()]


def _tell(
    ctx: click.Context,
    context: CliContext,
    report: ImportReport,
    screen: _ImportScreen,
    *,
    as_json: bool,
) -> None:
    if screen.hidden:
        zh, en = f"另有 {screen.hidden} 筆", f"and {screen.hidden} more"
        click.echo(context.lang.pick(zh, f"{en}: --findings FILE keeps them all"), err=True)
    lines = [
        context.lang.pick(
            f"{'試算' if report.dry_run else '完成'}：共 {report.rows:,} 筆，新增 {report.new:,}、"
            f"變更 {report.changed:,}、不變 {report.unchanged:,}、拒絕 {report.refused:,}",
            f"{'dry run' if report.dry_run else 'done'}: {report.rows:,} rows: "
            f"{report.new:,} new, "
            f"{report.changed:,} changed, {report.unchanged:,} unchanged, "
            f"{report.refused:,} refused",
        )
    ]
    counted = (
        *_counted(report.changes, context.lang.value),
        *_counted(report.noted, context.lang.value),
    )
    lines += [f"  {line}" for line in counted]
    if report.superseded:
        lines.append(
            context.lang.pick(
                f"  {report.superseded:,} 張由較新的取代", f"  {report.superseded:,} superseded"
            )
        )
    context.print_result(report.for_programs(), lines, as_json=as_json)
    if report.refused:
        ctx.exit(REFUSED)
