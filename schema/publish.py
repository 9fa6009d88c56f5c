"""Publishes the JSON Schema of each kind of event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema.codec import json_schemas, kind_name
from schema.events import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).with_name("json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> Mapping[str, str]:
    """The files as they must be: name and text."""
    components = json_schemas()
    return {f"{kind_name(kind)}.json": _text(components, kind.__name__) for kind in KINDS}


def _text(components: Mapping[str, Any], name: str) -> str:
    used = {other: components[other] for other in _refers(components[name])}
    document = {"$schema": DIALECT, **components[name]} | ({"$defs": used} if used else {})
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _refers(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _refers(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _refers(value)


def main() -> None:
    """Run by hand after a kind was added: ``python -m schema.publish``."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in published().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
