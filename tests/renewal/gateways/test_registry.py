"""Shows that each outside system is opened by the scheme of its address."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from renewal.clock import SystemClock
from renewal.gateways.address import GatewayAddressError, Surroundings
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.mail.smtp import SmtpMail
from renewal.gateways.registry import ADAPTERS, open_gateway
from tests.scenario.refusals import refused
from xuqi.bootstrap import LazyGateways, open_gateways
from xuqi.key_files import read_keys
from xuqi.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

MODULES = sorted({module for adapters in ADAPTERS.values() for module in adapters.values()})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def surroundings(settings: Settings) -> Surroundings:
    return Surroundings(
        home=settings.home,
        clock=SystemClock(),
        keys=read_keys(settings),
        public="",
        secret=lambda name: f"the secret of {name}",
    )


@pytest.mark.parametrize("module", MODULES)
def test_every_adapter_opens_itself(module: str) -> None:
    assert callable(import_module(module).from_url)


def test_the_registry_knows_the_kinds_that_an_installation_has() -> None:
    kinds = {name for name in vars(LazyGateways) if not name.startswith("_")}

    assert set(ADAPTERS) - {"bounces"} == kinds


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_unknown_scheme_is_refused_with_those_that_there_are(
    kind: str, settings: Settings
) -> None:
    known = ", ".join(f"{scheme}:" for scheme in ADAPTERS[kind])
    with refused(GatewayAddressError, f"its scheme is none of {known}$"):
        open_gateway(kind, "pigeon://coop", surroundings(settings))


@pytest.mark.parametrize("kind", ["ca", "bank"])
def test_an_embedded_server_has_no_more_to_its_address(kind: str, settings: Settings) -> None:
    with refused(GatewayAddressError, "that Xuqi knows"):
        open_gateway(kind, "embedded://elsewhere", surroundings(settings))


def test_an_adapter_is_made_of_its_address_and_its_secret(settings: Settings) -> None:
    address = "smtp://us@mail.example:2525?from=xuqi@bank.example"

    made = open_gateway("mail", address, surroundings(settings))

    assert isinstance(made, SmtpMail)


def test_a_ca_that_its_passphrase_does_not_open_names_the_secrets(settings: Settings) -> None:
    keys = read_keys(settings)
    ca = open_gateways(settings, SystemClock(), keys).ca
    assert isinstance(ca, EmbeddedCa)
    ca.close()
    (settings.home / "secrets" / "ca.key").chmod(0o600)
    (settings.home / "secrets" / "ca.key").write_text("0" * 64)

    with pytest.raises(SettingsError, match=r"^XUQI_SECRETS: ca\.key: "):
        _ = open_gateways(settings, SystemClock(), read_keys(settings)).ca
