# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for words that a system should have forgotten."""

from collections.abc import Iterable
from typing import Any

from gnoppix_build.checks.programs import command_of


def traces_of(host: Any, words: Iterable[str], since: str) -> list[str]:
    """Give the files and devices that hold one of the words, written since a file was touched.

    The words are handed over in hexadecimal, so that the search does not find itself.
    """
    look = command_of("find_words", since)
    asked = " ".join(word.encode().hex() for word in words)
    found: list[str] = host.check_output(f"echo {asked} | {look}").split()
    return found
