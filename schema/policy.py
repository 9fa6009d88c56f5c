"""Reads a product's policy from its data file."""

from __future__ import annotations

import re
from datetime import date  # noqa: TC003 - msgspec reads the annotations when it decodes
from enum import StrEnum
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path


class PolicyError(ValueError):
    """A policy file cannot be used; the text names the file, the field and the reason."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}")
        self.file = file
        self.field = field
        self.reason = reason


class Storage(StrEnum):
    """Where the private key lives."""

    BROWSER = "browser"
    TOKEN = "token"  # noqa: S105 - a medium, no secret
    CARD = "card"


class ConfirmBy(StrEnum):
    CODE = "code"  #: a one-time code
    TOKEN = "token"  # noqa: S105 - a signature of the present key, no secret


class Purpose(StrEnum):
    APPLY = "apply"
    RENEW = "renew"
    REVOKE = "revoke"
    PASSWORD = "password"  # noqa: S105 - what a code is for: to set it
    SUSPEND = "suspend"
    EXPORT = "export"  #: to take a copy of the key out of the browser
    RELEASE = "release"  #: to set the release password


class FeeHow(StrEnum):
    NONE = "none"
    HOLD = "hold"  #: held when the renewal begins, captured on delivery
    PREPAID = "prepaid"  #: paid first, an entitlement that the renewal consumes


class Starts(StrEnum):
    SUCCESS = "success"
    OLD_END = "old end"


class Old(StrEnum):
    """What becomes of the old certificate once the new one is proven."""

    REVOKE = "revoke"
    KEEP = "keep"


class Slot(StrEnum):
    """What may hold one active certificate only."""

    CUSTOMER = "customer"
    TOKEN = "token"  # noqa: S105 - a medium, no secret


class Channel(StrEnum):
    SMS = "sms"
    MAIL = "mail"


Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Text = Annotated[str, Meta(min_length=1, max_length=100)]
Step = Annotated[int, Meta(ge=-365, le=365)]
Days = Annotated[int, Meta(ge=1, le=365)]


class Title(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    zh: Text
    en: Text


class Window(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whole days around the expiry; both edges belong to the window, to the second."""

    before_days: Annotated[int, Meta(ge=1, le=180)]
    after_days: Annotated[int, Meta(ge=0, le=180)]


class CodeTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Bounds after NIST SP 800-63B-4, 3.1.3.2 (ten minutes at most); fewer than six digits is a
    product's visible choice.
    """

    digits: Annotated[int, Meta(ge=4, le=10)] = 6
    seconds: Annotated[int, Meta(ge=30, le=600)]
    tries: Annotated[int, Meta(ge=1, le=5)]
    mail_too_for: tuple[Purpose, ...] = ()  #: besides the SMS


class Confirm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    by: ConfirmBy
    code: CodeTerms | None = None
    release_password: bool = False
    present_key: bool = False  #: at the pages: the present key approves the request for the new one
    operators: dict[Text, Text] = {}  #: customer class -> the only role that may renew; {} = anyone


class Apply(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may apply online for a first certificate, or for one after an end; see ``operators``."""

    operators: dict[Text, Text] = {}  #: customer class -> the only role that may; {} = anyone


