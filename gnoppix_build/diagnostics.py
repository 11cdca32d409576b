# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in what a person wrote, told the way a compiler tells them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_LINE_BREAK: Final = re.compile("\r\n|\r|\n")
_WIDTH: Final = 160
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: lines and columns count from 1, `end_column` is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Note:
    """A further fact of a diagnostic, with the place that it is about if there is one."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: code (kebab-case, stable), message, place, further places, one way out."""

    code: str
    message: str
    span: Span
    notes: tuple[Note, ...] = ()
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"


def format_diagnostic(diagnostic: Diagnostic, sources: Mapping[str, str]) -> str:
    """Write a diagnostic as text, quoting its line; `sources` maps file name to its text."""
    span = diagnostic.span
    place = f"{span.file}:{span.line}:{span.column}"
    lines = [f"{place}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"]
    number = str(span.line)
    margin = " " * len(number)
    text = _LINE_BREAK.split(sources.get(span.file) or "")
    if 0 < span.line <= len(text) and text[span.line - 1]:
        quoted, before, carets = _quote(text[span.line - 1], span)
        lines += [
            f"{margin} |",
            f"{number} | {quoted}",
            f"{margin} | {' ' * before}{'^' * carets}",
        ]
    for note in diagnostic.notes:
        where = f"{note.span.file}:{note.span.line}:{note.span.column}: " if note.span else ""
        lines.append(f"{margin} = note: {where}{note.message}")
    if diagnostic.hint:
        lines.append(f"{margin} = hint: {diagnostic.hint}")
    return "\n".join(_printable(line) for line in lines)


def _quote(line: str, span: Span) -> tuple[str, int, int]:
    """Cut a window out of a long line; gives it, the columns before the carets, the carets."""
    end = span.end_column if span.end_line == span.line else len(line) + 1
    start = 0 if span.column <= _WIDTH else span.column - _WIDTH // 2
    window = line[start : start + _WIDTH]
    before = span.column - 1 - start
    return window, before, max(1, min(end - span.column, len(window) - before))


def _printable(text: str) -> str:
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)
