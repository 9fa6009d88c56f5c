"""`xuqi golive`: begins without telling customers again what the old system has told them."""

from __future__ import annotations

from dataclasses import asdict

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.command(
    "golive",
    help="上線：現在應送的提醒視為舊系統已送過；之後的級距照常提醒。\n\n"
    "Take each reminder that is owed now for one that the old system has sent; later steps are "
    "reminded of as ever. Run it after the import and before the first `xuqi serve`.",
)
@click.option("--dry-run", is_flag=True, help="只計數，不寫入 / count only, write nothing")
@click.option("--yes", "agreed", type=int, help="同意的張數 / the number of the dry run")
@click.option("--who", help="承辦人員 / the member of staff")
@click.option("--why", help="原因，留存稽核紀錄 / the reason, for the audit trail")
@as_json
@cli
def command(
    context: CliContext,
    *,
    dry_run: bool,
    agreed: int | None,
    who: str | None,
    why: str | None,
    as_json: bool,
) -> None:
    from back_office.go_live import go_live  # noqa: PLC0415 - help needs none

    if not dry_run and not (who and why):
        raise click.UsageError("--who and --why, or --dry-run / 需要 --who 與 --why，或 --dry-run")
    done = go_live(
        context.store,
        context.policies,
        dry_run=dry_run,
        who=who or "",
        why=why or "",
        agreed=agreed,
    )
    zh, en = ("試算", "dry run") if dry_run else ("完成", "done")
    lines = [
        context.lang.pick(
            f"{zh}：{done.looked_at:,} 張使用中，{done.told:,} 張現在應送的提醒視為已送",
            f"{en}: {done.looked_at:,} in force, the reminder owed now is taken for sent of "
            f"{done.told:,}",
        )
    ]
    lines += [f"  {product}: {count:,}" for product, count in sorted(done.by_product.items())]
    context.print_result({**asdict(done), "told": done.told}, lines, as_json=as_json)
