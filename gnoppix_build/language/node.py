# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of a YAML text: every value knows its place, a leaf keeps its text and quoting."""

from dataclasses import dataclass

from gnoppix_build.diagnostics import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar as written; `refused` when a diagnostic about it was given already."""

    text: str
    quoted: bool
    span: Span
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    items: tuple["Node", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a table and its value."""

    key: Leaf
    value: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; its keys differ from each other."""

    entries: tuple[Entry, ...]
    span: Span

    def entry(self, key: str) -> Entry | None:
        """Find an entry by its key."""
        return next((entry for entry in self.entries if entry.key.text == key), None)


Node = Leaf | Listing | Table
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its tree (None when it is not YAML) and the mistakes found on the way."""

    name: str
    text: str
    root: Node | None
    diagnostics: tuple[Diagnostic, ...]


def child(node: Node, step: str | int) -> Node | None:
    """Go one step down: by key in a table, by index in a list."""
    match node, step:
        case Table(), str():
            entry = node.entry(step)
            return entry.value if entry else None
        case Listing(), int() if 0 <= step < len(node.items):
            return node.items[step]
        case _:
            return None


def span_of(node: Node, path: Path) -> Span:
    """Give the place of the value at the path, or of the deepest value on the way to it."""
    for step in path:
        below = child(node, step)
        if below is None:
            break
        node = below
    return node.span


def key_span(node: Node, path: Path) -> Span:
    """Give the place of the key that the path ends with, or of the nearest value above it."""
    parent = node
    for step in path[:-1]:
        below = child(parent, step)
        if below is None:
            return parent.span
        parent = below
    last = path[-1] if path else None
    if isinstance(parent, Table) and isinstance(last, str) and (entry := parent.entry(last)):
        return entry.key.span
    return span_of(parent, path[-1:])
