# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image validate`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    format_option,
    profile_argument,
    target_option,
)
from gnoppix_build.diagnostics import Diagnostic, Span


@click.command()
@profile_argument
@components_option
@target_option
@format_option
def verb(profile: str, folders: tuple[Path, ...], target: str, form: str) -> int:
    """Look for mistakes in a profile, all of them at once.

    PROFILE is a path or the name of a shipped profile. Nothing is built, run or written.
    """
    from gnoppix_build.cli import session

    resolution = session.resolve_profile(
        profile, folders, "machine" if target == "machine" else "image"
    )
    if form == "json":
        session.show_json(
            {
                "valid": resolution.resolved is not None,
                "diagnostics": [_describe(each) for each in resolution.diagnostics],
            }
        )
    else:
        session.show_diagnostics(resolution.diagnostics, resolution.sources)
        if resolution.resolved is not None:
            count = len(resolution.resolved.components)
            click.echo(f"{profile}: no mistakes, {count} components")
    return 0 if resolution.resolved is not None else session.PROFILE_MISTAKES


def _describe(diagnostic: Diagnostic) -> dict[str, object]:
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


def _locate(span: Span) -> dict[str, object]:
    return {"file": span.file, "line": span.line, "column": span.column}
