# SPDX-License-Identifier: GPL-3.0-or-later
"""Components as text for a terminal."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from gnoppix_build.report.component import DescribedComponent
from gnoppix_build.report.declarations import sections_of

_WIDTH: Final = 100
_HEADING: Final = "    "
_LINE: Final = "        "
_CONTINUATION: Final = "          "


def catalog_text(components: Iterable[DescribedComponent]) -> str:
    """Give a paragraph a component."""
    return "\n".join("\n".join((*_paragraph(each), "")) for each in components)


def _paragraph(described: DescribedComponent) -> Iterator[str]:
    manifest = described.component.manifest
    yield f"{described.component.name} ({manifest.kind}): {manifest.summary}"
    for section in sections_of(described):
        yield f"{_HEADING}{section.heading}"
        for line in section.lines:
            yield from textwrap.wrap(
                line,
                _WIDTH,
                initial_indent=_LINE,
                subsequent_indent=_CONTINUATION,
                break_long_words=False,
                break_on_hyphens=False,
            )
