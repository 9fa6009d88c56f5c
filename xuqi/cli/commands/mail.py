"""`xuqi mail`: takes in what mail servers report back of mails that a relay had taken."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xuqi.cli.context import CliContext, cli

if TYPE_CHECKING:
    from renewal.gateways.bounces.port import BounceMailbox


@click.group(
    "mail",
    help="退信：從郵件系統的管道或信箱讀入。\n\n"
    "Delivery reports: from the relay's pipe, or from a mailbox.",
)
def command() -> None:
    pass


@command.command(
    help="讀入一封退信（標準輸入）。\n\n"
    "Take in one report from standard input. For Postfix's pipe: --from ${sender} --to"
    " ${original_recipient}, with null_sender= in master.cf. Without them the headers Return-Path"
    " and Delivered-To, which the last server has written, are asked."
)
@click.option("--from", "sender", help="信封寄件人 / the envelope's sender")
@click.option("--to", "recipient", help="信封收件人 / the envelope's recipient")
@cli
def bounce(cli: CliContext, sender: str | None, recipient: str | None) -> None:
    raw = sys.stdin.buffer.read()
    if _taken_in(cli, raw, sender, recipient):
        cli.say("已記錄", "on record")
    else:  # a mail system would send a report on the report
        cli.say("不是本行信件的退信，略過", "no report that ends a mail of ours: passed over")


@command.command(
    help="讀入退信信箱裡的退信：XUQI_BOUNCES_URL，或一個 Maildir；讀過的標為已讀。\n\n"
    "Take in the unread reports of XUQI_BOUNCES_URL, or of a Maildir; what was looked at is marked"
    " as read. `xuqi serve` does so each minute."
)
@click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@cli
def fetch(cli: CliContext, folder: Path | None) -> None:
    from scheduler.bounces import AT_MOST, take_in  # noqa: PLC0415 - help needs none

    with contextlib.closing(_mailbox(cli, folder)) as mailbox:
        taken = take_in(cli.store, mailbox, cli.keys.of_mail(), at_most=AT_MOST)
    cli.say(
        f"記錄 {taken.recorded}，略過 {taken.passed}",
        f"{taken.recorded} on record, {taken.passed} passed over",
    )


def _mailbox(cli: CliContext, folder: Path | None) -> BounceMailbox:
    from renewal.gateways.bounces.maildir import Maildir  # noqa: PLC0415 - as above
    from xuqi.bootstrap import open_bounces  # noqa: PLC0415

    if folder is not None:
        return Maildir(folder)
    mailbox = open_bounces(cli.settings, cli.app.clock, cli.keys)
    if mailbox is None:
        raise click.UsageError("name a Maildir, or set XUQI_BOUNCES_URL")
    return mailbox


def _taken_in(cli: CliContext, raw: bytes, sender: str | None, recipient: str | None) -> bool:
    from producers.messages import bounced  # noqa: PLC0415 - help needs none
    from renewal.gateways.mail.bounce import read_stored  # noqa: PLC0415

    found = read_stored(raw, keys=cli.keys.of_mail(), envelope_from=sender, envelope_to=recipient)
    if found is None:
        return False
    with cli.store.transaction() as work:
        return bounced(work, found)
