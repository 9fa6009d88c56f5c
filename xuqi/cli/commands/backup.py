"""`xuqi backup`: copies the home into a new folder, while it is served or not."""

from __future__ import annotations

from pathlib import Path

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.command(
    "backup",
    help="備份整個安裝到新的資料夾，服務中也可以；資料夾含機密，請同樣保管。\n\n"
    "Copy the whole home into a new folder, also while it is served. The copy holds the secrets: "
    "keep it like them. With PostgreSQL, back up the database itself by pg_dump, before this.",
)
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
@cli
def command(context: CliContext, folder: Path, *, as_json: bool) -> None:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from renewal.store import audit  # noqa: PLC0415
    from xuqi.backup import BackupError, back_up  # noqa: PLC0415
    from xuqi.identity import operator  # noqa: PLC0415

    settings = context.settings
    with context.store.transaction() as work:
        audit.write(work, who=operator(), did="back up", object_=str(folder)[:96], why="backup")
    clock = context.clock or SystemClock()
    try:
        done = back_up(settings.home, folder, first=settings.database_file, at=clock.now())
    except BackupError as error:
        context.refuse(str(error), str(error))
    lines = [context.lang.pick(f"{folder}：{done.files} 個檔案", f"{folder}: {done.files} files")]
    if settings.database_file is None:
        lines.append(
            context.lang.pick(
                "資料庫在 PostgreSQL：請另以 pg_dump 備份（docs/operations/backup.md）",
                "the database is on PostgreSQL: back it up by pg_dump (docs/operations/backup.md)",
            )
        )
    values = {"folder": str(folder), "files": done.files, "bytes": done.bytes}
    context.print_result(values, lines, as_json=as_json)
