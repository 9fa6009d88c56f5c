"""`xuqi keys`: the installation's own secrets, their numbers, and their replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from xuqi.cli.context import CliContext, as_json, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.gateways.ca.embedded.adapter import EmbeddedCa
    from xuqi.key_files import KeyFiles

ROTATE: Final = ("columns", "codes", "pepper", "stations", "audit", "mail", "ca")
#: How long every process may go on with the key that it has read.
SECONDS_TO_SPREAD: Final = 60


@click.group("keys", help="本系統自己的金鑰：清單、更換。\n\nOur own keys: list, rotate, retire.")
def command() -> None:
    pass


@command.command("list", help="每把金鑰的編號與用途。\n\nEach key, its numbers and its users.")
@as_json
@cli
def listed(context: CliContext, *, as_json: bool) -> None:
    from renewal.keys import KEY_NAMES  # noqa: PLC0415 - help needs none of these
    from xuqi.component_secrets import RIGHTS  # noqa: PLC0415

    files = _files(context)
    rows = [
        {
            "name": name,
            "numbers": sorted(files.numbers(name)),
            "used_by": [component for component, rights in RIGHTS.items() if name in rights],
        }
        for name in KEY_NAMES
    ]
    context.print_table(
        (("金鑰", "編號", "使用的元件"), ("key", "numbers", "used by")),
        rows,
        as_json=as_json,
        cells=lambda row: [
            row["name"],
            ", ".join(map(str, row["numbers"])) or "-",
            ", ".join(row["used_by"]),
        ],
    )


@command.command(
    help="更換金鑰：新值用新金鑰，舊值兩把都讀；columns 會重新加密，ca 換新密語，"
    "中斷後再執行即可繼續。\n\n"
    "Replace a key: new values get the new one, and both are read. Of columns, what is sealed is "
    "sealed anew; of ca, its keys; after an interruption the same command goes on."
)
@click.argument("name", type=click.Choice(ROTATE))
@click.option("--dry-run", is_flag=True, help="只顯示會做什麼 / say what would be done")
@cli
def rotate(context: CliContext, name: str, *, dry_run: bool) -> None:
    files = _files(context)
    if name == "ca":
        _embedded(context)  # another CA has no such key: none is made
    newest = max(files.numbers(name), default=0)
    goes_on = newest > 1 and _is_unfinished(context, name, newest)
    number = newest if goes_on else newest + 1
    if dry_run:
        _would(context, name, number)
        return
    if not goes_on:
        _made(context, files, name, number)
    if name == "columns":
        _seal_anew(context)
    if name == "ca":
        _embedded(context).change_passphrase(context.keys.ring(name, anew=True)[number])
    before = max(1, number - 1)
    context.say(
        f"{name} 現在是第 {number} 把；舊的仍可讀：xuqi keys retire {name} {before}",
        f"{name} is number {number} now; older ones are still read until "
        f"`xuqi keys retire {name} {before}`",
    )


@command.command(
    help="舊金鑰不再使用：改名保留，不刪除。\n\nAn old key is used no more: renamed, not deleted."
)
@click.argument("name", type=click.Choice(ROTATE))
@click.argument("number", type=click.IntRange(min=1))
@cli
def retire(context: CliContext, name: str, number: int) -> None:
    files = _files(context)
    numbers = files.numbers(name)
    if number not in numbers or number == max(numbers):
        context.refuse(
            f"{name} 第 {number} 把不存在或正在使用",
            f"{name} has no number {number}, or it is the one in use",
        )
    if name == "audit":
        context.refuse(
            "舊的稽核紀錄還需要它", "the older lines of the audit trail are checked by it"
        )
    if name == "columns" and _left(context, max(numbers)):
        context.refuse("還有資料用舊金鑰：先 rotate", "values still have an old key: rotate first")
    if name == "ca":
        _check_retires_passphrase(context)
    path = files.path(name, number)
    successor = files.path(name, max(numbers))
    if not path.exists() or not successor.exists():
        context.refuse("金鑰在環境變數中", "the key stands in the environment: take it out there")
    _must_have_spread(context, successor.stat().st_mtime)
    context.record("retire key", f"key {name} number {number}")
    path.rename(path.with_suffix(".retired"))
    context.say(f"{name} 第 {number} 把已停用", f"{name} number {number} is retired")


def _check_retires_passphrase(context: CliContext) -> None:
    ca = _embedded(context)
    if not ca.has_passphrase(context.keys.ca):
        context.refuse(
            "CA 的金鑰仍用舊密碼：先 rotate", "the CA's keys have an old one: rotate first"
        )
    if not ca.has_root_key():
        context.refuse(
            "另行保管的根金鑰仍用它加密", "the root's key that is kept elsewhere opens with it"
        )


def _must_have_spread(context: CliContext, made_at: float) -> None:
    """A running process reads the files anew after half a minute at most."""
    import time  # noqa: PLC0415 - the files' own clock

    if time.time() - made_at < SECONDS_TO_SPREAD:
        context.refuse(
            f"新金鑰還不到 {SECONDS_TO_SPREAD} 秒：請稍後再試",
            f"the new key is not {SECONDS_TO_SPREAD} seconds old: try again later",
        )


def _files(context: CliContext) -> KeyFiles:
    from xuqi.key_files import key_files  # noqa: PLC0415 - help needs none

    return key_files(context.settings, context.environment)


def _left(context: CliContext, newest: int) -> int:
    """How many sealed values have an older key or name no row."""
    from renewal.store import sealed  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        counts = sealed.by_key_number(look)
    return sum(count for key, count in counts.items() if key != (newest, True))


def _is_unfinished(context: CliContext, name: str, newest: int) -> bool:
    """Whether a rotation that has made this key was interrupted before its end."""
    if name == "columns":
        return bool(_left(context, newest))
    if name == "ca":
        return not _embedded(context).has_passphrase(context.keys.ca)
    return False


def _embedded(context: CliContext) -> EmbeddedCa:
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa  # noqa: PLC0415 - help needs none

    ca = context.app.gateways.ca
    if not isinstance(ca, EmbeddedCa):
        context.refuse("憑證機構不是內建的：沒有金鑰可換", "the CA is not ours: it has no such key")
    return ca


def _would(context: CliContext, name: str, number: int) -> None:
    left = _left(context, number) if name == "columns" else 0
    context.say(
        f"會使用 {name} 第 {number} 把，重新加密 {left:,} 個值",
        f"{name} would be number {number}, and {left:,} values would be sealed anew",
    )


def _made(context: CliContext, files: KeyFiles, name: str, number: int) -> None:
    from renewal.keys import written_out  # noqa: PLC0415 - help needs none

    if name == "columns":
        # What follows from the first column key must outlive it.
        files.write_out("lookup", written_out(context.keys.lookup))
        files.write_out("audit-before", written_out(context.keys.audit()[0]))
    context.record("rotate key", f"key {name} to number {number}")
    files.make(name, number)
    context.store.cipher.read_anew()


def _seal_anew(context: CliContext) -> None:
    done = 0
    for count, purpose in _passes(context):
        done += count
        context.say(f"  {purpose}：{done:,}", f"  {purpose}: {done:,}")


def _passes(context: CliContext) -> Iterator[tuple[int, str]]:
    """A transaction for each batch, so that what is done stays done."""
    from renewal.store import sealed  # noqa: PLC0415 - help needs none

    for one in sealed.SEALED_COLUMNS:
        after: Any = None
        while True:
            with context.store.transaction() as work:
                after, count = sealed.reseal(work, one, after)
            if count:
                yield count, one.purpose
            if after is None:
                break
