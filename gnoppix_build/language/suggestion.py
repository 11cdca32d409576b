# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_WORDS_LISTED: Final = 12


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Write a hint that names the nearest known word, or lists them if they are few."""
    words = sorted(known)
    near = nearest(word, words)
    if near:
        return f"did you mean `{near}`?"
    if 0 < len(words) <= _WORDS_LISTED:
        return "known: " + ", ".join(f"`{each}`" for each in words)
    return None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that is most like this one, if one is."""
    return next(iter(get_close_matches(word[:80], list(known), n=1)), None)
