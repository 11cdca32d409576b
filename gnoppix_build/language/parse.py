# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text to a tree with places, refusing what can mislead a reader or a program."""

from collections.abc import Iterator
from typing import Final, Protocol

import yaml

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.characters import (
    describe_character,
    is_not_yaml,
    refused_characters,
    split_lines,
)
from gnoppix_build.language.node import Document, Entry, Leaf, Listing, Node, Table

BYTE_LIMIT: Final = 1024 * 1024
DEPTH_LIMIT: Final = 32
NODE_LIMIT: Final = 20_000
_CHARACTERS_SHOWN: Final = 20
_TOO_DEEP: Final = "too-deep"
_TEMPLATE_MARKS: Final = ("{{", "{%", "{#")

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mark(Protocol):
    """A place as the parser gives it: index, line and column count from 0."""

    index: int
    line: int
    column: int


class _Stop(Exception):
    """The text cannot be read on from here."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def parse(text: bytes | str, name: str) -> Document:
    """Read one YAML text; never raises. `name` is the file that the places speak of.

    At most 1 MiB, 32 levels and 20,000 values. A plain and a quoted leaf keep their text: what
    it means is for the type that decodes it.
    """
    if len(text) > BYTE_LIMIT:
        message = f"the file is larger than {BYTE_LIMIT // 1024} KiB"
        start = Span(name, 1, 1, 1, 1)
        return Document(name, "", None, (Diagnostic("file-too-large", message, start),))
    if isinstance(text, str):
        return _parse_text(text, name)
    try:
        return _parse_text(text.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        readable = text[: error.start].decode("utf-8")
        place = _Places(readable, name).end()
        fault = Diagnostic("not-utf-8", "the text is not UTF-8 from here on", place)
        return Document(name, readable, None, (fault,))


def _parse_text(text: str, name: str) -> Document:
    places = _Places(text, name)
    found = list(refused_characters(text))
    diagnostics = [
        Diagnostic(
            "refused-character",
            f"{describe_character(match[0])} is not allowed here",
            places.at_index(match.start()),
        )
        for match in found[:_CHARACTERS_SHOWN]
    ]
    if any(is_not_yaml(match[0]) for match in found):
        return Document(name, text, None, tuple(diagnostics))
    composer = _Composer(text, places)
    root = composer.compose()
    return Document(name, text, root, tuple(diagnostics + composer.diagnostics))


class _Places:
    """Turns the parser's marks into spans that lie inside the text."""

    def __init__(self, text: str, name: str) -> None:
        self._lines = split_lines(text)
        self._text = text
        self._name = name

    def between(self, start: _Mark, end: _Mark) -> Span:
        return Span(self._name, *self._clamp(start), *self._clamp(end))

    def at_index(self, index: int) -> Span:
        before = split_lines(self._text[:index])
        line, column = len(before), len(before[-1]) + 1
        return Span(self._name, line, column, line, column + 1)

    def end(self) -> Span:
        line, column = len(self._lines), len(self._lines[-1]) + 1
        return Span(self._name, line, column, line, column)

    def _clamp(self, mark: _Mark) -> tuple[int, int]:
        line = min(mark.line, len(self._lines) - 1)
        column = mark.column if line == mark.line else len(self._lines[line])
        return line + 1, min(column, len(self._lines[line])) + 1


