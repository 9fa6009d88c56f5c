"""What is written is wired: no name, policy key, setting, event or template that nobody uses."""

import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import msgspec
import pytest
from vulture import Vulture

from schema import policy
from schema.events import KINDS
from templates.contexts import MESSAGES
from tests.house.sources import PACKAGES, ROOT, modules, place
from xuqi.settings import Settings

#: Vulture is as sure as this of an attribute or a function that no code names.
SURE = 60

#: What others call or read by its name, by file; each with its caller.
CALLED_BY_OTHERS: dict[str, dict[str, set[str]]] = {
    "Alembic reads them": {
        "schema/migrations/versions/": {"down_revision", "branch_labels", "depends_on"},
    },
    "SQLAlchemy and its drivers call or read them": {
        "schema/tables/types.py": {
            "impl", "cache_ok", "process_bind_param", "result_processor", "coltype",
        },
        "renewal/db/key_lookup.py": {
            "impl", "cache_ok", "process_bind_param", "inherit_cache", "self_group", "against",
            "_each",
        },
        "renewal/db/engine.py": {"isolation_level"},
        "schema/migrate.py": {"isolation_level"},
    },
    "Python, click, uvicorn, pydantic, openpyxl, requests and Prometheus do": {
        "schema/reasons.py": {"_value_"},
        "templates/compiled.py": {"load_bytecode", "dump_bytecode"},
        "schema/state_machine.py": {"_value_"},
        "xuqi/cli/main.py": {"list_commands", "get_command", "format_commands"},
        "xuqi/serving/http.py": {"__call__", "should_exit"},
        "xuqi/serving/collector.py": {"describe"},
        "xuqi/serving/metrics.py": {"Collector"},
        "centre/api.py": {"model_config"},
        "back_office/console/api_values.py": {"model_config"},
        "back_office/runs/faulty.py": {"freeze_panes", "comment"},
        "renewal/gateways/sms/twilio.py": {"trust_env"},
        "token_station/signing.py": {"exchange", "memo"},
    },
    "columns: a row has a field for each, whoever reads it": {
        "renewal/db/rows.py": {
            "codes_bad_until", "text_hash", "submitted_at", "seconded_by", "opened_at",
        },
        "renewal/delivery/dead_letters.py": {"died_at"},
        "renewal/store/agreements.py": {"text_sha256"},
        "renewal/store/alarms.py": {"first_at"},
    },
    "members of a standard's or a policy's list, chosen by their value": {
        "renewal/gateways/ca/port.py": {"check_after"},
        "schema/events.py": {"PRIVILEGE_WITHDRAWN"},
        "renewal/gateways/sms/errors.py": {"UNREACHABLE", "stop_lane"},
        "renewal/rules/ber.py": {"SET"},
        "back_office/imports/der.py": {"SET"},
        "schema/states.py": {"USED", "ASSIGNED", "LOST", "DAMAGED", "RETURNED", "RECORDED"},
        "schema/policy.py": {"CARD", "APPLY", "SUCCESS", "KEEP"},
        "templates/contexts.py": {"APPLY"},
        "schema/reasons.py": {
            "KEY_COMPROMISE", "AFFILIATION_CHANGED", "PRIVILEGE_WITHDRAWN", "REACHED",
        },
        "token_station/screen/clerks.py": {"CLERK"},
        "xuqi/settings.py": {"bank_url"},
    },
    "fields that are written down or signed whole": {
        "renewal/gateways/mail/answers.py": {"because"},
        "renewal/gateways/sms/twilio_answers.py": {"because"},
        "renewal/gateways/mail/bounce.py": {"verdict"},
        "renewal/rules/station_link.py": {"body_sha256"},
        "token_station/port.py": {"key_slots"},
    },
    "what tests and benchmarks stand on: null gateways, a virtual reader, a ledger by itself": {
        "renewal/gateways/bank/null.py": {"NullBank"},
        "renewal/gateways/ca/null.py": {"NullCa"},
        "renewal/gateways/mail/null.py": {"NullMail"},
        "renewal/gateways/sms/null.py": {"NullSms"},
        "token_station/simulator/vpcd.py": {"VpcdSlot"},
        "token_station/pcsc.py": {"has_token"},
        "back_office/imports/sample.py": {"write_customers"},
        "renewal/ledger/ledger.py": {"post", "open_account"},
        "renewal/ledger/checks.py": {"pending_holds"},
    },
    "events of the version before, which may still lie on a log": {
        "schema/events.py": {"TokenJobRequestedV1", "TokenJobRequestedV2"},
    },
}  # fmt: skip


@cache
def words_of_templates() -> frozenset[str]:
    """Every name that a template uses: of a fact, a filter or the bank."""
    texts = (
        path.read_text(encoding="utf-8")
        for path in (ROOT / "templates").rglob("*")
        if path.suffix in {".txt", ".html", ".toml", ".svg"}
    )
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z_]\w+", text))


def in_a_template(name: str) -> bool:
    """Templates read a fact in their own language: `name_zh` is `bank.name` there."""
    return not {name, re.sub(r"_(zh|en)$", "", name)}.isdisjoint(words_of_templates())


