"""A number too large for any table is refused in words by each command that takes a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tests.scenario.sample import open_sample
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi as command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

LARGE = (str(2**63), str(2**64), "9" * 30)
#: They serve until they are stopped, or make a whole bank.
NOT_TRIED = {"demo", "try", "console", "station"}


def commands(of: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(of, click.Group):
        context = click.Context(of)
        for name in of.list_commands(context):
            found = of.get_command(context, name)
            assert found is not None
            yield from commands(found, (*words, name))
    else:
        yield " ".join(words), of


WITH_NUMBERS = {
    name: found
    for name, found in commands(command)
    if name not in NOT_TRIED
    and any(isinstance(one.type, click.types.IntParamType) for one in found.params)
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    opened = open_sample(tmp_path_factory.mktemp("large") / "bank")
    yield opened
    opened.close()


def filled(found: click.Command, number: str, file: Path) -> list[str]:
    """Each number, and whatever else the command must have."""
    words = []
    for one in found.params:
        if isinstance(one.type, click.types.IntParamType):
            value = number
        elif not one.required:
            continue
        elif isinstance(one.type, click.Choice):
            value = str(one.type.choices[0])
        else:
            value = str(file) if isinstance(one.type, click.Path) else "x"
        words += [value] if isinstance(one, click.Argument) else [one.opts[-1], value]
    return words


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_each_command_says_that_there_is_none(
    world: Scenario, tmp_path: Path, name: str, number: str
) -> None:
    (file := tmp_path / "file").write_text("certificate\n1\n")
    words = [*name.split(), *filled(WITH_NUMBERS[name], number, file)]

    called = CliRunner().invoke(
        command,
        ["--home", str(world.home), "--lang", "zh-TW", *words],
        obj=CliContext(clock=world.clock),
    )

    assert called.exception is None or isinstance(called.exception, SystemExit), called.exc_info
    assert called.exit_code in {0, 1, 2}


def test_there_are_such_commands() -> None:
    assert len(WITH_NUMBERS) > 30
