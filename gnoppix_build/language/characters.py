# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters that a text may not hold: they would hide what it says, or are not YAML."""

import re
from collections.abc import Iterator

_NOT_YAML = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"
_HIDING = "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\U000e0000-\U000e007f"
_REFUSED = re.compile(f"[{_NOT_YAML}{_HIDING}]")
_FATAL = re.compile(f"[{_NOT_YAML}]")
_LINE_BREAK = re.compile("\r\n|\r|\n")

_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def refused_characters(text: str) -> Iterator[re.Match[str]]:
    """Find every character of the text that is refused."""
    return _REFUSED.finditer(text)


def is_not_yaml(character: str) -> bool:
    """Tell whether YAML itself has no place for the character."""
    return _FATAL.match(character) is not None


def describe_character(character: str) -> str:
    """Name a character without printing it."""
    code = f"U+{ord(character):04X}"
    if character in _BIDIRECTIONAL:
        return f"the character {code}, which turns the direction of writing"
    if is_not_yaml(character):
        return f"the control character {code}"
    return f"the invisible character {code}"


def split_lines(text: str) -> list[str]:
    """Split a text at the line breaks of YAML 1.2, which are fewer than those of Python."""
    return _LINE_BREAK.split(text)
