"""Checks every setting, policy, file and outside system without starting anything."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.clock import SystemClock
from renewal.db import sessions
from renewal.db.engine import StoreUnavailableError
from renewal.errors import GatewayError, GatewayRefusedError, XuqiError
from renewal.eventlog.port import LogUnavailableError
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.registry import adapter_module
from renewal.gateways.sms.port import GatewayMisconfiguredError
from renewal.keys import KEY_NAMES
from renewal.store.certificates import products_in_force
from schema.migrate import MigrationError
from schema.migrate import check as check_tables
from schema.policy import PolicyError, load_policies
from schema.reasons import SettingReason
from templates.codes import remedy, text
from web.oidc.id_token import ALGORITHMS
from web.oidc.provider import SignOnError
from xuqi import bank
from xuqi.bank_log_in import customer_log_in, staff_log_in
from xuqi.bootstrap import open_bounces, open_gateways
from xuqi.event_log import check_log, is_kafka
from xuqi.key_files import read_keys
from xuqi.policies import open_policies
from xuqi.settings import PREFIX, Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from renewal.clock import Clock
    from renewal.keys import Keys
    from renewal.rules.policies import Policies
    from schema.policy import Policy
    from schema.reasons import Reason
    from web.oidc.sign_on import SignOn


@dataclass(frozen=True, kw_only=True)
class ConfigFinding:
    """One thing that would go wrong, or do nothing: its setting, why, and what to do."""

    setting: str
    why: Reason

    @property
    def code(self) -> str:
        return self.why.code.value

    def reason(self, language: str) -> str:
        return text(self.why, language)

    def remedy(self, language: str) -> str:
        return remedy(self.why, language)


def check_config(
    settings: Settings, environment: Mapping[str, str] = os.environ, *, connect: bool = False
) -> Iterator[ConfigFinding]:
    """
    Everything that is wrong; nothing is made and nothing is sent.

    ``connect``: also whether carriers and mail servers answer and let us in.
    """
    yield from without_effect(settings, environment)
    yield from _bank(settings)
    for check in (_secrets, _policies, _gateways, _tables, _log, _readers):
        try:
            yield from check(settings)
        except (XuqiError, PolicyError) as error:
            yield _as_finding(error)
    if connect:
        yield from _carriers(settings)
    for face, made in (("centre", customer_log_in), ("console", staff_log_in)):
        try:
            log_in = made(settings, SystemClock(), environment)
            yield from _issuer(face, log_in.sign_on) if log_in else ()
        except SettingsError as error:
            yield _as_finding(error)


def _as_finding(error: XuqiError | PolicyError) -> ConfigFinding:
    if isinstance(error, SettingsError):
        return ConfigFinding(setting=error.about, why=error.reason)
    if isinstance(error, PolicyError):
        why = SettingReason.POLICY.why(file=error.file, field=error.field, detail=error.reason)
        return ConfigFinding(setting=f"{PREFIX}POLICIES", why=why)
    return ConfigFinding(setting="-", why=SettingReason.TEXT.why(detail=str(error)))


OIDC_SETTINGS = tuple(field.name for field in fields(Settings) if "_oidc_" in field.name)


def _is_local(face: str) -> Callable[[Settings], bool]:
    return lambda settings: getattr(settings, f"{face}_log_in") == "local"


#: A setting that was given and does nothing: when, and the setting that makes it so.
_NO_EFFECT: tuple[tuple[str, Callable[[Settings], bool], str], ...] = (
    ("replication", lambda it: not is_kafka(it), "log_url"),
    ("member", lambda it: not is_kafka(it), "log_url"),
    ("synchronous", lambda it: it.database_file is None, "store_url"),
    ("metrics_host", lambda it: not it.metrics_port, "metrics_port"),
    *(
        (name, _is_local(name.partition("_")[0]), f"{name.partition('_')[0]}_log_in")
        for name in OIDC_SETTINGS
    ),
)


def without_effect(settings: Settings, environment: Mapping[str, str]) -> Iterator[ConfigFinding]:
    """Each setting that is given and does nothing beside the others."""
    for name, does_nothing, because in _NO_EFFECT:
        variable = PREFIX + name.upper()
        if environment.get(variable) and does_nothing(settings):
            other = PREFIX + because.upper()
            yield ConfigFinding(setting=variable, why=SettingReason.NO_EFFECT.why(other=other))
    if settings.branch not in settings.branch_names:
        unknown = SettingReason.BRANCH_UNKNOWN.why(branch=settings.branch)
        yield ConfigFinding(setting="XUQI_BRANCH", why=unknown)
    if settings.trust is not None and not settings.trust.exists():
        missing = SettingReason.NO_TRUST.why(file=str(settings.trust))
        yield ConfigFinding(setting="XUQI_TRUST", why=missing)


def _bank(settings: Settings) -> Iterator[ConfigFinding]:
    folder = settings.bank_folder
    for wrong in bank.faults(folder) if folder is not None and folder.is_dir() else ():
        where = f"{wrong.file}:{wrong.key}"
        why = SettingReason.BANK_DATA.why(first=str(wrong), where=where, more=1)
        yield ConfigFinding(setting="XUQI_BANK", why=why)
    try:
        opened = bank.open_bank(settings)
        bank.check_whose_messages(settings, opened)
    except SettingsError as error:
        if folder is None or not folder.is_dir() or not bank.faults(folder):
            yield _as_finding(error)
        return
    yield from _branches(settings, {one.code for one in opened.details.branches}, opened.folder)


def _branches(settings: Settings, named: set[str], folder: object) -> Iterator[ConfigFinding]:
    unknown = sorted(named - settings.branch_names)
    if folder is not None and unknown:
        why = SettingReason.BRANCHES_UNKNOWN.why(branches=", ".join(unknown))
        yield ConfigFinding(setting="XUQI_BANK", why=why)


def _secrets(settings: Settings) -> Iterator[ConfigFinding]:
    if settings.secrets is not None or settings.is_used:  # else the first start makes them
        keys = read_keys(settings)
        # Of a folder that is named, a component has its own: those that are here must be keys.
        for name in [one for one in KEY_NAMES if keys.has(one)] or ["columns"]:
            keys.ring(name)
    yield from ()


def _policies(settings: Settings) -> Iterator[ConfigFinding]:
    policies = load_policies(settings.policies)
    open_policies(settings)
    for policy in policies.values():
        # Those shipped keep what their source says, and explain it.
        for key in keys_without_effect(policy) if settings.policies is not None else ():
            why = SettingReason.KEY_NO_EFFECT.why(product=policy.product, key=key)
            yield ConfigFinding(setting=f"{PREFIX}POLICIES", why=why)


def keys_without_effect(policy: Policy) -> Iterator[str]:
    """The keys of a policy that say something which nothing follows from."""
    missed = [step for step in policy.ladder if step < -policy.window.after_days]
    if missed:
        yield f"ladder {missed}"


def _gateways(settings: Settings) -> Iterator[ConfigFinding]:
    keys, clock = read_keys_or_none(settings), SystemClock()
    for kind in ("sms", "mail", "ca", "bank"):
        url = getattr(settings, f"{kind}_url")
        try:
            adapter_module(kind, url)
        except GatewayAddressError as error:
            yield ConfigFinding(setting=f"{PREFIX}{kind.upper()}_URL", why=error.reason)
            continue
        if keys is None or url in {"local:", "embedded:"}:
            continue  # ours: opening would make it
        try:
            getattr(open_gateways(settings, clock, keys), kind)
        except XuqiError as error:
            yield _as_finding(error)
    if keys is not None:
        open_bounces(settings, clock, keys)


def _carriers(settings: Settings) -> Iterator[ConfigFinding]:
    """Each carrier and mailbox that can be asked without sending anything."""
    keys, clock = read_keys_or_none(settings), SystemClock()
    if keys is None:
        return
    for kind in ("sms", "mail", "bounces"):
        try:
            _greet(kind, settings, clock, keys)
        except SettingsError:
            continue  # said already
        except GatewayError as error:
            ours = isinstance(error, GatewayMisconfiguredError | GatewayRefusedError)
            code = SettingReason.CARRIER_REFUSES if ours else SettingReason.CARRIER_AWAY
            why = code.why(detail=str(error))
            yield ConfigFinding(setting=f"{PREFIX}{kind.upper()}_URL", why=why)


def _greet(kind: str, settings: Settings, clock: Clock, keys: Keys) -> None:
    if kind == "bounces":
        mailbox = open_bounces(settings, clock, keys)
        if mailbox is not None:
            with closing(mailbox):
                mailbox.unread(0)
    elif not getattr(settings, f"{kind}_url").startswith("local:"):
        with closing(getattr(open_gateways(settings, clock, keys), kind)) as gateway:
            gateway.greet()


def read_keys_or_none(settings: Settings) -> Keys | None:
    """The secrets, where they are: none are made."""
    return read_keys(settings) if settings.secrets is not None or settings.is_used else None


def _tables(settings: Settings) -> Iterator[ConfigFinding]:
    if settings.database_file is not None and not settings.is_used:
        return  # the first start makes it
    try:
        check_tables(settings.store)
        yield from _sessions(settings)
        yield from _products(settings, open_policies(settings))
    except MigrationError as error:
        why = SettingReason.TABLES.why(detail=str(error))
        yield ConfigFinding(setting="XUQI_STORE_URL", why=why)
    except (StoreUnavailableError, sa.exc.DBAPIError):
        yield ConfigFinding(setting="XUQI_STORE_URL", why=SettingReason.DATABASE_AWAY.why())


def _sessions(settings: Settings) -> Iterator[ConfigFinding]:
    if settings.database_file is None and not sessions.are_kept(settings.store):
        yield ConfigFinding(setting="XUQI_STORE_URL", why=SettingReason.POOLER.why())


def _products(settings: Settings, policies: Policies) -> Iterator[ConfigFinding]:
    for product, count in products_without_policy(settings, policies):
        why = SettingReason.PRODUCT_WITHOUT_POLICY.why(count=count, product=product)
        yield ConfigFinding(setting=f"{PREFIX}POLICIES", why=why)
    yield from ()


def products_without_policy(settings: Settings, policies: Policies) -> list[tuple[str, int]]:
    """Each product with certificates in force that no policy file is for, and how many."""
    engine = sa.create_engine(settings.store, poolclass=sa.pool.NullPool, hide_parameters=True)
    with engine.connect() as connection:
        found = products_in_force(connection)
    return [(name, count) for name, count in found.items() if name not in policies.by_product]


def _log(settings: Settings) -> Iterator[ConfigFinding]:
    try:
        check_log(settings)
    except LogUnavailableError as error:
        why = SettingReason.LOG_AWAY.why(detail=str(error))
        yield ConfigFinding(setting="XUQI_LOG_URL", why=why)


def _issuer(face: str, sign_on: SignOn) -> Iterator[ConfigFinding]:
    """The issuer answers, is the one that is named, and signs in a way that is taken."""
    try:
        published = sign_on.issuer.metadata()
        sign_on.issuer.keys(None)
    except SignOnError as error:
        why = SettingReason.ISSUER_AWAY.why(detail=error.why)
        yield ConfigFinding(setting=f"{PREFIX}{face.upper()}_OIDC_ISSUER", why=why)
        return
    if not ALGORITHMS.intersection(published.id_token_signing_alg_values_supported):
        why = SettingReason.ISSUER_SIGNS.why(known=", ".join(sorted(ALGORITHMS)))
        yield ConfigFinding(setting=f"{PREFIX}{face.upper()}_OIDC_ISSUER", why=why)


def _readers(settings: Settings) -> Iterator[ConfigFinding]:
    if settings.readers == "pcsc" and find_spec("smartcard") is None:
        missing = SettingReason.NO_DRIVER.why(module="pyscard", target="station")
        yield ConfigFinding(setting="XUQI_READERS", why=missing)
