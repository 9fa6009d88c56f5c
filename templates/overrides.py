"""Checks a bank's own wording: templates that stand in for those shipped."""

from __future__ import annotations

import hashlib
import re
from dataclasses import fields, is_dataclass
from functools import cached_property
from importlib.resources import files
from inspect import getmembers
from typing import TYPE_CHECKING

from jinja2 import Environment, TemplateSyntaxError, nodes

from templates import contexts
from templates.bank import BankDetails
from templates.bank_file import BankDataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path

FOLDER = "messages"
_MARK = re.compile(r"\{#\s*fields\s+([0-9a-f]{8})\s*#\}")
_DANGEROUS = re.compile(r"\|\s*safe\b|\bautoescape\b")


def shipped() -> dict[str, Traversable]:
    """Each wording that comes with the product, by its name: ``reminder/sms.zh-TW.txt``."""
    folders = ["_base", *(message.message for message in contexts.MESSAGES)]
    root = files("templates")
    return {
        f"{folder}/{file.name}": file
        for folder in folders
        for file in (root / folder).iterdir()
        if file.name.endswith((".txt", ".html"))
    }


def fields_of(message: str) -> frozenset[str]:
    """What the templates of a message may use, by name; of an item of a list, ``item.<name>``."""
    kinds = {one.message: one for one in contexts.MESSAGES}
    names = set(_names(kinds.get(message, contexts.MessageContext)))
    if message == contexts.ReminderMessage.message:
        names |= {f"item.{name}" for name in _names(contexts.ReminderItem)}
    return frozenset(names)


def mark_of(message: str) -> str:
    """A digest of the fields of a message: another one, once the product gives it other fields."""
    return hashlib.sha256("\n".join(sorted(fields_of(message))).encode()).hexdigest()[:8]


def with_mark(name: str, source: str) -> str:
    """A shipped wording as the first draft of a bank's own."""
    return f"{{# fields {mark_of(name.partition('/')[0])} #}}\n{source}"


def check_overrides(folder: Path) -> list[BankDataError]:
    """Return everything that keeps the wording in this folder from being used."""
    known = shipped()
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return [wrong for file in found for wrong in _wrong(file, _name(folder, file), known)]


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _wrong(file: Path, name: str, known: dict[str, Traversable]) -> Iterator[BankDataError]:
    shown = f"{FOLDER}/{name}"
    if name not in known:
        near = ", ".join(sorted(one for one in known if one.startswith(name.partition("/")[0])))
        todo = f"remove or rename it; there are: {near or 'see `xuqi bank wording`'}"
        yield BankDataError(shown, "(the whole file)", "stands in for no wording", todo)
        return
    try:
        source = file.read_text(encoding="utf-8")
        tree = Environment(autoescape=True).parse(source)
    except (OSError, UnicodeDecodeError) as error:
        yield BankDataError(
            shown, "(the whole file)", f"cannot be read: {error}", "save it as UTF-8"
        )
        return
    except TemplateSyntaxError as error:
        todo = f"mend the line; {name} as shipped: `xuqi bank wording {name}`"
        yield BankDataError(shown, f"line {error.lineno}", str(error.message), todo)
        return
    yield from _wrong_fields(shown, name, source, tree)


def _wrong_fields(
    shown: str, name: str, source: str, tree: nodes.Template
) -> Iterator[BankDataError]:
    message = name.partition("/")[0]
    mark, again = mark_of(message), f"`xuqi bank wording {name}` shows the present one"
    written = _MARK.match(source)
    if written is None or written[1] != mark:
        why = f"was written for other fields ({written[1]})" if written else "names no fields"
        todo = f"compare it with the wording shipped ({again}), then begin it with "
        todo += f"{{# fields {mark} #}}"
        yield BankDataError(shown, "line 1", f"{why}; they are {mark} now", todo)
    allowed = {
        "facts": fields_of(message),
        "bank": frozenset(one.name for one in fields(BankDetails)),
    }
    for owner, attribute, line in _asked(tree):
        if owner in allowed and attribute not in allowed[owner]:
            names = ", ".join(sorted(allowed[owner]))
            todo = f"use one of: {names}; {again}"
            yield BankDataError(shown, f"line {line}", f"{owner}.{attribute} is no field", todo)
    if _DANGEROUS.search(source):
        todo = "remove it: what customers are called would become markup"
        yield BankDataError(shown, "(the whole file)", "switches escaping off", todo)


def _asked(tree: nodes.Template) -> Iterator[tuple[str, str, int]]:
    for get in tree.find_all(nodes.Getattr):
        if isinstance(get.node, nodes.Name):
            yield get.node.name, get.attr, get.lineno


def _names(kind: type) -> Iterator[str]:
    if is_dataclass(kind):
        yield from (one.name for one in fields(kind))
    yield from (
        name
        for name, value in getmembers(kind)
        if not name.startswith("_") and isinstance(value, (property, cached_property))
    )
