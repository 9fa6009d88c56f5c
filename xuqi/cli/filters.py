"""Takes the values by which lists are filtered, and names those that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schema.state_machine import State


class _OneOf(click.ParamType[str]):
    """A value by its own name, or as the list shows it in either language."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = self.known(ctx)
        wanted = value.strip().casefold()
        for name, shown in known.items():
            if wanted in {name.casefold(), *(text.casefold() for text in shown)}:
                return name
        raise self._refused(value, known, param, ctx)

    def known(self, ctx: click.Context | None) -> Mapping[str, tuple[str, ...]]:
        """Each value with what it is called."""
        raise NotImplementedError

    def _refused(
        self,
        value: str,
        known: Mapping[str, tuple[str, ...]],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> click.BadParameter:
        each = ", ".join(
            f"{name}（{shown[0]}）" if shown else name for name, shown in known.items()
        )
        sentence = f"{value!r}: 可用的值 / these exist: {each}"
        return click.BadParameter(sentence, ctx=ctx, param=param)


class StateFilter(_OneOf):
    """``machine``: the name of an enumeration of ``schema.states``."""

    def __init__(self, machine: str) -> None:
        self._machine = machine

    def known(self, ctx: click.Context | None) -> Mapping[str, tuple[str, ...]]:
        del ctx
        from schema import states  # noqa: PLC0415 - help needs none
        from templates.codes import text  # noqa: PLC0415

        each: type[State] = getattr(states, self._machine)
        return {one.value: (text(one, "zh-TW"), text(one, "en")) for one in each}


class ProductFilter(_OneOf):
    """A product of the installation, by its name or title."""

    def known(self, ctx: click.Context | None) -> Mapping[str, tuple[str, ...]]:
        cli = ctx.find_object(CliContext) if ctx else None
        if cli is None:
            return {}
        policies = cli.policies.by_product
        return {name: (policy.title.zh, policy.title.en) for name, policy in policies.items()}


class RevocationReasonOption(_OneOf):
    """A reason of a revocation, by its name in RFC 5280; ``customers``: one that they may give."""

    def __init__(self, *, customers: bool) -> None:
        self._customers = customers

    def known(self, ctx: click.Context | None) -> Mapping[str, tuple[str, ...]]:
        del ctx
        from renewal.rules.revocation import CUSTOMERS_REASONS  # noqa: PLC0415 - help needs none
        from schema.events import RevocationReason  # noqa: PLC0415
        from schema.reasons import CaReason  # noqa: PLC0415
        from templates.codes import text  # noqa: PLC0415

        given = CUSTOMERS_REASONS if self._customers else tuple(RevocationReason)
        codes = [CaReason(one.value) for one in given]
        return {one.value: (text(one, "zh-TW"), text(one, "en")) for one in codes}


def revocation_reason(*, customers: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--reason",
        type=RevocationReasonOption(customers=customers),
        default="cessationOfOperation",
        show_default=True,
        help="憑證機構公布的原因：keyCompromise、affiliationChanged、superseded…"
        " / the reason that the CA publishes (RFC 5280)",
    )


class ConsumerFilter(_OneOf):
    """A consumer of the log, by its group."""

    def known(self, ctx: click.Context | None) -> Mapping[str, tuple[str, ...]]:
        del ctx
        from consumers.registry import CONSUMERS  # noqa: PLC0415 - help needs none

        return dict.fromkeys(CONSUMERS, ())
