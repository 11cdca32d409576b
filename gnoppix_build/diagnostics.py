# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in what a person wrote, told the way a compiler tells them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


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
    text = sources.get(span.file, "").splitlines()
    if 0 < span.line <= len(text):
        quoted = _printable(text[span.line - 1])
        end = span.end_column if span.end_line == span.line else len(quoted) + 1
        carets = "^" * max(1, end - span.column)
        lines += [
            f"{margin} |",
            f"{number} | {quoted}",
            f"{margin} | {' ' * (span.column - 1)}{carets}",
        ]
    for note in diagnostic.notes:
        where = f"{note.span.file}:{note.span.line}:{note.span.column}: " if note.span else ""
        lines.append(f"{margin} = note: {where}{note.message}")
    if diagnostic.hint:
        lines.append(f"{margin} = hint: {diagnostic.hint}")
    return "\n".join(lines)


def _printable(line: str, limit: int = 160) -> str:
    shown = "".join(char if char.isprintable() else "�" for char in line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
