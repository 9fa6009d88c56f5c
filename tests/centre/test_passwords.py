"""How much work a guess at a stolen hash is."""

from __future__ import annotations

import subprocess
import sys


def test_outside_the_tests_a_password_is_hashed_with_the_work_of_rfc_9106() -> None:
    """In a process of its own: these tests hash with little work."""
    ask = "from web.passwords import hash_of; print(hash_of('correct horse battery'))"

    found = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)

    assert found.stdout.startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # section 4, second option
