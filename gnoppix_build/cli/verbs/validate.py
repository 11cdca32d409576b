# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image validate`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, format_option, profile_argument


@click.command()
@profile_argument
@components_option
@format_option
def verb(profile: str, folders: tuple[Path, ...], form: str) -> int:
    """Look for mistakes in a profile, all of them at once.

    PROFILE is a path or the name of a shipped profile. Nothing is built, run or written.
    """
    from gnoppix_build.cli import session

    resolution = session.resolve_profile(profile, folders, "image")
    if form == "json":
        session.show_json(
            {
                "valid": resolution.resolved is not None,
                "diagnostics": [
                    {
                        "code": each.code,
                        "severity": each.severity,
                        "message": each.message,
                        "file": each.span.file,
                        "line": each.span.line,
                        "column": each.span.column,
                        "hint": each.hint,
                    }
                    for each in resolution.diagnostics
                ],
            }
        )
    else:
        session.show_diagnostics(resolution.diagnostics, resolution.sources)
        if resolution.resolved is not None:
            count = len(resolution.resolved.components)
            click.echo(f"{profile}: no mistakes, {count} components")
    return 0 if resolution.resolved is not None else session.PROFILE_MISTAKES
