# SPDX-License-Identifier: GPL-3.0-or-later
"""A component as a page of the documentation: its README, then what its folder declares."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gnoppix_build.report.component import DescribedComponent
from gnoppix_build.report.declarations import Section, sections_of

INDEX_FILE: Final = "README.md"
_NOTICE: Final = "<!-- Made by `./run docs` from the component's folder. -->"
# A code span, or what would be markup outside of one. Source: CommonMark 0.31, 2.4 and 6.1.
_MARKUP: Final = re.compile(r"(`[^`]*`)|([\\`*_<>\[\]#|])")


def catalog_pages(components: Iterable[DescribedComponent]) -> Mapping[str, str]:
    """Give the pages and their index: file name -> text."""
    known = tuple(components)
    pages = {f"{each.component.name}.md": _page(each) for each in known}
    return {**pages, INDEX_FILE: _index(known)}


def _page(described: DescribedComponent) -> str:
    manifest = described.component.manifest
    title = f"# {described.component.name}"
    readme = described.readme.strip().removeprefix(title).strip()
    parts = [_NOTICE, title, f"*{_escape(manifest.summary)}.* Kind: {manifest.kind}.", readme]
    parts += [_section(section) for section in sections_of(described)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: Section) -> str:
    lines = [f"- {_escape(line)}" for line in section.lines]
    return "\n".join((f"## {section.heading.capitalize()}", "", *lines))


def _index(components: tuple[DescribedComponent, ...]) -> str:
    return "\n".join((_NOTICE, "", "# Components", "", *_entries(components), ""))


def _entries(components: tuple[DescribedComponent, ...]) -> Iterator[str]:
    kinds = sorted({each.component.manifest.kind for each in components})
    for number, kind in enumerate(kinds):
        yield from ([""] if number else [])
        yield from (f"## {kind.capitalize()}", "")
        for each in components:
            if each.component.manifest.kind == kind:
                name = each.component.name
                yield f"- [{name}]({name}.md): {_escape(each.component.manifest.summary)}"


def _escape(line: str) -> str:
    return _MARKUP.sub(lambda found: found[1] or f"\\{found[2]}", line)
