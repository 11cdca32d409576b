# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image matrix`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option


@click.command()
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1)
@components_option
@click.option(
    "--lock",
    "with_locks",
    is_flag=True,
    help="Put the lock of each into out/PROFILE, made if there is none yet.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "gitlab"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as a CI takes it.",
)
def verb(
    profiles: tuple[str, ...], folders: tuple[Path, ...], form: str, *, with_locks: bool
) -> None:
    """List what is to be built, for a CI that makes a job of each: the profiles, or all shipped.

    With `--format github` it is the value of `strategy.matrix`, with `--format gitlab` a child
    pipeline. Each build has the digest of all that goes into its image, when there is a lock.
    """
    from gnoppix_build.cli import session
    from gnoppix_build.cli.matrix import list_builds
    from gnoppix_build.report.matrix import (
        matrix_document,
        matrix_github,
        matrix_gitlab,
        matrix_text,
    )

    names = profiles or session.shipped_profiles()
    builds = list_builds(names, folders, with_locks=with_locks)
    if form == "json":
        session.show_json(matrix_document(builds))
        return
    forms = {"text": matrix_text, "github": matrix_github, "gitlab": matrix_gitlab}
    click.echo(forms[form](builds), nl=False)
