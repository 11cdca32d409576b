# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnostics as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from gnoppix_build.diagnostics import Diagnostic, Span


def diagnostics_document(diagnostics: Iterable[Diagnostic], *, is_valid: bool) -> Mapping[str, Any]:
    """Give the verdict and each mistake with all its places."""
    return {"valid": is_valid, "diagnostics": [_describe(each) for each in diagnostics]}


def _describe(diagnostic: Diagnostic) -> Mapping[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_locate(diagnostic.span),
        "notes": [
            {"message": note.message, **(_locate(note.span) if note.span else {})}
            for note in diagnostic.notes
        ],
        "hint": diagnostic.hint,
    }


def _locate(span: Span) -> Mapping[str, Any]:
    return {"file": span.file, "line": span.line, "column": span.column}