@cache
def words_in_quotes() -> frozenset[str]:
    """What code reads by a name in a string: the cases of a table, columns, attributes."""
    texts = (path.read_text(encoding="utf-8") for path in modules())
    return frozenset(word for text in texts for word in re.findall(r"[\"']([a-z_]\w+)[\"']", text))


def allowed(where: str, name: str) -> bool:
    return any(
        where.startswith(file) and name in names
        for files in CALLED_BY_OTHERS.values()
        for file, names in files.items()
    )


@cache
def unused() -> dict[str, list[str]]:
    """What vulture finds, by file."""
    found = Vulture(ignore_decorators=["@command.command", "@*.command"])
    found.scavenge([str(ROOT / package) for package in PACKAGES])
    by_file: dict[str, list[str]] = {}
    for item in found.get_unused_code(min_confidence=SURE):
        by_file.setdefault(place(Path(item.filename)), []).append(item.name)
    return by_file


def test_every_name_is_used_by_the_product_or_by_a_template() -> None:
    left = [
        f"{where}: {name}"
        for where, names in unused().items()
        for name in names
        if not allowed(where, name) and not in_a_template(name) and name not in words_in_quotes()
    ]

    assert left == []


def test_nothing_is_allowed_that_is_gone() -> None:
    gone = [
        f"{file}: {name}"
        for files in CALLED_BY_OTHERS.values()
        for file, names in files.items()
        for name in names
        if not any(name in path.read_text(encoding="utf-8") for path in ROOT.glob(f"{file}*"))
    ]

    assert gone == []


# --- what is written in files -------------------------------------------------------------------


@cache
def product() -> str:
    """All code of the product but the module that declares what is looked for."""
    declaring = {"schema/policy.py", "xuqi/settings.py", "schema/events.py"}
    texts = (path.read_text(encoding="utf-8") for path in modules() if place(path) not in declaring)
    return "\n".join(texts)


def keys_of_a_policy() -> list[str]:
    parts = (it for it in vars(policy).values() if isinstance(it, type))
    return sorted(
        {key for it in parts if issubclass(it, msgspec.Struct) for key in it.__struct_fields__}
    )


@pytest.mark.parametrize("key", keys_of_a_policy())
def test_each_key_of_a_policy_is_read(key: str) -> None:
    own = (ROOT / "schema/policy.py").read_text(encoding="utf-8")

    assert re.search(rf"\.{key}\b", product() + own)


@pytest.mark.parametrize("name", sorted(field.name for field in fields(Settings)))
def test_each_setting_is_read(name: str) -> None:
    own = (ROOT / "xuqi/settings.py").read_text(encoding="utf-8")

    gateway = name.removesuffix("_url")  # the registry reads it by the kind of the gateway

    assert re.search(
        rf"(settings|self)\.{name}\b|\b{name}=|opener\(\"{gateway}\"\)", product() + own
    )


#: Emitted by nobody any more: they are read from logs that a version before has written.
OF_BEFORE = {
    "CertificateChangedV1",
    "ChangeRequestedV1",
    "TokenDeclinedV1",
    "TokenJobRequestedV1",
    "TokenJobRequestedV2",
    "TokenRequestSignedV1",
    "TokenWrittenV1",
}


@pytest.mark.parametrize("event", sorted(kind.__name__ for kind in KINDS))
def test_each_event_is_emitted_by_somebody(event: str) -> None:
    assert event in OF_BEFORE or re.search(rf"\b{event}\(", product())


def folders() -> list[str]:
    """The messages that have wording."""
    found = (path for path in (ROOT / "templates").iterdir() if path.is_dir())
    return sorted(path.name for path in found if any(path.glob("body.*")) and path.name[0] != "_")


def test_each_message_with_wording_is_sent_by_somebody() -> None:
    sent = {it.message for it in MESSAGES if re.search(rf"\b{it.__name__}\b", senders())}

    assert {name for name in folders() if name not in sent} == set()


@cache
def senders() -> str:
    """Where messages are made from what has happened; their wording and its tests are elsewhere."""
    elsewhere = ("templates/", "simulation/")
    texts = (
        path.read_text(encoding="utf-8")
        for path in modules()
        if not place(path).startswith(elsewhere)
    )
    return "\n".join(texts)


def test_each_page_is_rendered_extended_or_included() -> None:
    pages = ROOT / "templates" / "pages"
    names = [path.relative_to(pages).as_posix() for path in pages.rglob("*.html")]
    texts = product() + "\n".join(
        path.read_text(encoding="utf-8") for path in pages.rglob("*.html")
    )

    unused_pages = [
        name
        for name in names
        if not re.search(rf"[\"'/]{re.escape(Path(name).name)}[\"']", texts)
        and not re.search(rf"[\"']{re.escape(name.removesuffix('.html'))}[\"']", texts)
        and not re.search(rf"[\"']{re.escape(Path(name).stem)}[\"']", texts)
    ]

    assert unused_pages == []
