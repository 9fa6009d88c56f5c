"""Shows that the sources stand alone, explain themselves and catch errors by name."""

import ast
import re
from collections import Counter

import pytest

from tests.house.checklist import ITEMS, items_of
from tests.house.sources import ROOT, modules, place, tracked

# Each pattern has a break in it, so that this file does not match itself.
FOREIGN = {
    "a path of one machine": re.compile(r"/(w[o]rk|f[a]rm|r[o]ot)/|/(h[o]me|U[s]ers)/\w"),
    "a folder beside the repository": re.compile(r"\.l[i]brary/|sh[a]red/(facts|design|style)"),
    "the host of a package index": re.compile(
        r"\b(p[y]pi\.(org|python)|python[h]osted|deb\.d[e]bian|registry\.n[p]m|repo1\.m[a]ven)\b",
    ),
}
BINARY = {".p12", ".pfx", ".der", ".p7b", ".png", ".ico", ".woff2", ".gz", ".db"}

#: Where everything may be caught, and how often: the outermost loop of a process.
#: Delivery is one: a bad event, whatever it breaks, must not stop the events behind it.
OUTERMOST_LOOPS = {"renewal/delivery/failures.py": 1, "renewal/delivery/worker_pool.py": 1}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names(what: str) -> None:
    texts = [path for path in tracked() if path.suffix not in BINARY]

    found = {place(path): FOREIGN[what].search(path.read_text(encoding="utf-8")) for path in texts}

    assert {where: match[0] for where, match in found.items() if match} == {}


def test_every_target_of_the_makefile_has_a_line_of_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")

    targets = re.findall(r"^([a-z][a-z-]*):(.*)$", text, flags=re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[0].split()
    explained = {name for name, rest in targets if re.search(r"## \S", rest)}

    assert {name for name, _ in targets} == explained
    assert set(phony) == explained


def test_the_documents_name_only_targets_that_there_are() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    documents = [path for path in tracked() if path.suffix == ".md"]

    targets = set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))
    named = {
        (place(path), target)
        for path in documents
        for target in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }

    assert ("docs/style.md", "check") in named
    assert {(where, target) for where, target in named if target not in targets} == set()


def opening(source: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.split("\n\n")[0].split())


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and not re.search(r"[.!?] [A-Z]", text)


def test_every_module_opens_with_one_sentence_that_says_what_it_is_for() -> None:
    sources = {place(path): path.read_text(encoding="utf-8") for path in modules()}

    openings = {where: opening(source) for where, source in sources.items() if source.strip()}

    assert openings
    assert {where: text for where, text in openings.items() if not is_one_sentence(text)} == {}


def catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {"everything" if kind is None else ast.unparse(kind) for kind in caught}
    return not names.isdisjoint({"everything", "Exception", "BaseException"})


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_errors_are_caught_by_name_except_in_outermost_loops() -> None:
    handlers = [
        (place(path), node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
    ]

    caught = Counter(where for where, it in handlers if catches_all(it) and not raises_again(it))

    assert caught == OUTERMOST_LOOPS


def test_markers_name_items_of_the_checklist(request: pytest.FixtureRequest) -> None:
    named = {(item, test.nodeid) for test in request.session.items for item in items_of(test)}

    assert {(item, test) for item, test in named if item not in ITEMS} == set()