class _Composer:
    """Builds the tree from the stream of events, so that limits hold before memory is spent."""

    def __init__(self, text: str, places: _Places, loader: type[yaml.SafeLoader] = _LOADER) -> None:
        self._loader = loader
        self.diagnostics: list[Diagnostic] = []
        self._text = text
        self._places = places
        self._count = 0

    def compose(self) -> Node | None:
        events = self._events()
        try:
            return self._document(events)
        except _Stop as stop:
            self.diagnostics.append(stop.diagnostic)
        except yaml.MarkedYAMLError as error:
            if self._loader is not yaml.SafeLoader and (depth := self._find_depth()):
                self.diagnostics.append(depth)
                return None
            mark = error.problem_mark or error.context_mark
            place = self._places.between(mark, mark) if mark else self._places.end()
            problem = error.problem or error.context or "the text ends too early"
            self._report("not-yaml", f"this is not YAML: {problem}", place)
        except yaml.YAMLError:
            self._report("not-yaml", "this is not YAML", self._places.end())
        return None

    def _find_depth(self) -> Diagnostic | None:
        """Find nesting that libyaml gave up on before it gave an event to count by.

        Newer versions of it have a limit of their own and look far ahead; the slow parser has none.
        """
        if self._text.count("[") + self._text.count("{") <= DEPTH_LIMIT:
            return None
        slow = _Composer(self._text, self._places, yaml.SafeLoader)
        slow.compose()
        return next((each for each in slow.diagnostics if each.code == _TOO_DEEP), None)

    def _events(self) -> Iterator[yaml.Event]:
        loader = self._loader(self._text)
        try:
            while loader.check_event():
                yield loader.get_event()  # type: ignore[no-untyped-call]
        finally:
            loader.dispose()

    def _document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                span = self._span(event)
                if event.version or event.tags:
                    self._report("yaml-directive", "a YAML directive is not allowed here", span)
                if documents > 1:
                    self._report(
                        "several-documents",
                        "a second document starts here",
                        span,
                        hint="keep one document per file; take out the `---`",
                    )
                    break
                root = self._node(next(events), events, 1)
        if documents == 0:
            self._report("empty-file", "the file says nothing", self._places.end())
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        span = self._span(event)
        self._count += 1
        if self._count > NODE_LIMIT:
            message = f"the file has more than {NODE_LIMIT} values"
            raise _Stop(Diagnostic("too-many-values", message, span))
        if depth > DEPTH_LIMIT:
            message = f"values are nested deeper than {DEPTH_LIMIT} levels"
            raise _Stop(Diagnostic(_TOO_DEEP, message, span))
        if isinstance(event, yaml.AliasEvent):
            self._report(
                "alias",
                f"`*{event.anchor}` repeats another value",
                span,
                hint="write the value out, or share it with `extends:`",
            )
            return Leaf("", False, span, refused=True)
        assert isinstance(event, yaml.NodeEvent), "the parser gives one value here"
        self._refuse_properties(event, span)
        match event:
            case yaml.SequenceStartEvent():
                return self._listing(event, events, depth)
            case yaml.MappingStartEvent():
                return self._table(event, events, depth)
            case _:
                assert isinstance(event, yaml.ScalarEvent), "there are four kinds of values"
                return self._leaf(event, span)

    def _listing(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Listing:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return Listing(tuple(items), self._around(start, items[-1:], event))
            items.append(self._node(event, events, depth + 1))
        raise AssertionError("the parser closes every list")

    def _table(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Table:
        entries: dict[str, Entry] = {}
        values: list[Node] = []
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return Table(tuple(entries.values()), self._around(start, values[-1:], event))
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            values.append(value)
            entry = self._entry(key, value)
            if entry is None:
                continue
            first = entries.setdefault(entry.key.text, entry)
            if first is not entry:
                self._report(
                    "duplicate-key",
                    f"`{entry.key.text}` is given twice",
                    entry.key.span,
                    notes=(Note("it is given here first", first.key.span),),
                )
        raise AssertionError("the parser closes every mapping")

    def _entry(self, key: Node, value: Node) -> Entry | None:
        if not isinstance(key, Leaf):
            self._report(
                "key-not-text",
                "a key has to be text",
                key.span,
                hint="quote the value if it starts with `{` or `[`",
            )
            return None
        if key.text == "<<" and not key.quoted:
            self._report(
                "merge-key",
                "`<<` merges another value",
                key.span,
                hint="write the value out, or share it with `extends:`",
            )
            return None
        if isinstance(value, Leaf) and not (value.text or value.quoted or value.refused):
            self._report(
                "empty-value",
                f"`{key.text}` has no value",
                key.span,
                hint="write `{}` for an empty map, `[]` for an empty list, `''` for no text",
            )
            value = Leaf("", False, value.span, refused=True)
        return Entry(key, value)

    def _leaf(self, event: yaml.ScalarEvent, span: Span) -> Leaf:
        text = event.value
        match = next(refused_characters(text), None)
        refused = match is not None
        if match and match[0] not in self._text:
            message = f"{describe_character(match[0])} is not allowed here"
            self._report("refused-character", message, span)
        mark = next((mark for mark in _TEMPLATE_MARKS if mark in text), None)
        if mark:
            message = f"`{mark}` starts a template, and values are never templates"
            self._report("template-in-value", message, span)
            refused = True
        return Leaf(text, event.style is not None and event.style != "", span, refused)

    def _refuse_properties(self, event: yaml.NodeEvent, span: Span) -> None:
        if event.anchor is not None:
            self._report("anchor", f"`&{event.anchor}` names a value for later use", span)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._report(
                "tag",
                f"the tag `{tag}` is not allowed here",
                span,
                hint="take it out; the schema decides the type of a value",
            )

    def _around(self, start: yaml.Event, last: list[Node], end: yaml.Event) -> Span:
        closing = _marks(end)
        if closing[1].index > closing[0].index:
            return self._places.between(_marks(start)[0], closing[1])
        first = self._span(start)
        tail = last[0].span if last else first
        return Span(first.file, first.line, first.column, tail.end_line, tail.end_column)

    def _span(self, event: yaml.Event) -> Span:
        return self._places.between(*_marks(event))

    def _report(
        self,
        code: str,
        message: str,
        span: Span,
        notes: tuple[Note, ...] = (),
        hint: str | None = None,
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, notes, hint))


def _marks(event: yaml.Event) -> tuple[_Mark, _Mark]:
    assert event.start_mark is not None, "the parser marks every event"
    assert event.end_mark is not None, "the parser marks every event"
    return event.start_mark, event.end_mark
