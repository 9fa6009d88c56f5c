"""`xuqi run`: plans bulk renewal runs, has them approved, runs them, and shows what came of it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import moment
from xuqi.identity import operator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from back_office.runs.actions import RunActions
    from back_office.runs.plan import Planner
    from back_office.runs.preview import PlannedMessages, Preview
    from renewal.db.rows import Run

WATCH_EVERY = 1.0  #: seconds
_WHY = click.option("--why", required=True, help="原因，留存稽核紀錄 / the reason, for the trail")


@click.group(
    "run", help="批次展期：試算、送審、核准、執行、結果。\n\nBulk runs: plan, approve, run, result."
)
def command() -> None:
    pass


# --- plan -----------------------------------------------------------------------------------------


def _hours(_context: click.Context, _option: click.Parameter, text: str) -> str:
    from back_office.runs.errors import RunRefusedError  # noqa: PLC0415 - help needs none
    from back_office.runs.plan import hours_of  # noqa: PLC0415 - as above

    try:
        hours_of(text)
    except RunRefusedError as error:
        raise click.BadParameter(f"{text!r}: 09:00-21:00") from error
    return text


@command.command(
    help="由檔案（CSV、XLSX）或條件建立批次並試算；不會展期任何憑證。\n\n"
    "Plan a run from a file or a filter; nothing is renewed by it."
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--product", help="只含這項產品 / only of this product")
@click.option("--branch", help="只含這個分行 / only of this branch")
@click.option("--ends-from", help="到期日自 / ends on or after: 115/12/01, 2026-12-01")
@click.option("--ends-until", help="到期日至 / ends on or before")
@click.option("--name", help="批次名稱 / the name of the run")
@click.option("--per-minute", type=click.IntRange(1, 1_000_000), help="每分鐘件數 / items a minute")
@click.option(
    "--hours",
    default="09:00-21:00",
    show_default=True,
    callback=_hours,
    help="每日時段 / hours of a day",
)
@as_json
@cli
def plan(  # noqa: PLR0917 - click gives them by name
    cli: CliContext,
    file: Path | None,
    product: str | None,
    branch: str | None,
    ends_from: str | None,
    ends_until: str | None,
    name: str | None,
    per_minute: int | None,
    hours: str,
    *,
    as_json: bool,
) -> None:
    from back_office.runs.plan import PER_MINUTE, Filter, RunTerms  # noqa: PLC0415 - help needs none

    terms = RunTerms(
        name=name or (file.stem if file else "filter"),
        per_minute=per_minute or PER_MINUTE,
        hours=hours,
    )
    filters = (product, branch, ends_from, ends_until)
    if (file is None) == (not any(filters)):
        raise click.UsageError(
            cli.lang.pick("給檔案，或給條件，二擇一", "give a file, or a filter, and not both")
        )
    planner, who = _planner(cli), operator()
    with _refusals_in_words(cli):
        if file is not None:
            run = planner.from_file(file, terms, who=who, progress=_progress(cli))
        else:
            chosen = Filter(
                product=product,
                branch=branch,
                ends_from=_day(ends_from, end=False),
                ends_until=_day(ends_until, end=True),
            )
            run = planner.from_filter(chosen, terms, who=who, progress=_progress(cli))
    _shown(cli, run.id, as_json=as_json)


@command.command(help="批次的內容與進度；--watch 持續更新。\n\nA run and how far it is.")
@click.argument("run", type=int)
@click.option("--watch", is_flag=True, help="持續更新 / until it ends")
@as_json
@cli
def show(cli: CliContext, run: int, *, watch: bool, as_json: bool) -> None:
    while watch and _under_way(cli, run):
        click.echo("\r" + _line(cli, run) + " " * 10, nl=False)
        time.sleep(WATCH_EVERY)
    if watch:
        click.echo()
    _shown(cli, run, as_json=as_json)


@command.command("list", help="列出批次，新的在前。\n\nList runs, the newest first.")
@click.option("--state", help="只列這個狀態 / only in this state")
@click.option("-n", "at_most", default=50, show_default=True, type=click.IntRange(1, 1_000))
@as_json
@cli
def list_(cli: CliContext, state: str | None, at_most: int, *, as_json: bool) -> None:
    from renewal.store import runs as queries  # noqa: PLC0415 - help needs none
    from schema.states import RunState  # noqa: PLC0415 - as above
    from templates.codes import text  # noqa: PLC0415 - as above

    if state is not None and state not in set(RunState):
        known = ", ".join(sorted(RunState))
        raise click.UsageError(f"--state: {state!r}: {known}")
    with cli.store.snapshot() as look:
        found = queries.listed(look, state=state, at_most=at_most)
    cli.print_table(
        (
            ("批次", "名稱", "狀態", "建立人", "建立時間", "核准人"),
            ("run", "name", "state", "made by", "made at", "approved by"),
        ),
        [_as_dict(row) for row in found],
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["name"],
            text(RunState(row["state"]), cli.lang.value),
            row["made_by"],
            moment(row["made_at"]),
            row["approved_by"] or "-",
        ),
    )


# --- decide ---------------------------------------------------------------------------------------


def _act(
    cli: CliContext, act: Callable[[RunActions, str], Run | int], zh: str, en: str, *, as_json: bool
) -> None:
    with _refusals_in_words(cli):
        answer = act(_runs(cli), operator())
    line = cli.lang.pick(zh, en)
    if isinstance(answer, int):
        cli.print_result({"items": answer}, [f"{line}: {answer}"], as_json=as_json)
    else:
        cli.print_result(_as_dict(answer), [f"{answer.id}: {line}"], as_json=as_json)


@command.command(help="送審；清單從此固定。\n\nSubmit for approval; the list is frozen.")
@click.argument("run", type=int)
@_WHY
@as_json
@cli
def submit(cli: CliContext, run: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.submit(run, who=who, why=why),
        "已送審", "submitted", as_json=as_json,
    )  # fmt: skip


@command.command(help="核准別人送審的批次。\n\nApprove a run that another person submitted.")
@click.argument("run", type=int)
@click.option("--note", required=True, help="核准意見 / what was looked at")
@as_json
@cli
def approve(cli: CliContext, run: int, note: str, *, as_json: bool) -> None:
    from schema.states import RunState  # noqa: PLC0415 - help needs none

    who = operator()
    with _refusals_in_words(cli):
        row = _runs(cli).approve(run, who=who, note=note, roles=_roles(cli, who))
    waits = row.state == RunState.AWAITING_APPROVAL
    line = (
        cli.lang.pick("第一位已核准，還需要另一位", "approved by the first; a second is needed")
        if waits
        else cli.lang.pick("已核准，24 小時內有效", "approved, for 24 hours")
    )
    cli.print_result(_as_dict(row), [f"{row.id}: {line}"], as_json=as_json)


@command.command(help="退回。\n\nSend a run back to its maker.")
@click.argument("run", type=int)
@click.option("--note", required=True, help="退回原因 / why")
@as_json
@cli
def reject(cli: CliContext, run: int, note: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.reject(run, who=who, note=note),
        "已退回", "sent back", as_json=as_json,
    )  # fmt: skip


# --- run ------------------------------------------------------------------------------------------


@command.command(help="開始執行。\n\nStart an approved run.")
@click.argument("run", type=int)
@_WHY
@as_json
@cli
def start(cli: CliContext, run: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.start(run, who=who, why=why),
        "執行中", "running", as_json=as_json,
    )  # fmt: skip


@command.command(help="暫停。\n\nPause.")
@click.argument("run", type=int)
@_WHY
@as_json
@cli
def pause(cli: CliContext, run: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.pause(run, who=who, why=why),
        "已暫停", "paused", as_json=as_json,
    )  # fmt: skip


@command.command(help="繼續。\n\nGo on after a pause.")
@click.argument("run", type=int)
@_WHY
@as_json
@cli
def resume(cli: CliContext, run: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.resume(run, who=who, why=why),
        "執行中", "running", as_json=as_json,
    )  # fmt: skip


@command.command(help="取消：手上的做完，其餘不再開始。\n\nCancel; what is in hand is finished.")
@click.argument("run", type=int)
@_WHY
@as_json
@cli
def cancel(cli: CliContext, run: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.cancel(run, who=who, why=why),
        "已取消", "cancelled", as_json=as_json,
    )  # fmt: skip


@command.command(help="改變速度，立即生效。\n\nChange the throttle, at once.")
@click.argument("run", type=int)
@click.argument("per_minute", type=click.IntRange(1, 1_000_000))
@_WHY
@as_json
@cli
def throttle(cli: CliContext, run: int, per_minute: int, why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.throttle(run, per_minute, who=who, why=why),
        f"每分鐘 {per_minute} 件", f"{per_minute} items a minute", as_json=as_json,
    )  # fmt: skip


@command.command(help="重試失敗的項目（全部或指定列）。\n\nRetry failed items, all or these rows.")
@click.argument("run", type=int)
@click.argument("rows", type=int, nargs=-1)
@_WHY
@as_json
@cli
def retry(cli: CliContext, run: int, rows: tuple[int, ...], why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.retry(run, who=who, why=why, numbers=rows),
        "重試件數", "items to retry", as_json=as_json,
    )  # fmt: skip


@command.command(help="略過指定列。\n\nLeave these rows out.")
@click.argument("run", type=int)
@click.argument("rows", type=int, nargs=-1, required=True)
@_WHY
@as_json
@cli
def skip(cli: CliContext, run: int, rows: tuple[int, ...], why: str, *, as_json: bool) -> None:
    _act(
        cli, lambda runs, who: runs.skip(run, who=who, why=why, numbers=rows),
        "略過件數", "items left out", as_json=as_json,
    )  # fmt: skip


@command.command(
    help="不辦理的列與代碼；--xlsx 另存標示錯誤儲存格的 Excel（需原檔）。\n\n"
    "The rows that are not renewed, with codes; --xlsx: a workbook with the wrong cells marked."
)
@click.argument("run", type=int)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--xlsx", type=click.Path(path_type=Path), help="寫到這裡，需要 FILE / needs FILE")
@click.option("--after", default=0, help="從這一列之後 / after this row")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def errors(  # noqa: PLR0917 - click gives them by name
    cli: CliContext,
    run: int,
    file: Path | None,
    xlsx: Path | None,
    after: int,
    at_most: int,
    *,
    as_json: bool,
) -> None:
    from back_office.runs.faulty import faulty_rows, write_marked  # noqa: PLC0415 - help needs none

    if xlsx is not None:
        if file is None or xlsx.exists():
            raise click.UsageError("--xlsx: FILE; " + cli.lang.pick("檔案已存在", "a new file"))
        with _refusals_in_words(cli):
            marked = write_marked(cli.store, run, file, xlsx)
        cli.print_result(
            {"file": str(xlsx), "rows": marked}, [f"{xlsx}: {marked}"], as_json=as_json
        )
        return
    with cli.store.snapshot() as look:
        look.runs.get(run)
        found = faulty_rows(look, run, after=after, at_most=at_most)
    lang = cli.lang.value
    rows = [
        {
            "row": one.number, "column": one.column, "code": one.code,
            "reason": one.reason(lang), "remedy": one.remedy(lang), "certificate": one.certificate,
        }
        for one in found
    ]  # fmt: skip
    cli.print_table(
        (
            ("列", "欄位", "代碼", "原因", "怎麼辦", "憑證"),
            ("row", "column", "code", "reason", "what to do", "certificate"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: tuple("-" if it in {None, ""} else it for it in row.values()),
    )


@command.command(help="結果檔：每件一列。\n\nWrite the result, a line for each item.")
@click.argument("run", type=int)
@click.argument("file", type=click.Path(path_type=Path))
@_WHY
@as_json
@cli
def result(cli: CliContext, run: int, file: Path, why: str, *, as_json: bool) -> None:
    from back_office.runs.result import write_result  # noqa: PLC0415 - help needs none

    with cli.store.snapshot() as look:
        look.runs.get(run)
    written = write_result(cli.store, run, file, who=operator(), why=why)
    cli.print_result(
        {"file": str(file), "lines": written.lines, "sha256": written.sha256},
        [f"{file}: {written.lines}", f"SHA-256 {written.sha256}"],
        as_json=as_json,
    )


# --- shown ----------------------------------------------------------------------------------------


def _shown(cli: CliContext, run: int, *, as_json: bool) -> None:
    from back_office.runs.preview import messages_of, preview  # noqa: PLC0415 - help needs none
    from back_office.runs.progress import progress_of  # noqa: PLC0415 - as above

    with cli.store.snapshot() as look:
        seen = preview(look, run, cli.policies)
        planned = messages_of(look, run, cli.policies, cli.renderer)
        progress = progress_of(look, run)
    counts = {state.value: count for state, count in progress.counts.items() if count}
    thing = {
        **_as_dict(seen.run),
        "rows": seen.rows,
        "to_begin": seen.by_product,
        "excluded": seen.excluded,
        "refused": seen.refused_rows,
        "fee_total": seen.fee_total,
        "fees": [{"product": it.product, "items": it.count, "each": it.each} for it in seen.fees],
        "messages": [
            {
                "product": it.product, "channel": it.channel or None, "locale": it.locale,
                "messages": it.count, "segments": it.all_segments, "text": it.text,
            }
            for it in planned
        ],
        "would_end_at": seen.ends_at,
        "items": counts,
    }  # fmt: skip
    cli.print_result(thing, _lines(cli, seen, planned, counts), as_json=as_json)


def _lines(
    cli: CliContext,
    seen: Preview,
    planned: Sequence[PlannedMessages],
    counts: Mapping[str, int],
) -> list[str]:
    from schema.states import RunItemState, RunState  # noqa: PLC0415 - help needs none
    from templates.codes import text  # noqa: PLC0415 - as above

    run, pick, lang = seen.run, cli.lang.pick, cli.lang.value
    lines = [
        f"{pick('批次', 'run')} {run.id}  {run.name}  {text(RunState(run.state), lang)}",
        f"{pick('來源', 'source')}  {run.source}",
        pick(
            f"清單 {seen.rows} 列：將辦理 {seen.to_begin}，排除 {sum(seen.excluded.values())}，"
            f"不能用的列 {sum(seen.refused_rows.values())}",
            f"{seen.rows} rows: {seen.to_begin} to renew, {sum(seen.excluded.values())} left out, "
            f"{sum(seen.refused_rows.values())} rows that cannot be used",
        ),
    ]
    lines += [f"  {product}  {count:,}" for product, count in seen.by_product.items()]
    reasons = {**seen.excluded, **seen.refused_rows}
    lines += [f"  {_reason(why, lang)}  {count:,}" for why, count in reasons.items()]
    lines.append(f"{pick('手續費合計', 'fees in all')}  NT${seen.fee_total:,}")
    lines += [_planned(cli, it) for it in planned]
    if seen.ends_at is not None and seen.to_begin:
        lines.append(f"{pick('預計全部開始於', 'all begun by')}  {moment(seen.ends_at)}")
    if run.why:
        lines.append(f"{pick('原因', 'why')}  {_reason(run.why, lang, run.why_parameters)}")
    lines += [f"  {text(RunItemState(state), lang)}  {count:,}" for state, count in counts.items()]
    return lines


def _planned(cli: CliContext, one: PlannedMessages) -> str:
    pick = cli.lang.pick
    sentence = (
        f"  {pick('邀請通知', 'invitations')}  {one.product}  {one.channel or '-'}  {one.locale}"
    )
    segments = f" ({one.all_segments:,} {pick('則', 'segments')})" if one.segments else ""
    return f"{sentence}  {one.count:,}{segments}"


def _reason(why: str, language: str, parameters: str | None = None) -> str:
    from schema.reasons import CODES  # noqa: PLC0415 - help needs none
    from schema.stored_reasons import read_reason  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415 - as above

    code = CODES.get(why)
    if code is not None and code.parameters and parameters is None:
        return text(code, language, **dict.fromkeys(code.parameters, "…"))
    return text(read_reason(why, parameters), language)


def _under_way(cli: CliContext, run: int) -> bool:
    from schema.states import RunState  # noqa: PLC0415 - help needs none

    with cli.store.snapshot() as look:
        return look.runs.get(run).state == RunState.RUNNING


def _line(cli: CliContext, run: int) -> str:
    """One line of progress: how many of how many, how fast, and until when."""
    from back_office.runs.progress import progress_of  # noqa: PLC0415 - help needs none

    with cli.store.snapshot() as look:
        seen = progress_of(look, run)
    until = moment(seen.ends_at) if seen.ends_at else "-"
    return f"{seen.begun:,} / {seen.items:,}  {seen.percent}%  {seen.a_minute:,}/min  {until}"


# --- helpers of this command ----------------------------------------------------------------------


@contextmanager
def _refusals_in_words(cli: CliContext) -> Iterator[None]:
    """Say a refusal in the language of the command, with exit code 1."""
    from back_office.runs.errors import RunRefusedError  # noqa: PLC0415 - help needs none
    from templates.codes import text  # noqa: PLC0415 - as above

    try:
        yield
    except RunRefusedError as refused:
        cli.refuse(text(refused.reason, "zh-TW"), text(refused.reason, "en"))


def _runs(cli: CliContext) -> RunActions:
    from back_office.runs.actions import RunActions  # noqa: PLC0415 - help needs none

    return RunActions(cli.store, cli.policies, cli.bank.approval_limits())


def _roles(cli: CliContext, who: str) -> Collection[str]:
    """Those of the console's account of this name; who has none approves as a checker."""
    from back_office.runs.limits import CHECKER  # noqa: PLC0415 - help needs none
    from renewal.store import staff  # noqa: PLC0415 - as above

    with cli.store.snapshot() as look:
        account = staff.find(look, who)
    return account.roles.split(",") if account and account.ended_at is None else (CHECKER,)


def _planner(cli: CliContext) -> Planner:
    from back_office.runs.plan import Planner  # noqa: PLC0415 - help needs none

    branches = [name.strip() for name in cli.settings.branches.split(",") if name.strip()]
    return Planner(cli.store, cli.policies, branches)


def _progress(cli: CliContext) -> Callable[[int], None]:
    def shown(rows: int) -> None:
        click.echo(cli.lang.pick(f"\r{rows:,} 列", f"\r{rows:,} rows"), nl=False, err=True)

    return shown


def _day(text: str | None, *, end: bool) -> Any:  # noqa: ANN401 - a moment or nothing
    from schema.roc import RocDateError, parse  # noqa: PLC0415 - help needs none
    from schema.taipei import end_of, start_of  # noqa: PLC0415 - as above

    if text is None:
        return None
    try:
        day = parse(text)
    except RocDateError as error:
        raise click.UsageError(f"{text!r}: {error}") from error
    return end_of(day) if end else start_of(day)


def _as_dict(run: Run) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    hidden = ("source_sha256", "manifest_sha256", "version")
    printed = {name: it for name, it in asdict(run).items() if name not in hidden}
    return {**printed, "manifest": run.manifest_sha256.hex() if run.manifest_sha256 else None}
