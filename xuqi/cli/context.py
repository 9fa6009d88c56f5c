"""The context of every command: language, settings, and the application on first use."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import click

from xuqi.cli.i18n import Lang, table
from xuqi.terminal import safe, safe_json, safe_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from back_office.actions import BackOffice
    from centre.actions import Centre
    from renewal.clock import Clock
    from renewal.db.engine import Store
    from renewal.eventlog.port import EventLog
    from renewal.keys import Keys
    from renewal.rules.policies import Policies
    from templates.rendering import MessageRenderer
    from xuqi.bank import Bank
    from xuqi.bootstrap import App
    from xuqi.settings import Settings

OK, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3


@dataclass
class CliContext:
    """Opens only what a command needs: the CA's keys, for instance, cost a second."""

    lang: Lang = Lang.ZH
    home: Path | None = None
    clock: Clock | None = None  #: of tests; else the machine's
    may_make: bool = False  #: a home, where there is none
    may_migrate: bool = False  #: tables of an older version
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _closing: ExitStack = field(default_factory=ExitStack)

    # --- speaking -------------------------------------------------------------------------------

    def say(self, zh: str, en: str) -> None:
        click.echo(safe(self.lang.pick(zh, en)))

    def print_result(self, thing: object, lines: Sequence[str] = (), *, as_json: bool) -> None:
        """Print a value as JSON for a program, or lines for a person."""
        if as_json:
            click.echo(safe_json(json.dumps(thing, ensure_ascii=False, default=_plain)))
            return
        for line in lines:
            click.echo(safe(line))

    def print_table(
        self,
        head: tuple[Sequence[str], Sequence[str]],
        rows: Sequence[Mapping[str, Any]],
        *,
        as_json: bool,
        cells: Callable[[Mapping[str, Any]], Sequence[object]],
    ) -> None:
        """Print rows: JSON lines for a program, a table for a person. ``head``: zh, en."""
        if as_json:
            for row in rows:
                self.print_result(row, as_json=True)
            return
        if not rows:
            self.say("（無）", "(none)")
            return
        names = head[1] if self.lang is Lang.EN else head[0]
        self.print_result(
            None,
            table(names, [[safe_line(str(cell)) for cell in cells(row)] for row in rows]),
            as_json=False,
        )

    def refuse(self, zh: str, en: str) -> NoReturn:
        """Print the reason, and exit with code 1."""
        click.echo(safe(f"xuqi: {self.lang.pick(zh, en)}"), err=True)
        raise click.exceptions.Exit(REFUSED)

    # --- asking ---------------------------------------------------------------------------------

    def ask_hidden(self, zh: str, en: str) -> str:
        """Prompt for hidden input; a script gives it as a line of its standard input."""
        text = self.lang.pick(zh, en)
        if sys.stdin.isatty():
            return str(
                click.prompt(text, hide_input=True, default="", show_default=False, err=True)
            )
        click.echo(safe_line(f"{text}: "), err=True)
        return sys.stdin.readline().rstrip("\r\n")

    def confirm(self, zh: str, en: str) -> bool:
        """Ask for an explicit yes."""
        return click.confirm(self.lang.pick(zh, en), default=False, err=True)

    # --- opening --------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        from dataclasses import replace  # noqa: PLC0415 - help needs none of these

        from xuqi.settings import read_settings  # noqa: PLC0415

        found = read_settings(self.environment)
        return replace(found, home=self.home) if self.home else found

    def hurry(self) -> None:
        """Wait for no database that takes the call and says nothing."""
        from dataclasses import replace  # noqa: PLC0415 - help needs none of these

        from xuqi.reachable import in_a_hurry  # noqa: PLC0415

        if self.settings.store_url:
            hurried = in_a_hurry(self.settings.store_url)
            self.__dict__["settings"] = replace(self.settings, store_url=hurried)

    @cached_property
    def keys(self) -> Keys:
        from xuqi.key_files import read_keys  # noqa: PLC0415

        return read_keys(self.settings, self.environment)

    @cached_property
    def policies(self) -> Policies:
        from xuqi.policies import open_policies  # noqa: PLC0415

        return open_policies(self.settings)

    @cached_property
    def renderer(self) -> MessageRenderer:
        return self.bank.renderer()

    @cached_property
    def bank(self) -> Bank:
        from xuqi.bank import open_bank  # noqa: PLC0415 - help needs none of these

        return open_bank(self.settings)

    @cached_property
    def store(self) -> Store:
        from renewal.clock import SystemClock  # noqa: PLC0415
        from xuqi.bootstrap import open_store  # noqa: PLC0415

        self._must_be_there()
        store = open_store(
            self.settings, self.clock or SystemClock(), self.keys, migrate=self.may_migrate
        )
        self._closing.callback(store.close)
        return store

    @cached_property
    def log(self) -> EventLog:
        from xuqi.event_log import open_log  # noqa: PLC0415

        return open_log(self.settings, self.store)

    @cached_property
    def app(self) -> App:
        from xuqi.bootstrap import bootstrap  # noqa: PLC0415

        self._must_be_there()
        app = bootstrap(self.settings, clock=self.clock, migrate=self.may_migrate)
        self._closing.callback(app.store.close)
        return app

    def _must_be_there(self) -> None:
        """
        Only commands that are meant to make a home do: any other is in the wrong folder.

        Raises:
            SettingsError
        """
        from schema.reasons import SettingReason  # noqa: PLC0415 - help needs none
        from xuqi.settings import SettingsError  # noqa: PLC0415

        settings = self.settings
        if not self.may_make and settings.database_file is not None and not settings.is_used:
            raise SettingsError(str(self.settings.home), SettingReason.NO_HOME)

    @property
    def back_office(self) -> BackOffice:
        from back_office.actions import BackOffice  # noqa: PLC0415

        return BackOffice(self.store, self.policies, self.settings.branch_names)

    @property
    def centre(self) -> Centre:
        from centre.actions import Centre  # noqa: PLC0415

        return Centre(self.store, self.policies, self.keys)

    def record(self, did: str, object_: str, why: str = "") -> None:
        """
        Put on record what whoever sits at this terminal is about to do or to read.
        """
        from renewal.db.retry import retry_on_conflict  # noqa: PLC0415 - help needs none of these
        from renewal.store import audit  # noqa: PLC0415

        reason = why or self.lang.pick("在命令列", "at the command line")

        @retry_on_conflict
        def written() -> None:
            with self.store.transaction() as work:
                audit.write(work, who=audit.os_user(), did=did, object_=object_, why=reason)

        written()

    def close(self) -> None:
        self._closing.close()


def _plain(value: object) -> str:
    from datetime import datetime  # noqa: PLC0415 - only where there is one

    return value.isoformat() if isinstance(value, datetime) else str(value)


cli = click.make_pass_decorator(CliContext)
as_json = click.option("--json", "as_json", is_flag=True, help="給程式讀 / for programs")


def staff(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of an action by a person: who and why go to the audit trail."""
    who = click.option("--who", required=True, help="承辦人員 / the member of staff")
    why = click.option(
        "--why", required=True, help="原因，留存稽核紀錄 / the reason, for the audit trail"
    )
    return who(why(command))
