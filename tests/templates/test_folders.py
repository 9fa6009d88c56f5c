"""Shows that what is written in the folders is whole and keeps to the rules."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import templates
from templates import contexts
from templates.bank import BankDetails
from templates.rendering import LOCALES

SHIPPED = Path(templates.__file__).parent
PARTS = ("sms.{}.txt", "subject.{}.txt", "body.{}.txt", "body.{}.html")
FOLDERS = [SHIPPED / message.message for message in contexts.MESSAGES]
SOURCES = sorted(file for folder in [SHIPPED / "_base", *FOLDERS] for file in folder.iterdir())
CHOSEN = (nodes.If, nodes.For, nodes.Block, nodes.Extends, nodes.Include, nodes.Assign)


def known(message: type[contexts.MessageContext]) -> set[str]:
    return {field.name for field in fields(message)} | {
        name for name in dir(message) if not name.startswith("_")
    }


def asked(source: Path, of: str) -> set[str]:
    tree = Environment(autoescape=True).parse(source.read_text())
    return {
        get.attr
        for get in tree.find_all(nodes.Getattr)
        if isinstance(get.node, nodes.Name) and get.node.name == of
    }


@pytest.mark.parametrize("message", contexts.MESSAGES)
def test_every_message_has_every_part_in_every_language(
    message: type[contexts.MessageContext],
) -> None:
    due = {part.format(locale) for part in PARTS for locale in LOCALES}

    written = {file.name for file in (SHIPPED / message.message).iterdir()}

    assert {name for name in written if not name.startswith("_")} == due


def test_every_folder_with_a_subject_is_a_message_with_facts() -> None:
    written = {file.parent.name for file in SHIPPED.glob("*/subject.*.txt")} - {"_base"}

    assert written == {message.message for message in contexts.MESSAGES}


@pytest.mark.parametrize("message", contexts.MESSAGES)
def test_templates_ask_only_for_facts_that_are_there(
    message: type[contexts.MessageContext],
) -> None:
    asked_for = {
        name for source in (SHIPPED / message.message).iterdir() for name in asked(source, "facts")
    }

    assert asked_for <= known(message)


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_template_has_no_logic_beyond_if_and_for(source: Path) -> None:
    tree = Environment(autoescape=True).parse(source.read_text())

    statements = {type(node) for node in tree.find_all(nodes.Stmt)}

    assert statements <= {*CHOSEN, nodes.Output}
    assert not list(tree.find_all(nodes.Call))
    assert asked(source, "bank") <= {field.name for field in fields(BankDetails)}


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_template_names_no_link_and_marks_nothing_safe(source: Path) -> None:
    text = source.read_text()

    assert not re.search(
        r"http|www|href|src=|line\.me|lin\.ee|\|\s*safe|autoescape", text, re.IGNORECASE
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_template_stands_on_a_base_of_its_own_form(source: Path) -> None:
    if source.parent.name == "_base" or source.name.startswith("_"):
        assert "extends" not in source.read_text()
    else:
        assert source.read_text().startswith(f'{{% extends "_base/{source.name}" %}}')


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_template_includes_only_its_own_form(source: Path) -> None:
    included = re.findall(r'include "([^"]+)"', source.read_text())

    assert all(name.endswith(source.suffix) for name in included)  # a txt does not escape


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_chinese_and_english_tell_the_same_facts(folder: Path) -> None:
    for chinese in folder.glob("*.zh-TW.*"):
        english = chinese.with_name(chinese.name.replace("zh-TW", "en"))
        assert asked(chinese, "facts") == asked(english, "facts"), chinese
