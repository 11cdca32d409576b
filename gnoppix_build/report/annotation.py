# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnostics as the annotations that a CI shows at the lines of a change."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.report.plain import strip_control_characters

# Source: actions/toolkit, packages/core/src/command.ts; `%` first, as it marks what is escaped.
_ESCAPES_IN_TEXT: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_ESCAPES_IN_PROPERTY: Final = {**_ESCAPES_IN_TEXT, ":": "%3A", ",": "%2C"}
_SEVERITIES: Final = {"error": "major", "warning": "minor"}


def annotate_github(diagnostics: Iterable[Diagnostic], folder: PurePath) -> str:
    """Give a workflow command a line; paths below `folder`, the checkout, are relative to it.

    A line begins with a command of ours, so whatever a profile says in it is no command.
    Source: GitHub's documentation of workflow commands.
    """
    return "".join(f"{_command(each, folder)}\n" for each in diagnostics)


def annotate_gitlab(diagnostics: Iterable[Diagnostic], folder: PurePath) -> str:
    """Give a Code Quality report; paths below `folder`, the checkout, are relative to it.

    A fingerprint holds no line, so a mistake that only moves stays the same one.
    Source: GitLab's documentation of the Code Quality report format.
    """
    seen: Counter[str] = Counter()
    issues = [_issue(each, folder, seen) for each in diagnostics]
    return json.dumps(issues, indent=2) + "\n"


def _command(diagnostic: Diagnostic, folder: PurePath) -> str:
    span = diagnostic.span
    properties: dict[str, object] = {
        "file": _relative(span.file, folder),
        "line": span.line,
        "endLine": span.end_line,
    }
    if span.end_line == span.line:
        last = max(span.column, span.end_column - 1)
        properties |= {"col": span.column, "endColumn": last}
    properties["title"] = diagnostic.code
    written = ",".join(
        f"{name}={_escape(str(value), _ESCAPES_IN_PROPERTY)}" for name, value in properties.items()
    )
    return f"::{diagnostic.severity} {written}::{_escape(_tell(diagnostic), _ESCAPES_IN_TEXT)}"


def _issue(diagnostic: Diagnostic, folder: PurePath, seen: Counter[str]) -> Mapping[str, Any]:
    path = _relative(diagnostic.span.file, folder)
    same = json.dumps([path, diagnostic.code, diagnostic.message])
    seen[same] += 1
    return {
        "description": _tell(diagnostic),
        "check_name": diagnostic.code,
        "fingerprint": hashlib.sha256(f"{same}{seen[same]}".encode()).hexdigest(),
        "severity": _SEVERITIES[diagnostic.severity],
        "location": {
            "path": path,
            "lines": {"begin": diagnostic.span.line, "end": diagnostic.span.end_line},
        },
    }


def _tell(diagnostic: Diagnostic) -> str:
    """Write the message, the other places and the way out, without what a terminal obeys."""
    lines = [diagnostic.message]
    for note in diagnostic.notes:
        where = f"{note.span.file}:{note.span.line}:{note.span.column}: " if note.span else ""
        lines.append(f"note: {where}{note.message}")
    if diagnostic.hint:
        lines.append(f"hint: {diagnostic.hint}")
    return "\n".join(strip_control_characters(" ".join(line.splitlines())) for line in lines)


def _relative(file: str, folder: PurePath) -> str:
    path = PurePath(file)
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return strip_control_characters(" ".join(str(shown).splitlines()))


def _escape(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(char, char) for char in text)
