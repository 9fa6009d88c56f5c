"""`xuqi stations`: whose statements from the branches the centre believes."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff

if TYPE_CHECKING:
    from renewal.store.stations import EnrolledStation


@click.group(
    "stations",
    help="分行作業站：設定檔、登錄碼、登錄、清單、撤銷。\n\nThe branches' stations and their keys.",
)
def command() -> None:
    pass


@command.command(
    help="顯示這台作業站的公鑰，供中心登錄；第一次執行時產生金鑰。\n\n"
    "Show this station's public key, to be enrolled at the centre; its key is made the first time."
)
@as_json
@cli
def key(context: CliContext, *, as_json: bool) -> None:
    from xuqi.station_keys import station_identity  # noqa: PLC0415 - help needs none

    own = station_identity(context.settings.home, context.settings.branch)
    public = base64.b64encode(own.public).decode()
    values = {"branch": own.branch, "number": own.number, "public_key": public}
    line = context.lang.pick(
        f"分行 {own.branch}，金鑰 {own.number}：xuqi stations enrol {own.branch} {public}",
        f"branch {own.branch}, key {own.number}: xuqi stations enrol {own.branch} {public}",
    )
    context.print_result(values, [line], as_json=as_json)


@command.command(
    help="登錄一台作業站：之後相信它簽署的內容。\n\n"
    "Enrol a station: what it signs for its branch is believed from now on."
)
@click.argument("branch")
@click.argument("public_key")
@staff
@cli
def enrol(context: CliContext, branch: str, public_key: str, *, who: str, why: str) -> None:
    try:
        raw = base64.b64decode(public_key, validate=True)
    except binascii.Error:
        raise click.BadParameter(
            "請用 `xuqi stations key` 的輸出 / not base64: see `xuqi stations key`",
            param_hint="PUBLIC_KEY",
        ) from None
    number = context.back_office.enrol_station(branch, raw, who=who, why=why)
    context.say(
        f"已登錄分行 {branch} 的金鑰 {number}", f"key {number} of branch {branch} is enrolled"
    )


@command.command(
    help="產生一次性登錄碼：一小時內，該分行的一台作業站以它登錄自己。\n\n"
    "Make a code by which one station of the branch enrols itself within the hour."
)
@click.argument("branch")
@staff
@as_json
@cli
def code(context: CliContext, branch: str, who: str, why: str, *, as_json: bool) -> None:
    made = context.back_office.code_for_station(branch, who=who, why=why)
    line = context.lang.pick(
        f"{made}（在作業站執行：xuqi stations join --config station.toml）",
        f"{made} (at the station: xuqi stations join --config station.toml)",
    )
    context.print_result({"branch": branch, "code": made}, [line], as_json=as_json)


@command.command(
    help="在作業站執行：以一次性登錄碼向中心登錄這台作業站。\n\n"
    "At the station: enrol it at its centre by a one-time code."
)
@click.option(
    "--config",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="`xuqi stations kit` 產生的檔案 / the file that `xuqi stations kit` has made",
)
@cli
def join(context: CliContext, config: Path) -> None:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.remote_station import link_of, read_station_file  # noqa: PLC0415

    file, home = read_station_file(config), config.resolve().parent
    link = link_of(file, file.parts(home), context.clock or SystemClock())
    link.enrol(context.ask_hidden("登錄碼", "code"))
    context.say("已登錄", "enrolled")


@command.command(
    help="撤銷一台作業站的金鑰：遺失或汰換時。\n\nRevoke a station's key: it was lost or replaced."
)
@click.argument("number")
@staff
@cli
def revoke(context: CliContext, number: str, *, who: str, why: str) -> None:
    context.back_office.revoke_station(number, who=who, why=why)
    context.say(f"已撤銷金鑰 {number}", f"key {number} is revoked")


@command.command("list", help="已登錄的作業站。\n\nThe stations that are enrolled.")
@as_json
@cli
def listed(context: CliContext, *, as_json: bool) -> None:
    from renewal.store import stations  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        rows = [_shown(station) for station in stations.listed(look)]
    context.print_table(
        (
            ("分行", "金鑰", "登錄時間", "撤銷時間"),
            ("branch", "key", "enrolled", "revoked"),
        ),
        rows,
        as_json=as_json,
        cells=_cells,
    )


def _shown(station: EnrolledStation) -> dict[str, Any]:
    return {
        "branch": station.branch,
        "number": station.number,
        "public_key": base64.b64encode(station.public_key).decode(),
        "enrolled_at": station.enrolled_at,
        "revoked_at": station.revoked_at,
    }


def _cells(row: Any) -> list[object]:  # noqa: ANN401 - one of the rows above
    from xuqi.cli.i18n import moment  # noqa: PLC0415 - help needs none

    revoked = row["revoked_at"]
    ended = moment(revoked) if revoked else ""
    return [row["branch"], row["number"], moment(row["enrolled_at"]), ended]


@command.command(
    help="產生一台作業站的設定檔（機密）：該分行的金鑰、中心的公鑰與網址。\n\n"
    "Write the secret file of one branch's station: it needs no database and no other secret."
)
@click.argument("branch")
@click.option("--url", required=True, help="中心的網址 / the centre's address, https://...")
@click.option("--to", "path", required=True, type=click.Path(path_type=Path), help="檔名 / file")
@click.option(
    "--readers", default="pcsc", show_default=True, help="pcsc, pkcs11:<model>, simulated"
)
@click.option(
    "--common-key",
    is_flag=True,
    help="載具仍用共用金鑰時才給：這把金鑰能寫入每一個載具"
    " / with the key that writes to every token: only while tokens still have it",
)
@cli
def kit(
    context: CliContext, branch: str, url: str, path: Path, readers: str, *, common_key: bool
) -> None:
    from xuqi.remote_station import station_file  # noqa: PLC0415 - help needs none

    text = station_file(context.keys, branch, url, readers=readers, common_key=common_key)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    context.say(
        f"已寫入 {path}。以 xuqi stations code {branch} 產生登錄碼，再到作業站執行："
        f"xuqi stations join --config {path.name}，xuqi station --config {path.name} --screen",
        f"written to {path}; at the station: xuqi stations join --config {path.name} with the code "
        f"of `xuqi stations code {branch}`, then xuqi station --config {path.name} --screen",
    )
