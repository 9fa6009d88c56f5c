"""The sample bank's customers and their behaviour."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from schema.taipei import day_of, end_of

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.client import BrowserKey


class Trait(StrEnum):
    """The awkward cases of real life."""

    NO_MOBILE = "no mobile"
    OPTED_OUT = "opted out"
    LANDLINE = "landline"
    SUSPENDED = "suspended"
    SUSPENDED_AND_RESUMED = "suspended, later resumed"
    REVOKED = "revoked"
    TWO_CERTIFICATES = "two certificates"
    SHARED = "shared certificate"
    EMPTY_ACCOUNT = "empty account"
    WRONG_OPERATOR = "class 3, not the administrator"
    GUESSES = "guesses codes"
    LATE_ANSWER = "answers late"
    TWICE = "renews twice"
    PULLS = "pulls the token mid-write"
    WRONG_TOKEN = "brings the wrong token"  # noqa: S105 - a trait
    MISTYPES = "mistypes the PIN"
    FORGOT_PIN = "forgot the PIN"
    DECLINES = "declines"
    FORGETS = "never collects"


class Pace(StrEnum):
    PROMPT = "prompt"
    SLOW = "slow"
    LATE = "late"
    NEVER = "never"


BROWSER, CORPORATE, COOPERATIVE = "securities-browser", "corporate-token", "cooperative-card"

#: Each trait with the products that it can have; every one of them comes up in any sample bank
#: that is large enough, and then again in about one customer of forty.
SUITS = {
    Trait.NO_MOBILE: (CORPORATE, COOPERATIVE, BROWSER),
    Trait.OPTED_OUT: (BROWSER, CORPORATE, COOPERATIVE),
    Trait.LANDLINE: (CORPORATE, COOPERATIVE),
    Trait.SUSPENDED: (BROWSER, CORPORATE, COOPERATIVE),
    Trait.SUSPENDED_AND_RESUMED: (BROWSER, CORPORATE, COOPERATIVE),
    Trait.REVOKED: (BROWSER, CORPORATE, COOPERATIVE),
    Trait.TWO_CERTIFICATES: (BROWSER, CORPORATE, COOPERATIVE),
    Trait.SHARED: (CORPORATE, COOPERATIVE),
    Trait.EMPTY_ACCOUNT: (CORPORATE, COOPERATIVE),
    Trait.WRONG_OPERATOR: (COOPERATIVE,),
    Trait.GUESSES: (BROWSER,),
    Trait.LATE_ANSWER: (BROWSER,),
    Trait.TWICE: (BROWSER, COOPERATIVE),
    Trait.PULLS: (CORPORATE, COOPERATIVE),
    Trait.WRONG_TOKEN: (CORPORATE, COOPERATIVE),
    Trait.MISTYPES: (CORPORATE, COOPERATIVE),
    Trait.FORGOT_PIN: (CORPORATE, COOPERATIVE),
    Trait.DECLINES: (BROWSER, COOPERATIVE),
    Trait.FORGETS: (BROWSER,),
}
SURNAMES = "陳林黃張李王吳劉蔡楊許鄭謝洪郭邱曾廖賴徐"
GIVEN = (
    "怡君",
    "志明",
    "淑芬",
    "俊傑",
    "雅婷",
    "家豪",
    "美玲",
    "宗翰",
    "詩涵",
    "建宏",
    "佩珊",
    "冠宇",
)


@dataclass(kw_only=True)
class Holding:
    """One certificate of a customer, and what they keep of it. It changes with each renewal."""

    product: str
    not_before: datetime
    not_after: datetime
    pace: Pace
    certificate: int = 0  #: our number of it
    serial: str = ""
    der: bytes = b""
    key: BrowserKey | None = None
    card: Path | None = None
    token: str = ""
    pin: str = "123456"
    pins: list[str] = field(default_factory=list)  #: what will be typed next
    older: bytes = b""  #: the certificate before, where it is still in force
    reminded: int = 0
    renewal: str = ""
    planned: bool = False
    renewed: bool = False
    locked: bool = False  #: one try of the PIN is left, and its owner knows better than to spend it
    tries: int = 0


@dataclass(kw_only=True)
class SimulatedCustomer:
    number: int
    name: str
    id_number: str
    mobile: str
    mail: str
    locale: str
    traits: frozenset[Trait]
    chance: random.Random
    holdings: list[Holding]
    customer_class: int
    operator: str
    branch: str
    account: str

    def has(self, trait: Trait) -> bool:
        return trait in self.traits


def make_customer(number: int, seed: int, start: datetime) -> SimulatedCustomer:
    """Make one customer; the same number and seed give the same one."""
    chance = random.Random(f"xuqi {seed} {number}")  # noqa: S311 - a story, no secret
    product = chance.choices((BROWSER, CORPORATE, COOPERATIVE), (55, 20, 25))[0]
    traits = set()
    if number <= len(SUITS):
        trait = list(SUITS)[number - 1]
        traits.add(trait)
        product = SUITS[trait][0] if product not in SUITS[trait] else product
    elif chance.random() < 0.35:  # noqa: PLR2004 - about every third is awkward
        suiting = [trait for trait, products in SUITS.items() if product in products]
        traits.add(chance.choice(suiting))
    products = [product]
    if Trait.TWO_CERTIFICATES in traits or chance.random() < 0.22:  # noqa: PLR2004 - 2,500 of 2,000
        products.append(chance.choice([p for p in SUITS[Trait.OPTED_OUT] if p != product]))
    company = product == CORPORATE
    name = chance.choice(SURNAMES) + chance.choice(GIVEN)
    return SimulatedCustomer(
        number=number,
        name=f"{name}股份有限公司" if company else name,
        id_number=f"{8_000_0000 + number}" if company else f"A{100_000_000 + number}",
        mobile=""
        if Trait.NO_MOBILE in traits
        else _phone(number, landline=Trait.LANDLINE in traits),
        mail="" if chance.random() < 0.05 else f"customer{number}@example.test",  # noqa: PLR2004
        locale="en" if chance.random() < 0.15 else "zh-TW",  # noqa: PLR2004
        traits=frozenset(traits),
        chance=chance,
        holdings=[_holding(one, chance, start, early=number <= len(SUITS)) for one in products],
        customer_class=3 if Trait.WRONG_OPERATOR in traits else 2,
        operator="user" if Trait.WRONG_OPERATOR in traits else "only user",
        branch=chance.choice(("001", "002")),
        account=f"{700_0000_0000 + number}",
    )


def _phone(number: int, *, landline: bool) -> str:
    return f"+8862{27_000_000 + number}" if landline else f"+8869{12_000_000 + number}"


def _holding(product: str, chance: random.Random, start: datetime, *, early: bool) -> Holding:
    years = 2 if product == COOPERATIVE else 1
    days = chance.randint(5, 45) if early else chance.randint(-90, 90)
    not_after = end_of(day_of(start) + timedelta(days=days))
    pace = chance.choices(tuple(Pace), (68, 16, 8, 8))[0]
    return Holding(
        product=product,
        not_before=not_after - timedelta(days=365 * years),
        not_after=not_after,
        pace=Pace.PROMPT if early else pace,
    )
