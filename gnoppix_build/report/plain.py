# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a target made harmless for terminals and XML."""

import re

# What XML 1.0 cannot hold, and the C1 controls and direction marks that fool a terminal.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def strip_control_characters(text: str) -> str:
    """Give the text without control characters; tabs and line ends stay."""
    return UNPRINTABLE.sub("", text)
