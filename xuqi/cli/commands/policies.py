"""`xuqi policies`: brings what was derived from the policies up to the policies of now."""

from __future__ import annotations

import getpass
from dataclasses import asdict

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.group("policies", help="產品規則。\n\nThe products' policies.")
def command() -> None:
    pass


@command.command(
    help="規則變更後，重新計算每張憑證的下次提醒。\n\n"
    "After a change of policy: compute each certificate's next reminder anew."
)
@click.option("--dry-run", is_flag=True, help="只計數，不寫入 / count only, write nothing")
@click.option(
    "--who", default=getpass.getuser, help="執行者，寫入稽核軌跡 / who does it, for the audit trail"
)
@click.option("--why", default="", help="原因 / the reason")
@as_json
@cli
def apply(context: CliContext, *, dry_run: bool, who: str, why: str, as_json: bool) -> None:
    from back_office.policies import apply_policies  # noqa: PLC0415 - help needs none

    reason = context.lang.pick("規則已變更", "the policies have changed")
    done = apply_policies(
        context.store, context.policies, dry_run=dry_run, who=who, why=why or reason
    )
    lines = [
        context.lang.pick(
            f"{'試算' if dry_run else '完成'}：{done.looked_at:,} 張使用中，"
            f"{done.changed:,} 張的下次提醒{'會' if dry_run else '已'}變更",
            f"{'dry run' if dry_run else 'done'}: {done.looked_at:,} in force, "
            f"the next reminder of {done.changed:,} {'would change' if dry_run else 'was changed'}",
        )
    ]
    if done.without_policy:
        lines.append(
            context.lang.pick(
                f"  {done.without_policy:,} 張的產品沒有規則檔，不會提醒",
                f"  {done.without_policy:,} are of products without a policy: never reminded of",
            )
        )
    context.print_result(asdict(done), lines, as_json=as_json)
