"""Reads the bank's own details from bank.toml."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from templates.bank import BankBranch, BankDetails

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

FILE = "bank.toml"
#: Each key of the file, and the field that it fills.
KEYS: Mapping[str, str] = {
    "name.zh": "name_zh",
    "name.en": "name_en",
    "short.zh": "brand_zh",
    "short.en": "brand_en",
    "contact.phone": "phone",
    "contact.hours_zh": "hours_zh",
    "contact.hours_en": "hours_en",
    "contact.address_zh": "address_zh",
    "contact.address_en": "address_en",
    "contact.site": "site",
    "menus.renew_zh": "menu_zh",
    "menus.renew_en": "menu_en",
    "menus.opt_out_zh": "opt_out_zh",
    "menus.opt_out_en": "opt_out_en",
}
_OPTIONAL = frozenset({"contact.address_zh", "contact.address_en", "contact.site"})
_KEY_OF = {field: key for key, field in KEYS.items()}
#: What makes the invented bank known: nobody else has this name or this telephone.
_INVENTED = ("name_zh", "name_en", "brand_zh", "brand_en", "phone")


class BankDataError(ValueError):
    """The bank's own data cannot be used: file, key, reason, and what to do."""

    def __init__(self, file: str, key: str, reason: str, todo: str) -> None:
        super().__init__(f"{file}:{key}: {reason}: {todo}")
        self.file, self.key, self.reason, self.todo = file, key, reason, todo


@cache
def sample_bank() -> BankDetails:
    """The invented bank, of the demo and of trials."""
    return read_bank(sample_folder() / FILE)


def sample_folder() -> Traversable:
    return files("templates") / "sample_bank"


def read_bank(path: Traversable) -> BankDetails:
    """
    Raises:
        BankDataError: the file, or the first of its keys that cannot be used.
    """
    found, wrong = read_with_faults(path)
    if found is None:
        raise wrong[0]
    return found


def read_with_faults(path: Traversable) -> tuple[BankDetails | None, list[BankDataError]]:
    """The details, or ``None`` and each thing that is wrong with the file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        todo = "write it: `xuqi bank init` makes a commented one"
        return None, [BankDataError(FILE, "(the whole file)", str(error.strerror), todo)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        todo = "mend it: each text stands in quotation marks, in UTF-8"
        return None, [BankDataError(FILE, "(the whole file)", f"is no TOML: {error}", todo)]
    wrong = list(_wrong_keys(document))
    branches, wrong_branches = _branches(document.get("branches", []))
    wrong += wrong_branches
    if wrong:
        return None, wrong
    values = {field: value for key, field in KEYS.items() if (value := _at(document, key))}
    try:
        return BankDetails(**values, branches=branches), []
    except ValueError as error:
        field, _, why = str(error).removeprefix("bank.").partition(" ")
        key = _KEY_OF.get(field, field)
        return None, [BankDataError(FILE, key, why, "write another text there")]


def invented(bank: BankDetails) -> list[str]:
    """The keys that still hold what the invented bank has."""
    sample = sample_bank()
    return [_KEY_OF[name] for name in _INVENTED if getattr(bank, name) == getattr(sample, name)]


def _at(document: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - as TOML has it
    table, _, name = key.partition(".")
    inside = document.get(table)
    return inside.get(name) if isinstance(inside, dict) else None


def _wrong_keys(document: Mapping[str, Any]) -> Iterator[BankDataError]:
    known = ", ".join(KEYS)
    for table, inside in document.items():
        if table == "branches":
            continue
        names = [f"{table}.{name}" for name in inside] if isinstance(inside, dict) else [table]
        for key in names:
            if key not in KEYS:
                todo = f"remove it; there are: {known}"
                yield BankDataError(FILE, key, "is no key of it", todo)
    for key in KEYS:
        value = (
            _at(document, key) if isinstance(document.get(key.partition(".")[0]), dict) else None
        )
        if value is None and key not in _OPTIONAL:
            yield BankDataError(FILE, key, "is missing", "write it; docs/bank.md says what it is")
        elif value is not None and not isinstance(value, str):
            yield BankDataError(FILE, key, "is no text", 'put it into quotation marks: "..."')


def _branches(found: object) -> tuple[tuple[BankBranch, ...], list[BankDataError]]:
    if not isinstance(found, list):
        return (), [BankDataError(FILE, "branches", "is no list", "write [[branches]] for each")]
    known = {field.name for field in fields(BankBranch)}
    codes: set[str] = set()
    branches, wrong = [], []
    for number, one in enumerate(found, start=1):
        why = _why_no_branch(one, known, codes)
        if why:
            key = f"branches[{number}]"
            wrong.append(BankDataError(FILE, key, why, f"it has: {', '.join(sorted(known))}"))
        else:
            branches.append(BankBranch(**one))
            codes.add(one["code"])
    return tuple(branches), wrong


def _why_no_branch(one: object, known: set[str], codes: set[str]) -> str | None:
    if not isinstance(one, dict):
        return "is no table"
    if unknown := sorted(set(one) - known):
        return f"{unknown[0]} is no key of a branch"
    if missing := [name for name in ("code", "zh", "en") if not one.get(name)]:
        return f"{missing[0]} is missing"
    if not all(isinstance(value, str) for value in one.values()):
        return "one of its values is no text"
    return f"code {one['code']} stands there twice" if one["code"] in codes else None
