"""Holds a file against the published JSON Schema of its kind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: What is said of a file that is as the schema has it.
VALID = "ok -- validation done"


def said_of(file: Path, *schema: str) -> str:
    """What check-jsonschema, told by its options which schema, says of that file."""
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
