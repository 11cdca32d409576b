# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image validate`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    profile_argument,
    target_option,
)


@click.command()
@profile_argument
@components_option
@target_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "gitlab"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of a CI.",
)
def verb(profile: str, folders: tuple[Path, ...], target: str, form: str) -> int:
    """Look for mistakes in a profile, all of them at once.

    PROFILE is a path or the name of a shipped profile. Nothing is built, run or written.
    """
    from gnoppix_build.cli import session
    from gnoppix_build.report.annotation import annotate_github, annotate_gitlab
    from gnoppix_build.report.diagnostic_json import diagnostics_document

    resolution = session.resolve_profile(
        profile, folders, "machine" if target == "machine" else "image"
    )
    is_valid = resolution.resolved is not None
    match form:
        case "json":
            session.show_json(diagnostics_document(resolution.diagnostics, is_valid=is_valid))
        case "github":
            click.echo(annotate_github(resolution.diagnostics, Path.cwd()), nl=False)
        case "gitlab":
            click.echo(annotate_gitlab(resolution.diagnostics, Path.cwd()), nl=False)
        case _:
            session.show_diagnostics(resolution.diagnostics, resolution.sources)
            if resolution.resolved is not None:
                count = len(resolution.resolved.components)
                click.echo(f"{profile}: no mistakes, {count} components")
    return 0 if is_valid else session.PROFILE_MISTAKES
