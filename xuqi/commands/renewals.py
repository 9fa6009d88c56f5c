"""`xuqi renewals`: starts renewals and shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import Desk, as_json, desk, staff
from xuqi.language import moment

if TYPE_CHECKING:
    from renewal.store.rows import Renewal


@click.group("renewals", help="展期：申請、清單、明細。\n\nRenewals: start, list, show.")
def command() -> None:
    pass


@command.command(help="替客戶申請展期。\n\nStart a renewal in a customer's name.")
@click.argument("certificate")
@click.option("--branch", help="寫入載具的分行 / the branch where the token is written")
@staff
@as_json
@desk
def start(
    desk: Desk, certificate: str, branch: str | None, who: str, why: str, *, as_json: bool
) -> None:
    from renewal.rules.eligibility import Refusal  # noqa: PLC0415 - help needs none
    from xuqi.finding import certificate_named  # noqa: PLC0415
    from xuqi.words import reason  # noqa: PLC0415

    with desk.store.look() as look:
        row = certificate_named(look, certificate)
    answer = desk.back_office.start(row.id, who=who, why=why, branch=branch)
    if isinstance(answer, Refusal):
        said = reason(desk.lang, answer.value)
        desk.refuse(f"憑證 {row.id} 不能展期：{said}", f"certificate {row.id}: {said}")
    line = desk.lang.pick(f"{answer.id}：已申請", f"{answer.id}: requested")
    desk.told(_as_dict(answer), [line], as_json=as_json)


@command.command("list", help="列出展期。\n\nList renewals.")
@click.option("--state", help="只列這個狀態 / only in this state")
@click.option("--after", default="", help="從這個編號之後 / after this id")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@desk
def list_(desk: Desk, state: str | None, after: str, at_most: int, *, as_json: bool) -> None:
    from renewal.store import renewals as queries  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    with desk.store.look() as look:
        found = queries.listed(look, state=state, after=after, at_most=at_most)
    desk.listed(
        (
            ("展期", "憑證", "產品", "狀態", "費用", "申請時間", "最近變動", "原因"),
            ("renewal", "certificate", "product", "state", "fee", "requested", "moved", "why"),
        ),
        [_as_dict(row) for row in found],
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["certificate"],
            row["product"],
            words.state(desk.lang, row["state"]),
            row["fee_state"],
            moment(row["requested_at"]),
            moment(row["moved_at"]),
            words.reason(desk.lang, row["why"] or ""),
        ),
    )


@command.command(help="一筆展期的明細。\n\nShow one renewal.")
@click.argument("renewal")
@as_json
@desk
def show(desk: Desk, renewal: str, *, as_json: bool) -> None:
    from renewal.store import renewals as queries  # noqa: PLC0415 - help needs none
    from xuqi import words  # noqa: PLC0415

    with desk.store.look() as look:
        row = look.renewals.get(renewal)
        story = [one for one in queries.story_of(look, row.certificate) if one["renewal"] == row.id]
    told = _as_dict(row)
    lines = [f"{name}: {moment(it) if hasattr(it, 'tzinfo') else it}" for name, it in told.items()]
    lines += ["", *(f"{moment(one['at'])}  {words.decision(desk.lang, one)}" for one in story)]
    desk.told({**told, "decisions": story}, lines, as_json=as_json)


def _as_dict(row: Renewal) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    # Keys, signatures and sealed values say nothing to a reader.
    binary = ("csr", "proof", "challenge", "terms_sha256", "spki_sha256")
    told = asdict(row).items()
    return {name: it for name, it in told if name not in binary and not name.endswith("_sealed")}
