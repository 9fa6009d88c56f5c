"""`xuqi restore`: puts a copy back as a new home."""

from __future__ import annotations

from pathlib import Path

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.command(
    "restore",
    help="由備份還原到空的資料夾（--home）；不會覆蓋任何檔案。\n\n"
    "Put a copy back as an empty home (--home); nothing is overwritten.",
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@as_json
@cli
def command(context: CliContext, folder: Path, *, as_json: bool) -> None:
    from xuqi.backup import BackupError, restore  # noqa: PLC0415 - help needs none

    home = context.settings.home
    try:
        done = restore(folder, home)
    except BackupError as error:
        context.refuse(str(error), str(error))
    lines = [
        context.lang.pick(
            f"{home}：{done.files} 個檔案；啟動前請先執行 xuqi check 與 xuqi reconcile",
            f"{home}: {done.files} files; before it is served: xuqi check, xuqi reconcile",
        )
    ]
    values = {"home": str(home), "files": done.files, "bytes": done.bytes}
    context.print_result(values, lines, as_json=as_json)
