"""What every command finds on its desk: its language, the settings, and the house once opened."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import click

from xuqi.language import Lang, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from back_office.actions import BackOffice
    from centre.actions import Centre
    from renewal.clock import Clock
    from renewal.cycle import Policies
    from renewal.eventlog.port import EventLog
    from renewal.keys import Keys
    from renewal.store.engine import Store
    from xuqi.house import House
    from xuqi.settings import Settings

OK, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3


@dataclass
class Desk:
    """
    Opens only what a command asks for: the CA's keys, for instance, cost a second.
    """

    lang: Lang = Lang.ZH
    home: Path | None = None
    clock: Clock | None = None  #: of tests; else the machine's
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _closing: ExitStack = field(default_factory=ExitStack)

    # --- speaking -------------------------------------------------------------------------------

    def say(self, zh: str, en: str) -> None:
        click.echo(self.lang.pick(zh, en))

    def told(self, thing: object, lines: Sequence[str] = (), *, as_json: bool) -> None:
        """
        Print a thing for a program, or its lines for a person.
        """
        if as_json:
            click.echo(json.dumps(thing, ensure_ascii=False, default=_plain))
            return
        for line in lines:
            click.echo(line)

    def listed(
        self,
        head: tuple[Sequence[str], Sequence[str]],
        rows: Sequence[Mapping[str, Any]],
        *,
        as_json: bool,
        cells: Callable[[Mapping[str, Any]], Sequence[object]],
    ) -> None:
        """
        Print rows: each a JSON line for a program, a table for a person. ``head``: zh, en.
        """
        if as_json:
            for row in rows:
                self.told(row, as_json=True)
            return
        if not rows:
            self.say("（無）", "(none)")
            return
        names = head[1] if self.lang is Lang.EN else head[0]
        self.told(None, table(names, [cells(row) for row in rows]), as_json=False)

    def refuse(self, zh: str, en: str) -> NoReturn:
        """
        Say why not, and end with exit code 1.
        """
        click.echo(f"xuqi: {self.lang.pick(zh, en)}", err=True)
        raise click.exceptions.Exit(REFUSED)

    # --- asking ---------------------------------------------------------------------------------

    def hidden(self, zh: str, en: str) -> str:
        """
        Ask for something that is not shown; a script gives it as a line of its standard input.
        """
        text = self.lang.pick(zh, en)
        if sys.stdin.isatty():
            return str(
                click.prompt(text, hide_input=True, default="", show_default=False, err=True)
            )
        click.echo(f"{text}: ", err=True)
        return sys.stdin.readline().rstrip("\r\n")

    def agreed(self, zh: str, en: str) -> bool:
        """
        Ask for an express yes.
        """
        return click.confirm(self.lang.pick(zh, en), default=False, err=True)

    # --- opening --------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        from dataclasses import replace  # noqa: PLC0415 - help needs none of these

        from xuqi.settings import read_settings  # noqa: PLC0415

        found = read_settings(self.environment)
        return replace(found, home=self.home) if self.home else found

    @cached_property
    def keys(self) -> Keys:
        from xuqi.settings import read_keys  # noqa: PLC0415

        return read_keys(self.settings, self.environment)

    @cached_property
    def policies(self) -> Policies:
        from renewal.cycle import Policies  # noqa: PLC0415
        from schema.policy import load_policies  # noqa: PLC0415

        return Policies(load_policies(self.settings.policies))

    @cached_property
    def store(self) -> Store:
        from renewal.clock import SystemClock  # noqa: PLC0415
        from xuqi.house import open_store  # noqa: PLC0415

        store = open_store(self.settings, self.clock or SystemClock(), self.keys)
        self._closing.callback(store.close)
        return store

    @cached_property
    def log(self) -> EventLog:
        from xuqi.logs import open_log  # noqa: PLC0415

        return open_log(self.settings, self.store)

    @cached_property
    def house(self) -> House:
        from xuqi.house import build  # noqa: PLC0415

        house = build(self.settings, clock=self.clock)
        self._closing.callback(house.store.close)
        return house

    @property
    def back_office(self) -> BackOffice:
        from back_office.actions import BackOffice  # noqa: PLC0415

        return BackOffice(self.store, self.policies)

    @property
    def centre(self) -> Centre:
        from centre.actions import Centre  # noqa: PLC0415

        return Centre(self.store, self.policies, self.keys)

    def close(self) -> None:
        self._closing.close()


def _plain(value: object) -> str:
    from datetime import datetime  # noqa: PLC0415 - only where there is one

    return value.isoformat() if isinstance(value, datetime) else str(value)


desk = click.make_pass_decorator(Desk)
as_json = click.option("--json", "as_json", is_flag=True, help="給程式讀 / for programs")


def staff(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    A person does this: who and why go to the audit trail.
    """
    who = click.option("--who", required=True, help="承辦人員 / the member of staff")
    why = click.option(
        "--why", required=True, help="原因，留存稽核紀錄 / the reason, for the audit trail"
    )
    return who(why(command))