class Level(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: date = msgspec.field(name="from")  #: from 00:00 in Taipei
    amount: Annotated[int, Meta(ge=1, le=1_000_000)]  #: whole New Taiwan dollars


class Fee(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    how: FeeHow
    levels: tuple[Level, ...] = ()


class Validity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    years: Annotated[int, Meta(ge=1, le=5)]
    starts: Starts
    carry_over: bool = False  #: the unused rest of the old validity is added


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    product: Name
    title: Title
    storage: Storage
    slot: Slot
    profile: Name  #: of the CA
    old: Old
    window: Window
    ladder: Annotated[tuple[Step, ...], Meta(min_length=1)]  #: days left, descending
    collect_ladder: tuple[Days, ...]  #: days since issue, ascending, while not collected
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]  #: in the order they are tried
    confirm: Confirm
    apply: Apply | None = None  #: None: a first certificate is applied for at the branch
    fee: Fee
    validity: Validity
    abandon_after_days: Days  #: unconfirmed or unproven for so long: given up
    online_revocations_per_year: Annotated[int, Meta(ge=0, le=100)] | None = None  #: None = any
    statement: bool = False  #: a printed statement (憑證證明單) is offered
    branch_recording_days: Days | None = (
        None  #: the branch records a renewal by then; None: it need not
    )


def load_policies(folder: Path | None = None) -> dict[str, Policy]:
    """
    Return the policies of a folder (without one: those shipped) by product.

    Raises:
        PolicyError: a file cannot be used, or there is none.
    """
    source: Traversable = files("schema").joinpath("policies") if folder is None else folder
    if not source.is_dir():
        raise PolicyError(str(source), "*.toml", "there is no such folder")
    found = sorted((f for f in source.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    if not found:
        raise PolicyError(str(source), "*.toml", "the folder holds no policy")
    policies = [read_policy(file.name, file.read_bytes()) for file in found]
    return {policy.product: policy for policy in policies}


def read_policy(file: str, content: bytes) -> Policy:
    """
    Return the policy in a file's content; ``file`` is its name, and the product's with ``.toml``.

    Raises:
        PolicyError
    """
    try:
        policy = msgspec.toml.decode(content, type=Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(file, *_place(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyError(file, "(the whole file)", f"is no TOML: {error}") from error
    if file != f"{policy.product}.toml":
        raise PolicyError(file, "product", f"is {policy.product!r}, which is not the file's name")
    for field, reason in _contradictions(policy):
        raise PolicyError(file, field, reason)
    return policy


def _place(message: str) -> tuple[str, str]:
    """Part msgspec's message into the field's path and the reason."""
    reason, _, path = message.partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    named = re.search(r"(?:required|unknown) field `(.+?)`", reason)
    if named:
        where = f"{where}.{named[1]}".lstrip(".")
    return where or "(the whole file)", reason


def _contradictions(policy: Policy) -> Iterator[tuple[str, str]]:
    yield from _order(policy)
    yield from _medium(policy)
    yield from _money(policy)
    yield from _lives(policy)


def _order(policy: Policy) -> Iterator[tuple[str, str]]:
    if not _descending(policy.ladder):
        yield "ladder", "must be strictly descending"
    if not _descending(policy.collect_ladder[::-1]):
        yield "collect_ladder", "must be strictly ascending"
    if any(step >= policy.abandon_after_days for step in policy.collect_ladder):
        yield "collect_ladder", "must end before abandon_after_days: later there is nothing left"
    if len(set(policy.channels)) < len(policy.channels):
        yield "channels", "names a channel twice"


def _medium(policy: Policy) -> Iterator[tuple[str, str]]:
    browser, confirm = policy.storage is Storage.BROWSER, policy.confirm
    if browser and policy.slot is Slot.TOKEN:
        yield "slot", "is the token, but the key lives in the browser"
    if browser and confirm.by is ConfirmBy.TOKEN:
        yield "confirm.by", "is the token, but the key lives in the browser"
    if not browser and policy.apply is not None:
        yield "apply", "is given, but a token or card is handed out at the branch"
    if confirm.by is ConfirmBy.CODE and confirm.code is None:
        yield "confirm.code", "is missing, but the code confirms"
    if confirm.by is ConfirmBy.TOKEN and confirm.code is not None:
        yield "confirm.code", "is given, but the token confirms"
    if confirm.code and len(set(confirm.code.mail_too_for)) < len(confirm.code.mail_too_for):
        yield "confirm.code.mail_too_for", "names a purpose twice"


def _money(policy: Policy) -> Iterator[tuple[str, str]]:
    free, levels = policy.fee.how is FeeHow.NONE, policy.fee.levels
    if free and levels:
        yield "fee.levels", "are given, but there is no fee"
    if not free and not levels:
        yield "fee.levels", "are missing, but there is a fee"
    if policy.apply is not None and policy.fee.how is FeeHow.PREPAID:
        yield "apply", "is given, but the fee is paid before, for a certificate that is there"
    if any(earlier.since >= later.since for earlier, later in pairwise(levels)):
        yield "fee.levels", "must be in the order of their dates, each date once"


def _lives(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.validity.starts is Starts.OLD_END and policy.validity.carry_over:
        yield "validity.carry_over", "would count the rest of the old validity twice"
    if policy.validity.starts is Starts.OLD_END and policy.old is Old.REVOKE:
        yield "old", "is revoked before the new one starts: the customer would have none"


def _descending(steps: Sequence[int]) -> bool:
    return all(earlier > later for earlier, later in pairwise(steps))
